// Variable Byte Integers inside a packet, §1.5.5. (The one that frames a packet is frame.ts's.)

import { errors } from "./error.ts";

/**
 * The integer at bytes[at], 0..268,435,455, or a negative error code when `end` cuts it, on a fifth byte, or
 * when it is longer than it need be. So it takes exactly varintBytes(value) bytes. Reads only. @hot
 */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return errors.truncated.code;
  const first = bytes[at]!;
  if (first < 128) return first;
  let value = first & 127;
  let scale = 128;
  for (let i = at + 1; i < at + 4; i++) {
    if (i >= end) return errors.truncated.code;
    const byte = bytes[i]!;
    value += (byte & 127) * scale;
    if (byte < 128) return byte === 0 ? errors.varintOverlong.code : value; // [MQTT-1.5.5-1]
    scale *= 128;
  }
  return errors.varintTooLong.code;
}
