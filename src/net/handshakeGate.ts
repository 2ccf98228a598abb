// Handshake gate: how many TLS handshakes are under way at one time. Those that find no place wait in order, unread.
// While anybody waits, a handshake that takes much longer than others do loses its place, the eldest first: so slow and
// silent ones do not keep others out for long, and where all are slow, because all come at once, nobody is cut short.
// Few begin in one turn of the event loop: one costs hundreds of microseconds, and deliveries go on.

import type { Clock } from "../base/clock.ts";

export interface Handshaker {
  /** It has a place: the handshake begins. May leave() before it returns. */
  start(): void;
  /** Its place goes to somebody else: ends it, and leaves. */
  giveUp(): void;
}

/** While others wait, a handshake has so long at least, */
export const HANDSHAKE_GRACE_MS = 1000;
/** and so many times as long as others take. */
const PATIENCE = 4;
/** How much the last one counts for what others take. */
const LATEST = 1 / 8;
const STARTS_PER_TURN = 8;

export class HandshakeGate {
  private readonly placesMax: number;
  private readonly clock: Clock;
  private readonly later: (turn: () => void) => void;
  private readonly turn = (): void => this.nextTurn();
  /** Under way, the eldest first, with when it began. */
  private readonly under = new Map<Handshaker, number>();
  private readonly waiting = new Set<Handshaker>();
  /** How long handshakes take that end well, ms. */
  private typicalMs = 0;
  private startsLeft = STARTS_PER_TURN;
  private isTurnAsked = false;

  /** `later` calls a turn after other work has had its own. */
  constructor(placesMax: number, clock: Clock, later: (turn: () => void) => void) {
    this.placesMax = placesMax;
    this.clock = clock;
    this.later = later;
  }

  get underWay(): number {
    return this.under.size;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** Begins now, or as soon as there is a place. Returns whether it has begun. */
  enter(one: Handshaker): boolean {
    if (this.waiting.size === 0 && this.startsLeft > 0 && this.under.size < this.placesMax) {
      this.begin(one);
      return true;
    }
    this.waiting.add(one);
    this.askTurn();
    return false;
  }

  /** It has ended well. */
  succeed(one: Handshaker): void {
    const sinceMs = this.under.get(one);
    if (sinceMs !== undefined) this.typicalMs += (this.clock.nowMs() - sinceMs - this.typicalMs) * LATEST;
    this.leave(one);
  }

  /** It is over, well or not; or it does not want to begin any more. */
  leave(one: Handshaker): void {
    this.waiting.delete(one);
    if (this.under.delete(one) && this.waiting.size > 0) this.askTurn();
  }

  /** Now and then, while time passes. */
  tick(): void {
    if (this.waiting.size > 0) this.askTurn();
  }

  private begin(one: Handshaker): void {
    this.startsLeft--;
    this.under.set(one, this.clock.nowMs());
    this.askTurn();
    one.start();
  }

  private nextTurn(): void {
    this.isTurnAsked = false;
    this.startsLeft = STARTS_PER_TURN;
    for (const one of this.waiting) {
      if (this.startsLeft === 0) break;
      if (this.under.size >= this.placesMax && !this.makePlace()) return;
      this.waiting.delete(one);
      this.begin(one);
    }
    if (this.waiting.size > 0) this.askTurn();
  }

  /** Ends the eldest handshake if it has had its time. */
  private makePlace(): boolean {
    const patience = Math.max(HANDSHAKE_GRACE_MS, PATIENCE * this.typicalMs);
    for (const [one, sinceMs] of this.under) {
      if (this.clock.nowMs() - sinceMs < patience) return false;
      this.under.delete(one);
      one.giveUp();
      return true;
    }
    return false;
  }

  private askTurn(): void {
    if (this.isTurnAsked) return;
    this.isTurnAsked = true;
    this.later(this.turn);
  }
}
