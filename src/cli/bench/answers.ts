// Answers: acknowledgements on their way to the broker, collected over a chunk and written
// together. The broker's Receive Maximum, and ours, bound how many there can be.

import { PacketType } from "../../packet/frame.ts";
import type { LoadConnection } from "./connection.ts";

const ANSWER_BYTES = 4;
/** Most clients of a large run answer little at one time. */
const FIRST_BYTES = 64;
const REMAINING_LENGTH = 2;

export class Answers {
  private bytes = Buffer.alloc(FIRST_BYTES);
  private from = 0;
  private to = 0;

  get isEmpty(): boolean {
    return this.to === 0;
  }

  /** `first` is the packet's first byte. @hot */
  add(first: number, identifierHigh: number, identifierLow: number): void {
    if (this.to + ANSWER_BYTES > this.bytes.length) this.grow();
    const { bytes, to } = this;
    bytes[to] = first;
    bytes[to + 1] = REMAINING_LENGTH;
    bytes[to + 2] = identifierHigh;
    bytes[to + 3] = identifierLow;
    this.to = to + ANSWER_BYTES;
  }

  ping(): void {
    if (this.to + ANSWER_BYTES > this.bytes.length) this.grow();
    this.bytes[this.to++] = PacketType.Pingreq;
    this.bytes[this.to++] = 0;
  }

  /** True when nothing is left to write. */
  flush(connection: LoadConnection): boolean {
    if (this.from < this.to) this.from += connection.write(this.bytes, this.from, this.to - this.from);
    if (this.from < this.to) return false;
    this.from = 0;
    this.to = 0;
    return true;
  }

  private grow(): void {
    const larger = Buffer.alloc(2 * this.bytes.length);
    this.bytes.copy(larger, 0, 0, this.to);
    this.bytes = larger;
  }
}
