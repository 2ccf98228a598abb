// Deflate: the packing and unpacking of raw DEFLATE, RFC 1951, with one inflater and one deflater per window for the
// whole process, which begin anew with each message and work in buffers of their own: however many clients there are,
// and however fast they send, no message allocates anything. They run to their end within one call, so that nobody
// waits for them and two never need the same. (Bun has no other way to reach them than the handles of its streams.)

import { constants, createDeflateRaw, createInflateRaw } from "node:zlib";
import { assert } from "../base/assert.ts";

/** What is unpacked in one piece, bytes. */
export const PIECE_BYTES = 256 * 1024;

interface Handle {
  onerror: ((message: string, errno: number, code: string) => void) | null;
  reset(): void;
  /** Takes from input[from, from+length) and gives to output[to, to+room). The state says what is left of both. */
  writeSync(
    flush: number,
    input: Uint8Array,
    from: number,
    length: number,
    output: Uint8Array,
    to: number,
    room: number,
  ): void;
}

/** A stream of zlib, as far as it is used here: its state is room left, then input left. */
interface Stream {
  readonly _handle: Handle;
  readonly _writeState: Uint32Array;
}

const { Z_SYNC_FLUSH, Z_DEFAULT_WINDOWBITS } = constants;
const NOTHING = Buffer.alloc(0);

class Codec {
  /** Held, so that it is not collected while its handle is used. */
  private readonly stream: Stream;
  private readonly handle: Handle;
  private hasFailed = false;
  /** How much the last step made, bytes. */
  made = 0;
  private input: Uint8Array = NOTHING;
  private at = 0;
  private left = 0;

  constructor(stream: Stream) {
    this.stream = stream;
    this.handle = stream._handle;
    this.handle.onerror = () => {
      this.hasFailed = true;
    };
  }

  begin(): void {
    this.handle.reset();
    this.hasFailed = false;
    this.left = 0;
  }

  /** input[at, end) is next. */
  give(input: Uint8Array, at: number, end: number): void {
    this.input = input;
    this.at = at;
    this.left = end - at;
  }

  /** Fills output[to, to+room) as far as what was given makes it. False when that is no DEFLATE. */
  step(output: Uint8Array, to: number, room: number): boolean {
    const { left, at } = this;
    this.handle.writeSync(Z_SYNC_FLUSH, this.input, at, left, output, to, room);
    const [roomLeft = 0, inputLeft = 0] = this.stream._writeState;
    this.made = room - roomLeft;
    this.at = at + left - inputLeft;
    this.left = inputLeft;
    return !this.hasFailed;
  }

  end(): void {
    this.input = NOTHING;
  }
}

/** Who takes what a message unpacks to. */
export interface Unpacked {
  /** `piece` is its until this returns. False: no more of it is wanted. */
  unpacked(piece: Buffer): boolean;
}

export const UnpackStatus = { Fine: 0, TooLarge: 1, NoMemory: 2, Malformed: 3 } as const;
export type UnpackStatus = (typeof UnpackStatus)[keyof typeof UnpackStatus];

/** Ends a flushed DEFLATE stream; left out on the wire, RFC 7692 §7.2.1. */
export const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);

class Inflater {
  private readonly codec = new Codec(createInflateRaw() as unknown as Stream);
  private readonly piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  private isBusy = false;

  /** See unpack(). */
  run(packed: Uint8Array, at: number, end: number, bytesMax: number, taker: Unpacked): UnpackStatus {
    assert(!this.isBusy, "a message is unpacked before the next one");
    this.isBusy = true;
    try {
      const length = this.walk(packed, at, end, bytesMax, null);
      if (length < 0) return UnpackStatus.Malformed;
      if (length > bytesMax) return UnpackStatus.TooLarge;
      if (length > PIECE_BYTES) this.walk(packed, at, end, bytesMax, taker);
      else if (length > 0) taker.unpacked(this.piece.subarray(0, length));
      return UnpackStatus.Fine;
    } finally {
      this.codec.end();
      this.isBusy = false;
    }
  }

  /** Returns how much it unpacks to, which lies in `piece` if it fits; above `bytesMax`: too much; -1: it does not. */
  private walk(
    packed: Uint8Array,
    at: number,
    end: number,
    bytesMax: number,
    taker: Unpacked | null,
  ): number {
    const { codec, piece } = this;
    codec.begin();
    codec.give(packed, at, end);
    let isTail = false;
    let filled = 0;
    let length = 0;
    for (;;) {
      if (!codec.step(piece, filled, PIECE_BYTES - filled)) return -1;
      filled += codec.made;
      length += codec.made;
      if (length > bytesMax) return length;
      if (filled === PIECE_BYTES) {
        if (taker !== null && !taker.unpacked(piece)) return length;
        filled = 0;
      } else if (!isTail) {
        codec.give(TAIL, 0, TAIL.length);
        isTail = true;
      } else {
        if (taker !== null && filled > 0) taker.unpacked(piece.subarray(0, filled));
        return length;
      }
    }
  }
}

let inflater: Inflater | null = null;

/**
 * Unpacks the message packed[at, end), whose tail is left out, for `taker`: all of it, in order, in pieces of
 * PIECE_BYTES and a rest, or nothing where it is no DEFLATE or longer than `bytesMax`.
 */
export function unpack(
  packed: Uint8Array,
  at: number,
  end: number,
  bytesMax: number,
  taker: Unpacked,
): UnpackStatus {
  inflater ??= new Inflater();
  return inflater.run(packed, at, end, bytesMax, taker);
}

/** By window. */
const deflaters: (Codec | undefined)[] = [];

/**
 * Packs bytes[at, at+length) into output[to..), without its tail. Returns how many bytes that are; 0 when it would not
 * be shorter. `windowBits` is 9..15; output has room for `length` bytes and the tail.
 */
export function pack(
  bytes: Uint8Array,
  at: number,
  length: number,
  windowBits: number,
  output: Uint8Array,
  to: number,
): number {
  assert(windowBits <= Z_DEFAULT_WINDOWBITS, "a window has at most 15 bits");
  let codec = deflaters[windowBits];
  if (codec === undefined) {
    codec = new Codec(createDeflateRaw({ windowBits }) as unknown as Stream);
    deflaters[windowBits] = codec;
  }
  codec.begin();
  codec.give(bytes, at, at + length);
  const room = length + TAIL.length;
  const isWell = codec.step(output, to, room);
  codec.end();
  return isWell && codec.made < room ? codec.made - TAIL.length : 0;
}
