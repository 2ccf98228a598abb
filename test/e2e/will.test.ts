// The Will, §3.1.2.5 and §3.1.3.2: which ends publish it, when, and with what.

import { expect } from "bun:test";
import { bytes, hex, properties, rawConnect, utf8 } from "../support/bytes.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import type { ConnectOptions, Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();

type Will = NonNullable<ConnectOptions["will"]>;

interface End {
  readonly what: string;
  readonly versions: readonly Version[];
  readonly act: (client: WireClient) => Promise<void>;
}

const ends: readonly End[] = [
  {
    what: "the stream ends",
    versions,
    act: async (client) => client.end(),
  },
  {
    what: "the connection is reset",
    versions,
    act: async (client) => client.cut(),
  },
  {
    what: "a malformed packet",
    versions,
    act: (client) => client.send(hex("f7 00")),
  },
  {
    what: "a protocol violation",
    versions,
    act: (client) => client.send(client.connectPacket({ clientId: "twice" })),
  },
  {
    what: "DISCONNECT 0x04",
    versions: [5],
    act: (client) => client.send({ cmd: "disconnect", reasonCode: 0x04 }),
  },
  {
    what: "DISCONNECT 0x80",
    versions: [5],
    act: (client) => client.send({ cmd: "disconnect", reasonCode: 0x80 }),
  },
];

for (const version of versions) {
  const label = versionName[version];

  for (const { what, act } of ends.filter((end) => end.versions.includes(version))) {
    wire(
      `v3.1.1 [MQTT-3.1.2-8] [MQTT-3.1.2-9] [MQTT-3.1.2-16] v5 [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14] [MQTT-3.14.2-1]: published when ${what} (${label})`,
      async ({ client, name }) => {
        const topic = name("will");
        const watcher = await client(version);
        await watcher.subscribe(topic, { qos: 2 });
        for (const qos of [0, 1, 2] as const) {
          const dying = await client(version, { will: { topic, payload: `last ${qos}`, qos } });
          await act(dying);
          const packet = await watcher.receive({ topic, payload: `last ${qos}`, qos, retain: false });
          await watcher.acknowledge(packet);
        }
        await watcher.expectSilence();
        const late = await client(version);
        await late.subscribe(topic);
        await late.expectSilence();
      },
    );
  }

  wire(
    `v3.1.1 [MQTT-3.1.2-10] [MQTT-3.14.4-3] v5 [MQTT-3.1.2-10] [MQTT-3.14.4-3]: a normal DISCONNECT discards it (${label})`,
    async ({ client, name }) => {
      const topic = name("will");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const leaving = await client(version, { will: { topic, payload: "never", qos: 1 } });
      await leaving.disconnect();
      await watcher.publish(name("fence"), "x", { qos: 1 });
      await watcher.expectSilence();
      await watcher.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-12] v5 [MQTT-3.1.2-13]: without Will Flag nothing is published (${label})`,
    async ({ client, name }) => {
      const clientId = name("willess");
      const watcher = await client(version);
      const publisher = await client(version);
      const [before, after] = [name("fence"), name("fence")];
      await watcher.subscribe("#", { qos: 0 });
      await publisher.publish(before, "retained messages of other tests may come before");
      let packet = await watcher.receive();
      while (packet.topic !== before) packet = await watcher.receive();
      const dying = await client(version, { clientId });
      dying.cut();
      const next = await client(version, { clientId });
      await next.disconnect();
      await publisher.publish(after, "fence");
      await watcher.receive({ topic: after });
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-17] v5 [MQTT-3.1.2-15]: Will Retain 1 makes it a retained message (${label})`,
    async ({ client, name }) => {
      const topic = name("retained");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const dying = await client(version, { will: { topic, payload: "last", qos: 1, retain: true } });
      dying.end();
      await watcher.receive({ payload: "last", retain: false });
      const late = await client(version);
      await late.subscribe(topic, { qos: 1 });
      await late.receive({ payload: "last", retain: true });
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-10] v5 [MQTT-3.1.2-10]: published once, whatever the Session does next (${label})`,
    async ({ open, client, name }) => {
      const topic = name("once");
      const clientId = name("mortal");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const durable: ConnectOptions = {
        clientId,
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
      };
      const first = await open(version);
      await first.connect({ ...durable, will: { topic, payload: "first", qos: 1 } });
      first.end();
      await watcher.acknowledge(await watcher.receive({ payload: "first" }));
      const second = await open(version);
      await second.connect(durable);
      second.end();
      await second.expectClosed();
      const third = await open(version);
      await third.connect(durable);
      await third.disconnect();
      await watcher.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-8] v5 [MQTT-3.1.2-8]: takeover publishes the old connection's Will (${label})`,
    async ({ client, name }) => {
      const topic = name("takeover");
      const clientId = name("twin");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const old = await client(version, { clientId, will: { topic, payload: "old", qos: 1 } });
      const young = await client(version, { clientId, will: { topic, payload: "young", qos: 1 } });
      await old.expectDisconnected(0x8e);
      await watcher.receive({ payload: "old" });
      await young.disconnect();
      await watcher.expectSilence();
    },
  );

  wire(`an empty Will message is published (${label})`, async ({ open, client, name }) => {
    const topic = name("empty");
    const watcher = await client(version);
    await watcher.subscribe(topic, { qos: 1 });
    const dying = await open(version);
    await dying.send(
      rawConnect({
        level: version,
        flags: 0x06,
        payload: bytes(utf8(name("mortal")), version === 5 ? properties() : bytes(), utf8(topic), utf8("")),
      }),
    );
    await dying.expect("connack");
    dying.end();
    await watcher.receive({ topic, payload: "", qos: 0 });
  });

  wire.together(
    `v3.1.1 [MQTT-3.1.2-24] v5 [MQTT-3.1.2-22]: a Keep Alive timeout publishes it (${label})`,
    async ({ client, name }) => {
      const topic = name("keepalive");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const silent = await client(version, { keepalive: 1, will: { topic, payload: "silence", qos: 1 } });
      await Promise.all([
        watcher.receive({ payload: "silence" }, 8_000),
        silent.expectClosed(8_000, ["disconnect"]),
      ]);
    },
  );
}

