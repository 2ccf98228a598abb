// Limits of failed attempts: who is refused, who is not, and what the tables hold.

import { describe, expect, test } from "bun:test";
import { addressKey, Attempts, TABLE_ENTRIES_MAX } from "../../src/auth/attempts.ts";
import type { AttemptLimits } from "../../src/net/authSettings.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";

const LIMITS: AttemptLimits = {
  failuresPerAddress: 3,
  failuresPerUser: 5,
  refillMs: 1_000,
  banMs: 10_000,
  exempt: [],
};

interface Said {
  readonly attempts: Attempts;
  readonly clock: ManualClock;
  readonly lines: string[];
}

function tracker(limits: Partial<AttemptLimits> = {}): Said {
  const clock = manualClock();
  const lines: string[] = [];
  const attempts = new Attempts({ ...LIMITS, ...limits }, clock, {
    addressBanned: (address, failures) => void lines.push(`banned ${address} ${failures}`),
    userGuarded: (user) => void lines.push(`guarded ${user}`),
  });
  return { attempts, clock, lines };
}

function fail({ attempts }: Said, address: string, user: string, times: number): void {
  for (let i = 0; i < times; i++) attempts.failed(address, user);
}

describe("an address", () => {
  test("is banned when its tokens are used up, for the ban's time", () => {
    const said = tracker();
    const { attempts, clock, lines } = said;
    fail(said, "192.0.2.1", "alice", 2);
    expect(attempts.refusal("192.0.2.1", "alice")).toBeNull();
    fail(said, "192.0.2.1", "bob", 1);
    expect(attempts.refusal("192.0.2.1", "carl")).toMatchObject({ banned: "address" });
    expect(attempts.refusal("192.0.2.1", undefined)?.reason).toContain("10 s");
    expect(attempts.refusal("192.0.2.2", "alice")).toBeNull();
    expect(attempts.bannedAddresses).toBe(1);
    clock.pass(9_999);
    expect(attempts.refusal("192.0.2.1", "carl")).not.toBeNull();
    clock.pass(2);
    expect(attempts.refusal("192.0.2.1", "carl")).toBeNull();
    expect(attempts.bannedAddresses).toBe(0);
    expect(lines).toEqual(["banned 192.0.2.1 3"]);
    expect(attempts.counts).toEqual({ failed: 3, refused: 3, bans: 1 });
  });

  test("gets its tokens back one by one", () => {
    const said = tracker();
    for (let i = 0; i < 50; i++) {
      said.attempts.failed("192.0.2.1", `user${i}`);
      said.clock.pass(1_000);
      expect(said.attempts.refusal("192.0.2.1", "x")).toBeNull();
    }
    expect(said.attempts.counts.bans).toBe(0);
  });

  test("may be exempt, or without limit", () => {
    const exempt = tracker({ exempt: ["192.0.2.1"] });
    fail(exempt, "192.0.2.1", "alice", 4);
    expect(exempt.attempts.refusal("192.0.2.1", "bob")).toBeNull();
    const free = tracker({ failuresPerAddress: 0 });
    fail(free, "192.0.2.1", "alice", 4);
    expect(free.attempts.refusal("192.0.2.1", "bob")).toBeNull();
  });

  test("of IPv6 counts by its /64, of IPv4 however it is written", () => {
    const rows: readonly (readonly [string, string])[] = [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
      ["2001:db8::1", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["", ""],
    ];
    for (const [address, key] of rows) expect(addressKey(address)).toBe(key);
    const said = tracker();
    for (let i = 0; i < 3; i++) said.attempts.failed(`2001:db8::${i}`, "alice");
    expect(said.attempts.refusal("2001:db8::ffff", "bob")).toMatchObject({ banned: "address" });
  });
});

describe("a user", () => {
  test("that is guessed at from everywhere is not locked out where it usually is", () => {
    const said = tracker();
    said.attempts.succeeded("198.51.100.7", "alice");
    for (let i = 0; i < 5; i++) said.attempts.failed(`192.0.2.${i}`, "alice");
    expect(said.attempts.refusal("192.0.2.99", "alice")).toMatchObject({ banned: "user" });
    expect(said.attempts.refusal("198.51.100.7", "alice")).toBeNull();
    expect(said.attempts.refusal("192.0.2.99", "bob")).toBeNull();
    expect(said.lines).toEqual(["guarded alice"]);
    said.clock.pass(1_001);
    expect(said.attempts.refusal("192.0.2.99", "alice")).toBeNull();
  });

  test("that has logged in before is not kept out by a stranger behind its address", () => {
    const said = tracker();
    said.attempts.succeeded("192.0.2.1", "alice");
    fail(said, "192.0.2.1", "root", 3);
    expect(said.attempts.refusal("192.0.2.1", "root")).toMatchObject({ banned: "address" });
    expect(said.attempts.refusal("192.0.2.1", "alice")).toBeNull();
  });

  test("gets no more guesses at itself than both limits hold, trusted or not", () => {
    const said = tracker({ refillMs: 1_000_000 });
    said.attempts.succeeded("192.0.2.1", "alice");
    let guesses = 0;
    for (; guesses < 100 && said.attempts.refusal("192.0.2.1", "alice") === null; guesses++)
      said.attempts.failed("192.0.2.1", "alice");
    expect(guesses).toBe(5);
  });

  test("is told of once in a while, and long names are kept short", () => {
    const said = tracker({ failuresPerAddress: 0 });
    const name = "x".repeat(60_000);
    fail(said, "192.0.2.1", name, 100);
    expect(said.lines).toHaveLength(1);
    expect(said.attempts.refusal("192.0.2.2", name)).toMatchObject({ banned: "user" });
    expect(said.attempts.refusal("192.0.2.2", name.slice(1))).toBeNull();
  });
});

test("a full table forgets the least guilty of the eldest, never the banned one", () => {
  const said = tracker({ refillMs: 1_000_000, banMs: 10_000_000 });
  fail(said, "192.0.2.1", "alice", 3);
  for (let i = 0; i < TABLE_ENTRIES_MAX * 2; i++)
    said.attempts.failed(`10.${i >> 16}.${i >> 8}.${i}`, `u${i}`);
  expect(said.attempts.refusal("192.0.2.1", "bob")).toMatchObject({ banned: "address" });
});
