// Handshake gate: how many TLS handshakes are under way at one time, and whose. When few places are left, no address
// has more handshakes than there are places free, so that one alone cannot take the last, whatever it does. Those that
// find none wait unread: addresses in turn, and of one address the latest first: whoever has waited long may have gone.
//
// While somebody waits, places are taken back from addresses that have as many as one who waits or more, the eldest
// first: soon where the client has not said what a handshake begins with, later where the handshake takes much longer
// than others do. So the silent and the slow keep nobody out for long, and where all are slow, because all come at
// once, nobody is cut short.
//
// Few begin in one turn of the event loop: one costs hundreds of microseconds, and deliveries go on.

import type { Clock } from "../base/clock.ts";
import { limitKey } from "./address.ts";

export interface Handshaker {
  /** As plainAddress() gives it. */
  readonly address: string;
  /** Its client has said what a handshake begins with. Asked only between start() and its end. */
  readonly hasSpoken: boolean;
  /** It has a place: the handshake begins. May leave() before it returns. */
  start(): void;
  /** Its place goes to somebody else: ends it, and leaves. */
  giveUp(): void;
}

/** While others wait, a client has so long to begin, */
export const HELLO_GRACE_MS = 200;
/** and its handshake so long to end at least, */
export const HANDSHAKE_GRACE_MS = 1000;
/** and so many times as long as others take. */
const PATIENCE = 4;
/** How much the last one counts for what others take. */
const LATEST = 1 / 8;
const STARTS_PER_TURN = 8;
/** Few places are left when only such a part of them is. */
const FEW = 1 / 64;
/** Those of one address that have gone while they waited may be so many more than those that wait, and no more. */
const GONE_MAX = 16;

/** What comes from one address, or from one IPv6 /64. */
class Origin {
  readonly key: string;
  underWay = 0;
  private readonly waiting = new Set<Handshaker>();
  /** Them and some that have gone since, the latest last. */
  private line: Handshaker[] = [];

  constructor(key: string) {
    this.key = key;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  add(one: Handshaker): void {
    this.waiting.add(one);
    this.line.push(one);
  }

  remove(one: Handshaker): void {
    this.waiting.delete(one);
    if (this.line.length > 2 * this.waiting.size + GONE_MAX) this.line = [...this.waiting];
  }

  /** Call while somebody waits. */
  takeLatest(): Handshaker {
    let latest = this.line.pop()!;
    while (!this.waiting.delete(latest)) latest = this.line.pop()!;
    return latest;
  }
}

interface Place {
  readonly origin: Origin;
  readonly sinceMs: number;
  hasSpoken: boolean;
}

export interface GateOptions {
  /** Handshakes that may be under way at one time. */
  readonly placesMax: number;
  readonly clock: Clock;
  /** Calls a turn after other work has had its own. */
  readonly later: (turn: () => void) => void;
  /** Somebody waits, who did not: tick() is to be called every now and then, within HELLO_GRACE_MS. */
  readonly pressed: () => void;
}

export class HandshakeGate {
  private readonly options: GateOptions;
  private readonly turn = (): void => this.nextTurn();
  private readonly origins = new Map<string, Origin>();
  /** Under way, the eldest first. */
  private readonly under = new Map<Handshaker, Place>();
  private readonly waiting = new Map<Handshaker, Origin>();
  /** Where somebody waits, whose turn is next first. */
  private readonly line = new Set<Origin>();
  /** How long handshakes take that end well, ms. */
  private typicalMs = 0;
  private startsLeft = STARTS_PER_TURN;
  private isTurnAsked = false;

  constructor(options: GateOptions) {
    this.options = options;
  }

