// What clients may publish, subscribe to and be sent, over the wire, in every version.

import { describe, expect } from "bun:test";
import { authorizationOf, trusting } from "../support/authorization.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Qos, Version, WireClient } from "../support/wireClient.ts";

const NOT_AUTHORIZED = 0x87;
const VERSIONS: readonly Version[] = [3, 4, 5];

const RULES = `
[[acl]]
users = ["admin"]
allow = ["publish", "subscribe"]
filters = ["#", "$top/#", "$other/#"]

[[acl]]
users = ["reader"]
deny = ["receive"]
filters = ["+/+/hidden", "$top/hidden"]

[[acl]]
users = ["reader"]
allow = ["subscribe"]
filters = ["#", "$top/#"]

[[acl]]
deny = ["publish", "subscribe", "receive"]
filters = ["+/+/secret/#"]

[[acl]]
users = ["alice"]
allow = ["publish", "subscribe"]
filters = ["own/%u/#", "id/%c/#", "claim/%{name}/#"]

[[acl]]
allow = ["subscribe"]
filters = ["open/#"]
`;

const open = { access: trusting, authorization: authorizationOf(RULES) };
const wire = wireSuite(open);
const wireStrict = wireSuite({
  access: trusting,
  authorization: authorizationOf(`[authorization]\non_refused_publish = "disconnect"\n${RULES}`),
});
const wireTenants = wireSuite({
  access: trusting,
  authorization: authorizationOf(
    '[authorization]\ndefault = "allow"\n[[acl]]\nallow = ["publish"]\nfilters = ["#"]',
  ),
});

const as = (username: string, clientId?: string) =>
  clientId === undefined ? { username } : { username, clientId };

/** The code that the version has for a refused subscription: 3.1 has none, and grants one that delivers nothing. */
const refusedCode = (version: Version): number => ({ 3: 0, 4: 0x80, 5: NOT_AUTHORIZED })[version];

/** Publishes at `qos` and returns what its acknowledgement says; the rest of the handshake is done. */
async function reasonOf(client: WireClient, topic: string, qos: Qos, retain = false): Promise<number> {
  const packet = client.publishPacket(topic, "x", { qos, retain });
  await client.send(packet);
  const { messageId } = packet;
  if (qos === 0 || messageId === undefined) {
    await client.expectSilence();
    return 0;
  }
  const answer = await client.expect(qos === 1 ? "puback" : "pubrec", { messageId });
  const reason = answer.reasonCode ?? 0;
  if (qos === 1 || reason >= 0x80) return reason;
  await client.send({ cmd: "pubrel", messageId });
  await client.expect("pubcomp", { messageId });
  return reason;
}

