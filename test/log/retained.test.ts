// Retained against a Map: set, replaced, cleared, compacted, refused when the budget is used up.

import { describe, expect, test } from "bun:test";
import { Budget } from "../../src/base/budget.ts";
import { newPublishSpans } from "../../src/packet/publishProperties.ts";
import { Retained, type RetainedRecord } from "../../src/router/retained.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";

const TOPICS = 400;
const KIB = 1024;

class Store {
  readonly budget: Budget;
  readonly retained: Retained;
  /** Topic → payload and class. */
  readonly model = new Map<string, { payload: Buffer; runClass: number }>();
  private readonly record: RetainedRecord = {
    bytes: Buffer.alloc(0),
    at: 0,
    length: 0,
    runClass: 0,
    time: 0,
    publisher: 0,
  };

  constructor(bytes: number) {
    this.budget = new Budget("retained", bytes);
    this.retained = new Retained(this.budget, { nowMs: () => 1_234_000, wallMs: () => 0 }, 7);
  }

  /** A v3 message. */
  publish(topic: string, payload: Buffer, runClass: number): boolean {
    const name = Buffer.from(topic);
    const stored = this.retained.publish(
      9,
      {
        topic: name,
        topicAt: 0,
        topicBytes: name.length,
        chunk: payload,
        propertiesAt: 0,
        payload: 0,
        end: payload.length,
        aliasAt: -1,
        spans: newPublishSpans(),
      },
      runClass,
    );
    if (!stored) return false;
    if (payload.length === 0) this.model.delete(topic);
    else this.model.set(topic, { payload: Buffer.from(payload), runClass });
    return true;
  }

  check(topic: string): void {
    const slot = this.retained.slotOf(topic);
    const expected = this.model.get(topic);
    if (expected === undefined) {
      expect(slot).toBe(-1);
      return;
    }
    const { record } = this;
    expect(this.retained.read(slot, this.retained.clockwork, record)).toBe(true);
    const frame = record.bytes.subarray(record.at, record.at + record.length);
    const tail = Buffer.concat([Buffer.from(topic), expected.payload]);
    expect(frame[0]).toBe(0x30);
    expect(frame.subarray(frame.length - tail.length).equals(tail)).toBe(true);
    expect([record.runClass, record.publisher, record.time]).toEqual([expected.runClass, 9, 1_234]);
  }

  checkAll(): void {
    expect(this.retained.count).toBe(this.model.size);
    for (let i = 0; i < TOPICS; i++) this.check(`topic/${i}`);
  }
}

function payloadOf(random: Random, step: number): Buffer {
  const size = random.chance(0.01) ? random.between(200 * KIB, 400 * KIB) : random.between(1, 4_000);
  return Buffer.alloc(size, step);
}

describe("retained messages", () => {
  for (const seed of seeds(1, 2, 3)) {
    test(`agree with a Map under random operations, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const store = new Store(4 << 20);
        let refused = 0;
        for (let step = 0; step < 6_000; step++) {
          const topic = `topic/${random.below(TOPICS)}`;
          if (random.chance(0.25)) expect(store.publish(topic, Buffer.alloc(0), 1)).toBe(true);
          else if (!store.publish(topic, payloadOf(random, step), random.below(32))) refused++;
          store.check(topic);
          if (step % 500 === 0) store.checkAll();
        }
        store.checkAll();
        expect(refused).toBeLessThan(600);
        for (let i = 0; i < TOPICS; i++) store.publish(`topic/${i}`, Buffer.alloc(0), 0);
        expect(store.retained.count).toBe(0);
        expect(store.budget.used).toBeLessThanOrEqual(400 * KIB);
      });
    });
  }

  test("are refused without a change when the budget is used up, and taken again when some were cleared", () => {
    const store = new Store(600 * KIB);
    let count = 0;
    while (store.publish(`topic/${count}`, Buffer.alloc(10 * KIB, count), 0)) count++;
    expect(count).toBeWithin(40, 60);
    for (let i = 0; i <= count; i++) store.check(`topic/${i}`);
    // The refused one may replace nothing either: the old value stays.
    expect(store.publish("topic/0", Buffer.alloc(590 * KIB, 7), 0)).toBe(false);
    store.check("topic/0");
    for (let i = 0; i < count; i++) if (i % 3 > 0) store.publish(`topic/${i}`, Buffer.alloc(0), 0);
    for (let i = 1; i < count / 2; i += 3) {
      expect(store.publish(`topic/${i}`, Buffer.alloc(9 * KIB, i), 0)).toBe(true);
    }
    store.checkAll();
  });

  test("small values that change all the time need no more than their segments", () => {
    withSeed(5, (random) => {
      const store = new Store(1 << 20);
      for (let step = 0; step < 30_000; step++) {
        expect(
          store.publish(`topic/${random.below(TOPICS)}`, Buffer.alloc(random.between(1, 500), step), 0),
        ).toBe(true);
      }
      store.checkAll();
    });
  });
});
