import { describe, expect, test } from "bun:test";
import { type Connect, connectLevel, decodeConnect } from "../../src/packet/connect.ts";
import { errors, isMqttError, type MqttError } from "../../src/packet/error.ts";
import { noProperties } from "../../src/packet/properties.ts";
import { decodeBoth, expectError, expectTruncationsRefused, packet } from "./support.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

interface Good {
  name: string;
  bytes: Uint8Array;
  connect: Connect;
  /** Prefix lengths that are packets of their own. */
  whole?: number[];
}

const good: Good[] = [
  {
    name: "MQTT 3.1.1, nothing optional",
    bytes: packet(
      "00 04 'MQTT' 04", // Protocol Name, Protocol Version
      "02", // Clean Session
      "00 3c", // Keep Alive 60
      "00 03 'abc'", // Client Identifier
    ),
    connect: { level: 4, cleanStart: true, keepAlive: 60, clientIdentifier: "abc", properties: noProperties },
  },
  {
    name: "MQTT 3.1.1, everything",
    bytes: packet(
      "00 04 'MQTT' 04",
      "ec", // User Name, Password, Will Retain, Will QoS 1, Will
      "ff ff", // Keep Alive 65535
      "00 01 'c'",
      "00 03 'w/t'", // Will Topic
      "00 02 00 ff", // Will Message
      "00 04 'user'",
      "00 03 00 80 ff", // Password: Binary Data
    ),
    connect: {
      level: 4,
      cleanStart: false,
      keepAlive: 65_535,
      clientIdentifier: "c",
      properties: noProperties,
      will: {
        topic: "w/t",
        payload: Uint8Array.of(0, 255),
        qos: 1,
        retain: true,
        delayInterval: 0,
        properties: new Uint8Array(0),
      },
      userName: "user",
      password: Uint8Array.of(0, 128, 255),
    },
  },
  {
    name: "3.1.1:MQTT-3.1.3-6 a clean Session may leave the name to the server",
    bytes: packet("00 04 'MQTT' 04 02 00 00 00 00"),
    connect: { level: 4, cleanStart: true, keepAlive: 0, clientIdentifier: "", properties: noProperties },
  },
  {
    name: "MQTT 3.1, longer Client Identifier than 23",
    bytes: packet("00 06 'MQIsdp' 03 00 00 0a", "00 18 'abcdefghijklmnopqrstuvwx'"),
    connect: {
      level: 3,
      cleanStart: false,
      keepAlive: 10,
      clientIdentifier: "abcdefghijklmnopqrstuvwx",
      properties: noProperties,
    },
  },
  {
    name: "MQTT 3.1, reserved bit, Will QoS and Will Retain are disregarded without a Will",
    bytes: packet("00 06 'MQIsdp' 03 3b 00 0a 00 01 'c'"),
    connect: { level: 3, cleanStart: true, keepAlive: 10, clientIdentifier: "c", properties: noProperties },
  },
  {
    name: "MQTT 3.1, Remaining Length overrules the User Name and Password Flags",
    bytes: packet("00 06 'MQIsdp' 03 c2 00 0a 00 01 'c' 00 01 'u'"),
    connect: {
      level: 3,
      cleanStart: true,
      keepAlive: 10,
      clientIdentifier: "c",
      properties: noProperties,
      userName: "u",
    },
    whole: [15], // without the User Name too
  },
  {
    name: "MQTT-2.2.2-1 no properties",
    bytes: packet("00 04 'MQTT' 05 00 00 00", "00", "00 00"),
    connect: { level: 5, cleanStart: false, keepAlive: 0, clientIdentifier: "", properties: noProperties },
  },
  {
    name: "MQTT 5, every CONNECT property",
    bytes: packet(
      "00 04 'MQTT' 05 02 00 05",
      "34", // Property Length 52
      "11 ff ff ff ff", // Session Expiry Interval
      "21 00 01", // Receive Maximum
      "27 00 00 01 00", // Maximum Packet Size
      "22 00 0a", // Topic Alias Maximum
      "19 01", // Request Response Information
      "17 00", // Request Problem Information
      "26 00 01 'k' 00 01 'v'", // User Property
      "26 00 01 'k' 00 01 'w'", // the same name again
      "15 00 05 'SCRAM'", // Authentication Method
      "16 00 02 01 02", // Authentication Data
      "26 00 00 00 00", // empty User Property
      "00 01 'c'",
    ),
    connect: {
      level: 5,
      cleanStart: true,
      keepAlive: 5,
      clientIdentifier: "c",
      properties: {
        sessionExpiryInterval: 0xffff_ffff,
        receiveMaximum: 1,
        maximumPacketSize: 256,
        topicAliasMaximum: 10,
        requestResponseInformation: true,
        requestProblemInformation: false,
        userProperties: [
          ["k", "v"],
          ["k", "w"],
          ["", ""],
        ],
        authenticationMethod: "SCRAM",
        authenticationData: Uint8Array.of(1, 2),
      },
    },
  },
  {
    name: "MQTT-3.1.3-10 Will properties are kept as they are, without Will Delay Interval",
    bytes: packet(
      "00 04 'MQTT' 05 16 00 00 00", // Will QoS 2, Will, Clean Start
      "00 01 'c'",
      "23", // Will Property Length 35
      "26 00 01 'b' 00 01 '1'",
      "01 01", // Payload Format Indicator
      "18 00 00 00 07", // Will Delay Interval
      "02 00 00 00 3c", // Message Expiry Interval
      "26 00 01 'a' 00 01 '2'",
      "08 00 01 'r'", // Response Topic
      "09 00 02 00 ff", // Correlation Data
      "00 01 't'",
      "00 00", // empty Will Payload
    ),
    connect: {
      level: 5,
      cleanStart: true,
      keepAlive: 0,
      clientIdentifier: "c",
      properties: noProperties,
      will: {
        topic: "t",
        payload: new Uint8Array(0),
        qos: 2,
        retain: false,
        delayInterval: 7,
        messageExpiryInterval: 60,
        properties: packet(
          "26 00 01 'b' 00 01 '1'",
          "01 01",
          "02 00 00 00 3c",
          "26 00 01 'a' 00 01 '2'",
          "08 00 01 'r'",
          "09 00 02 00 ff",
        ),
      },
    },
  },
  {
    name: "MQTT 5 allows a Password without a User Name",
    bytes: packet("00 04 'MQTT' 05 42 00 00 00 00 00 00 01 'p'"),
    connect: {
      level: 5,
      cleanStart: true,
      keepAlive: 0,
      clientIdentifier: "",
      properties: noProperties,
      password: utf8("p"),
    },
  },
  {
    name: "MQTT-1.5.4-3 a BOM stays in the Client Identifier",
    bytes: packet("00 04 'MQTT' 04 02 00 00 00 04 ef bb bf 'c'"),
    connect: {
      level: 4,
      cleanStart: true,
      keepAlive: 0,
      clientIdentifier: "\ufeffc",
      properties: noProperties,
    },
  },
];

