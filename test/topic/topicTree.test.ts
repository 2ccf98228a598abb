import { expect, test } from "bun:test";
import type { FilterId } from "../../src/base/brand.ts";
import { compileFilter } from "../../src/topic/filterMatcher.ts";
import { CACHE_MISS, MatchCache } from "../../src/topic/matchCache.ts";
import { filterMatchesTopic, parseTopicFilter } from "../../src/topic/topicFilter.ts";
import { TopicTree } from "../../src/topic/topicTree.ts";
import { randomFilter, randomTopic, seededRandom } from "./random.ts";

const encoder = new TextEncoder();

function matchSorted(tree: TopicTree, topic: string): number[] {
  const out: number[] = [];
  const count = tree.match(topic, out);
  expect(count).toBe(out.length);
  return out.sort((a, b) => a - b);
}

function reference(held: Map<string, FilterId>, topic: string): number[] {
  const ids: number[] = [];
  for (const [filter, id] of held) if (filterMatchesTopic(filter, topic)) ids.push(id);
  return ids.sort((a, b) => a - b);
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "agrees with filterMatchesTopic under random changes, seed %d",
  (seed) => {
    const random = seededRandom(seed);
    const tree = new TopicTree(seed);
    const held = new Map<string, FilterId>();
    let highest = -1;
    for (let round = 0; round < 1500; round++) {
      const filter = randomFilter(random);
      expect(parseTopicFilter(filter)).toEqual({ filter, group: null });
      const before = tree.epoch;
      const id = tree.idOf(filter);
      expect(id).toBe(held.get(filter) ?? -1);
      const growing = (round >> 8) % 2 === 0; // waves, so that the tree both fills and empties
      if (random(8) < (growing ? 6 : 2)) {
        const inserted = tree.insert(filter);
        if (id === -1) {
          const taken = new Set<number>(held.values());
          let smallest = 0;
          while (taken.has(smallest)) smallest++;
          expect(inserted).toBe(smallest as FilterId);
        }
        expect(tree.epoch - before).toBe(id === -1 ? 1 : 0);
        held.set(filter, inserted);
        highest = Math.max(highest, inserted);
      } else if (held.size > 0) {
        const [victim, victimId] = [...held][random(held.size)]!;
        tree.remove(victimId);
        held.delete(victim);
        expect(tree.epoch - before).toBe(1);
      }
      expect(tree.count).toBe(held.size);
      expect(tree.capacity).toBe(highest + 1);
      const topic = randomTopic(random);
      expect(matchSorted(tree, topic)).toEqual(reference(held, topic));
    }
    for (const [filter, id] of held) expect(tree.filterOf(id)).toBe(filter);
    for (const id of held.values()) tree.remove(id);
    expect(tree.count).toBe(0);
    expect(tree.nodeCount).toBe(0);
    expect(matchSorted(tree, "a/b")).toEqual([]);
  },
);

test.each([11, 12, 13])("the byte matcher agrees with filterMatchesTopic, seed %d", (seed) => {
  const random = seededRandom(seed);
  for (let round = 0; round < 4000; round++) {
    const filter = randomFilter(random);
    const topic = randomTopic(random);
    const bytes = encoder.encode(`/${topic}/`);
    const matched = compileFilter(filter).matches(bytes, 1, bytes.length - 1);
    if (matched !== filterMatchesTopic(filter, topic)) throw new Error(`${filter} against ${topic}`);
  }
});

test.each([21, 22])("a cache emptied by the epoch never changes an answer, seed %d", (seed) => {
  const random = seededRandom(seed);
  const tree = new TopicTree();
  const cache = new MatchCache({ entries: 16, keyBytesMax: 16 }, seed);
  const routes: string[] = [];
  const ids: FilterId[] = [];
  let epoch = tree.epoch;
  let hits = 0;
  for (let round = 0; round < 4000; round++) {
    if (random(20) === 0) {
      if (ids.length > 30) tree.remove(ids.splice(random(ids.length), 1)[0]!);
      else {
        const id = tree.insert(randomFilter(random));
        if (!ids.includes(id)) ids.push(id);
      }
    }
    if (epoch !== tree.epoch) {
      cache.clear();
      epoch = tree.epoch;
    }
    const topic = randomTopic(random);
    const bytes = encoder.encode(topic);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const answer = matchSorted(tree, topic).join();
    const cached = cache.lookup(view, 0, bytes.length);
    if (cached === CACHE_MISS) {
      cache.insert(view, 0, bytes.length, routes.push(answer) - 1);
    } else {
      hits++;
      expect(routes[cached]).toBe(answer);
    }
  }
  expect(hits).toBeGreaterThan(0);
});

test("ids are dense, the smallest free one is reused, capacity stays", () => {
  const tree = new TopicTree();
  const ids = ["a", "b", "#", "+/x", "b"].map((filter) => tree.insert(filter) as number);
  expect(ids).toEqual([0, 1, 2, 3, 1]);
  tree.remove(tree.idOf("#") as FilterId);
  tree.remove(tree.idOf("a") as FilterId);
  expect(tree.insert("c") as number).toBe(0);
  expect(tree.insert("d/#") as number).toBe(2);
  expect(tree.insert("e") as number).toBe(4);
  expect(tree.capacity).toBe(5);
  expect(tree.filterOf(2 as FilterId)).toBe("d/#");
  expect(tree.idOf("a")).toBe(-1);
});

