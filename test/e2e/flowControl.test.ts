// Windows and sizes towards clients, §4.9 and §3.1.2.11: Receive Maximum, Maximum Packet Size, refusing codes.

import { expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Received, Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();
const wireSmallWindow = wireSuite({ listener: { inflightMax: 3 } });
const wireSmallMemory = wireSuite({ router: { memoryBytes: 8 << 20 } });
const wireCrowded = wireSuite({ router: { connectionsMax: 2 } });

for (const version of versions) {
  const label = versionName[version];

  wireSmallWindow(
    `no more QoS 1 and 2 in flight than the listener allows; acknowledging moves the window (${label})`,
    async ({ client, name }) => {
      const topic = name("window");
      const subscriber = await client(version);
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      for (let index = 0; index < 8; index++) await publisher.publish(topic, `m${index}`, { qos: 1 });
      const window: Received<"publish">[] = [];
      for (let index = 0; index < 3; index++) window.push(await subscriber.receive({ payload: `m${index}` }));
      await subscriber.expectSilence();
      for (let index = 3; index < 8; index++) {
        const oldest = window.shift();
        if (oldest === undefined) throw new Error("the window is full");
        await subscriber.acknowledge(oldest);
        window.push(await subscriber.receive({ payload: `m${index}` }));
        await subscriber.expectSilence();
      }
    },
  );
}

wire(
  "v5 [MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]: the client's Receive Maximum bounds QoS 1 and 2 and nothing else",
  async ({ client, name }) => {
    const topic = name("receive");
    const subscriber = await client(5, { properties: { receiveMaximum: 2 } });
    await subscriber.subscribe(topic, { qos: 2 });
    const publisher = await client(5);
    for (let index = 0; index < 6; index++) {
      await publisher.publish(topic, `m${index}`, { qos: index % 2 === 0 ? 1 : 2 });
    }
    const first = await subscriber.receive({ payload: "m0", qos: 1 });
    const second = await subscriber.receive({ payload: "m1", qos: 2 });
    await subscriber.expectSilence();
    expect(await subscriber.subscribe(name("other"), { qos: 1 })).toEqual([1]);
    await subscriber.publish(name("elsewhere"), "up", { qos: 2 });
    await subscriber.unsubscribe("never-subscribed");
    // PUBREC does not return quota; PUBCOMP does, and so does PUBACK.
    await subscriber.send({ cmd: "pubrec", messageId: second.messageId ?? 0 });
    await subscriber.expect("pubrel", { messageId: second.messageId ?? 0 });
    await subscriber.expectSilence();
    await subscriber.send({ cmd: "pubcomp", messageId: second.messageId ?? 0 });
    const third = await subscriber.receive({ payload: "m2" });
    await subscriber.expectSilence();
    await subscriber.acknowledge(first);
    await subscriber.receive({ payload: "m3" });
    await subscriber.expectSilence();
    await subscriber.acknowledge(third);
    await subscriber.receive({ payload: "m4" });
    await subscriber.expectSilence();
  },
);

wire(
  "v5 [MQTT-4.4.0-2] [MQTT-4.3.3-4]: PUBACK and PUBREC of 0x80 and more end a delivery and free its quota",
  async ({ open, client, name }) => {
    const topic = name("refuse");
    const clientId = name("refuser");
    const options = {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 1 },
    };
    const subscriber = await open(5);
    await subscriber.connect(options);
    await subscriber.subscribe(topic, { qos: 2 });
    const publisher = await client(5);
    for (let index = 0; index < 4; index++) {
      await publisher.publish(topic, `m${index}`, { qos: index % 2 === 0 ? 1 : 2 });
    }
    for (let index = 0; index < 3; index++) {
      const packet = await subscriber.receive({ payload: `m${index}` });
      await subscriber.send({
        cmd: packet.qos === 1 ? "puback" : "pubrec",
        messageId: packet.messageId ?? 0,
        reasonCode: index === 0 ? 0x83 : 0x97,
      });
    }
    await subscriber.receive({ payload: "m3" });
    subscriber.end();
    await subscriber.expectClosed();
    const back = await open(5);
    await back.connect(options);
    await back.receive({ payload: "m3", dup: true });
    await back.expectSilence();
  },
);

wire(
  "v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]: a message too large for a client is dropped for it alone",
  async ({ client, name }) => {
    const topic = name("large");
    const small = await client(5, { properties: { maximumPacketSize: 100, receiveMaximum: 1 } });
    const exact = await client(5, { properties: { maximumPacketSize: 100 } });
    const large = await client(5);
    for (const subscriber of [small, exact, large]) await subscriber.subscribe(topic, { qos: 1 });
    const publisher = await client(4);
    const room = 100 - 2 - 2 - topic.length - 2 - 1;
    const payloads = ["a", "x".repeat(500), "b", "y".repeat(room + 1), "z".repeat(room), "c"];
    for (const payload of payloads) await publisher.publish(topic, payload, { qos: 1 });
    for (const payload of payloads) await large.receive({ payload });
    for (const payload of ["a", "b", "z".repeat(room), "c"]) {
      const packet = await small.receive({ payload });
      expect(packet.raw.length).toBeLessThanOrEqual(100);
      await small.acknowledge(packet);
      await exact.receive({ payload });
    }
    await small.expectSilence();
  },
);

