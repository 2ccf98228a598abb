// The CONNECT that mqtt-packet does not make: a password without a user name, byte for byte but for that one field.

import { expect, test } from "bun:test";
import { generate, type IConnectPacket, parser } from "mqtt-packet";
import { encode } from "../../src/cli/mqtt/encode.ts";

const packet: IConnectPacket = {
  cmd: "connect",
  protocolId: "MQTT",
  protocolVersion: 5,
  clientId: "me",
  clean: true,
  keepalive: 60,
};

function decoded(bytes: Buffer): unknown {
  let result: unknown;
  const codec = parser({ protocolVersion: 5 });
  codec.on("packet", (found) => {
    result = found;
  });
  codec.parse(bytes);
  return result;
}

test("§3.1.2.9 a password without a user name", () => {
  const will = { topic: "gone", payload: Buffer.from("x"), qos: 1, retain: true } as const;
  for (const length of [0, 1, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 200, 20_000]) {
    for (const more of [{}, { will }]) {
      const password = Buffer.alloc(length, 0x70);
      const bytes = encode({ ...packet, ...more, password }, 5);
      expect(decoded(bytes)).toMatchObject({ clientId: "me", password, ...more });
      expect(decoded(bytes)).not.toHaveProperty("username");
      const header = Buffer.from(bytes);
      expect(header.indexOf("MQTT") - 2 + (decoded(bytes) as { length: number }).length).toBe(bytes.length);
    }
  }
});

test("all else is mqtt-packet's", () => {
  for (const more of [{}, { username: "a" }, { username: "a", password: Buffer.from("b") }])
    expect(encode({ ...packet, ...more }, 5)).toEqual(
      generate({ ...packet, ...more }, { protocolVersion: 5 }),
    );
});
