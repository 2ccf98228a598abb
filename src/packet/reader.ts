// PacketReader: one packet's body, read field by field by the decoders of packets that are not hot. A failure
// is kept, and moves `at` to the end: every later field reads as empty, every loop ends, and finish() reports
// the first failure. Never keeps `bytes` past finish(): a chunk from the network must not be pinned.

import { errorOfCode, errors, type MqttError } from "./error.ts";
import { copyBytes, decodeUtf8, utf8Error, validUtf8 } from "./utf8.ts";

const nothing = new Uint8Array(0);

export class PacketReader {
  bytes: Uint8Array = nothing;
  at = 0;
  end = 0;
  /** 0, or the negative code of the first error. */
  failure = 0;

  begin(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.failure = 0;
  }

  fail(code: number): void {
    if (this.failure === 0) this.failure = code;
    this.at = this.end;
  }

  /** Ends the packet: the first failure, bytes left over, or null when it was well-formed. */
  finish(): MqttError | null {
    const whole = this.at === this.end;
    this.bytes = nothing;
    if (this.failure !== 0) return errorOfCode(this.failure);
    return whole ? null : errors.trailingBytes;
  }

  u8(): number {
    if (this.at >= this.end) return this.#cut();
    return this.bytes[this.at++]!;
  }

  u16(): number {
    if (this.at + 2 > this.end) return this.#cut();
    const value = this.bytes[this.at]! * 256 + this.bytes[this.at + 1]!;
    this.at += 2;
    return value;
  }

  /** UTF-8 Encoded String, validated [MQTT-1.5.4-1] [MQTT-1.5.4-2]. */
  utf8(): string {
    const length = this.u16();
    const from = this.at;
    if (length > this.end - from) this.#cut();
    else if (!validUtf8(this.bytes, from, from + length))
      this.fail(utf8Error(this.bytes, from, from + length).code);
    if (this.failure !== 0) return "";
    this.at = from + length;
    return decodeUtf8(this.bytes, from, this.at);
  }

  /** Binary Data, copied. */
  binary(): Uint8Array {
    const length = this.u16();
    const from = this.at;
    if (length > this.end - from) this.#cut();
    if (this.failure !== 0 || length === 0) return nothing;
    this.at = from + length;
    return copyBytes(this.bytes, from, this.at);
  }

  #cut(): number {
    this.fail(errors.truncated.code);
    return 0;
  }
}
