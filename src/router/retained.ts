// Retained messages: the last RETAIN message of each topic, §3.3.1.3, in segments of their own, so that they never
// pin the live log. A segment is a row of [slot, 4 bytes][canonical frame]; a record is live while its slot points at
// it. When more than half of the closed segments' bytes are dead, the deadest is rewritten.
//
// A new subscription gets the matching messages through its session's inbox (router/replay): this store only holds.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import { frameBytes as lengthOfFrame, putVarint, varintBytes } from "../packet/frame.ts";
import type { RetainedOwner } from "../session/session.ts";
import type { PublishFrame } from "./publishFrame.ts";
import type { Stats } from "./stats.ts";

const SEGMENT_BYTES = 256 * 1024;
const SLOT_BYTES = 4;
/** Typed-array fields and the map entry of one slot, and per byte of topic the map's key. */
export const SLOT_COST = 4 + 4 + 4 + 4 + 4 + 4 + 8 + 8 + 2 + 100;
const GROW = 4096;
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
  private readonly byTopic = new Map<string, number>();
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
  private readonly stats: Stats;
  private readonly clock: Clock;

  constructor(budget: Budget, stats: Stats, clock: Clock) {
    this.budget = budget;
    this.stats = stats;
    this.clock = clock;
  }

  get count(): number {
    return this.byTopic.size;
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
    const name = decodeUtf8(topic, topicAt, topicAt + topicBytes);
    if (payload === end) {
      this.clear(name);
      return true;
    }
    if (owner !== null && owner.count >= owner.countMax && !this.isOwn(name, owner)) return false;
    let properties = payload - propertiesAt;
    let propertyLength = 0;
    if (aliasAt >= 0) {
      propertyLength = spans.propertiesEnd - spans.propertiesAt - 3;
      properties = varintBytes(propertyLength) + propertyLength;
    }
    const remaining = 2 + topicBytes + properties + end - payload;
    const bytes = 1 + varintBytes(remaining) + remaining;
    const slot = this.obtain(name, bytes);
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
    return true;
  }

  private isOwn(topic: string, owner: RetainedOwner): boolean {
    const slot = this.byTopic.get(topic);
    return slot !== undefined && this.ownerOf[slot] === owner;
  }

  /** Who stored last owns the slot. */
  private own(slot: number, owner: RetainedOwner | null): void {
    const before = this.ownerOf[slot] ?? null;
    if (before === owner) return;
    this.ownerOf[slot] = owner;
    if (before !== null && --before.count === 0) this.owners.delete(before.clientIdentifier);
    if (owner !== null && ++owner.count === 1) this.owners.set(owner.clientIdentifier, owner);
  }

  clear(topic: string): void {
    const slot = this.byTopic.get(topic);
    if (slot === undefined) return;
    this.byTopic.delete(topic);
    this.own(slot, null);
    this.dropRecord(slot);
    this.segmentOf[slot] = FREE;
    this.freeSlots.push(slot);
    this.budget.give(SLOT_COST + topic.length);
    this.stats.retainedMessages = this.byTopic.size;
  }

  /** A slot whose record has room for `bytes` frame bytes, or -1. */
  private obtain(topic: string, bytes: number): number {
    const known = this.byTopic.get(topic);
    if (known !== undefined && this.frameBytes[known] === bytes) return known; // written over in place
    if (known === undefined && !this.budget.take(SLOT_COST + topic.length)) return -1;
    if (!this.reserve(SLOT_BYTES + bytes)) {
      if (known === undefined) this.budget.give(SLOT_COST + topic.length);
      return -1;
    }
    let slot = known;
    if (slot === undefined) {
      slot = this.freeSlots.pop() ?? this.slots++;
      if (slot >= this.segmentOf.length) this.grow();
      this.byTopic.set(topic, slot);
    } else this.dropRecord(slot);
    const segment = this.segments[this.active]!;
    segment.bytes.writeUInt32LE(slot, segment.used);
    this.segmentOf[slot] = this.active;
    this.byteAt[slot] = segment.used + SLOT_BYTES;
    this.frameBytes[slot] = bytes;
    segment.used += SLOT_BYTES + bytes;
    segment.live += SLOT_BYTES + bytes;
    this.stats.retainedMessages = this.byTopic.size;
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

  private grow(): void {
    const length = this.segmentOf.length + Math.max(GROW, this.segmentOf.length >> 1);
    this.segmentOf = grown(this.segmentOf, new Uint32Array(length).fill(FREE));
    this.byteAt = grown(this.byteAt, new Uint32Array(length));
    this.frameBytes = grown(this.frameBytes, new Uint32Array(length));
    this.classOf = grown(this.classOf, new Uint32Array(length));
    this.timeOf = grown(this.timeOf, new Uint32Array(length));
    this.publisherOf = grown(this.publisherOf, new Uint32Array(length));
    while (this.ownerOf.length < length) this.ownerOf.push(null);
    this.storedAt = grown(this.storedAt, new Float64Array(length));
  }

  slotOf(topic: string): number {
    return this.byTopic.get(topic) ?? -1;
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
