// Limits per client and per user, each with the code that tells of it.

import { expect } from "bun:test";
import { NO_LIMITS } from "../../src/net/limits.ts";
import { FakeAccess } from "../support/fakeAccess.ts";
import { expectRefusal } from "../support/refusal.ts";
import { versionName, type Wire, wireSuite } from "../support/suite.ts";
import type { Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wireNames = wireSuite({
  listener: { limits: { ...NO_LIMITS, identifierBytes: 20, identifierPattern: /^[a-z0-9]*$/ } },
});
const wireEqual = wireSuite({
  access: new FakeAccess(),
  listener: { limits: { ...NO_LIMITS, identifierBinding: "equal" } },
});
const wirePrefix = wireSuite({
  access: new FakeAccess(),
  listener: { limits: { ...NO_LIMITS, identifierBinding: "prefix" } },
});
const wirePerUser = wireSuite({
  access: new FakeAccess(),
  listener: { limits: { ...NO_LIMITS, connectionsPerUser: 2 } },
});
const wireSubscriptions = wireSuite({ listener: { limits: { ...NO_LIMITS, subscriptions: 2 } } });
const wireLevels = wireSuite({ listener: { limits: { ...NO_LIMITS, topicLevels: 2 } } });
const wireRetained = wireSuite({ listener: { limits: { ...NO_LIMITS, retainedMessages: 2 } } });

async function refused({ open }: Wire, version: Version, code: readonly [number, number], options: object) {
  const client = await open(version);
  await client.send(client.connectPacket(options));
  await expectRefusal(client, version === 5 ? code[1] : code[0]);
}

const NOT_VALID = [2, 0x85] as const;
const QUOTA = [3, 0x97] as const;

for (const version of versions) {
  const label = versionName[version];

  wireNames(
    `v3.1.1 [MQTT-3.1.3-9] v5 [MQTT-3.1.3-8]: a Client Identifier that is too long or has other characters is refused (${label})`,
    async (wire) => {
      await wire.client(version, { clientId: "abc123abc123abc123ab" });
      await refused(wire, version, NOT_VALID, { clientId: "abc123abc123abc123abc" });
      await refused(wire, version, NOT_VALID, { clientId: "Abc" });
      await refused(wire, version, NOT_VALID, { clientId: "a\nb" });
      if (version !== 3) await wire.client(version, { clientId: "" });
    },
  );

  wireEqual(`a Client Identifier that must be the user name (${label})`, async (wire) => {
    await wire.client(version, { clientId: "now.a", username: "now.a" });
    await refused(wire, version, NOT_VALID, { clientId: "now.c", username: "now.b" });
    await refused(wire, version, NOT_VALID, { clientId: "now.a-1", username: "now.a" });
    await refused(wire, version, NOT_VALID, { clientId: "x" });
    if (version !== 3) await wire.client(version, { clientId: "", username: "now.a" });
  });

  wirePrefix(`a Client Identifier that must begin with the user name (${label})`, async (wire) => {
    await wire.client(version, { clientId: "now.a", username: "now.a" });
    await wire.client(version, { clientId: "now.a/phone", username: "now.a" });
    await refused(wire, version, NOT_VALID, { clientId: "now.c/phone", username: "now.b" });
    await refused(wire, version, NOT_VALID, { clientId: "now.ab", username: "now.a" });
  });

  wirePerUser(`a user has as many connections as it may, and no more (${label})`, async (wire) => {
    const { client, name } = wire;
    const username = name("now.");
    const clientId = name("first");
    const first = await client(version, { username, clientId });
    const second = await client(version, { username });
    await refused(wire, version, QUOTA, { clientId: name("third"), username });
    await client(version, { username: name("now.") });
    await client(version);
    await client(version);
    await client(version);
    const again = await client(version, { username, clientId });
    await first.expectDisconnected(0x8e);
    await second.disconnect();
    const third = await client(version, { username });
    await refused(wire, version, QUOTA, { clientId: name("fourth"), username });
    await again.expectSilence();
    await third.expectSilence();
  });

  wireSubscriptions(`a client has as many subscriptions as it may (${label})`, async ({ client }) => {
    const failure = version === 5 ? 0x97 : 0x80;
    const greedy = await client(version);
    expect(await greedy.subscribe(["a", "b", "c", "a"])).toEqual([0, 0, failure, 0]);
    expect(await greedy.subscribe("b", { qos: 1 })).toEqual([1]);
    await greedy.unsubscribe("a");
    expect(await greedy.subscribe(["d", "e"])).toEqual([0, failure]);
    expect(await (await client(version)).subscribe(["a", "b"])).toEqual([0, 0]);
  });

  wireRetained(`a client has as many retained messages as it may (${label})`, async (wire) => {
    const base = wire.name("r");
    const clientId = wire.name("keeper");
    const keeper = await wire.client(version, { clientId });
    const store = (client: WireClient, topic: string, payload = "x"): Promise<void> =>
      client.publish(`${base}/${topic}`, payload, { qos: 0, retain: true });
    await store(keeper, "1");
    await store(keeper, "2");
    await store(keeper, "3");
    await store(keeper, "1", "new");
    await keeper.disconnect();
    const again = await wire.client(version, { clientId });
    await store(again, "4");
    await store(again, "2", "");
    await store(again, "5");
    await store(await wire.client(version), "6");
    const packet = again.publishPacket(`${base}/7`, "x", { qos: 1, retain: true });
    await again.send(packet);
    if (version === 5) await again.expect("puback", { messageId: packet.messageId ?? 0, reasonCode: 0x97 });
    else await again.expectClosed();
    const reader = await wire.client(version);
    await reader.subscribe(`${base}/#`);
    const kept: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { topic, payload } = await reader.expect("publish");
      kept.push(`${topic.slice(base.length)} ${payload.toString()}`);
    }
    await reader.expectSilence();
    expect(kept.sort()).toEqual(["/1 new", "/5 x", "/6 x"]);
  });

  wireRetained(`Wills count among a client's retained messages (${label})`, async (wire) => {
    const base = wire.name("w");
    const clientId = wire.name("dying");
    for (let i = 0; i < 4; i++) {
      const will = { topic: `${base}/${i}`, payload: Buffer.from("x"), qos: 0 as const, retain: true };
      const dying = await wire.client(version, { clientId, will });
      dying.end();
      await dying.expectClosed();
    }
    const reader = await wire.client(version);
    await reader.subscribe(`${base}/#`);
    await reader.receive({ topic: `${base}/0` });
    await reader.receive({ topic: `${base}/1` });
    await reader.expectSilence();
  });

  wireLevels(`topics and filters have as many levels as they may (${label})`, async (wire) => {
    const client = await wire.client(version);
    const watcher = await wire.client(version);
    const base = wire.name("l");
    await watcher.subscribe(`${base}/#`);
    const codes = await client.subscribe(["a/b", "a/b/c", "+/+/#", "$share/g/a/b", "$share/g/a/b/c"]);
    const failure = version === 5 ? 0x87 : 0x80;
    if (version !== 3) expect(codes).toEqual([0, failure, failure, 0, failure]);
    await client.publish(`${base}/b`, "two");
    await watcher.receive({ payload: "two" });
    if (version === 5) {
      const packet = client.publishPacket(`${base}/b/c`, "three", { qos: 1 });
      await client.send(packet);
      await client.expect("puback", { messageId: packet.messageId ?? 0, reasonCode: 0x87 });
    }
    await watcher.expectSilence();
    const will = { topic: `${base}/b/c`, payload: Buffer.from("x"), qos: 0 as const, retain: false };
    await refused(wire, version, [5, 0x87], { clientId: wire.name("c"), will });
  });
}
