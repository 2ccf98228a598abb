// Pacing: a publisher is held back while a healthy reader of a filter that it feeds owes more than a small debt of
// that filter's bytes, so that the live set stays in cache and nothing is dropped that waiting could save.
//
// Healthy is a connected reader that the socket holds back and that made progress within `stallMs`. A reader that
// waits for acknowledgements or does not move holds nobody: it lags. Debts are per filter, so a flood on one filter
// never holds the publishers of another.

import type { Clock } from "../base/clock.ts";
import type { Postings } from "../log/postings.ts";
import { ENTRY_FIRST_RUN, ENTRY_STRIDE } from "../log/segment.ts";
import { ReaderState } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import type { FilterState } from "./filters.ts";

export interface PacedPort {
  pace(paced: boolean): void;
}

/** Paced filters that one turn looks at; the next turn goes on behind them. */
const CHECKED_PER_TURN = 64;

export class Pacing {
  private readonly postings: Postings;
  private readonly clock: Clock;
  private readonly debtBytes: number;
  private readonly stallMs: number;
  /** Filters with publishers that wait. */
  private paced: FilterState[] = [];
  private rotation = 0;

  constructor(postings: Postings, clock: Clock, debtBytes: number, stallMs: number) {
    this.postings = postings;
    this.clock = clock;
    this.debtBytes = debtBytes;
    this.stallMs = stallMs;
  }

  /** Called after an append to `state`. @hot */
  appended(state: FilterState, publisher: PacedPort | null): void {
    if (this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    state.slowestBytes = this.slowest(state);
    if (publisher === null || this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes) return;
    if (state.paced === null) {
      state.paced = [publisher];
      this.paced.push(state);
    } else if (!state.paced.includes(publisher)) state.paced.push(publisher);
    publisher.pace(true);
  }

  /** Bytes of the filter that its slowest healthy reader has got. */
  private slowest(state: FilterState): number {
    let slowest = this.postings.bytes[state.id]!;
    const now = this.clock.nowMs();
    for (const subscription of state.subscriptions) {
      if (subscription.segment === null) continue;
      const reader = subscription.reader;
      if (reader.state !== ReaderState.SocketFull && reader.state !== ReaderState.Ready) continue;
      if (now - reader.progressMs > this.stallMs) continue;
      const got = bytesGot(subscription);
      if (got < slowest) slowest = got;
    }
    return slowest;
  }

  /** Lets publishers go whose filters' readers have caught up with half the debt. */
  check(): void {
    const count = Math.min(this.paced.length, CHECKED_PER_TURN);
    for (let i = 0; i < count && this.paced.length > 0; i++) {
      this.rotation = (this.rotation + 1) % this.paced.length;
      const state = this.paced[this.rotation]!;
      state.slowestBytes = this.slowest(state);
      if (this.postings.bytes[state.id]! - state.slowestBytes <= this.debtBytes / 2) this.letGo(state);
    }
  }

  get pacedFilters(): number {
    return this.paced.length;
  }

  /** Ends all waiting for a filter: it is caught up, or it ends. */
  letGo(state: FilterState): void {
    const waiting = state.paced;
    if (waiting === null) return;
    state.paced = null;
    this.paced = this.paced.filter((other) => other !== state);
    for (const port of waiting) if (!this.holds(port)) port.pace(false);
  }

  private holds(port: PacedPort): boolean {
    return this.paced.some((state) => state.paced?.includes(port));
  }

  /** The publisher's connection is gone. */
  forget(port: PacedPort): void {
    for (const state of [...this.paced]) {
      if (!state.paced?.includes(port)) continue;
      state.paced = state.paced.filter((other) => other !== port);
      if (state.paced.length === 0) this.letGo(state);
    }
  }
}

/** Bytes of the filter that lie before the subscription's position. */
export function bytesGot(subscription: Subscription): number {
  const segment = subscription.segment!;
  const firstRun = segment.entries[subscription.entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
  return segment.bytesBefore[subscription.entry]! + subscription.from - segment.runStart(firstRun);
}
