// Partial: the beginning of a packet whose rest has not arrived. It grows with what is received, never with what the
// packet announces, and all connections' together stay within one budget.

import type { Room } from "../base/budget.ts";
import { RELEASED_BYTES_MIN, release } from "./chunk.ts";
import { bodyAt, MALFORMED_LENGTH, NEED_MORE, remainingLength } from "../packet/frame.ts";

const CAPACITY_MIN = 64;
/** A fixed header: one byte of type and four of length. */
const HEADER_MAX = 5;
const NOTHING = Buffer.alloc(0);

export const PartialStatus = { Whole: 0, NeedMore: 1, Malformed: 2, TooLarge: 3, NoMemory: 4 } as const;

export class Partial {
  bytes: Buffer = NOTHING;
  length = 0;
  /** Bytes of the chunk that the last add() took. */
  taken = 0;
  private readonly budget: Room;

  constructor(budget: Room) {
    this.budget = budget;
  }

  /** Adds from chunk[at..end) what belongs to the packet, at most `packetBytesMax` in all. */
  add(chunk: Buffer, at: number, end: number, packetBytesMax: number): number {
    const before = at;
    let position = at;
    for (;;) {
      const wanted = this.wanted();
      if (wanted < 0) return PartialStatus.Malformed;
      if (wanted > packetBytesMax) return PartialStatus.TooLarge;
      this.taken = position - before;
      if (wanted === this.length && wanted > HEADER_MAX) return PartialStatus.Whole;
      if (wanted === this.length && this.complete()) return PartialStatus.Whole;
      if (position === end) return PartialStatus.NeedMore;
      const take = Math.min(wanted - this.length, end - position);
      if (!this.reserve(take, wanted)) return PartialStatus.NoMemory;
      chunk.copy(this.bytes, this.length, position, position + take);
      this.length += take;
      position += take;
    }
  }

  /** Bytes of the packet as far as its header tells; one more than there are while the header is cut. */
  private wanted(): number {
    if (this.length < 2) return this.length + 1;
    const body = bodyAt(this.bytes, 0, this.length);
    if (body === MALFORMED_LENGTH) return -1;
    if (body === NEED_MORE) return this.length + 1;
    return body + remainingLength(this.bytes, 0, body);
  }

  private complete(): boolean {
    if (this.length < 2) return false;
    const body = bodyAt(this.bytes, 0, this.length);
    return body > 0 && body + remainingLength(this.bytes, 0, body) === this.length;
  }

  private reserve(more: number, wanted: number): boolean {
    const need = this.length + more;
    if (need <= this.bytes.length) return true;
    const capacity = Math.max(need, Math.min(wanted, Math.max(CAPACITY_MIN, 2 * this.bytes.length)));
    if (!this.budget.take(capacity - this.bytes.length)) return false;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(grown, 0, 0, this.length);
    if (this.length >= RELEASED_BYTES_MIN) release(this.bytes);
    this.bytes = grown;
    return true;
  }

  /** The packet is taken, and nobody looks at its bytes any more: their memory is free at once. */
  free(): void {
    const { bytes } = this;
    this.clear();
    if (bytes.length >= RELEASED_BYTES_MIN) release(bytes);
  }

  /** The connection is gone. */
  clear(): void {
    this.budget.give(this.bytes.length);
    this.bytes = NOTHING;
    this.length = 0;
  }
}
