// Sessions, §4.1 and §4.4: how long they live, what they collect while the client is away, what is sent again.

import { expect } from "bun:test";
import { versionName, type Wire, wireSuite } from "../support/suite.ts";
import type { ConnectOptions, Received, Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();
const wireSmallQueue = wireSuite({ listener: { queueMessagesMax: 5 } });
const wireSmallBytes = wireSuite({ listener: { queueBytesMax: 4_000 } });
const wireShortSessions = wireSuite({ listener: { sessionExpiryMax: 1 } });

/** Options of a client whose Session survives its connection. */
function durable(version: Version, clientId: string, expiry = 600): ConnectOptions {
  return {
    clientId,
    clean: false,
    ...(version === 5 ? { properties: { sessionExpiryInterval: expiry } } : {}),
  };
}

async function resume(
  { open }: Wire,
  version: Version,
  clientId: string,
  present = true,
): Promise<WireClient> {
  const client = await open(version);
  const connack = await client.connect(durable(version, clientId));
  // In MQTT 3.1 this byte is reserved.
  expect(connack.sessionPresent).toBe(version === 3 ? false : present);
  return client;
}

async function away(client: WireClient, cut: boolean): Promise<void> {
  if (!cut) return client.disconnect();
  client.end();
  await client.expectClosed(undefined, ["publish", "pubrel", "disconnect"]);
}

for (const version of versions) {
  const label = versionName[version];

  wire(
    `v3.1.1 [MQTT-3.1.2-4] [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.1.0-1] v5 [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.2-23] [MQTT-3.2.2-2] [MQTT-3.2.2-3]: Session Present tells the truth (${label})`,
    async (context) => {
      const clientId = context.name("present");
      const first = await resume(context, version, clientId, false);
      await away(first, false);
      const second = await resume(context, version, clientId, true);
      await away(second, true);
      const third = await resume(context, version, clientId, true);
      await away(third, false);
      const fresh = await context.open(version);
      const connack = await fresh.connect({ clientId, clean: true });
      expect(connack.sessionPresent).toBe(false);
      await fresh.disconnect();
      const after = await resume(context, version, clientId, false);
      await after.disconnect();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-6] [MQTT-3.1.4-3] v5 [MQTT-3.1.2-4] [MQTT-3.1.4-4]: a clean start forgets subscriptions and messages (${label})`,
    async (context) => {
      const { open, client, name } = context;
      const topic = name("forget");
      const clientId = name("forgetful");
      const before = await resume(context, version, clientId, false);
      await before.subscribe(topic, { qos: 1 });
      await away(before, false);
      const publisher = await client(version);
      await publisher.publish(topic, "queued", { qos: 1 });
      const clean = await open(version);
      await clean.connect({ clientId, clean: true });
      await publisher.publish(topic, "live", { qos: 1 });
      await clean.expectSilence();
      await clean.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-5] [MQTT-4.5.0-1] v5 [MQTT-3.1.2-5] [MQTT-4.5.0-1]: QoS 1 and 2 wait for an absent client, in order (${label})`,
    async (context) => {
      const { client, name } = context;
      const topic = name("queue");
      const clientId = name("absent");
      const before = await resume(context, version, clientId, false);
      await before.subscribe([`${topic}/+`], { qos: 2 });
      await away(before, true);
      const publisher = await client(version);
      const sent: string[] = [];
      for (let index = 0; index < 20; index++) {
        const qos = index % 2 === 0 ? 1 : 2;
        await publisher.publish(`${topic}/${index % 3}`, `m${index}`, { qos });
        sent.push(`m${index}/${qos}`);
      }
      const back = await resume(context, version, clientId);
      const got: Received<"publish">[] = [];
      for (let index = 0; index < sent.length; index++) got.push(await back.receive({ dup: false }));
      expect(got.map((packet) => `${packet.payload.toString()}/${packet.qos}`)).toEqual(sent);
      expect(new Set(got.map((packet) => packet.messageId)).size).toBe(sent.length);
      for (const packet of got) await back.acknowledge(packet);
      await back.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-2.3.1-4] v5 [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3]: unacknowledged PUBLISH packets come again with DUP, same identifiers, same order (${label})`,
    async (context) => {
      const { client, name } = context;
      const topic = name("again");
      const clientId = name("amnesiac");
      let subscriber = await resume(context, version, clientId, false);
      await subscriber.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      for (let index = 0; index < 8; index++) {
        await publisher.publish(topic, `m${index}`, { qos: index % 2 === 0 ? 1 : 2 });
      }
      const first: Received<"publish">[] = [];
      for (let index = 0; index < 8; index++) first.push(await subscriber.receive({ dup: false }));
      const [zero, , two] = first;
      if (zero === undefined || two === undefined) throw new Error("eight packets were received");
      await subscriber.acknowledge(two);
      await subscriber.expectSilence();
      for (let round = 0; round < 2; round++) {
        await away(subscriber, true);
        subscriber = await resume(context, version, clientId);
        const again: Received<"publish">[] = [];
        for (let index = 0; index < 7; index++) again.push(await subscriber.receive({ dup: true }));
        const open = first.filter((packet) => packet !== two);
        expect(again.map((packet) => [packet.messageId, packet.qos, packet.payload.toString()])).toEqual(
          open.map((packet) => [packet.messageId, packet.qos, packet.payload.toString()]),
        );
      }
      await publisher.publish(topic, "fresh", { qos: 1 });
      const fresh = await subscriber.receive({ payload: "fresh", dup: false });
      expect(first.filter((packet) => packet !== two).map((packet) => packet.messageId)).not.toContain(
        fresh.messageId,
      );
    },
  );

  wire(
    `v3.1.1 [MQTT-4.4.0-1] [MQTT-4.3.3-1] v5 [MQTT-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6]: after PUBREC it is PUBREL that comes again, not PUBLISH (${label})`,
    async (context) => {
      const { client, name } = context;
      const topic = name("release");
      const clientId = name("halfway");
      const before = await resume(context, version, clientId, false);
      await before.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      await publisher.publish(topic, "once", { qos: 2 });
      const packet = await before.receive({ payload: "once", qos: 2 });
      const messageId = packet.messageId ?? 0;
      await before.send({ cmd: "pubrec", messageId });
      await before.expect("pubrel", { messageId });
      await away(before, true);
      for (let round = 0; round < 2; round++) {
        const between = await resume(context, version, clientId);
        await between.expect("pubrel", { messageId });
        await between.expectSilence();
        await away(between, true);
      }
      const back = await resume(context, version, clientId);
      await back.expect("pubrel", { messageId });
      await back.send({ cmd: "pubcomp", messageId });
      await back.expectSilence();
      await away(back, false);
      const done = await resume(context, version, clientId);
      await done.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-4.4.0-1] v5 [MQTT-4.4.0-1]: nothing is sent again while the connection stands (${label})`,
    async ({ client, name }) => {
      const topic = name("patience");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      await publisher.publish(topic, "one", { qos: 1 });
      await subscriber.receive({ payload: "one" });
      await subscriber.expectSilence();
      await publisher.publish(topic, "two", { qos: 1 });
      await subscriber.receive({ payload: "two", dup: false });
      await subscriber.expectSilence();
    },
  );

  for (const step of ["before PUBREC", "after PUBREC", "after PUBREL", "after PUBCOMP"] as const) {
    wire(
      `v3.1.1 [MQTT-4.3.3-2] [MQTT-4.1.0-1] v5 [MQTT-4.3.3-10] [MQTT-4.3.3-12]: a publisher lost ${step} still publishes exactly once (${label})`,
      async (context) => {
        const { client, name } = context;
        const topic = name("exactly");
        const clientId = name("publisher");
        const subscriber = await client(version);
        await subscriber.subscribe(topic, { qos: 0 });
        const before = await resume(context, version, clientId, false);
        const messageId = 77;
        const publish = before.publishPacket(topic, "once", { qos: 2, messageId });
        await before.send(publish);
        if (step !== "before PUBREC") await before.expect("pubrec", { messageId });
        if (step === "after PUBREL" || step === "after PUBCOMP")
          await before.send({ cmd: "pubrel", messageId });
        if (step === "after PUBCOMP") await before.expect("pubcomp", { messageId });
        before.end();
        await before.expectClosed(undefined, ["pubrec", "pubcomp", "disconnect"]);

        const after = await resume(context, version, clientId);
        if (step === "before PUBREC" || step === "after PUBREC") {
          await after.send({ ...publish, dup: true });
          await after.expect("pubrec", { messageId });
        }
        await after.send({ cmd: "pubrel", messageId });
        await after.expect("pubcomp", { messageId });
        await after.publish(topic, "end", { qos: 2, messageId });

        await subscriber.receive({ payload: "once", dup: false });
        await subscriber.receive({ payload: "end" });
      },
    );
  }

  for (const step of ["before PUBREC", "after PUBREC", "before PUBCOMP", "after PUBCOMP"] as const) {
    wire(
      `v3.1.1 [MQTT-4.3.3-1] v5 [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6]: a subscriber lost ${step} still receives exactly once (${label})`,
      async (context) => {
        const { client, name } = context;
        const topic = name("receive");
        const clientId = name("subscriber");
        const before = await resume(context, version, clientId, false);
        await before.subscribe(topic, { qos: 2 });
        const publisher = await client(version);
        await publisher.publish(topic, "once", { qos: 2 });
        const { messageId = 0 } = await before.receive({ payload: "once" });
        if (step !== "before PUBREC") await before.send({ cmd: "pubrec", messageId });
        if (step === "before PUBCOMP" || step === "after PUBCOMP")
          await before.expect("pubrel", { messageId });
        if (step === "after PUBCOMP") {
          await before.send({ cmd: "pubcomp", messageId });
          await before.expectSilence();
        }
        before.end();
        await before.expectClosed(undefined, ["pubrel", "disconnect"]);

        const after = await resume(context, version, clientId);
        if (step === "before PUBREC") {
          await after.receive({ payload: "once", dup: true, messageId });
          await after.send({ cmd: "pubrec", messageId });
        }
        if (step !== "after PUBCOMP") {
          await after.expect("pubrel", { messageId });
          await after.send({ cmd: "pubcomp", messageId });
        }
        await after.expectSilence();
        await publisher.publish(topic, "next", { qos: 2 });
        await after.receive({ payload: "next", dup: false });
      },
    );
  }

  wire(
    `v3.1.1 [MQTT-3.1.4-2] v5 [MQTT-3.1.4-3]: takeover keeps a durable Session and sends again what was open (${label})`,
    async (context) => {
      const { client, name } = context;
      const topic = name("takeover");
      const clientId = name("twin");
      const old = await resume(context, version, clientId, false);
      await old.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      await publisher.publish(topic, "open", { qos: 1 });
      const { messageId = 0 } = await old.receive({ payload: "open" });
      const young = await resume(context, version, clientId);
      await old.expectDisconnected(0x8e);
      await young.receive({ payload: "open", dup: true, messageId });
      await publisher.publish(topic, "live", { qos: 1 });
      await young.receive({ payload: "live", dup: false });
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.3-2] v5 [MQTT-3.1.3-2]: each Client Identifier has its own Session (${label})`,
    async (context) => {
      const { client, name } = context;
      const topic = name("own");
      const names = [name("one"), name("two")];
      for (const clientId of names) {
        const session = await resume(context, version, clientId, false);
        await session.subscribe(`${topic}/${clientId}`, { qos: 1 });
        await away(session, false);
      }
      const publisher = await client(version);
      for (const clientId of names) await publisher.publish(`${topic}/${clientId}`, clientId, { qos: 1 });
      for (const clientId of names) {
        const session = await resume(context, version, clientId);
        await session.receive({ payload: clientId });
        await session.expectSilence();
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-7]: retained messages outlive their publisher's Session (${label})`,
    async ({ client, name }) => {
      const topic = name("outlive");
      const publisher = await client(version);
      await publisher.publish(topic, "kept", { qos: 1, retain: true });
      await publisher.disconnect();
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      await subscriber.receive({ payload: "kept", retain: true });
    },
  );

  wireSmallQueue(`beyond the message quota the oldest queued messages go (${label})`, async (context) => {
    const { client, name } = context;
    const topic = name("quota");
    const clientId = name("full");
    const before = await resume(context, version, clientId, false);
    await before.subscribe(topic, { qos: 1 });
    await away(before, false);
    const publisher = await client(version);
    for (let index = 0; index < 12; index++) await publisher.publish(topic, `m${index}`, { qos: 1 });
    const back = await resume(context, version, clientId);
    for (let index = 7; index < 12; index++) await back.receive({ payload: `m${index}` });
    await back.expectSilence();
  });

  wireSmallBytes(`beyond the byte quota the oldest queued messages go (${label})`, async (context) => {
    const { client, name } = context;
    const topic = name("bytes");
    const clientId = name("heavy");
    const before = await resume(context, version, clientId, false);
    await before.subscribe(topic, { qos: 1 });
    await away(before, false);
    const publisher = await client(version);
    for (let index = 0; index < 10; index++) {
      await publisher.publish(topic, `${index}`.padEnd(1_000, "."), { qos: 1 });
    }
    const back = await resume(context, version, clientId);
    const got: string[] = [];
    while (got.at(-1) !== "9") got.push((await back.receive()).payload.toString().slice(0, 1));
    await back.expectSilence();
    expect(got.length).toBeGreaterThanOrEqual(2);
    expect(got.length).toBeLessThanOrEqual(4);
    expect(got).toEqual(["6", "7", "8", "9"].slice(-got.length));
  });
}

wire(
  "v5 [MQTT-3.1.2-23]: Session Expiry 0 or absent ends the Session with the connection",
  async (context) => {
    const { open, name } = context;
    for (const properties of [{}, { properties: { sessionExpiryInterval: 0 } }]) {
      const clientId = name("zero");
      const client = await open(5);
      await client.connect({ clientId, clean: false, ...properties });
      await away(client, true);
      await resume(context, 5, clientId, false);
    }
  },
);

wire("v5 [MQTT-3.1.2-23]: DISCONNECT may change the Session Expiry Interval", async (context) => {
  const { name } = context;
  const clientId = name("changed");
  const longer = await resume(context, 5, clientId, false);
  await longer.disconnect({ sessionExpiryInterval: 0 });
  const ended = await resume(context, 5, clientId, false);
  await ended.disconnect({ sessionExpiryInterval: 0xffffffff });
  await resume(context, 5, clientId, true);
});

wire(
  "v5 [MQTT-4.13.1-1]: DISCONNECT may not give an expiry to a Session that had none",
  async ({ client }) => {
    const none = await client(5);
    await none.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 10 } });
    await none.expectDisconnected(0x82);
  },
);