test("ids beside filters are of the same numbers, and no topic matches them", () => {
  const tree = new TopicTree();
  tree.insert("#");
  const id = tree.takeId();
  expect([id as number, tree.capacity, tree.count]).toEqual([1, 2, 1]);
  const matched: number[] = [];
  expect(tree.match("a", matched)).toBe(1);
  expect(() => tree.filterOf(id)).toThrow("a filter id is in use");
  expect(() => tree.giveId(tree.idOf("#") as FilterId)).toThrow("ends with it");
  tree.giveId(id);
  expect(tree.insert("b")).toBe(id);
});

test("an id that is not in use is refused", () => {
  const tree = new TopicTree();
  const id = tree.insert("a");
  tree.remove(id);
  expect(() => tree.remove(id)).toThrow("a filter id is in use");
  expect(() => tree.filterOf(7 as FilterId)).toThrow("a filter id is in use");
  expect(() => tree.insert("")).toThrow("at least one character");
});

test("a filter and the same with # are two, and both match the parent", () => {
  const tree = new TopicTree();
  const plain = tree.insert("a");
  const hash = tree.insert("a/#");
  expect(matchSorted(tree, "a")).toEqual([plain, hash]);
  tree.remove(plain);
  expect(tree.nodeCount).toBe(1);
  expect(matchSorted(tree, "a")).toEqual([hash]);
  tree.remove(hash);
  expect(tree.nodeCount).toBe(0);
});

test("the # at the root outlives the last node", () => {
  const tree = new TopicTree();
  const all = tree.insert("#");
  const ids: FilterId[] = [];
  for (let i = 0; i < 300; i++) ids.push(tree.insert(`x/${i}/+`));
  for (const id of ids) tree.remove(id);
  expect(tree.nodeCount).toBe(0);
  expect(matchSorted(tree, "x/1/y")).toEqual([all]);
});

test("a topic that carries wildcards, were one to get here, reports no filter twice", () => {
  const tree = new TopicTree();
  const id = tree.insert("a/+");
  expect(matchSorted(tree, "a/+")).toEqual([id]);
});

test("a long level does not keep the filter alive that brought it, and stays findable", () => {
  const tree = new TopicTree();
  const level = "a-level-longer-than-eight-characters-水";
  const first = tree.insert(`${"x/".repeat(1000)}${level}`);
  const lone = tree.insert("\ud800-a lone surrogate/x");
  const second = tree.insert(`y/${level}`);
  tree.remove(first);
  expect(matchSorted(tree, `y/${level}`)).toEqual([second]);
  expect(tree.filterOf(second)).toBe(`y/${level}`);
  expect(tree.filterOf(lone)).toBe("\ud800-a lone surrogate/x");
});

function repeated(level: string, levels: number): string {
  return `${`${level}/`.repeat(levels - 1)}${level}`;
}

const DEEP = 32_000; // levels that fit in a Topic Filter's 65,535 bytes

test("32,000 levels neither overflow the stack nor take long", () => {
  const topic = repeated("a", DEEP);
  const deep = [topic, `${topic}/#`, repeated("+", DEEP), `${topic}/+`, "#", "a/#"];
  const tree = new TopicTree();
  const started = performance.now();
  const ids = deep.map((filter) => tree.insert(filter));
  expect(matchSorted(tree, topic)).toEqual([ids[0]!, ids[1]!, ids[2]!, ids[4]!, ids[5]!]);
  expect(matchSorted(tree, `${topic}/`)).toEqual([ids[1]!, ids[3]!, ids[4]!, ids[5]!]);
  expect(matchSorted(tree, "/".repeat(DEEP))).toEqual([ids[4]!]);
  const bytes = encoder.encode(topic);
  for (const filter of deep) {
    expect(compileFilter(filter).matches(bytes, 0, bytes.length)).toBe(filterMatchesTopic(filter, topic));
    expect(tree.filterOf(tree.idOf(filter) as FilterId)).toBe(filter);
  }
  for (const id of ids) tree.remove(id);
  expect(performance.now() - started).toBeLessThan(2000); // some 60 ms; a quadratic walk takes minutes
  expect(tree.nodeCount).toBe(0);
});

test("every mix of + and one literal costs no more than the nodes there are", () => {
  const tree = new TopicTree();
  const depth = 12;
  for (let mix = 0; mix < 1 << depth; mix++) {
    const levels: string[] = [];
    for (let bit = 0; bit < depth; bit++) levels.push((mix >> bit) & 1 ? "+" : "a");
    tree.insert(`${levels.join("/")}/#`);
  }
  expect(tree.nodeCount).toBe((1 << (depth + 1)) - 2);
  const out: number[] = [];
  expect(tree.match(repeated("a", depth + 5), out)).toBe(1 << depth);
  expect(new Set(out).size).toBe(1 << depth);
  out.length = 0;
  expect(tree.match("b/a/a/a", out)).toBe(0);
});
