import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { errors, type MqttError } from "../../src/packet/error.ts";
import {
  newPublishSpans,
  type PublishSpans,
  publishPropertyError,
  scanPublishProperties,
} from "../../src/packet/publishProperties.ts";
import { type Decode, decodeBoth, expectError, expectTruncationsRefused, packet } from "./support.ts";

/** Positions relative to the Property Length; the payload's position as well. */
const scan: Decode<PublishSpans & { payloadAt: number }> = (bytes, at, end) => {
  const spans = newPublishSpans();
  const payloadAt = scanPublishProperties(bytes, at, end, spans);
  if (payloadAt < 0) return publishPropertyError(payloadAt);
  const relative = (position: number) => (position < 0 ? position : position - at);
  return {
    ...spans,
    propertiesAt: relative(spans.propertiesAt),
    propertiesEnd: relative(spans.propertiesEnd),
    expiryAt: relative(spans.expiryAt),
    aliasAt: relative(spans.aliasAt),
    payloadAt: relative(payloadAt),
  };
};

const everything = packet(
  "26", // Property Length 38
  "26 00 01 'k' 00 01 'v'", // User Property
  "02 00 00 00 3c", // Message Expiry Interval 60, its value at 9
  "23 00 07", // Topic Alias 7 at 13
  "01 01", // Payload Format Indicator
  "03 00 02 'ct'", // Content Type
  "08 00 03 'r/t'", // Response Topic
  "09 00 02 00 ff", // Correlation Data
  "26 00 00 00 00", // User Property
);

const bad: [name: string, bytes: Uint8Array, error: MqttError][] = [
  ["no Property Length", packet(""), errors.truncated],
  ["past the packet", packet("03 23 00"), errors.propertiesOverrun],
  ["[MQTT-1.5.5-1]", packet("80 00"), errors.varintOverlong],
  ["[MQTT-3.3.4-6]", packet("02 0b 01"), errors.subscriptionIdentifierInPublish],
  ["[MQTT-3.3.2-8]", packet("03 23 00 00"), errors.topicAliasZero],
  ["Topic Alias twice", packet("06 23 00 01 23 00 01"), errors.propertyRepeated],
  ["Message Expiry Interval twice", packet("0a 02 00 00 00 01 02 00 00 00 01"), errors.propertyRepeated],
  ["Payload Format Indicator 2", packet("02 01 02"), errors.propertyOutOfRange],
  ["[MQTT-3.3.2-14] +", packet("06 08 00 03 'a/+'"), errors.responseTopicWildcard],
  ["[MQTT-3.3.2-14] #", packet("04 08 00 01 '#'"), errors.responseTopicWildcard],
  ["[MQTT-3.3.2-13]", packet("04 08 00 01 ff"), errors.utf8NotValid],
  ["[MQTT-3.3.2-19]", packet("05 03 00 02 c3 28"), errors.utf8NotValid],
  ["[MQTT-1.5.4-2] User Property", packet("06 26 00 01 00 00 00"), errors.utf8Null],
  ["Receive Maximum", packet("03 21 00 01"), errors.propertyNotAllowed],
  ["Will Delay Interval", packet("05 18 00 00 00 01"), errors.propertyNotAllowed],
  ["value cut by Property Length", packet("02 23 00 01"), errors.propertyTruncated],
  ["string cut by Property Length", packet("03 03 00 01 'a'"), errors.propertyTruncated],
  ["second string of a pair cut", packet("05 26 00 01 'k' 00 00"), errors.propertyTruncated],
];

describe("scanPublishProperties", () => {
  test("no properties", () => {
    expect(decodeBoth(scan, packet("00 'payload'"))).toEqual({
      ...newPublishSpans(),
      propertiesAt: 1,
      propertiesEnd: 1,
      payloadAt: 1,
    });
  });

  test("all properties of a client's PUBLISH", () => {
    expect(decodeBoth(scan, everything)).toEqual({
      propertiesAt: 1,
      propertiesEnd: 39,
      expiryAt: 9,
      expirySeconds: 60,
      aliasAt: 13,
      topicAlias: 7,
      payloadFormat: 1,
      payloadAt: 39,
    });
    expectTruncationsRefused(scan, everything);
  });

  test("two-byte Property Length", () => {
    const value = "61 ".repeat(200);
    const bytes = packet("ce 01 26 00 01 'k' 00 c8", value);
    expect(decodeBoth(scan, bytes)).toMatchObject({ propertiesAt: 2, propertiesEnd: 208, payloadAt: 208 });
    expectTruncationsRefused(scan, bytes);
  });

  test("what one PUBLISH had does not stay for the next", () => {
    const spans = newPublishSpans();
    expect(scanPublishProperties(everything, 0, 39, spans)).toBe(39);
    expect(scanPublishProperties(packet("00"), 0, 1, spans)).toBe(1);
    expect(spans).toEqual({ ...newPublishSpans(), propertiesAt: 1, propertiesEnd: 1 });
    expect(scanPublishProperties(packet("03 23 00 02"), 0, 4, spans)).toBe(4);
    expect(spans).toMatchObject({ topicAlias: 2, aliasAt: 1, expiryAt: -1, payloadFormat: -1 });
  });

  test.each(bad)("refuses %s", (_name, bytes, error) => {
    expectError(decodeBoth(scan, bytes), error);
    for (let length = 0; length < bytes.length; length++) decodeBoth(scan, bytes.slice(0, length));
  });

  test("allocates nothing, good or bad", () => {
    const spans = newPublishSpans();
    const broken = packet("03 23 00 00");
    const run = () => {
      for (let i = 0; i < 10_000; i++) {
        scanPublishProperties(everything, 0, 39, spans);
        scanPublishProperties(broken, 0, 4, spans);
      }
    };
    run();
    const before = heapStats().objectCount;
    run();
    expect(heapStats().objectCount - before).toBeLessThan(1_000);
  });
});
