// Cleaner: rewrites neighbouring old segments, of which little is still owed, into one, as Kafka's does: Offsets stay,
// positions move. It keeps, for every filter that a pinned reader still owes, that filter's runs from the furthest
// reader on, and the single records that are in flight.

import { assert } from "../base/assert.ts";
import type { FilterId } from "../base/brand.ts";
import type { Budget } from "../base/budget.ts";
import type { CommitLog, LogShape } from "./commitLog.ts";
import {
  firstIndex,
  type Floors,
  type Kept,
  type Need,
  needOf,
  neededFrom,
  type RecordBytes,
} from "./need.ts";
import { MARKED_SEGMENTS, marksCost, RecordMarks } from "./recordMarks.ts";
import {
  ENTRY_CLASS,
  ENTRY_FILTER,
  ENTRY_FIRST_RUN,
  ENTRY_FRAME_MAX,
  ENTRY_LAST_RUN,
  ENTRY_NEXT,
  ENTRY_STRIDE,
  link,
  NO_LINK,
  type Pinned,
  pin,
  RUN_BYTES,
  RUN_BYTE_AT,
  RUN_CLASS,
  RUN_COUNT,
  RUN_FIRST,
  RUN_FRAME_MAX,
  RUN_PUBLISHER,
  RUN_STRIDE,
  RUN_TIME,
  type Segment,
  unpin,
} from "./segment.ts";

/** One filter of one reader: where it stands. The cleaner moves it. */
export interface Position {
  readonly filter: FilterId;
  segment: Segment | null;
  entry: number;
  from: number;
}

export interface CleanerOwner {
  /** Positions of the reader that owe something. */
  positionsOf(reader: Pinned): readonly Position[];
  /** Marks its messages in flight. */
  markInflight(reader: Pinned, marks: RecordMarks): void;
  /** The segment from which bytes are being written to it where they lie, which must stay; null without one. */
  heldBy(reader: Pinned): Segment | null;
  /** Length of the record at `at`. */
  readonly recordBytes: RecordBytes;
}

/** Bytes that the cleaner of a log of this shape keeps for its work. */
export function cleanerCost({ segmentBytes, segmentRuns }: LogShape): number {
  return marksCost(segmentBytes, segmentRuns) + 8 * segmentRuns;
}

export class Cleaner {
  private readonly log: CommitLog;
  private readonly owner: CleanerOwner;
  /** Rewrites done, for metrics. */
  rewrites = 0;
  /** Sequence of the segment to look at first: where there was something to do the last time. */
  private next = 0;
  private readonly marks: RecordMarks;
  /** For each run of the segment that is looked at. */
  private runFrom: Float64Array;

  /** `budget` has room for cleanerCost(). */
  constructor(log: CommitLog, owner: CleanerOwner, budget: Budget) {
    assert(budget.take(cleanerCost(log.shape)), "the cleaner's budget has room for its arrays");
    this.log = log;
    this.owner = owner;
    const { segmentBytes, segmentRuns } = log.shape;
    this.marks = new RecordMarks(segmentBytes, segmentRuns);
    this.runFrom = new Float64Array(segmentRuns);
  }

  /**
   * Takes out a segment of which nothing is needed, or rewrites neighbours that fit `target` together. False: there
   * are none, `target` is unused.
   */
  clean(target: Segment): boolean {
    const readers: Pinned[] = [];
    const closed: Segment[] = [];
    for (let s: Segment | null = this.log.oldest; s !== null && s !== this.log.active; s = s.newer) {
      closed.push(s);
      for (let reader = s.pinned; reader !== null; reader = reader.pinnedNext) readers.push(reader);
    }
    if (closed.length < 2) return false;
    const floors = this.floorsOf(readers);
    const held = new Set(readers.map((reader) => this.owner.heldBy(reader)));
    let together: Need[] = [];
    for (const need of this.needs(closed, floors, readers)) {
      const { segment, bytes } = need;
      if (bytes === 0 && !held.has(segment)) {
        this.drop(segment, readers);
        return true;
      }
      const isNeighbour = together.at(-1)?.segment.newer === segment;
      if (!isNeighbour || held.has(segment) || !fits([...together, need], target)) {
        if (together.length > 1) break;
        together = [];
      }
      if (!held.has(segment) && fits([need], target)) together.push(need);
    }
    if (together.length < 2) return false;
    this.next = together[0]!.segment.sequence;
    this.rewrite(together, floors, readers, target);
    this.rewrites++;
    return true;
  }

