// What hangs on time and order between CONNECT and its verdict, and on a grant's end: the real host and router on the
// simulation's clock and sockets, an Access that answers when the test says so.

import { describe, expect, test } from "bun:test";
import { generate, type Packet, parser } from "mqtt-packet";
import type { Access, ConnectAttempt, Exchange, Grant, Step, Verdict } from "../../src/net/access.ts";
import { Link } from "../../src/net/link.ts";
import { errors } from "../../src/packet/error.ts";
import type { Rights } from "../../src/session/rights.ts";
import { Random } from "../sim/random.ts";
import type { SimSocket } from "../sim/socket.ts";
import { MIB, World, type WorldShape } from "../sim/world.ts";
import { DENIAL, grantTo, rightsUnder } from "../support/fakeAccess.ts";

/** A promise that is kept within the call that keeps it, so that the test says when. */
class Later<T> {
  private kept: ((value: T) => void)[] = [];

  readonly promise = {
    // biome-ignore lint/suspicious/noThenProperty: it stands in for a promise
    then: (kept: (value: T) => void): void => void this.kept.push(kept),
  } as unknown as Promise<T>;

  keep(value: T): void {
    for (const kept of this.kept) kept(value);
  }
}

class HeldAccess implements Access {
  readonly asked: { readonly attempt: ConnectAttempt; readonly verdict: Later<Verdict> }[] = [];
  readonly steps: Later<Step>[] = [];
  revised: (grant: Grant, attempt: ConnectAttempt) => Verdict = (grant) => grant;

  judge(attempt: ConnectAttempt): Promise<Verdict> {
    const verdict = new Later<Verdict>();
    this.asked.push({ attempt, verdict });
    return verdict.promise;
  }

  exchange(method: string): Exchange | null {
    if (method !== "M") return null;
    return {
      next: () => {
        const step = new Later<Step>();
        this.steps.push(step);
        return step.promise;
      },
    };
  }

  revise(grant: Grant, attempt: ConnectAttempt): Verdict {
    return this.revised(grant, attempt);
  }
}

class Client {
  readonly socket: SimSocket;
  private readonly version: 4 | 5;

  constructor(world: World, version: 4 | 5) {
    this.version = version;
    this.socket = world.connect({ capacity: MIB });
  }

  send(...packets: (Packet | Buffer)[]): void {
    for (const packet of packets) {
      this.socket.send(
        packet instanceof Uint8Array ? packet : generate(packet, { protocolVersion: this.version }),
      );
    }
  }

  connect(clientId: string, more: object = {}): void {
    const { version } = this;
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: version,
      clientId,
      clean: true,
      keepalive: 0,
      ...more,
    });
  }

  /** What has come since the last time: commands, with their code where they have one above zero. */
  got(): string[] {
    const packets: string[] = [];
    const reader = parser({ protocolVersion: this.version });
    reader.on("packet", (packet: Packet) => {
      const { reasonCode, returnCode } = packet as { reasonCode?: number; returnCode?: number };
      const code = reasonCode ?? returnCode ?? 0;
      packets.push(code === 0 ? packet.cmd : `${packet.cmd} ${code.toString(16)}`);
    });
    reader.parse(this.socket.read(MIB));
    return packets;
  }
}

interface Setup {
  readonly world: World;
  readonly access: HeldAccess;
  client(version?: 4 | 5): Client;
}

function setup(shape: WorldShape = {}): Setup {
  const world = new World(new Random(1), shape);
  const access = new HeldAccess();
  world.host.access = access;
  return { world, access, client: (version = 5) => new Client(world, version) };
}

/** A client that has come in. */
function entered(
  { world, access, client }: Setup,
  id: string,
  grant: Grant = grantTo("ada"),
  more = {},
): Client {
  const one = client();
  one.connect(id, more);
  world.step(1);
  access.asked.at(-1)!.verdict.keep(grant);
  world.step(1);
  expect(one.got()).toEqual(["connack"]);
  return one;
}

