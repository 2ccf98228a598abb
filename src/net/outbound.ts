// Outbound: the sending side of one Network Connection. Frames leave whole: what the socket did not take of a begun
// frame leaves before anything else, then control packets that waited, then new deliveries.
//
//   rest (owned copy) → tail (bytes of the log) → control packets → whatever the lanes write

import type { Segment } from "../log/segment.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import type { PacketLog } from "./packetLog.ts";
import type { Holder, Residues } from "./residues.ts";

/** The part of a socket that sending needs. */
export interface ByteSink {
  /** Copies what fits into the kernel and returns how much; negative when the socket is gone. */
  write(bytes: Uint8Array, at: number, length: number): number;
}

/** Control packets that wait, bytes: their client is not read from long before. */
const CONTROL_BYTES_MAX = 128 * 1024;

const NOTHING = new Uint8Array(0);
const GONE: ByteSink = { write: () => -1 };

/** Whose sending side it is. */
interface Owner {
  close(cause: Closed): void;
}

export class Outbound implements Holder {
  private sink: ByteSink;
  private readonly residues: Residues;
  private readonly owner: Owner;
  heldBytes = 0;
  private rest: Uint8Array = NOTHING;
  private restAt = 0;
  private control: Uint8Array = NOTHING;
  private controlAt = 0;
  private controlEnd = 0;
  tailSegment: Segment | null = null;
  private tailFrom = 0;
  private tailTo = 0;
  /** The last write was short: the sink says when it takes more. */
  full = false;
  /** Bytes that the socket has taken. */
  sentBytes = 0;
  /** Somebody wants to see the packets. */
  packetLog: PacketLog | null = null;

  constructor(sink: ByteSink, residues: Residues, owner: Owner) {
    this.sink = sink;
    this.residues = residues;
    this.owner = owner;
  }

  private take(bytes: number): boolean {
    if (this.sink === GONE || !this.residues.take(this, bytes)) return false;
    this.heldBytes += bytes;
    return true;
  }

  private give(bytes: number): void {
    this.heldBytes -= bytes;
    this.residues.give(this, bytes);
  }

  get owes(): boolean {
    return (
      this.full ||
      this.restAt < this.rest.length ||
      this.tailSegment !== null ||
      this.controlAt < this.controlEnd
    );
  }

  get owesControl(): boolean {
    return this.controlAt < this.controlEnd;
  }

  get owesRest(): boolean {
    return this.restAt < this.rest.length || this.tailSegment !== null;
  }

  /** So many control packets wait that the client is not to be read from either. */
  get isUnread(): boolean {
    const waiting = this.controlEnd - this.controlAt;
    return waiting > 0 && waiting > this.residues.shareBytes;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    const wrote = this.sink.write(bytes, at, length);
    this.full = wrote < length;
    if (wrote > 0) {
      this.sentBytes += wrote;
      if (this.packetLog !== null) this.packetLog.sent(bytes, at, at + wrote);
    }
    return wrote;
  }

  flushRest(): boolean {
    this.full = false;
    if (this.restAt < this.rest.length) {
      const length = this.rest.length - this.restAt;
      const wrote = this.write(this.rest, this.restAt, length);
      this.restAt += Math.max(0, wrote);
      if (wrote < length) return false;
      this.give(this.rest.length);
      this.rest = NOTHING;
      this.restAt = 0;
    }
    if (this.tailSegment !== null) {
      const length = this.tailTo - this.tailFrom;
      const wrote = this.write(this.tailSegment.bytes, this.tailFrom, length);
      this.tailFrom += Math.max(0, wrote);
      if (wrote < length) return false;
      this.tailSegment = null;
    }
    return true;
  }

  flushControl(): boolean {
    const length = this.controlEnd - this.controlAt;
    const wrote = this.write(this.control, this.controlAt, length);
    this.controlAt += Math.max(0, wrote);
    if (wrote < length) return false;
    this.give(this.control.length);
    this.control = NOTHING;
    this.controlAt = 0;
    this.controlEnd = 0;
    return true;
  }

  /** Keeps the rest of a cut frame. False when the budget is used up. */
  keepRest(bytes: Uint8Array, at: number, length: number): boolean {
    if (length === 0) return true;
    if (!this.take(length)) return false;
    this.rest = new Uint8Array(length); // Buffer's slice() would be a view of bytes that are written over
    this.rest.set(bytes.subarray(at, at + length));
    this.restAt = 0;
    this.full = true;
    return true;
  }

  keepTail(segment: Segment, from: number, to: number): void {
    this.tailSegment = segment;
    this.tailFrom = from;
    this.tailTo = to;
    this.full = true;
  }

  /** Sends a control packet, or keeps it while `busy` or the socket is full. False when it cannot be kept. */
  sendControl(bytes: Uint8Array, at: number, length: number, busy: boolean): boolean {
    if (busy || this.owes) return this.queue(bytes, at, length);
    const wrote = Math.max(0, this.write(bytes, at, length));
    if (wrote === length) return true;
    // A control packet that is cut is the rest of a frame like any other, up to its end; whole packets may follow.
    return this.keepRest(bytes, at + wrote, length - wrote);
  }

  private queue(bytes: Uint8Array, at: number, length: number): boolean {
    if (this.controlEnd + length > this.control.length) {
      const owed = this.controlEnd - this.controlAt;
      const capacity = Math.max(256, 2 * (owed + length));
      if (owed + length > CONTROL_BYTES_MAX || !this.take(capacity)) return false;
      const grown = new Uint8Array(capacity);
      grown.set(this.control.subarray(this.controlAt, this.controlEnd));
      this.give(this.control.length);
      this.control = grown;
      this.controlAt = 0;
      this.controlEnd = owed;
    }
    this.control.set(bytes.subarray(at, at + length), this.controlEnd);
    this.controlEnd += length;
    return true;
  }

  abandon(): void {
    this.sink = GONE;
    this.close();
  }

  closeAbandoned(): void {
    this.owner.close(CloseCause.noMemory);
  }

  /** The connection is gone. */
  close(): void {
    this.give(this.rest.length + this.control.length);
    this.rest = NOTHING;
    this.restAt = 0;
    this.control = NOTHING;
    this.controlAt = 0;
    this.controlEnd = 0;
    this.tailSegment = null;
  }
}
