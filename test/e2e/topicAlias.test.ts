// Topic Alias, §3.3.2.3.4: from clients, and to clients that permit it.

import { expect } from "bun:test";
import { frame, Property, properties, u16, utf8 } from "../support/bytes.ts";
import { wireSuite } from "../support/suite.ts";
import type { Received, WireClient } from "../support/wireClient.ts";

const MAXIMUM = 5;

const wire = wireSuite({ listener: { topicAliasMaximum: MAXIMUM } });
const wireNone = wireSuite({ listener: { topicAliasMaximum: 0 } });

function aliased(topic: string, alias: number, payload: string): Uint8Array {
  return frame(
    0x30,
    utf8(topic),
    properties(Property.topicAlias, u16(alias)),
    new TextEncoder().encode(payload),
  );
}

wire(
  "v5 [MQTT-3.3.2-12]: every alias up to the maximum is accepted, reused and redefined",
  async ({ open, client, name }) => {
    const stem = name("in");
    const subscriber = await client(5);
    await subscriber.subscribe(`${stem}/#`);
    const publisher = await open(5);
    const connack = await publisher.connect({ clientId: name("aliases") });
    expect(connack.properties?.topicAliasMaximum).toBe(MAXIMUM);
    for (let alias = 1; alias <= MAXIMUM; alias++) {
      await publisher.send(aliased(`${stem}/${alias}`, alias, `set ${alias}`));
      await subscriber.receive({ topic: `${stem}/${alias}`, payload: `set ${alias}` });
    }
    for (const alias of [3, 1, MAXIMUM, 3]) {
      await publisher.send(aliased("", alias, "use"));
      const packet = await subscriber.receive({ topic: `${stem}/${alias}`, payload: "use" });
      expect(packet.properties?.topicAlias).toBeUndefined();
    }
    await publisher.send(aliased(`${stem}/other`, 3, "redefined"), aliased("", 3, "redefined"));
    await subscriber.receive({ topic: `${stem}/other` });
    await subscriber.receive({ topic: `${stem}/other` });
    await publisher.expectSilence();
  },
);

wire("an alias counts for QoS 1, QoS 2 and retained messages alike", async ({ client, name }) => {
  const topic = name("every");
  const subscriber = await client(5);
  await subscriber.subscribe(topic, { qos: 2 });
  const publisher = await client(5);
  await publisher.publish(topic, "0", { properties: { topicAlias: 1 } });
  await publisher.publish("", "1", { qos: 1, properties: { topicAlias: 1 } });
  await publisher.publish("", "2", { qos: 2, retain: true, properties: { topicAlias: 1 } });
  for (const payload of ["0", "1"]) await subscriber.receive({ topic, payload });
  await subscriber.receive({ topic, payload: "2" });
  const late = await client(4);
  await late.subscribe(topic);
  await late.receive({ topic, payload: "2", retain: true });
});

wire(
  "v5 [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17]: alias 0 and aliases above the maximum disconnect",
  async ({ client, name }) => {
    for (const alias of [0, MAXIMUM + 1, 65_535]) {
      const odd = await client(5);
      await odd.send(aliased(name("t"), alias, "x"));
      await odd.expectDisconnected(alias === 0 ? [0x94, 0x82] : 0x94);
    }
  },
);

wireNone("v5 [MQTT-3.2.2-18]: without Topic Alias Maximum any alias disconnects", async ({ open, name }) => {
  const odd = await open(5);
  const connack = await odd.connect({ clientId: name("none") });
  expect(connack.properties?.topicAliasMaximum ?? 0).toBe(0);
  await odd.send(aliased(name("t"), 1, "x"));
  await odd.expectDisconnected(0x94);
});

wire("v5 [MQTT-4.7.3-1]: an empty topic needs an alias that stands", async ({ client }) => {
  const unknown = await client(5);
  await unknown.send(aliased("", 2, "x"));
  await unknown.expectDisconnected([0x82, 0x94]);
  const none = await client(5);
  await none.send(frame(0x30, utf8(""), properties(), 0x78));
  await none.expectDisconnected([0x81, 0x82, 0x90]);
});

wire("v5 [MQTT-3.3.2-7]: aliases end with the connection", async ({ open, name }) => {
  const options = {
    clientId: name("returning"),
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  };
  const first = await open(5);
  await first.connect(options);
  await first.send(aliased(name("t"), 1, "x"));
  await first.expectSilence();
  await first.disconnect();
  const second = await open(5);
  await second.connect(options);
  await second.send(aliased("", 1, "x"));
  await second.expectDisconnected([0x82, 0x94]);
});

