// LevelNodes: the nodes of the topic tree as integers in one typed array, and their edges in one open-addressed
// hash table of (parent, level) → child. No node has an object, a Map or a string of its own: 24 bytes a node
// and 4 to 11 for its edge, however wide or narrow its parent is.

import { assert } from "../base/assert.ts";

/** The root, above the first level. Never a child, so 0 also means "no node". */
export const ROOT = 0;
export const NO_NODE = 0;
export const NO_FILTER = -1;

// Fields of a node, as int32 each.
const PARENT = 0; // of a free node: the next free node
const LEVEL = 1;
const FILTER = 2; // FilterId of the filter that ends here
const HASH_FILTER = 3; // FilterId of the filter that goes on with "#", which matches this level too
const PLUS_CHILD = 4;
const CHILDREN = 5; // "+" child included
const FIELDS = 6;

const NODES_MIN = 64;
const EDGES_MIN = 128; // a power of two

export class LevelNodes {
  /** Live nodes, without the root. */
  count = 0;
  private nodes = new Int32Array(NODES_MIN * FIELDS);
  private used = 1;
  private firstFree = NO_NODE;
  // Child node numbers at their hashed place, linear probing, at most 3/4 full.
  private edges = new Int32Array(EDGES_MIN);
  private edgeCount = 0;
  private readonly seed: number;

  /** `seed` keeps a peer from choosing names that collide in the edge table. */
  constructor(seed: number) {
    this.seed = seed | 0;
    this.clear(ROOT, NO_NODE, -1);
  }

  /** Bytes of the typed arrays. */
  get bytes(): number {
    return this.nodes.byteLength + this.edges.byteLength;
  }

  parentOf(node: number): number {
    return this.nodes[node * FIELDS + PARENT]!;
  }

  levelOf(node: number): number {
    return this.nodes[node * FIELDS + LEVEL]!;
  }

  filterAt(node: number): number {
    return this.nodes[node * FIELDS + FILTER]!;
  }

  setFilterAt(node: number, id: number): void {
    this.nodes[node * FIELDS + FILTER] = id;
  }

  hashFilterAt(node: number): number {
    return this.nodes[node * FIELDS + HASH_FILTER]!;
  }

  setHashFilterAt(node: number, id: number): void {
    this.nodes[node * FIELDS + HASH_FILTER] = id;
  }

  plusChildOf(node: number): number {
    return this.nodes[node * FIELDS + PLUS_CHILD]!;
  }

  /** True if neither a filter nor a child keeps the node. */
  isEmpty(node: number): boolean {
    const at = node * FIELDS;
    const nodes = this.nodes;
    return (
      nodes[at + CHILDREN] === 0 && nodes[at + FILTER] === NO_FILTER && nodes[at + HASH_FILTER] === NO_FILTER
    );
  }

  /** The child of `parent` for a literal level, or NO_NODE. Expected O(1). */
  childOf(parent: number, level: number): number {
    const edges = this.edges;
    const nodes = this.nodes;
    const mask = edges.length - 1;
    for (let slot = this.hash(parent, level) & mask; ; slot = (slot + 1) & mask) {
      const node = edges[slot]!;
      if (node === NO_NODE) return NO_NODE;
      const at = node * FIELDS;
      if (nodes[at + LEVEL] === level && nodes[at + PARENT] === parent) return node;
    }
  }

  /** Adds a child for a literal level; there is none yet. */
  addChild(parent: number, level: number): number {
    const node = this.allocate(parent, level);
    if ((this.edgeCount + 1) * 4 > this.edges.length * 3) this.growEdges();
    this.place(node);
    this.edgeCount++;
    return node;
  }

  /** Adds the "+" child; there is none yet. */
  addPlusChild(parent: number, level: number): number {
    const node = this.allocate(parent, level);
    this.nodes[parent * FIELDS + PLUS_CHILD] = node;
    return node;
  }

  /** Frees an empty node other than the root. */
  remove(node: number): void {
    assert(node !== ROOT && this.isEmpty(node), "only an empty node is removed");
    const parent = this.parentOf(node) * FIELDS;
    if (this.nodes[parent + PLUS_CHILD] === node) this.nodes[parent + PLUS_CHILD] = NO_NODE;
    else this.removeEdge(node);
    this.nodes[parent + CHILDREN]!--;
    this.nodes[node * FIELDS + PARENT] = this.firstFree;
    this.firstFree = node;
    this.count--;
    if (this.count === 0) this.reset();
  }

  private allocate(parent: number, level: number): number {
    let node = this.firstFree;
    if (node !== NO_NODE) {
      this.firstFree = this.parentOf(node);
    } else {
      if ((this.used + 1) * FIELDS > this.nodes.length) this.growNodes();
      node = this.used++;
    }
    this.clear(node, parent, level);
    this.nodes[parent * FIELDS + CHILDREN]!++;
    this.count++;
    return node;
  }

  private clear(node: number, parent: number, level: number): void {
    const at = node * FIELDS;
    this.nodes[at + PARENT] = parent;
    this.nodes[at + LEVEL] = level;
    this.nodes[at + FILTER] = NO_FILTER;
    this.nodes[at + HASH_FILTER] = NO_FILTER;
    this.nodes[at + PLUS_CHILD] = NO_NODE;
    this.nodes[at + CHILDREN] = 0;
  }

  /** An empty tree gives back what a full one grew to. The root keeps its own "#" filter. */
  private reset(): void {
    this.used = 1;
    this.firstFree = NO_NODE;
    if (this.nodes.length > NODES_MIN * FIELDS) this.nodes = this.nodes.slice(0, NODES_MIN * FIELDS);
    if (this.edges.length > EDGES_MIN) this.edges = new Int32Array(EDGES_MIN);
  }

  private growNodes(): void {
    const capacity = Math.ceil((this.nodes.length / FIELDS) * 1.25);
    const grown = new Int32Array(capacity * FIELDS);
    grown.set(this.nodes);
    this.nodes = grown;
  }

  private growEdges(): void {
    const old = this.edges;
    this.edges = new Int32Array(old.length * 2);
    for (const node of old) if (node !== NO_NODE) this.place(node);
  }

  private place(node: number): void {
    const edges = this.edges;
    const mask = edges.length - 1;
    let slot = this.homeOf(node) & mask;
    while (edges[slot] !== NO_NODE) slot = (slot + 1) & mask;
    edges[slot] = node;
  }

  /** Takes the edge out and moves later ones of its cluster back, so that no probe meets a false end. */
  private removeEdge(node: number): void {
    const edges = this.edges;
    const mask = edges.length - 1;
    let hole = this.homeOf(node) & mask;
    while (edges[hole] !== node) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; edges[slot] !== NO_NODE; slot = (slot + 1) & mask) {
      const distance = (slot - this.homeOf(edges[slot]!)) & mask;
      if (distance < ((slot - hole) & mask)) continue;
      edges[hole] = edges[slot]!;
      hole = slot;
    }
    edges[hole] = NO_NODE;
    this.edgeCount--;
  }

  private homeOf(node: number): number {
    return this.hash(this.parentOf(node), this.levelOf(node));
  }

  private hash(parent: number, level: number): number {
    let h = Math.imul(parent ^ this.seed, 0x9e3779b1) ^ Math.imul(level, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return h ^ (h >>> 13);
  }
}
