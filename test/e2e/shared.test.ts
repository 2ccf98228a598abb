// Shared subscriptions, §4.8.2: one member gets each message, and what becomes of it when that member fails.

import { expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";
import { minQos, type Received, type WireClient } from "../support/wireClient.ts";

const wire = wireSuite();
const wireSticky = wireSuite({ router: { sharedStrategy: "sticky" } });
const wireRandom = wireSuite({ router: { sharedStrategy: "random" } });

/** Publishes `total` messages and counts what each member gets; acknowledges all. */
async function distribute(
  members: readonly WireClient[],
  publisher: WireClient,
  topic: string,
  total: number,
): Promise<number[]> {
  const end = `${topic}-end`;
  for (const member of members) await member.subscribe(end, { qos: 1 });
  for (let index = 0; index < total; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
  await publisher.publish(end, "end", { qos: 1 });
  const counts: number[] = [];
  const seen = new Set<string>();
  for (const member of members) {
    let count = 0;
    let ended = false;
    for (let rounds = 0; !ended || rounds < 2; ) {
      await member.send(Uint8Array.of(0xc0, 0x00));
      for (let packet = await member.next(); packet.cmd !== "pingresp"; packet = await member.next()) {
        if (packet.cmd !== "publish") throw new Error(`unexpected ${packet.cmd}`);
        await member.acknowledge(packet);
        if (packet.topic === end) ended = true;
        else {
          expect(seen.has(packet.payload.toString())).toBe(false);
          seen.add(packet.payload.toString());
          count += 1;
        }
      }
      if (ended) rounds += 1;
    }
    counts.push(count);
  }
  expect(seen.size).toBe(total);
  return counts;
}

wire("each message goes to one member, in turn", async ({ client, name }) => {
  const topic = name("turn");
  const members = [await client(5), await client(5), await client(5)];
  for (const member of members) expect(await member.subscribe(`$share/g/${topic}`, { qos: 1 })).toEqual([1]);
  const publisher = await client(5);
  expect(await distribute(members, publisher, topic, 30)).toEqual([10, 10, 10]);
});

wireSticky("sticky: one member gets all", async ({ client, name }) => {
  const topic = name("sticky");
  const members = [await client(5), await client(5), await client(5)];
  for (const member of members) await member.subscribe(`$share/g/${topic}`, { qos: 1 });
  const publisher = await client(5);
  const counts = await distribute(members, publisher, topic, 12);
  expect(counts.toSorted((left, right) => left - right)).toEqual([0, 0, 12]);
});

wireRandom("random: every message goes to one member", async ({ client, name }) => {
  const topic = name("random");
  const members = [await client(5), await client(5)];
  for (const member of members) await member.subscribe(`$share/g/${topic}`, { qos: 1 });
  const publisher = await client(5);
  const counts = await distribute(members, publisher, topic, 40);
  expect(Math.min(...counts)).toBeGreaterThan(0);
});

wire(
  "a group is its ShareName and its filter: each gets its own copy, and so does a plain subscription",
  async ({ client, name }) => {
    const topic = name("keyed");
    const member = await client(5);
    await member.subscribe(`$share/one/${topic}`, { qos: 1, identifier: 1 });
    await member.subscribe(`$share/two/${topic}`, { qos: 1, identifier: 2 });
    await member.subscribe(`$share/one/${topic}/#`, { qos: 1, identifier: 3 });
    await member.subscribe(topic, { qos: 1, identifier: 4 });
    await member.subscribe(`${topic}/#`, { qos: 1, identifier: 5 });
    const publisher = await client(5);
    await publisher.publish(topic, "x", { qos: 1 });
    const identifiers: number[][] = [];
    for (let index = 0; index < 4; index++) {
      const packet = await member.receive({ payload: "x", topic });
      identifiers.push([packet.properties?.subscriptionIdentifier ?? []].flat().sort());
      await member.acknowledge(packet);
    }
    expect(identifiers.map((list) => list.join()).sort()).toEqual(["1", "2", "3", "4,5"]);
    await member.expectSilence();
  },
);

wire("v5 [MQTT-4.8.2-3]: the member's granted QoS counts", async ({ client, name }) => {
  const topic = name("granted");
  for (const granted of [0, 1, 2] as const) {
    for (const published of [0, 1, 2] as const) {
      const member = await client(5);
      await member.subscribe(`$share/${granted}${published}/${topic}`, { qos: granted });
      const publisher = await client(5);
      await publisher.publish(topic, "x", { qos: published });
      const packet = await member.receive({ qos: minQos(published, granted) });
      await member.acknowledge(packet);
      await member.unsubscribe(`$share/${granted}${published}/${topic}`);
    }
  }
});

wire("no retained messages go to a group", async ({ client, name }) => {
  const topic = name("retained");
  const publisher = await client(5);
  await publisher.publish(topic, "kept", { qos: 1, retain: true });
  const member = await client(5);
  for (const rh of [0, 1] as const) {
    await member.subscribe(`$share/g/${topic}`, { qos: 1, rh });
    for (let round = 0; round < 3; round++) await member.expectSilence();
  }
});

wire("v5 [MQTT-3.8.3-4]: No Local on a shared subscription is a Protocol Error", async ({ client, name }) => {
  const member = await client(5);
  await member.send(member.subscribePacket(`$share/g/${name("t")}`, { nl: true }));
  await member.expectDisconnected(0x82);
});

wire("v5 [MQTT-4.8.2-1] [MQTT-4.8.2-2]: shared filters of a wrong form get 0x8F", async ({ client }) => {
  const member = await client(5);
  for (const filter of [
    "$share/",
    "$share//t",
    "$share/g",
    "$share/g/",
    "$share/+/t",
    "$share/#/t",
    "$share/a+b/t",
    "$share/g/a#",
  ]) {
    expect(await member.subscribe(filter)).toEqual([0x8f]);
  }
});

for (const end of ["connection", "session"] as const) {
  wire(
    `a member whose ${end} ends hands its unacknowledged QoS 1 messages to the others`,
    async ({ open, client, name }) => {
      const topic = name("handover");
      const failing = await open(5);
      await failing.connect({
        clientId: name("failing"),
        properties: { sessionExpiryInterval: end === "connection" ? 100 : 0 },
      });
      const filter = `$share/g/${topic}`;
      await failing.subscribe(filter, { qos: 1 });
      const publisher = await client(5);
      for (let index = 0; index < 4; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
      const held: Received<"publish">[] = [];
      for (let index = 0; index < 4; index++) held.push(await failing.receive({ payload: `${index}` }));
      const [first] = held;
      if (first === undefined) throw new Error("four messages were received");
      await failing.acknowledge(first);
      await failing.expectSilence();
      const heir = await client(5);
      await heir.subscribe(filter, { qos: 1 });
      failing.end();
      for (let index = 1; index < 4; index++) {
        await heir.acknowledge(await heir.receive({ payload: `${index}`, qos: 1 }));
      }
      await heir.expectSilence();
    },
  );
}

wire("a member that unsubscribes and then goes hands over what it did not acknowledge", async (context) => {
  const { open, client, name } = context;
  const topic = name("leaving");
  const filter = `$share/g/${topic}`;
  const leaving = await open(5);
  await leaving.connect({ clientId: name("leaving") });
  await leaving.subscribe(filter, { qos: 1 });
  const publisher = await client(5);
  for (let index = 0; index < 3; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
  for (let index = 0; index < 3; index++) await leaving.receive({ payload: `${index}` });
  const heir = await client(5);
  await heir.subscribe(filter, { qos: 1 });
  await leaving.unsubscribe(filter);
  leaving.end();
  for (let index = 0; index < 3; index++) {
    await heir.acknowledge(await heir.receive({ payload: `${index}`, qos: 1 }));
  }
  await heir.expectSilence();
});

wire(
  "v5 [MQTT-4.8.2-4]: a QoS 2 message already sent is completed with the same client when it returns",
  async ({ open, client, name }) => {
    const topic = name("loyal");
    const options = {
      clientId: name("loyal"),
      clean: false,
      properties: { sessionExpiryInterval: 100 },
    };
    const chosen = await open(5);
    await chosen.connect(options);
    const filter = `$share/g/${topic}`;
    await chosen.subscribe(filter, { qos: 2 });
    const publisher = await client(5);
    await publisher.publish(topic, "two", { qos: 2 });
    const { messageId = 0 } = await chosen.receive({ payload: "two", qos: 2 });
    const other = await client(5);
    await other.subscribe(filter, { qos: 2 });
    chosen.end();
    await chosen.expectClosed();
    await other.expectSilence();
    const back = await open(5);
    await back.connect(options);
    const again = await back.receive({ payload: "two", qos: 2, dup: true, messageId });
    await back.acknowledge(again);
    await other.expectSilence();
  },
);

wire(
  "v5 [MQTT-4.8.2-5]: a QoS 2 message already sent goes to nobody else when the Session ends",
  async ({ open, client, name }) => {
    const topic = name("lost");
    const chosen = await open(5);
    await chosen.connect({ clientId: name("lost") });
    const filter = `$share/g/${topic}`;
    await chosen.subscribe(filter, { qos: 2 });
    const publisher = await client(5);
    await publisher.publish(topic, "two", { qos: 2 });
    await chosen.receive({ payload: "two", qos: 2 });
    const other = await client(5);
    await other.subscribe(filter, { qos: 2 });
    chosen.end();
    await chosen.expectClosed();
    await publisher.publish(topic, "next", { qos: 2 });
    await other.acknowledge(await other.receive({ payload: "next" }));
    await other.expectSilence();
  },
);

wire("v5 [MQTT-4.8.2-6]: a message that a member refuses is discarded", async ({ client, name }) => {
  const topic = name("refused");
  const filter = `$share/g/${topic}`;
  const members = [await client(5), await client(5)];
  for (const member of members) await member.subscribe(filter, { qos: 2 });
  const publisher = await client(5);
  for (const qos of [1, 2] as const) {
    await publisher.publish(topic, `refused ${qos}`, { qos });
    for (const member of members) {
      await member.send(Uint8Array.of(0xc0, 0x00));
      for (let packet = await member.next(); packet.cmd !== "pingresp"; packet = await member.next()) {
        await member.send({
          cmd: qos === 1 ? "puback" : "pubrec",
          messageId: packet.messageId ?? 0,
          reasonCode: 0x83,
        });
      }
    }
  }
  for (const member of members) {
    await member.expectSilence();
    await member.expectSilence();
  }
});

wire("a stalled member gets no new messages", async ({ client, name }) => {
  const topic = name("stalled");
  const filter = `$share/g/${topic}`;
  const stalled = await client(5, { properties: { receiveMaximum: 1 } });
  await stalled.subscribe(filter, { qos: 1 });
  const publisher = await client(5);
  await publisher.publish(topic, "held", { qos: 1 });
  await stalled.receive({ payload: "held" });
  const lively = await client(5);
  await lively.subscribe(filter, { qos: 1 });
  for (let index = 0; index < 20; index++) {
    await publisher.publish(topic, `${index}`, { qos: 1 });
    await lively.acknowledge(await lively.receive({ payload: `${index}` }));
  }
  await stalled.expectSilence();
});

wire("the last member's leaving breaks nothing", async ({ client, name }) => {
  const topic = name("last");
  const filter = `$share/g/${topic}`;
  const publisher = await client(5);
  const plain = await client(5);
  await plain.subscribe(topic, { qos: 1 });
  for (const leave of ["unsubscribe", "disconnect", "cut", "unsubscribe"] as const) {
    const member = await client(5);
    await member.subscribe(filter, { qos: 1 });
    await publisher.publish(topic, "in", { qos: 1 });
    await member.acknowledge(await member.receive({ payload: "in" }));
    if (leave === "unsubscribe") await member.unsubscribe(filter);
    else if (leave === "disconnect") await member.disconnect();
    else member.cut();
    await publisher.publish(topic, "out", { qos: 1 });
    for (const payload of ["in", "out"]) await plain.acknowledge(await plain.receive({ payload }));
    if (leave === "unsubscribe") await member.expectSilence();
  }
});

for (const version of [3, 4] as const) {
  wire(
    `members of different protocol versions share (${versionName[version]} and v5)`,
    async ({ client, name }) => {
      const topic = name("mixed");
      const members = [await client(version), await client(5)];
      for (const member of members) await member.subscribe(`$share/g/${topic}`, { qos: 1 });
      const publisher = await client(version);
      const counts = await distribute(members, publisher, topic, 10);
      expect(counts).toEqual([5, 5]);
    },
  );
}
