// What hangs on time and order between CONNECT and its verdict: what comes meanwhile, what it costs, who is first.

import { describe, expect, test } from "bun:test";
import { generate } from "mqtt-packet";
import { errors } from "../../src/packet/error.ts";
import { MIB } from "../sim/world.ts";
import { DENIAL, grantTo } from "../support/fakeAccess.ts";
import { type Client, entered, PING, publish, setup } from "../support/heldAccess.ts";

describe("while a CONNECT is judged", () => {
  test("what comes behind it is kept in its order, the socket is not read, and then it is taken", () => {
    const all = setup();
    const { world, access } = all;
    const client = all.client();
    client.connect("c");
    client.send(publish("a", "1", 1, 1));
    world.step(1);
    const { strangers } = world.router.budgets;
    expect(strangers.used).toBeGreaterThan(0);
    expect(client.socket.isPaused).toBe(true);
    client.send(PING, publish("a", "2", 1, 2));
    for (let i = 0; i < 20; i++) world.step(100);
    expect(client.got()).toEqual([]);
    expect(world.host.paused.size).toBe(0);
    access.asked[0]!.verdict.keep(grantTo("ada"));
    world.step(1);
    expect(client.got()).toEqual(["connack", "puback", "pingresp", "puback"]);
    expect(strangers.used).toBe(0);
    expect(client.socket.isPaused).toBe(false);
  });

  test("one chunk may come late, and a packet be cut anywhere", () => {
    for (let cut = 1; cut < 20; cut++) {
      const all = setup();
      const { world, access } = all;
      const socket = world.connect({ capacity: MIB, lateChance: 1, chunkMax: cut });
      const client = Object.assign(all.client(), { socket });
      client.connect("c");
      client.send(publish("a", "1", 1, 1), publish("a", "2", 1, 2));
      for (let i = 0; i < 60 && access.asked.length === 0; i++) world.step(1);
      world.step(1);
      access.asked[0]!.verdict.keep(grantTo("ada"));
      for (let i = 0; i < 60; i++) world.step(1);
      expect(client.got()).toEqual(["connack", "puback", "puback"]);
    }
  });

  test("strangers have a budget of their own, and are refused beyond it", () => {
    const all = setup();
    const { world, access } = all;
    const { strangers } = world.router.budgets;
    const chunk = generate(publish("a", Buffer.alloc(150_000)), { protocolVersion: 5 });
    const first = all.client();
    const second = all.client();
    for (const client of [first, second]) {
      client.connect(client === first ? "1" : "2");
      client.send(chunk);
    }
    for (let i = 0; i < 10; i++) world.step(1);
    expect(strangers.used).toBeLessThanOrEqual(strangers.bytesMax);
    const refused = [first, second].filter((client) => client.got().includes("connack 97"));
    expect(refused).toHaveLength(1);
    for (const { verdict } of access.asked) verdict.keep(grantTo("ada"));
    for (let i = 0; i < 200; i++) world.step(10);
    expect(strangers.used).toBe(0);
  });

  test("a CONNECT with a large Will is paid from it too, and given back whatever the verdict", () => {
    const all = setup();
    const { world, access } = all;
    const { strangers, sessions } = world.router.budgets;
    const clients = Array.from({ length: 6 }, () => all.client());
    const will = { topic: "w", payload: Buffer.alloc(60_000), qos: 0, retain: false };
    for (const [i, client] of clients.entries()) client.connect(`${i}`, { will });
    for (let i = 0; i < 100; i++) world.step(1);
    expect(strangers.used).toBeWithin(200_000, strangers.bytesMax + 1);
    const answers = clients.map((client) => client.got().join());
    expect(answers.sort()).toEqual(["", "", "", "", "connack 97", "connack 97"]);
    access.asked[0]!.verdict.keep(grantTo("ada"));
    access.asked[1]!.verdict.keep(DENIAL);
    for (const client of clients) client.socket.cut();
    world.step(1);
    expect([strangers.used, sessions.used]).toEqual([0, 0]);
  });

  test("the time for CONNECT goes on; a verdict that comes later does nothing", () => {
    for (const [version, answer] of [
      [5, "connack 88"],
      [4, "connack 3"],
    ] as const) {
      const all = setup();
      const { world, access } = all;
      const client = all.client(version);
      client.connect("c");
      for (let i = 0; i < 6; i++) world.step(1_000);
      expect(client.got()).toEqual([answer]);
      expect(client.socket.brokerEnded).toBe(true);
      access.asked[0]!.verdict.keep(grantTo("ada"));
      world.step(1);
      expect(client.got()).toEqual([]);
      expect(world.router.sessions.count).toBe(0);
      expect(world.host.stats.accessFailures).toBe(1);
      expect(world.endings[0]).toMatchObject({
        cause: "access_failed",
        detail: "access has failed: no answer in time",
      });
    }
  });

  test("a client that goes is forgotten with what it had sent", () => {
    const all = setup();
    const { world, access } = all;
    const client = all.client();
    client.connect("c");
    client.send(PING);
    world.step(1);
    client.socket.cut();
    world.step(1);
    access.asked[0]!.verdict.keep(grantTo("ada"));
    world.step(1);
    expect(world.router.sessions.count).toBe(0);
    expect(world.host.open.size).toBe(0);
    expect(world.router.budgets.strangers.used).toBe(0);
  });

  test("two with one Client Identifier: the one that is let in last has it", () => {
    const all = setup();
    const { world, access } = all;
    const [first, second] = [all.client(), all.client()];
    for (const client of [first, second]) {
      client.connect("same");
      world.step(1);
    }
    access.asked[1]!.verdict.keep(grantTo("ada"));
    world.step(1);
    expect(second.got()).toEqual(["connack"]);
    access.asked[0]!.verdict.keep(grantTo("ada"));
    world.step(1);
    expect(first.got()).toEqual(["connack"]);
    expect(second.got()).toEqual(["disconnect 8e"]);
    expect(world.router.stats.connections).toBe(1);
  });

  test("what changes meanwhile counts: the verdict is revised", () => {
    const all = setup();
    const { world, access } = all;
    const [gone, stays] = [all.client(), all.client()];
    gone.connect("gone");
    stays.connect("stays");
    world.step(1);
    access.revised = (grant, { clientIdentifier }) => (clientIdentifier === "gone" ? DENIAL : grant);
    void world.host.reauthorise(() => Promise.resolve());
    for (const { verdict } of access.asked) verdict.keep(grantTo("ada"));
    world.step(1);
    expect(gone.got()).toEqual(["connack 87"]);
    expect(stays.got()).toEqual(["connack"]);
  });
});