const PING: Packet = { cmd: "pingreq" };

function publish(topic: string, payload: string | Buffer, qos: 0 | 1 = 0, messageId = 1): Packet {
  return {
    cmd: "publish",
    topic,
    payload,
    qos,
    dup: false,
    retain: false,
    ...(qos === 0 ? {} : { messageId }),
  };
}

function wallIn(world: World, ms: number): number {
  return world.clock.wallMs() + ms;
}

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

describe("a grant with an end", () => {
  test("ends the connection with it, and the Will goes out", () => {
    const all = setup();
    const { world } = all;
    const watcher = entered(all, "watcher", grantTo("bob"));
    watcher.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "will", qos: 0 }] });
    const will = { topic: "will", payload: Buffer.from("x"), qos: 0, retain: false };
    const client = entered(all, "c", grantTo("ada", { expiresWallMs: wallIn(world, 10_000) }), { will });
    for (let i = 0; i < 9; i++) world.step(1_000);
    expect(client.got()).toEqual([]);
    for (let i = 0; i < 2; i++) world.step(1_000);
    expect(client.got()).toEqual(["disconnect a0"]);
    expect(client.socket.brokerEnded).toBe(true);
    expect(world.host.stats.expired).toBe(1);
    expect(watcher.got()).toEqual(["suback", "publish"]);
  });

  for (const [what, jumpMs, seconds] of [
    ["set back by an hour", -3_600_000, 11],
    ["set forward by an hour", 3_600_000, 2],
  ] as const) {
    test(`a wall clock that is ${what} lets nobody stay longer`, () => {
      const all = setup();
      const { world } = all;
      const client = entered(all, "c", grantTo("ada", { expiresWallMs: wallIn(world, 10_000) }));
      const forever = entered(all, "forever");
      const { clock } = world;
      const before = clock.wallMs();
      const at = clock.ms;
      clock.wallMs = () => before + jumpMs + clock.ms - at;
      for (let i = 0; i < seconds; i++) world.step(1_000);
      expect(client.got()).toEqual(["disconnect a0"]);
      expect(forever.got()).toEqual([]);
    });
  }

  test("has another end after re-authentication", () => {
    const all = setup();
    const { world, access } = all;
    const client = all.client();
    const method = { authenticationMethod: "M" };
    client.connect("c", { properties: method });
    world.step(1);
    const first = grantTo("ada", { expiresWallMs: wallIn(world, 10_000) });
    access.steps[0]!.keep(first);
    world.step(5_000);
    client.send({ cmd: "auth", reasonCode: 0x19, properties: method });
    world.step(1);
    access.steps[1]!.keep(grantTo("ada", { expiresWallMs: wallIn(world, 10_000) }));
    for (let i = 0; i < 9; i++) world.step(1_000);
    expect(client.got()).toEqual(["connack", "auth"]);
    for (let i = 0; i < 2; i++) world.step(1_000);
    expect(client.got()).toEqual(["disconnect a0"]);
    expect(world.host.stats.reauthenticated).toBe(1);
  });
});

