// Retained messages: the last RETAIN message of each topic, §3.3.1.3, in segments of their own, so that they never
// pin the live log. A segment is a row of [slot, 4 bytes][canonical frame]; a record is live while its slot points at
// it. When more than half of the closed segments' bytes are dead, the deadest is rewritten.
//
// A new subscription gets the matching messages through its session's inbox (router/replay): this store only holds.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { bodyAt, frameBytes as lengthOfFrame, putVarint, varintBytes } from "../packet/frame.ts";
import type { RetainedOwner } from "../session/session.ts";
import type { PublishFrame } from "./publishFrame.ts";
import { SlotTable, TABLE_COST } from "./slotTable.ts";

const SEGMENT_BYTES = 256 * 1024;
const SLOT_BYTES = 4;
/** What the arrays and the table have for each slot, used or not. */
export const SLOT_COST = 4 + 4 + 4 + 4 + 4 + 4 + 8 + 8 + 8 + TABLE_COST;
/** Slots that are added at one time, at least; fewer when the budget is nearly used up. */
const GROW = 256;
const GROW_LEAST = 16;
const FREE = 0xffff_ffff;

/** What there is to store: a Topic Name, property bytes with their length (none before MQTT 5), a payload. */
export type RetainedPublish = Pick<
  PublishFrame,
  "topic" | "topicAt" | "topicBytes" | "chunk" | "propertiesAt" | "payload" | "end" | "aliasAt" | "spans"
>;

interface RetainedSegment {
  readonly bytes: Buffer;
  used: number;
  live: number;
}

export class Retained {
  private readonly byTopic: SlotTable;
  private readonly segments: (RetainedSegment | null)[] = [];
  private active = -1;
  private readonly freeSlots: number[] = [];
  // Per slot.
  private segmentOf = new Uint32Array(0);
  private byteAt = new Uint32Array(0);
  private frameBytes = new Uint32Array(0);
  private classOf = new Uint32Array(0);
  private timeOf = new Uint32Array(0);
  private publisherOf = new Uint32Array(0);
  /** Orders stores: larger is later. */
  private storedAt = new Float64Array(0);
  private readonly ownerOf: (RetainedOwner | null)[] = [];
  /** Those that have stored something. */
  private readonly owners = new Map<string, RetainedOwner>();
  /** Slots ever used: a replay looks at 0..slots. */
  slots = 0;
  /** Stores so far; a subscription that begins now gets those before it. */
  clockwork = 0;
  private readonly budget: Budget;
  private readonly clock: Clock;

  constructor(budget: Budget, clock: Clock, seed: number) {
    this.byTopic = new SlotTable(seed);
    this.budget = budget;
    this.clock = clock;
  }

  get count(): number {
    return this.byTopic.count;
  }

  /** Counts what clients with this Client Identifier have stored, which may be `countMax` messages. */
  owner(clientIdentifier: string, countMax: number): RetainedOwner {
    return this.owners.get(clientIdentifier) ?? { clientIdentifier, countMax, count: 0 };
  }

  /**
   * Stores, replaces or (payload empty) clears what a RETAIN PUBLISH of the session `number` says. False when the
   * budget or the owner's share is used up: nothing changed, the publish is refused. [MQTT-3.3.1-5, -6, -7]
   */
  publish(
    number: number,
    message: RetainedPublish,
    runClass: number,
    owner: RetainedOwner | null = null,
  ): boolean {
    const { topic, topicAt, topicBytes, chunk, propertiesAt, payload, end, aliasAt, spans } = message;
    const hash = this.byTopic.hash(topic, topicAt, topicBytes);
    const known = this.find(hash, topic, topicAt, topicBytes);
    if (payload === end) {
      this.free(known);
      return true;
    }
    const isOwn = known >= 0 && (this.ownerOf[known] ?? null) === owner;
    if (owner !== null && owner.count >= owner.countMax && !isOwn) return false;
    let properties = payload - propertiesAt;
    let propertyLength = 0;
    if (aliasAt >= 0) {
      propertyLength = spans.propertiesEnd - spans.propertiesAt - 3;
      properties = varintBytes(propertyLength) + propertyLength;
    }
    const remaining = 2 + topicBytes + properties + end - payload;
    const bytes = 1 + varintBytes(remaining) + remaining;
    const slot = this.obtain(known, bytes);
    if (slot < 0) return false;
    const out = this.segments[this.segmentOf[slot]!]!.bytes;
    let to = this.byteAt[slot]!;
    out[to++] = 0x30;
    to = putVarint(out, to, remaining);
    out[to++] = topicBytes >>> 8;
    out[to++] = topicBytes;
    topic.copy(out, to, topicAt, topicAt + topicBytes);
    to += topicBytes;
    if (aliasAt >= 0) {
      to = putVarint(out, to, propertyLength);
      chunk.copy(out, to, spans.propertiesAt, aliasAt);
      to += aliasAt - spans.propertiesAt;
      chunk.copy(out, to, aliasAt + 3, end);
    } else chunk.copy(out, to, propertiesAt, end);
    this.classOf[slot] = runClass;
    this.timeOf[slot] = (this.clock.nowMs() / 1000) >>> 0;
    this.publisherOf[slot] = number;
    this.storedAt[slot] = ++this.clockwork;
    this.own(slot, owner);
    if (known < 0) this.byTopic.add(slot, hash);
    return true;
  }

