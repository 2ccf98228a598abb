// Where mqtt-packet and we differ about a packet, and what the specification says. Each row has a packet that
// shows it.

import type { ErrorName } from "../../src/packet/error.ts";
import type { ProtocolLevel } from "../../src/packet/protocol.ts";
import { packet } from "./support.ts";

/** A whole packet: first byte, Remaining Length, body. */
function whole(first: number, ...body: string[]): Uint8Array {
  const bytes = packet(...body);
  return Uint8Array.from([first, bytes.length, ...bytes]);
}

const connect = (...body: string[]) => whole(0x10, ...body);
const subscribe = (...body: string[]) => whole(0x82, ...body);
const unsubscribe = (...body: string[]) => whole(0xa2, ...body);
const puback = (...body: string[]) => whole(0x40, ...body);
const disconnect = (...body: string[]) => whole(0xe0, ...body);
const auth = (...body: string[]) => whole(0xf0, ...body);

export interface Stricter {
  readonly error: ErrorName;
  readonly level: ProtocolLevel;
  readonly bytes: Uint8Array;
  readonly ruling: string;
}

/** We refuse, mqtt-packet reads on. */
export const stricter: readonly Stricter[] = [
  {
    error: "truncated",
    level: 4,
    bytes: puback("01"),
    ruling: "§1.2: mqtt-packet reads a missing number as -1 and a missing byte as undefined",
  },
  {
    error: "trailingBytes",
    level: 4,
    bytes: puback("00 01 00"),
    ruling: "§1.2: bytes behind the last field are no part of any packet; mqtt-packet skips them",
  },
  {
    error: "utf8NotValid",
    level: 4,
    bytes: subscribe("00 01 00 01 ff 00"),
    ruling: "[MQTT-1.5.4-1]: mqtt-packet decodes ill-formed UTF-8 to U+FFFD",
  },
  {
    error: "utf8Null",
    level: 4,
    bytes: subscribe("00 01 00 01 00 00"),
    ruling: "[MQTT-1.5.4-2]: mqtt-packet lets U+0000 pass",
  },
  {
    error: "varintOverlong",
    level: 5,
    bytes: subscribe("00 01 80 00 00 01 'a' 00"),
    ruling: "[MQTT-1.5.5-1]: mqtt-packet takes padded Variable Byte Integers",
  },
  {
    error: "packetIdentifierZero",
    level: 4,
    bytes: subscribe("00 00 00 01 'a' 00"),
    ruling: "[MQTT-2.2.1-3]: mqtt-packet lets 0 pass",
  },
  {
    error: "ackIdentifierZero",
    level: 4,
    bytes: puback("00 00"),
    ruling: "[MQTT-2.2.1-5]: mqtt-packet lets 0 pass",
  },
  {
    error: "propertyNotAllowed",
    level: 5,
    bytes: disconnect("00 03 21 00 01"),
    ruling: "§2.2.2.2: mqtt-packet takes any property in any packet",
  },
  {
    error: "propertyRepeated",
    level: 5,
    bytes: disconnect("00 06 1f 00 00 1f 00 00"),
    ruling: "§2.2.2.2: mqtt-packet keeps the last, or an array of all",
  },
  {
    error: "propertyOutOfRange",
    level: 5,
    bytes: connect("00 04 'MQTT' 05 02 00 00 02 17 02 00 00"),
    ruling: "§3.1.2.11.7: 0 or 1; mqtt-packet reads any other byte as true",
  },
  {
    error: "propertyTruncated",
    level: 5,
    bytes: connect("00 04 'MQTT' 05 02 00 00 02 21 00 01 00 00"),
    ruling: "§2.2.2.1: mqtt-packet lets the last property run past the Property Length",
  },
  {
    error: "receiveMaximumZero",
    level: 5,
    bytes: connect("00 04 'MQTT' 05 02 00 00 03 21 00 00 00 00"),
    ruling: "§3.1.2.11.3: mqtt-packet lets 0 pass",
  },
  {
    error: "maximumPacketSizeZero",
    level: 5,
    bytes: connect("00 04 'MQTT' 05 02 00 00 05 27 00 00 00 00 00 00"),
    ruling: "§3.1.2.11.4: mqtt-packet lets 0 pass",
  },
  {
    error: "subscriptionIdentifierZero",
    level: 5,
    bytes: subscribe("00 01 02 0b 00 00 01 'a' 00"),
    ruling: "§3.8.2.1.2: mqtt-packet lets 0 pass",
  },
  {
    error: "authenticationDataAlone",
    level: 5,
    bytes: connect("00 04 'MQTT' 05 02 00 00 03 16 00 00 00 00"),
    ruling: "§3.1.2.11.10: mqtt-packet does not compare properties",
  },
  {
    error: "protocolVersionUnsupported",
    level: 4,
    bytes: connect("00 04 'MQTT' 84 02 00 00 00 01 'c'"),
    ruling: "[MQTT-3.1.2-2]: mqtt-packet takes the bridges' bit 7, MQIsdp with 4 and 5, MQTT with 3",
  },
  {
    error: "willQosOutOfRange",
    level: 4,
    bytes: connect("00 04 'MQTT' 04 1e 00 00 00 01 'c' 00 01 't' 00 00"),
    ruling: "[MQTT-3.1.2-12]: mqtt-packet lets 3 pass",
  },
  {
    error: "passwordWithoutUserName",
    level: 4,
    bytes: connect("00 04 'MQTT' 04 42 00 00 00 01 'c' 00 01 'p'"),
    ruling: "[3.1.1:MQTT-3.1.2-22]: mqtt-packet reads the Password",
  },
  {
    error: "willTopicInvalid",
    level: 4,
    bytes: connect("00 04 'MQTT' 04 06 00 00 00 01 'c' 00 01 '#' 00 00"),
    ruling: "[MQTT-3.3.2-2]: mqtt-packet does not look into topics",
  },
  {
    error: "clientIdentifierEmpty",
    level: 4,
    bytes: connect("00 04 'MQTT' 04 00 00 00 00 00"),
    ruling: "[3.1.1:MQTT-3.1.3-8]: mqtt-packet reads any Client Identifier",
  },
  {
    error: "subscribeEmpty",
    level: 4,
    bytes: subscribe("00 01"),
    ruling: "[MQTT-3.8.3-2]: mqtt-packet looks at the Remaining Length only",
  },
  {
    error: "unsubscribeEmpty",
    level: 4,
    bytes: unsubscribe("00 01"),
    ruling: "[MQTT-3.10.3-2]: mqtt-packet looks at the Remaining Length only",
  },
  {
    error: "noLocalOnShared",
    level: 5,
    bytes: subscribe("00 01 00 00 0a '$share/g/a' 04"),
    ruling: "[MQTT-3.8.3-4]: mqtt-packet does not look into filters",
  },
  {
    error: "disconnectReason",
    level: 5,
    bytes: disconnect("8b 00"),
    ruling: "[MQTT-3.14.2-1]: mqtt-packet takes the server's codes from a client too",
  },
  {
    error: "authReason",
    level: 5,
    bytes: auth("00 04 15 00 01 'M'"),
    ruling: "[MQTT-3.15.2-1]: Success is the server's to send",
  },
  {
    error: "authMethodMissing",
    level: 5,
    bytes: auth("18 00"),
    ruling: "§3.15.2.2.2: mqtt-packet does not ask for an Authentication Method",
  },
];

