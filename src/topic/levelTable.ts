// LevelTable: each distinct topic level text once, as a small integer counted by the nodes that use it. The tree
// compares levels as integers; a topic level that no filter names is unknown here and can only meet wildcards.
//
// A chained hash table over spans of a longer text, so that finding a level cuts no string out of its topic. (The
// engine's Map would need the string, and spends 2 to 15 µs on a new key that is soon deleted again.)

import { assert } from "../base/assert.ts";

/** No filter names this level. */
export const UNKNOWN_LEVEL = -1;
/** The level "+". It is in no chain: a topic cannot reach it by spelling. */
export const PLUS_LEVEL = 0;

const END_OF_CHAIN = 0; // PLUS_LEVEL's id, which no chain holds
const CHAINS_MIN = 64; // a power of two
const PLUS = 0x2b;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class LevelTable {
  /** Distinct levels held, "+" not counted. */
  count = 0;
  private chains = new Int32Array(CHAINS_MIN);
  // By level id.
  private readonly texts: string[] = ["+"];
  private readonly hashes: number[] = [0];
  private readonly uses: number[] = [1];
  private readonly nexts: number[] = [END_OF_CHAIN];
  private readonly free: number[] = [];
  private readonly seed: number;

  /** `seed` keeps a peer from choosing levels that share a chain. */
  constructor(seed: number) {
    this.seed = seed | 0;
  }

  /** The id of the level `text[at..end)`, or UNKNOWN_LEVEL. Allocates nothing. */
  find(text: string, at: number, end: number): number {
    return this.findHashed(this.hash(text, at, end), text, at, end);
  }

  /** The id of the level `text[at..end)`, for one more user, who gives it back with `release`. */
  acquire(text: string, at: number, end: number): number {
    if (isPlus(text, at, end)) return PLUS_LEVEL;
    const hash = this.hash(text, at, end);
    const known = this.findHashed(hash, text, at, end);
    if (known !== UNKNOWN_LEVEL) {
      this.uses[known]!++;
      return known;
    }
    if (this.count === this.chains.length) this.growChains();
    const id = this.free.pop() ?? this.texts.length;
    this.texts[id] = ownCopy(text.slice(at, end));
    this.hashes[id] = hash;
    this.uses[id] = 1;
    this.link(id);
    this.count++;
    return id;
  }

  release(id: number): void {
    if (id === PLUS_LEVEL) return;
    const left = --this.uses[id]!;
    assert(left >= 0, "a level is released once for each acquire");
    if (left > 0) return;
    this.unlink(id);
    this.texts[id] = "";
    this.free.push(id);
    this.count--;
    if (this.count === 0) this.reset();
  }

  textOf(id: number): string {
    return this.texts[id]!;
  }

  private findHashed(hash: number, text: string, at: number, end: number): number {
    let id = this.chains[hash & (this.chains.length - 1)]!;
    while (id !== END_OF_CHAIN) {
      if (this.hashes[id] === hash && sameText(this.texts[id]!, text, at, end)) return id;
      id = this.nexts[id]!;
    }
    return UNKNOWN_LEVEL;
  }

  private hash(text: string, at: number, end: number): number {
    let h = this.seed;
    for (let i = at; i < end; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return h ^ (h >>> 13);
  }

  private link(id: number): void {
    const chain = this.hashes[id]! & (this.chains.length - 1);
    this.nexts[id] = this.chains[chain]!;
    this.chains[chain] = id;
  }

  private unlink(id: number): void {
    const chain = this.hashes[id]! & (this.chains.length - 1);
    let before = this.chains[chain]!;
    if (before === id) {
      this.chains[chain] = this.nexts[id]!;
      return;
    }
    while (this.nexts[before] !== id) before = this.nexts[before]!;
    this.nexts[before] = this.nexts[id]!;
  }

  private growChains(): void {
    const old = this.chains;
    this.chains = new Int32Array(old.length * 2);
    for (let head of old) {
      while (head !== END_OF_CHAIN) {
        const next = this.nexts[head]!;
        this.link(head);
        head = next;
      }
    }
  }

  /** An empty table gives back what a full one grew to; only "+" stays. */
  private reset(): void {
    if (this.chains.length > CHAINS_MIN) this.chains = new Int32Array(CHAINS_MIN);
    this.texts.length = 1;
    this.hashes.length = 1;
    this.uses.length = 1;
    this.nexts.length = 1;
    this.free.length = 0;
  }
}

/** True if the level `text[at..end)` is "+". */
export function isPlus(text: string, at: number, end: number): boolean {
  return end - at === 1 && text.charCodeAt(at) === PLUS;
}

function sameText(level: string, text: string, at: number, end: number): boolean {
  if (level.length !== end - at) return false;
  for (let i = 0; i < level.length; i++) if (level.charCodeAt(i) !== text.charCodeAt(at + i)) return false;
  return true;
}

/** `text` with characters of its own: what `slice` returns would keep the whole filter alive. */
function ownCopy(text: string): string {
  const copy = decoder.decode(encoder.encode(text));
  return copy === text ? copy : text; // a lone surrogate does not survive the trip: keep the original
}
