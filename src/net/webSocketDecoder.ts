// Frame decoder: the frames that a client sends, RFC 6455 §5, walked in place. MQTT takes no notice of frames, so
// payloads are not collected: those of one chunk are unmasked where they lie and moved together over the headers
// between them, and what comes out is one range of the chunk. @hot
//
//   begin(chunk), then next() until it says More (the chunk is used up) or Failed; end()

import { closeFault, type Fault, faults } from "./webSocketClose.ts";
import { turned, unmask, wordsOf } from "./webSocketMask.ts";

export const FrameEvent = {
  /** The chunk is used up. */
  More: 0,
  /** A whole ping: `control` holds its payload. */
  Ping: 1,
  /** A whole, correct close frame: `control` holds its payload. */
  Close: 2,
  /** A piece of a compressed message: chunk[pieceAt, pieceEnd). */
  Piece: 3,
  /** The client broke a rule: `fault`. */
  Failed: 4,
} as const;
export type FrameEvent = (typeof FrameEvent)[keyof typeof FrameEvent];

export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

export const FIN = 0x80;
const RSV1 = 0x40;
const RSV_OTHER = 0x30;
const OPCODE = 0x0f;
const MASK = 0x80;
export const LENGTH_16 = 126;
export const LENGTH_64 = 127;
export const CONTROL_BYTES_MAX = 125;
const HEADER_BYTES_MAX = 14;
const WHOLE_BINARY = FIN | Opcode.Binary;

/** The message that frames belong to. */
const Message = { None: 0, Plain: 1, Compressed: 2 } as const;
type Message = (typeof Message)[keyof typeof Message];

const NOTHING = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);

export class FrameDecoder {
  /** chunk[from, to) is payload, as far as the chunk has been walked. */
  from = 0;
  to = 0;
  pieceAt = 0;
  pieceEnd = 0;
  /** The piece is the last one of its message. */
  pieceIsLast = false;
  /** Payload of the last control frame; empty until there is one. */
  control: Buffer = NOTHING;
  controlLength = 0;
  fault: Fault | null = null;

  private readonly compression: boolean;
  private chunk: Buffer = NOTHING;
  private words: Int32Array = NO_WORDS;
  private at = 0;
  /** Payload of the present frame that is still to come, bytes. */
  private left = 0;
  /** The present frame's key, turned to the next byte of its payload. */
  private key = 0;
  private opcode: number = Opcode.Continuation;
  private isFinal = true;
  private message: Message = Message.None;
  /** A header that a chunk's end cut; empty until that happens. */
  private held: Buffer = NOTHING;
  private heldBytes = 0;

  constructor(compression: boolean) {
    this.compression = compression;
  }

  begin(chunk: Buffer): void {
    this.chunk = chunk;
    this.words = NO_WORDS;
    this.at = 0;
    this.from = 0;
    this.to = 0;
  }

  /** Forgets the chunk. */
  end(): void {
    this.chunk = NOTHING;
    this.words = NO_WORDS;
  }

  /** chunk[from, to) has been taken: what follows is gathered anew. */
  took(): void {
    this.from = this.to;
  }

  next(): FrameEvent {
    const end = this.chunk.length;
    if (this.left > 0) {
      const event = this.payload();
      if (event !== FrameEvent.More || this.left > 0) return event;
    }
    while (this.at < end) {
      if (this.message === Message.None && this.heldBytes === 0) this.wholeFrames();
      if (this.at === end || !this.header()) break;
      const event = this.payload();
      if (event !== FrameEvent.More || this.left > 0) return event;
    }
    return this.fault === null ? FrameEvent.More : FrameEvent.Failed;
  }

  /** Walks binary messages of one short frame, as clients send them, as long as the chunk holds them whole. */
  private wholeFrames(): void {
    const { chunk } = this;
    const end = chunk.length;
    let { at, to } = this;
    if (this.words === NO_WORDS) this.words = wordsOf(chunk);
    const { words } = this;
    while (at + 6 <= end && chunk[at] === WHOLE_BINARY) {
      const length = chunk[at + 1]! - MASK;
      const payload = at + 6;
      if (length < 0 || length >= LENGTH_16 || payload + length > end) break;
      const key = chunk[at + 2]! | (chunk[at + 3]! << 8) | (chunk[at + 4]! << 16) | (chunk[at + 5]! << 24);
      if (to === this.from) {
        this.from = payload;
        to = payload;
      }
      unmask(chunk, words, payload, to, length, key);
      to += length;
      at = payload + length;
    }
    this.at = at;
    this.to = to;
  }

  /** Reads a frame's header. False when the chunk ends within it, or it is wrong. */
  private header(): boolean {
    const { chunk } = this;
    if (this.heldBytes === 0) {
      const rest = chunk.length - this.at;
      const bytes = rest < 2 ? HEADER_BYTES_MAX : headerBytes(chunk[this.at + 1]!);
      if (bytes <= rest) {
        const at = this.at;
        this.at += bytes;
        return this.begins(chunk, at);
      }
    }
    if (this.held.length === 0) this.held = Buffer.allocUnsafeSlow(HEADER_BYTES_MAX);
    const { held } = this;
    while (this.at < chunk.length) {
      held[this.heldBytes++] = chunk[this.at++]!;
      if (this.heldBytes < 2 || this.heldBytes < headerBytes(held[1]!)) continue;
      this.heldBytes = 0;
      return this.begins(held, 0);
    }
    return false;
  }

