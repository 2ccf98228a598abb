// SUBSCRIBE, UNSUBSCRIBE and matching, §3.8 to §3.11 and §4.7.

import { expect } from "bun:test";
import { bytes, frame, Property, properties, u16, utf8, varint } from "../support/bytes.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();

/** filter, topics that it matches, topics that it does not; "~" stands for a name of the test's own. */
const matching: readonly [filter: string, yes: readonly string[], no: readonly string[]][] = [
  ["~/a", ["~/a"], ["~", "~/a/", "~/A", "/~/a", "~/a/b"]],
  ["~/#", ["~", "~/", "~/a", "~/a/b", "~//", "~/$x"], ["~x", "x/~", "/~/a"]],
  ["~/+", ["~/", "~/a", "~/$x"], ["~", "~/a/b", "~/a/"]],
  ["~/+/c", ["~/b/c", "~//c"], ["~/c", "~/a/b/c", "~/b/c/d"]],
  ["~/a/#", ["~/a", "~/a/", "~/a/b/c"], ["~", "~/b", "~/ab"]],
  ["+/~", ["/~", "a/~"], ["~", "a/b/~", "$a/~", "$SYS/~"]],
  ["+/~/#", ["a/~", "a/~/b", "/~/b"], ["~/a", "$a/~/b"]],
  ["$~/#", ["$~", "$~/a"], ["~/a"]],
  ["$~/+", ["$~/a"], ["$~", "$~/a/b"]],
  ["~/+/+/#", ["~/a/b", "~/a/b/c", "~//"], ["~/a", "~"]],
  ["~//+", ["~//", "~//a"], ["~/", "~/a/b"]],
];