wire.together("v5 [MQTT-4.1.0-2]: a Session ends when its expiry has passed", async (context) => {
  const { open, name } = context;
  const clientId = name("expire");
  const lasting = name("last");
  for (const [id, seconds] of [
    [clientId, 1],
    [lasting, 100],
  ] as const) {
    const session = await open(5);
    await session.connect(durable(5, id, seconds));
    await session.subscribe(name("x"), { qos: 1 });
    await away(session, true);
  }
  await context.timePasses();
  await resume(context, 5, clientId, false);
  await resume(context, 5, lasting, true);
});

wire.together(
  "v3.1.1 [MQTT-4.1.0-2] v5 [MQTT-4.1.0-1]: a connected Session does not expire",
  async (context) => {
    const { open, client, name } = context;
    const clientId = name("awake");
    const topic = name("awake");
    const session = await open(5);
    await session.connect(durable(5, clientId, 1));
    await session.subscribe(topic, { qos: 1 });
    await context.timePasses();
    const publisher = await client(5);
    await publisher.publish(topic, "still", { qos: 1 });
    await session.receive({ payload: "still" });
  },
);

wireShortSessions(
  "v5 [MQTT-3.1.2-23]: a larger Session Expiry than allowed is cut down and told",
  async ({ open, name }) => {
    const client = await open(5);
    const connack = await client.connect(durable(5, name("long"), 0xffffffff));
    expect(connack.properties?.sessionExpiryInterval).toBe(1);
  },
);