  /** The slot of the topic, whose hash it is; -1 without one. */
  private find(hash: number, topic: Uint8Array, at: number, length: number): number {
    const { byTopic } = this;
    for (let place = byTopic.first(hash); ; place = byTopic.next(place)) {
      const slot = byTopic.at(place);
      if (slot < 0 || (byTopic.hasHash(slot, hash) && this.isOf(slot, topic, at, length))) return slot;
    }
  }

  /** The slot's message is one of this topic. */
  private isOf(slot: number, topic: Uint8Array, at: number, length: number): boolean {
    const { bytes } = this.segments[this.segmentOf[slot]!]!;
    const from = this.byteAt[slot]!;
    const body = bodyAt(bytes, from, from + this.frameBytes[slot]!);
    if (((bytes[body]! << 8) | bytes[body + 1]!) !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[body + 2 + i] !== topic[at + i]) return false;
    return true;
  }

  /** Who stored last owns the slot. */
  private own(slot: number, owner: RetainedOwner | null): void {
    const before = this.ownerOf[slot] ?? null;
    if (before === owner) return;
    while (this.ownerOf.length < slot) this.ownerOf.push(null);
    this.ownerOf[slot] = owner;
    if (before !== null && --before.count === 0) this.owners.delete(before.clientIdentifier);
    if (owner !== null && ++owner.count === 1) this.owners.set(owner.clientIdentifier, owner);
  }

  clear(topic: string): void {
    this.free(this.slotOf(topic));
  }

  private free(slot: number): void {
    if (slot < 0) return;
    this.byTopic.remove(slot);
    this.own(slot, null);
    this.dropRecord(slot);
    this.segmentOf[slot] = FREE;
    this.freeSlots.push(slot);
  }

  /** A slot, `known` if there is one, whose record has room for `bytes` frame bytes, or -1. */
  private obtain(known: number, bytes: number): number {
    if (known >= 0 && this.frameBytes[known] === bytes) return known; // written over in place
    const isFull = this.freeSlots.length === 0 && this.slots === this.segmentOf.length;
    if (known < 0 && isFull && !this.grow()) return -1;
    if (!this.reserve(SLOT_BYTES + bytes)) return -1;
    let slot = known;
    if (slot < 0) slot = this.freeSlots.pop() ?? this.slots++;
    else this.dropRecord(slot);
    const segment = this.segments[this.active]!;
    segment.bytes.writeUInt32LE(slot, segment.used);
    this.segmentOf[slot] = this.active;
    this.byteAt[slot] = segment.used + SLOT_BYTES;
    this.frameBytes[slot] = bytes;
    segment.used += SLOT_BYTES + bytes;
    segment.live += SLOT_BYTES + bytes;
    return slot;
  }

  private dropRecord(slot: number): void {
    const segment = this.segments[this.segmentOf[slot]!]!;
    segment.live -= SLOT_BYTES + this.frameBytes[slot]!;
    if (segment.live > 0) return;
    const index = this.segmentOf[slot]!;
    if (index === this.active && segment.bytes.length === SEGMENT_BYTES) segment.used = 0;
    else this.dropSegment(index);
    if (this.segments[this.active] === null) this.active = -1;
  }

  private dropSegment(index: number): void {
    this.budget.give(this.segments[index]!.bytes.length);
    this.segments[index] = null;
  }