describe("a refused publish", () => {
  for (const version of VERSIONS) {
    for (const qos of [0, 1, 2] as const) {
      wire(
        `v3.1.1 [MQTT-3.3.5-2]: is told where a packet can say it, and goes nowhere (${versionName[version]}, QoS ${qos})`,
        async ({ client, name }) => {
          const path = name("plant");
          const admin = await client(5, as("admin"));
          await admin.subscribe([`own/#`, `${path}/#`], { qos: 2 });
          const alice = await client(version, as("alice"));
          for (const topic of [path, `${path}/a/secret`, `own/bob/x`, `own`, `own/alice/secret`]) {
            expect(await reasonOf(alice, topic, qos, true)).toBe(
              version === 5 && qos > 0 ? NOT_AUTHORIZED : 0,
            );
          }
          expect(await reasonOf(alice, "own/alice/x", qos)).toBe(0);
          const packet = await admin.receive({ topic: "own/alice/x", qos });
          await admin.acknowledge(packet);
          await admin.expectSilence();
          const late = await client(5, as("admin"));
          await late.subscribe([`${path}/#`, "own/bob/#"]);
          await late.expectSilence(); // nothing was retained
        },
      );

      wireStrict(
        `v3.1.1 [MQTT-3.3.5-2]: ends the connection where nothing can say it, if so configured (${versionName[version]}, QoS ${qos})`,
        async ({ client, name }) => {
          const admin = await client(5, as("admin"));
          const path = name("plant");
          await admin.subscribe(`${path}/#`, { qos: 2 });
          const alice = await client(version, as("alice"));
          if (version === 5 && qos > 0) {
            expect(await reasonOf(alice, path, qos)).toBe(NOT_AUTHORIZED);
            expect(await reasonOf(alice, "own/alice/x", qos)).not.toBe(NOT_AUTHORIZED);
          } else {
            await alice.send(alice.publishPacket(path, "x", { qos }));
            await alice.expectDisconnected(NOT_AUTHORIZED);
          }
          await admin.expectSilence();
        },
      );
    }
  }

  wire("on the topic of the last message, in the middle of a chunk, again and again", async ({ client }) => {
    const admin = await client(5, as("admin"));
    await admin.subscribe(["own/#", "id/#"], { qos: 1 });
    const alice = await client(4, as("alice"));
    const topics = [
      "own/alice/a",
      "own/bob/a",
      "own/alice/a",
      "own/alice/a",
      "own/bob/a",
      "own/bob/a",
      "own/alice/b",
    ];
    for (let round = 0; round < 3; round++) {
      await alice.send(...topics.map((topic) => alice.publishPacket(topic, "x")));
      for (const topic of topics) if (topic.startsWith("own/alice/")) await admin.receive({ topic });
    }
    await admin.expectSilence();
  });
});

describe("a topic alias", () => {
  wire(
    "to a forbidden topic stands for that topic, refused as often as it is used",
    async ({ client, name }) => {
      const admin = await client(5, as("admin"));
      const forbidden = name("plant");
      await admin.subscribe([`own/#`, forbidden], { qos: 1 });
      const alice = await client(5, as("alice"));
      const publish = async (topic: string, topicAlias: number): Promise<number> => {
        const packet = alice.publishPacket(topic, "x", { qos: 1, properties: { topicAlias } });
        await alice.send(packet);
        return (await alice.expect("puback", { messageId: packet.messageId! })).reasonCode ?? 0;
      };
      expect(await publish("own/alice/x", 1)).toBe(0);
      expect(await publish("", 1)).toBe(0);
      expect(await publish(forbidden, 1)).toBe(NOT_AUTHORIZED);
      expect(await publish("", 1)).toBe(NOT_AUTHORIZED); // not own/alice/x, for which it stood before
      expect(await publish(forbidden, 2)).toBe(NOT_AUTHORIZED);
      expect(await publish("", 2)).toBe(NOT_AUTHORIZED);
      expect(await publish("own/alice/y", 2)).toBe(0);
      expect(await publish("", 2)).toBe(0);
      for (const topic of ["own/alice/x", "own/alice/x", "own/alice/y", "own/alice/y"]) {
        await admin.acknowledge(await admin.receive({ topic }));
      }
      await admin.expectSilence();
    },
  );
});

describe("a Will", () => {
  for (const version of VERSIONS) {
    wire(
      `may not say what its client may not publish (${versionName[version]})`,
      async ({ open, client, name }) => {
        const topic = name("plant");
        const admin = await client(5, as("admin"));
        await admin.subscribe([topic, "own/#"]);
        const will = { topic, payload: Buffer.from("gone"), qos: 1 as const, retain: true };
        const refused = await open(version);
        await refused.send(refused.connectPacket({ clientId: name("c"), ...as("alice"), will }));
        const answer = await refused.expect("connack");
        expect(version === 5 ? answer.reasonCode : answer.returnCode).toBe(
          version === 5 ? NOT_AUTHORIZED : 5,
        );
        await refused.expectClosed();
        const granted = await client(version, { ...as("alice"), will: { ...will, topic: "own/alice/will" } });
        granted.cut();
        await admin.receive({ topic: "own/alice/will", payload: "gone" });
        await admin.expectSilence();
        await admin.publish("own/alice/will", "", { retain: true });
      },
    );
  }
});

