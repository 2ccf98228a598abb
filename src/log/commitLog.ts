// CommitLog: the one place where messages lie. Writers stage bytes behind the active segment's end and commit them
// as runs; readers walk posting entries. Segments are pooled, last in, first out, so that the live set stays in
// cache; the oldest is recycled as soon as no reader owes a byte of it.
//
// Ownership: the log owns segments and their order; readers own their positions and are asked (LogOwner.floorOf)
// only when their segment is the oldest. Who calls it: router only.

import { assert } from "../base/assert.ts";
import type { FilterId, Offset } from "../base/brand.ts";
import type { Budget } from "../base/budget.ts";
import { Postings } from "./postings.ts";
import {
  type Pinned,
  pin,
  RUN_BYTE_AT,
  RUN_BYTES,
  RUN_CLASS,
  RUN_COUNT,
  RUN_FIRST,
  RUN_FRAME_MAX,
  RUN_PUBLISHER,
  RUN_STRIDE,
  RUN_TIME,
  Segment,
  SLOTS_MAX,
  segmentCost,
  unpin,
} from "./segment.ts";

export interface LogOwner {
  /** The oldest segment that this reader still needs, null if none. */
  floorOf(reader: Pinned): Segment | null;
  /** A segment was begun; so much of the budget, 0..1, is free. Little: whoever can should stop writing. */
  rolled(free: number): void;
  /** No segment is free: let readers go or clean. True when it is worth trying again. */
  makeRoom(): boolean;
}

export interface LogShape {
  readonly segmentBytes: number;
  readonly segmentRuns: number;
  readonly segmentEntries: number;
}

/** Recycled segments that are kept for reuse at any time; those beyond that while the log needs them now and then. */
const POOLED_MIN = 4;
/** Seconds fit a run's 32-bit field for 136 years. */
const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

export class CommitLog {
  readonly postings = new Postings();
  readonly segments: (Segment | null)[] = [];
  readonly shape: LogShape;
  active: Segment;
  oldest: Segment;
  /** The next Offset that will be given out. */
  head = 0 as Offset;
  private sequence = 0;
  private readonly pool: Segment[] = [];
  /** The fewest that the pool held since it was trimmed. */
  private pooledLeast = 0;
  private readonly freeSlots: number[] = [];
  private readonly budget: Budget;
  private readonly owner: LogOwner;
  /** Route of the active segment's last run, so that the next one may join it. */
  private lastRoute = -1;

  constructor(shape: LogShape, budget: Budget, owner: LogOwner) {
    this.shape = shape;
    this.budget = budget;
    this.owner = owner;
    const cost = segmentCost(shape.segmentBytes, shape.segmentRuns, shape.segmentEntries);
    assert(budget.bytesMax >= 4 * cost, "the log's budget holds at least four segments");
    const first = this.obtain(shape.segmentBytes, shape.segmentEntries);
    assert(first !== null, "an empty budget has room for the first segment");
    this.active = first;
    this.oldest = first;
    this.begin(first);
  }

  /**
   * Makes the active segment ready for a run of at least `bytes` bytes that matches `filters` filters, rolling to a
   * new one if needed. False: there is no room and nothing changed; the caller parks or refuses.
   */
  prepare(bytes: number, filters: number): boolean {
    const active = this.active;
    if (
      bytes <= active.bytes.length - active.used &&
      active.runCount < active.runsMax &&
      filters <= active.entriesMax - active.entryCount
    ) {
      return true;
    }
    return this.roll(bytes, filters);
  }

  private roll(bytes: number, filters: number): boolean {
    this.release();
    const wanted = Math.max(bytes, this.shape.segmentBytes);
    const entries = Math.max(filters, this.shape.segmentEntries);
    let next = this.obtain(wanted, entries);
    while (next === null) {
      if (!this.owner.makeRoom()) return false;
      next = this.obtain(wanted, entries);
    }
    this.begin(next);
    const last = this.active;
    next.older = last;
    last.newer = next;
    this.active = next;
    this.release();
    this.owner.rolled(this.freeShare);
    return true;
  }