export interface Laxer {
  /** mqtt-packet's words. */
  readonly refusal: string;
  readonly level: ProtocolLevel;
  readonly bytes: Uint8Array;
  readonly ruling: string;
}

/** mqtt-packet refuses, we read on. All are MQTT 3.1, whose §3.1 differs from 3.1.1's. */
export const laxer: readonly Laxer[] = [
  {
    refusal: "Connect flag bit 0 must be 0, but got 1",
    level: 3,
    bytes: connect("00 06 'MQIsdp' 03 03 00 00 00 01 'c'"),
    ruling: "the bit is not used in 3.1",
  },
  {
    refusal: "Will Retain Flag must be set to zero when Will Flag is set to 0",
    level: 3,
    bytes: connect("00 06 'MQIsdp' 03 22 00 00 00 01 'c'"),
    ruling: "disregarded without a Will",
  },
  {
    refusal: "Will QoS must be set to zero when Will Flag is set to 0",
    level: 3,
    bytes: connect("00 06 'MQIsdp' 03 0a 00 00 00 01 'c'"),
    ruling: "disregarded without a Will",
  },
  {
    refusal: "Cannot parse username",
    level: 3,
    bytes: connect("00 06 'MQIsdp' 03 82 00 00 00 01 'c'"),
    ruling: "Remaining Length takes precedence over the User Name Flag",
  },
  {
    refusal: "Cannot parse password",
    level: 3,
    bytes: connect("00 06 'MQIsdp' 03 c2 00 00 00 01 'c' 00 01 'u'"),
    ruling: "Remaining Length takes precedence over the Password Flag",
  },
];
