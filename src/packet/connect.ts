// CONNECT, §3.1: the packet that a connection's life begins with.

import { errors, type MqttError } from "./error.ts";
import { PacketType } from "./frame.ts";
import { noProperties, type Properties, readProperties } from "./properties.ts";
import type { ProtocolLevel, QoS } from "./protocol.ts";
import { PacketReader } from "./reader.ts";
import { readWillProperties, type Will, type WillProperties } from "./will.ts";

export type { Will } from "./will.ts";

export interface Connect {
  level: ProtocolLevel;
  /** Clean Session before MQTT 5. */
  cleanStart: boolean;
  /** Seconds; 0 is off. */
  keepAlive: number;
  /** Empty when the server is to name the client. */
  clientIdentifier: string;
  userName?: string;
  /** A copy. */
  password?: Uint8Array;
  properties: Readonly<Properties>;
  will?: Will;
}

const Flag = { Reserved: 1, CleanStart: 2, Will: 4, WillRetain: 32, Password: 64, UserName: 128 } as const;
const WILL_QOS_SHIFT = 3;

/** The names with their length bytes. */
const MQTT = [0, 4, 0x4d, 0x51, 0x54, 0x54];
const MQISDP = [0, 6, 0x4d, 0x51, 0x49, 0x73, 0x64, 0x70];

const reader = new PacketReader();

/**
 * The protocol level in which this CONNECT is to be answered, whatever else is wrong with it; 0 when it names
 * no protocol and version that we speak. `at` is the first byte behind the fixed header. Reads only.
 */
export function connectLevel(bytes: Uint8Array, at: number, end: number): ProtocolLevel | 0 {
  if (startsWith(bytes, at, end, MQTT)) {
    const level = bytes[at + MQTT.length];
    return at + MQTT.length < end && (level === 4 || level === 5) ? level : 0;
  }
  if (startsWith(bytes, at, end, MQISDP)) {
    return at + MQISDP.length < end && bytes[at + MQISDP.length] === 3 ? 3 : 0;
  }
  return 0;
}

/**
 * The CONNECT of bytes[at, end), `at` being the first byte behind the fixed header, or the error in it
 * [MQTT-3.1.4-1]. Keeps nothing of `bytes`: strings are decoded, Binary Data copied.
 */
export function decodeConnect(bytes: Uint8Array, at: number, end: number): Connect | MqttError {
  const level = connectLevel(bytes, at, end);
  if (level === 0) return levelError(bytes, at, end);
  reader.begin(bytes, at + (level === 3 ? MQISDP.length : MQTT.length) + 1, end);
  const connect = readConnect(level);
  return reader.finish() ?? connect;
}

function readConnect(level: ProtocolLevel): Connect {
  const flags = reader.u8();
  const error = flagsError(level, flags);
  if (error !== null) reader.fail(error.code);
  const keepAlive = reader.u16();
  const properties = level === 5 ? readProperties(reader, PacketType.Connect) : noProperties;
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    reader.fail(errors.authenticationDataAlone.code);
  }
  const cleanStart = (flags & Flag.CleanStart) !== 0;
  const clientIdentifier = reader.utf8(); // [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  if (clientIdentifier === "" && mustHaveIdentifier(level, cleanStart)) {
    reader.fail(errors.clientIdentifierEmpty.code);
  }
  const connect: Connect = { level, cleanStart, keepAlive, clientIdentifier, properties };
  if ((flags & Flag.Will) !== 0) connect.will = readWill(level, flags); // [MQTT-3.1.2-9]
  // MQTT 3.1 lets Remaining Length overrule these two flags.
  if ((flags & Flag.UserName) !== 0 && !endsEarly(level)) {
    connect.userName = reader.utf8(); // [MQTT-3.1.2-17] [MQTT-3.1.3-12]
  }
  if ((flags & Flag.Password) !== 0 && !endsEarly(level)) {
    connect.password = reader.binary(); // [MQTT-3.1.2-19]
  }
  return connect;
}

function endsEarly(level: ProtocolLevel): boolean {
  return level === 3 && reader.at === reader.end;
}

/** A CONNECT without a level that we speak: cut short, or of another protocol or version. */
function levelError(bytes: Uint8Array, at: number, end: number): MqttError {
  for (const name of [MQTT, MQISDP]) {
    if (!startsWith(bytes, at, Math.min(end, at + name.length), name.slice(0, end - at))) continue;
    return end - at > name.length ? errors.protocolVersionUnsupported : errors.truncated; // [MQTT-3.1.2-2]
  }
  return errors.protocolNameUnknown; // [MQTT-3.1.2-1]
}

function flagsError(level: ProtocolLevel, flags: number): MqttError | null {
  const will = (flags & Flag.Will) !== 0;
  const willQos = (flags >> WILL_QOS_SHIFT) & 3;
  const passwordAlone = (flags & (Flag.UserName | Flag.Password)) === Flag.Password;
  if (passwordAlone && level !== 5) return errors.passwordWithoutUserName; // [3.1.1:MQTT-3.1.2-22]
  if (will && willQos === 3) return errors.willQosOutOfRange; // [MQTT-3.1.2-12]
  // MQTT 3.1 disregards the reserved bit, and Will QoS and Will Retain when there is no Will.
  if (level === 3) return null;
  if ((flags & Flag.Reserved) !== 0) return errors.connectReservedFlag; // [MQTT-3.1.2-3]
  if (will) return null;
  if (willQos !== 0) return errors.willQosWithoutWill; // [MQTT-3.1.2-11]
  return (flags & Flag.WillRetain) !== 0 ? errors.willRetainWithoutWill : null; // [MQTT-3.1.2-13]
}

/** Only MQTT 5, and a clean Session of 3.1.1, may leave the name to the server [3.1.1:MQTT-3.1.3-7]. */
function mustHaveIdentifier(level: ProtocolLevel, cleanStart: boolean): boolean {
  return level === 3 || (level === 4 && !cleanStart);
}

function readWill(level: ProtocolLevel, flags: number): Will {
  const willProperties: WillProperties = readWillProperties(level, reader);
  const topic = reader.utf8(); // [MQTT-3.1.3-11]
  if (topic === "" || topic.includes("+") || topic.includes("#")) reader.fail(errors.willTopicInvalid.code);
  return {
    topic,
    payload: reader.binary(),
    qos: ((flags >> WILL_QOS_SHIFT) & 3) as QoS,
    retain: (flags & Flag.WillRetain) !== 0,
    ...willProperties,
  };
}

function startsWith(bytes: Uint8Array, at: number, end: number, prefix: readonly number[]): boolean {
  if (end - at < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    if (bytes[at + i] !== prefix[i]) return false;
  }
  return true;
}