  /** Begins the frame whose header is at bytes[at]. False when it is wrong. */
  private begins(bytes: Buffer, at: number): boolean {
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    if ((second & MASK) === 0) return this.fail(faults.notMasked);
    let length = second & ~MASK;
    let keyAt = at + 2;
    if (length === LENGTH_16) {
      length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      if (length < LENGTH_16) return this.fail(faults.lengthNotMinimal);
      keyAt += 2;
    } else if (length === LENGTH_64) {
      // Frames are not collected, so any length would do; no client needs one of 4 GiB.
      if (bytes.readUInt32BE(at + 2) !== 0) return this.fail(faults.frameTooLarge);
      length = bytes.readUInt32BE(at + 6);
      if (length <= 0xffff) return this.fail(faults.lengthNotMinimal);
      keyAt += 8;
    }
    this.left = length;
    this.key = bytes.readInt32LE(keyAt);
    this.opcode = first & OPCODE;
    this.isFinal = (first & FIN) !== 0;
    if ((first & RSV_OTHER) !== 0) return this.fail(faults.reservedBits);
    return this.opcode >= Opcode.Close ? this.beginsControl(first, length) : this.beginsData(first);
  }

  private beginsControl(first: number, length: number): boolean {
    if ((first & RSV1) !== 0) return this.fail(faults.reservedBits);
    if (this.opcode > Opcode.Pong) return this.fail(faults.unknownOpcode);
    if (!this.isFinal) return this.fail(faults.controlFragmented);
    if (length > CONTROL_BYTES_MAX) return this.fail(faults.controlTooLong);
    if (this.control.length === 0) this.control = Buffer.allocUnsafeSlow(CONTROL_BYTES_MAX);
    this.controlLength = 0;
    return true;
  }

  private beginsData(first: number): boolean {
    const isCompressed = (first & RSV1) !== 0;
    if (this.opcode === Opcode.Continuation) {
      if (isCompressed) return this.fail(faults.reservedBits);
      return this.message !== Message.None || this.fail(faults.nothingToContinue);
    }
    if (this.opcode > Opcode.Binary) return this.fail(faults.unknownOpcode);
    if (isCompressed && !this.compression) return this.fail(faults.reservedBits);
    if (this.opcode === Opcode.Text) return this.fail(faults.text); // [MQTT-6.0.0-1]
    if (this.message !== Message.None) return this.fail(faults.messageInterrupted);
    this.message = isCompressed ? Message.Compressed : Message.Plain;
    return true;
  }

  private fail(fault: Fault): false {
    this.fault = fault;
    this.left = 0;
    return false;
  }

  /** Takes what the chunk holds of the present frame's payload. */
  private payload(): FrameEvent {
    const { at, chunk } = this;
    const count = Math.min(this.left, chunk.length - at);
    const isControl = this.opcode >= Opcode.Close;
    this.left -= count;
    this.at += count;
    const isWhole = this.left === 0;
    if (isControl) {
      for (let i = 0; i < count; i++) {
        this.control[this.controlLength++] = chunk[at + i]! ^ this.key;
        this.key = turned(this.key, 1);
      }
      return isWhole ? this.controlFrame() : FrameEvent.More;
    }
    const isPlain = this.message === Message.Plain;
    if (count > 0) {
      if (this.words === NO_WORDS) this.words = wordsOf(chunk);
      if (isPlain && this.to === this.from) {
        this.from = at;
        this.to = at;
      }
      unmask(chunk, this.words, at, isPlain ? this.to : at, count, this.key);
      this.key = turned(this.key, count);
    }
    if (isWhole && this.isFinal) this.message = Message.None;
    if (isPlain) {
      this.to += count;
      return FrameEvent.More;
    }
    this.pieceAt = at;
    this.pieceEnd = at + count;
    this.pieceIsLast = isWhole && this.isFinal;
    return count > 0 || this.pieceIsLast ? FrameEvent.Piece : FrameEvent.More;
  }

  private controlFrame(): FrameEvent {
    if (this.opcode === Opcode.Ping) return FrameEvent.Ping;
    if (this.opcode === Opcode.Pong) return FrameEvent.More; // asked for or not, it says nothing, §5.5.3
    const fault = closeFault(this.control, this.controlLength);
    if (fault === null) return FrameEvent.Close;
    this.fail(fault);
    return FrameEvent.Failed;
  }
}

/** Bytes of the header whose second byte is `second`; 2 where that byte is already wrong. */
function headerBytes(second: number): number {
  if ((second & MASK) === 0) return 2;
  const length = second & ~MASK;
  if (length < LENGTH_16) return 6;
  return length === LENGTH_16 ? 8 : HEADER_BYTES_MAX;
}