test("an exchange that began before users changed is revised at its end", () => {
  const all = setup();
  const { world, access } = all;
  const client = all.client();
  const properties = { authenticationMethod: "M" };
  client.connect("c", { properties });
  world.step(1);
  access.steps[0]!.keep({ granted: "continue", data: Buffer.from("more") });
  void world.host.reauthorise(() => Promise.resolve());
  client.send({ cmd: "auth", reasonCode: 0x18, properties });
  world.step(1);
  access.revised = () => DENIAL;
  access.steps[1]!.keep(grantTo("ada"));
  world.step(1);
  expect(client.got()).toEqual(["auth 18", "connack 87"]);
});

test("Wills are paid from the sessions' budget until they are published or discarded", () => {
  const all = setup();
  const { world } = all;
  world.host.access = null;
  const { sessions } = world.router.budgets;
  const will = { topic: "w", payload: Buffer.alloc(60_000), qos: 0, retain: false };
  const clients: Client[] = [];
  for (let i = 0; ; i++) {
    const client = all.client();
    client.connect(`${i}`, { will, properties: { sessionExpiryInterval: 60 } });
    for (let j = 0; j < 100 && world.host.stats.accepted + world.host.stats.refused.size <= i; j++)
      world.step(1);
    const [answer] = client.got();
    if (answer !== "connack") {
      expect(answer).toBe("connack 97");
      break;
    }
    clients.push(client);
  }
  expect(clients.length).toBe(Math.floor(sessions.bytesMax / 60_600));
  for (const [i, client] of clients.entries()) {
    if (i % 2 === 0) client.socket.cut();
    else client.send({ cmd: "disconnect" });
  }
  world.step(1);
  expect(sessions.used).toBeLessThan(clients.length * 1_000);
  for (let i = 0; i < 70; i++) world.step(1_000);
  expect(sessions.used).toBe(0);
});

describe("counters", () => {
  test("say who was let in and why others were not", () => {
    const all = setup();
    const { world, access } = all;
    entered(all, "in");
    for (const error of [errors.notAuthorized, errors.notAuthorized, errors.badUserNameOrPassword]) {
      const client = all.client();
      client.connect("out");
      world.step(1);
      access.asked.at(-1)!.verdict.keep({ ...DENIAL, error });
      world.step(1);
    }
    const { accepted, refused } = world.host.stats;
    expect(accepted).toBe(1);
    expect([...refused]).toEqual([
      [0x87, 2],
      [0x86, 1],
    ]);
  });
});
