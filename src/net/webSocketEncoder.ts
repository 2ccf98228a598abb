// Frame encoder: the frames that the broker sends. MQTT's bytes become binary messages of one frame each, cut
// wherever that is: a message is no packet [MQTT-6.0.0-2]. A frame that has begun to leave is the encoder's: what the
// socket does not take of it is kept here, and nothing else leaves before it. @hot

import { type Closed, CloseCause } from "./closeCause.ts";
import type { ByteSink } from "./outbound.ts";
import type { Holder, Residues } from "./residues.ts";
import { CONTROL_BYTES_MAX, FIN, LENGTH_16, Opcode } from "./webSocketDecoder.ts";
import { pack } from "./webSocketDeflate.ts";

/** Payload of one frame: as much as a socket that is full may leave to be kept. */
export const FRAME_BYTES = 16 * 1024;
/** The same while little of the room for kept bytes is left. */
export const FRAME_BYTES_SHORT = 128;
const FRAMES_PER_WRITE = 8;
/** Shorter messages are not packed. */
const PACKED_BYTES_MIN = 64;
/** Header of a frame of more than 125 bytes; a full frame always has this one. */
const HEADER_BYTES = 4;
const HEADER_BYTES_SHORT = 2;
const BINARY = FIN | Opcode.Binary;
const BINARY_PACKED = BINARY | 0x40;

const NOTHING = Buffer.alloc(0);

const SCRATCH_BYTES = FRAMES_PER_WRITE * (FRAME_BYTES + HEADER_BYTES);
/**
 * Processors copy twenty times slower to an address that lies, within its page, just behind the one that they copy
 * from. Large buffers begin at pages, so frames are composed half a page away from where their bytes lie in theirs.
 */
const PAGE_BYTES = 4096;
const CACHE_LINE_BYTES = 64;

/** Frames on their way into a socket, of whichever connection writes. */
const scratch = Buffer.allocUnsafeSlow(PAGE_BYTES + SCRATCH_BYTES);
/** A Buffer's own copy: it makes no view of either side. */
const copyInto: (this: Uint8Array, target: Buffer, at: number, from: number, end: number) => number =
  Buffer.prototype.copy;

/** Whose encoder it is. */
export interface EncoderOwner {
  close(cause: Closed): void;
}

export class FrameEncoder implements Holder {
  private readonly sink: ByteSink;
  private readonly residues: Residues;
  private readonly owner: EncoderOwner;
  /** Agreed window of permessage-deflate, 9..15; 0 without it. */
  private readonly windowBits: number;
  private rest: Buffer = NOTHING;
  private restAt = 0;
  /** A cut frame has lost its rest: nothing can follow, and the owner is about to close. */
  private isAbandoned = false;
  sentBytes = 0;

  constructor(sink: ByteSink, residues: Residues, owner: EncoderOwner, windowBits: number) {
    this.sink = sink;
    this.residues = residues;
    this.owner = owner;
    this.windowBits = windowBits;
  }

  get heldBytes(): number {
    return this.rest.length;
  }

  /** The rest of a frame waits for the socket, or is lost: nothing can be written. */
  get owes(): boolean {
    return this.isAbandoned || this.restAt < this.rest.length;
  }

  private send(bytes: Buffer, at: number, length: number): number {
    const wrote = this.sink.write(bytes, at, length);
    if (wrote > 0) this.sentBytes += wrote;
    return wrote;
  }

  /**
   * Sends bytes[at, at+length) as binary messages. Returns how many bytes have left or are kept in the rest of a begun
   * frame, 0 when the socket is full, negative when it is gone.
   */
  write(bytes: Uint8Array, at: number, length: number): number {
    if (this.owes) return 0;
    if (this.windowBits > 0) return this.writePacked(bytes, at, length);
    const frame = this.residues.shareBytes >= 2 * FRAME_BYTES ? FRAME_BYTES : FRAME_BYTES_SHORT;
    const perWrite = Math.floor(SCRATCH_BYTES / (frame + HEADER_BYTES)) * frame;
    let taken = 0;
    while (taken < length) {
      const count = Math.min(length - taken, perWrite);
      const from = (at + taken + PAGE_BYTES / 2) & (PAGE_BYTES - CACHE_LINE_BYTES);
      const total = compose(from, bytes, at + taken, count, frame) - from;
      const wrote = this.send(scratch, from, total);
      if (wrote < 0) return wrote;
      if (wrote < total) return taken + this.keepCut(from, wrote, count, frame);
      taken += count;
    }
    return taken;
  }

