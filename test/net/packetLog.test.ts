// Packet lines: what passes over one connection, in pieces of any size.

import { describe, expect, test } from "bun:test";
import packet from "mqtt-packet";
import type { Logger } from "../../src/base/logger.ts";
import { LogFilter } from "../../src/config/logFilter.ts";
import { PacketLog } from "../../src/net/packetLog.ts";

interface Line {
  readonly rank: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

function packetLog(filterText: string, level: 3 | 4 | 5 = 5) {
  const lines: Line[] = [];
  const keep = (rank: string) => (fields: object, message: string) =>
    void lines.push({ rank, message, fields: fields as Record<string, unknown> });
  const logger: Logger = {
    trace: keep("trace"),
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
    isEnabled: () => true,
  };
  const filter = new LogFilter(filterText);
  const port = {
    least: filter.least,
    rankOf: (fields: Record<string, unknown>) => filter.rankOf(fields),
    rankOfAnyTopic: (fields: Record<string, unknown>) => filter.rankOfAnyTopic(fields),
    watch() {},
  };
  const subject = { level, logFields: () => ({ client_id: "c", connection_id: 7 }) };
  return { log: new PacketLog(logger, port, subject), lines };
}

const generate = (one: packet.Packet, protocolVersion = 5) => packet.generate(one, { protocolVersion });

const stream = Buffer.concat([
  generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 5,
    clientId: "c",
    clean: true,
    keepalive: 1,
    password: Buffer.from("secret"),
    username: "u",
    will: { topic: "w", payload: Buffer.from("secret words"), qos: 1, retain: true },
    properties: { authenticationMethod: "M", authenticationData: Buffer.from("secret data") },
  }),
  generate({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [
      { topic: "a/+", qos: 1 },
      { topic: "b", qos: 0 },
    ],
    properties: { subscriptionIdentifier: 5 },
  }),
  generate({
    cmd: "publish",
    topic: "a/1",
    payload: "x".repeat(5000),
    qos: 1,
    messageId: 9,
    dup: false,
    retain: true,
    properties: { topicAlias: 3 },
  }),
  generate({
    cmd: "publish",
    topic: "",
    payload: "y",
    qos: 0,
    dup: false,
    retain: false,
    properties: { topicAlias: 3 },
  }),
  generate({ cmd: "puback", messageId: 4, reasonCode: 0x97 }),
  generate({ cmd: "pingreq" }),
  generate({ cmd: "disconnect", reasonCode: 4 }),
]);

const expected = [
  {
    packet: "CONNECT",
    protocol_level: 5,
    clean_start: true,
    keep_alive_seconds: 1,
    has_username: true,
    has_password: true,
    will_qos: 1,
    will_retain: true,
  },
  { packet: "SUBSCRIBE", packet_identifier: 1, filters: ["a/+", "b"], requested_qos: [1, 0] },
  {
    packet: "PUBLISH",
    topic: "a/1",
    qos: 1,
    retain: true,
    dup: false,
    packet_identifier: 9,
    topic_alias: 3,
    payload_bytes: 5000,
  },
  { packet: "PUBLISH", topic: "a/1", qos: 0, retain: false, topic_alias: 3, payload_bytes: 1 },
  { packet: "PUBACK", packet_identifier: 4, reason_code: 0x97, reason: "QuotaExceeded" },
  { packet: "PINGREQ", bytes: 2 },
  { packet: "DISCONNECT", reason_code: 4, reason: "DisconnectWithWillMessage" },
];

