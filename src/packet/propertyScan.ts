// PropertyScan: walks properties in place and checks each against the table. Every decoder of properties goes
// through nextProperty, so what is legal is decided here only. Nothing is decoded to a string or an object.
// @hot

import { errors, type MqttError } from "./error.ts";
import { PacketType, varintBytes } from "./frame.ts";
import { PropertyId, type PropertyPacket, PropertyType, propertyTable } from "./propertyTable.ts";
import { utf8Error, validUtf8 } from "./utf8.ts";
import { readVarint } from "./varint.ts";

/** Reused: where one property is and, if it is a number, what it says. */
export interface PropertyScan {
  packet: PropertyPacket;
  /** One bit per table row that this packet had already. */
  seen: number;
  identifier: number;
  /** The value without its length bytes; for a pair, everything after the identifier. */
  valueAt: number;
  valueEnd: number;
  /** Of Byte, Flag, U16, U32 and Varint; 0 for others. */
  value: number;
}

/** One row per possible one-byte identifier; type 0 is no property. */
const IDENTIFIERS = 128;
const typeOf = new Uint8Array(IDENTIFIERS);
const minOf = new Uint8Array(IDENTIFIERS);
const packetsOf = new Uint16Array(IDENTIFIERS);
/** The row's bit in `seen`; 0 where a property may repeat. */
const bitOf = new Uint32Array(IDENTIFIERS);
for (const [index, row] of propertyTable.entries()) {
  typeOf[row.identifier] = row.type;
  minOf[row.identifier] = row.min;
  for (const packet of row.packets) packetsOf[row.identifier]! |= 1 << (packet >>> 4);
  bitOf[row.identifier] = row.repeats ? 0 : 1 << index;
}

export function newPropertyScan(): PropertyScan {
  return { packet: PacketType.Connect, seen: 0, identifier: 0, valueAt: 0, valueEnd: 0, value: 0 };
}

/**
 * Reads the Property Length at bytes[at] and readies `scan`. Returns the position behind the last property,
 * or a negative error code. The first property is at propertiesAt(bytes, at).
 */
export function beginProperties(
  scan: PropertyScan,
  packet: PropertyPacket,
  bytes: Uint8Array,
  at: number,
  end: number,
): number {
  scan.packet = packet;
  scan.seen = 0;
  const length = readVarint(bytes, at, end);
  if (length < 0) return length;
  const propertiesEnd = at + varintBytes(length) + length;
  return propertiesEnd > end ? errors.propertiesOverrun.code : propertiesEnd;
}

/** Where the properties begin whose Property Length, already checked, is at bytes[at]. */
export function propertiesAt(bytes: Uint8Array, at: number): number {
  let position = at;
  while (bytes[position]! > 127) position++;
  return position + 1;
}

/**
 * Checks the property at bytes[at], at < end, and fills `scan`. Returns the position of the next one, or a
 * negative error code: unknown, not for this packet, repeated, overrun, ill-formed or with a value that it
 * must not have.
 */
export function nextProperty(scan: PropertyScan, bytes: Uint8Array, at: number, end: number): number {
  const identifier = bytes[at]!;
  const type = identifier < IDENTIFIERS ? typeOf[identifier]! : 0;
  if (type === 0) return errors.propertyUnknown.code;
  if ((packetsOf[identifier]! & (1 << (scan.packet >>> 4))) === 0) return errors.propertyNotAllowed.code;
  const bit = bitOf[identifier]!;
  if ((scan.seen & bit) !== 0) return errors.propertyRepeated.code;
  scan.seen |= bit;
  scan.identifier = identifier;
  scan.valueAt = at + 1;
  scan.value = 0;
  const next =
    type < PropertyType.Utf8
      ? numberEnd(scan, type, bytes, at + 1, end)
      : stringEnd(scan, type, bytes, at + 1, end);
  scan.valueEnd = next;
  return next;
}

/**
 * Checks all properties from the Property Length at bytes[at] on; the position behind them or a negative
 * error code.
 */
export function validateProperties(
  scan: PropertyScan,
  packet: PropertyPacket,
  bytes: Uint8Array,
  at: number,
  end: number,
): number {
  const propertiesEnd = beginProperties(scan, packet, bytes, at, end);
  if (propertiesEnd < 0) return propertiesEnd;
  let position = propertiesAt(bytes, at);
  while (position < propertiesEnd) {
    position = nextProperty(scan, bytes, position, propertiesEnd);
    if (position < 0) return position;
  }
  return propertiesEnd;
}

function numberEnd(scan: PropertyScan, type: number, bytes: Uint8Array, at: number, end: number): number {
  let value: number;
  let next: number;
  if (type <= PropertyType.Flag) {
    next = at + 1;
    if (next > end) return errors.propertyTruncated.code;
    value = bytes[at]!;
    if (value > 1) return errors.propertyOutOfRange.code;
  } else if (type === PropertyType.U16) {
    next = at + 2;
    if (next > end) return errors.propertyTruncated.code;
    value = bytes[at]! * 256 + bytes[at + 1]!;
  } else if (type === PropertyType.U32) {
    next = at + 4;
    if (next > end) return errors.propertyTruncated.code;
    value = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  } else {
    value = readVarint(bytes, at, end);
    if (value < 0) return value === errors.truncated.code ? errors.propertyTruncated.code : value;
    next = at + varintBytes(value);
  }
  if (value < minOf[scan.identifier]!) return zeroError(scan.identifier).code;
  scan.value = value;
  return next;
}

function stringEnd(scan: PropertyScan, type: number, bytes: Uint8Array, at: number, end: number): number {
  if (type === PropertyType.Pair) {
    const valueAt = stringAt(bytes, at, end); // [MQTT-1.5.7-1]
    return valueAt < 0 ? valueAt : stringAt(bytes, valueAt, end);
  }
  scan.valueAt = at + 2;
  if (type === PropertyType.Utf8) return stringAt(bytes, at, end);
  if (at + 2 > end) return errors.propertyTruncated.code;
  const next = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
  return next > end ? errors.propertyTruncated.code : next;
}

/** Position behind the UTF-8 Encoded String at bytes[at], or a negative error code. */
function stringAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return errors.propertyTruncated.code;
  const next = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
  if (next > end) return errors.propertyTruncated.code;
  return validUtf8(bytes, at + 2, next) ? next : utf8Error(bytes, at + 2, next).code;
}

function zeroError(identifier: number): MqttError {
  if (identifier === PropertyId.ReceiveMaximum) return errors.receiveMaximumZero;
  if (identifier === PropertyId.MaximumPacketSize) return errors.maximumPacketSizeZero;
  if (identifier === PropertyId.SubscriptionIdentifier) return errors.subscriptionIdentifierZero;
  return errors.topicAliasZero; // [MQTT-3.3.2-8]
}
