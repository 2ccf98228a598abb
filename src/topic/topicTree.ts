// TopicTree: every Topic Filter that somebody subscribes to, by level, so that a Topic Name finds all of its
// filters in one walk. The router asks it only when the match cache misses, and changes it on SUBSCRIBE and
// UNSUBSCRIBE.
//
// Invariants: a node lives while a filter ends at it or below it; "#" is not a node but a mark on its parent,
// which it matches as well; an id is in use from the `insert` that returned it first to its `remove`.
//
// Cost of `match`: the walk goes level by level over the set of nodes that the topic's first levels reach, with
// no recursion, and follows at most two children of each ("+" and the literal one). A node has one path from the
// root, so it is visited at most once: time is at most the topic's length plus min(nodes, 2^levels). The worst
// case is filters that spell every mix of "+" and one literal, such as +/a/+/#: a topic a/a/a/… visits all of
// them, and every node that it visits was paid for by a filter.

import { assert } from "../base/assert.ts";
import type { FilterId } from "../base/brand.ts";
import { FreeIds } from "./freeIds.ts";
import { LevelNodes, NO_FILTER, NO_NODE, ROOT } from "./levelNodes.ts";
import { isPlus, LevelTable, PLUS_LEVEL, UNKNOWN_LEVEL } from "./levelTable.ts";

const DOLLAR = 0x24;
const NOT_IN_USE = -1;
// The walk's two work lists are kept between calls, up to this length each.
const FRONTIER_KEPT_MAX = 4096;

export class TopicTree {
  /** Filters held. */
  count = 0;
  /** Grows by one with each filter that is added or removed: what was cached under another epoch is void. */
  epoch = 0;
  private readonly ids = new FreeIds();
  // By id: node * 2, + 1 if the filter goes on with "#".
  private readonly places: number[] = [];
  private readonly levels: LevelTable;
  private readonly nodes: LevelNodes;
  private frontier: number[] = [];
  private nextFrontier: number[] = [];

  /** `seed` is any number that peers do not know. */
  constructor(seed = 0) {
    this.levels = new LevelTable(seed);
    this.nodes = new LevelNodes(seed);
  }

  /** Highest id ever + 1: the length of an array indexed by FilterId. Never shrinks. */
  get capacity(): number {
    return this.ids.capacity;
  }

  /** Nodes below the root: 0 when no filter is held, other than perhaps "#". */
  get nodeCount(): number {
    return this.nodes.count;
  }

  /** Adds a filter that `parseTopicFilter` accepted. Returns the id it has already, or else the smallest free one. */
  insert(filter: string): FilterId {
    assert(filter.length > 0, "a Topic Filter has at least one character");
    const hash = endsWithHash(filter);
    const pathEnd = hash ? filter.length - 2 : filter.length; // -1 for "#": no levels at all
    let node = ROOT;
    for (let at = 0; at <= pathEnd; ) {
      const end = levelEnd(filter, at, pathEnd);
      node = this.childForInsert(node, filter, at, end);
      at = end + 1;
    }
    const present = hash ? this.nodes.hashFilterAt(node) : this.nodes.filterAt(node);
    if (present !== NO_FILTER) return present as FilterId;
    const id = this.ids.take();
    if (hash) this.nodes.setHashFilterAt(node, id);
    else this.nodes.setFilterAt(node, id);
    this.places[id] = node * 2 + (hash ? 1 : 0);
    this.count++;
    this.epoch++;
    return id as FilterId;
  }

  /** Removes the filter of an id in use, and every node that only it kept. The id is free again. */
  remove(id: FilterId): void {
    const place = this.placeOf(id);
    let node = place >>> 1;
    if ((place & 1) === 1) this.nodes.setHashFilterAt(node, NO_FILTER);
    else this.nodes.setFilterAt(node, NO_FILTER);
    while (node !== ROOT && this.nodes.isEmpty(node)) {
      const parent = this.nodes.parentOf(node);
      this.levels.release(this.nodes.levelOf(node));
      this.nodes.remove(node);
      node = parent;
    }
    this.places[id] = NOT_IN_USE;
    this.ids.give(id);
    this.count--;
    this.epoch++;
  }

  /** An id that no filter has, from the same numbers, until it is given back: for what stands beside filters. */
  takeId(): FilterId {
    const id = this.ids.take();
    this.places[id] = NOT_IN_USE;
    return id as FilterId;
  }

  giveId(id: FilterId): void {
    assert(this.places[id] === NOT_IN_USE, "an id that a filter has ends with it");
    this.ids.give(id);
  }

