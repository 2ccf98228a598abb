// ByteWriter: a growable buffer that encoders append to. One is shared by all packets that one turn answers
// a connection with; its owner resets it, so nothing keeps a view of `bytes`.

const CAPACITY_MIN = 256;

const encoder = new TextEncoder();

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = CAPACITY_MIN) {
    this.bytes = new Uint8Array(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const need = this.length + count;
    if (need <= this.bytes.length) return;
    let capacity = this.bytes.length * 2;
    while (capacity < need) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.bytes[this.length++] = value >>> 24;
    this.bytes[this.length++] = value >>> 16;
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value;
  }

  /** Variable Byte Integer, 0..268,435,455, §1.5.5. */
  varint(value: number): void {
    this.reserve(4);
    let rest = value;
    while (rest > 127) {
      this.bytes[this.length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  raw(source: Uint8Array, from = 0, to = source.length): void {
    this.reserve(to - from);
    this.bytes.set(from === 0 && to === source.length ? source : source.subarray(from, to), this.length);
    this.length += to - from;
  }

  /** UTF-8 Encoded String with its two length bytes; the caller has checked that it is at most 65,535 bytes long. */
  utf8(text: string): void {
    this.reserve(2 + text.length * 3);
    const { written } = encoder.encodeInto(text, this.bytes.subarray(this.length + 2));
    this.bytes[this.length] = written >>> 8;
    this.bytes[this.length + 1] = written;
    this.length += 2 + written;
  }

  /** Binary Data with its two length bytes. */
  binary(data: Uint8Array): void {
    this.u16(data.length);
    this.raw(data);
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
