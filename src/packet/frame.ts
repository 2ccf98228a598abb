// Frame: the fixed header of a control packet, §2.1. @hot

/** Control Packet types, §2.1.2, as the high four bits of the first byte. */
export const PacketType = {
  Connect: 0x10,
  Connack: 0x20,
  Publish: 0x30,
  Puback: 0x40,
  Pubrec: 0x50,
  Pubrel: 0x60,
  Pubcomp: 0x70,
  Subscribe: 0x80,
  Suback: 0x90,
  Unsubscribe: 0xa0,
  Unsuback: 0xb0,
  Pingreq: 0xc0,
  Pingresp: 0xd0,
  Disconnect: 0xe0,
  Auth: 0xf0,
} as const;

/** nextFrame() results that are not a body position. */
export const NEED_MORE = -1;
export const MALFORMED_LENGTH = -2;

/**
 * Reads the Remaining Length behind the first byte at `at`, §2.1.4. Returns the position of the body, whose length
 * is then remainingLength(); NEED_MORE if `end` cuts the field, MALFORMED_LENGTH on a fifth
 * byte or a needless one. Reads only.
 */
export function bodyAt(bytes: Uint8Array, at: number, end: number): number {
  let position = at + 1;
  const last = Math.min(at + 5, end);
  while (position < last) {
    const byte = bytes[position]!;
    if (byte === 0 && position > at + 1) return MALFORMED_LENGTH; // [MQTT-1.5.5-1]
    if (byte < 128) return position + 1;
    position++;
  }
  return position === at + 5 ? MALFORMED_LENGTH : NEED_MORE;
}

/** Remaining Length of the frame at `at` whose body begins at `body`, 0..268,435,455. */
export function remainingLength(bytes: Uint8Array, at: number, body: number): number {
  let value = 0;
  for (let position = body - 1; position > at; position--) value = value * 128 + (bytes[position]! & 127);
  return value;
}

/** Whole length of the frame at `at`; for frames of the log, which are known to be good. */
export function frameBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at + 1]!;
  if (first < 128) return first + 2;
  const second = bytes[at + 2]!;
  if (second < 128) return (first & 127) + second * 128 + 3;
  const third = bytes[at + 3]!;
  if (third < 128) return (first & 127) + (second & 127) * 128 + third * 16_384 + 4;
  return (first & 127) + (second & 127) * 128 + (third & 127) * 16_384 + bytes[at + 4]! * 2_097_152 + 5;
}

/** Position of the body of the frame at `at`; for frames of the log, which are known to be good. */
export function frameBody(bytes: Uint8Array, at: number): number {
  let body = at + 1;
  while (bytes[body]! > 127) body++;
  return body + 1;
}

/** Bytes that a Variable Byte Integer takes, 1..4. */
export function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes a Variable Byte Integer; returns the position behind it. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let position = at;
  let rest = value;
  while (rest > 127) {
    bytes[position++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[position++] = rest;
  return position;
}
