// UTF-8 Encoded Strings, §1.5.4, without their two length bytes; and copies of Binary Data, §1.5.6.

import { errors, type MqttError } from "./error.ts";

/**
 * Node's own decoder, by its method: half the time of TextDecoder on short strings, no view, and it keeps a
 * BOM.
 */
const utf8Slice: (this: Uint8Array, from: number, to: number) => string = Buffer.prototype.utf8Slice;

/**
 * True when bytes[at, end) is well-formed UTF-8 without surrogates, overlong forms, anything past U+10FFFF
 * [MQTT-1.5.4-1] or U+0000 [MQTT-1.5.4-2]. Reads only, allocates nothing. @hot
 */
export function validUtf8(bytes: Uint8Array, at: number, end: number): boolean {
  let i = at;
  while (i < end) {
    if (i + 4 <= end && plain(bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!)) {
      i += 4;
      continue;
    }
    const lead = bytes[i]!;
    if (lead < 0x80) {
      if (lead === 0) return false; // [MQTT-1.5.4-2]
      i++;
      continue;
    }
    const width = sequenceWidth(bytes, i, end);
    if (width === 0) return false; // [MQTT-1.5.4-1]
    i += width;
  }
  return true;
}

/**
 * The string of bytes[at, end), which validUtf8 has passed. U+FEFF is kept wherever it stands [MQTT-1.5.4-3].
 */
export function decodeUtf8(bytes: Uint8Array, at: number, end: number): string {
  return utf8Slice.call(bytes, at, end);
}

/** All four are 0x01..0x7F: a zero has turned negative, and both that and a high bit show in the mask. */
function plain(a: number, b: number, c: number, d: number): boolean {
  return ((a | b | c | d | (a - 1) | (b - 1) | (c - 1) | (d - 1)) & ~0x7f) === 0;
}

/** What is wrong with bytes[at, end), which validUtf8 has not passed. */
export function utf8Error(bytes: Uint8Array, at: number, end: number): MqttError {
  return bytes.subarray(at, end).includes(0) ? errors.utf8Null : errors.utf8NotValid;
}

/** A copy of bytes[at, end) with memory of its own: a Buffer's own slice would be a view of the chunk. */
export function copyBytes(bytes: Uint8Array, at: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - at);
  copy.set(bytes.subarray(at, end));
  return copy;
}

/** 2, 3 or 4 for a well-formed sequence at `i` whose lead byte is 0x80 or more; 0 otherwise. RFC 3629 §4. */
function sequenceWidth(bytes: Uint8Array, i: number, end: number): number {
  const lead = bytes[i]!;
  if (lead < 0xc2) return 0; // a continuation byte, or an overlong two-byte form
  if (lead < 0xe0) return i + 2 <= end && continues(bytes[i + 1]!) ? 2 : 0;
  if (lead < 0xf0) {
    if (i + 3 > end || !continues(bytes[i + 1]!) || !continues(bytes[i + 2]!)) return 0;
    if (lead === 0xe0 && bytes[i + 1]! < 0xa0) return 0; // overlong
    if (lead === 0xed && bytes[i + 1]! >= 0xa0) return 0; // U+D800..U+DFFF
    return 3;
  }
  if (lead > 0xf4 || i + 4 > end) return 0;
  if (!continues(bytes[i + 1]!) || !continues(bytes[i + 2]!) || !continues(bytes[i + 3]!)) return 0;
  if (lead === 0xf0 && bytes[i + 1]! < 0x90) return 0; // overlong
  if (lead === 0xf4 && bytes[i + 1]! >= 0x90) return 0; // past U+10FFFF
  return 4;
}

function continues(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
