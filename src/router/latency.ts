// Latency: how long what clients publish takes to be written to whoever is ready for it, one sample for all that one
// turn took: from its first append to the end of the turn in which the last reader that waited by then was served.
// Readers whose sockets or windows are full, or who are not there, wait for something else and are not measured. @hot

import type { Clock } from "../base/clock.ts";
import { Histogram } from "../base/histogram.ts";
import type { ReadyQueue } from "./readyQueue.ts";

/** Seconds. */
const BOUNDS = [
  25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1,
  2.5, 5,
];

export class Latency {
  readonly seconds = new Histogram(BOUNDS);
  private readonly clock: Clock;
  /** When the first append since the last turn came, ms; 0 while there is none. */
  private appendedMs = 0;
  /** The same for what a turn did not end with: it is over when the queue has given out so many readers. */
  private waitingMs = 0;
  private waitingFor = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Something was appended at `nowMs`, for readers that stand in the queue. */
  appended(nowMs: number): void {
    if (this.appendedMs === 0) this.appendedMs = nowMs;
  }

  /** A turn is over. */
  turned(queue: ReadyQueue): void {
    if (this.waitingMs !== 0 && !this.settle(queue)) return;
    if (this.appendedMs === 0) return;
    this.waitingMs = this.appendedMs;
    this.appendedMs = 0;
    this.waitingFor = queue.pushed;
    this.settle(queue);
  }

  /** Takes the sample if everybody has been served that it waits for. */
  private settle(queue: ReadyQueue): boolean {
    if (queue.pushed - queue.length < this.waitingFor) return false;
    this.seconds.add((this.clock.nowMs() - this.waitingMs) / 1000);
    this.waitingMs = 0;
    return true;
  }
}
