// MatchCache: topic bytes → a number that the router interned for them (what the topic matches and may do). It is
// asked once per message that does not repeat its connection's last topic, so it neither allocates nor decodes.
// The router empties it when the topic tree's epoch moves on.
//
// Shape: an open-addressed table of `entries` places. `tags` holds each place's 32-bit hash, 0 for an empty one,
// so a probe touches one or two cache lines; the place's slot holds length, value and the key. A key of 8 bytes or
// more is kept, and compared, as 64-bit floats, the last of which overlaps its predecessor when the length is no
// multiple of eight: half the loads and bounds checks of 32-bit words, a quarter of a hit's time. Floats compare as
// their bytes do except for zeros and NaN, and no eight bytes of valid UTF-8 without U+0000 read as either; `insert`
// turns such keys away, so that a hit is exact even for bytes that nobody has validated yet.
//
// Bounds: entries and slot size are fixed at construction; a key longer than a slot is not cached. A key sits in
// one of the PROBES places from its hash's home on. When all of those are taken, `insert` replaces a pseudo-random one
// of them: cheaper than recency, and topics that come round and round in a set larger than the cache keep the
// share of hits that fits, where replacing the oldest would leave none. Places empty only all at once, so a probe
// may stop at the first empty one. Equal hashes cost a comparison, never a wrong answer.
//
// A cache with owners holds one value per topic and owner: what one publisher may do says nothing of another.

import { assert } from "../base/assert.ts";

/** The cache does not know the topic. */
export const CACHE_MISS = -1;
/** Values are 0..VALUE_MAX. */
export const VALUE_MAX = 0x7fffffff;

const PROBES = 8;
const ENTRIES_MAX = 1 << 20;
const KEY_BYTES_MAX = 65_535;

const LENGTH = 0;
const VALUE = 1;
const KEY = 2; // 8-byte aligned, since the stride is even

export interface MatchCacheLimits {
  /** Topics held, rounded up to a power of two, 8..2^20. */
  readonly entries: number;
  /** Longest topic that is cached, in bytes, 1..65,535, rounded up to 8. 120 makes a slot of two cache lines. */
  readonly keyBytesMax: number;
  /** Topics have owners: numbers from 1 on. Eight bytes more per entry. */
  readonly owned?: boolean;
}

/** Whose the topics of a cache without owners are. */
const NOBODY = 0;

export class MatchCache {
  readonly entries: number;
  readonly keyBytesMax: number;
  /** Topics held now. */
  count = 0;
  /** Topics replaced by others since construction. */
  evictions = 0;
  private readonly tags: Int32Array;
  private readonly slots: Int32Array;
  private readonly wide: Float64Array; // the same bytes as `slots`
  private readonly stride: number;
  /** By place; null in a cache without owners. */
  private readonly owners: Float64Array | null;
  private random: number;

  /** `seed` is any number that peers do not know: it decides which topics collide and which one is replaced. */
  constructor(limits: MatchCacheLimits, seed = 0) {
    assert(limits.entries >= PROBES && limits.entries <= ENTRIES_MAX, "a match cache has 8..2^20 entries");
    assert(limits.keyBytesMax >= 1 && limits.keyBytesMax <= KEY_BYTES_MAX, "a topic has 1..65,535 bytes");
    this.entries = 1 << (32 - Math.clz32(limits.entries - 1));
    this.stride = KEY + 2 * Math.ceil(limits.keyBytesMax / 8);
    this.keyBytesMax = (this.stride - KEY) * 4;
    this.tags = new Int32Array(this.entries);
    this.slots = new Int32Array(this.entries * this.stride);
    this.wide = new Float64Array(this.slots.buffer);
    this.owners = limits.owned === true ? new Float64Array(this.entries) : null;
    this.random = seed | 0;
  }

  /** Bytes that the cache holds, whatever is in it. */
  get bytes(): number {
    return this.tags.byteLength + this.slots.byteLength + (this.owners?.byteLength ?? 0);
  }

  /** The owner's value of the topic in `view[at..at+length)`, or CACHE_MISS. Reads only, allocates nothing. @hot */
  lookup(view: DataView, at: number, length: number, owner = NOBODY): number {
    if (length > this.keyBytesMax || length === 0) return CACHE_MISS;
    const tags = this.tags;
    const owners = this.owners;
    const mask = tags.length - 1;
    const tag = owners === null ? hashOf(view, at, length) : ownTag(hashOf(view, at, length), owner);
    for (let probe = 0; probe < PROBES; probe++) {
      const place = (tag + probe) & mask;
      const found = tags[place]!;
      if (found === tag) {
        const slot = place * this.stride;
        const isOwn = owners === null || owners[place] === owner;
        if (isOwn && this.holds(slot, view, at, length)) return this.slots[slot + VALUE]!;
      } else if (found === 0) return CACHE_MISS;
    }
    return CACHE_MISS;
  }