wire(
  "v5 [MQTT-3.1.3-10] [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-20]: Will properties are those of the message",
  async ({ client, name }) => {
    const topic = name("properties");
    const watcher = await client(5);
    await watcher.subscribe(topic, { qos: 1 });
    const willProperties: NonNullable<Will["properties"]> = {
      payloadFormatIndicator: true,
      contentType: "text/plain",
      responseTopic: "answer/here",
      correlationData: Buffer.from([1, 2, 0, 255]),
      userProperties: { zulu: "1", alpha: ["2", "3"], mike: "4" },
    };
    const dying = await client(5, {
      will: {
        topic,
        payload: "last",
        qos: 1,
        properties: { willDelayInterval: 0, messageExpiryInterval: 600, ...willProperties },
      },
    });
    dying.end();
    const packet = await watcher.receive({ payload: "last" });
    expect(packet.properties).toMatchObject(willProperties);
    expect(packet.properties?.messageExpiryInterval).toBeLessThanOrEqual(600);
    expect(packet.properties?.messageExpiryInterval).toBeGreaterThanOrEqual(590);
    expect(Object.keys(packet.properties?.userProperties ?? {})).toEqual(["zulu", "alpha", "mike"]);
    expect(packet.properties).not.toHaveProperty("willDelayInterval");
  },
);

wire("v5 [MQTT-3.1.3-9]: reconnecting within the Will Delay withholds it", async ({ open, client, name }) => {
  const topic = name("withheld");
  const watcher = await client(5);
  await watcher.subscribe(topic, { qos: 1 });
  const options: ConnectOptions = {
    clientId: name("returning"),
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  };
  const first = await open(5);
  await first.connect({
    ...options,
    will: { topic, payload: "never", properties: { willDelayInterval: 60 } },
  });
  first.end();
  await first.expectClosed();
  const second = await open(5);
  await second.connect(options);
  await second.disconnect();
  await watcher.expectSilence();
});

wire(
  "v5 [MQTT-3.1.2-8]: a clean start ends the old Session and so the Will Delay",
  async ({ open, client, name }) => {
    const topic = name("cleanstart");
    const clientId = name("restarting");
    const watcher = await client(5);
    await watcher.subscribe(topic, { qos: 1 });
    const first = await open(5);
    await first.connect({
      clientId,
      properties: { sessionExpiryInterval: 100 },
      will: { topic, payload: "now", properties: { willDelayInterval: 60 } },
    });
    first.end();
    await first.expectClosed();
    const second = await open(5);
    await second.connect({ clientId, clean: true });
    await watcher.receive({ payload: "now" });
  },
);

wire(
  "v5 [MQTT-3.1.2-8]: DISCONNECT 0x04 with Session Expiry 0 publishes at once despite a delay",
  async ({ open, client, name }) => {
    const topic = name("atonce");
    const watcher = await client(5);
    await watcher.subscribe(topic, { qos: 1 });
    const leaving = await open(5);
    await leaving.connect({
      clientId: name("leaving"),
      properties: { sessionExpiryInterval: 100 },
      will: { topic, payload: "now", properties: { willDelayInterval: 60 } },
    });
    await leaving.disconnect({ sessionExpiryInterval: 0 }, 0x04);
    await watcher.receive({ payload: "now" });
  },
);

wire(
  "v5 [MQTT-3.1.2-8]: takeover within the same Session honours the Will Delay",
  async ({ open, client, name }) => {
    const topic = name("kept");
    const clientId = name("twin");
    const watcher = await client(5);
    await watcher.subscribe(topic, { qos: 1 });
    const options: ConnectOptions = { clientId, clean: false, properties: { sessionExpiryInterval: 100 } };
    const old = await open(5);
    await old.connect({
      ...options,
      will: { topic, payload: "never", properties: { willDelayInterval: 60 } },
    });
    const young = await open(5);
    await young.connect(options);
    await old.expectDisconnected(0x8e);
    await watcher.expectSilence();
    await watcher.expectSilence();
  },
);

wire.together(
  "v5 [MQTT-3.1.2-8]: the Will waits for its delay, or for the end of the Session",
  async ({ open, client, name, timePasses }) => {
    const delayed = name("delayed");
    const ended = name("ended");
    const patient = name("patient");
    const watcher = await client(5);
    await watcher.subscribe([delayed, ended, patient], { qos: 1 });
    const cases = [
      { topic: delayed, expiry: 100, delay: 1 },
      { topic: ended, expiry: 1, delay: 100 },
      { topic: patient, expiry: 100, delay: 100 },
    ];
    for (const { topic, expiry, delay } of cases) {
      const dying = await open(5);
      await dying.connect({
        clientId: name("dying"),
        properties: { sessionExpiryInterval: expiry },
        will: { topic, payload: topic, properties: { willDelayInterval: delay } },
      });
      dying.end();
    }
    await watcher.expectSilence();
    const first = await watcher.receive({}, 8_000);
    const second = await watcher.receive({}, 8_000);
    expect([first.topic, second.topic].sort()).toEqual([delayed, ended].sort());
    await timePasses();
    await watcher.expectSilence();
  },
);