  /** Makes the active segment have `bytes` free bytes; false when the budget does not allow it. */
  private reserve(bytes: number): boolean {
    if (this.activeFits(bytes)) return true;
    this.compact();
    if (this.activeFits(bytes)) return true;
    const size = Math.max(SEGMENT_BYTES, bytes);
    if (!this.budget.take(size)) return false;
    let index = this.segments.indexOf(null);
    if (index < 0) index = this.segments.length;
    this.segments[index] = { bytes: Buffer.from(new ArrayBuffer(size)), used: 0, live: 0 };
    const last = this.active;
    this.active = index;
    if (last >= 0 && this.segments[last]!.live === 0) this.dropSegment(last);
    return true;
  }

  private activeFits(bytes: number): boolean {
    const active = this.active < 0 ? null : this.segments[this.active]!;
    return active !== null && active.used + bytes <= active.bytes.length;
  }

  /** Rewrites the deadest closed segment in place when half of it is dead: its live records move to its front. */
  private compact(): void {
    let deadest = -1;
    let dead = 0;
    for (let i = 0; i < this.segments.length; i++) {
      const segment = this.segments[i];
      if (segment === null || segment === undefined || segment.bytes.length !== SEGMENT_BYTES) continue;
      if (segment.used - segment.live <= dead || segment.live * 2 > segment.used) continue;
      deadest = i;
      dead = segment.used - segment.live;
    }
    if (deadest < 0) return;
    const segment = this.segments[deadest]!;
    let to = 0;
    for (let at = 0; at < segment.used; ) {
      const slot = segment.bytes.readUInt32LE(at);
      const live = this.segmentOf[slot] === deadest && this.byteAt[slot] === at + SLOT_BYTES;
      const bytes = SLOT_BYTES + lengthOfFrame(segment.bytes, at + SLOT_BYTES);
      if (live) {
        segment.bytes.copyWithin(to, at, at + bytes);
        this.byteAt[slot] = to + SLOT_BYTES;
        to += bytes;
      }
      at += bytes;
    }
    assert(to === segment.live, "compaction keeps what is live");
    segment.used = to;
    const active = this.active;
    this.active = deadest;
    if (this.segments[active]!.live === 0 && active !== deadest) this.dropSegment(active);
  }

  /** Makes room for more slots; false when the budget does not allow any. */
  private grow(): boolean {
    const { used, bytesMax } = this.budget;
    const room = Math.floor((bytesMax - used) / SLOT_COST);
    const more = Math.max(GROW_LEAST, Math.min(room, Math.max(GROW, this.segmentOf.length >> 1)));
    if (!this.budget.take(more * SLOT_COST)) return false;
    const length = this.segmentOf.length + more;
    this.segmentOf = grown(this.segmentOf, new Uint32Array(length).fill(FREE));
    this.byteAt = grown(this.byteAt, new Uint32Array(length));
    this.frameBytes = grown(this.frameBytes, new Uint32Array(length));
    this.classOf = grown(this.classOf, new Uint32Array(length));
    this.timeOf = grown(this.timeOf, new Uint32Array(length));
    this.publisherOf = grown(this.publisherOf, new Uint32Array(length));
    this.storedAt = grown(this.storedAt, new Float64Array(length));
    this.byTopic.grow(length);
    return true;
  }

  slotOf(topic: string): number {
    const name = Buffer.from(topic);
    return this.find(this.byTopic.hash(name, 0, name.length), name, 0, name.length);
  }

  /** Fills `record` with what lies in the slot; false when it is empty or was stored after `before`. */
  read(slot: number, before: number, record: RetainedRecord): boolean {
    const index = this.segmentOf[slot]!;
    if (index === FREE || this.storedAt[slot]! > before) return false;
    record.bytes = this.segments[index]!.bytes;
    record.at = this.byteAt[slot]!;
    record.length = this.frameBytes[slot]!;
    record.runClass = this.classOf[slot]!;
    record.time = this.timeOf[slot]!;
    record.publisher = this.publisherOf[slot]!;
    return true;
  }
}

/** Reused by whoever reads. */
export interface RetainedRecord {
  bytes: Buffer;
  at: number;
  length: number;
  runClass: number;
  /** s on the log's clock. */
  time: number;
  /** Number of the session that published it. */
  publisher: number;
}

function grown<T extends Uint32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}
