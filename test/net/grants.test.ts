// What becomes of a grant: its end, its revision when users or rules have changed, and whose sessions it opens.

import { describe, expect, test } from "bun:test";
import type { Verdict } from "../../src/net/access.ts";
import { Link } from "../../src/net/link.ts";
import type { Rights } from "../../src/session/rights.ts";
import { DENIAL, grantTo, rightsUnder } from "../support/fakeAccess.ts";
import { entered, setup, wallIn } from "../support/heldAccess.ts";

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
