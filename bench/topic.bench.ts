// Topic layer: tree, match cache, byte matcher. `run(true)` is small enough to go with the tests.

import { heapStats } from "bun:jsc";
import { bench, do_not_optimize, group, run as runMitata } from "mitata";
import type { FilterId } from "../src/base/brand.ts";
import { compileFilter } from "../src/topic/filterMatcher.ts";
import { MatchCache } from "../src/topic/matchCache.ts";
import { filterMatchesTopic } from "../src/topic/topicFilter.ts";
import { TopicTree } from "../src/topic/topicTree.ts";

// Cache and matcher calls take nanoseconds: a benchmark's turn makes this many.
const TURN = 1000;

interface Frames {
  readonly chunk: Uint8Array;
  readonly view: DataView;
  readonly at: Int32Array;
  readonly length: Int32Array;
}

function deviceTopic(i: number): string {
  return `device/${String(i).padStart(5, "0")}/telemetry/temp`; // 27 bytes
}

/** TURN topics of a set of `topics`, in scattered order, 100 bytes apart as in frames of 64 B payloads. */
function frames(topics: number, from = 0): Frames {
  const chunk = Buffer.alloc(TURN * 100);
  const at = new Int32Array(TURN);
  const length = new Int32Array(TURN);
  for (let i = 0; i < TURN; i++) {
    at[i] = i * 100 + 4;
    length[i] = chunk.write(deviceTopic(from + ((i * 7919) % topics)), at[i]!);
  }
  return { chunk, view: new DataView(chunk.buffer, chunk.byteOffset, chunk.length), at, length };
}

function filledCache(topics: number): MatchCache {
  const cache = new MatchCache({ entries: 16_384, keyBytesMax: 120 });
  for (let i = 0; i < topics; i++) {
    const bytes = Buffer.from(deviceTopic(i));
    cache.insert(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, i);
  }
  return cache;
}

function lookupAll(cache: MatchCache, { view, at, length }: Frames): number {
  let sum = 0;
  for (let i = 0; i < TURN; i++) sum = (sum + cache.lookup(view, at[i]!, length[i]!)) | 0;
  return sum;
}

function benchCache(): void {
  group(`match cache, ${TURN} lookups a turn`, () => {
    for (const topics of [1, 1000, 10_000]) {
      const cache = filledCache(topics);
      // Many chunks, so that a large set is not met again and again through its first TURN topics only.
      const chunks = Array.from({ length: Math.ceil(topics / TURN) }, (_, i) =>
        frames(Math.min(topics, TURN), i * TURN),
      );
      let next = 0;
      bench(`hit, ${topics} topics`, () => {
        next = (next + 1) % chunks.length;
        return do_not_optimize(lookupAll(cache, chunks[next]!));
      });
    }
    const cache = filledCache(10_000);
    const unknown = frames(TURN, 50_000);
    bench("miss, 10,000 other topics held", () => do_not_optimize(lookupAll(cache, unknown)));
    const small = new MatchCache({ entries: 512, keyBytesMax: 120 });
    const stream = frames(TURN);
    bench("insert, always over capacity", () => {
      const { view, at, length } = stream;
      for (let i = 0; i < TURN; i++) small.insert(view, at[i]!, length[i]!, i);
    });
    bench("clear and one insert, 16,384 entries", () => {
      cache.clear();
      cache.insert(unknown.view, unknown.at[0]!, unknown.length[0]!, 1);
    });
  });
}

const MIXES: readonly [name: string, filter: (i: number) => string][] = [
  ["literal", deviceTopic],
  ["+ in the second half", (i) => (i % 2 === 0 ? deviceTopic(i) : `device/${i}/+/temp`)],
  ["literal, + and #", (i) => [deviceTopic(i), `+/${i}/telemetry/+`, `device/${i}/#`, `a/+/${i}/#`][i % 4]!],
];

function benchTree(filters: number): void {
  group(`topic tree, ${filters} filters`, () => {
    for (const [name, filterAt] of MIXES) {
      const tree = new TopicTree();
      for (let i = 0; i < filters; i++) tree.insert(filterAt(i));
      const topics = Array.from({ length: 256 }, (_, i) => deviceTopic((i * 37) % filters));
      const out: number[] = [];
      let turn = 0;
      bench(`match, ${name}`, () => {
        out.length = 0;
        return do_not_optimize(tree.match(topics[turn++ & 255]!, out));
      });
      bench(`insert and remove, ${name}`, () => {
        const id: FilterId = tree.insert("device/new/telemetry/temp");
        tree.remove(id);
      });
    }
    const tree = new TopicTree();
    for (const filter of ["device/+/telemetry/#", "#", "+/+/+/+", "device/#"]) tree.insert(filter);
    const out: number[] = [];
    const topic = deviceTopic(1);
    bench("match, four wildcard filters only", () => {
      out.length = 0;
      return do_not_optimize(tree.match(topic, out));
    });
  });
}

function benchMatcher(): void {
  group(`filter matcher over bytes, ${TURN} topics a turn`, () => {
    const { chunk, at, length } = frames(TURN);
    for (const filter of ["device/+/telemetry/#", "device/+/+/temp", "other/#", deviceTopic(7)]) {
      const matcher = compileFilter(filter);
      bench(filter, () => {
        let matched = 0;
        for (let i = 0; i < TURN; i++) if (matcher.matches(chunk, at[i]!, at[i]! + length[i]!)) matched++;
        return do_not_optimize(matched);
      });
    }
    const topic = deviceTopic(7);
    bench("one topic by filterMatchesTopic", () => do_not_optimize(filterMatchesTopic("device/+/+/temp", topic)));
  });
}

/** Heap bytes, typed arrays included, that each of `filters` filters of the form device/00001/telemetry/x costs. */
export function bytesPerFilter(filters: number): number {
  const tree = new TopicTree();
  Bun.gc(true);
  const before = heapStats().heapSize;
  for (let i = 0; i < filters; i++) tree.insert(`device/${String(i).padStart(5, "0")}/telemetry/x`);
  Bun.gc(true);
  const bytes = (heapStats().heapSize - before) / filters;
  do_not_optimize(tree.match(deviceTopic(1), []));
  return bytes;
}

export async function run(quick: boolean): Promise<void> {
  if (!quick) console.log(`memory: ${bytesPerFilter(100_000).toFixed(0)} B a filter at 100,000 filters\n`);
  benchCache();
  benchTree(quick ? 100 : 10_000);
  benchMatcher();
  await runMitata(quick ? { format: "quiet", throw: true } : { throw: true });
}

if (import.meta.main) await run(false);
