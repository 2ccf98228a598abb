// PUBLISH and its handshakes, §3.3 to §3.7 and §4.3: every QoS both ways, identifiers, order, windows and sizes.

import { expect } from "bun:test";
import { bytes, frame, hex, Property, properties, rawPublish, u16, utf8 } from "../support/bytes.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import { minQos, type Received, type Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];
const levels = [0, 1, 2] as const;

const wire = wireSuite();

for (const version of versions) {
  const label = versionName[version];

  for (const published of levels) {
    for (const granted of levels) {
      wire(
        `v3.1.1 [MQTT-3.8.4-6] [MQTT-3.3.4-1] [MQTT-3.3.1-2] [MQTT-3.3.1-9] [MQTT-2.3.1-5] [MQTT-2.3.1-6] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-3.3.2-3] v5 [MQTT-3.8.4-8] [MQTT-3.3.4-1] [MQTT-3.3.1-2] [MQTT-2.2.1-2] [MQTT-2.2.1-5] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.2-4] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-3.3.2-3] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]: published at QoS ${published}, granted ${granted} (${label})`,
        async ({ client, name }) => {
          const topic = name("qos/a b");
          const subscriber = await client(version);
          expect(await subscriber.subscribe(topic, { qos: granted })).toEqual([granted]);
          const publisher = await client(version);
          await publisher.publish(topic, "hello", { qos: published });
          const qos = minQos(published, granted);
          const packet = await subscriber.receive({
            topic,
            payload: "hello",
            qos,
            dup: false,
            retain: false,
          });
          if (qos > 0) expect(packet.messageId ?? 0).toBeGreaterThan(0);
          await subscriber.acknowledge(packet);
          await subscriber.expectSilence();
        },
      );
    }
  }

  for (const to of versions) {
    wire(`v3.1.1 [MQTT-7.0.0-2]: from ${label} to ${versionName[to]}`, async ({ client, name }) => {
      const topic = name("cross");
      const subscriber = await client(to);
      await subscriber.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      for (const qos of levels) await publisher.publish(topic, `payload ${qos}`, { qos });
      for (const qos of levels) {
        const packet = await subscriber.receive({ topic, payload: `payload ${qos}`, qos });
        expect(packet.properties).toBeUndefined();
        await subscriber.acknowledge(packet);
      }
    });
  }

  wire(
    `v3.1.1 [MQTT-4.3.2-2] v5 [MQTT-4.3.2-5]: after PUBACK the identifier means a new message, DUP or not (${label})`,
    async ({ client, name }) => {
      const topic = name("reuse");
      const subscriber = await client(version);
      await subscriber.subscribe(topic);
      const publisher = await client(version);
      for (const dup of [false, true, true]) {
        await publisher.publish(topic, "same id", { qos: 1, messageId: 5, dup });
        await subscriber.receive({ payload: "same id", dup: false });
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.3.1-3] v5 [MQTT-3.3.1-3]: the publisher's DUP goes no further (${label})`,
    async ({ client, name }) => {
      const topic = name("dup");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      await publisher.publish(topic, "one", { qos: 1, dup: true });
      await publisher.publish(topic, "two", { qos: 2, dup: true });
      await subscriber.receive({ payload: "one", qos: 1, dup: false });
      await subscriber.receive({ payload: "two", qos: 2, dup: false });
    },
  );

  wire(
    `v3.1.1 [MQTT-4.3.3-2] v5 [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12]: QoS 2 repeated before PUBREL is one message, after PUBCOMP a new one (${label})`,
    async ({ client, name }) => {
      const topic = name("twice");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 0 });
      const publisher = await client(version);
      const publish = publisher.publishPacket(topic, "one", { qos: 2, messageId: 3 });
      for (const dup of [false, true, true]) {
        await publisher.send({ ...publish, dup });
        await publisher.expect("pubrec", { messageId: 3 });
      }
      for (let round = 0; round < 2; round++) {
        await publisher.send({ cmd: "pubrel", messageId: 3 });
        await publisher.expect("pubcomp", { messageId: 3 });
      }
      await publisher.publish(topic, "two", { qos: 2, messageId: 3 });
      await subscriber.receive({ payload: "one" });
      await subscriber.receive({ payload: "two" });
      await subscriber.expectSilence();
    },
  );

  wire(
    `acknowledgements of identifiers that are not in flight do no harm (${label})`,
    async ({ client, name }) => {
      const odd = await client(version);
      await odd.send({ cmd: "puback", messageId: 1_000 });
      await odd.send({ cmd: "pubcomp", messageId: 1_000 });
      await odd.expectSilence();
      await odd.send({ cmd: "pubrel", messageId: 1_000 });
      const pubcomp = await odd.expect("pubcomp", { messageId: 1_000 });
      if (version === 5) expect([0x00, 0x92]).toContain(pubcomp.reasonCode ?? -1);
      await odd.send({ cmd: "pubrec", messageId: 1_000 });
      const pubrel = await odd.expect("pubrel", { messageId: 1_000 });
      if (version === 5) expect([0x00, 0x92]).toContain(pubrel.reasonCode ?? -1);
      await odd.publish(name("fine"), "still here", { qos: 1 });
    },
  );

  wire(
    `v3.1.1 [MQTT-2.3.1-4] [MQTT-4.3.2-1] v5 [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]: acknowledgements in any order; no identifier is used twice while in flight (${label})`,
    async ({ client, name }) => {
      const topic = name("shuffle");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 2 });
      const publisher = await client(version);
      const inFlight = new Map<number, Received<"publish">>();
      let sent = 0;
      const publish = async (): Promise<void> => {
        await publisher.publish(topic, `m${sent}`, { qos: sent % 2 === 0 ? 1 : 2 });
        const packet = await subscriber.receive({ payload: `m${sent}`, dup: false });
        const messageId = packet.messageId ?? 0;
        expect(messageId).toBeGreaterThan(0);
        expect(inFlight.has(messageId)).toBe(false);
        inFlight.set(messageId, packet);
        sent += 1;
      };
      for (let index = 0; index < 6; index++) await publish();
      for (const position of [4, 1, 3, 0, 0, 2, 1, 1, 0]) {
        const packet = [...inFlight.values()][position];
        if (packet === undefined) throw new Error("a packet is in flight");
        await subscriber.acknowledge(packet);
        inFlight.delete(packet.messageId ?? 0);
        await publish();
      }
      for (const packet of [...inFlight.values()].reverse()) await subscriber.acknowledge(packet);
      await subscriber.expectSilence();
    },
  );

  wire(`v3.1.1 [MQTT-3.3.1-4] v5 [MQTT-3.3.1-4]: QoS 3 disconnects (${label})`, async ({ client }) => {
    for (const first of [0x36, 0x3e, 0x37]) {
      const odd = await client(version);
      await odd.send(rawPublish(version, first, "t", 1, properties(), "x"));
      await odd.expectDisconnected(0x81);
    }
  });

  wire(
    `v3.1.1 [MQTT-2.3.1-1] v5 [MQTT-2.2.1-3]: Packet Identifier 0 disconnects (${label})`,
    async ({ client }) => {
      const zero = [
        rawPublish(version, 0x32, "t", 0, properties(), "x"),
        rawPublish(version, 0x34, "t", 0, properties(), "x"),
        frame(0x82, u16(0), version === 5 ? properties() : bytes(), utf8("t"), 0),
        frame(0xa2, u16(0), version === 5 ? properties() : bytes(), utf8("t")),
      ];
      for (const packet of zero) {
        const odd = await client(version);
        await odd.send(packet);
        await odd.expectDisconnected([0x81, 0x82]);
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-4.6.0-5] [MQTT-4.6.0-6] v5 [MQTT-4.6.0-5] [MQTT-4.6.0-6]: each topic and QoS in the order of its publisher (${label})`,
    async ({ client, name }) => {
      const topic = name("order");
      const subscriber = await client(version);
      await subscriber.subscribe(`${topic}/#`, { qos: 1 });
      const publisher = await client(version);
      const total = 600;
      const packets = Array.from({ length: total }, (_, index) =>
        publisher.publishPacket(`${topic}/${index % 7}`, `${index}`, {
          qos: index % 2 === 0 ? 0 : 1,
          messageId: index + 1,
        }),
      );
      const last = new Map<string, number>();
      let received = 0;
      for (let from = 0; from < total; from += 60) {
        await publisher.send(...packets.slice(from, from + 60));
        for (let index = 0; index < 30; index++) await publisher.expect("puback");
        for (let index = 0; index < 60; index++) {
          const packet = await subscriber.receive();
          const key = `${packet.topic} ${packet.qos}`;
          const number = Number(packet.payload.toString());
          expect(number).toBeGreaterThan(last.get(key) ?? -1);
          last.set(key, number);
          received += 1;
          if (packet.qos === 1) await subscriber.acknowledge(packet);
        }
      }
      expect(received).toBe(total);
    },
  );

  wire(
    `many packets in one write, and empty, small and large payloads (${label})`,
    async ({ client, name }) => {
      const topic = name("sizes");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      const sizes = [0, 1, 100, 16_383, 16_384, 200_000, 0, 1_000_000, 3];
      const packets = sizes.map((size, index) =>
        publisher.publishPacket(topic, Buffer.alloc(size, 65 + index), {
          qos: index % 2 === 0 ? 0 : 1,
          ...(index % 2 === 0 ? {} : { messageId: index }),
        }),
      );
      await publisher.send(...packets);
      for (const [index, size] of sizes.entries()) {
        const packet = await subscriber.receive({ qos: index % 2 === 0 ? 0 : 1 }, 10_000);
        expect(packet.payload.length).toBe(size);
        expect(Buffer.from(packet.payload).equals(Buffer.alloc(size, 65 + index))).toBe(true);
        await subscriber.acknowledge(packet);
      }
    },
  );

  wire(`a whole conversation byte by byte (${label})`, async ({ open, name }) => {
    const topic = name("split");
    const client = await open(version);
    client.split = true;
    await client.connect({ clientId: name("split") });
    expect(await client.subscribe([topic, `${topic}/+`], { qos: 2 })).toEqual([2, 2]);
    for (const qos of levels) {
      const messageId = 50 + qos;
      await client.send(client.publishPacket(topic, "piece by piece", { qos, messageId }));
      const wanted =
        [["publish"], ["puback", "publish"], ["pubcomp", "publish", "pubrec", "pubrel"]][qos] ?? [];
      const got: string[] = [];
      while (got.length < wanted.length) {
        const packet = await client.next();
        got.push(packet.cmd);
        if (packet.cmd === "publish" && packet.qos > 0) {
          await client.send({
            cmd: packet.qos === 1 ? "puback" : "pubrec",
            messageId: packet.messageId ?? 0,
          });
        }
        if (packet.cmd === "pubrec") await client.send({ cmd: "pubrel", messageId });
        if (packet.cmd === "pubrel") await client.send({ cmd: "pubcomp", messageId: packet.messageId ?? 0 });
      }
      expect(got.sort()).toEqual(wanted);
    }
    await client.unsubscribe(topic, `${topic}/+`);
    await client.expectSilence();
    await client.disconnect();
  });
}