for (const version of versions) {
  const label = versionName[version];

  for (const [filter, yes, no] of matching) {
    wire(
      `v3.1.1 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] [MQTT-3.3.2-3] v5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-3.3.2-3]: ${filter} (${label})`,
      async ({ client, name }) => {
        const own = name("m");
        const subscriber = await client(version);
        expect(await subscriber.subscribe(filter.replaceAll("~", own), { qos: 1 })).toEqual([1]);
        const publisher = await client(version);
        for (const topic of [...no, ...yes])
          await publisher.publish(topic.replaceAll("~", own), topic, { qos: 1 });
        for (const topic of yes) {
          await subscriber.receive({ topic: topic.replaceAll("~", own), payload: topic });
        }
        await subscriber.expectSilence();
      },
    );
  }

  wire(
    `v3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.3.1-7] v5 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]: one code per filter, in order (${label})`,
    async ({ client, name }) => {
      const stem = name("codes");
      const subscriber = await client(version);
      for (const messageId of [1, 0x1234, 0xffff]) {
        await subscriber.send({
          cmd: "subscribe",
          messageId,
          subscriptions: [
            { topic: `${stem}/c`, qos: 2 },
            { topic: `${stem}/a`, qos: 0 },
            { topic: `${stem}/b`, qos: 1 },
            { topic: `${stem}/a`, qos: 2 },
          ],
        });
        await subscriber.expect("suback", { messageId, granted: [2, 0, 1, 2] });
      }
      const publisher = await client(version);
      for (const leaf of ["a", "b", "c"]) {
        await publisher.publish(`${stem}/${leaf}`, leaf, { qos: 2 });
        const packet = await subscriber.receive({ payload: leaf, qos: leaf === "b" ? 1 : 2 });
        await subscriber.acknowledge(packet);
      }
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.8.4-3] v5 [MQTT-3.8.4-3]: subscribing again replaces the subscription (${label})`,
    async ({ client, name }) => {
      const topic = name("replace");
      const subscriber = await client(version);
      const publisher = await client(version);
      for (const qos of [2, 0, 1] as const) {
        expect(await subscriber.subscribe(topic, { qos })).toEqual([qos]);
        await publisher.publish(topic, `at ${qos}`, { qos: 2 });
        const packet = await subscriber.receive({ payload: `at ${qos}`, qos });
        await subscriber.acknowledge(packet);
        await subscriber.expectSilence();
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.8.4-3] v5 [MQTT-3.8.4-4]: replacing loses and doubles nothing (${label})`,
    async ({ client, name }) => {
      const topic = name("steady");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      const total = 60;
      for (let index = 0; index < total; index++) {
        await publisher.send(publisher.publishPacket(topic, `${index}`, { qos: 1, messageId: index + 1 }));
        await subscriber.send(subscriber.subscribePacket(topic, { qos: 1 }));
      }
      let subacks = 0;
      const got: string[] = [];
      while (subacks < total || got.length < total) {
        const packet = await subscriber.next();
        if (packet.cmd === "suback") subacks += 1;
        if (packet.cmd === "publish") {
          got.push(packet.payload.toString());
          await subscriber.acknowledge(packet);
        }
      }
      expect(got).toEqual(Array.from({ length: total }, (_, index) => `${index}`));
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.5-1] v5 [MQTT-3.3.4-2]: overlapping filters deliver once, at the highest granted QoS, in log order (${label})`,
    async ({ client, name }) => {
      const stem = name("overlap");
      const subscriber = await client(version);
      await subscriber.subscribe(`${stem}/#`, { qos: 0 });
      await subscriber.subscribe(`${stem}/a/b`, { qos: 2 });
      await subscriber.subscribe(`${stem}/+/b`, { qos: 1 });
      const publisher = await client(version);
      const expected: [topic: string, qos: 0 | 1 | 2][] = [
        ["a/b", 2],
        ["x/b", 1],
        ["x", 0],
        ["a/b", 2],
        ["y/b", 1],
        ["a", 0],
      ];
      for (const [index, [topic]] of expected.entries()) {
        await publisher.publish(`${stem}/${topic}`, `${index}`, { qos: 2 });
      }
      const open = [];
      for (const [index, [topic, qos]] of expected.entries()) {
        open.push(await subscriber.receive({ topic: `${stem}/${topic}`, payload: `${index}`, qos }));
      }
      for (const packet of open) await subscriber.acknowledge(packet);
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-2.3.1-7] v5 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT-2.2.1-6]: UNSUBSCRIBE ends exactly the named subscriptions (${label})`,
    async ({ client, name }) => {
      const stem = name("leave");
      const subscriber = await client(version);
      await subscriber.subscribe([`${stem}/+`, `${stem}/a`, `${stem}/b`], { qos: 1 });
      const none = await subscriber.unsubscribe(`${stem}/c`, `${stem}/#`, `${stem}/A`);
      if (version === 5) expect(none.granted).toEqual([0x11, 0x11, 0x11]);
      else expect(none.raw.length).toBe(4);
      const publisher = await client(version);
      await publisher.publish(`${stem}/c`, "by plus", { qos: 1 });
      await subscriber.receive({ payload: "by plus" });
      const some = await subscriber.unsubscribe(`${stem}/x`, `${stem}/+`, `${stem}/b`);
      if (version === 5) expect(some.granted).toEqual([0x11, 0x00, 0x00]);
      for (const leaf of ["b", "c", "a"]) await publisher.publish(`${stem}/${leaf}`, leaf, { qos: 1 });
      await subscriber.receive({ payload: "a" });
      await subscriber.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.10.4-3] v5 [MQTT-3.10.4-3]: UNSUBSCRIBE lets started deliveries end (${label})`,
    async ({ open, client, name }) => {
      const topic = name("finish");
      const options = {
        clientId: name("finisher"),
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
      };
      const subscriber = await open(version);
      await subscriber.connect(options);
      await subscriber.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      await publisher.publish(topic, "two", { qos: 2 });
      await publisher.publish(topic, "one", { qos: 1 });
      const two = await subscriber.receive({ payload: "two" });
      await subscriber.receive({ payload: "one" });
      await subscriber.unsubscribe(topic);
      await subscriber.acknowledge(two);
      subscriber.end();
      await subscriber.expectClosed();
      const back = await open(version);
      await back.connect(options);
      const one = await back.receive({ payload: "one", dup: true });
      await back.acknowledge(one);
      await back.expectSilence();
    },
  );

  wire(`filters that begin with $ disconnect nobody (${label})`, async ({ client }) => {
    const subscriber = await client(version);
    for (const filter of ["$SYS/#", "$SYS/broker/uptime", "$", "$/", "$x/+/y", "$queue/a", "$share"]) {
      await subscriber.send(subscriber.subscribePacket(filter, { qos: 1 }));
      let packet = await subscriber.next();
      while (packet.cmd === "publish") packet = await subscriber.next();
      if (packet.cmd !== "suback") throw new Error(`${filter}: SUBACK expected, got ${packet.cmd}`);
      expect([0, 1, 2, 0x80, 0x87, 0x8f]).toContain(Number(packet.granted[0]));
    }
  });

  wire(
    `v3.1.1 [MQTT-3.9.3-2] v5 [MQTT-3.8.4-7]: filters that are no filters get a failure code, their neighbours none (${label})`,
    async ({ client, name }) => {
      const good = name("good");
      const subscriber = await client(version);
      for (const bad of ["a/#/b", "a#", "#a", "a+", "+a/b", "a/b+/c", "a/#b"]) {
        const messageId = subscriber.nextIdentifier();
        await subscriber.send(
          frame(0x82, u16(messageId), version === 5 ? properties() : bytes(), utf8(good), 1, utf8(bad), 1),
        );
        const { granted } = await subscriber.expect("suback", { messageId });
        expect(granted[0]).toBe(1);
        expect(Number(granted[1])).toBe(version === 5 ? 0x8f : 0x80);
      }
    },
  );
}

wire("v3.1.1 [MQTT-4.7.3-3]: a SUBSCRIBE of a thousand filters", async ({ client, name }) => {
  const stem = name("thousand");
  for (const version of versions) {
    const subscriber = await client(version);
    const filters = Array.from({ length: 1_000 }, (_, index) => `${stem}/${index}/+`);
    expect((await subscriber.subscribe(filters, { qos: 1 })).length).toBe(1_000);
    const publisher = await client(version);
    await publisher.publish(`${stem}/999/x`, "found", { qos: 1 });
    await subscriber.receive({ payload: "found" });
  }
});

wire(
  "v5 [MQTT-3.3.4-3] [MQTT-3.3.4-4]: one copy with the identifier of every matching subscription",
  async ({ client, name }) => {
    const stem = name("identified");
    const subscriber = await client(5);
    await subscriber.subscribe(`${stem}/#`, { qos: 1, identifier: 1 });
    await subscriber.subscribe(`${stem}/+`, { qos: 0, identifier: 268_435_455 });
    await subscriber.subscribe(`${stem}/a`, { qos: 0 });
    await subscriber.subscribe([`${stem}/b`, `${stem}/+/c`], { qos: 2, identifier: 200 });
    const publisher = await client(5);
    const expected: [string, readonly number[]][] = [
      ["a", [1, 268_435_455]],
      ["b", [1, 200, 268_435_455]],
      ["x/c", [1, 200]],
      ["x/y/z", [1]],
    ];
    for (const [topic, identifiers] of expected) {
      await publisher.publish(`${stem}/${topic}`, topic, { qos: 1 });
      const packet = await subscriber.receive({ payload: topic, qos: 1 });
      const got = [packet.properties?.subscriptionIdentifier ?? []].flat();
      expect(got.toSorted((left, right) => left - right)).toEqual([...identifiers]);
      await subscriber.acknowledge(packet);
    }
    await subscriber.expectSilence();
  },
);

