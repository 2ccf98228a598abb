// Metrics runtime: how the event loop and the garbage collector do. It costs one timer; where nobody wants metrics,
// there is none.

import { Histogram } from "../base/histogram.ts";

/** Seconds. */
const LAG_BOUNDS = [1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5];

export class Runtime {
  readonly lagSeconds = new Histogram(LAG_BOUNDS);
  readonly engineVersion = Bun.version;
  readonly startedSeconds = (Date.now() - performance.now()) / 1000;
  collections = 0;
  private timer: Timer | null = null;
  private intervalMs = 0;
  private readonly registry: FinalizationRegistry<null>;
  private isRunning = true;

  /** Looks at the event loop's lag every `lagIntervalMs`. */
  constructor(lagIntervalMs: number) {
    this.look(lagIntervalMs);
    this.registry = new FinalizationRegistry(() => {
      this.collections++;
      this.leaveGarbage();
    });
    this.leaveGarbage();
  }

  /** From now on at another interval, if it is one. */
  look(lagIntervalMs: number): void {
    if (lagIntervalMs === this.intervalMs) return;
    this.intervalMs = lagIntervalMs;
    if (this.timer !== null) clearInterval(this.timer);
    let due = performance.now() + lagIntervalMs;
    this.timer = setInterval(() => {
      const now = performance.now();
      this.lagSeconds.add(Math.max(0, now - due) / 1000);
      due = now + lagIntervalMs;
    }, lagIntervalMs);
    this.timer.unref();
  }

  /** Something that the next collection takes, and tells. */
  private leaveGarbage(): void {
    if (this.isRunning) this.registry.register({}, null);
  }

  stop(): void {
    this.isRunning = false;
    if (this.timer !== null) clearInterval(this.timer);
  }
}
