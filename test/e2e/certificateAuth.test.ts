// Client certificates as proof of who a client is: the name, the tenant, and what is said beside them.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import type { ListenerSettings } from "../../src/net/settings.ts";
import type { CertificateIdentity, TlsSettings } from "../../src/net/transport.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority, type Pair } from "../support/certificates.ts";
import { mutual, tlsTransport } from "../support/tls.ts";

const authority = new Authority();
const server = authority.server();
const alice = authority.issue({ subject: "/O=acme/CN=alice", names: "DNS:alice.example" });
const nobody = authority.issue({ subject: "/OU=none" });
const ca = readFileSync(authority.cert);

const brokers: TestBroker[] = [];
const clients: MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});
afterAll(() => authority.remove());

async function brokerWith(
  tls: Partial<TlsSettings>,
  more: Partial<ListenerSettings> = {},
): Promise<TestBroker> {
  const broker = await startTestBroker({
    listener: { transport: tlsTransport(server, mutual(authority, tls)), ...more },
  });
  brokers.push(broker);
  return broker;
}

async function connected(
  { port }: TestBroker,
  pair: Pair | null,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const shown = pair === null ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const options = { ca, protocolVersion: 5, reconnectPeriod: 0, ...shown, ...more } as const;
  const client = await connectAsync(`mqtts://localhost:${port}`, options, false);
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/** Whose session it is. */
function owner({ broker }: TestBroker, clientId: string): string | undefined {
  return broker.router.sessions.get(clientId)?.owner;
}

const rows: readonly (readonly [CertificateIdentity, string])[] = [
  ["cn", "alice"],
  ["o", "acme"],
  ["san", "alice.example"],
];
test.each(rows)("the client's name is the certificate's %s", async (identity, name) => {
  const broker = await brokerWith({ identity });
  await connected(broker, alice, { clientId: "c" });
  expect(owner(broker, "c")).toBe(name);
  await connected(broker, alice, { clientId: "d", username: "whoever", password: "x" });
  expect(owner(broker, "d")).toBe(name);
});

test("a certificate without the name lets nobody in", async () => {
  const broker = await brokerWith({});
  await expect(connected(broker, nobody)).rejects.toThrow("Not authorized");
});

test("beside users with passwords a client is whom it proves to be", async () => {
  const users = new Map([["bob", "secret"]]);
  const broker = await brokerWith({ clientCertificate: "optional" }, { users });
  await connected(broker, alice, { clientId: "a" });
  await connected(broker, alice, { clientId: "b", username: "bob", password: "secret" });
  await connected(broker, null, { clientId: "c", username: "bob", password: "secret" });
  expect([owner(broker, "a"), owner(broker, "b"), owner(broker, "c")]).toEqual(["alice", "bob", "bob"]);
  await expect(connected(broker, alice, { username: "bob", password: "wrong" })).rejects.toThrow(
    "Bad User Name",
  );
  await expect(connected(broker, null)).rejects.toThrow("Not authorized");
});

describe("the tenant rule", () => {
  test("confines to /tenants/O/ whoever comes in, and who has no O stays outside", async () => {
    const broker = await brokerWith({ isTenantRuled: true });
    const client = await connected(broker, alice, { clientId: "a" });
    await client.subscribeAsync("/tenants/acme/#", { qos: 1 });
    await expect(client.subscribeAsync("/tenants/other/#", { qos: 1 })).rejects.toThrow();
    const got = new Promise<string>((resolve) => client.once("message", resolve));
    await client.publishAsync("/tenants/acme/x", "in", { qos: 1 });
    expect(await got).toBe("/tenants/acme/x");
    await expect(client.publishAsync("/tenants/other/x", "out", { qos: 1 })).rejects.toThrow();
    await expect(connected(broker, nobody)).rejects.toThrow("Not authorized");
  });
});