wire(
  "v3.1.1 [MQTT-1.5.3-3] [MQTT-4.7.3-4] v5 [MQTT-1.5.4-3] [MQTT-4.7.3-4]: topics are compared and forwarded byte for byte",
  async ({ client, name }) => {
    const stem = name("exact");
    const topics = [
      `${stem}/\ufeffbom`,
      `${stem}/bom`,
      `${stem}/é`,
      `${stem}/e\u0301`,
      `${stem}/CASE`,
      `${stem}/case`,
      `${stem}//double`,
      `${stem}/ space `,
      `${stem}/😀`,
    ];
    for (const version of versions) {
      const subscribers = await Promise.all(topics.map(() => client(version)));
      for (const [index, topic] of topics.entries()) await subscribers[index]?.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      for (const topic of topics) await publisher.publish(topic, topic, { qos: 1 });
      for (const [index, topic] of topics.entries()) {
        await subscribers[index]?.receive({ topic, payload: topic });
        await subscribers[index]?.expectSilence();
      }
    }
  },
);

wire(
  "v3.1.1 [MQTT-4.7.3-3] v5 [MQTT-4.7.3-3]: a topic of 65,535 bytes is a topic",
  async ({ client, name }) => {
    for (const version of versions) {
      const topic = name("long").padEnd(65_535, "x");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      await publisher.publish(topic, "far", { qos: 1 });
      await subscriber.receive({ topic, payload: "far" });
    }
  },
);

