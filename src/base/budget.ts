// Budget: bytes that one named owner may hold at one time. The named budgets add up to `[router] memory`.

import { assert } from "./assert.ts";

/** Where bytes are taken from and given back to: a budget, or one holder's part of it. */
export interface Room {
  /** False, and nothing is taken, when there is no room. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export class Budget implements Room {
  readonly name: string;
  readonly bytesMax: number;
  used = 0;
  /** The most that was ever held, for metrics. */
  peak = 0;
  /** How often there was no room. */
  refusals = 0;
  /** Asked when there is no room for so many bytes: true when by now there is. */
  relief: ((bytes: number) => boolean) | null = null;

  constructor(name: string, bytesMax: number) {
    assert(bytesMax >= 0, `budget ${name} is not negative`);
    this.name = name;
    this.bytesMax = bytesMax;
  }

  /** Takes `bytes`, or returns false and takes nothing: the caller's stated policy applies. */
  take(bytes: number): boolean {
    if (this.used + bytes > this.bytesMax && !(this.relief?.(bytes) ?? false)) {
      this.refusals++;
      return false;
    }
    this.used += bytes;
    if (this.used > this.peak) this.peak = this.used;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
    assert(this.used >= 0, `budget ${this.name} gives back what it took`);
  }
}
