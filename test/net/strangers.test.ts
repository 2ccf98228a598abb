// The room of clients that nobody has let in yet: who holds most of it gives way to who would hold less.

import { expect, test } from "bun:test";
import { Budget } from "../../src/base/budget.ts";
import { type StrangerRoom, Strangers } from "../../src/net/strangers.ts";

function scene() {
  const budget = new Budget("strangers", 1000);
  const strangers = new Strangers(budget);
  const closed: string[] = [];
  const room = (name: string, bytes: number): StrangerRoom => {
    const one: StrangerRoom = strangers.roomFor({
      close: () => {
        closed.push(name);
        one.give(one.held);
      },
    });
    expect(one.take(bytes)).toBe(true);
    return one;
  };
  return { budget, strangers, closed, room };
}

test("while there is room everybody takes what it needs", () => {
  const { budget, closed, room } = scene();
  const a = room("a", 600);
  expect(a.take(400)).toBe(true);
  a.give(1000);
  expect([budget.used, closed]).toEqual([0, []]);
});

test("then whoever holds most makes room, the eldest of equals, as often as it takes", () => {
  const { budget, closed, room } = scene();
  room("small", 100);
  room("a", 400);
  room("b", 400);
  room("c", 100);
  room("d", 60);
  expect(closed).toEqual(["a"]);
  room("e", 390);
  expect([closed, budget.used]).toEqual([["a", "b"], 650]);
  room("f", 355);
  expect(closed).toEqual(["a", "b", "e"]);
});

test("nobody makes room for one that would hold as much, and nobody for itself", () => {
  const { budget, closed, room } = scene();
  const a = room("a", 500);
  const b = room("b", 450);
  expect([b.take(51), a.take(51)]).toEqual([false, false]);
  expect([closed, budget.used, a.held, b.held]).toEqual([[], 950, 500, 450]);
  expect(b.take(50)).toBe(true);
  expect(b.take(0)).toBe(true);
  expect(closed).toEqual([]);
});

test("who holds nothing is forgotten", () => {
  const { strangers, room } = scene();
  const all = Array.from({ length: 10 }, (_, i) => room(`${i}`, 10));
  for (const one of all) one.give(10);
  expect(strangers["rooms"].size).toBe(0);
});
