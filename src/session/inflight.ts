// In flight: QoS 1 and 2 messages sent to a client and not yet settled. The Packet Identifier is the index: 64
// neighbouring identifiers share a block, leased from one slab for all sessions while any of them is in use. @hot
//
//   free ─take→ Qos1 ─PUBACK→ free      free ─take→ Qos2 ─PUBREC→ Released ─PUBCOMP→ free

import { assert } from "../base/assert.ts";
import type { Offset } from "../base/brand.ts";
import type { Budget } from "../base/budget.ts";
import type { RecordMarks } from "../log/recordMarks.ts";

export const InflightState = { Free: 0, Qos1: 1, Qos2: 2, Released: 3 } as const;

const BLOCK_BITS = 6;
export const BLOCK = 1 << BLOCK_BITS;
/** Offset, state, origin per entry; key, next, used per block. */
const BLOCK_COST = BLOCK * (8 + 1 + 4) + 2 + 4 + 1;
const GROW_BLOCKS = 256;
const NONE = -1;

export class InflightSlab {
  offsets = new Float64Array(0);
  states = new Uint8Array(0);
  /** Number of the share group that the message came from, 0 for the session's own. */
  origins = new Uint32Array(0);
  keys = new Uint16Array(0);
  next = new Int32Array(0);
  used = new Uint8Array(0);
  private freeHead = NONE;
  private readonly budget: Budget;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /** Leases an empty block, or -1 when the budget is used up: the reader waits. */
  lease(key: number): number {
    if (this.freeHead === NONE && !this.grow()) return NONE;
    const block = this.freeHead;
    this.freeHead = this.next[block]!;
    this.next[block] = NONE;
    this.keys[block] = key;
    this.used[block] = 0;
    return block;
  }

  giveBack(block: number): void {
    assert(this.used[block] === 0, "only an empty block is given back");
    this.next[block] = this.freeHead;
    this.freeHead = block;
  }

  private grow(): boolean {
    const blocks = this.used.length;
    let more = Math.max(GROW_BLOCKS, blocks >> 1);
    if (!this.budget.take(more * BLOCK_COST)) {
      more = 16;
      if (!this.budget.take(more * BLOCK_COST)) return false;
    }
    const total = blocks + more;
    this.offsets = copied(this.offsets, new Float64Array(total * BLOCK));
    this.states = copied(this.states, new Uint8Array(total * BLOCK));
    this.origins = copied(this.origins, new Uint32Array(total * BLOCK));
    this.keys = copied(this.keys, new Uint16Array(total));
    this.next = copied(this.next, new Int32Array(total));
    this.used = copied(this.used, new Uint8Array(total));
    for (let block = total - 1; block >= blocks; block--) {
      this.next[block] = this.freeHead;
      this.freeHead = block;
    }
    return true;
  }
}

function copied<T extends Float64Array | Uint8Array | Uint32Array | Uint16Array | Int32Array>(
  old: T,
  fresh: T,
): T {
  fresh.set(old);
  return fresh;
}

export class Inflight {
  private readonly slab: InflightSlab;
  /** Blocks in use, oldest lease first. */
  private head = NONE;
  private tail = NONE;
  /** Next identifier to try, 1..65535. */
  private nextIdentifier = 1;
  /** Messages whose identifier is taken. */
  count = 0;

  constructor(slab: InflightSlab) {
    this.slab = slab;
  }

  private find(key: number): number {
    const { keys, next } = this.slab;
    let block = this.head;
    while (block !== NONE && keys[block] !== key) block = next[block]!;
    return block;
  }

  /** Takes a free identifier for the message at `offset`; 0 when the slab's budget is used up. */
  take(offset: Offset, state: number, origin: number): number {
    const slab = this.slab;
    let identifier = this.nextIdentifier;
    let block = this.tail;
    for (;;) {
      const key = identifier >>> BLOCK_BITS;
      if (block === NONE || slab.keys[block] !== key) {
        block = this.find(key);
        if (block === NONE) {
          block = slab.lease(key);
          if (block === NONE) return 0;
          if (this.tail === NONE) this.head = block;
          else slab.next[this.tail] = block;
          this.tail = block;
        }
      }
      const at = block * BLOCK + (identifier & (BLOCK - 1));
      const after = identifier === 65_535 ? 1 : identifier + 1;
      if (slab.states[at] === InflightState.Free) {
        slab.states[at] = state;
        slab.offsets[at] = offset;
        slab.origins[at] = origin;
        slab.used[block] = slab.used[block]! + 1;
        this.count++;
        this.nextIdentifier = after;
        return identifier;
      }
      identifier = after; // [MQTT-2.2.1-3]: never one that is in use
    }
  }