  /** The socket took `wrote` bytes of frames with `count` payload bytes. Returns how many of these are settled. */
  private keepCut(from: number, wrote: number, count: number, frame: number): number {
    const index = Math.floor(wrote / (frame + HEADER_BYTES));
    const frameAt = index * (frame + HEADER_BYTES);
    const settled = index * frame;
    if (wrote === frameAt) return settled;
    const body = Math.min(frame, count - settled);
    const end = frameAt + headerBytes(body) + body;
    this.keep(scratch, from + wrote, from + end);
    return settled + body;
  }

  /** Keeps a copy of bytes[at, end), or ends the connection when there is no room for it. */
  private keep(bytes: Buffer, at: number, end: number): void {
    if (at === end) return;
    if (!this.residues.take(this, end - at)) {
      this.isAbandoned = true;
      queueMicrotask(() => this.closeAbandoned()); // not within a write of the connection
      return;
    }
    this.rest = Buffer.allocUnsafeSlow(end - at);
    bytes.copy(this.rest, 0, at, end);
    this.restAt = 0;
  }

  private writePacked(bytes: Uint8Array, at: number, length: number): number {
    let taken = 0;
    while (taken < length && !this.owes) {
      const count = Math.min(length - taken, FRAME_BYTES);
      const packed =
        count < PACKED_BYTES_MIN ? 0 : pack(bytes, at + taken, count, this.windowBits, scratch, HEADER_BYTES);
      const from = packed === 0 ? 0 : HEADER_BYTES - headerBytes(packed);
      const total =
        packed === 0
          ? compose(0, bytes, at + taken, count, FRAME_BYTES)
          : header(from, BINARY_PACKED, packed) + packed;
      const wrote = this.send(scratch, from, total);
      if (wrote < 0) return wrote;
      if (wrote === 0) break;
      this.keep(scratch, from + wrote, from + total);
      taken += count;
    }
    return taken;
  }

  /** Sends a control frame; call it between frames. */
  control(opcode: number, payload: Uint8Array, length: number): void {
    header(0, FIN | opcode, length);
    copyInto.call(payload, scratch, HEADER_BYTES_SHORT, 0, Math.min(length, CONTROL_BYTES_MAX));
    this.whole(scratch, HEADER_BYTES_SHORT + length);
  }

  /** Sends bytes[0, length) as they are; what the socket does not take is kept. */
  whole(bytes: Buffer, length: number): void {
    const wrote = this.send(bytes, 0, length);
    if (wrote >= 0) this.keep(bytes, wrote, length);
  }

  /** The socket takes bytes again. True when nothing is owed. */
  flush(): boolean {
    if (this.isAbandoned) return false;
    const length = this.rest.length - this.restAt;
    if (length === 0) return true;
    const wrote = this.send(this.rest, this.restAt, length);
    this.restAt += Math.max(0, wrote);
    if (wrote < length) return false;
    this.close();
    return true;
  }

  abandon(): void {
    this.isAbandoned = true;
    this.close();
  }

  closeAbandoned(): void {
    this.owner.close(CloseCause.noMemory);
  }

  /** Gives its memory back. */
  close(): void {
    const { length } = this.rest;
    this.rest = NOTHING;
    this.restAt = 0;
    if (length > 0) this.residues.give(this, length);
  }
}

function headerBytes(length: number): number {
  return length < LENGTH_16 ? HEADER_BYTES_SHORT : HEADER_BYTES;
}

/** Writes the header of a frame at scratch[at]; `length` is at most 65,535. Returns its bytes. */
function header(at: number, first: number, length: number): number {
  scratch[at] = first;
  if (length < LENGTH_16) {
    scratch[at + 1] = length;
    return HEADER_BYTES_SHORT;
  }
  scratch[at + 1] = LENGTH_16;
  scratch[at + 2] = length >>> 8;
  scratch[at + 3] = length;
  return HEADER_BYTES;
}

/** Puts bytes[at, at+length) at scratch[out] in frames of `frame` bytes, the last maybe shorter. Returns their end. */
function compose(out: number, bytes: Uint8Array, at: number, length: number, frame: number): number {
  for (let done = 0; done < length; done += frame) {
    const body = Math.min(frame, length - done);
    out += header(out, BINARY, body);
    copyInto.call(bytes, scratch, out, at + done, at + done + body);
    out += body;
  }
  return out;
}
