// Limits per address: how many, how fast.

import { expect, test } from "bun:test";
import { AddressLimits } from "../../src/net/addressLimits.ts";
import { Lobby, type Resident } from "../../src/net/lobby.ts";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { manualClock } from "../support/clock.ts";
import { listenerDefaults } from "../support/broker.ts";

test("so many of one address, and others beside them", () => {
  const limits = new AddressLimits(manualClock());
  expect(["a", "a", "a", "b"].map((address) => limits.take(address, 2))).toEqual([true, true, false, true]);
  expect(limits.take("a", 2, 1)).toBe(true); // in place of one that leaves
  limits.give("a");
  expect(limits.take("a", 2)).toBe(false);
  limits.give("a");
  expect(limits.take("a", 2)).toBe(true);
  for (let i = 0; i < 5; i++) limits.give("b");
  expect(["b", "b", "b"].map((address) => limits.take(address, 2))).toEqual([true, true, false]);
});

test("so many in a second, as time passes", () => {
  const clock = manualClock();
  const limits = new AddressLimits(clock);
  const arrive = (times: number): boolean[] => Array.from({ length: times }, () => limits.arrive("a", 2));
  expect(arrive(3)).toEqual([true, true, false]);
  expect(limits.arrive("b", 2)).toBe(true);
  clock.pass(500);
  expect(arrive(2)).toEqual([true, false]);
  clock.pass(60_000);
  expect(arrive(3)).toEqual([true, true, false]);
});

function newLobby(): Lobby {
  return new Lobby({ placesMax: 1, clock: manualClock(), later: queueMicrotask, pressed() {} });
}

test("0 sets no limit", () => {
  const lobby = newLobby();
  for (let i = 0; i < 1_000; i++) {
    const resident = { listener: listenerDefaults, remoteAddress: "a" };
    expect([lobby.isInTime(listenerDefaults, "a"), lobby.count(resident, null)]).toEqual([true, true]);
  }
});

test("a client that comes back may take its former connection's place, not somebody else's", () => {
  const lobby = newLobby();
  const listener = { ...listenerDefaults, transport: { ...PLAIN_TCP, connectionsPerAddress: 1 } };
  const other = { ...listener, section: "v4.2" };
  const at = (remoteAddress: string, on = listener): Resident => ({ listener: on, remoteAddress });
  const first = at("2001:db8::1");
  expect(lobby.count(first, null)).toBe(true);
  expect(lobby.count(at("2001:db8::2"), null)).toBe(false);
  expect(lobby.count(at("2001:db8::2", other), null)).toBe(true);
  const stranger = at("10.0.0.1");
  expect(lobby.count(stranger, null)).toBe(true);
  expect(lobby.count(at("2001:db8::3"), stranger)).toBe(false);
  const again = at("2001:db8::3");
  expect(lobby.count(again, first)).toBe(true);
  lobby.forget(first);
  expect(lobby.count(at("2001:db8::4"), null)).toBe(false);
  lobby.forget(again);
  expect(lobby.count(at("2001:db8::4"), null)).toBe(true);
  expect(lobby.count(at("unix"), null)).toBe(true);
  expect(lobby.count(at("unix"), null)).toBe(true);
});
