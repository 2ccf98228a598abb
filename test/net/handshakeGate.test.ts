// Places for handshakes: so many at one time, the last for addresses that have few; the silent and the slow make way.

import { expect, test } from "bun:test";
import {
  HANDSHAKE_GRACE_MS,
  HandshakeGate,
  type Handshaker,
  HELLO_GRACE_MS,
} from "../../src/net/handshakeGate.ts";
import { manualClock } from "../support/clock.ts";

function gateWith(places: number) {
  const clock = manualClock();
  const turns: (() => void)[] = [];
  const events: string[] = [];
  const gate = new HandshakeGate({
    placesMax: places,
    clock,
    later: (turn) => void turns.push(turn),
    pressed: () => void events.push("pressed"),
  });
  let count = 0;
  /** It speaks at once and comes from an address of its own, unless `more` says another thing. */
  const newcomer = (name: string, more: Partial<Handshaker> = {}): Handshaker => {
    const one: Handshaker = {
      address: `10.0.${count >>> 8}.${count++ & 255}`,
      hasSpoken: true,
      ...more,
      start: () => void events.push(`${name} starts`),
      giveUp: () => {
        events.push(`${name} gives up`);
        gate.leave(one);
      },
    };
    return one;
  };
  const run = (): void => {
    for (let round = 0; round < 100 && turns.length > 0; round++) turns.shift()!();
  };
  const started = () =>
    events.filter((event) => event.endsWith("starts")).map((event) => event.split(" ")[0]);
  return { gate, clock, events, newcomer, run, turns, started };
}

test("whoever finds a place starts at once, the rest as places come, in order", () => {
  const { gate, events, newcomer, run } = gateWith(2);
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => newcomer(name)) as [
    Handshaker,
    Handshaker,
    Handshaker,
    Handshaker,
  ];
  expect([a, b, c, d].map((one) => gate.enter(one))).toEqual([true, true, false, false]);
  run();
  expect(events).toEqual(["a starts", "b starts", "pressed"]);
  gate.leave(b);
  run();
  expect(events).toEqual(["a starts", "b starts", "pressed", "c starts"]);
  expect([gate.underWay, gate.waitingCount]).toEqual([2, 1]);
  gate.leave(d); // it went away while it waited
  gate.leave(a);
  gate.leave(c);
  run();
  expect([gate.underWay, gate.waitingCount]).toEqual([0, 0]);
  expect(events).toHaveLength(4);
});

test("few start in one turn", () => {
  const { gate, newcomer, run, turns, started } = gateWith(1_000);
  for (let i = 0; i < 30; i++) gate.enter(newcomer(`${i}`));
  expect(started()).toHaveLength(8);
  turns.shift()!();
  expect(started()).toHaveLength(16);
  run();
  expect(started()).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
  expect(turns).toHaveLength(0);
});

test("slow ones make way once they have had their time, and only for somebody", () => {
  const { gate, clock, events, newcomer, run } = gateWith(2);
  const slow = ["s1", "s2"].map((name) => newcomer(name));
  for (const one of slow) gate.enter(one);
  clock.pass(10 * HANDSHAKE_GRACE_MS);
  gate.tick();
  run();
  expect(events.splice(0)).toEqual(["s1 starts", "s2 starts"]);
  gate.enter(newcomer("good"));
  run();
  expect(events.splice(0)).toEqual(["pressed", "s1 gives up", "good starts"]);
  gate.enter(newcomer("next"));
  gate.enter(newcomer("last"));
  run();
  expect(events.splice(0)).toEqual(["pressed", "s2 gives up", "next starts"]);
  clock.pass(HANDSHAKE_GRACE_MS - 1);
  gate.tick();
  run();
  expect(events).toEqual([]);
  clock.pass(1);
  gate.tick();
  run();
  expect(events).toEqual(["good gives up", "last starts"]);
});

test("where all are slow nobody is cut short", () => {
  const { gate, clock, events, newcomer, run } = gateWith(2);
  for (let round = 0; round < 40; round++) {
    const one = newcomer("x");
    gate.enter(one);
    clock.pass(2_000);
    gate.succeed(one);
    run();
  }
  events.length = 0;
  for (const name of ["a", "b", "c"]) gate.enter(newcomer(name));
  clock.pass(7_000);
  gate.tick();
  run();
  expect(events.splice(0)).toEqual(["a starts", "b starts", "pressed"]);
  clock.pass(1_000);
  gate.tick();
  run();
  expect(events).toEqual(["a gives up", "c starts"]);
});

