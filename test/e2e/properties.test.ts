// MQTT 5 properties, §2.2.2 and §3.3.2.3: forwarded unaltered and in order; refused where they do not belong.

import { expect } from "bun:test";
import { binary, bytes, frame, hex, Property, properties, u16, u32, utf8, varint } from "../support/bytes.ts";
import { wireSuite } from "../support/suite.ts";
import type { WireClient } from "../support/wireClient.ts";

const wire = wireSuite();

/** The properties of a received PUBLISH as they stand on the wire, Topic Name and payload cut off. */
function wireProperties(raw: Uint8Array): string {
  let at = 1;
  while (((raw[at] ?? 0) & 0x80) !== 0) at += 1;
  at += 1;
  at += 2 + (raw[at] ?? 0) * 256 + (raw[at + 1] ?? 0);
  if (((raw[0] ?? 0) & 0x06) !== 0) at += 2;
  let length = 0;
  let shift = 0;
  for (let more = true; more; at++) {
    const byte = raw[at] ?? 0;
    length += (byte & 0x7f) << shift;
    shift += 7;
    more = (byte & 0x80) !== 0;
  }
  return Buffer.from(raw.subarray(at, at + length)).toString("hex");
}

function userProperty(key: string, value: string): Uint8Array {
  return bytes(Property.userProperty, utf8(key), utf8(value));
}

const userProperties = bytes(
  userProperty("z", "last letter first"),
  userProperty("a", "1"),
  userProperty("z", "again"),
  userProperty("", ""),
  userProperty("a", "2"),
  userProperty("ключ", "значение 😀"),
);

for (const qos of [0, 1, 2] as const) {
  wire(
    `v5 [MQTT-3.3.2-17] [MQTT-3.3.2-18]: User Properties arrive unaltered and in order, at QoS ${qos}`,
    async ({ client, name }) => {
      const topic = name("user");
      const subscriber = await client(5);
      await subscriber.subscribe(topic, { qos });
      const publisher = await client(5);
      await publisher.send(
        frame(
          0x30 | (qos << 1),
          utf8(topic),
          qos === 0 ? bytes() : u16(9),
          properties(userProperties),
          hex("ff00"),
        ),
      );
      if (qos === 1) await publisher.expect("puback", { messageId: 9 });
      if (qos === 2) {
        await publisher.expect("pubrec", { messageId: 9 });
        await publisher.send({ cmd: "pubrel", messageId: 9 });
      }
      const packet = await subscriber.receive({ qos });
      expect(wireProperties(packet.raw)).toBe(Buffer.from(userProperties).toString("hex"));
      expect(Buffer.from(packet.payload).toString("hex")).toBe("ff00");
    },
  );
}

for (const retain of [false, true]) {
  wire(
    `v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]: every forwarded property unaltered (${retain ? "retained" : "live"})`,
    async ({ client, name }) => {
      const topic = name("all");
      const all = {
        payloadFormatIndicator: true,
        contentType: "application/x-ünusual",
        responseTopic: "reply/to/me",
        correlationData: Buffer.from([0, 255, 1, 254]),
        userProperties: { k: ["v", "w"], other: "x" },
      };
      const subscriber = await client(5);
      const publisher = await client(5);
      if (!retain) await subscriber.subscribe(topic, { qos: 1 });
      await publisher.publish(topic, "text", { qos: 1, retain, properties: all });
      if (retain) await subscriber.subscribe(topic, { qos: 1 });
      const packet = await subscriber.receive({ payload: "text" });
      expect(packet.properties).toMatchObject(all);
      expect(Object.keys(packet.properties ?? {}).sort()).toEqual(Object.keys(all).sort());
    },
  );
}

wire("v5 [MQTT-3.3.2-4]: Payload Format Indicator 0 and absent both mean bytes", async ({ client, name }) => {
  const topic = name("format");
  const subscriber = await client(5);
  await subscriber.subscribe(topic);
  const publisher = await client(5);
  for (const indicator of [0, 1]) {
    await publisher.send(frame(0x30, utf8(topic), properties(Property.payloadFormat, indicator), 0x78));
    const packet = await subscriber.receive({ payload: "x" });
    expect(wireProperties(packet.raw)).toBe(`010${indicator}`);
  }
});