  /** Remembers `value` for a topic, in place of what was known for it. One longer than a slot is ignored. */
  insert(view: DataView, at: number, length: number, value: number, owner = NOBODY): void {
    assert(value >= 0 && value <= VALUE_MAX, "a cached value is 0..2^31-1");
    if (length > this.keyBytesMax || length === 0 || !comparesExactly(view, at, length)) return;
    const hash = hashOf(view, at, length);
    const tag = this.owners === null ? hash : ownTag(hash, owner);
    const place = this.placeFor(tag, owner, view, at, length);
    const slot = place * this.stride;
    this.tags[place] = tag;
    if (this.owners !== null) this.owners[place] = owner;
    this.slots[slot + LENGTH] = length;
    this.slots[slot + VALUE] = value;
    this.store(slot + KEY, view, at, length);
  }

  /** Forgets everything. Costs a fill of 4 bytes per entry. */
  clear(): void {
    if (this.count === 0) return;
    this.tags.fill(0);
    this.count = 0;
  }

  /** Where the key is, or else an empty place, or else a victim's. */
  private placeFor(tag: number, owner: number, view: DataView, at: number, length: number): number {
    const mask = this.entries - 1;
    for (let probe = 0; probe < PROBES; probe++) {
      const place = (tag + probe) & mask;
      const found = this.tags[place]!;
      if (found === 0) {
        this.count++;
        return place;
      }
      const isOwn = this.owners === null || this.owners[place] === owner;
      if (found === tag && isOwn && this.holds(place * this.stride, view, at, length)) return place;
    }
    this.evictions++;
    this.random = (Math.imul(this.random, 1664525) + 1013904223) | 0;
    return (tag + (this.random >>> 29)) & mask; // the top three bits: 0..PROBES-1
  }

  /** True if the slot's key is `view[at..at+length)`. @hot */
  private holds(slot: number, view: DataView, at: number, length: number): boolean {
    const slots = this.slots;
    if (slots[slot + LENGTH] !== length) return false;
    if (length < 8) {
      // Written out here: with a call, the engine compiled the path of longer keys 5 ns slower.
      const word = slot + KEY;
      if (length < 4) return slots[word] === shortWord(view, at, length);
      const end = at + length - 4;
      return slots[word] === view.getInt32(at, true) && slots[word + 1] === view.getInt32(end, true);
    }
    const wide = this.wide;
    const last = at + length - 8;
    let word = (slot + KEY) >> 1;
    for (let i = at; i < last; i += 8) {
      if (wide[word++] !== view.getFloat64(i, true)) return false;
    }
    return wide[word] === view.getFloat64(last, true);
  }

  private store(word: number, view: DataView, at: number, length: number): void {
    const slots = this.slots;
    if (length < 4) {
      slots[word] = shortWord(view, at, length);
    } else if (length < 8) {
      slots[word] = view.getInt32(at, true);
      slots[word + 1] = view.getInt32(at + length - 4, true);
    } else {
      const last = at + length - 8;
      let to = word >> 1;
      for (let i = at; i < last; i += 8) this.wide[to++] = view.getFloat64(i, true);
      this.wide[to] = view.getFloat64(last, true);
    }
  }
}

/** False if some eight bytes that `store` keeps as one float read as a zero or NaN. */
function comparesExactly(view: DataView, at: number, length: number): boolean {
  if (length < 8) return true;
  const last = at + length - 8;
  for (let i = at; i < last; i += 8) {
    const word = view.getFloat64(i, true);
    if (word === 0 || Number.isNaN(word)) return false;
  }
  const word = view.getFloat64(last, true);
  return word !== 0 && !Number.isNaN(word);
}

/** Hash of a key of at least one byte, never 0. Per word the chain is a rotate and an add; loads overlap. */
function hashOf(view: DataView, at: number, length: number): number {
  let h = length;
  if (length < 4) {
    h ^= shortWord(view, at, length) << 2;
  } else {
    const last = at + length - 4;
    for (let i = at; i < last; i += 4) {
      h = (((h << 13) | (h >>> 19)) + Math.imul(view.getInt32(i, true), 0x2c1b3c6d)) | 0;
    }
    h = (((h << 13) | (h >>> 19)) + Math.imul(view.getInt32(last, true), 0x2c1b3c6d)) | 0;
  }
  h = Math.imul(h ^ (h >>> 15), 0x9e3779b1);
  h ^= h >>> 16;
  return h === 0 ? 1 : h;
}

/** A topic's hash as its owner's, never 0. */
function ownTag(hash: number, owner: number): number {
  const h = Math.imul(hash ^ (owner | 0), 0x85ebca6b);
  const tag = h ^ (h >>> 15);
  return tag === 0 ? 1 : tag;
}

/** One to three bytes as a word; the length tells them apart. */
function shortWord(view: DataView, at: number, length: number): number {
  let word = view.getUint8(at);
  if (length > 1) word |= view.getUint8(at + 1) << 8;
  if (length > 2) word |= view.getUint8(at + 2) << 16;
  return word;
}