/** Body of an MQTT 5 CONNECT with these property bytes. */
const withProperties = (properties: string) => {
  const bytes = packet(properties);
  return packet("00 04 'MQTT' 05 02 00 00", bytes.length.toString(16), properties, "00 01 'c'");
};
/** The same with a Will that has them. */
const withWillProperties = (properties: string) => {
  const bytes = packet(properties);
  const length = bytes.length.toString(16);
  return packet("00 04 'MQTT' 05 06 00 00 00 00 01 'c'", length, properties, "00 01 't' 00 00");
};

const bad: [name: string, bytes: Uint8Array, error: MqttError][] = [
  ["MQTT-3.1.2-1 other name", packet("00 04 'HTTP' 04 02 00 00 00 01 'c'"), errors.protocolNameUnknown],
  ["MQTT-3.1.2-1 wrong case", packet("00 04 'mqtt' 04 02 00 00 00 01 'c'"), errors.protocolNameUnknown],
  ["MQTT-3.1.2-1 longer name", packet("00 05 'MQTTX' 04 02 00 00"), errors.protocolNameUnknown],
  ["MQTT-3.1.2-2 version 6", packet("00 04 'MQTT' 06 02 00 00 00 01 'c'"), errors.protocolVersionUnsupported],
  ["MQTT-3.1.2-2 only the version", packet("00 04 'MQTT' 06"), errors.protocolVersionUnsupported],
  ["MQTT-3.1.2-2 MQTT with 3", packet("00 04 'MQTT' 03 02 00 00"), errors.protocolVersionUnsupported],
  ["MQTT-3.1.2-2 MQIsdp with 4", packet("00 06 'MQIsdp' 04 02 00 00"), errors.protocolVersionUnsupported],
  ["MQTT-3.1.2-2 bridge bit", packet("00 04 'MQTT' 84 02 00 00"), errors.protocolVersionUnsupported],
  ["cut in the name", packet("00 04 'MQ'"), errors.truncated],
  ["MQTT-3.1.2-3 reserved flag", packet("00 04 'MQTT' 04 03 00 00 00 01 'c'"), errors.connectReservedFlag],
  ["MQTT-3.1.2-11 Will QoS", packet("00 04 'MQTT' 04 0a 00 00 00 01 'c'"), errors.willQosWithoutWill],
  ["MQTT-3.1.2-13 Will Retain", packet("00 04 'MQTT' 05 22 00 00 00 00 00"), errors.willRetainWithoutWill],
  ["MQTT-3.1.2-12 Will QoS 3", packet("00 04 'MQTT' 04 1e 00 00 00 01 'c'"), errors.willQosOutOfRange],
  [
    "3.1.1:MQTT-3.1.2-22",
    packet("00 04 'MQTT' 04 42 00 00 00 01 'c' 00 01 'p'"),
    errors.passwordWithoutUserName,
  ],
  ["MQTT 3.1 Password alone", packet("00 06 'MQIsdp' 03 42 00 00 00 01 'c'"), errors.passwordWithoutUserName],
  ["3.1.1:MQTT-3.1.3-8", packet("00 04 'MQTT' 04 00 00 00 00 00"), errors.clientIdentifierEmpty],
  ["MQTT 3.1 empty name", packet("00 06 'MQIsdp' 03 02 00 00 00 00"), errors.clientIdentifierEmpty],
  ["MQTT-1.5.4-1 name", packet("00 04 'MQTT' 04 02 00 00 00 02 c3 28"), errors.utf8NotValid],
  ["MQTT-1.5.4-2 name", packet("00 04 'MQTT' 04 02 00 00 00 02 'a' 00"), errors.utf8Null],
  [
    "MQTT-3.1.3-11 Will Topic",
    packet("00 04 'MQTT' 04 06 00 00 00 01 'c' 00 01 ff 00 00"),
    errors.utf8NotValid,
  ],
  ["MQTT-3.1.3-12 User Name", packet("00 04 'MQTT' 04 82 00 00 00 01 'c' 00 01 80"), errors.utf8NotValid],
  ["MQTT-3.3.2-2 +", packet("00 04 'MQTT' 04 06 00 00 00 01 'c' 00 03 'a/+' 00 00"), errors.willTopicInvalid],
  ["MQTT-3.3.2-2 #", packet("00 04 'MQTT' 04 06 00 00 00 01 'c' 00 01 '#' 00 00"), errors.willTopicInvalid],
  ["MQTT-4.7.3-1", packet("00 04 'MQTT' 04 06 00 00 00 01 'c' 00 00 00 00"), errors.willTopicInvalid],
  ["trailing byte", packet("00 04 'MQTT' 04 02 00 00 00 01 'c' 00"), errors.trailingBytes],
  ["Receive Maximum 0", withProperties("21 00 00"), errors.receiveMaximumZero],
  ["Maximum Packet Size 0", withProperties("27 00 00 00 00"), errors.maximumPacketSizeZero],
  ["Request Problem Information 2", withProperties("17 02"), errors.propertyOutOfRange],
  ["Request Response Information 2", withProperties("19 02"), errors.propertyOutOfRange],
  ["twice", withProperties("11 00 00 00 01 11 00 00 00 01"), errors.propertyRepeated],
  ["twice, first 0", withProperties("22 00 00 22 00 00"), errors.propertyRepeated],
  ["unknown", withProperties("7f 00"), errors.propertyUnknown],
  ["unknown, 0", withProperties("00"), errors.propertyUnknown],
  ["two-byte identifier", withProperties("91 00 00 00 00 01"), errors.propertyUnknown],
  ["Topic Alias in CONNECT", withProperties("23 00 01"), errors.propertyNotAllowed],
  ["Will Delay Interval in CONNECT", withProperties("18 00 00 00 01"), errors.propertyNotAllowed],
  ["Topic Alias in the Will", withWillProperties("23 00 01"), errors.propertyNotAllowed],
  ["Subscription Identifier in the Will", withWillProperties("0b 01"), errors.propertyNotAllowed],
  ["Will Delay Interval twice", withWillProperties("18 00 00 00 01 18 00 00 00 01"), errors.propertyRepeated],
  ["Payload Format Indicator 2", withWillProperties("01 02"), errors.propertyOutOfRange],
  ["property cut by Property Length", withProperties("11 00 00"), errors.propertyTruncated],
  ["string cut by Property Length", withProperties("15 00 02 'a'"), errors.propertyTruncated],
  ["MQTT-1.5.7-1 User Property", withProperties("26 00 01 'k' 00 01 ff"), errors.utf8NotValid],
  ["Authentication Data alone", withProperties("16 00 01 00"), errors.authenticationDataAlone],
  ["past the packet", packet("00 04 'MQTT' 05 02 00 00 7f 00 01 'c'"), errors.propertiesOverrun],
  ["MQTT-1.5.5-1", packet("00 04 'MQTT' 05 02 00 00 80 00 00 01 'c'"), errors.varintOverlong],
  ["fifth byte", packet("00 04 'MQTT' 05 02 00 00 80 80 80 80 00"), errors.varintTooLong],
];