  private begin(segment: Segment): void {
    segment.sequence = ++this.sequence;
    segment.baseOffset = this.head;
    segment.used = 0;
    segment.runCount = 0;
    segment.entryCount = 0;
    segment.recordCount = 0;
    segment.cleaned = false;
    segment.older = null;
    segment.newer = null;
    this.lastRoute = -1;
  }

  /** A segment for the cleaner, outside the order until the cleaner puts it in; null if the budget has none. */
  obtainForCleaner(bytes: number, entries: number): Segment | null {
    const wanted = Math.max(bytes, this.shape.segmentBytes);
    const segment = this.obtain(wanted, Math.max(entries, this.shape.segmentEntries));
    if (segment === null) return null;
    const lastRoute = this.lastRoute;
    this.begin(segment);
    this.lastRoute = lastRoute;
    segment.cleaned = true;
    return segment;
  }

  /** Gives back a segment that is in no list. */
  recycle(segment: Segment): void {
    segment.sequence = 0;
    segment.older = null;
    segment.newer = null;
    const standard =
      segment.bytes.length === this.shape.segmentBytes && segment.entriesMax === this.shape.segmentEntries;
    if (standard) this.pool.push(segment);
    else this.giveBack(segment);
  }

  /** Once a second: gives the allocator what the pool was never short of since the last time. */
  trim(): void {
    const idle = Math.max(0, this.pooledLeast - POOLED_MIN);
    for (const segment of this.pool.splice(0, idle)) this.giveBack(segment);
    this.pooledLeast = this.pool.length;
  }

  private giveBack(segment: Segment): void {
    this.segments[segment.slot] = null;
    this.freeSlots.push(segment.slot);
    this.budget.give(segment.cost);
  }

  private obtain(bytes: number, entries: number): Segment | null {
    const standard = bytes === this.shape.segmentBytes && entries === this.shape.segmentEntries;
    const pooled = standard ? this.pool.pop() : undefined;
    this.pooledLeast = Math.min(this.pooledLeast, this.pool.length);
    if (pooled !== undefined) return pooled;
    const cost = segmentCost(bytes, this.shape.segmentRuns, entries);
    while (!this.budget.take(cost)) {
      const idle = this.pool.pop();
      if (idle === undefined) return null;
      this.giveBack(idle);
    }
    const slot = this.freeSlots.pop() ?? this.segments.length;
    assert(slot < SLOTS_MAX, "a slot fits a link");
    const segment = new Segment(slot, bytes, this.shape.segmentRuns, entries);
    this.segments[slot] = segment;
    return segment;
  }

  /** Recycles the oldest segments that no reader needs any more. */
  release(): void {
    while (this.oldest !== this.active) {
      const segment = this.oldest;
      while (segment.pinned !== null) {
        const reader = segment.pinned;
        const floor = this.owner.floorOf(reader);
        if (floor === segment) return;
        unpin(reader);
        if (floor !== null) {
          assert(floor.sequence > segment.sequence, "a reader's floor does not go back");
          pin(floor, reader);
        }
      }
      this.dropOldest();
    }
  }

  /** The cleaner has rewritten neighbouring `segments` into `target`, which takes their place and their age. */
  replace(segments: readonly Segment[], target: Segment): void {
    const first = segments[0]!;
    const last = segments[segments.length - 1]!;
    const { older } = first;
    const newer = last.newer;
    assert(newer !== null, "the active segment is not rewritten");
    target.sequence = last.sequence;
    target.older = older;
    target.newer = newer;
    newer.older = target;
    if (older === null) this.oldest = target;
    else older.newer = target;
    for (const segment of segments) {
      assert(segment.pinned === null, "readers have moved to the rewritten segment");
      this.recycle(segment);
    }
  }

  /** Takes a closed segment, of which nobody owes a byte, out of the order. */
  remove(segment: Segment): void {
    const { older, newer } = segment;
    assert(newer !== null && segment.pinned === null, "a removed segment is closed and unpinned");
    newer.older = older;
    if (older === null) this.oldest = newer;
    else older.newer = newer;
    this.recycle(segment);
  }

