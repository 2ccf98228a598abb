import { describe, expect, test } from "bun:test";
import { errors, type MqttError } from "../../src/packet/error.ts";
import type { ProtocolLevel, QoS } from "../../src/packet/protocol.ts";
import {
  decodeSubscribe,
  decodeUnsubscribe,
  type Subscribe,
  type SubscribeEntry,
  type Unsubscribe,
} from "../../src/packet/subscribe.ts";
import { type Decode, decodeBoth, expectError, expectTruncationsRefused, packet } from "./support.ts";

const subscribe =
  (level: ProtocolLevel): Decode<Subscribe> =>
  (bytes, at, end) =>
    decodeSubscribe(level, bytes, at, end);
const unsubscribe =
  (level: ProtocolLevel): Decode<Unsubscribe> =>
  (bytes, at, end) =>
    decodeUnsubscribe(level, bytes, at, end);

const entry = (filter: string, qos: QoS, more: Partial<SubscribeEntry> = {}): SubscribeEntry => ({
  filter,
  qos,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  ...more,
});

interface Good {
  name: string;
  level: ProtocolLevel;
  bytes: Uint8Array;
  result: Subscribe;
  whole?: number[];
}

const good: Good[] = [
  {
    name: "MQTT 3.1.1, two filters",
    level: 4,
    bytes: packet(
      "00 0a", // Packet Identifier 10
      "00 03 'a/b' 01",
      "00 03 'c/#' 02",
    ),
    result: { packetIdentifier: 10, subscriptionIdentifier: 0, entries: [entry("a/b", 1), entry("c/#", 2)] },
    whole: [8], // the first filter alone
  },
  {
    name: "MQTT 3.1",
    level: 3,
    bytes: packet("ff ff 00 01 '#' 00"),
    result: { packetIdentifier: 65_535, subscriptionIdentifier: 0, entries: [entry("#", 0)] },
  },
  {
    name: "MQTT 5, identifier, User Property, all options",
    level: 5,
    bytes: packet(
      "00 01",
      "0c", // Property Length 12
      "26 00 01 'k' 00 01 'v'",
      "0b ff ff ff 7f", // Subscription Identifier 268,435,455
      "00 01 'a' 2d", // Retain Handling 2, Retain As Published, No Local, QoS 1
      "00 0a '$share/g/a' 18", // Retain Handling 1, Retain As Published
    ),
    result: {
      packetIdentifier: 1,
      subscriptionIdentifier: 268_435_455,
      entries: [
        entry("a", 1, { retainHandling: 2, retainAsPublished: true, noLocal: true }),
        entry("$share/g/a", 0, { retainHandling: 1, retainAsPublished: true }),
      ],
    },
    whole: [19],
  },
];

const bad: [name: string, level: ProtocolLevel, bytes: Uint8Array, error: MqttError][] = [
  ["[MQTT-2.2.1-3] identifier 0", 4, packet("00 00 00 01 'a' 00"), errors.packetIdentifierZero],
  ["[MQTT-3.8.3-2] no filter", 4, packet("00 01"), errors.subscribeEmpty],
  ["[MQTT-3.8.3-2] no filter", 5, packet("00 01 00"), errors.subscribeEmpty],
  ["[MQTT-3.8.3-1] ill-formed filter", 4, packet("00 01 00 01 ff 00"), errors.utf8NotValid],
  ["[MQTT-1.5.4-2] U+0000 in a filter", 5, packet("00 01 00 00 02 'a' 00 00"), errors.utf8Null],
  ["[MQTT-3.8.3-5] reserved bit 6", 5, packet("00 01 00 00 01 'a' 40"), errors.subscribeReservedBits],
  ["[MQTT-3.8.3-5] reserved bit 7", 5, packet("00 01 00 00 01 'a' 80"), errors.subscribeReservedBits],
  ["[3.1.1:MQTT-3.8.3-4] No Local", 4, packet("00 01 00 01 'a' 04"), errors.subscribeReservedBits],
  ["[3.1.1:MQTT-3.8.3-4] QoS 3", 4, packet("00 01 00 01 'a' 03"), errors.subscribeQosOutOfRange],
  ["QoS 3", 5, packet("00 01 00 00 01 'a' 03"), errors.subscribeQosOutOfRange],
  ["Retain Handling 3", 5, packet("00 01 00 00 01 'a' 30"), errors.retainHandlingOutOfRange],
  ["[MQTT-3.8.3-4] No Local, shared", 5, packet("00 01 00 00 0a '$share/g/a' 04"), errors.noLocalOnShared],
  ["Subscription Identifier 0", 5, packet("00 01 02 0b 00 00 01 'a' 00"), errors.subscriptionIdentifierZero],
  ["Subscription Identifier twice", 5, packet("00 01 04 0b 01 0b 02 00 01 'a' 00"), errors.propertyRepeated],
  ["Subscription Identifier cut", 5, packet("00 01 02 0b 80 00 01 'a' 00"), errors.propertyTruncated],
  ["Reason String", 5, packet("00 01 03 1f 00 00 00 01 'a' 00"), errors.propertyNotAllowed],
  ["filter without options", 4, packet("00 01 00 01 'a'"), errors.truncated],
  ["second filter cut", 4, packet("00 01 00 01 'a' 00 00"), errors.truncated],
];

describe("decodeSubscribe", () => {
  test.each(good)("$name", ({ level, bytes, result, whole = [] }) => {
    expect(decodeBoth(subscribe(level), bytes)).toEqual(result);
    expectTruncationsRefused(subscribe(level), bytes, whole);
  });

  test.each(bad)("refuses %s, level %i", (_name, level, bytes, error) => {
    expectError(decodeBoth(subscribe(level), bytes), error);
    for (let length = 0; length < bytes.length; length++)
      decodeBoth(subscribe(level), bytes.slice(0, length));
  });
});

describe("decodeUnsubscribe", () => {
  test("two filters, levels 3 and 4", () => {
    const bytes = packet("00 0a", "00 03 'a/b'", "00 00");
    for (const level of [3, 4] as const) {
      const result = { packetIdentifier: 10, filters: ["a/b", ""] };
      expect(decodeBoth(unsubscribe(level), bytes)).toEqual(result);
      expectTruncationsRefused(unsubscribe(level), bytes, [7]);
    }
  });

  test("MQTT 5 with a User Property", () => {
    const bytes = packet("00 0a", "07 26 00 01 'k' 00 01 'v'", "00 03 'a/b'");
    expect(decodeBoth(unsubscribe(5), bytes)).toEqual({ packetIdentifier: 10, filters: ["a/b"] });
    expectTruncationsRefused(unsubscribe(5), bytes);
  });

  test.each([
    ["[MQTT-2.2.1-3] identifier 0", 4, packet("00 00 00 01 'a'"), errors.packetIdentifierZero],
    ["[MQTT-3.10.3-2] no filter", 4, packet("00 01"), errors.unsubscribeEmpty],
    ["[MQTT-3.10.3-2] no filter", 5, packet("00 01 00"), errors.unsubscribeEmpty],
    ["[MQTT-3.10.3-1] ill-formed filter", 4, packet("00 01 00 01 ff"), errors.utf8NotValid],
    ["Subscription Identifier", 5, packet("00 01 02 0b 01 00 01 'a'"), errors.propertyNotAllowed],
  ] as const)("refuses %s, level %i", (_name, level, bytes, error) => {
    expectError(decodeBoth(unsubscribe(level), bytes), error);
  });
});