/** Resolves the broker's aliases as a client does. */
class Aliases {
  readonly #topics = new Map<number, string>();
  readonly #maximum: number;
  shortened = 0;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  resolve(packet: Received<"publish">): string {
    const alias = packet.properties?.topicAlias;
    if (alias === undefined) return packet.topic;
    expect(alias).toBeGreaterThanOrEqual(1);
    expect(alias).toBeLessThanOrEqual(this.#maximum);
    if (packet.topic !== "") this.#topics.set(alias, packet.topic);
    else this.shortened += 1;
    return this.#topics.get(alias) ?? `alias ${alias} means nothing`;
  }
}

async function publishRounds(publisher: WireClient, stem: string, qos: 0 | 1): Promise<string[]> {
  const topics: string[] = [];
  for (let round = 0; round < 4; round++) {
    for (const leaf of ["a", "b", "c", "d"]) {
      topics.push(`${stem}/${leaf}`);
      await publisher.publish(`${stem}/${leaf}`, `${stem}/${leaf}`, { qos });
    }
  }
  return topics;
}

for (const qos of [0, 1] as const) {
  wire(
    `v5 [MQTT-3.1.2-26] [MQTT-3.3.2-8] [MQTT-3.3.2-11]: the broker's aliases stay within the client's maximum and stand for the right topic, QoS ${qos}`,
    async ({ client, name }) => {
      const stem = name("out");
      const subscriber = await client(5, { properties: { topicAliasMaximum: 2 } });
      await subscriber.subscribe(`${stem}/#`, { qos });
      const publisher = await client(qos === 0 ? 4 : 5);
      const topics = await publishRounds(publisher, stem, qos);
      const aliases = new Aliases(2);
      for (const topic of topics) {
        const packet = await subscriber.receive({ payload: topic });
        expect(aliases.resolve(packet)).toBe(topic);
        await subscriber.acknowledge(packet);
      }
    },
  );
}

wire("the broker uses the aliases that a client permits", async ({ client, name }) => {
  const topic = name("used");
  const subscriber = await client(5, { properties: { topicAliasMaximum: 2 } });
  await subscriber.subscribe(topic);
  const publisher = await client(5);
  const aliases = new Aliases(2);
  for (let index = 0; index < 10; index++) {
    await publisher.publish(topic, `${index}`);
    expect(aliases.resolve(await subscriber.receive({ payload: `${index}` }))).toBe(topic);
  }
  expect(aliases.shortened).toBeGreaterThanOrEqual(8);
});

wire("v5 [MQTT-3.1.2-27]: without the client's permission no alias is sent", async ({ client, name }) => {
  const stem = name("plain");
  const absent = await client(5);
  const zero = await client(5, { properties: { topicAliasMaximum: 0 } });
  for (const subscriber of [absent, zero]) await subscriber.subscribe(`${stem}/#`);
  const publisher = await client(5);
  const topics = await publishRounds(publisher, stem, 0);
  for (const subscriber of [absent, zero]) {
    for (const topic of topics) {
      const packet = await subscriber.receive({ topic });
      expect(packet.properties?.topicAlias).toBeUndefined();
    }
  }
});

wire(
  "v5 [MQTT-3.3.2-7]: the broker starts afresh on every connection, redelivery included",
  async ({ open, client, name }) => {
    const topic = name("afresh");
    const options = {
      clientId: name("afresh"),
      clean: false,
      properties: { sessionExpiryInterval: 100, topicAliasMaximum: 3 },
    };
    const publisher = await client(5);
    let subscriber = await open(5);
    await subscriber.connect(options);
    await subscriber.subscribe(topic, { qos: 1 });
    for (let round = 0; round < 3; round++) {
      const aliases = new Aliases(3);
      await publisher.publish(topic, `${round}`, { qos: 1 });
      for (let index = 0; index <= round; index++) {
        const packet = await subscriber.receive({ payload: `${index}`, dup: index < round });
        expect(aliases.resolve(packet)).toBe(topic);
      }
      subscriber.end();
      await subscriber.expectClosed();
      subscriber = await open(5);
      await subscriber.connect(options);
      const resumed = new Aliases(3);
      for (let index = 0; index <= round; index++) {
        expect(resumed.resolve(await subscriber.receive({ payload: `${index}`, dup: true }))).toBe(topic);
      }
      subscriber.end();
      await subscriber.expectClosed();
      subscriber = await open(5);
      await subscriber.connect(options);
    }
  },
);