wire("a retained message too large for a client is dropped for it alone", async ({ client, name }) => {
  const stem = name("large");
  const publisher = await client(5);
  for (const leaf of ["a", "b", "c"]) {
    await publisher.publish(`${stem}/${leaf}`, leaf.repeat(leaf === "b" ? 500 : 5), { qos: 1, retain: true });
  }
  const small = await client(5, { properties: { maximumPacketSize: 100, receiveMaximum: 1 } });
  await small.subscribe(`${stem}/+`, { qos: 1 });
  const got = [];
  for (let index = 0; index < 2; index++) {
    const packet = await small.receive({ retain: true });
    got.push(packet.topic);
    await small.acknowledge(packet);
  }
  expect(got.sort()).toEqual([`${stem}/a`, `${stem}/c`]);
  await small.expectSilence();
});

wire(
  "v5 [MQTT-3.14.2-3]: DISCONNECT keeps within the client's Maximum Packet Size, Reason String or not",
  async ({ client }) => {
    for (const maximumPacketSize of [20, 40, 200]) {
      const violator = await client(5, { properties: { maximumPacketSize } });
      await violator.send(Uint8Array.of(0xf0, 0x00));
      const { raw } = await violator.expect("disconnect", { reasonCode: 0x82 });
      expect(raw.length).toBeLessThanOrEqual(maximumPacketSize);
      await violator.expectClosed();
    }
  },
);

wireSmallMemory(
  "v5 [MQTT-4.3.3-9]: after a PUBREC of 0x80 or more the identifier means a new message",
  async ({ client, name }) => {
    const stem = name("budget");
    const publisher = await client(5);
    const subscriber = await client(5);
    await subscriber.subscribe(`${stem}/#`);
    const send = async (topic: string, payload: string): Promise<number> => {
      await publisher.send(publisher.publishPacket(topic, payload, { qos: 2, messageId: 9, retain: true }));
      const { reasonCode = 0 } = await publisher.expect("pubrec", { messageId: 9 });
      if (reasonCode < 0x80) {
        await publisher.send({ cmd: "pubrel", messageId: 9 });
        await publisher.expect("pubcomp", { messageId: 9 });
      }
      return reasonCode;
    };
    let code = 0;
    let stored = 0;
    while (code < 0x80 && stored < 200) {
      code = await send(`${stem}/${stored}`, "x".repeat(100_000));
      stored += 1;
    }
    expect(code).toBe(0x97);
    expect(await send(`${stem}/new`, "new")).toBe(0);
    let packet = await subscriber.receive();
    while (packet.topic !== `${stem}/new`) packet = await subscriber.receive();
    await subscriber.expectSilence();
  },
);

wireCrowded("a connection too many is refused with its code", async ({ open, client }) => {
  await client(4);
  await client(5);
  const refusals: readonly (readonly [Version, readonly number[]])[] = [
    [3, [0x03]],
    [4, [0x03]],
    [5, [0x89, 0x97]],
  ];
  for (const [version, codes] of refusals) {
    const extra = await open(version);
    await extra.send(extra.connectPacket({ clientId: "extra" }));
    const connack = await extra.expect("connack", { sessionPresent: false });
    expect(codes).toContain(connack.reasonCode ?? connack.returnCode ?? 0);
    await extra.expectClosed();
  }
});

wire(
  "a client that does not read slows nobody and gets whole packets in order when it reads again",
  async ({ client, name }) => {
    const topic = name("slow");
    const slow = await client(4);
    const healthy = await client(4);
    for (const subscriber of [slow, healthy]) await subscriber.subscribe(topic);
    slow.pause();
    const publisher = await client(4);
    const total = 600;
    for (let index = 0; index < total; index++) {
      await publisher.send(publisher.publishPacket(topic, `${index} `.padEnd(100_000, "x")));
      await healthy.receive({ topic }, 10_000);
    }
    await publisher.expectSilence();
    slow.resume();
    await publisher.publish(topic, `${total}`);
    let last = -1;
    while (last < total) {
      const packet = await slow.receive({ topic }, 10_000);
      const number = Number.parseInt(packet.payload.toString(), 10);
      expect(number).toBeGreaterThan(last);
      last = number;
    }
  },
);

wire("two clients that publish to each other at QoS 1 do not lock", async ({ client, name }) => {
  const [left, right] = [await client(4), await client(5)];
  const [toLeft, toRight] = [name("left"), name("right")];
  await left.subscribe(toLeft, { qos: 1 });
  await right.subscribe(toRight, { qos: 1 });
  const total = 400;
  const payload = "p".repeat(20_000);
  const run = async (own: typeof left, target: string): Promise<void> => {
    let sent = 0;
    let acknowledged = 0;
    let received = 0;
    const more = async (): Promise<void> => {
      while (sent < total && sent - acknowledged < 50) {
        sent += 1;
        await own.send(own.publishPacket(target, payload, { qos: 1, messageId: sent }));
      }
    };
    await more();
    while (acknowledged < total || received < total) {
      const packet = await own.next(10_000);
      if (packet.cmd === "puback") acknowledged += 1;
      if (packet.cmd === "publish") {
        received += 1;
        await own.acknowledge(packet);
      }
      await more();
    }
  };
  await Promise.all([run(left, toRight), run(right, toLeft)]);
});

wire(
  "Sessions that never return, with all their quota in flight, do not stop the others",
  async ({ open, client, name }) => {
    for (let index = 0; index < 30; index++) {
      const topic = name("abandoned");
      const abandoned = await open(4);
      await abandoned.connect({ clientId: name("never-back"), clean: false });
      await abandoned.subscribe(topic, { qos: 1 });
      const publisher = await client(4);
      for (let count = 0; count < 6; count++) {
        await publisher.publish(topic, Buffer.alloc(600_000), { qos: 1 });
        await abandoned.receive({ topic, qos: 1 });
      }
      abandoned.cut();
    }
  },
);
