// Cleaner: rewrites neighbouring old segments, of which little is still owed, into one, as Kafka's does: Offsets stay,
// positions move. It keeps, for every filter that a pinned reader still owes, that filter's runs from the furthest
// reader on, and the single records that are in flight.

import { assert } from "../base/assert.ts";
import type { FilterId, Offset } from "../base/brand.ts";
import type { CommitLog } from "./commitLog.ts";
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
  /** Offsets of its messages in flight. */
  inflightOf(reader: Pinned): readonly Offset[];
  /** Bytes of this segment are being written from where they lie: it must stay. */
  isHeld(reader: Pinned, segment: Segment): boolean;
  /** Length of the record at `at`. */
  recordBytes(bytes: Uint8Array, at: number): number;
}

/** Bytes [from, to) of one run that are kept, and where they go. */
interface Kept {
  readonly segment: Segment;
  readonly run: number;
  readonly from: number;
  readonly to: number;
  /** Offset of the first record, relative to its segment's base. */
  readonly first: number;
  readonly count: number;
  target: number;
  targetRun: number;
}

/** What one closed segment must keep. */
interface Need {
  readonly segment: Segment;
  readonly kept: readonly Kept[];
  readonly bytes: number;
  readonly entries: number;
  readonly held: boolean;
}

/** From where on each filter is owed. */
type Floors = ReadonlyMap<FilterId, { sequence: number; from: number }>;

export class Cleaner {
  private readonly log: CommitLog;
  private readonly owner: CleanerOwner;
  /** Rewrites done, for metrics. */
  rewrites = 0;

  constructor(log: CommitLog, owner: CleanerOwner) {
    this.log = log;
    this.owner = owner;
  }

