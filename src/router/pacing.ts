// Pacing: a publisher is held back while a healthy reader of a filter that it feeds owes more than a small debt of
// that filter's bytes, so that the live set stays in cache and nothing is dropped that waiting could save.
//
// Healthy is a connected reader that the socket holds back and that made progress within `stallMs`. A reader that
// waits for acknowledgements or does not move holds nobody: it lags. (A reader that alone is behind counts as not
// moving much sooner.) Once left behind it holds nobody until it has caught up. Debts are per filter, so a flood on
// one filter never holds the publishers of another.

import type { Clock } from "../base/clock.ts";
import type { Postings } from "../log/postings.ts";
import { ENTRY_FIRST_RUN, ENTRY_STRIDE } from "../log/segment.ts";
import { ReaderState } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import type { FilterState } from "./filters.ts";

/** A publisher as pacing sees it. */
export interface PacedPort {
  /** The filters that its last message went to; null before its first one. */
  readonly lastRoute: { readonly filters: readonly FilterState[] } | null;
  /** Filters that hold it back now. */
  heldBy: number;
  pace(paced: boolean): void;
}

/** Paced filters that one turn looks at; the next turn goes on behind them. */
const CHECKED_PER_TURN = 64;
/** A debt that is always allowed. */
const DEBT_BYTES_MIN = 256 * 1024;
/** So long without progress, and a reader that is behind most others of its filter holds nobody. */
const OUTLIER_STALL_MS = 25;
/** A reader that is behind most others of its filter may owe so many debts before publishers wait for it. */
const OUTLIER_DEBTS = 4;
/** Publishers of one filter that are let go at one time, so that their chunks together stay near the debt. */
const LET_GO_MAX = 4;
/** Publishers that were let go and deliver nothing for so long hold up the next ones no longer. */
const LET_GO_MS = 5;

export class Pacing {
  private readonly postings: Postings;
  private readonly clock: Clock;
  private readonly debtBytesMax: number;
  /** The debt allowed now: less when little of the log is free. */
  private debtBytes: number;
  private readonly stallMs: number;
  /** Filters with publishers that wait. */
  private paced: FilterState[] = [];
  private rotation = 0;
  private readonly publishers = new Set<PacedPort>();

  constructor(postings: Postings, clock: Clock, debtBytes: number, stallMs: number) {
    this.postings = postings;
    this.clock = clock;
    this.debtBytesMax = debtBytes;
    this.debtBytes = debtBytes;
    this.stallMs = stallMs;
  }

  /** `share` of the log's budget is free: many filters' debts together must fit it. */
  room(share: number): void {
    this.debtBytes = Math.max(DEBT_BYTES_MIN, this.debtBytesMax * share * share);
  }

  /** Called after an append to `state`. @hot */
  appended(state: FilterState, publisher: PacedPort | null): void {
    if (this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    state.slowestBytes = this.slowest(state);
    if (publisher === null || this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    this.hold(state, publisher);
  }

  private hold(state: FilterState, publisher: PacedPort): void {
    if (state.paced === null) {
      state.paced = [publisher];
      this.paced.push(state);
    } else if (!state.paced.includes(publisher)) state.paced.push(publisher);
    else return;
    publisher.heldBy++;
    publisher.pace(true);
  }

  /**
   * The log is nearly full: publishers whose chunks wait in the same poll are held before they are read, those that
   * feed a filter that is paced already and those that have published nothing yet.
   */
  holdFeeders(): void {
    const first = this.paced[0];
    if (first === undefined) return;
    for (const publisher of this.publishers) {
      if (publisher.heldBy > 0) continue;
      if (publisher.lastRoute === null) this.hold(first, publisher);
      else {
        const fed = publisher.lastRoute.filters.find((state) => state.paced !== null);
        if (fed !== undefined) this.hold(fed, publisher);
      }
    }
  }

  /**
   * Bytes of the filter that its slowest healthy reader has got. Where at most half of the filter's readers are in
   * debt, those that do not move at all are left behind soon: one slow client must not hurt all.
   */
  private slowest(state: FilterState): number {
    const total = this.postings.bytes[state.id]!;
    const now = this.clock.nowMs();
    let connected = 0;
    let indebted = 0;
    for (const subscription of state.subscriptions) {
      if (subscription.reader.state === ReaderState.Offline) continue;
      connected++;
      if (subscription.segment !== null && total - bytesGot(subscription) > this.debtBytes / 2) indebted++;
    }
    const isOutlier = indebted * 2 <= connected;
    const patience = isOutlier ? OUTLIER_STALL_MS : this.stallMs;
    const allowed = isOutlier ? OUTLIER_DEBTS * this.debtBytes : 0;
    let slowest = total;
    for (const subscription of state.subscriptions) {
      const { reader } = subscription;
      if (subscription.segment === null || reader.isLeftBehind) continue;
      if (reader.state !== ReaderState.SocketFull && reader.state !== ReaderState.Ready) continue;
      const got = bytesGot(subscription);
      if (now - reader.progressMs > patience) reader.isLeftBehind = total - got > this.debtBytes;
      else if (got < slowest && total - got > allowed) slowest = got;
    }
    return slowest;
  }

  /**
   * Lets some publishers go whose filters' readers have caught up with half the debt. The next ones follow when those
   * have delivered, or have nothing to deliver.
   */
  check(): void {
    const count = Math.min(this.paced.length, CHECKED_PER_TURN);
    const now = this.clock.nowMs();
    for (let i = 0; i < count && this.paced.length > 0; i++) {
      this.rotation = (this.rotation + 1) % this.paced.length;
      const state = this.paced[this.rotation]!;
      const bytes = this.postings.bytes[state.id]!;
      if (bytes === state.letGoBytes && now - state.letGoMs < LET_GO_MS) continue;
      state.slowestBytes = this.slowest(state);
      if (bytes - state.slowestBytes > this.debtBytes / 2) continue;
      state.letGoBytes = bytes;
      state.letGoMs = now;
      this.letGo(state, LET_GO_MAX);
    }
  }

  get pacedFilters(): number {
    return this.paced.length;
  }

  /** Lets up to `count` of the filter's publishers go, longest waiting first. */
  private letGo(state: FilterState, count: number): void {
    const waiting = state.paced;
    if (waiting === null) return;
    const free = waiting.splice(0, count);
    if (waiting.length === 0) {
      state.paced = null;
      this.paced = this.paced.filter((other) => other !== state);
    }
    for (const port of free) if (--port.heldBy === 0) port.pace(false);
  }

  /** The filter ends: nobody waits for it. */
  end(state: FilterState): void {
    this.letGo(state, Number.POSITIVE_INFINITY);
  }

  begin(port: PacedPort): void {
    this.publishers.add(port);
  }

  /** The publisher's connection is gone. */
  forget(port: PacedPort): void {
    this.publishers.delete(port);
    if (port.heldBy === 0) return;
    for (const state of [...this.paced]) {
      const index = state.paced!.indexOf(port);
      if (index < 0) continue;
      state.paced!.splice(index, 1);
      if (state.paced!.length === 0) this.letGo(state, 0);
    }
    port.heldBy = 0;
  }
}

/** Bytes of the filter that lie before the subscription's position. */
export function bytesGot(subscription: Subscription): number {
  const segment = subscription.segment!;
  const firstRun = segment.entries[subscription.entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
  return segment.bytesBefore[subscription.entry]! + subscription.from - segment.runStart(firstRun);
}
