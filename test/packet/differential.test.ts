// mqtt-packet as the oracle. What it generates we must read alike, what we encode it must read alike; and
// where the two differ about a mutated packet, the difference must be a row of disagreements.ts.

import { describe, expect, test } from "bun:test";
import { ByteWriter } from "../../src/base/byteWriter.ts";
import {
  encodePublish,
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writeSuback,
  writeUnsuback,
} from "../../src/packet/encode.ts";
import { type ErrorName, errors, isMqttError } from "../../src/packet/error.ts";
import { PacketType } from "../../src/packet/frame.ts";
import type { AckType, ProtocolLevel } from "../../src/packet/protocol.ts";
import { laxer, stricter } from "./disagreements.ts";
import { bothRead, grouped, plain } from "./oracle.ts";
import { randomFields, randomProperties } from "./randomPackets.ts";
import { type Fields, generated, levels, packet, parsed, type Random, seeded } from "./support.ts";

const ROUNDS = 500;
const MUTATIONS = 4_000;

const stricterNames: ReadonlySet<ErrorName> = new Set(stricter.map((row) => row.error));
const laxerRefusals: ReadonlySet<string> = new Set(laxer.map((row) => row.refusal));
const nameOf = new Map(Object.entries(errors).map(([name, error]) => [error, name as ErrorName]));

describe("reads what mqtt-packet generates", () => {
  for (const level of levels) {
    test(
      `level ${level}`,
      seeded((random) => {
        for (let round = 0; round < ROUNDS; round++) {
          const fields = randomFields(random, level);
          const { ours, theirs } = bothRead(level, generated(level, fields));
          if (isMqttError(ours)) throw new Error(`${ours.message}: ${JSON.stringify(fields)}`);
          expect(ours).toEqual(theirs as Fields);
        }
      }),
    );
  }
});

describe("differs from mqtt-packet about broken packets only where the specification says so", () => {
  for (const level of levels) {
    test(
      `level ${level}`,
      seeded((random) => {
        for (let round = 0; round < MUTATIONS; round++) {
          const bytes = mutated(random, generated(level, randomFields(random, level)));
          const difference = unexplained(level, bytes);
          if (difference !== null) throw new Error(`${difference}: ${Buffer.from(bytes).toString("hex")}`);
        }
      }),
    );
  }
});

describe("every disagreement is real", () => {
  test.each(stricter)("we refuse: $error, level $level: $ruling", ({ error, level, bytes }) => {
    const { ours, theirs } = bothRead(level, bytes);
    expect(ours).toBe(errors[error] as unknown as Fields);
    expect(theirs).toBeObject();
  });

  test.each(laxer)("mqtt-packet refuses: $refusal, level $level: $ruling", ({ refusal, level, bytes }) => {
    const { ours, theirs } = bothRead(level, bytes);
    expect(theirs).toBe(refusal);
    expect(isMqttError(ours)).toBe(false);
  });
});

/** null when both agree or a table explains why they do not. */
function unexplained(level: ProtocolLevel, bytes: Uint8Array): string | null {
  const { ours, theirs } = bothRead(level, bytes);
  if (isMqttError(ours)) {
    const name = nameOf.get(ours)!;
    return typeof theirs === "string" || stricterNames.has(name) ? null : `we refuse with ${name}`;
  }
  if (typeof theirs === "string")
    return laxerRefusals.has(theirs) ? null : `mqtt-packet refuses with ${theirs}`;
  return Bun.deepEquals(ours, theirs)
    ? null
    : `read as ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}`;
}

/**
 * One to three changes in the body: a byte set, a bit turned, a byte doubled or gone. The header stays right.
 */
function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  let lengthEnd = 1;
  while (bytes[lengthEnd]! > 127) lengthEnd++;
  const body = [...bytes.slice(lengthEnd + 1)];
  for (let change = random.below(3); change >= 0; change--) {
    const at = random.below(body.length + 1);
    const kind = random.below(4);
    if (kind === 0) body[at] = random.below(256);
    else if (kind === 1) body[at] = (body[at] ?? 0) ^ (1 << random.below(8));
    else if (kind === 2) body.splice(at, 0, body[at] ?? 0);
    else body.splice(at, 1);
  }
  const out = new ByteWriter();
  out.u8(bytes[0]!);
  out.varint(body.length);
  out.raw(Uint8Array.from(body));
  return out.take();
}