  /** What each must keep, beginning where there was something to do the last time, and going round. */
  private *needs(
    closed: readonly Segment[],
    floors: Floors,
    readers: readonly Pinned[],
  ): Generator<Need, void> {
    const first = closed.findIndex(({ sequence }) => sequence >= this.next);
    const round = first <= 0 ? closed : [...closed.slice(first), ...closed.slice(0, first)];
    for (let from = 0; from < round.length; ) {
      let to = from + 1;
      while (to < round.length && to - from < MARKED_SEGMENTS && round[to - 1]!.newer === round[to]) to++;
      const some = round.slice(from, to);
      this.marks.begin(some);
      for (const reader of readers) this.owner.markInflight(reader, this.marks);
      for (let index = 0; index < some.length; index++) {
        const segment = some[index]!;
        if (this.runFrom.length < segment.runCount) this.runFrom = new Float64Array(segment.runCount);
        yield needOf(segment, floors, this.marks.at(index), this.owner.recordBytes, this.runFrom);
      }
      from = to;
    }
  }

  /** Takes a segment out of which nobody needs anything. */
  private drop(segment: Segment, readers: readonly Pinned[]): void {
    this.relink(segment, [segment], new Map(), segment);
    for (const reader of readers) {
      if (reader.pinnedIn !== segment) continue;
      unpin(reader);
      pin(segment.newer!, reader);
    }
    this.log.remove(segment);
  }

  private floorsOf(readers: readonly Pinned[]): Floors {
    const floors = new Map<FilterId, { sequence: number; from: number }>();
    for (const reader of readers) {
      for (const { filter, segment, from } of this.owner.positionsOf(reader)) {
        if (segment === null) continue;
        const { sequence } = segment;
        const floor = floors.get(filter);
        if (
          floor === undefined ||
          sequence < floor.sequence ||
          (sequence === floor.sequence && from < floor.from)
        ) {
          floors.set(filter, { sequence, from });
        }
      }
    }
    return floors;
  }

  private rewrite(needs: readonly Need[], floors: Floors, readers: readonly Pinned[], target: Segment): void {
    const segments = needs.map(({ segment }) => segment);
    const first = segments[0]!;
    const last = segments[segments.length - 1]!;
    const keptOf = new Map(needs.map(({ segment, kept }) => [segment, kept]));
    target.baseOffset = first.baseOffset;
    target.recordCount = last.baseOffset + last.recordCount - first.baseOffset;
    for (const { kept } of needs) for (const range of kept) copyRange(range, target);
    const firstEntries = this.rewriteEntries(needs, floors, target, last);
    this.relink(first, segments, firstEntries, target);
    for (const reader of readers) {
      for (const position of this.owner.positionsOf(reader)) {
        const kept = position.segment === null ? undefined : keptOf.get(position.segment);
        if (kept !== undefined) movePosition(position, kept, target, firstEntries.get(position.filter));
      }
      if (reader.pinnedIn === null || !keptOf.has(reader.pinnedIn)) continue;
      unpin(reader);
      pin(target, reader);
    }
    this.log.replace(segments, target);
  }

  /** Writes the needed filters' entries and links them. Returns each filter's first one. */
  private rewriteEntries(
    needs: readonly Need[],
    floors: Floors,
    target: Segment,
    last: Segment,
  ): ReadonlyMap<FilterId, number> {
    const { postings, segments: slots } = this.log;
    const { sequence } = last;
    const firstEntries = new Map<FilterId, number>();
    const chain = new Map<FilterId, number>();
    for (const { segment, kept } of needs) {
      for (let entry = 0; entry < segment.entryCount; entry++) {
        const start = neededFrom(segment, entry, floors);
        if (start === Number.POSITIVE_INFINITY) continue;
        const filter = segment.entries[entry * ENTRY_STRIDE + ENTRY_FILTER]! as FilterId;
        const written = this.rewriteEntry(segment, entry, start, kept, target);
        const before = chain.get(filter);
        if (before === undefined) firstEntries.set(filter, written);
        else target.entries[before * ENTRY_STRIDE + ENTRY_NEXT] = link(target.slot, written);
        chain.set(filter, written);
        const next = segment.entries[entry * ENTRY_STRIDE + ENTRY_NEXT]!;
        const behind = next === NO_LINK ? null : slots[next >>> 16]!;
        if (behind !== null && behind.sequence > sequence) {
          target.entries[written * ENTRY_STRIDE + ENTRY_NEXT] = next;
        }
        postings.moveTail(filter, segment, entry, target, written, sequence);
      }
    }
    return firstEntries;
  }

