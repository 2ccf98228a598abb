import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { run } from "../../bench/topic.bench.ts";
import { compileFilter } from "../../src/topic/filterMatcher.ts";
import { CACHE_MISS, MatchCache, VALUE_MAX } from "../../src/topic/matchCache.ts";
import { seededRandom } from "./random.ts";

/** A view over `prefix` unrelated bytes, then the key, then as many again: what a received chunk looks like. */
function key(content: string | number[], prefix = 3): [view: DataView, at: number, length: number] {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : Uint8Array.from(content);
  const chunk = new Uint8Array(bytes.length + 2 * prefix).fill(0xff);
  chunk.set(bytes, prefix);
  return [new DataView(chunk.buffer), prefix, bytes.length];
}

function put(cache: MatchCache, topic: string | number[], value: number): void {
  const [view, at, length] = key(topic);
  cache.insert(view, at, length, value);
}

function get(cache: MatchCache, topic: string | number[], prefix = 5): number {
  const [view, at, length] = key(topic, prefix);
  return cache.lookup(view, at, length);
}

describe("MatchCache", () => {
  test("every length from 1 to the slot's is found, in another chunk and at another position", () => {
    const cache = new MatchCache({ entries: 1024, keyBytesMax: 64 });
    const text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/$é";
    for (let length = 1; length <= 64; length++) put(cache, text.slice(0, length), length);
    expect(cache.count).toBe(64);
    for (let length = 1; length <= 64; length++) {
      for (let prefix = 0; prefix < 9; prefix++)
        expect(get(cache, text.slice(0, length), prefix)).toBe(length);
    }
  });

  test("a key that differs in any one byte, or in length, is another key", () => {
    for (let length = 1; length <= 40; length++) {
      const cache = new MatchCache({ entries: 8, keyBytesMax: 40 });
      const bytes = Array.from({ length }, (_, i) => 0x61 + (i % 26));
      put(cache, bytes, 1);
      for (let i = 0; i < length; i++) expect(get(cache, bytes.with(i, 0x7e))).toBe(CACHE_MISS);
      expect(get(cache, [...bytes, 0x61])).toBe(CACHE_MISS);
      expect(get(cache, bytes.slice(1))).toBe(CACHE_MISS);
      expect(get(cache, bytes)).toBe(1);
    }
  });

  test("a key longer than a slot is not cached; an empty one neither", () => {
    const cache = new MatchCache({ entries: 8, keyBytesMax: 20 });
    expect(cache.keyBytesMax).toBe(24);
    put(cache, "x".repeat(24), 1);
    put(cache, "x".repeat(25), 2);
    put(cache, "", 3);
    expect(cache.count).toBe(1);
    expect(get(cache, "x".repeat(24))).toBe(1);
    expect(get(cache, "x".repeat(25))).toBe(CACHE_MISS);
    expect(get(cache, "")).toBe(CACHE_MISS);
  });

  test("insert replaces the value of a key that it holds", () => {
    const cache = new MatchCache({ entries: 8, keyBytesMax: 16 });
    for (const topic of ["a", "abcde", "abcdefghij"]) {
      put(cache, topic, 1);
      put(cache, topic, VALUE_MAX);
      expect(get(cache, topic)).toBe(VALUE_MAX);
    }
    expect(cache.count).toBe(3);
    expect(cache.evictions).toBe(0);
  });

  test("owners have values of their own, also where their numbers hash alike", () => {
    const cache = new MatchCache({ entries: 64, keyBytesMax: 16, owned: true });
    const owners = [1, 2, 3, 1 + 2 ** 32, 2 + 2 ** 32];
    for (const topic of ["a", "abcde", "abcdefghij"]) {
      const bytes = Buffer.from(topic);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const found = (owner: number): number => cache.lookup(view, 0, bytes.length, owner);
      owners.forEach((owner, value) => {
        expect(found(owner)).toBe(CACHE_MISS);
        cache.insert(view, 0, bytes.length, value, owner);
      });
      expect(owners.map((owner) => found(owner))).toEqual([0, 1, 2, 3, 4]);
      cache.insert(view, 0, bytes.length, 9, 2);
      expect(owners.map((owner) => found(owner))).toEqual([0, 9, 2, 3, 4]);
    }
    expect([cache.count, cache.evictions]).toEqual([15, 0]);
    expect(cache.bytes).toBe(new MatchCache({ entries: 64, keyBytesMax: 16 }).bytes + 64 * 8);
  });

  test("clear forgets everything", () => {
    const cache = new MatchCache({ entries: 64, keyBytesMax: 16 });
    for (let i = 0; i < 40; i++) put(cache, `t/${i}`, i);
    cache.clear();
    expect(cache.count).toBe(0);
    for (let i = 0; i < 40; i++) expect(get(cache, `t/${i}`)).toBe(CACHE_MISS);
  });

  test("bytes that floats cannot compare are never cached, so never mistaken", () => {
    const cache = new MatchCache({ entries: 8, keyBytesMax: 32 });
    const zero = [0, 0, 0, 0, 0, 0, 0, 0];
    const minusZero = [0, 0, 0, 0, 0, 0, 0, 0x80];
    const nan = [1, 0, 0, 0, 0, 0, 0xf0, 0x7f];
    for (const bytes of [zero, minusZero, nan, [...nan, 0x61], [0x61, ...zero], [...zero, ...nan]]) {
      put(cache, bytes, 1);
      expect(get(cache, bytes)).toBe(CACHE_MISS);
    }
    expect(cache.count).toBe(0);
    put(cache, [0, 0, 0], 3); // fewer than eight bytes compare as integers
    expect(get(cache, [0, 0, 0])).toBe(3);
    expect(get(cache, [0, 0])).toBe(CACHE_MISS);
  });

  test("a full table replaces within a window of eight and never lies", () => {
    const cache = new MatchCache({ entries: 64, keyBytesMax: 16 }, 7);
    for (let i = 0; i < 1000; i++) {
      put(cache, `topic/${i}`, i);
      expect(get(cache, `topic/${i}`)).toBe(i);
      expect(cache.count).toBeLessThanOrEqual(64);
    }
    expect(cache.evictions).toBe(1000 - cache.count);
    let held = 0;
    for (let i = 0; i < 1000; i++) {
      const value = get(cache, `topic/${i}`);
      expect(value === i || value === CACHE_MISS).toBe(true);
      if (value === i) held++;
    }
    expect(held).toBe(cache.count);
    expect(held).toBeGreaterThan(56);
  });

  test("topics that come round in a set twice the cache's size keep some hits", () => {
    const cache = new MatchCache({ entries: 256, keyBytesMax: 16 }, 3);
    let hits = 0;
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 512; i++) {
        if (get(cache, `topic/${i}`) === CACHE_MISS) put(cache, `topic/${i}`, i);
        else hits++;
      }
    }
    expect(hits).toBeGreaterThan(0.1 * 20 * 512);
  });

  test.each([1, 2, 3])(
    "random keys of a small alphabet agree with a Map wherever they hit, seed %d",
    (seed) => {
      const random = seededRandom(seed);
      const cache = new MatchCache({ entries: 128, keyBytesMax: 24 }, seed);
      const expected = new Map<string, number>();
      let hits = 0;
      for (let round = 0; round < 20_000; round++) {
        const topic = Array.from({ length: 1 + random(26) }, () => "ab/"[random(random(3) + 1)]!).join("");
        const value = get(cache, topic, random(9));
        if (value !== CACHE_MISS) {
          hits++;
          expect(value).toBe(expected.get(topic)!);
        }
        if (random(2) === 0) {
          put(cache, topic, round);
          expected.set(topic, round);
        }
        if (random(2000) === 0) cache.clear();
      }
      expect(hits).toBeGreaterThan(1000);
    },
  );

  test("limits are checked and rounded up", () => {
    expect(new MatchCache({ entries: 1000, keyBytesMax: 120 }).entries).toBe(1024);
    expect(new MatchCache({ entries: 1024, keyBytesMax: 120 }).bytes).toBe(1024 * (4 + 128));
    expect(() => new MatchCache({ entries: 7, keyBytesMax: 120 })).toThrow("8..2^20 entries");
    expect(() => new MatchCache({ entries: 8, keyBytesMax: 0 })).toThrow("1..65,535 bytes");
    expect(() => put(new MatchCache({ entries: 8, keyBytesMax: 8 }), "a", -1)).toThrow("0..2^31-1");
  });
});