describe("when users or rules have changed", () => {
  test("those that lost their grant are cut, without their Will; the rest notice nothing", async () => {
    const all = setup();
    const { world, access } = all;
    const watcher = entered(all, "watcher", grantTo("bob"));
    watcher.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "will", qos: 0 }] });
    const will = { topic: "will", payload: Buffer.from("x"), qos: 0, retain: false };
    const gone = entered(all, "gone", grantTo("ada"), { will });
    const old = all.client(4);
    old.connect("old");
    world.step(1);
    access.asked.at(-1)!.verdict.keep(grantTo("ada"));
    world.step(1);
    expect(old.got()).toEqual(["connack"]);
    access.revised = (grant) => (grant.userName === "ada" ? DENIAL : grant);
    await world.host.reauthorise(() => Promise.resolve());
    world.step(1);
    expect(gone.got()).toEqual(["disconnect 87"]);
    expect([old.got(), old.socket.brokerEnded]).toEqual([[], true]);
    expect(watcher.got()).toEqual(["suback"]);
    expect(world.host.stats.revoked).toBe(2);
    expect(world.endings.map(({ detail }) => detail)).toEqual([DENIAL.reason, DENIAL.reason]);
  });

  test("other rights are the session's, and a Will that they do not permit is gone", async () => {
    const all = setup();
    const { world, access } = all;
    const before = rightsUnder("a/");
    const after = rightsUnder("b/");
    const will = { topic: "a/will", payload: Buffer.from("x"), qos: 0, retain: false };
    entered(all, "c", grantTo("ada", { rights: before }), { will });
    const session = world.router.sessions.get("c")!;
    const told: (Rights | null)[] = [];
    const { router } = world;
    router.rightsChanged = ({ rights }) => {
      told.push(rights);
      return false;
    };
    await world.host.reauthorise(() => Promise.resolve());
    expect([session.rights, session.will?.topic]).toEqual([before, "a/will"]);
    access.revised = (grant) => ({ ...grant, rights: after });
    await world.host.reauthorise(() => Promise.resolve());
    expect([session.rights, session.will]).toEqual([after, null]);
    expect(told).toEqual([after]);
  });

  test("an Access that throws keeps nobody, and somebody else's user name is no grant", async () => {
    for (const revised of [
      (): Verdict => {
        throw new Error("no");
      },
      (): Verdict => grantTo("eve"),
      () => undefined as unknown as Verdict,
      () => ({ granted: true }) as unknown as Verdict,
    ]) {
      const all = setup();
      const client = entered(all, "c");
      all.access.revised = revised;
      await all.world.host.reauthorise(() => Promise.resolve());
      expect(client.got()[0]).toStartWith("disconnect 8");
      expect(client.socket.brokerEnded).toBe(true);
    }
  });

  test("passwords are not kept", async () => {
    const all = setup();
    entered(all, "c", grantTo("ada"), { username: "ada", password: Buffer.from("secret") });
    expect(all.access.asked[0]!.attempt.password).toBeDefined();
    let seen: Uint8Array | undefined = new Uint8Array(1);
    all.access.revised = (grant, { password }) => {
      seen = password;
      return grant;
    };
    await all.world.host.reauthorise(() => Promise.resolve());
    expect(seen).toBeUndefined();
  });
});

describe("identities", () => {
  test("of two tenants are two, whatever their user names", () => {
    const all = setup();
    const { world, access } = all;
    const first = entered(all, "same", grantTo("ada", { tenant: "north" }));
    const verdicts: string[] = [];
    for (const grant of [
      grantTo("ada", { tenant: "south" }),
      grantTo("ada"),
      grantTo(""),
      grantTo("ada", { tenant: "north" }),
    ]) {
      const client = all.client();
      client.connect("same");
      world.step(1);
      access.asked.at(-1)!.verdict.keep(grant);
      world.step(1);
      verdicts.push(client.got().join());
    }
    expect(verdicts).toEqual(["connack 87", "connack 87", "connack 87", "connack"]);
    expect(first.got()).toEqual(["disconnect 8e"]);
  });

  test("hold no U+0000, and nobody has the broker's own sessions", () => {
    const all = setup();
    const { world, access } = all;
    new Link(world.router, "inside", 10, { onMessage: () => {} });
    for (const [id, userName, answer] of [
      ["c", "a\u0000b", "connack 87"],
      ["inside", "\u0000broker", "connack 87"],
      ["inside", "", "connack 87"],
    ] as const) {
      const client = all.client();
      client.connect(id);
      world.step(1);
      access.asked.at(-1)!.verdict.keep(grantTo(userName));
      world.step(1);
      expect(client.got()).toEqual([answer]);
    }
  });
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
