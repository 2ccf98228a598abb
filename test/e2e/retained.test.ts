// Retained messages, §3.3.1.3 and §3.8.3.1: set, replace, clear, and what a new subscription gets.

import { expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";
import { minQos, type Version, type WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();

async function nothingRetained(client: WireClient): Promise<void> {
  for (let round = 0; round < 3; round++) await client.expectSilence();
}

for (const version of versions) {
  const label = versionName[version];

  wire(
    `v3.1.1 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] v5 [MQTT-3.3.1-5] [MQTT-3.3.1-9]: set, then delivered to a new subscription with RETAIN 1 (${label})`,
    async ({ client, name }) => {
      for (const published of [0, 1, 2] as const) {
        for (const granted of [0, 1, 2] as const) {
          const topic = name("set");
          const publisher = await client(version);
          await publisher.publish(topic, "kept", { qos: published, retain: true });
          const subscriber = await client(version);
          await subscriber.subscribe(topic, { qos: granted });
          const qos = minQos(published, granted);
          const packet = await subscriber.receive({ topic, payload: "kept", retain: true, qos, dup: false });
          await subscriber.acknowledge(packet);
          await subscriber.expectSilence();
        }
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-9] v5 [MQTT-3.3.1-12]: an established subscription gets RETAIN 0 (${label})`,
    async ({ client, name }) => {
      const topic = name("live");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      await publisher.publish(topic, "live", { qos: 1, retain: true });
      await subscriber.receive({ payload: "live", retain: false });
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-7] [MQTT-3.3.1-12] v5 [MQTT-3.3.1-5] [MQTT-3.3.1-8]: replaced by the next retained message, untouched by others (${label})`,
    async ({ client, name }) => {
      const topic = name("replace");
      const publisher = await client(version);
      await publisher.publish(topic, "old", { qos: 2, retain: true });
      await publisher.publish(topic, "new", { qos: 0, retain: true });
      await publisher.publish(topic, "passing", { qos: 1 });
      await publisher.publish(topic, "", { qos: 1 });
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 2 });
      await subscriber.receive({ payload: "new", retain: true, qos: 0 });
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-10] [MQTT-3.3.1-11] v5 [MQTT-3.3.1-6] [MQTT-3.3.1-7]: cleared by an empty retained payload, which is delivered too (${label})`,
    async ({ client, name }) => {
      const topic = name("clear");
      const witness = await client(version);
      await witness.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      await publisher.publish(topic, "gone", { qos: 1, retain: true });
      await publisher.publish(topic, "", { qos: 1, retain: true });
      await witness.receive({ payload: "gone" });
      await witness.receive({ payload: "", retain: false });
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      await nothingRetained(subscriber);
    },
  );

  wire(
    `v3.1.1 [MQTT-3.8.4-3] v5 [MQTT-3.8.4-4]: subscribing again sends retained messages again (${label})`,
    async ({ client, name }) => {
      const topic = name("resend");
      const publisher = await client(version);
      await publisher.publish(topic, "kept", { qos: 1, retain: true });
      const subscriber = await client(version);
      for (let round = 0; round < 3; round++) {
        await subscriber.subscribe(topic, { qos: 1 });
        await subscriber.acknowledge(await subscriber.receive({ payload: "kept", retain: true }));
      }
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-6] v5 [MQTT-3.3.1-9]: every match, however many, within the window (${label})`,
    async ({ client, name }) => {
      const stem = name("many");
      const publisher = await client(version);
      const total = 1_500;
      const wanted = Array.from({ length: total }, (_, index) => `${stem}/${index % 10}/${index}`);
      for (let from = 0; from < total; from += 300) {
        await publisher.send(
          ...wanted
            .slice(from, from + 300)
            .map((topic) => publisher.publishPacket(topic, topic, { retain: true })),
        );
        await publisher.expectSilence();
      }
      const last = `${stem}/0/last`;
      await publisher.publish(last, last, { qos: 1, retain: true });
      const subscriber = await client(version);
      for (const qos of [0, 1] as const) {
        await subscriber.subscribe(`${stem}/#`, { qos });
        const got = new Set<string>();
        for (let index = 0; index <= total; index++) {
          const packet = await subscriber.receive({ retain: true });
          expect(packet.payload.toString()).toBe(packet.topic);
          got.add(packet.topic);
          await subscriber.acknowledge(packet);
        }
        expect(got.size).toBe(total + 1);
        await subscriber.expectSilence();
      }
      const some = await client(version);
      await some.subscribe(`${stem}/3/+`);
      for (let index = 0; index < total / 10; index++) await some.receive({ retain: true });
      await some.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-4.7.2-1] v5 [MQTT-4.7.2-1]: # and + do not find retained $ topics (${label})`,
    async ({ client, name }) => {
      const stem = name("hidden");
      const publisher = await client(version);
      await publisher.publish(`$own/${stem}`, "hidden", { qos: 1, retain: true });
      await publisher.publish(`open/${stem}`, "seen", { qos: 1, retain: true });
      const subscriber = await client(version);
      await subscriber.subscribe(`+/${stem}`, { qos: 1 });
      await subscriber.receive({ payload: "seen" });
      await nothingRetained(subscriber);
      await subscriber.subscribe(`$own/${stem}`, { qos: 1 });
      await subscriber.receive({ payload: "hidden", topic: `$own/${stem}` });
    },
  );
}

wire("v5 [MQTT-3.3.1-9]: Retain Handling 0 sends at every SUBSCRIBE", async ({ client, name }) => {
  const topic = name("rh0");
  const publisher = await client(5);
  await publisher.publish(topic, "kept", { retain: true });
  const subscriber = await client(5);
  for (let round = 0; round < 2; round++) {
    await subscriber.subscribe(topic, { rh: 0 });
    await subscriber.receive({ payload: "kept", retain: true });
  }
});

wire("v5 [MQTT-3.3.1-10]: Retain Handling 1 sends to a new subscription only", async ({ client, name }) => {
  const topic = name("rh1");
  const publisher = await client(5);
  await publisher.publish(topic, "kept", { retain: true });
  const subscriber = await client(5);
  await subscriber.subscribe(topic, { rh: 1 });
  await subscriber.receive({ payload: "kept", retain: true });
  await subscriber.subscribe(topic, { rh: 1, qos: 1 });
  await nothingRetained(subscriber);
  await subscriber.unsubscribe(topic);
  await subscriber.subscribe(topic, { rh: 1 });
  await subscriber.receive({ payload: "kept", retain: true });
});

wire("v5 [MQTT-3.3.1-11]: Retain Handling 2 sends none", async ({ client, name }) => {
  const topic = name("rh2");
  const publisher = await client(5);
  await publisher.publish(topic, "kept", { retain: true });
  const subscriber = await client(5);
  await subscriber.subscribe(topic, { rh: 2 });
  await nothingRetained(subscriber);
  await publisher.publish(topic, "live", { retain: true });
  await subscriber.receive({ payload: "live", retain: false });
});

wire(
  "v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13]: Retain As Published keeps or clears RETAIN, per subscription",
  async ({ client, name }) => {
    const topic = name("rap");
    const keeps = await client(5);
    const clears = await client(5);
    await keeps.subscribe(topic, { rap: true, qos: 1 });
    await clears.subscribe(topic, { rap: false, qos: 1 });
    const publisher = await client(5);
    for (const retain of [true, false]) {
      for (const qos of [0, 1] as const) {
        await publisher.publish(topic, `${retain}/${qos}`, { retain, qos });
        await keeps.receive({ payload: `${retain}/${qos}`, retain });
        await clears.receive({ payload: `${retain}/${qos}`, retain: false });
      }
    }
  },
);

wire(
  "v5: the retained copy to a new subscription has RETAIN 1 whatever Retain As Published says",
  async ({ client, name }) => {
    const topic = name("both");
    const publisher = await client(5);
    await publisher.publish(topic, "kept", { retain: true });
    for (const rap of [true, false]) {
      const subscriber = await client(5);
      await subscriber.subscribe(topic, { rap });
      await subscriber.receive({ payload: "kept", retain: true });
    }
  },
);

wire(
  "v5 [MQTT-3.3.4-3]: a retained message carries the subscription's identifier",
  async ({ client, name }) => {
    const topic = name("identified");
    const publisher = await client(5);
    await publisher.publish(topic, "kept", { retain: true });
    const subscriber = await client(5);
    await subscriber.subscribe(topic, { identifier: 77 });
    const packet = await subscriber.receive({ payload: "kept", retain: true });
    expect(packet.properties?.subscriptionIdentifier).toBe(77);
  },
);

wire.together(
  "v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6]: expiry counts down and takes the retained message away",
  async ({ client, name, timePasses }) => {
    const brief = name("brief");
    const lasting = name("lasting");
    const publisher = await client(5);
    await publisher.publish(brief, "brief", { retain: true, properties: { messageExpiryInterval: 1 } });
    await publisher.publish(lasting, "lasting", { retain: true, properties: { messageExpiryInterval: 100 } });
    const early = await client(5);
    await early.subscribe(lasting);
    const first = await early.receive({ payload: "lasting" });
    expect(first.properties?.messageExpiryInterval).toBeGreaterThanOrEqual(99);
    expect(first.properties?.messageExpiryInterval).toBeLessThanOrEqual(100);
    await timePasses();
    const late = await client(5);
    await late.subscribe(brief);
    await nothingRetained(late);
    await late.subscribe(lasting);
    const second = await late.receive({ payload: "lasting", retain: true });
    expect(second.properties?.messageExpiryInterval).toBeLessThanOrEqual(98);
    expect(second.properties?.messageExpiryInterval).toBeGreaterThanOrEqual(90);
  },
);

wire.together(
  "v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6]: expiry counts down and takes queued messages away",
  async ({ open, client, name, timePasses }) => {
    const topic = name("queued");
    const options = { clientId: name("sleeper"), clean: false, properties: { sessionExpiryInterval: 100 } };
    const subscriber = await open(5);
    await subscriber.connect(options);
    await subscriber.subscribe(topic, { qos: 1 });
    await subscriber.disconnect();
    const publisher = await client(5);
    await publisher.publish(topic, "brief", { qos: 1, properties: { messageExpiryInterval: 1 } });
    await publisher.publish(topic, "lasting", { qos: 1, properties: { messageExpiryInterval: 100 } });
    await publisher.publish(topic, "eternal", { qos: 1 });
    await timePasses();
    const back = await open(5);
    await back.connect(options);
    const lasting = await back.receive({ payload: "lasting" });
    expect(lasting.properties?.messageExpiryInterval).toBeLessThanOrEqual(98);
    expect(lasting.properties?.messageExpiryInterval).toBeGreaterThanOrEqual(90);
    const eternal = await back.receive({ payload: "eternal" });
    expect(eternal.properties?.messageExpiryInterval).toBeUndefined();
    await back.expectSilence();
  },
);