  /** Rewrites the oldest neighbours that fit `target` together. False: there are none, `target` is unused. */
  clean(target: Segment): boolean {
    const readers: Pinned[] = [];
    const closed: Segment[] = [];
    for (let s: Segment | null = this.log.oldest; s !== null && s !== this.log.active; s = s.newer) {
      closed.push(s);
      for (let reader = s.pinned; reader !== null; reader = reader.pinnedNext) readers.push(reader);
    }
    if (closed.length < 2) return false;
    const floors = this.floorsOf(readers);
    const inflight = readers.flatMap((reader) => [...this.owner.inflightOf(reader)]).sort((a, b) => a - b);
    const needs = closed.map((segment) => this.needOf(segment, floors, inflight, readers));
    const empty = needs.find(({ bytes, held }) => bytes === 0 && !held);
    if (empty !== undefined) {
      this.drop(empty.segment, readers);
      return true;
    }
    for (let first = 0; first + 1 < needs.length; first++) {
      const count = fitting(needs, first, target);
      if (count < 2) continue;
      this.rewrite(needs.slice(first, first + count), floors, readers, target);
      this.rewrites++;
      return true;
    }
    return false;
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

  private needOf(
    segment: Segment,
    floors: Floors,
    inflight: readonly Offset[],
    readers: readonly Pinned[],
  ): Need {
    const kept: Kept[] = [];
    const entries = this.keepSegment(segment, floors, inflight, kept);
    const bytes = kept.reduce((sum, { from, to }) => sum + to - from, 0);
    const held = readers.some((reader) => this.owner.isHeld(reader, segment));
    return { segment, kept, bytes, entries, held };
  }

  /** Adds what `segment` must keep to `kept`, in order. Returns the entries that will be needed. */
  private keepSegment(segment: Segment, floors: Floors, inflight: readonly Offset[], kept: Kept[]): number {
    const from = new Float64Array(segment.runCount).fill(Number.POSITIVE_INFINITY);
    let entries = 0;
    for (let entry = 0; entry < segment.entryCount; entry++) {
      const start = neededFrom(segment, entry, floors);
      if (start === Number.POSITIVE_INFINITY) continue;
      entries++;
      const at = entry * ENTRY_STRIDE;
      const lastRun = segment.entries[at + ENTRY_LAST_RUN]!;
      for (let run = segment.entries[at + ENTRY_FIRST_RUN]!; run <= lastRun; run++) {
        if (segment.runEnd(run) > start)
          from[run] = Math.min(from[run]!, Math.max(start, segment.runStart(run)));
      }
    }
    let next = 0;
    while (next < inflight.length && inflight[next]! < segment.baseOffset) next++;
    for (let run = 0; run < segment.runCount; run++)
      next = this.keepRun(segment, run, from[run]!, inflight, next, kept);
    return entries;
  }

  /**
   * Keeps of one run the records in flight that lie before byte `from`, and everything behind it. Returns the index of
   * the first Offset of `inflight` behind the run.
   */
  private keepRun(
    segment: Segment,
    run: number,
    from: number,
    inflight: readonly Offset[],
    firstInflight: number,
    kept: Kept[],
  ): number {
    const runAt = run * RUN_STRIDE;
    const runEnd = segment.runEnd(run);
    const recordEnd = segment.runs[runAt + RUN_FIRST]! + segment.runs[runAt + RUN_COUNT]!;
    const stop = Math.min(from, runEnd);
    let next = firstInflight;
    let record = segment.runs[runAt + RUN_FIRST]!;
    let at = segment.runStart(run);
    let end = at + this.owner.recordBytes(segment.bytes, at);
    // A reader that stands within a frame needs all of it: only whole frames before `stop` are looked at singly.
    while (at < stop && end <= stop) {
      while (next < inflight.length && inflight[next]! - segment.baseOffset < record) next++;
      if (next < inflight.length && inflight[next]! - segment.baseOffset === record) {
        kept.push({ segment, run, from: at, to: end, first: record, count: 1, target: 0, targetRun: 0 });
      } else if (
        from >= runEnd &&
        (next === inflight.length || inflight[next]! - segment.baseOffset >= recordEnd)
      ) {
        return next; // nothing more of this run is needed
      }
      record++;
      at = end;
      if (at < stop) end = at + this.owner.recordBytes(segment.bytes, at);
    }
    if (from < runEnd) {
      const count = recordEnd - record;
      kept.push({ segment, run, from: at, to: runEnd, first: record, count, target: 0, targetRun: 0 });
    }
    while (next < inflight.length && inflight[next]! - segment.baseOffset < recordEnd) next++;
    return next;
  }

  private rewrite(needs: readonly Need[], floors: Floors, readers: readonly Pinned[], target: Segment): void {
    const segments = needs.map(({ segment }) => segment);
    const first = segments[0]!;
    const last = segments[segments.length - 1]!;
    const kept = needs.flatMap((need) => need.kept);
    target.baseOffset = first.baseOffset;
    target.recordCount = last.baseOffset + last.recordCount - first.baseOffset;
    for (const range of kept) copyRange(range, target);
    const firstEntries = this.rewriteEntries(needs, floors, target, last);
    this.relink(first, segments, firstEntries, target);
    for (const reader of readers) {
      for (const position of this.owner.positionsOf(reader)) {
        if (position.segment !== null && segments.includes(position.segment)) {
          movePosition(position, kept, target);
        }
      }
      if (reader.pinnedIn === null || !segments.includes(reader.pinnedIn)) continue;
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
    const ranges = kept.filter(({ run, to }) => run >= firstRun && run <= lastRun && to > start);
    const head = ranges[0]!;
    return this.log.postings.add(
      target,
      segment.entries[at + ENTRY_FILTER]! as FilterId,
      head.targetRun,
      ranges[ranges.length - 1]!.targetRun,
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

function movePosition(position: Position, kept: readonly Kept[], target: Segment): void {
  const { segment, from, filter } = position;
  const range = kept.find((k) => k.segment === segment && k.from <= from && from < k.to);
  assert(range !== undefined, "what a reader owes is kept");
  const to = range.target + from - range.from;
  for (let entry = 0; entry < target.entryCount; entry++) {
    if (target.entries[entry * ENTRY_STRIDE + ENTRY_FILTER] !== filter || target.entryEnd(entry) <= to)
      continue;
    position.segment = target;
    position.entry = entry;
    position.from = to;
    return;
  }
  assert(false, "a kept position has its entry");
}

/** How many neighbours from `first` on fit the target together. */
function fitting(needs: readonly Need[], first: number, target: Segment): number {
  let bytes = 0;
  let runs = 0;
  let entries = 0;
  let count = 0;
  for (const need of needs.slice(first)) {
    bytes += need.bytes;
    runs += need.kept.length;
    entries += need.entries;
    if (need.held || bytes > target.bytes.length || runs > target.runsMax || entries > target.entriesMax)
      break;
    count++;
  }
  return count;
}

/** First byte of `entry` that must stay; Infinity when none must. */
function neededFrom(segment: Segment, entry: number, floors: Floors): number {
  const floor = floors.get(segment.entries[entry * ENTRY_STRIDE + ENTRY_FILTER]! as FilterId);
  if (floor === undefined || segment.sequence < floor.sequence) return Number.POSITIVE_INFINITY;
  if (segment.sequence > floor.sequence) return segment.entryStart(entry);
  return segment.entryEnd(entry) <= floor.from
    ? Number.POSITIVE_INFINITY
    : Math.max(floor.from, segment.entryStart(entry));
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