  get underWay(): number {
    return this.under.size;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** Begins now, or as soon as there is a place. Returns whether it has begun. */
  enter(one: Handshaker): boolean {
    const origin = this.originOf(one);
    if (this.waiting.size === 0 && this.startsLeft > 0 && this.hasPlaceFor(origin)) {
      this.begin(one, origin);
      return true;
    }
    origin.add(one);
    this.waiting.set(one, origin);
    this.line.add(origin);
    this.askTurn();
    if (this.waiting.size === 1) this.options.pressed();
    return false;
  }

  /** It has ended well. */
  succeed(one: Handshaker): void {
    const place = this.under.get(one);
    if (place !== undefined) {
      const tookMs = this.options.clock.nowMs() - place.sinceMs;
      this.typicalMs += (tookMs - this.typicalMs) * LATEST;
    }
    this.leave(one);
  }

  /** It is over, well or not; or it does not want to begin any more. */
  leave(one: Handshaker): void {
    const place = this.under.get(one);
    if (place !== undefined) {
      this.under.delete(one);
      place.origin.underWay--;
      this.forget(place.origin);
      if (this.waiting.size > 0) this.askTurn();
      return;
    }
    const origin = this.waiting.get(one);
    if (origin === undefined) return;
    this.waiting.delete(one);
    origin.remove(one);
    if (origin.waitingCount === 0) this.line.delete(origin);
    this.forget(origin);
  }

  /** Now and then, while time passes. */
  tick(): void {
    if (this.waiting.size > 0) this.askTurn();
  }

  private originOf({ address }: Handshaker): Origin {
    const key = limitKey(address);
    let origin = this.origins.get(key);
    if (origin === undefined) {
      origin = new Origin(key);
      this.origins.set(key, origin);
    }
    return origin;
  }

  private forget(origin: Origin): void {
    if (origin.underWay + origin.waitingCount === 0) this.origins.delete(origin.key);
  }

  private hasPlaceFor({ underWay }: Origin): boolean {
    const { placesMax } = this.options;
    const free = placesMax - this.under.size;
    return underWay < free || free > Math.max(1, placesMax * FEW);
  }

  private begin(one: Handshaker, origin: Origin): void {
    this.startsLeft--;
    this.under.set(one, { origin, sinceMs: this.options.clock.nowMs(), hasSpoken: false });
    origin.underWay++;
    this.askTurn();
    one.start();
  }

  private nextTurn(): void {
    this.isTurnAsked = false;
    this.startsLeft = STARTS_PER_TURN;
    do this.beginSome();
    while (this.startsLeft > 0 && this.takePlacesBack());
    if (this.waiting.size > 0 && this.startsLeft === 0) this.askTurn();
  }

  private beginSome(): void {
    for (const origin of this.line) {
      if (this.startsLeft === 0 || this.under.size >= this.options.placesMax) return;
      if (!this.hasPlaceFor(origin)) continue;
      const one = origin.takeLatest();
      this.waiting.delete(one);
      this.line.delete(origin);
      if (origin.waitingCount > 0) this.line.add(origin);
      this.begin(one, origin);
    }
  }

  /** Ends the eldest handshakes that have had their time, for those who wait. False when there are none. */
  private takePlacesBack(): boolean {
    const wanted = Math.min(this.startsLeft, this.waiting.size);
    if (wanted === 0) return false;
    const now = this.options.clock.nowMs();
    const patienceMs = Math.max(HANDSHAKE_GRACE_MS, PATIENCE * this.typicalMs);
    const fewest = this.fewestOfWaiting();
    let taken = 0;
    for (const [one, place] of this.under) {
      const age = now - place.sinceMs;
      if (age < HELLO_GRACE_MS) break;
      if (place.origin.underWay < fewest) continue;
      if (age < patienceMs && (place.hasSpoken || one.hasSpoken)) {
        place.hasSpoken = true;
        continue;
      }
      this.leave(one);
      one.giveUp();
      if (++taken === wanted) break;
    }
    return taken > 0;
  }

  private fewestOfWaiting(): number {
    let fewest = Number.POSITIVE_INFINITY;
    for (const { underWay } of this.line) {
      fewest = Math.min(fewest, underWay);
      if (fewest === 0) break;
    }
    return fewest;
  }

  private askTurn(): void {
    if (this.isTurnAsked) return;
    this.isTurnAsked = true;
    this.options.later(this.turn);
  }
}
