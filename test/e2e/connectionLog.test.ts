// Every line that concerns a connection says which one: client_id, connection_id, listener, remote, username and tenant
// as far as they are known, whatever happens to it; and no secret. Packets are told from the first CONNECT on.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { generate } from "mqtt-packet";
import { type AuthSettings, NO_AUTH } from "../../src/net/authSettings.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { ANY } from "../../src/net/webSocketSettings.ts";
import { errors } from "../../src/packet/error.ts";
import { type BrokerOverrides, startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { FakeAccess } from "../support/fakeAccess.ts";
import { type OpenLogger, openLogger } from "../support/openLogger.ts";
import { inetBody, proxyV2 } from "../support/proxyHeader.ts";
import { mutual, tlsTransport } from "../support/tls.ts";
import { request } from "../support/webSocket.ts";
import { type ConnectOptions, type Version, WireClient } from "../support/wireClient.ts";

const SECRET = "hunter2-and-more";
const WILL = "the-last-words";
const authority = new Authority();
const server = authority.server();
const ca = readFileSync(authority.cert);
afterAll(() => authority.remove());

let brokers: TestBroker[] = [];
let clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients) client.cut();
  for (const broker of brokers) await broker.stop();
  clients = [];
  brokers = [];
});

interface Scene {
  readonly one: TestBroker;
  readonly logger: OpenLogger;
  open(version?: Version): Promise<WireClient>;
}

async function scene(overrides: BrokerOverrides = {}, filter = "all"): Promise<Scene> {
  const logger = openLogger(filter);
  const one = await startTestBroker({ logger, ...overrides });
  brokers.push(one);
  return {
    one,
    logger,
    async open(version = 5) {
      const client = await WireClient.open(one.port, version);
      clients.push(client);
      return client;
    },
  };
}

const listener = (more: Partial<ListenerSettings>): BrokerOverrides => ({ listener: more });
const transport = (more: Partial<ListenerSettings["transport"]>): BrokerOverrides =>
  listener({ transport: { ...PLAIN_TCP, ...more } });
const me: ConnectOptions = { clientId: "me", username: "now.ann", password: SECRET };
const will = { topic: "w", payload: Buffer.from(WILL), qos: 0, retain: false } as const;
const ME = { client_id: "me", username: "now.ann" };

