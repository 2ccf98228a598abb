// Need: what one closed segment must keep when the cleaner rewrites it. Of every filter that a pinned reader still owes
// that filter's runs from the furthest reader on, and the records that are in flight.

import type { FilterId } from "../base/brand.ts";
import type { SegmentMarks } from "./recordMarks.ts";
import {
  ENTRY_FILTER,
  ENTRY_FIRST_RUN,
  ENTRY_LAST_RUN,
  ENTRY_STRIDE,
  RUN_COUNT,
  RUN_FIRST,
  RUN_STRIDE,
  type Segment,
} from "./segment.ts";

/** Bytes [from, to) of one run that are kept, and where they go. */
export interface Kept {
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

export interface Need {
  readonly segment: Segment;
  /** In order, none touching another of its run. */
  readonly kept: readonly Kept[];
  readonly bytes: number;
  readonly entries: number;
}

/** From where on each filter is owed. */
export type Floors = ReadonlyMap<FilterId, { sequence: number; from: number }>;

/** Length of the record at `at`. */
export type RecordBytes = (bytes: Uint8Array, at: number) => number;

/** `inflight` are the segment's records in flight; `from` is room for a number for each of its runs. */
export function needOf(
  segment: Segment,
  floors: Floors,
  inflight: SegmentMarks,
  recordBytes: RecordBytes,
  from: Float64Array,
): Need {
  from.fill(Number.POSITIVE_INFINITY, 0, segment.runCount);
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
  const kept: Kept[] = [];
  for (let run = 0; run < segment.runCount; run++)
    keepRun(segment, run, from[run]!, inflight, recordBytes, kept);
  return { segment, kept, bytes: kept.reduce((sum, { from, to }) => sum + to - from, 0), entries };
}

/** First byte of `entry` that must stay; Infinity when none must. */
export function neededFrom(segment: Segment, entry: number, floors: Floors): number {
  const floor = floors.get(segment.entries[entry * ENTRY_STRIDE + ENTRY_FILTER]! as FilterId);
  if (floor === undefined || segment.sequence < floor.sequence) return Number.POSITIVE_INFINITY;
  if (segment.sequence > floor.sequence) return segment.entryStart(entry);
  return segment.entryEnd(entry) <= floor.from
    ? Number.POSITIVE_INFINITY
    : Math.max(floor.from, segment.entryStart(entry));
}

/** Index of the first range for which `isBehind` holds, as it does for all that follow; their number if none. */
export function firstIndex(kept: readonly Kept[], isBehind: (range: Kept) => boolean): number {
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBehind(kept[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Keeps of one run the records in flight that lie before byte `from`, and everything behind it. */
function keepRun(
  segment: Segment,
  run: number,
  from: number,
  inflight: SegmentMarks,
  recordBytes: RecordBytes,
  kept: Kept[],
): void {
  const runFirst = segment.runs[run * RUN_STRIDE + RUN_FIRST]!;
  const recordEnd = runFirst + segment.runs[run * RUN_STRIDE + RUN_COUNT]!;
  const runEnd = segment.runEnd(run);
  const hasMarks = inflight.hasIn(run);
  if (from >= runEnd && !hasMarks) return;
  let rangeAt = -1;
  let rangeFirst = 0;
  const stop = Math.min(from, runEnd);
  let record = runFirst;
  let at = segment.runStart(run);
  let end = at + recordBytes(segment.bytes, at);
  // A reader that stands within a frame needs all of it: only whole frames before `stop` are looked at singly.
  while (at < stop && end <= stop) {
    if (!hasMarks || !inflight.has(run, record)) {
      if (rangeAt >= 0) keep(kept, segment, run, rangeAt, at, rangeFirst, record);
      rangeAt = -1;
    } else if (rangeAt < 0) {
      rangeAt = at;
      rangeFirst = record;
    }
    record++;
    at = end;
    if (at < stop) end = at + recordBytes(segment.bytes, at);
  }
  if (rangeAt < 0) {
    if (at >= runEnd) return;
    rangeAt = at;
    rangeFirst = record;
  }
  if (from < runEnd) keep(kept, segment, run, rangeAt, runEnd, rangeFirst, recordEnd);
  else keep(kept, segment, run, rangeAt, at, rangeFirst, record);
}

function keep(
  kept: Kept[],
  segment: Segment,
  run: number,
  from: number,
  to: number,
  first: number,
  end: number,
): void {
  kept.push({ segment, run, from, to, first, count: end - first, target: 0, targetRun: 0 });
}
