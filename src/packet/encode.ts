// Encoders of the packets that a server sends, appending to a shared ByteWriter. PUBLISH here is for slow
// paths: the lanes write theirs from the log.

import { assert } from "../base/assert.ts";
import type { ByteWriter } from "../base/byteWriter.ts";
import { isEmpty, writeProperties } from "./encodeProperties.ts";
import { PacketType, varintBytes } from "./frame.ts";
import type { Properties } from "./propertyTable.ts";
import type { AckType, ProtocolLevel, QoS } from "./protocol.ts";
import { ConnectReturnCode, connectReturnCodeOf, ReasonCode } from "./reasonCode.ts";

/**
 * Reason String and User Properties, the only properties that are left out rather than let a packet grow too
 * large.
 */
export type Diagnostics = Pick<Properties, "reasonString" | "userProperties">;

/** Maximum Packet Size of a client that gave none. */
const UNLIMITED = 0xffff_ffff;

const SUBACK_FAILURE = 0x80;
/** PUBREL alone has a reserved bit that is 1. */
const PUBREL_FLAGS = 0x02;
const none: Diagnostics = Object.freeze({});

/**
 * Appends a CONNACK. A `reason` of 0x80 or more never says that a Session is present. Before MQTT 5 the
 * reason becomes a return code and properties are not written. Returns false and appends nothing when no
 * return code says it [3.1.1:MQTT-3.2.2-6] or the packet is larger than `sizeMax` [MQTT-3.1.2-24].
 */
export function writeConnack(
  out: ByteWriter,
  level: ProtocolLevel,
  sessionPresent: boolean,
  reason: number,
  properties: Readonly<Properties> = none,
  sizeMax = UNLIMITED,
): boolean {
  const present = sessionPresent && reason === ReasonCode.Success ? 1 : 0; // [MQTT-3.2.2-1] [MQTT-3.2.2-6]
  if (level === 5) {
    return writeFitting(out, PacketType.Connack, properties, sizeMax, (fitting) => {
      out.u8(present);
      out.u8(reason); // [MQTT-3.2.2-8]
      writeProperties(out, fitting);
    });
  }
  const code = connectReturnCodeOf(reason);
  if (code === ConnectReturnCode.None) return false;
  out.u16(PacketType.Connack * 256 + 2);
  out.u8(level === 3 ? 0 : present); // MQTT 3.1 has no Session Present
  out.u8(code);
  return true;
}

/**
 * Appends a SUBACK with one code for each Topic Filter of the SUBSCRIBE, in its order [MQTT-3.9.3-1]. Before
 * MQTT 5 every failure is 0x80 [3.1.1:MQTT-3.9.3-2]. Returns false and appends nothing when it is larger than
 * `sizeMax`.
 */
export function writeSuback(
  out: ByteWriter,
  level: ProtocolLevel,
  packetIdentifier: number,
  codes: readonly number[],
  diagnostics: Diagnostics = none,
  sizeMax = UNLIMITED,
): boolean {
  return writeFitting(out, PacketType.Suback, diagnostics, sizeMax, (fitting) => {
    out.u16(packetIdentifier); // [MQTT-2.2.1-6]
    if (level === 5) writeProperties(out, fitting); // [MQTT-3.9.2-1] [MQTT-3.9.2-2]
    for (const code of codes) out.u8(subackCode(level, code));
  });
}

/** MQTT 3.1 knows no failure: what its client may not have is granted, and delivers nothing. */
function subackCode(level: ProtocolLevel, code: number): number {
  if (level === 5) return code;
  return level === 3 && code === ReasonCode.NotAuthorized ? 0 : Math.min(code, SUBACK_FAILURE);
}

/**
 * Appends an UNSUBACK with one code for each Topic Filter of the UNSUBSCRIBE, in its order [MQTT-3.11.3-1];
 * before MQTT 5 without codes. Returns false and appends nothing when it is larger than `sizeMax`.
 */
export function writeUnsuback(
  out: ByteWriter,
  level: ProtocolLevel,
  packetIdentifier: number,
  codes: readonly number[],
  diagnostics: Diagnostics = none,
  sizeMax = UNLIMITED,
): boolean {
  return writeFitting(out, PacketType.Unsuback, diagnostics, sizeMax, (fitting) => {
    out.u16(packetIdentifier); // [MQTT-2.2.1-6]
    if (level !== 5) return;
    writeProperties(out, fitting); // [MQTT-3.11.2-1] [MQTT-3.11.2-2]
    for (const code of codes) out.u8(code);
  });
}

