// What a listener may limit, §3.2.2.3: told in CONNACK and enforced.

import { expect } from "bun:test";
import { bytes, frame, properties, rawConnect, u16, utf8 } from "../support/bytes.ts";
import { wireSuite } from "../support/suite.ts";
import type { WireClient } from "../support/wireClient.ts";

const wire = wireSuite({
  listener: {
    packetBytesMax: 5_000,
    payloadBytesMax: 4_000,
    receiveMaximum: 3,
    topicAliasMaximum: 7,
    qosMax: 1,
    retainAvailable: false,
    wildcardAvailable: false,
    sharedAvailable: false,
    identifiersAvailable: false,
    keepAliveMax: 90,
    sessionExpiryMax: 120,
  },
});
const wireQos0 = wireSuite({ listener: { qosMax: 0 } });
const wireOpen = wireSuite({
  listener: { receiveMaximum: 3, packetBytesMax: 5_000, payloadBytesMax: 4_000 },
});
const DELAY_MS = 400;
const wireDelayed = wireSuite({ listener: { nextConnectionDelayMs: DELAY_MS, connectTimeoutMs: 600 } });

wire("v5 [MQTT-3.2.2-9]: CONNACK tells every limit", async ({ open, name }) => {
  const client = await open(5);
  const connack = await client.connect({
    clientId: name("told"),
    keepalive: 600,
    properties: { sessionExpiryInterval: 0xffffffff },
  });
  expect(connack.properties).toMatchObject({
    maximumQoS: 1,
    retainAvailable: false,
    wildcardSubscriptionAvailable: false,
    sharedSubscriptionAvailable: false,
    subscriptionIdentifiersAvailable: false,
    maximumPacketSize: 5_000,
    receiveMaximum: 3,
    topicAliasMaximum: 7,
    serverKeepAlive: 90,
    sessionExpiryInterval: 120,
  });
});

wireOpen("CONNACK does not deny what is available", async ({ open, name }) => {
  const client = await open(5);
  const { properties: told = {} } = await client.connect({
    clientId: name("open"),
    keepalive: 30,
    properties: { sessionExpiryInterval: 50 },
  });
  expect(told.maximumQoS ?? 2).toBe(2);
  for (const available of [
    told.retainAvailable,
    told.wildcardSubscriptionAvailable,
    told.sharedSubscriptionAvailable,
    told.subscriptionIdentifiersAvailable,
  ]) {
    expect(available ?? true).toBe(true);
  }
  expect(told.serverKeepAlive ?? 30).toBe(30);
  expect(told.sessionExpiryInterval ?? 50).toBe(50);
  expect(told.assignedClientIdentifier).toBeUndefined();
});

wire("v5 [MQTT-3.2.2-11]: PUBLISH above Maximum QoS disconnects", async ({ client, name }) => {
  const odd = await client(5);
  await odd.publish(name("t"), "fine", { qos: 1 });
  await odd.send(odd.publishPacket(name("t"), "x", { qos: 2 }));
  await odd.expectDisconnected(0x9b);
});

wireQos0("v5 [MQTT-3.2.2-9] [MQTT-3.2.2-11]: Maximum QoS 0", async ({ open, name }) => {
  const odd = await open(5);
  const connack = await odd.connect({ clientId: name("zero") });
  expect(connack.properties?.maximumQoS).toBe(0);
  await odd.send(odd.publishPacket(name("t"), "x", { qos: 1 }));
  await odd.expectDisconnected(0x9b);
});

wire("v5 [MQTT-3.2.2-10]: SUBSCRIBE of any QoS is accepted", async ({ client, name }) => {
  const subscriber = await client(5);
  for (const [asked, granted] of [
    [0, 0],
    [1, 1],
    [2, 1],
  ] as const) {
    expect(await subscriber.subscribe(name("t"), { qos: asked })).toEqual([granted]);
  }
});

wireQos0("v3.1.1 [MQTT-3.8.4-5]: SUBACK shows what a limited broker granted", async ({ client, name }) => {
  const subscriber = await client(4);
  expect(await subscriber.subscribe([name("t"), name("t")], { qos: 2 })).toEqual([0, 0]);
});

async function expectConnack(client: WireClient, code: number): Promise<void> {
  await client.expect("connack", { reasonCode: code, sessionPresent: false });
  await client.expectClosed();
}

wire("v5 [MQTT-3.2.2-12]: a Will above Maximum QoS is refused", async ({ open, name }) => {
  const client = await open(5);
  await client.send(
    client.connectPacket({ clientId: name("w"), will: { topic: name("t"), payload: "x", qos: 2 } }),
  );
  await expectConnack(client, 0x9b);
});

wire("v5 [MQTT-3.2.2-13]: a retained Will is refused where nothing is retained", async ({ open, name }) => {
  const client = await open(5);
  await client.send(
    client.connectPacket({
      clientId: name("w"),
      will: { topic: name("t"), payload: "x", qos: 0, retain: true },
    }),
  );
  await expectConnack(client, 0x9a);
});

wire("v5 [MQTT-3.2.2-14]: RETAIN disconnects where nothing is retained", async ({ client, name }) => {
  const odd = await client(5);
  await odd.send(odd.publishPacket(name("t"), "x", { retain: true }));
  await odd.expectDisconnected(0x9a);
});