/** The line that tells the end of it. */
async function ended({ logger }: Scene, cause: string): Promise<Record<string, unknown>> {
  for (;;) {
    const found = logger.records.find(({ fields }) => fields["cause"] === cause);
    if (found !== undefined) return { ...found.fields };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Every line of these is about a connection; `who` is what the last line has to know. */
function expectSubjects({ logger }: Scene, last: Record<string, unknown>, who: object): void {
  expect(last).toMatchObject(who);
  const always = { connection_id: expect.any(Number), listener: "v4.1", remote: expect.any(String), ...who };
  for (const { fields, message } of logger.records) {
    if (message === "state of the broker") continue;
    expect([message, fields]).toEqual([message, expect.objectContaining(always)]);
  }
  const text = JSON.stringify(logger.records);
  expect(text).not.toContain(SECRET);
  expect(text).not.toContain(WILL);
}

interface Row {
  readonly what: string;
  readonly cause: string;
  /** What the lines know of the client. */
  readonly who: object;
  readonly overrides?: () => BrokerOverrides;
  act(scene: Scene): Promise<unknown>;
}

const fake = (grants: Readonly<Record<string, string>> = {}) => {
  const access = new FakeAccess();
  for (const [user, tenant] of Object.entries(grants)) access.grants.set(user, { tenant });
  return { access };
};

async function connected({ open }: Scene, options = me, version: Version = 5): Promise<WireClient> {
  const client = await open(version);
  await client.connect(options);
  return client;
}

/** A CONNECT that is answered with a CONNACK, and no more. */
async function refused({ open }: Scene, options: ConnectOptions, version: Version = 5): Promise<void> {
  const client = await open(version);
  await client.send(client.connectPacket(options));
  await client.expect("connack");
}

const rows: readonly Row[] = [
  {
    what: "connect, subscribe, publish, disconnect",
    cause: "disconnect",
    who: ME,
    async act(the) {
      const client = await connected(the, { ...me, will });
      await client.subscribe("a/#", { qos: 1 });
      await client.publish("b", "x", { qos: 2 });
      await client.disconnect();
      const counts = { seconds: expect.any(Number), messages_in: 1, messages_out: 0 };
      const reason = { reason_code: 0, reason: "NormalDisconnection" };
      expect(await ended(the, "disconnect")).toMatchObject({ ...reason, ...counts });
    },
  },
  {
    what: "a user of a tenant",
    cause: "lost",
    who: ME,
    overrides: () => fake({ "now.ann": "acme" }),
    async act(the) {
      (await connected(the)).cut();
      expect(await ended(the, "lost")).toMatchObject({ tenant: "acme" });
      expect(await ended(the, "lost")).not.toHaveProperty("reason");
    },
  },
  {
    what: "a denial",
    cause: "refused",
    who: { client_id: "me", username: "denied" },
    overrides: fake,
    act: (the) => refused(the, { ...me, username: "denied" }),
  },
  {
    what: "a denial that comes later",
    cause: "refused",
    who: { client_id: "me", username: "denied-later" },
    overrides: fake,
    act: (the) => refused(the, { ...me, username: "denied-later" }, 4),
  },
  {
    what: "access that fails",
    cause: "access_failed",
    who: { client_id: "me", username: "throws" },
    overrides: fake,
    async act({ open }) {
      const client = await open();
      await client.send(client.connectPacket({ ...me, username: "throws" }));
      await client.expect("connack");
    },
  },
  {
    what: "a version that is not spoken",
    cause: "refused",
    who: ME,
    overrides: () => listener({ versions: [5] }),
    act: (the) => refused(the, me, 4),
  },
  {
    what: "a CONNECT that is malformed",
    cause: "refused",
    who: {},
    async act({ open }) {
      const client = await open(4);
      await client.send(Buffer.from([0x10, 6, 0, 4, 0x4d, 0x51, 0x54, 0x54]));
      await client.expectClosed(undefined, ["connack"]);
    },
  },
  {
    what: "a first packet that is no CONNECT",
    cause: "refused",
    who: {},
    async act({ open }) {
      const client = await open(4);
      await client.send(Buffer.from([0xc0, 0]));
      await client.expectClosed();
    },
  },
  {
    what: "a packet that is malformed",
    cause: "error",
    who: ME,
    async act(the) {
      const client = await connected(the);
      await client.send(Buffer.from([0x82, 3, 0, 0, 0]));
      await client.expect("disconnect");
    },
  },
  {
    what: "a packet that is too large",
    cause: "error",
    who: ME,
    overrides: () => listener({ packetBytesMax: 4096 }),
    async act(the) {
      const client = await connected(the);
      await client.send(client.publishPacket("a", "x".repeat(5000)));
      await client.expect("disconnect");
    },
  },
  {
    what: "a takeover",
    cause: "error",
    who: ME,
    async act(the) {
      const first = await connected(the);
      await connected(the);
      await first.expect("disconnect", { reasonCode: 0x8e });
      const reason = { reason_code: 0x8e, reason: "SessionTakenOver" };
      expect(await ended(the, "error")).toMatchObject(reason);
    },
  },
  {
    what: "Keep Alive",
    cause: "error",
    who: ME,
    async act(the) {
      const client = await connected(the, { ...me, keepalive: 1 });
      await client.expect("disconnect", { reasonCode: 0x8d });
    },
  },
  {
    what: "more connections than may be",
    cause: "refused",
    who: {},
    overrides: () => ({ router: { connectionsMax: 1 } }),
    async act(the) {
      await connected(the, { clientId: "other" });
      const client = await the.open();
      await client.send(client.connectPacket(me));
      await client.expect("connack");
      expect(await ended(the, "refused")).toMatchObject(ME);
    },
  },
  {
    what: "an administrator",
    cause: "error",
    who: ME,
    async act(the) {
      const client = await connected(the);
      the.one.broker.router.sessions.get("me")?.port?.disconnect(errors.administrativeAction);
      await client.expect("disconnect", { reasonCode: 0x98 });
    },
  },
  {
    what: "users that change",
    cause: "error",
    who: ME,
    overrides: fake,
    async act(the) {
      const client = await connected(the);
      (the.one.broker.host.access as FakeAccess).gone.add("now.ann");
      await the.one.broker.reauthorise();
      await client.expect("disconnect", { reasonCode: 0x87 });
    },
  },
  {
    what: "silence before CONNECT",
    cause: "connect_timeout",
    who: {},
    act: async ({ open }) => (await open()).expectClosed(),
  },
  {
    what: "TLS that is none",
    cause: "tls",
    who: {},
    overrides: () => listener({ transport: tlsTransport(server) }),
    async act({ open }) {
      const client = await open();
      await client.send(Buffer.from("no hello at all"));
      await client.expectClosed();
    },
  },
  {
    what: "no client certificate",
    cause: "certificate",
    who: {},
    overrides: () => listener({ transport: tlsTransport(server, mutual(authority)) }),
    act: ({ one: { port } }) =>
      new Promise((resolve) => {
        const socket = connectTls({ port, host: "127.0.0.1", ca, servername: "localhost" });
        socket.on("error", resolve).on("close", resolve);
      }),
  },
  {
    what: "an upgrade that is refused",
    cause: "websocket",
    who: {},
    overrides: () => transport({ webSocket: { path: ANY, origins: [ANY], compression: false } }),
    async act({ open }) {
      const client = await open();
      await client.send(request({ Upgrade: null })).catch(() => {});
      await client.expectClosed().catch(() => {});
    },
  },
  {
    what: "a proxy that is not trusted",
    cause: "proxy",
    who: {},
    overrides: () => transport({ trustedProxies: ["192.0.2.0/24"] }),
    act: async ({ open }) => (await open()).expectClosed(),
  },
  {
    what: "a PROXY header that is wrong",
    cause: "proxy",
    who: {},
    overrides: () => transport({ trustedProxies: ["127.0.0.1"] }),
    async act({ open }) {
      const client = await open();
      await client.send(Buffer.from("PROXY nonsense\r\n"));
      await client.expectClosed();
    },
  },
  {
    what: "a client behind a proxy",
    cause: "lost",
    who: { ...ME, remote: "192.0.2.7" },
    overrides: () => transport({ trustedProxies: ["127.0.0.1"] }),
    async act({ open }) {
      const client = await open();
      await client.send(proxyV2(0x21, 0x11, inetBody("192.0.2.7")));
      await client.connect(me);
      client.cut();
    },
  },
  {
    what: "an address that has had its share",
    cause: "refused",
    who: {},
    overrides: () => transport({ connectionsPerAddress: 1 }),
    async act(the) {
      await connected(the, { clientId: "other" });
      const client = await the.open();
      await client.send(client.connectPacket(me));
      await client.expect("connack");
      expect(await ended(the, "refused")).toMatchObject(ME);
    },
  },
];

describe("the lines of a connection say which one it is", () => {
  test.each(rows.map((row) => [row.what, row] as const))("%s", async (_, { cause, who, overrides, act }) => {
    const the = await scene(overrides?.());
    await act(the);
    expectSubjects(the, await ended(the, cause), who);
  });

  test("guesses: who was let in, who is banned, whose name is guessed at", async () => {
    const auth: AuthSettings = {
      ...NO_AUTH,
      limits: { ...NO_AUTH.limits, failuresPerAddress: 3, failuresPerUser: 2, exempt: [] },
    };
    const users = new Map([["ann", SECRET]]);
    const the = await scene({ auth, ...listener({ users }) });
    (await connected(the, { clientId: "good", username: "ann", password: SECRET })).cut();
    for (let i = 0; i < 3; i++) {
      const client = await the.open();
      await client.send(client.connectPacket({ clientId: "guess", username: "ann", password: `no${i}` }));
      await client.expect("connack");
    }
    const line = (part: string) => the.logger.records.find(({ message }) => message.includes(part))?.fields;
    const fields = { connection_id: expect.any(Number), listener: "v4.1", remote: "127.0.0.1" };
    expect(line("let in as user")).toMatchObject({ ...fields, client_id: "good", username: "ann" });
    expect(line("is being guessed at")).toMatchObject({ ...fields, client_id: "guess", username: "ann" });
    expect(line("is banned for")).toMatchObject({ ...fields, client_id: "guess", username: "ann" });
    expect(JSON.stringify(the.logger.records)).not.toContain(SECRET);
  });
});

describe("packets of a client that somebody looks at", () => {
  /** What passed, in its order, but for pings and what answers them. */
  const passed = ({ logger }: Scene): string[] =>
    logger.records.flatMap(({ fields }) =>
      "packet" in fields ? [`${String(fields["direction"])} ${String(fields["packet"])}`] : [],
    );
  const COURSE = ["in CONNECT", "out CONNACK", "in SUBSCRIBE", "out SUBACK", "in PUBLISH", "out PUBLISH"];
  const bytesOf = (client: WireClient): Buffer =>
    Buffer.concat(
      [
        client.connectPacket({ ...me, will }),
        client.subscribePacket("a"),
        client.publishPacket("a", Buffer.alloc(5000, 0x78)),
      ].map((one) => generate(one, { protocolVersion: client.version })),
    );
  const filters: readonly (readonly [string, string])[] = [
    ["by its identifier", "off,[{client_id=me}]=debug"],
    ["by the name that it proves", "off,[{user=now.ann}]=debug"],
    ["by its tenant", "off,[{tenant=acme}]=debug"],
    ["by its listener", "off,[{listener=v4.1}]=debug"],
    ["with everybody", "debug"],
  ];
  for (const [how, filter] of filters) {
    test.each([1, 7, 60, 200, 10_000])(`${how}: from CONNECT on, in pieces of %p bytes`, async (size) => {
      const access = new FakeAccess();
      access.grants.set("now.ann", { tenant: "acme" });
      const the = await scene({ access }, filter);
      for (const version of [4, 5] as const) {
        the.logger.records.length = 0;
        const client = await the.open(version);
        const bytes = bytesOf(client);
        for (let at = 0; at < bytes.length; at += size) {
          await client.send(bytes.subarray(at, at + size));
          if (at % 997 === 0 || at < 300) await new Promise((resolve) => setImmediate(resolve));
        }
        await client.expect("connack");
        await client.expect("suback");
        await client.receive({ topic: "a" });
        const lines = passed(the).filter((line) => !filter.includes("tenant") || line !== "in CONNECT");
        const expected = COURSE.filter((line) => !filter.includes("tenant") || line !== "in CONNECT");
        expect(lines.toSorted()).toEqual(expected.toSorted());
        expect(lines.slice(0, 2)).toEqual(expected.slice(0, 2));
        const publish = the.logger.records.find(({ fields }) => fields["packet"] === "PUBLISH");
        expect(publish?.fields).toMatchObject({ ...ME, topic: "a", qos: 0, payload_bytes: 5000 });
        expect(JSON.stringify(the.logger.records)).not.toContain(WILL);
        expect(JSON.stringify(the.logger.records)).not.toContain(SECRET);
        client.cut();
      }
    });
  }

  test("a verdict that comes late: what came before it is told, in its order", async () => {
    const access = new FakeAccess();
    const the = await scene({ access }, "off,[{client_id=me}]=debug");
    const client = await the.open();
    await client.send(client.connectPacket({ ...me, username: "later.ann" }), client.subscribePacket("a"));
    await client.expect("connack");
    await client.expect("suback");
    expect(passed(the)).toEqual(["in CONNECT", "in SUBSCRIBE", "out CONNACK", "out SUBACK"]);
  });

  test("another client makes no line", async () => {
    const the = await scene({}, "off,[{client_id=else}]=debug");
    await (await connected(the)).disconnect();
    expect(the.logger.records).toEqual([]);
  });
});