/** Appends a PUBACK, PUBREC, PUBREL or PUBCOMP of 4 bytes, or 5 when MQTT 5 has a reason to give. @hot */
export function writeAck(
  out: ByteWriter,
  level: ProtocolLevel,
  type: AckType,
  packetIdentifier: number,
  reason: number,
): void {
  const long = level === 5 && reason !== ReasonCode.Success;
  const first = type === PacketType.Pubrel ? type | PUBREL_FLAGS : type; // [MQTT-3.6.1-1]
  out.u16(first * 256 + (long ? 3 : 2));
  out.u16(packetIdentifier); // [MQTT-2.2.1-5]
  if (long) out.u8(reason);
}

/**
 * Appends an MQTT 5 DISCONNECT; before MQTT 5 a server has none and only closes. Returns false when it does
 * not fit.
 */
export function writeDisconnect(
  out: ByteWriter,
  reason: number,
  properties: Readonly<Properties> = none,
  sizeMax = UNLIMITED,
): boolean {
  // [MQTT-3.14.2-2]
  assert(properties.sessionExpiryInterval === undefined, "a server's DISCONNECT sets no Session Expiry");
  return writeFitting(out, PacketType.Disconnect, properties, sizeMax, (fitting) => {
    if (!isEmpty(fitting)) {
      out.u8(reason);
      writeProperties(out, fitting);
    } else if (reason !== ReasonCode.NormalDisconnection) {
      out.u8(reason);
    }
  });
}

/**
 * Appends an AUTH; `properties` has the Authentication Method [MQTT-4.12.0-5]. Returns false when it does not
 * fit.
 */
export function writeAuth(
  out: ByteWriter,
  reason: number,
  properties: Readonly<Properties>,
  sizeMax = UNLIMITED,
): boolean {
  return writeFitting(out, PacketType.Auth, properties, sizeMax, (fitting) => {
    out.u8(reason); // [MQTT-3.15.2-1]
    writeProperties(out, fitting);
  });
}

export function writePingresp(out: ByteWriter): void {
  out.u16(PacketType.Pingresp * 256); // [MQTT-3.12.4-1]
}

export interface OutboundPublish {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  dup: boolean;
  /** 1..65535 with QoS 1 and 2, else not written [MQTT-2.2.1-2]. */
  packetIdentifier: number;
  /** PUBLISH properties without their length; not written before MQTT 5. */
  properties: Uint8Array;
}

/** Appends a PUBLISH. */
export function encodePublish(out: ByteWriter, level: ProtocolLevel, publish: OutboundPublish): void {
  const { payload, qos, properties } = publish;
  const dup = qos > 0 && publish.dup ? 8 : 0; // [MQTT-3.3.1-2]
  out.u8(PacketType.Publish | dup | (qos << 1) | (publish.retain ? 1 : 0));
  const topicBytes = Buffer.byteLength(publish.topic);
  const propertiesBytes = level === 5 ? varintBytes(properties.length) + properties.length : 0;
  out.varint(2 + topicBytes + (qos > 0 ? 2 : 0) + propertiesBytes + payload.length);
  out.utf8(publish.topic); // [MQTT-3.3.2-1]
  if (qos > 0) out.u16(publish.packetIdentifier); // [MQTT-2.2.1-4]
  if (level === 5) {
    out.varint(properties.length); // [MQTT-2.2.2-1]
    out.raw(properties);
  }
  out.raw(payload);
}

/**
 * Appends the packet whose body `body` writes, first with all of `properties`, then without the User
 * Properties, then without the Reason String either, until it is at most `sizeMax` bytes [MQTT-3.2.2-19]
 * [MQTT-3.2.2-20]. When even the last does not fit, appends nothing and returns false.
 */
function writeFitting(
  out: ByteWriter,
  type: number,
  properties: Readonly<Properties>,
  sizeMax: number,
  body: (fitting: Readonly<Properties>) => void,
): boolean {
  if (writeSized(out, type, properties, sizeMax, body)) return true;
  const { userProperties, ...short } = properties;
  if (userProperties !== undefined && writeSized(out, type, short, sizeMax, body)) return true;
  const { reasonString, ...bare } = short;
  return reasonString !== undefined && writeSized(out, type, bare, sizeMax, body);
}

function writeSized(
  out: ByteWriter,
  type: number,
  properties: Readonly<Properties>,
  sizeMax: number,
  body: (fitting: Readonly<Properties>) => void,
): boolean {
  const start = out.length;
  // Almost every body is under 128 bytes: leave one byte for its length, and move it if it needs more.
  out.u16(type * 256);
  body(properties);
  const length = out.length - start - 2;
  const extra = varintBytes(length) - 1;
  if (2 + extra + length > sizeMax) {
    out.length = start;
    return false;
  }
  if (extra > 0) {
    out.reserve(extra);
    out.bytes.copyWithin(start + 2 + extra, start + 2, out.length);
  }
  out.length = start + 1;
  out.varint(length);
  out.length = start + 2 + extra + length;
  return true;
}