describe("a subscription", () => {
  const invalid = "own/alic+";
  const wide = [
    "#",
    "+/#",
    "own/#",
    "own/+/x",
    "+/alice/#",
    "own/alice/#",
    "own/alice/+/x",
    "$SYS/#",
    "open/a/+",
  ];
  const granted = ["own/alice/x/#", "own/alice/x", "own/alice/x/+", "open/a", "open/+", "claim/alice/b/#"];
  for (const version of VERSIONS) {
    wire(
      `wider than what is allowed is refused, others beside it are not (${versionName[version]})`,
      async ({ client }) => {
        const alice = await client(version, as("alice"));
        const code = refusedCode(version);
        expect(await alice.subscribe(wide, { qos: 1 })).toEqual(wide.map(() => code));
        expect(await alice.subscribe(invalid, { qos: 1 })).toEqual([version === 5 ? 0x8f : 0x80]);
        expect(await alice.subscribe(granted, { qos: 1 })).toEqual(granted.map(() => 1));
        const admin = await client(5, as("admin"));
        await admin.publish("own/bob/x", "no", { qos: 1 });
        await admin.publish("own/alice/secret/x", "no", { qos: 1 });
        await admin.publish("$SYS/x", "no", { qos: 1 });
        await admin.publish("own/alice/x", "yes", { qos: 1 });
        await alice.acknowledge(await alice.receive({ payload: "yes" }));
        await alice.expectSilence();
      },
    );

    wire(`$share/ is no way round (${versionName[version]})`, async ({ client, name }) => {
      const alice = await client(version, as("alice"));
      const group = name("g");
      const filters = wide.map((filter) => `$share/${group}/${filter}`);
      expect(await alice.subscribe(filters)).toEqual(filters.map(() => refusedCode(version)));
      expect(await alice.subscribe([`$share/${group}/own/alice/x/#`, `$share/own/open/x`])).toEqual([0, 0]);
      const admin = await client(5, as("admin"));
      await admin.publish("own/bob/x", "no");
      await admin.publish("own/alice/x", "yes");
      await alice.receive({ payload: "yes" });
      await alice.expectSilence();
    });
  }

  wire("a retained message does not come with a refused subscription", async ({ client }) => {
    const admin = await client(5, as("admin"));
    await admin.publish("own/bob/kept", "x", { retain: true, qos: 1 });
    for (const version of VERSIONS) {
      const alice = await client(version, as("alice"));
      await alice.subscribe(["own/#", "own/bob/kept", "#"]);
      await alice.expectSilence();
    }
    await admin.publish("own/bob/kept", "", { retain: true, qos: 1 });
  });
});

describe("what a client may be sent", () => {
  for (const version of VERSIONS) {
    wire(`is less than what it may subscribe to (${versionName[version]})`, async ({ client, name }) => {
      const path = name("plant");
      const admin = await client(5, as("admin"));
      await admin.publish(`${path}/a/hidden`, "kept", { retain: true, qos: 1 });
      await admin.publish(`${path}/a/shown`, "kept", { retain: true, qos: 1 });
      const reader = await client(version, as("reader"));
      expect(await reader.subscribe(`${path}/a/+`, { qos: 1 })).toEqual([1]);
      await reader.acknowledge(await reader.receive({ topic: `${path}/a/shown`, payload: "kept" }));
      expect(await reader.subscribe(`${path}/+/hidden`, { qos: 1 })).toEqual([1]);
      expect(await reader.subscribe(`$share/g/${path}/a/+`, { qos: 1 })).toEqual([refusedCode(version)]);
      expect(await reader.subscribe("$top/+", { qos: 1 })).toEqual([1]);
      await admin.publish(`${path}/a/hidden`, "no", { qos: 1 });
      await admin.publish("$top/hidden", "no", { qos: 1 });
      await admin.publish("$top/shown", "yes", { qos: 1 });
      await admin.publish(`${path}/a/shown`, "yes", { qos: 1 });
      for (const topic of ["$top/shown", `${path}/a/shown`]) {
        await reader.acknowledge(await reader.receive({ topic, payload: "yes" }));
      }
      await reader.expectSilence();
      for (const end of ["hidden", "shown"])
        await admin.publish(`${path}/a/${end}`, "", { retain: true, qos: 1 });
    });
  }
});

