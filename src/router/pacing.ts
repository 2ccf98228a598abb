// Pacing: a publisher is held back while a healthy reader of a filter that it feeds owes more than a small debt of
// that filter's bytes, so that the live set stays in cache and nothing is dropped that waiting could save.
//
// Healthy is a connected reader that the socket holds back and that made progress within `stallMs`. A reader that
// waits for acknowledgements holds nobody until it nears its queue's quota, and one that does not move nobody at all:
// it lags. Debts are per filter, so a flood on one filter never holds the publishers of another.
//
// An outlier is one of the few that are in debt among the healthy readers of its filter: it may owe more than others
// do, and is left behind when it moves not at all for a moment. One of the few in debt among the healthy readers of
// all the traffic that it shares, of every filter that its publishers' messages go to, is left behind once it has kept
// publishers waiting for most of ten times `stallMs`. Who is left behind holds nobody until it has caught up.
// Where half of many clients that share the traffic waited for long and then went on, there is too much for all of
// them, and none of them stands still: then what counts as no progress is longer. Those that never went on are no part
// of that half.
//
// Where all that is asked for does not fit the log, which many small debts can fill, every publisher waits for room.

import type { Clock } from "../base/clock.ts";
import type { Postings } from "../log/postings.ts";
import { ENTRY_FIRST_RUN, ENTRY_STRIDE } from "../log/segment.ts";
import { type Reader, ReaderState } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import { type FilterState, patienceMs, type Route } from "./filters.ts";

/** A publisher as pacing sees it. */
export interface PacedPort {
  /** The filters that its last message went to; null before its first one. */
  readonly lastRoute: { readonly filters: readonly FilterState[] } | null;
  /** It has subscriptions: what it sends may be acknowledgements, which make room. */
  readonly isReader: boolean;
  /** It has been sent what it must acknowledge. */
  readonly mayAcknowledge: boolean;
  /** Filters that hold it back now. */
  heldBy: number;
  pace(paced: boolean): void;
}

