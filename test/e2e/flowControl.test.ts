// Windows and sizes towards clients, §4.9 and §3.1.2.11: Receive Maximum, Maximum Packet Size, refusing codes.

import { expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Received, Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();
const wireSmallWindow = wireSuite({ listener: { inflightMax: 3 } });

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
