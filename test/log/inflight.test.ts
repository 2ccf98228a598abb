// Inflight against a Map, around the end of the identifiers and with some that are never given back.

import { describe, expect, test } from "bun:test";
import type { Offset } from "../../src/base/brand.ts";
import { Budget } from "../../src/base/budget.ts";
import { Inflight, InflightSlab, InflightState } from "../../src/session/inflight.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";

const WINDOW = 200;

interface Entry {
  readonly offset: number;
  state: number;
  readonly origin: number;
}

/** `jump` gives identifiers back at once, so that the ring goes round. */
function run(random: Random, inflight: Inflight, steps: number, stuck: number): void {
  const model = new Map<number, Entry>();
  const order: number[] = [];
  let offset = 0;
  const settleAt = (index: number): void => {
    const [identifier] = order.splice(index, 1);
    const entry = model.get(identifier!)!;
    expect(inflight.settle(identifier!)).toBe(entry.state);
    expect(inflight.stateOf(identifier!)).toBe(InflightState.Free);
    model.delete(identifier!);
  };
  for (let step = 0; step < steps; step++) {
    const dice = random.below(10);
    if (dice < 6 && order.length < WINDOW) {
      const state = random.pick([InflightState.Qos1, InflightState.Qos2]);
      const origin = random.below(3);
      const identifier = inflight.take(++offset as Offset, state, origin);
      expect(identifier).toBeWithin(1, 65_536);
      expect(model.has(identifier)).toBe(false);
      model.set(identifier, { offset, state, origin });
      order.push(identifier);
      if (random.chance(0.1)) {
        inflight.untake(identifier);
        model.delete(order.pop()!);
        expect(inflight.take(offset as Offset, state, origin)).toBe(identifier);
        model.set(identifier, { offset, state, origin });
        order.push(identifier);
      }
    } else if (dice < 9 && order.length > stuck) settleAt(random.between(stuck, order.length - 1));
    else if (order.length > 0) {
      const identifier = random.pick(order);
      const entry = model.get(identifier)!;
      expect(inflight.originOf(identifier)).toBe(entry.origin);
      if (entry.state === InflightState.Qos2) {
        inflight.release(identifier);
        entry.state = InflightState.Released;
      }
    }
    expect(inflight.count).toBe(model.size);
    if (step % 200 !== 0) continue;
    expect(inflight.ordered().map((m) => [m.identifier, m.offset, m.state, m.origin])).toEqual(
      order.map((identifier) => {
        const { offset: at, state, origin } = model.get(identifier)!;
        return [identifier, at, state, origin];
      }),
    );
    const needed = [...model.values()].filter(({ state }) => state !== InflightState.Released);
    expect(inflight.oldestOffset()).toBe(Math.min(...needed.map((entry) => entry.offset)));
  }
}

describe("in flight", () => {
  for (const seed of seeds(1, 2, 3)) {
    test(`agrees with a Map, past the last identifier, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const slab = new InflightSlab(new Budget("in flight", 4 << 20));
        const inflight = new Inflight(slab);
        run(random, inflight, 2_000, 0);
        inflight.clear();
        expect(inflight.count).toBe(0);
        // Nearly once round the identifiers, then across the end with some that stay taken.
        for (let i = 0; i < 64_000; i++) inflight.settle(inflight.take(i as Offset, InflightState.Qos1, 0));
        run(random, inflight, 6_000, 40);
        inflight.clear();
      });
    });
  }

  test("gives every block back, whatever was in flight", () => {
    withSeed(7, (random) => {
      const budget = new Budget("in flight", 4 << 20);
      const slab = new InflightSlab(budget);
      const sessions = Array.from({ length: 50 }, () => new Inflight(slab));
      const fill = (): void => {
        for (const inflight of sessions) run(random, inflight, 300, 0);
        for (const inflight of sessions) inflight.clear();
      };
      fill();
      const held = budget.used;
      for (let i = 0; i < 10; i++) fill();
      expect(budget.used).toBeLessThanOrEqual(held * 1.5);
    });
  });

  test("refuses when the budget is used up and goes on when something was given back", () => {
    const slab = new InflightSlab(new Budget("in flight", 20_000));
    const full = new Inflight(slab);
    const taken: number[] = [];
    for (;;) {
      const identifier = full.take(taken.length as Offset, InflightState.Qos1, 0);
      if (identifier === 0) break;
      taken.push(identifier);
    }
    expect(taken.length).toBeGreaterThan(100);
    const other = new Inflight(slab);
    expect(other.take(1 as Offset, InflightState.Qos1, 0)).toBe(0);
    expect(other.count).toBe(0);
    for (const identifier of taken) full.settle(identifier);
    expect(other.take(1 as Offset, InflightState.Qos1, 0)).toBeGreaterThan(0);
  });
});
