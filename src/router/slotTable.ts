// SlotTable: finds slots by the hash of what they hold, in two typed arrays: open addressing, linear probing. Who asks
// compares what the slots hold. The hash is seeded, so that nobody can choose topics that meet in it. @hot

const PLACES_MIN = 1024;
const FREE = -1;
/** Bytes of a slot's hash, and of its places: three for two slots at least, six at most. */
export const TABLE_COST = 4 + 3 * 4;

export class SlotTable {
  private places = new Int32Array(PLACES_MIN).fill(FREE);
  /** Per slot. */
  private hashes = new Uint32Array(0);
  private readonly seed: number;
  count = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  hash(bytes: Uint8Array, at: number, length: number): number {
    let h = this.seed;
    for (let i = at; i < at + length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 13)) >>> 0;
  }

  /** Where slots with this hash begin: those at it and behind it, up to a free place, may have it. */
  first(hash: number): number {
    return hash & (this.places.length - 1);
  }

  next(place: number): number {
    return (place + 1) & (this.places.length - 1);
  }

  /** The slot at the place; -1 when it is free. */
  at(place: number): number {
    return this.places[place]!;
  }

  hasHash(slot: number, hash: number): boolean {
    return this.hashes[slot] === hash;
  }

  /** Room for slots 0..slots-1. */
  grow(slots: number): void {
    const hashes = new Uint32Array(slots);
    hashes.set(this.hashes);
    this.hashes = hashes;
    if (2 * this.places.length >= 3 * slots) return;
    const old = this.places;
    let length = old.length;
    while (2 * length < 3 * slots) length *= 2;
    this.places = new Int32Array(length).fill(FREE);
    for (const slot of old) if (slot !== FREE) this.enter(slot);
  }

  add(slot: number, hash: number): void {
    this.hashes[slot] = hash;
    this.enter(slot);
    this.count++;
  }

  /** Takes the slot out; those that had to go behind it move up. */
  remove(slot: number): void {
    let hole = this.first(this.hashes[slot]!);
    while (this.places[hole] !== slot) hole = this.next(hole);
    for (let place = this.next(hole); this.places[place] !== FREE; place = this.next(place)) {
      const other = this.places[place]!;
      const wanted = this.first(this.hashes[other]!);
      const mask = this.places.length - 1;
      if (((place - wanted) & mask) < ((place - hole) & mask)) continue; // its place lies behind the hole
      this.places[hole] = other;
      hole = place;
    }
    this.places[hole] = FREE;
    this.count--;
  }

  private enter(slot: number): void {
    let place = this.first(this.hashes[slot]!);
    while (this.places[place] !== FREE) place = this.next(place);
    this.places[place] = slot;
  }
}