wire(
  "v5 [MQTT-2.2.2-1]: without properties a delivery says so with one zero byte",
  async ({ client, name }) => {
    const topic = name("bare");
    const subscriber = await client(5);
    await subscriber.subscribe(topic);
    const publisher = await client(4);
    await publisher.publish(topic, "x");
    const { raw } = await subscriber.receive();
    expect(Buffer.from(raw).toString("hex")).toBe(
      Buffer.from(bytes(0x30, topic.length + 4, utf8(topic), 0, 0x78)).toString("hex"),
    );
  },
);

wire(
  "v5 [MQTT-3.4.2-1] [MQTT-3.5.2-1]: a message that nobody receives is acknowledged",
  async ({ client, name }) => {
    const publisher = await client(5);
    await publisher.send(publisher.publishPacket(name("void"), "x", { qos: 1, messageId: 1 }));
    const puback = await publisher.expect("puback", { messageId: 1 });
    expect([0x00, 0x10]).toContain(puback.reasonCode ?? -1);
    await publisher.send(publisher.publishPacket(name("void"), "x", { qos: 2, messageId: 2 }));
    const pubrec = await publisher.expect("pubrec", { messageId: 2 });
    expect([0x00, 0x10]).toContain(pubrec.reasonCode ?? -1);
  },
);

