// Gate: so many tasks run at one time, so many more wait in line, and who comes beyond that is told at once.
// Hashes and requests go through gates: a flood of logins fills the line and leaves the rest of the machine alone.

import type { Clock } from "../base/clock.ts";

/** There is no place in line, or the wait was too long. */
export const BUSY: unique symbol = Symbol("busy");
export type Busy = typeof BUSY;

interface Waiting {
  readonly sinceMs: number;
  readonly go: (mayRun: boolean) => void;
}

export interface GateLimits {
  /** Tasks at one time. */
  readonly running: number;
  /** Tasks in line. */
  readonly waiting: number;
  /** Whose turn comes later than this has been given up by its client, ms. */
  readonly waitMs: number;
}

export class Gate {
  readonly limits: GateLimits;
  /** Tasks that were turned away, for metrics. */
  turnedAway = 0;
  private readonly clock: Clock;
  private running = 0;
  private line: Waiting[] = [];
  /** Place in `line` of whose turn is next; what is before it is done. */
  private head = 0;

  constructor(limits: GateLimits, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
  }

  get waiting(): number {
    return this.line.length - this.head;
  }

  /** Runs `task` when its turn comes; BUSY when there is no place in line or its turn came too late. */
  async run<T>(task: () => Promise<T>): Promise<T | Busy> {
    if (this.running < this.limits.running) this.running++;
    else if (!(await this.turn())) {
      this.turnedAway++;
      return BUSY;
    }
    try {
      return await task();
    } finally {
      this.finished();
    }
  }

  /** Resolves with true when a finished task has handed its place over. */
  private turn(): Promise<boolean> {
    if (this.waiting >= this.limits.waiting) return Promise.resolve(false);
    if (this.head >= this.limits.waiting) {
      this.line = this.line.slice(this.head);
      this.head = 0;
    }
    return new Promise((go) => this.line.push({ sinceMs: this.clock.nowMs(), go }));
  }

  /** Those that have waited too long go as they are reached: they cost nothing. */
  private finished(): void {
    const oldest = this.clock.nowMs() - this.limits.waitMs;
    while (this.head < this.line.length) {
      const { sinceMs, go } = this.line[this.head]!;
      this.head++;
      const mayRun = sinceMs >= oldest;
      go(mayRun);
      if (mayRun) return;
    }
    this.line = [];
    this.head = 0;
    this.running--;
  }
}
