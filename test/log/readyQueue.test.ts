// ReadyQueue and Budget against their plain meaning.

import { describe, expect, test } from "bun:test";
import { Budget } from "../../src/base/budget.ts";
import { ReadyQueue } from "../../src/router/readyQueue.ts";
import { Reader, ReaderState } from "../../src/session/reader.ts";
import { seeds, withSeed } from "../sim/random.ts";
import { SimScheduler } from "../sim/world.ts";

describe("ready queue", () => {
  for (const seed of seeds(1, 2, 3)) {
    test(`serves first in, first out, every reader once, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const scheduler = new SimScheduler();
        const queue = new ReadyQueue(scheduler);
        const readers = Array.from({ length: 3_000 }, () => new Reader(null));
        const waiting: Reader[] = [];
        let served = 0;
        queue.start(
          (reader) => {
            expect(waiting.shift()).toBe(reader);
            served++;
            reader.state = ReaderState.CaughtUp;
            if (random.chance(0.1)) {
              queue.push(reader);
              waiting.push(reader);
            }
            return random.chance(0.01) ? 8 << 20 : 100;
          },
          () => {},
        );
        for (let poll = 0; poll < 100; poll++) {
          for (let burst = random.pick([0, 1, 3, 10, 2_500]); burst > 0; burst--) {
            const reader = random.pick(readers);
            if (!reader.queued) waiting.push(reader);
            queue.push(reader);
            if (random.chance(0.3)) scheduler.runMicrotasks();
          }
          scheduler.runMicrotasks();
          scheduler.runLater();
          expect(queue.length).toBe(waiting.length);
        }
        for (let poll = 0; poll < 1_000 && !scheduler.isIdle; poll++) {
          scheduler.runMicrotasks();
          scheduler.runLater();
        }
        expect(waiting).toEqual([]);
        expect(queue.length).toBe(0);
        expect(served).toBeGreaterThan(100);
      });
    });
  }

  test("passes over a reader that waits for something else by now", () => {
    const scheduler = new SimScheduler();
    const queue = new ReadyQueue(scheduler);
    const served: Reader[] = [];
    queue.start(
      (reader) => {
        served.push(reader);
        reader.state = ReaderState.CaughtUp;
        return 0;
      },
      () => {},
    );
    const [first, second] = [new Reader(null), new Reader(null)] as const;
    queue.push(first);
    queue.push(second);
    first.state = ReaderState.Offline;
    scheduler.runMicrotasks();
    expect(served).toEqual([second]);
    expect(first.queued).toBe(false);
  });
});

describe("budget", () => {
  test("takes all or nothing, remembers its peak and complains of what it never gave", () => {
    const budget = new Budget("test", 100);
    expect(budget.take(60)).toBe(true);
    expect(budget.take(41)).toBe(false);
    expect(budget.used).toBe(60);
    expect(budget.take(40)).toBe(true);
    budget.give(100);
    expect([budget.used, budget.peak]).toEqual([0, 100]);
    expect(() => budget.give(1)).toThrow();
  });
});