describe("decodeConnect", () => {
  test.each(good)("$name", ({ bytes, connect, whole = [] }) => {
    expect(decodeBoth(decodeConnect, bytes)).toEqual(connect);
    expectTruncationsRefused(decodeConnect, bytes, whole);
  });

  test.each(bad)("refuses %s", (_name, bytes, error) => {
    expectError(decodeBoth(decodeConnect, bytes), error);
    for (let length = 0; length < bytes.length; length++) decodeBoth(decodeConnect, bytes.slice(0, length));
  });

  test.each(good)("trailing byte: $name", ({ bytes }) => {
    expect(isMqttError(decodeConnect(Uint8Array.from([...bytes, 0]), 0, bytes.length + 1))).toBe(true);
  });

  test("copies: the packet's bytes may be overwritten", () => {
    for (const { bytes, connect } of good) {
      const received = Buffer.from(bytes);
      const result = decodeConnect(received, 0, received.length);
      received.fill(0xff);
      expect(result).toEqual(connect);
    }
  });

  test("connectLevel knows how to answer, whatever follows the version", () => {
    expect(connectLevel(packet("00 06 'MQIsdp' 03"), 0, 9)).toBe(3);
    expect(connectLevel(packet("00 04 'MQTT' 04 ff"), 0, 8)).toBe(4);
    expect(connectLevel(packet("00 04 'MQTT' 05"), 0, 7)).toBe(5);
    expect(connectLevel(packet("00 04 'MQTT' 05"), 0, 6)).toBe(0);
    expect(connectLevel(packet("00 04 'MQTT' 06"), 0, 7)).toBe(0);
    expect(connectLevel(packet("00 06 'MQIsdp' 05"), 0, 9)).toBe(0);
  });
});