wire("v5: large User Properties and Correlation Data pass", async ({ client, name }) => {
  const topic = name("large");
  const subscriber = await client(5);
  await subscriber.subscribe(topic);
  const publisher = await client(5);
  const large = bytes(
    userProperty("k".repeat(65_535), "v".repeat(65_535)),
    Property.correlationData,
    binary("c".repeat(65_535)),
  );
  await publisher.send(frame(0x30, utf8(topic), properties(large), 0x78));
  const packet = await subscriber.receive({ payload: "x" });
  expect(packet.properties?.correlationData?.length).toBe(65_535);
  expect(Object.values(packet.properties?.userProperties ?? {})).toEqual(["v".repeat(65_535)]);
});

wire("MQTT 5 properties stay behind when a 3.1.1 client receives", async ({ client, name }) => {
  const topic = name("downgrade");
  const subscriber = await client(4);
  await subscriber.subscribe(topic, { qos: 1 });
  const publisher = await client(5);
  await publisher.publish(topic, "text", {
    qos: 1,
    properties: { contentType: "text/plain", userProperties: { a: "b" }, messageExpiryInterval: 100 },
  });
  const packet = await subscriber.receive({ payload: "text", qos: 1 });
  expect(packet.raw.length).toBe(2 + 2 + topic.length + 2 + 4);
});

wire("v5 [MQTT-3.3.2-6]: a message that did not wait keeps its expiry", async ({ client, name }) => {
  const topic = name("expiry");
  const subscriber = await client(5);
  await subscriber.subscribe(topic);
  const publisher = await client(5);
  for (const messageExpiryInterval of [1, 100, 0xffffffff]) {
    await publisher.publish(topic, "x", { properties: { messageExpiryInterval } });
    const packet = await subscriber.receive();
    const left = packet.properties?.messageExpiryInterval ?? -1;
    expect(left).toBeLessThanOrEqual(messageExpiryInterval);
    expect(left).toBeGreaterThanOrEqual(messageExpiryInterval - 1);
  }
});

interface Refused {
  readonly what: string;
  readonly packet: Uint8Array;
  readonly codes: readonly number[];
}

function publish(...props: readonly (number | Uint8Array)[]): Uint8Array {
  return frame(0x30, utf8("t"), properties(...props), 0x78);
}

const illFormed = hex("61 c3 28");
const alias = bytes(Property.topicAlias, u16(1));