test("a gate that nobody can pass asks for no turns", () => {
  const { gate, newcomer, run, turns } = gateWith(1);
  gate.enter(newcomer("a"));
  gate.enter(newcomer("b"));
  run();
  expect(turns).toHaveLength(0);
});

test("the last places are for addresses that have few: others begin at once", () => {
  const { gate, newcomer, run, started } = gateWith(256);
  for (let i = 0; i < 300; i++) gate.enter(newcomer(`a${i}`, { address: "10.9.9.9" }));
  run();
  expect([gate.underWay, gate.waitingCount]).toEqual([252, 48]);
  gate.enter(newcomer("b"));
  run();
  expect([started().at(-1), gate.underWay]).toEqual(["b", 253]);
  for (let i = 0; i < 9; i++) gate.enter(newcomer(`c${i}`, { address: `2001:db8::${i}` }));
  run();
  expect([gate.underWay, gate.waitingCount]).toEqual([255, 55]); // the addresses of a /64 are one
  gate.enter(newcomer("d"));
  run();
  expect([started().at(-1), gate.underWay]).toEqual(["d", 256]);
});

test("of one address the latest begins first, and addresses have their turns", () => {
  const { gate, newcomer, run, started } = gateWith(1);
  const first = newcomer("first");
  gate.enter(first);
  const waiting = ["a", "b", "c", "d"].map((name) => newcomer(name, { address: "10.9.9.9" }));
  for (const one of waiting) gate.enter(one);
  gate.enter(newcomer("other", { address: "10.8.8.8" }));
  gate.leave(waiting[2]!);
  const all = [first, ...waiting];
  for (let round = 0; round < 10; round++) {
    const last = all.find((one) => started().at(-1) === nameOf(one));
    if (last !== undefined) gate.leave(last);
    run();
    if (started().at(-1) === "other") break;
  }
  expect(started()).toEqual(["first", "d", "other"]);

  function nameOf(one: Handshaker): string {
    return one === first ? "first" : "abcd"[waiting.indexOf(one)]!;
  }
});

test("silent clients make way much sooner than slow ones, and only where somebody waits", () => {
  const { gate, clock, events, newcomer, run } = gateWith(3);
  const speaks = newcomer("speaks", { address: "10.9.9.9", hasSpoken: false });
  gate.enter(speaks);
  gate.enter(newcomer("silent", { address: "10.9.9.9", hasSpoken: false }));
  gate.enter(newcomer("other"));
  run();
  expect(events.splice(0)).toEqual(["speaks starts", "silent starts", "other starts"]);
  clock.pass(HELLO_GRACE_MS);
  gate.tick();
  run();
  expect(events).toEqual([]);
  clock.pass(-1);
  gate.enter(newcomer("next"));
  run();
  expect(events.splice(0)).toEqual(["pressed"]);
  clock.pass(1);
  Object.assign(speaks, { hasSpoken: true });
  gate.tick();
  run();
  expect(events).toEqual(["silent gives up", "next starts"]);
});

test("places are not taken back from addresses that have fewer than those who wait", () => {
  const { gate, clock, events, newcomer, run } = gateWith(4);
  gate.enter(newcomer("few", { hasSpoken: false }));
  for (const name of ["a", "b"]) gate.enter(newcomer(name, { address: "10.9.9.9", hasSpoken: false }));
  run();
  events.length = 0;
  clock.pass(HANDSHAKE_GRACE_MS);
  gate.enter(newcomer("c", { address: "10.9.9.9" }));
  run();
  expect(events).toEqual(["pressed", "a gives up", "c starts"]);
});

test("a gate remembers nothing of those who are gone", () => {
  const { gate, newcomer, run } = gateWith(8);
  const all = Array.from({ length: 200 }, (_, i) => newcomer(`${i}`, { address: `10.1.0.${i % 20}` }));
  for (const one of all) gate.enter(one);
  run();
  for (const one of all) gate.leave(one);
  run();
  expect([gate.underWay, gate.waitingCount, gate["origins"].size, gate["line"].size]).toEqual([0, 0, 0, 0]);
});