describe("mqtt-packet reads what we encode", () => {
  const read = (level: ProtocolLevel, write: (out: ByteWriter) => void): Fields => {
    const out = new ByteWriter();
    write(out);
    const fields = parsed(level, out.take());
    if (typeof fields === "string") throw new Error(fields);
    return fields;
  };
  const ackNames: Record<AckType, string> = {
    [PacketType.Puback]: "puback",
    [PacketType.Pubrec]: "pubrec",
    [PacketType.Pubrel]: "pubrel",
    [PacketType.Pubcomp]: "pubcomp",
  };

  for (const level of levels) {
    test(
      `level ${level}`,
      seeded((random) => {
        for (let round = 0; round < ROUNDS; round++) {
          const id = 1 + random.below(65_535);
          const present = random.chance(2);
          const properties = randomProperties(random, PacketType.Connack);
          const connack = read(level, (out) => writeConnack(out, level, present, 0, properties));
          expect(connack["sessionPresent"]).toBe(level === 3 ? false : present);
          if (level === 5) expect(plain(connack["properties"] ?? {})).toEqual(plain(grouped(properties)));

          const codes = Array.from({ length: 1 + random.below(5) }, () => random.pick([0, 1, 2, 0x80]));
          const suback = read(level, (out) => writeSuback(out, level, id, codes));
          expect(suback).toMatchObject({ cmd: "suback", messageId: id, granted: codes });

          const unsuback = read(level, (out) => writeUnsuback(out, level, id, [0, 0x11]));
          expect(unsuback).toMatchObject({ cmd: "unsuback", messageId: id });
          if (level === 5) expect(unsuback["granted"]).toEqual([0, 0x11]);

          const type = random.pick([
            PacketType.Puback,
            PacketType.Pubrec,
            PacketType.Pubrel,
            PacketType.Pubcomp,
          ]);
          const reason = random.pick(type < PacketType.Pubrel ? [0, 0x10, 0x97] : [0, 0x92]);
          const ack = read(level, (out) => writeAck(out, level, type, id, reason));
          expect(ack).toMatchObject({ cmd: ackNames[type], messageId: id });
          if (level === 5) expect(ack["reasonCode"]).toBe(reason);

          const publish = {
            topic: random.text(20),
            payload: random.bytes(40),
            qos: random.pick([0, 1, 2] as const),
            retain: random.chance(2),
            dup: false,
            packetIdentifier: id,
            properties: packet("02 00 00 00 3c"),
          };
          const { properties: _, packetIdentifier: __, ...shared } = publish;
          const message = read(level, (out) => encodePublish(out, level, publish));
          expect(plain(message)).toMatchObject(plain(shared) as Fields);
          if (publish.qos > 0) expect(message["messageId"]).toBe(id);
          if (level === 5) expect(message["properties"]).toEqual({ messageExpiryInterval: 60 });
        }
      }),
    );
  }

  test(
    "DISCONNECT and AUTH",
    seeded((random) => {
      for (let round = 0; round < ROUNDS; round++) {
        const { sessionExpiryInterval: _, ...properties } = randomProperties(random, PacketType.Disconnect);
        const disconnect = read(5, (out) => writeDisconnect(out, 0x8e, properties));
        expect(disconnect).toMatchObject({ cmd: "disconnect", reasonCode: 0x8e });
        expect(plain(disconnect["properties"] ?? {})).toEqual(plain(grouped(properties)));
        const forAuth = { ...randomProperties(random, PacketType.Auth), authenticationMethod: "M" };
        const auth = read(5, (out) => writeAuth(out, 0x18, forAuth));
        expect(auth).toMatchObject({ cmd: "auth", reasonCode: 0x18 });
        expect(plain(auth["properties"] ?? {})).toEqual(plain(grouped(forAuth)));
      }
    }),
  );
});