  /** Gives back the newest identifier that take() returned: its frame was not written. */
  untake(identifier: number): void {
    this.settle(identifier);
    this.nextIdentifier = identifier;
  }

  stateOf(identifier: number): number {
    const block = this.find(identifier >>> BLOCK_BITS);
    return block === NONE
      ? InflightState.Free
      : this.slab.states[block * BLOCK + (identifier & (BLOCK - 1))]!;
  }

  originOf(identifier: number): number {
    const block = this.find(identifier >>> BLOCK_BITS);
    return block === NONE ? 0 : this.slab.origins[block * BLOCK + (identifier & (BLOCK - 1))]!;
  }

  /** PUBREC came: the message itself is settled, the identifier is not. */
  release(identifier: number): void {
    const block = this.find(identifier >>> BLOCK_BITS);
    assert(block !== NONE, "a released identifier is in flight");
    this.slab.states[block * BLOCK + (identifier & (BLOCK - 1))] = InflightState.Released;
  }

  /** Frees the identifier. Returns the state it was in, InflightState.Free if it was not in flight. */
  settle(identifier: number): number {
    const slab = this.slab;
    const key = identifier >>> BLOCK_BITS;
    let previous = NONE;
    let block = this.head;
    while (block !== NONE && slab.keys[block] !== key) {
      previous = block;
      block = slab.next[block]!;
    }
    if (block === NONE) return InflightState.Free;
    const at = block * BLOCK + (identifier & (BLOCK - 1));
    const state = slab.states[at]!;
    if (state === InflightState.Free) return state;
    slab.states[at] = InflightState.Free;
    this.count--;
    const used = slab.used[block]! - 1;
    slab.used[block] = used;
    if (used === 0 && key !== this.nextIdentifier >>> BLOCK_BITS) this.unlink(block, previous);
    return state;
  }

  /** Gives back the block that is kept for the next identifiers, if nothing is in flight. */
  trim(): void {
    if (this.count === 0) this.clear();
  }

  private unlink(block: number, previous: number): void {
    const next = this.slab.next[block]!;
    if (previous === NONE) this.head = next;
    else this.slab.next[previous] = next;
    if (this.tail === block) this.tail = previous;
    this.slab.giveBack(block);
  }

  /** Identifiers in flight, in the order in which they were sent. */
  ordered(): InflightMessage[] {
    const slab = this.slab;
    const list: InflightMessage[] = [];
    for (let block = this.head; block !== NONE; block = slab.next[block]!) {
      const base = slab.keys[block]! << BLOCK_BITS;
      for (let i = 0; i < BLOCK; i++) {
        const at = block * BLOCK + i;
        const state = slab.states[at]!;
        if (state === InflightState.Free) continue;
        const offset = slab.offsets[at]! as Offset;
        list.push({ identifier: base + i, offset, state, origin: slab.origins[at]! });
      }
    }
    const distance = (m: InflightMessage) => (m.identifier - this.nextIdentifier + 65_535) % 65_535;
    return list.sort((a, b) => a.offset - b.offset || distance(a) - distance(b));
  }

  /** Marks the messages whose bytes are still needed. */
  mark(marks: RecordMarks): void {
    const slab = this.slab;
    const { from, to } = marks;
    for (let block = this.head; block !== NONE; block = slab.next[block]!) {
      for (let at = block * BLOCK; at < (block + 1) * BLOCK; at++) {
        const offset = slab.offsets[at]! as Offset;
        if (offset < from || offset >= to) continue;
        const state = slab.states[at]!;
        if (state === InflightState.Qos1 || state === InflightState.Qos2) marks.mark(offset);
      }
    }
  }

  /** The smallest Offset whose bytes are still needed, or Infinity. */
  oldestOffset(): number {
    const slab = this.slab;
    let oldest = Number.POSITIVE_INFINITY;
    for (let block = this.head; block !== NONE; block = slab.next[block]!) {
      if (slab.used[block] === 0) continue;
      for (let at = block * BLOCK; at < (block + 1) * BLOCK; at++) {
        const state = slab.states[at]!;
        if (state === InflightState.Free || state === InflightState.Released) continue;
        if (slab.offsets[at]! < oldest) oldest = slab.offsets[at]!;
      }
    }
    return oldest;
  }

  /** Frees everything: the session ends. */
  clear(): void {
    const slab = this.slab;
    while (this.head !== NONE) {
      const block = this.head;
      this.head = slab.next[block]!;
      slab.states.fill(InflightState.Free, block * BLOCK, (block + 1) * BLOCK);
      slab.used[block] = 0;
      slab.giveBack(block);
    }
    this.tail = NONE;
    this.count = 0;
  }
}

export interface InflightMessage {
  readonly identifier: number;
  readonly offset: Offset;
  readonly state: number;
  readonly origin: number;
}