describe("names that could be taken for more than they are", () => {
  const identifiers = ["+", "#", "a/b", "a/+", "+/#", "alice/#", "$SYS", "%c", "%u"];
  for (const clientId of identifiers) {
    wire(`the Client Identifier ${clientId}`, async ({ client }) => {
      const admin = await client(5, as("admin"));
      await admin.subscribe(["id/#", "$SYS/#", "own/#"], { qos: 0 });
      const alice = await client(5, as("alice", clientId));
      const filters = ["id/#", "id/+/#", "id/a/#", "id/+", "#", "own/#", "$SYS/#"];
      expect(await alice.subscribe(filters)).toEqual(filters.map(() => NOT_AUTHORIZED));
      for (const topic of ["id/a/b/x", "id/a/x", "id/other/x", "$SYS/x", "own/bob/x"]) {
        expect(await reasonOf(alice, topic, 1)).toBe(NOT_AUTHORIZED);
      }
      const isLevel = !/[+#/]/.test(clientId);
      expect(await reasonOf(alice, isLevel ? `id/${clientId}/x` : "id/x", 1)).toBe(
        isLevel ? 0 : NOT_AUTHORIZED,
      );
      if (isLevel) await admin.receive({ topic: `id/${clientId}/x` });
      await admin.expectSilence();
    });
  }

  for (const user of ["+", "#", "a/b", ""]) {
    wire(`the user ${JSON.stringify(user)}`, async ({ client }) => {
      const stranger = await client(5, as(user));
      for (const filter of ["own/#", "own/+/#", "own/a/b/#", "own//#", "#"]) {
        expect(await stranger.subscribe(filter)).toEqual([NOT_AUTHORIZED]);
      }
      expect(await reasonOf(stranger, "own/a/b/x", 1)).toBe(NOT_AUTHORIZED);
      expect(await reasonOf(stranger, "own//x", 1)).toBe(NOT_AUTHORIZED);
    });
  }
});

describe("a tenant", () => {
  for (const version of VERSIONS) {
    wireTenants(
      `stays within its topics whatever rules say (${versionName[version]})`,
      async ({ client }) => {
        const free = await client(5, as("free"));
        await free.subscribe("#", { qos: 0 });
        const tenant = await client(version, as("ann@acme"));
        const code = refusedCode(version);
        const outside = [
          "#",
          "/#",
          "/tenants/#",
          "/tenants/+/x",
          "/tenants/other/#",
          "tenants/acme/#",
          "$SYS/#",
        ];
        expect(await tenant.subscribe(outside)).toEqual(outside.map(() => code));
        expect(await tenant.subscribe(["/tenants/acme/#", "$share/g/tenants/acme/#"])).toEqual([0, code]);
        for (const topic of ["x", "/tenants/other/x", "/tenants/acme2/x", "/tenants//x", "/tenants/acme"]) {
          await tenant.publish(topic, "no");
          await free.publish(topic, "other");
          await free.receive({ topic, payload: "other" });
        }
        await tenant.receive({ topic: "/tenants/acme", payload: "other" }); // the parent level of what it subscribes to
        await tenant.publish("/tenants/acme/x", "yes");
        await free.receive({ topic: "/tenants/acme/x", payload: "yes" });
      },
    );
  }
});
