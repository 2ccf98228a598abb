// ExpiringMap: answers kept for a time. It holds so many entries at most; when it is full the oldest goes, which costs
// its owner one more question and nobody a wrong answer.

import type { Clock } from "../base/clock.ts";

interface Entry<V> {
  readonly value: V;
  readonly untilMs: number;
}

export class ExpiringMap<V> {
  readonly entriesMax: number;
  private readonly clock: Clock;
  private readonly entries = new Map<string, Entry<V>>();

  constructor(entriesMax: number, clock: Clock) {
    this.entriesMax = entriesMax;
    this.clock = clock;
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.clock.nowMs()) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  /** Keeps `value` for `forMs`; 0 keeps nothing. */
  set(key: string, value: V, forMs: number): void {
    this.entries.delete(key);
    if (forMs <= 0) return;
    if (this.entries.size >= this.entriesMax) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        break;
      }
    }
    this.entries.set(key, { value, untilMs: this.clock.nowMs() + forMs });
  }

  clear(): void {
    this.entries.clear();
  }
}