  /** Takes the oldest segment, which nobody pins, out of the order. */
  dropOldest(): void {
    const segment = this.oldest;
    assert(segment.newer !== null && segment.pinned === null, "the oldest segment is closed and unpinned");
    this.oldest = segment.newer;
    this.oldest.older = null;
    this.recycle(segment);
  }

  /**
   * Commits `bytes` staged bytes behind the active segment's end as `count` messages of one route and class. Joins
   * the last run when nothing but its length differs. Returns the run. The caller posts it to the route's filters.
   */
  commit(
    bytes: number,
    count: number,
    frameMax: number,
    publisher: number,
    route: number,
    time: number,
    runClass: number,
  ): number {
    const segment = this.active;
    const runs = segment.runs;
    const byteAt = segment.used;
    assert(byteAt + bytes <= segment.bytes.length, "staged bytes lie in the segment");
    segment.used = byteAt + bytes;
    segment.recordCount += count;
    this.head = (this.head + count) as Offset;
    assert(this.head <= OFFSET_MAX, "Offsets fit 2^53");
    if (route === this.lastRoute) {
      const at = (segment.runCount - 1) * RUN_STRIDE;
      if (
        runs[at + RUN_CLASS] === runClass &&
        runs[at + RUN_PUBLISHER] === publisher &&
        runs[at + RUN_TIME] === time
      ) {
        runs[at + RUN_BYTES] = runs[at + RUN_BYTES]! + bytes;
        runs[at + RUN_COUNT] = runs[at + RUN_COUNT]! + count;
        if (runs[at + RUN_FRAME_MAX]! < frameMax) runs[at + RUN_FRAME_MAX] = frameMax;
        return segment.runCount - 1;
      }
    }
    assert(segment.runCount < segment.runsMax, "the segment has room for a run");
    const run = segment.runCount++;
    const at = run * RUN_STRIDE;
    runs[at + RUN_BYTE_AT] = byteAt;
    runs[at + RUN_BYTES] = bytes;
    runs[at + RUN_FIRST] = segment.recordCount - count;
    runs[at + RUN_COUNT] = count;
    runs[at + RUN_FRAME_MAX] = frameMax;
    runs[at + RUN_PUBLISHER] = publisher;
    runs[at + RUN_TIME] = time;
    runs[at + RUN_CLASS] = runClass;
    this.lastRoute = route;
    return run;
  }

  /** Posts the last committed run to one filter. Returns the entry in the active segment. */
  post(
    filter: FilterId,
    run: number,
    count: number,
    bytes: number,
    runClass: number,
    frameMax: number,
  ): number {
    return this.postings.post(this.segments, this.active, filter, run, count, bytes, runClass, frameMax);
  }

  /** The segment that holds `offset`, null when it is gone or was never given out. */
  segmentOf(offset: Offset): Segment | null {
    for (let segment: Segment | null = this.active; segment !== null; segment = segment.older) {
      if (offset >= segment.baseOffset) {
        return offset < segment.baseOffset + segment.recordCount ? segment : null;
      }
    }
    return null;
  }

  /** The segment stands in the order. */
  isLive(segment: Segment): boolean {
    return this.oldest === segment || segment.older !== null || segment === this.active;
  }

  /** Budget that live segments leave. */
  get freeBytes(): number {
    return this.budget.bytesMax - this.budget.used + this.pool.length * (this.pool[0]?.cost ?? 0);
  }

  /** Of the budget, 0..1. */
  get freeShare(): number {
    return this.freeBytes / this.budget.bytesMax;
  }

  /** A run of usual size can be appended, and the one behind it too. */
  get hasRoom(): boolean {
    const { segmentBytes, segmentRuns, segmentEntries } = this.shape;
    return this.freeBytes >= 2 * segmentCost(segmentBytes, segmentRuns, segmentEntries);
  }

  /** Segments in use, for metrics and tests. */
  get liveSegments(): number {
    let live = 0;
    for (let segment: Segment | null = this.oldest; segment !== null; segment = segment.newer) live++;
    return live;
  }
}
