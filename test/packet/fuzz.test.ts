// Random and mutated bytes at every decoder: never an exception, never a look outside of [at, end), always
// the same verdict wherever the packet stands.

import { expect, test } from "bun:test";
import { connectLevel, decodeConnect } from "../../src/packet/connect.ts";
import { isMqttError } from "../../src/packet/error.ts";
import { newPublishSpans, scanPublishProperties } from "../../src/packet/publishProperties.ts";
import { readBody } from "./oracle.ts";
import { randomFields } from "./randomPackets.ts";
import { bodyOf, generated, levels, type Random, seeded } from "./support.ts";

const ROUNDS = 4_000;
const CLIENT_TYPES = [0x10, 0x40, 0x50, 0x60, 0x70, 0x80, 0xa0, 0xe0, 0xf0];
const PADDING = 4;

/** Property identifiers, small lengths and UTF-8 lead bytes are likelier than chance has them. */
function noise(random: Random): Buffer {
  const bytes = random.bytes(60);
  for (let i = 0; i < bytes.length; i++) {
    if (random.chance(2))
      bytes[i] = random.pick([0, 0, 1, 2, 3, 8, 11, 17, 33, 35, 38, 0x7f, 0x80, 0xc3, 0xed]);
  }
  return bytes;
}

function padded(random: Random, body: Uint8Array): Buffer {
  const around = () => Buffer.from(Array.from({ length: PADDING }, () => random.below(256)));
  return Buffer.concat([around(), body, around()]);
}

test(
  "random bytes",
  seeded((random) => {
    for (let round = 0; round < ROUNDS; round++) {
      const body = noise(random);
      const within = padded(random, body);
      const end = PADDING + body.length;
      for (const level of levels) {
        for (const type of CLIENT_TYPES) {
          expect(readBody(level, type, within, PADDING, end)).toEqual(
            readBody(level, type, body, 0, body.length),
          );
        }
      }
      connectLevel(within, PADDING, end);
    }
  }),
);

test(
  "well-formed packets with one to four bytes changed, then cut",
  seeded((random) => {
    for (let round = 0; round < ROUNDS; round++) {
      const level = random.pick(levels);
      const bytes = Buffer.from(generated(level, randomFields(random, level)));
      const at = bodyOf(bytes);
      const body = bytes.subarray(at);
      for (let change = random.below(4); change >= 0 && body.length > 0; change--) {
        body[random.below(body.length)] = random.below(256);
      }
      const end = body.length - (random.chance(2) ? random.below(body.length + 1) : 0);
      const type = bytes[0]! & 0xf0;
      const alone = readBody(level, type, body.subarray(0, end), 0, end);
      expect(readBody(level, type, padded(random, body.subarray(0, end)), PADDING, PADDING + end)).toEqual(
        alone,
      );
    }
  }),
);

test(
  "a CONNECT that is read has a level to answer in",
  seeded((random) => {
    for (let round = 0; round < ROUNDS; round++) {
      const level = random.pick(levels);
      const bytes = Buffer.from(
        generated(level, { ...randomFields(random, level), ...connectFields(level) }),
      );
      bytes[random.below(bytes.length)] = random.below(256);
      const connect = decodeConnect(bytes, 2, bytes.length);
      if (!isMqttError(connect)) expect(connectLevel(bytes, 2, bytes.length)).toBe(connect.level);
    }
  }),
);

function connectFields(level: number): Record<string, unknown> {
  const protocolId = level === 3 ? "MQIsdp" : "MQTT";
  return {
    cmd: "connect",
    protocolId,
    protocolVersion: level,
    clientId: "c",
    clean: true,
    properties: undefined,
  };
}

test(
  "PUBLISH properties: the payload begins inside the packet or the result is negative",
  seeded((random) => {
    const spans = newPublishSpans();
    for (let round = 0; round < ROUNDS * 4; round++) {
      const body = noise(random);
      if (body.length > 0 && random.chance(2)) body[0] = random.below(body.length);
      const within = padded(random, body);
      const end = PADDING + body.length;
      const payloadAt = scanPublishProperties(within, PADDING, end, spans);
      if (payloadAt < 0) continue;
      expect(payloadAt).toBeLessThanOrEqual(end);
      expect(spans.propertiesEnd).toBe(payloadAt);
      expect(spans.propertiesAt).toBeGreaterThan(PADDING);
      if (spans.expiryAt >= 0) expect(within.readUInt32BE(spans.expiryAt)).toBe(spans.expirySeconds);
      if (spans.aliasAt >= 0) expect(within.readUInt16BE(spans.aliasAt + 1)).toBe(spans.topicAlias);
    }
  }),
);
