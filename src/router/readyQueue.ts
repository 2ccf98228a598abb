// Ready queue: the readers that have something to write, first in, first out. Callbacks put readers in, a bounded
// turn takes them out: in the microtask behind a `data` callback while there are few, else once per poll, so that a
// thousand small chunks make one batch and I/O is not starved. @hot

import { assert } from "../base/assert.ts";
import { type Reader, ReaderState } from "../session/reader.ts";

export interface Scheduler {
  /** Runs `turn` when the present callback is done. `turn` is the same function at every call. */
  soon(turn: () => void): void;
  /** Runs `turn` when the sockets that are ready now have been read. */
  later(turn: () => void): void;
}

/** Turns in microtasks between two visits to the poll; further ones are put off, so that their chunks join. */
const SOON_TURNS_MAX = 4;
/** Readers that a microtask turn serves. */
const SOON_READERS_MAX = 4;
/** Writes of one turn; the rest waits until sockets were read. */
const TURN_READERS_MAX = 2048;
/** Bytes of one turn. */
const TURN_BYTES_MAX = 16 * 1024 * 1024;

/** So many bytes appended since the last turn, and the next one does not wait for the rest of the poll. */
const HURRY_BYTES = 512 * 1024;

const CAPACITY_MIN = 1024;

export class ReadyQueue {
  private ring: (Reader | null)[] = new Array<Reader | null>(CAPACITY_MIN).fill(null);
  private head = 0;
  private count = 0;
  /** Readers that were ever put in. */
  pushed = 0;
  private soonScheduled = false;
  private laterScheduled = false;
  private hurryScheduled = false;
  private soonTurns = 0;
  private appendedBytes = 0;
  private readonly scheduler: Scheduler;
  private serve: (reader: Reader) => number = () => 0;
  private afterTurn: () => void = () => {};
  private readonly soonTurn = () => this.turnSoon();
  private readonly laterTurn = () => this.turnLater();
  private readonly hurryTurn = () => this.turnHurry();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** `serve` writes for one reader and returns the bytes written; `afterTurn` runs when a turn is over. */
  start(serve: (reader: Reader) => number, afterTurn: () => void): void {
    this.serve = serve;
    this.afterTurn = afterTurn;
  }

  get length(): number {
    return this.count;
  }

  /** Puts a reader in, whatever it waited for; a reader that stands there already stays where it is. */
  push(reader: Reader): void {
    reader.state = ReaderState.Ready;
    if (reader.queued) return;
    reader.queued = true;
    if (this.count === this.ring.length) this.grow();
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = reader;
    this.count++;
    this.pushed++;
    this.schedule();
  }

  private grow(): void {
    const old = this.ring;
    const ring = new Array<Reader | null>(old.length * 2).fill(null);
    for (let i = 0; i < this.count; i++) ring[i] = old[(this.head + i) & (old.length - 1)]!;
    this.ring = ring;
    this.head = 0;
  }

  private schedule(): void {
    if (this.soonScheduled || this.laterScheduled) return;
    if (this.soonTurns < SOON_TURNS_MAX) {
      this.soonScheduled = true;
      this.scheduler.soon(this.soonTurn);
    } else this.scheduleLater();
  }

  private scheduleLater(): void {
    if (this.laterScheduled) return;
    this.laterScheduled = true;
    this.scheduler.later(this.laterTurn);
  }

  /** The log grew: a large debt is written while its bytes are in cache, and before more are read. */
  appended(bytes: number): void {
    this.appendedBytes += bytes;
    if (this.appendedBytes < HURRY_BYTES || this.hurryScheduled || this.count === 0) return;
    this.hurryScheduled = true;
    this.scheduler.soon(this.hurryTurn);
  }

  private turnHurry(): void {
    this.hurryScheduled = false;
    if (this.count > 0 && this.appendedBytes >= HURRY_BYTES) this.run(TURN_READERS_MAX);
  }

  private turnSoon(): void {
    this.soonScheduled = false;
    if (this.laterScheduled) return;
    if (this.count > SOON_READERS_MAX) {
      this.scheduleLater();
      return;
    }
    this.soonTurns++;
    this.run(SOON_READERS_MAX);
  }

  private turnLater(): void {
    this.laterScheduled = false;
    this.soonTurns = 0;
    this.run(TURN_READERS_MAX);
  }

  private run(readersMax: number): void {
    let budget = TURN_BYTES_MAX;
    this.appendedBytes = 0;
    const readers = Math.min(this.count, readersMax);
    for (let i = 0; i < readers && budget > 0 && this.count > 0; i++) {
      const reader = this.ring[this.head]!;
      this.ring[this.head] = null;
      this.head = (this.head + 1) & (this.ring.length - 1);
      this.count--;
      reader.queued = false;
      if (reader.state !== ReaderState.Ready) continue;
      budget -= this.serve(reader);
      assert(
        reader.state !== ReaderState.Ready || reader.queued,
        "a served reader waits or stands in the queue",
      );
    }
    this.afterTurn();
    if (this.count > 0) this.scheduleLater();
  }
}