wire(
  "v5 [MQTT-3.1.2-5]: a resumed Session keeps its subscription options and identifiers",
  async (context) => {
    const { client, name } = context;
    const stem = name("options");
    const clientId = name("optioned");
    const publisher = await client(5);
    await publisher.publish(`${stem}/rap`, "kept", { retain: true });
    const before = await resume(context, 5, clientId, false);
    await before.subscribe(`${stem}/rap`, { rap: true, qos: 1, rh: 2, identifier: 11 });
    await before.subscribe(`${stem}/nl`, { nl: true, qos: 1 });
    await away(before, true);
    await publisher.publish(`${stem}/rap`, "offline", { qos: 1, retain: true });
    const back = await resume(context, 5, clientId);
    const offline = await back.receive({ payload: "offline", retain: true });
    expect(offline.properties?.subscriptionIdentifier).toBe(11);
    await back.publish(`${stem}/nl`, "own", { qos: 1 });
    await publisher.publish(`${stem}/rap`, "live", { qos: 1, retain: true });
    const live = await back.receive({ payload: "live", retain: true });
    expect(live.properties?.subscriptionIdentifier).toBe(11);
    await back.subscribe(`${stem}/rap`, { rh: 1, qos: 1 });
    await back.expectSilence();
  },
);

wire("v5: a queued message keeps its properties", async (context) => {
  const { client, name } = context;
  const topic = name("propertied");
  const clientId = name("sleeper");
  const before = await resume(context, 5, clientId, false);
  await before.subscribe(topic, { qos: 2 });
  await away(before, false);
  const publisher = await client(5);
  const properties = { contentType: "a/b", responseTopic: "r", userProperties: { k: "v" } };
  await publisher.publish(topic, "x", { qos: 2, properties });
  const back = await resume(context, 5, clientId);
  const packet = await back.receive({ payload: "x", qos: 2 });
  expect(packet.properties).toMatchObject(properties);
});