wire("v5 [MQTT-1.5.5-1]: the broker's lengths are as short as possible", async ({ client, name }) => {
  const topic = name("short");
  const subscriber = await client(5);
  await subscriber.subscribe(topic);
  const publisher = await client(5);
  for (const size of [10, 127, 128, 5_000, 20_000]) {
    await publisher.publish(topic, "v".repeat(size));
    const { raw } = await subscriber.receive();
    let lengthBytes = 1;
    while (((raw[lengthBytes] ?? 0) & 0x80) !== 0) lengthBytes += 1;
    const body = raw.length - 1 - lengthBytes;
    expect(lengthBytes).toBe(body < 128 ? 1 : body < 16_384 ? 2 : 3);
  }
});

wire.together(
  "v5 [MQTT-4.3.3-7]: a QoS 2 message that was sent does not expire",
  async ({ open, client, name, timePasses }) => {
    const topic = name("begun");
    const options = {
      clientId: name("late"),
      clean: false,
      properties: { sessionExpiryInterval: 100 },
    };
    const subscriber = await open(5);
    await subscriber.connect(options);
    await subscriber.subscribe(topic, { qos: 2 });
    const publisher = await client(5);
    await publisher.publish(topic, "brief", { qos: 2, properties: { messageExpiryInterval: 1 } });
    const { messageId = 0 } = await subscriber.receive({ payload: "brief", qos: 2 });
    subscriber.end();
    await subscriber.expectClosed();
    await timePasses();
    const back = await open(5);
    await back.connect(options);
    await back.receive({ payload: "brief", qos: 2, dup: true, messageId });
    await back.send({ cmd: "pubrec", messageId });
    await back.expect("pubrel", { messageId });
    await back.send({ cmd: "pubcomp", messageId });
    await back.expectSilence();
  },
);

wire.together(
  "v5 [MQTT-4.3.3-13]: a QoS 2 handshake goes on after the message has expired",
  async ({ client, name, timePasses }) => {
    const publisher = await client(5);
    const publish = publisher.publishPacket(name("expired"), "brief", {
      qos: 2,
      messageId: 4,
      properties: { messageExpiryInterval: 1 },
    });
    await publisher.send(publish);
    await publisher.expect("pubrec", { messageId: 4 });
    await timePasses();
    await publisher.send({ ...publish, dup: true });
    await publisher.expect("pubrec", { messageId: 4 });
    await publisher.send({ cmd: "pubrel", messageId: 4 });
    await publisher.expect("pubcomp", { messageId: 4 });
  },
);

wire("v3.1.1 [MQTT-3.12.4-1] v5 [MQTT-3.12.4-1]: PINGREQ gets PINGRESP", async ({ client }) => {
  for (const version of versions) {
    const pinger = await client(version);
    await pinger.send(hex("c000 c000 c000"));
    for (let index = 0; index < 3; index++) {
      const { raw } = await pinger.expect("pingresp");
      expect(Buffer.from(raw).toString("hex")).toBe("d000");
    }
  }
});

wire("v5: acknowledgements and DISCONNECT in their short and long forms", async ({ client, name }) => {
  const topic = name("forms");
  const subscriber = await client(5);
  await subscriber.subscribe(topic, { qos: 1 });
  const publisher = await client(5);
  const reason = properties(
    Property.reasonString,
    utf8("because"),
    Property.userProperty,
    utf8("k"),
    utf8("v"),
  );
  for (const rest of [bytes(), bytes(0x00), bytes(0x00, 0x00), bytes(0x10, reason), bytes(0x80, reason)]) {
    await publisher.publish(topic, "x", { qos: 1 });
    const { messageId = 0 } = await subscriber.receive({ payload: "x", dup: false });
    await subscriber.send(frame(0x40, u16(messageId), rest));
  }
  await subscriber.expectSilence();
  for (const rest of [bytes(), bytes(0x00), bytes(0x00, 0x00), bytes(0x00, reason)]) {
    const watcher = await client(5);
    const will = name("will");
    await watcher.subscribe(will);
    const leaving = await client(5, { will: { topic: will, payload: "never" } });
    await leaving.send(frame(0xe0, rest));
    await leaving.expectClosed();
    await watcher.expectSilence();
  }
});