  private rewriteEntry(
    segment: Segment,
    entry: number,
    start: number,
    kept: readonly Kept[],
    target: Segment,
  ): number {
    const at = entry * ENTRY_STRIDE;
    const firstRun = segment.entries[at + ENTRY_FIRST_RUN]!;
    const lastRun = segment.entries[at + ENTRY_LAST_RUN]!;
    const head = kept[firstIndex(kept, ({ to }) => to > start)]!;
    const last = kept[firstIndex(kept, ({ run }) => run > lastRun) - 1]!;
    return this.log.postings.add(
      target,
      segment.entries[at + ENTRY_FILTER]! as FilterId,
      head.targetRun,
      last.targetRun,
      segment.entries[at + ENTRY_CLASS]!,
      segment.entries[at + ENTRY_FRAME_MAX]!,
      segment.countBefore[entry]! + head.first - segment.runs[firstRun * RUN_STRIDE + RUN_FIRST]!,
      segment.bytesBefore[entry]! + head.from - segment.runStart(firstRun),
    );
  }

  /** Entries of older segments that led into the rewritten ones lead into the target. */
  private relink(
    first: Segment,
    segments: readonly Segment[],
    firstEntries: ReadonlyMap<FilterId, number>,
    target: Segment,
  ): void {
    const slots = new Set(segments.map(({ slot }) => slot));
    for (let segment = first.older; segment !== null; segment = segment.older) {
      for (let entry = 0; entry < segment.entryCount; entry++) {
        const at = entry * ENTRY_STRIDE;
        const next = segment.entries[at + ENTRY_NEXT]!;
        if (next === NO_LINK || !slots.has(next >>> 16)) continue;
        const moved = firstEntries.get(segment.entries[at + ENTRY_FILTER]! as FilterId);
        segment.entries[at + ENTRY_NEXT] = moved === undefined ? NO_LINK : link(target.slot, moved);
      }
    }
  }
}

/** `firstEntry` is the first one of the position's filter in the target; its others follow it in a chain. */
function movePosition(
  position: Position,
  kept: readonly Kept[],
  target: Segment,
  firstEntry: number | undefined,
): void {
  const { from } = position;
  const range = kept[firstIndex(kept, ({ to }) => to > from)];
  assert(range !== undefined && range.from <= from, "what a reader owes is kept");
  const to = range.target + from - range.from;
  assert(firstEntry !== undefined, "a kept position has its entry");
  let entry = firstEntry;
  while (target.entryEnd(entry) <= to) {
    const next = target.entries[entry * ENTRY_STRIDE + ENTRY_NEXT]!;
    assert(next !== NO_LINK && next >>> 16 === target.slot, "a kept position has its entry");
    entry = next & 0xffff;
  }
  position.segment = target;
  position.entry = entry;
  position.from = to;
}

function fits(needs: readonly Need[], { bytes, runsMax, entriesMax }: Segment): boolean {
  const sum = (sizeOf: (need: Need) => number): number => needs.reduce((all, need) => all + sizeOf(need), 0);
  return (
    sum((need) => need.bytes) <= bytes.length &&
    sum(({ kept }) => kept.length) <= runsMax &&
    sum(({ entries }) => entries) <= entriesMax
  );
}

function copyRange(range: Kept, target: Segment): void {
  const { segment, run, from, to } = range;
  range.target = target.used;
  range.targetRun = target.runCount++;
  target.bytes.set(segment.bytes.subarray(from, to), target.used);
  target.used += to - from;
  const at = range.targetRun * RUN_STRIDE;
  const source = run * RUN_STRIDE;
  target.runs[at + RUN_BYTE_AT] = range.target;
  target.runs[at + RUN_BYTES] = to - from;
  target.runs[at + RUN_FIRST] = segment.baseOffset + range.first - target.baseOffset;
  target.runs[at + RUN_COUNT] = range.count;
  target.runs[at + RUN_FRAME_MAX] = segment.runs[source + RUN_FRAME_MAX]!;
  target.runs[at + RUN_PUBLISHER] = segment.runs[source + RUN_PUBLISHER]!;
  target.runs[at + RUN_TIME] = segment.runs[source + RUN_TIME]!;
  target.runs[at + RUN_CLASS] = segment.runs[source + RUN_CLASS]!;
}
