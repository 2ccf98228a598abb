// Residues: the budget for what waits behind full sockets, rests of cut frames and control packets, and who holds how
// much of it. A client that reads has room while there are clients that do not: when the budget is used up, the largest
// holder that has made no progress gives way; and the more of it is used, the less may wait for any one client.

import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";

/** Control packets that wait for one client, bytes; beyond it the client is not reading and is not read from either. */
const SHARE_MAX = 64 * 1024;
/** And at most so large a part of what is free. */
const SHARE_OF_FREE = 1 / 8;
/** A holder whose socket has not taken as much as is kept for it for so long makes no progress. */
const PATIENCE_MS = 250;
/** Holders that give way to one of the others; it does without if they are too small to help. */
const GIVE_WAY_MAX = 4;

/** The sending side of one connection, as far as this is concerned. */
export interface Holder {
  /** What is kept for it now, and all that its socket has ever taken, bytes. */
  readonly heldBytes: number;
  readonly sentBytes: number;
  /** It gives back what it holds and sends no more: what it was sending ends within a frame. */
  abandon(): void;
  /** The connection ends. */
  closeAbandoned(): void;
}

interface Progress {
  sentBytes: number;
  ms: number;
}

export class Residues {
  private readonly budget: Budget;
  private readonly clock: Clock;
  /** Tells whoever calls closeAbandoned() that it should, soon. */
  private readonly pressed: () => void;
  /** Everybody who holds something, with when it last made progress. */
  private readonly holders = new Map<Holder, Progress>();
  /** Who gave way: within a write of another connection there is no place to close them. */
  private abandoned: Holder[] = [];
  private asking: Holder | null = null;

  constructor(budget: Budget, clock: Clock, pressed: () => void) {
    this.budget = budget;
    this.clock = clock;
    this.pressed = pressed;
    budget.relief = (bytes) => this.relieve(bytes);
  }

  /** Control packets that may wait for one client before it is not read from any more, bytes. */
  get shareBytes(): number {
    return Math.min(SHARE_MAX, (this.budget.bytesMax - this.budget.used) * SHARE_OF_FREE);
  }

  /** Less than half of the room would be used. */
  mayKeep(bytes: number): boolean {
    return 2 * (this.budget.used + bytes) <= this.budget.bytesMax;
  }

  /** Takes `bytes` for `holder`; false, and nothing is taken, when there is no room and nobody gives way. */
  take(holder: Holder, bytes: number): boolean {
    this.asking = holder;
    const taken = this.budget.take(bytes);
    this.asking = null;
    if (taken && !this.holders.has(holder)) {
      this.holders.set(holder, { sentBytes: holder.sentBytes, ms: this.clock.nowMs() });
    }
    return taken;
  }

  /** Call when holder.heldBytes says what is left. */
  give(holder: Holder, bytes: number): void {
    this.budget.give(bytes);
    if (holder.heldBytes === 0) this.holders.delete(holder);
  }

  /** Makes room for `bytes` bytes. False, and nobody gives way, when a few that make no progress cannot. */
  private relieve(bytes: number): boolean {
    let needed = this.budget.used + bytes - this.budget.bytesMax;
    const givingWay: Holder[] = [];
    for (const holder of this.withoutProgress()) {
      if (needed <= 0) break;
      if (holder === this.asking || givingWay.length === GIVE_WAY_MAX) return false;
      givingWay.push(holder);
      needed -= holder.heldBytes;
    }
    if (needed > 0) return false;
    for (const holder of givingWay) holder.abandon();
    this.abandoned.push(...givingWay);
    this.pressed();
    return true;
  }

  /** Largest first. */
  private withoutProgress(): Holder[] {
    this.look();
    const since = this.clock.nowMs() - PATIENCE_MS;
    const holders = [...this.holders.keys()].filter((holder) => this.holders.get(holder)!.ms <= since);
    return holders.sort((a, b) => b.heldBytes - a.heldBytes);
  }

  private look(): void {
    const now = this.clock.nowMs();
    for (const [holder, progress] of this.holders) {
      if (holder.sentBytes - progress.sentBytes < holder.heldBytes) continue;
      progress.sentBytes = holder.sentBytes;
      progress.ms = now;
    }
  }

  /** Once a second. */
  tick(): void {
    this.look();
  }

  /** Connections wait to be closed. */
  get isPressed(): boolean {
    return this.abandoned.length > 0;
  }

  closeAbandoned(): void {
    for (const holder of this.abandoned.splice(0)) holder.closeAbandoned();
  }
}