describe("packet lines", () => {
  test.each([1, 2, 3, 7, 64, 2047, 2048, 2049, stream.length])("in pieces of %p bytes", (size) => {
    const { log, lines } = packetLog("trace");
    for (let at = 0; at < stream.length; at += size)
      log.received(stream, at, Math.min(at + size, stream.length));
    expect(lines.map(({ fields: { packet: name } }) => name)).toEqual(
      expected.map(({ packet: name }) => name),
    );
    for (const [i, fields] of expected.entries()) {
      expect(lines[i]!.fields).toMatchObject({
        ...fields,
        client_id: "c",
        connection_id: 7,
        direction: "in",
      });
    }
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test("are told at debug or trace, and name their direction", () => {
    const { log, lines } = packetLog("trace");
    log.sent(stream, 0, stream.length);
    expect(lines.map(({ rank }) => rank)).toEqual([
      "debug",
      "debug",
      "debug",
      "debug",
      "trace",
      "trace",
      "debug",
    ]);
    expect(lines[2]!.message).toBe("[<] outgoing PUBLISH");
  });

  test.each([4, 5] as const)("a long topic hides neither identifier nor sizes, MQTT %p", (level) => {
    const { log, lines } = packetLog("debug", level);
    for (const length of [1900, 2040, 2048, 3000, 65_000]) {
      const topic = "t".repeat(length);
      const publish = generate(
        { cmd: "publish", topic, payload: "x".repeat(3000), qos: 1, messageId: 7, dup: true, retain: false },
        level,
      );
      for (let at = 0; at < publish.length; at += 700)
        log.received(publish, at, Math.min(at + 700, publish.length));
      const { fields } = lines.pop()!;
      expect(fields).toMatchObject({ packet_identifier: 7, payload_bytes: 3000, bytes: publish.length });
      expect(fields["topic"]).toBe(topic.slice(0, 2048));
    }
  });

  test("an answer without a Reason Code has the one that it means", () => {
    const { log, lines } = packetLog("trace");
    log.received(Buffer.from("40020007" + "e000", "hex"), 0, 6);
    expect(lines.map(({ fields: { reason_code: code, reason } }) => [code, reason])).toEqual([
      [0, "Success"],
      [0, "NormalDisconnection"],
    ]);
  });

  test("of a topic alone", () => {
    const { log, lines } = packetLog("info,[{topic=a/+}]=debug");
    log.received(stream, 0, stream.length);
    expect(lines.map(({ fields: { packet: name } }) => name)).toEqual(["PUBLISH", "PUBLISH"]);
  });

  test("a malformed length ends them", () => {
    const { log, lines } = packetLog("trace");
    log.received(Buffer.from("c000ffffffffffc000", "hex"), 0, 9);
    expect(lines).toHaveLength(1);
  });

  test("what was granted and refused has its names", () => {
    const v5 = packetLog("debug");
    const suback = generate({
      cmd: "suback",
      messageId: 3,
      granted: [0, 1, 0x87],
      properties: { reasonString: "no" },
    });
    v5.log.sent(suback, 0, suback.length);
    expect(v5.lines[0]!.fields).toMatchObject({
      packet: "SUBACK",
      packet_identifier: 3,
      reason_codes: [0, 1, 0x87],
      reasons: ["GrantedQoS0", "GrantedQoS1", "NotAuthorized"],
    });
    const v4 = packetLog("debug", 4);
    v4.log.sent(Buffer.from([0x90, 4, 0, 7, 0, 0x80]), 0, 6);
    expect(v4.lines[0]!.fields).toMatchObject({
      reason_codes: [0, 0x80],
      reasons: ["GrantedQoS0", "Failure"],
    });
    v4.log.sent(Buffer.from([0xb0, 2, 0, 7]), 0, 4);
    expect(v4.lines[1]!.fields).not.toHaveProperty("reason_codes");
  });

  test("CONNACK of each version", () => {
    const v5 = packetLog("debug");
    const connack = generate({ cmd: "connack", reasonCode: 0x87, sessionPresent: false });
    v5.log.sent(connack, 0, connack.length);
    expect(v5.lines[0]!.fields).toMatchObject({
      packet: "CONNACK",
      session_present: false,
      reason_code: 0x87,
    });
    const v4 = packetLog("debug", 4);
    v4.log.sent(Buffer.from([0x20, 2, 1, 0]), 0, 4);
    v4.log.sent(Buffer.from([0x20, 2, 0, 5]), 0, 4);
    expect(v4.lines.map(({ fields }) => fields)).toMatchObject([
      { session_present: true, return_code: 0, reason: "Accepted" },
      { session_present: false, return_code: 5, reason: "NotAuthorized" },
    ]);
  });
});