wire("v5 [MQTT-3.8.4-3]: subscribing again replaces the identifier", async ({ client, name }) => {
  const topic = name("renumber");
  const subscriber = await client(5);
  const publisher = await client(5);
  for (const identifier of [5, 6, undefined]) {
    await subscriber.subscribe(topic, identifier === undefined ? {} : { identifier });
    await publisher.publish(topic, "x");
    const packet = await subscriber.receive();
    expect(packet.properties?.subscriptionIdentifier).toBe(identifier);
  }
});

wire(
  "v5 [MQTT-3.3.4-6]: a client's PUBLISH with Subscription Identifier is a Protocol Error",
  async ({ client, name }) => {
    const odd = await client(5);
    await odd.send(
      frame(0x30, utf8(name("t")), properties(Property.subscriptionIdentifier, varint(1)), 0x78),
    );
    await odd.expectDisconnected(0x82);
  },
);

wire(
  "v5 [MQTT-4.13.1-1]: Subscription Identifier 0 and a second one are Protocol Errors",
  async ({ client }) => {
    for (const props of [
      properties(Property.subscriptionIdentifier, 0),
      properties(Property.subscriptionIdentifier, 1, Property.subscriptionIdentifier, 2),
    ]) {
      const odd = await client(5);
      await odd.send(frame(0x82, u16(1), props, utf8("t"), 0));
      await odd.expectDisconnected(0x82);
    }
  },
);

wire(
  "v5 [MQTT-3.8.3-3]: No Local keeps a client's own messages from it, per filter",
  async ({ client, name }) => {
    const stem = name("local");
    const clientId = name("echo");
    const echo = await client(5, { clientId });
    await echo.subscribe(`${stem}/a`, { nl: true, qos: 1 });
    await echo.subscribe(`${stem}/b`, { nl: false, qos: 1 });
    const other = await client(5);
    await echo.send(
      echo.publishPacket(`${stem}/a`, "own a", { qos: 0 }),
      echo.publishPacket(`${stem}/b`, "own b", { qos: 0 }),
    );
    await echo.receive({ payload: "own b" });
    await other.publish(`${stem}/a`, "other a", { qos: 1 });
    await echo.receive({ payload: "other a" });
    await echo.expectSilence();
  },
);

wire(
  "v5 [MQTT-3.8.3-3]: with overlapping filters the one without No Local delivers",
  async ({ client, name }) => {
    const stem = name("ruling");
    const echo = await client(5);
    await echo.subscribe(`${stem}/#`, { nl: true, identifier: 1 });
    await echo.subscribe(`${stem}/a`, { nl: false, identifier: 2 });
    await echo.send(echo.publishPacket(`${stem}/a`, "own"));
    const packet = await echo.receive({ payload: "own" });
    expect(packet.properties?.subscriptionIdentifier).toBe(2);
    await echo.expectSilence();
  },
);

wire(
  "v5 [MQTT-3.8.3-3]: No Local holds for the client's Will and for a taken-over Session too",
  async ({ open, client, name }) => {
    const topic = name("resumed");
    const options = { clientId: name("local"), clean: false, properties: { sessionExpiryInterval: 100 } };
    const first = await open(5);
    await first.connect(options);
    await first.subscribe(topic, { nl: true, qos: 1 });
    const second = await open(5);
    await second.connect(options);
    await second.publish(topic, "own", { qos: 1 });
    const other = await client(5);
    await other.publish(topic, "other", { qos: 1 });
    await second.receive({ payload: "other" });
    await second.expectSilence();
  },
);