/** Paced filters that one turn looks at; the next turn goes on behind them. */
const CHECKED_PER_TURN = 64;
/** A debt that is always allowed. */
const DEBT_BYTES_MIN = 256 * 1024;
/** So long without progress, and for so many turns, and an outlier is left behind. */
const OUTLIER_STALL_MS = 25;
const OUTLIER_STALL_TURNS = 4;
/** So many clients of a route move seldom when half of them waited for this share of `stallMs` and went on, */
const MANY = 16;
const SELDOM_SHARE = 1 / 4;
/** so many times as long ago, at most, as they had waited. */
const SELDOM_GAPS = 2;
/** The longest turn of late counts so much less with each turn. */
const TURN_DECAY = 0.9;
/** An outlier may owe so many debts before publishers wait for it. */
const OUTLIER_DEBTS = 4;
/** An outlier that keeps publishers waiting for so many times `stallMs` in all is left behind. */
const HELD_STALLS = 10;
/** So long a judgement over the readers of a route is good enough. */
const JUDGED_MS = 1;
/** Of a session's quota, and of what is free: publishers wait for a client that acknowledges when it is owed more. */
const QUOTA_SHARE = 0.5;
/** How old the time of the last acknowledgement may be: it is that of the last tick. */
const ACKNOWLEDGED_MS = 1000;
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
  /** Of the log's budget. */
  private freeBytes = Number.POSITIVE_INFINITY;
  /** Filters with publishers that wait. */
  private paced: FilterState[] = [];
  private rotation = 0;
  private judgement = 0;
  /** When check() was called last, while publishers waited, and the longest time of late between two calls. */
  private checkedMs = 0;
  private turnMs = 0;
  private readonly publishers = new Set<PacedPort>();
  /** Publishers that wait for room in the log, longest waiting first. */
  private readonly waiting = new Set<PacedPort>();

  constructor(postings: Postings, clock: Clock, debtBytes: number, stallMs: number) {
    this.postings = postings;
    this.clock = clock;
    this.debtBytesMax = debtBytes;
    this.debtBytes = debtBytes;
    this.stallMs = stallMs;
  }

  /** `bytes` of the log's budget, a `share` of it, are free: many filters' debts together must fit it. */
  room(bytes: number, share: number): void {
    this.freeBytes = bytes;
    this.debtBytes = Math.max(DEBT_BYTES_MIN, this.debtBytesMax * share * share);
  }

  /** Called after an append to `state`. @hot */
  appended(state: FilterState, route: Route, publisher: PacedPort | null): void {
    if (this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    this.share(state, route);
    state.slowestBytes = this.slowest(state, 0);
    if (publisher === null || this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    this.hold(state, publisher);
  }

  /** The widest route of late says who shares the filter's traffic. */
  private share(state: FilterState, route: Route): void {
    const now = this.clock.nowMs();
    const { shared } = state;
    const isOld = now - state.sharedMs > this.stallMs;
    if (shared !== null && !isOld && shared.filters.length > route.filters.length) return;
    state.shared = route;
    state.sharedMs = now;
  }

  private hold(state: FilterState, publisher: PacedPort): void {
    if (state.paced === null || state.heldFromMs === 0) state.heldFromMs = this.clock.nowMs();
    if (state.paced === null) {
      state.paced = [publisher];
      if (this.paced.length === 0) this.checkedMs = this.clock.nowMs();
      this.paced.push(state);
    } else if (!state.paced.includes(publisher)) state.paced.push(publisher);
    else return;
    publisher.heldBy++;
    publisher.pace(true);
  }

  /**
   * The log is nearly full: publishers whose chunks wait in the same poll are held before they are read, those that
   * feed a filter that is paced already and those that have published nothing yet and read nothing.
   */
  holdFeeders(): void {
    const first = this.paced[0];
    if (first === undefined) return;
    for (const publisher of this.publishers) {
      if (publisher.heldBy > 0) continue;
      if (publisher.lastRoute === null) {
        if (!publisher.isReader) this.hold(first, publisher);
      } else {
        const fed = publisher.lastRoute.filters.find((state) => state.paced !== null);
        if (fed !== undefined) this.hold(fed, publisher);
      }
    }
  }

  /**
   * The log has no room: no publisher is read before it has some, but those whose acknowledgements may make it, so
   * that what they send waits with them and not here.
   */
  holdAll(): void {
    for (const publisher of this.publishers) {
      const publishes = publisher.lastRoute !== null || !publisher.isReader;
      if (publisher.heldBy > 0 || !publishes || publisher.mayAcknowledge) continue;
      publisher.heldBy++;
      this.waiting.add(publisher);
      publisher.pace(true);
    }
  }

  /** There is room in the log for a chunk of each of so many that wait for it: they go on. */
  letSomeGo(count: number): void {
    let left = Math.min(count, LET_GO_MAX);
    for (const port of this.waiting) {
      if (left-- <= 0) return;
      this.waiting.delete(port);
      if (--port.heldBy === 0) port.pace(false);
    }
  }

  get waitsForRoom(): boolean {
    return this.waiting.size > 0;
  }

  /**
   * Bytes of the filter that its slowest healthy reader has got, outliers that may owe more left out. `heldMs`: for so
   * long the filter's publishers have been waiting.
   */
  private slowest(state: FilterState, heldMs: number): number {
    const total = this.postings.bytes[state.id]!;
    const now = this.clock.nowMs();
    const areFew = state.shared !== null && this.areFewInDebt(state.shared, now);
    const moverPatience = patienceMs(state, this.stallMs, now);
    const moveSeldom = moverPatience > this.stallMs; // who is behind the others then has only not had its turn
    const isOutlier = areFew && !moveSeldom;
    const isOutlierHere = !moveSeldom && this.areFewHere(state, total);
    const patience = isOutlierHere ? this.outlierPatienceMs() : moverPatience;
    const allowed = isOutlierHere ? OUTLIER_DEBTS * this.debtBytes : 0;
    let slowest = total;
    for (const subscription of state.subscriptions) {
      const { reader } = subscription;
      if (subscription.segment === null || reader.isLeftBehind || reader.state === ReaderState.Offline)
        continue;
      const got = bytesGot(subscription);
      const isWaiting = reader.state === ReaderState.WindowFull;
      if (!isWaiting && now - reader.progressMs > patience) {
        reader.isLeftBehind = total - got > this.debtBytes;
        continue;
      }
      const isHolding = isWaiting
        ? this.nearsQuota(subscription, total - got, now)
        : reader.state !== ReaderState.CaughtUp && total - got > allowed;
      if (!isHolding) continue;
      const hasOthers = !isWaiting || (state.shared?.hasHealthy ?? false);
      if (isOutlier && hasOthers && heldMs > 0) reader.isLeftBehind = this.hasHeldLong(reader, now, heldMs);
      if (got < slowest && !reader.isLeftBehind) slowest = got;
    }
    return slowest;
  }

  /** Where a turn serves many, each of them is served, and reads, less often. */
  private outlierPatienceMs(): number {
    return Math.min(this.stallMs, Math.max(OUTLIER_STALL_MS, OUTLIER_STALL_TURNS * this.turnMs));
  }

  /** At most half of the filter's own healthy readers are in debt. */
  private areFewHere({ subscriptions }: FilterState, total: number): boolean {
    let healthy = 0;
    let indebted = 0;
    for (const subscription of subscriptions) {
      const { reader } = subscription;
      if (!isInStep(reader)) continue;
      healthy++;
      if (subscription.segment !== null && total - bytesGot(subscription) > this.debtBytes / 2) indebted++;
    }
    return indebted * 2 <= healthy;
  }

  /**
   * The reader waits for acknowledgements, which come, and is owed half of what may be kept for it, or of what the log
   * has room for: without a pause for its publishers the oldest of that would go.
   */
  private nearsQuota({ reader, segment, entry, filter }: Subscription, bytes: number, now: number): boolean {
    const { session } = reader;
    if (session === null || now - session.acknowledgedMs > this.stallMs + ACKNOWLEDGED_MS) return false;
    const messages = this.postings.count[filter]! - segment!.countBefore[entry]!;
    const bytesMax = Math.min(session.queueBytesMax, this.freeBytes);
    return bytes > bytesMax * QUOTA_SHARE || messages > session.queueMessagesMax * QUOTA_SHARE;
  }

  /**
   * At most half of the healthy readers of the route's filters are in debt; each counts once. Whether they move seldom
   * is judged with it.
   */
  private areFewInDebt(route: Route, now: number): boolean {
    if (now - route.judgedMs <= JUDGED_MS) return route.fewInDebt;
    this.judgement += 2;
    const { judgement } = this;
    const seldomMs = SELDOM_SHARE * this.stallMs;
    let healthy = 0;
    let indebted = 0;
    let clients = 0;
    let seldom = 0;
    for (const { id, subscriptions } of route.filters) {
      const total = this.postings.bytes[id]!;
      for (const subscription of subscriptions) {
        const { reader } = subscription;
        if (!isInStep(reader)) continue;
        if (reader.judged < judgement) {
          reader.judged = judgement;
          healthy++;
          if (reader.session !== null) clients++;
          if (reader.gapMs > seldomMs && now - reader.gapEndMs <= SELDOM_GAPS * reader.gapMs) seldom++;
        }
        if (reader.judged > judgement || subscription.segment === null) continue;
        if (total - bytesGot(subscription) <= this.debtBytes / 2) continue;
        reader.judged = judgement + 1;
        indebted++;
      }
    }
    route.fewInDebt = indebted * 2 <= healthy;
    route.hasHealthy = healthy > 0;
    if (clients >= MANY && seldom * 2 >= healthy) route.seldomMs = now;
    route.judgedMs = now;
    return route.fewInDebt;
  }

  /**
   * Publishers have waited for this reader in the last `heldMs`. True when it kept them waiting for longer than
   * HELD_STALLS times `stallMs` in all, what they did not wait for it since then set off against it: with it they
   * would have less than half the speed.
   */
  private hasHeldLong(reader: Reader, now: number, heldMs: number): boolean {
    const from = Math.max(reader.heldBackToMs, now - heldMs);
    reader.heldBackMs = Math.max(0, reader.heldBackMs - (from - reader.heldBackToMs)) + now - from;
    reader.heldBackToMs = now;
    return reader.heldBackMs > HELD_STALLS * this.stallMs;
  }

  /**
   * Lets some publishers go whose filters' readers have caught up with half the debt. The next ones follow when those
   * have delivered, or have nothing to deliver.
   */
  check(): void {
    const count = Math.min(this.paced.length, CHECKED_PER_TURN);
    const now = this.clock.nowMs();
    this.turnMs = Math.max(now - this.checkedMs, TURN_DECAY * this.turnMs);
    this.checkedMs = now;
    for (let i = 0; i < count && this.paced.length > 0; i++) {
      this.rotation = (this.rotation + 1) % this.paced.length;
      const state = this.paced[this.rotation]!;
      const bytes = this.postings.bytes[state.id]!;
      if (bytes === state.letGoBytes && now - state.letGoMs < LET_GO_MS) continue;
      state.slowestBytes = this.slowest(state, state.heldFromMs === 0 ? 0 : now - state.heldFromMs);
      const mustWait = bytes - state.slowestBytes > this.debtBytes / 2;
      state.heldFromMs = mustWait ? now : 0;
      if (mustWait) continue;
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
    this.waiting.delete(port);
    for (const state of [...this.paced]) {
      const index = state.paced!.indexOf(port);
      if (index < 0) continue;
      state.paced!.splice(index, 1);
      if (state.paced!.length === 0) this.letGo(state, 0);
    }
    port.heldBy = 0;
  }
}

/** Only its socket may hold it back. */
function isInStep({ state, isLeftBehind }: Reader): boolean {
  return state !== ReaderState.Offline && state !== ReaderState.WindowFull && !isLeftBehind;
}

/** Bytes of the filter that lie before the subscription's position. */
export function bytesGot(subscription: Subscription): number {
  const segment = subscription.segment!;
  const firstRun = segment.entries[subscription.entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
  return segment.bytesBefore[subscription.entry]! + subscription.from - segment.runStart(firstRun);
}