/** Objects of all types that `work` leaves behind, a collection before and none after. */
function objectsMade(work: () => void): number {
  Bun.gc(true);
  const before = heapStats().objectTypeCounts;
  work();
  const after = heapStats().objectTypeCounts;
  let made = 0;
  for (const type in after) made += Math.max(0, after[type]! - (before[type] ?? 0));
  return made;
}

test("the benchmarks of this layer run", async () => {
  await run(true);
});

test("lookup, insert and the byte matcher allocate nothing in 10,000 turns", () => {
  const cache = new MatchCache({ entries: 64, keyBytesMax: 32 });
  const [view, at, length] = key("device/00001/telemetry/x");
  const [other, otherAt, otherLength] = key("device/00002/telemetry/x");
  const matcher = compileFilter("device/+/telemetry/#");
  const bytes = new Uint8Array(view.buffer);
  let sum = 0;
  const work = (): void => {
    for (let turn = 0; turn < 10_000; turn++) {
      cache.insert(view, at, length, turn);
      sum += cache.lookup(view, at, length) + cache.lookup(other, otherAt, otherLength);
      if (matcher.matches(bytes, at, at + length)) sum++;
    }
  };
  work();
  // The counts themselves, and code compiled meanwhile, are some hundred objects; one a turn would be 10,000.
  expect(objectsMade(work)).toBeLessThan(1000);
  expect(sum).toBe(2 * 10_000 * (9_999 / 2));
});
