// Topic layer: tree, match cache, byte matcher. `run(true)` calls every case a few times without measuring it, so
// that the tests can keep this file working.

import { heapStats } from "bun:jsc";
import { bench, do_not_optimize, group, run as runMitata } from "mitata";
import { compileFilter } from "../src/topic/filterMatcher.ts";
import { MatchCache } from "../src/topic/matchCache.ts";
import { filterMatchesTopic } from "../src/topic/topicFilter.ts";
import { TopicTree } from "../src/topic/topicTree.ts";

const QUICK_CALLS = 3;

// Cache and matcher calls take nanoseconds: a benchmark's turn makes this many.
const TURN = 1000;

interface Case {
  readonly group: string;
  readonly name: string;
  readonly call: () => void;
}

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

function cacheCases(): Case[] {
  const group = `match cache, ${TURN} calls a turn`;
  const cases: Case[] = [];
  for (const topics of [1, 1000, 10_000]) {
    const cache = filledCache(topics);
    // Many chunks, so that a large set is not met again and again through its first TURN topics only.
    const chunks: Frames[] = [];
    for (let from = 0; from < topics; from += TURN) chunks.push(frames(Math.min(topics, TURN), from));
    let next = 0;
    const call = (): void => {
      next = (next + 1) % chunks.length;
      do_not_optimize(lookupAll(cache, chunks[next]!));
    };
    cases.push({ group, name: `hit, ${topics} topics`, call });
  }
  const cache = filledCache(10_000);
  const unknown = frames(TURN, 50_000);
  const miss = (): void => do_not_optimize(lookupAll(cache, unknown));
  cases.push({ group, name: "miss, 10,000 other topics held", call: miss });
  const small = new MatchCache({ entries: 512, keyBytesMax: 120 });
  const { view, at, length } = frames(TURN);
  const insert = (): void => {
    for (let i = 0; i < TURN; i++) small.insert(view, at[i]!, length[i]!, i);
  };
  cases.push({ group, name: "insert, always over capacity", call: insert });
  const emptied = filledCache(0);
  const clear = (): void => {
    emptied.insert(view, at[0]!, length[0]!, 1);
    emptied.clear();
  };
  cases.push({ group, name: "one insert and clear, 16,384 entries", call: clear });
  return cases;
}

const MIXES: readonly [name: string, filter: (i: number) => string][] = [
  ["literal", deviceTopic],
  ["+ in the second half", (i) => (i % 2 === 0 ? deviceTopic(i) : `device/${i}/+/temp`)],
  ["literal, + and #", (i) => [deviceTopic(i), `+/${i}/telemetry/+`, `device/${i}/#`, `a/+/${i}/#`][i % 4]!],
];

function matchCase(group: string, name: string, tree: TopicTree, topics: string[]): Case {
  const out: number[] = [];
  let turn = 0;
  const call = (): void => {
    out.length = 0;
    do_not_optimize(tree.match(topics[turn++ % topics.length]!, out));
  };
  return { group, name, call };
}

function treeCases(filters: number): Case[] {
  const group = `topic tree, ${filters} filters`;
  const cases: Case[] = [];
  const topics = Array.from({ length: 256 }, (_, i) => deviceTopic((i * 37) % filters));
  for (const [name, filterAt] of MIXES) {
    const tree = new TopicTree();
    for (let i = 0; i < filters; i++) tree.insert(filterAt(i));
    cases.push(matchCase(group, `match, ${name}`, tree, topics));
    const change = (): void => tree.remove(tree.insert("device/new/telemetry/temp"));
    cases.push({ group, name: `insert and remove, ${name}`, call: change });
  }
  const wild = new TopicTree();
  for (const filter of ["device/+/telemetry/#", "#", "+/+/+/+", "device/#"]) wild.insert(filter);
  cases.push(matchCase(group, "match, four wildcard filters only", wild, topics));
  return cases;
}

function matcherCases(): Case[] {
  const group = `filter matcher over bytes, ${TURN} topics a turn`;
  const { chunk, at, length } = frames(TURN);
  const cases = ["device/+/telemetry/#", "device/+/+/temp", "other/#", deviceTopic(7)].map((filter) => {
    const matcher = compileFilter(filter);
    const call = (): void => {
      let matched = 0;
      for (let i = 0; i < TURN; i++) if (matcher.matches(chunk, at[i]!, at[i]! + length[i]!)) matched++;
      do_not_optimize(matched);
    };
    return { group, name: filter, call };
  });
  const topic = deviceTopic(7);
  const reference = (): void => do_not_optimize(filterMatchesTopic("device/+/+/temp", topic));
  cases.push({ group, name: "one topic by filterMatchesTopic", call: reference });
  return cases;
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
  const cases = [...cacheCases(), ...treeCases(quick ? 100 : 10_000), ...matcherCases()];
  if (quick) {
    for (let turn = 0; turn < QUICK_CALLS; turn++) for (const { call } of cases) call();
    return;
  }
  console.log(`memory: ${bytesPerFilter(100_000).toFixed(0)} B a filter at 100,000 filters\n`);
  for (const name of new Set(cases.map((one) => one.group))) {
    group(name, () => {
      for (const one of cases) if (one.group === name) bench(one.name, one.call);
    });
  }
  await runMitata({ throw: true });
}

if (import.meta.main) await run(false);