const refused: readonly Refused[] = [
  ...(
    [
      ["Payload Format Indicator", bytes(Property.payloadFormat, 1)],
      ["Message Expiry Interval", bytes(Property.messageExpiry, u32(9))],
      ["Content Type", bytes(Property.contentType, utf8("c"))],
      ["Response Topic", bytes(Property.responseTopic, utf8("r"))],
      ["Correlation Data", bytes(Property.correlationData, binary("c"))],
      ["Topic Alias", alias],
    ] as const
  ).map(([what, one]) => ({
    what: `v5 [MQTT-4.13.1-1]: ${what} twice in PUBLISH`,
    packet: publish(one, one),
    codes: [0x82],
  })),
  ...(
    [
      ["Session Expiry Interval", bytes(Property.sessionExpiry, u32(1))],
      ["Receive Maximum", bytes(Property.receiveMaximum, u16(1))],
      ["Reason String", bytes(Property.reasonString, utf8("r"))],
      ["Will Delay Interval", bytes(Property.willDelay, u32(1))],
      ["Authentication Method", bytes(Property.authenticationMethod, utf8("m"))],
      ["Server Keep Alive", bytes(Property.serverKeepAlive, u16(1))],
    ] as const
  ).map(([what, one]) => ({
    what: `v5 [MQTT-4.13.1-1]: ${what} in PUBLISH`,
    packet: publish(one),
    codes: [0x81, 0x82],
  })),
  {
    what: "v5 [MQTT-4.13.1-1]: Topic Alias in SUBSCRIBE",
    packet: frame(0x82, u16(1), properties(alias), utf8("t"), 0),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Subscription Identifier in UNSUBSCRIBE",
    packet: frame(0xa2, u16(1), properties(Property.subscriptionIdentifier, varint(1)), utf8("t")),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Content Type in PUBACK",
    packet: frame(0x40, u16(1), 0, properties(Property.contentType, utf8("c"))),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Reason String twice in PUBREL",
    packet: frame(
      0x62,
      u16(1),
      0,
      properties(Property.reasonString, utf8("a"), Property.reasonString, utf8("b")),
    ),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Receive Maximum in DISCONNECT",
    packet: frame(0xe0, 0, properties(Property.receiveMaximum, u16(1))),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Session Expiry Interval twice in DISCONNECT",
    packet: frame(0xe0, 0, properties(Property.sessionExpiry, u32(0), Property.sessionExpiry, u32(0))),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: an unknown property in PUBLISH",
    packet: publish(0x04, 0x00),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a property identifier of two bytes that is unknown",
    packet: publish(0xa3, 0x01, u16(1)),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Payload Format Indicator 2",
    packet: publish(Property.payloadFormat, 2),
    codes: [0x81, 0x82, 0x99],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Property Length beyond the packet",
    packet: frame(0x30, utf8("t"), 0x20, alias),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a property cut by the Property Length",
    packet: publish(Property.messageExpiry, 0, 0),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a string property beyond the Property Length",
    packet: frame(0x30, utf8("t"), 4, Property.contentType, u16(9), 0x61, 0x61, 0x61, 0x61),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-2.2.2-1]: PUBLISH without a Property Length",
    packet: frame(0x30, utf8("t")),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-1.5.5-1]: a Property Length with a needless byte",
    packet: frame(0x30, utf8("t"), 0x80, 0x00, 0x78),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-3.3.2-13]: ill-formed Response Topic",
    packet: publish(Property.responseTopic, utf8(illFormed)),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-3.3.2-14]: wildcard in the Response Topic",
    packet: publish(Property.responseTopic, utf8("a/+")),
    codes: [0x81, 0x82, 0x90],
  },
  {
    what: "v5 [MQTT-3.3.2-19]: ill-formed Content Type",
    packet: publish(Property.contentType, utf8(illFormed)),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-1.5.7-1] [MQTT-1.5.4-1]: ill-formed User Property key",
    packet: publish(Property.userProperty, utf8(illFormed), utf8("v")),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-1.5.7-1] [MQTT-1.5.4-2]: U+0000 in a User Property value",
    packet: publish(Property.userProperty, utf8("k"), utf8(Uint8Array.of(0))),
    codes: [0x81],
  },
];

for (const { what, packet, codes } of refused) {
  for (const split of [false, true]) {
    wire(`${what}: refused${split ? ", byte by byte" : ""}`, async ({ client }) => {
      const odd = await client(5);
      odd.split = split;
      await odd.send(packet);
      await odd.expectDisconnected(codes);
    });
  }
}

wire(
  "v5 [MQTT-3.1.2-29]: without Request Problem Information no texts come with acknowledgements",
  async ({ client, name }) => {
    const quiet = await client(5, { properties: { requestProblemInformation: false } });
    const answers = [];
    await quiet.send(
      quiet.subscribePacket([name("good"), "bad#"]),
      { cmd: "unsubscribe", messageId: 900, unsubscriptions: ["never"] },
      quiet.publishPacket(name("void"), "x", { qos: 1, messageId: 901 }),
      quiet.publishPacket(name("void"), "x", { qos: 2, messageId: 902 }),
      { cmd: "pubrel", messageId: 903 },
    );
    for (let index = 0; index < 5; index++) answers.push(await quiet.next());
    for (const answer of answers) {
      const given = "properties" in answer ? answer.properties : undefined;
      expect(given ?? {}).not.toHaveProperty("reasonString");
      expect(given ?? {}).not.toHaveProperty("userProperties");
    }
  },
);

async function serverDisconnect(victim: WireClient): Promise<Record<string, unknown>> {
  const packet = await victim.expect("disconnect");
  return { ...packet.properties };
}

wire(
  "v5 [MQTT-3.14.2-2] [MQTT-3.14.2-1]: the broker's DISCONNECT names no Session Expiry Interval",
  async ({ client, name }) => {
    const clientId = name("victim");
    const victim = await client(5, { clientId, properties: { sessionExpiryInterval: 100 } });
    await client(5, { clientId });
    expect(await serverDisconnect(victim)).not.toHaveProperty("sessionExpiryInterval");
    const violator = await client(5, { properties: { sessionExpiryInterval: 100 } });
    await violator.send(hex("f000"));
    expect(await serverDisconnect(violator)).not.toHaveProperty("sessionExpiryInterval");
  },
);