for (const [what, filter, code] of [
  ["a wildcard", "a/+", 0xa2],
  ["a wildcard", "#", 0xa2],
  ["a shared", "$share/g/t", 0x9e],
] as const) {
  wire(`${what} subscription to ${filter} is refused with its code`, async ({ client }) => {
    const subscriber = await client(5);
    expect(await subscriber.subscribe(filter)).toEqual([code]);
  });
}

wire("v3.1.1 [MQTT-3.8.3-2]: wildcard filters are refused where there are none", async ({ client, name }) => {
  for (const version of [3, 4] as const) {
    const subscriber = await client(version);
    expect(await subscriber.subscribe(["a/+", name("plain"), "#"], { qos: 1 })).toEqual([0x80, 1, 0x80]);
  }
});

wire("Subscription Identifiers are refused where there are none", async ({ client, name }) => {
  const subscriber = await client(5);
  await subscriber.send(subscriber.subscribePacket(name("t"), { identifier: 1 }));
  const answer = await subscriber.next();
  if (answer.cmd === "suback") expect(answer.granted).toEqual([0xa1]);
  else expect(answer).toMatchObject({ cmd: "disconnect", reasonCode: 0xa1 });
});

wireOpen(
  "v5 [MQTT-3.3.4-7]: more than Receive Maximum in flight disconnects with 0x93",
  async ({ client, name }) => {
    const topic = name("flood");
    const odd = await client(5);
    for (let messageId = 1; messageId <= 4; messageId++) {
      await odd.send(odd.publishPacket(topic, "x", { qos: 2, messageId }));
      if (messageId <= 3) await odd.expect("pubrec", { messageId });
    }
    await odd.expectDisconnected(0x93);
  },
);

wireOpen("Receive Maximum counts what is open, not what was sent", async ({ client, name }) => {
  const steady = await client(5);
  const topic = name("steady");
  for (let index = 0; index < 20; index++) await steady.publish(topic, "x", { qos: index % 2 === 0 ? 1 : 2 });
  for (const messageId of [801, 802, 803]) {
    await steady.send(steady.publishPacket(topic, "x", { qos: 2, messageId }));
    await steady.expect("pubrec", { messageId });
  }
  await steady.send({ ...steady.publishPacket(topic, "x", { qos: 2, messageId: 801 }), dup: true });
  await steady.expect("pubrec", { messageId: 801 });
  for (const messageId of [802, 801, 803]) {
    await steady.send({ cmd: "pubrel", messageId });
    await steady.expect("pubcomp", { messageId });
  }
  await steady.publish(topic, "x", { qos: 2 });
});

wireOpen(
  "v5 [MQTT-3.2.2-15]: packets above the server's maximum disconnect, as soon as announced",
  async ({ client, name }) => {
    const topic = name("large");
    const whole = await client(5);
    const bystander = await client(5);
    await whole.send(whole.publishPacket(topic, "x".repeat(6_000)));
    await whole.expectDisconnected(0x95);
    const announced = await client(5);
    await announced.send(bytes(0x30, 0xff, 0xff, 0xff, 0x7f));
    await announced.expectDisconnected(0x95);
    const old = await client(4);
    await old.send(bytes(0x30, 0xff, 0xff, 0xff, 0x7f));
    await old.expectClosed();
    await bystander.expectSilence();
  },
);

wireOpen("payloads above max_payload_size disconnect, payloads at it do not", async ({ client, name }) => {
  for (const version of [3, 4, 5] as const) {
    const topic = name("payload");
    const publisher = await client(version);
    await publisher.publish(topic, "x".repeat(4_000), { qos: 1 });
    await publisher.send(publisher.publishPacket(topic, "x".repeat(4_001), { qos: 1 }));
    await publisher.expectDisconnected(0x95);
  }
});

wireOpen("an oversized CONNECT is refused", async ({ open }) => {
  for (const version of [4, 5] as const) {
    const client = await open(version);
    await client.send(rawConnect({ level: version, payload: utf8("n".repeat(20_000)) }));
    await client.expectClosed(undefined, version === 5 ? ["connack"] : []);
  }
});

wireOpen("an oversized SUBSCRIBE disconnects with 0x95", async ({ client }) => {
  const odd = await client(5);
  await odd.send(frame(0x82, u16(1), properties(), utf8("f".repeat(6_000)), 0));
  await odd.expectDisconnected(0x95);
});

wireDelayed(
  "next_connection_delay_ms: connections begin one after another, and none is late for its CONNECT",
  async ({ open, name }) => {
    const from = performance.now();
    const clients: WireClient[] = [];
    for (let i = 0; i < 6; i++) clients.push(await open(i % 2 === 0 ? 4 : 5));
    const began: number[] = [];
    await Promise.all(
      clients.map(async (client, i) => {
        await client.send(client.connectPacket({ clientId: name("delayed") }));
        await client.expect("connack");
        began.push(i);
        // Later is a matter of the machine, earlier is not.
        expect(performance.now() - from).toBeGreaterThanOrEqual(i * DELAY_MS - 5);
      }),
    );
    expect(began).toEqual([0, 1, 2, 3, 4, 5]);
  },
);