  /** The id of `filter`, or -1 if nobody subscribes to it. */
  idOf(filter: string): FilterId | -1 {
    const hash = endsWithHash(filter);
    const pathEnd = hash ? filter.length - 2 : filter.length;
    let node = ROOT;
    for (let at = 0; at <= pathEnd; ) {
      const end = levelEnd(filter, at, pathEnd);
      node = this.childFor(node, filter, at, end);
      if (node === NO_NODE) return -1;
      at = end + 1;
    }
    return (hash ? this.nodes.hashFilterAt(node) : this.nodes.filterAt(node)) as FilterId | -1;
  }

  /** The text of an id in use, spelled anew from its levels: the tree keeps no copy. */
  filterOf(id: FilterId): string {
    const place = this.placeOf(id);
    const parts: string[] = (place & 1) === 1 ? ["#"] : [];
    for (let node = place >>> 1; node !== ROOT; node = this.nodes.parentOf(node)) {
      parts.push(this.levels.textOf(this.nodes.levelOf(node)));
    }
    return parts.reverse().join("/");
  }

  /** Appends the id of every filter that matches `topic`, each once, in no order. Returns how many. */
  match(topic: string, out: number[]): number {
    const before = out.length;
    let frontier = this.frontier;
    let next = this.nextFrontier;
    frontier[0] = ROOT;
    let live = 1;
    let hidden = topic.charCodeAt(0) === DOLLAR; // [MQTT-4.7.2-1] wildcards do not match a first level "$…"
    for (let at = 0; at <= topic.length && live > 0; hidden = false) {
      const end = levelEnd(topic, at, topic.length);
      live = this.step(frontier, live, this.levels.find(topic, at, end), hidden, next, out);
      const walked = frontier;
      frontier = next;
      next = walked;
      at = end + 1;
    }
    for (let i = 0; i < live; i++) {
      const node = frontier[i]!;
      const exact = this.nodes.filterAt(node);
      if (exact !== NO_FILTER) out.push(exact);
      const hash = this.nodes.hashFilterAt(node); // "a/#" matches "a"
      if (hash !== NO_FILTER) out.push(hash);
    }
    this.keep(frontier, next);
    return out.length - before;
  }

  /** Walks one level: reports the "#" of each node in `frontier` and lists its children that match in `next`. */
  private step(
    frontier: number[],
    live: number,
    level: number,
    hidden: boolean,
    next: number[],
    out: number[],
  ): number {
    const nodes = this.nodes;
    let found = 0;
    for (let i = 0; i < live; i++) {
      const node = frontier[i]!;
      const exact = level === UNKNOWN_LEVEL ? NO_NODE : nodes.childOf(node, level);
      if (exact !== NO_NODE) next[found++] = exact;
      if (hidden) continue;
      const plus = nodes.plusChildOf(node);
      if (plus !== NO_NODE) next[found++] = plus;
      const hash = nodes.hashFilterAt(node);
      if (hash !== NO_FILTER) out.push(hash);
    }
    return found;
  }

  private keep(frontier: number[], next: number[]): void {
    this.frontier = frontier.length > FRONTIER_KEPT_MAX ? [] : frontier;
    this.nextFrontier = next.length > FRONTIER_KEPT_MAX ? [] : next;
  }

  private childFor(node: number, filter: string, at: number, end: number): number {
    if (isPlus(filter, at, end)) return this.nodes.plusChildOf(node);
    const level = this.levels.find(filter, at, end);
    return level === UNKNOWN_LEVEL ? NO_NODE : this.nodes.childOf(node, level);
  }

  private childForInsert(node: number, filter: string, at: number, end: number): number {
    const present = this.childFor(node, filter, at, end);
    if (present !== NO_NODE) return present;
    const level = this.levels.acquire(filter, at, end);
    return level === PLUS_LEVEL ? this.nodes.addPlusChild(node, level) : this.nodes.addChild(node, level);
  }

  private placeOf(id: number): number {
    const place = this.places[id] ?? NOT_IN_USE;
    assert(place !== NOT_IN_USE, "a filter id is in use");
    return place;
  }
}

function endsWithHash(filter: string): boolean {
  return filter === "#" || filter.endsWith("/#");
}

/** Where the level that starts at `at` ends: the next "/" or `end`. */
function levelEnd(text: string, at: number, end: number): number {
  const slash = text.indexOf("/", at);
  return slash === -1 || slash > end ? end : slash;
}
