// Access, §3.1.4: a CONNECT that is judged at once, later or never; what comes behind it; whose a session is.

import { expect } from "bun:test";
import { hex, rawConnect, utf8 } from "../support/bytes.ts";
import { DENIAL, FakeAccess, grantTo, rightsUnder, type Way } from "../support/fakeAccess.ts";
import { expectRefusal } from "../support/refusal.ts";
import { versionName, type Wire, wireSuite } from "../support/suite.ts";
import type { Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const access = new FakeAccess();
const wire = wireSuite({ access });
const impatient = new FakeAccess();
const wireImpatient = wireSuite({ access: impatient, listener: { connectTimeoutMs: 400 } });

/** The code of CONNACK by version. */
const verdicts: Readonly<Record<Exclude<Way, "held" | "never">, readonly [v3: number, v5: number]>> = {
  now: [0, 0],
  later: [0, 0],
  denied: [4, 0x86],
  "denied-later": [4, 0x86],
  throws: [3, 0x88],
  rejects: [3, 0x88],
  garbage: [3, 0x88],
};

for (const version of versions) {
  for (const [way, [v3, v5]] of Object.entries(verdicts)) {
    const code = version === 5 ? v5 : v3;
    for (const split of [false, true]) {
      const label = `${versionName[version]}, ${split ? "byte by byte" : "whole"}`;
      wire(`a user that is judged "${way}" gets ${code} (${label})`, async ({ open, name }) => {
        const client = await open(version);
        client.split = split;
        await client.send(client.connectPacket({ clientId: name("c"), username: way, password: "secret" }));
        if (code === 0) {
          await client.expect("connack", version === 5 ? { reasonCode: 0 } : { returnCode: 0 });
          await client.expectSilence();
        } else await expectRefusal(client, code);
      });

      wire(`what comes right behind the CONNECT of "${way}" (${label})`, async ({ open, client, name }) => {
        const topic = name("behind");
        const watcher = await client(version, { username: "now.watcher" });
        await watcher.subscribe(topic, { qos: 1 });
        const eager = await open(version);
        eager.split = split;
        const subscribe = eager.subscribePacket(name("own"), { qos: 1 });
        const publish = eager.publishPacket(topic, "early", { qos: 1, messageId: 9 });
        await eager.send(
          eager.connectPacket({ clientId: name("c"), username: way }),
          subscribe,
          publish,
          hex("c000"),
        );
        if (code !== 0) {
          await eager.expectClosed(undefined, ["connack"]);
          await watcher.expectSilence();
          return;
        }
        await eager.expect("connack");
        await eager.expect("suback", { messageId: subscribe.messageId });
        await eager.expect("puback", { messageId: 9 });
        await eager.expect("pingresp");
        await watcher.receive({ topic, payload: "early" });
      });
    }
  }

  wire(
    `a verdict that comes after the client has gone does nothing (${versionName[version]})`,
    async (context) => {
      const { open, client, name } = context;
      const clientId = name("gone");
      const leaving = await open(version);
      await leaving.send(leaving.connectPacket({ clientId, clean: false, username: "held" }));
      await access.asked(clientId);
      leaving.cut();
      await context.timePasses();
      access.settle(clientId, grantTo("held"));
      const other = await client(version, { clientId, clean: false, username: "now.other" });
      await other.expectSilence();
    },
  );

  wire(
    `a connection is taken over when the new one is let in, not before (${versionName[version]})`,
    async (context) => {
      const { open, client, name } = context;
      const clientId = name("taken");
      const first = await client(version, { clientId, username: "held", ...(await settledSoon(clientId)) });
      const second = await open(version);
      access.attempts.length = 0;
      await second.send(second.connectPacket({ clientId, username: "held" }));
      await access.asked(clientId);
      await first.expectSilence();
      access.settle(clientId, DENIAL);
      await expectRefusal(second, version === 5 ? 0x86 : 4);
      await first.expectSilence();
      const third = await open(version);
      access.attempts.length = 0;
      await third.send(third.connectPacket({ clientId, username: "held" }));
      await access.asked(clientId);
      access.settle(clientId, grantTo("held"));
      await third.expect("connack");
      await first.expectDisconnected(0x8e);
      await third.expectSilence();
    },
  );

  wireImpatient.together(
    `an Access that never answers lets nobody in (${versionName[version]})`,
    async ({ open, name }) => {
      const client = await open(version);
      await client.send(client.connectPacket({ clientId: name("never"), username: "never" }), hex("c000"));
      await expectRefusal(client, version === 5 ? 0x88 : 3);
    },
  );

  for (const clean of [true, false]) {
    const label = `${versionName[version]}, ${clean ? "clean" : "resuming"}`;
    wire(`a session is its user's: nobody else takes it over or resumes it (${label})`, async (context) => {
      const clientId = context.name("owned");
      const owner = await persistent(context, version, clientId, "now.owner");
      const thief = await context.open(version);
      await thief.send(thief.connectPacket({ clientId, clean, username: "now.thief" }));
      await expectRefusal(thief, version === 5 ? 0x87 : 5);
      await owner.expectSilence();
      owner.cut();
      const again = await context.open(version);
      await again.send(again.connectPacket({ clientId, clean, username: "now.thief" }));
      await expectRefusal(again, version === 5 ? 0x87 : 5);
      const nobody = await context.open(version);
      await nobody.send(nobody.connectPacket({ clientId, clean }));
      await expectRefusal(nobody, version === 5 ? 0x87 : 5);
      const back = await context.client(version, { clientId, clean: false, username: "now.owner" });
      await back.expectSilence();
      await back.disconnect();
    });
  }

  wire(`anonymous clients are one identity (${versionName[version]})`, async (context) => {
    const clientId = context.name("anybody");
    const first = await persistent(context, version, clientId, undefined);
    const second = await context.client(version, { clientId });
    await first.expectDisconnected(0x8e);
    await second.expectSilence();
  });

  wire(
    `a Will that may not be published keeps its client out (${versionName[version]})`,
    async ({ open, client, name }) => {
      access.grants.set("now.confined", { rights: rightsUnder("own/") });
      const will = (topic: string) => ({
        topic,
        payload: Buffer.from("gone"),
        qos: 0 as const,
        retain: false,
      });
      const confined = await open(version);
      await confined.send(
        confined.connectPacket({ clientId: name("w"), username: "now.confined", will: will("others/x") }),
      );
      await expectRefusal(confined, version === 5 ? 0x87 : 5);
      await client(version, { username: "now.confined", will: will("own/x") });
    },
  );
}

async function settledSoon(clientId: string): Promise<object> {
  void access.asked(clientId).then(() => access.settle(clientId, grantTo("held")));
  return {};
}

async function persistent(
  { client }: Wire,
  version: Version,
  clientId: string,
  username: string | undefined,
) {
  const properties = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {};
  return client(version, {
    clientId,
    clean: false,
    ...(username === undefined ? {} : { username }),
    ...properties,
  });
}

wire("Access is told who asks, and from where", async ({ open, name }) => {
  const clientId = name("who");
  const client = await open(5);
  access.attempts.length = 0;
  await client.connect({ clientId, username: "now.x", password: "pw" });
  const [attempt] = access.attempts;
  expect(attempt).toMatchObject({
    listener: "v4.1",
    remoteAddress: "127.0.0.1",
    level: 5,
    clientIdentifier: clientId,
  });
  expect(attempt).toMatchObject({ userName: "now.x", certificate: null });
  expect(Buffer.from(attempt?.password ?? []).toString()).toBe("pw");
  const nameless = await open(5);
  access.attempts.length = 0;
  const connack = await nameless.connect({ username: "now.x" });
  expect(access.attempts[0]?.clientIdentifier).toBe(connack.properties?.assignedClientIdentifier ?? "none");
});

wire("a broken CONNECT is not judged", async ({ open }) => {
  access.attempts.length = 0;
  const client = await open(4);
  await client.send(rawConnect({ level: 4, flags: 0x03, payload: utf8("broken") }));
  await client.expectClosed(undefined, ["connack"]);
  expect(access.attempts).toEqual([]);
});
