// Settings that are applied while clients are connected: who may be here, and what it may do, is judged anew by them,
// also of clients that came in when there was nothing to judge by.

import { afterEach, describe, expect, test } from "bun:test";
import type { BrokerSettings } from "../../src/config/settings.ts";
import { parseConfig } from "../../src/config/load.ts";
import { type Broker, startBroker } from "../../src/broker.ts";
import { type ConnectOptions, WireClient } from "../support/wireClient.ts";

const NOT_AUTHORIZED = 0x87;
const silent = { debug() {}, info() {}, warn() {}, error() {}, isEnabled: () => false };

let broker: Broker | null = null;
let clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients) client.cut();
  clients = [];
  await broker?.stop();
  broker = null;
});

const settingsOf = (text: string): BrokerSettings => parseConfig({ text, file: "test.toml" }).settings;

/** One listener, with these users (or none), and what else a file says. */
function file(users: string, rest = ""): BrokerSettings {
  const auth = users === "" ? "" : `[v4.1.connections]\nauth = { ${users} }\n`;
  return settingsOf(`[v4.1]\nlisten = "127.0.0.1:0"\n${auth}${rest}`);
}

async function start(settings: BrokerSettings): Promise<Broker> {
  broker = await startBroker(settings, silent);
  return broker;
}

async function client(options: ConnectOptions): Promise<WireClient> {
  const wire = await WireClient.open(broker?.listeners[0]?.port ?? 0, 5);
  clients.push(wire);
  await wire.connect(options);
  return wire;
}

const rule = (who: string, filter: string): string =>
  `[[acl]]\n${who}\nallow = ["publish", "subscribe"]\nfilters = ["${filter}"]\n`;
const as = (username: string) => ({ clientId: username, username, password: "pw" });

describe("settings that are applied", () => {
  test("with the first rules hold clients to them that came before", async () => {
    const running = await start(file(""));
    const loser = await client({ clientId: "a" });
    const same = await client({ clientId: "b" });
    for (const one of [loser, same]) expect(await one.subscribe("plant/#")).toEqual([0]);
    await running.apply(file("", rule('client_ids = ["b"]', "plant/#")));
    await loser.expectDisconnected(NOT_AUTHORIZED);
    await same.expectSilence();
  });

  test("without the last rule give everything back", async () => {
    const running = await start(file("", rule('client_ids = ["a"]', "plant/#")));
    const one = await client({ clientId: "a" });
    expect(await one.subscribe(["plant/#", "other"])).toEqual([0, NOT_AUTHORIZED]);
    await running.apply(file(""));
    expect(await one.subscribe("other")).toEqual([0]);
  });

  test("with the first users end clients that are nobody", async () => {
    const running = await start(file(""));
    const nobody = await client({ clientId: "a" });
    await running.apply(file('alice = "pw"'));
    await nobody.expectDisconnected(NOT_AUTHORIZED);
  });

  test("with other users end those that are gone and no others", async () => {
    const running = await start(file('alice = "pw", bob = "pw"'));
    const [alice, bob] = [await client(as("alice")), await client(as("bob"))];
    await running.apply(file('bob = "other"'));
    await alice.expectDisconnected(NOT_AUTHORIZED);
    await bob.expectSilence();
  });

  test("with other users and rules judge by the rules of then", async () => {
    const running = await start(
      file('alice = "pw", bob = "pw"', rule('users = ["alice", "bob"]', "plant/#")),
    );
    const [alice, bob] = [await client(as("alice")), await client(as("bob"))];
    for (const one of [alice, bob]) expect(await one.subscribe("plant/#")).toEqual([0]);
    await running.apply(file('alice = "pw", bob = "pw", carl = "pw"', rule('users = ["bob"]', "plant/#")));
    await alice.expectDisconnected(NOT_AUTHORIZED);
    await bob.expectSilence();
    await running.apply(file('bob = "pw"', rule('users = ["bob"]', "other/#")));
    await bob.expectDisconnected(NOT_AUTHORIZED);
  });
});
