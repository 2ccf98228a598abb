// Places for handshakes: so many at one time, the rest in order, and the slow make way.

import { expect, test } from "bun:test";
import { HANDSHAKE_GRACE_MS, HandshakeGate, type Handshaker } from "../../src/net/handshakeGate.ts";
import { manualClock } from "../support/clock.ts";

function gateWith(places: number) {
  const clock = manualClock();
  const turns: (() => void)[] = [];
  const gate = new HandshakeGate(places, clock, (turn) => void turns.push(turn));
  const events: string[] = [];
  const newcomer = (name: string): Handshaker => {
    const one: Handshaker = {
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
  return { gate, clock, events, newcomer, run, turns };
}

test("whoever finds a place starts at once, the rest as places come, in order", () => {
  const { gate, events, newcomer, run } = gateWith(2);
  const [a, b, c, d] = ["a", "b", "c", "d"].map(newcomer) as [Handshaker, Handshaker, Handshaker, Handshaker];
  expect([a, b, c, d].map((one) => gate.enter(one))).toEqual([true, true, false, false]);
  run();
  expect(events).toEqual(["a starts", "b starts"]);
  gate.leave(b);
  run();
  expect(events).toEqual(["a starts", "b starts", "c starts"]);
  expect([gate.underWay, gate.waitingCount]).toEqual([2, 1]);
  gate.leave(d); // it went away while it waited
  gate.leave(a);
  gate.leave(c);
  run();
  expect([gate.underWay, gate.waitingCount]).toEqual([0, 0]);
  expect(events).toHaveLength(3);
});

test("few start in one turn", () => {
  const { gate, events, newcomer, run, turns } = gateWith(1_000);
  for (let i = 0; i < 30; i++) gate.enter(newcomer(`${i}`));
  expect(events).toHaveLength(8);
  turns.shift()!();
  expect(events).toHaveLength(16);
  run();
  expect(events).toEqual(Array.from({ length: 30 }, (_, i) => `${i} starts`));
  expect(turns).toHaveLength(0);
});

test("slow ones make way once they have had their time, and only for somebody", () => {
  const { gate, clock, events, newcomer, run } = gateWith(2);
  const slow = ["s1", "s2"].map(newcomer);
  for (const one of slow) gate.enter(one);
  clock.pass(10 * HANDSHAKE_GRACE_MS);
  gate.tick();
  run();
  expect(events).toEqual(["s1 starts", "s2 starts"]);
  gate.enter(newcomer("good"));
  run();
  expect(events.slice(2)).toEqual(["s1 gives up", "good starts"]);
  gate.enter(newcomer("next"));
  gate.enter(newcomer("last"));
  run();
  expect(events.slice(4)).toEqual(["s2 gives up", "next starts"]);
  clock.pass(HANDSHAKE_GRACE_MS - 1);
  gate.tick();
  run();
  expect(events).toHaveLength(6);
  clock.pass(1);
  gate.tick();
  run();
  expect(events.slice(6)).toEqual(["good gives up", "last starts"]);
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
  expect(events).toEqual(["a starts", "b starts"]);
  clock.pass(1_000);
  gate.tick();
  run();
  expect(events.slice(2)).toEqual(["a gives up", "c starts"]);
});

test("a gate that nobody can pass asks for no turns", () => {
  const { gate, newcomer, run, turns } = gateWith(1);
  gate.enter(newcomer("a"));
  gate.enter(newcomer("b"));
  run();
  expect(turns).toHaveLength(0);
});
