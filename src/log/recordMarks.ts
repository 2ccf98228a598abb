// Record marks: a bit for each record of a few neighbouring segments. The cleaner marks what is in flight, once for all
// its readers, before it looks at the segments. The arrays are kept for the next time.

import type { Offset } from "../base/brand.ts";
import { RUN_COUNT, RUN_FIRST, RUN_STRIDE, type Segment } from "./segment.ts";

/** Segments whose records are marked at one time. */
export const MARKED_SEGMENTS = 8;
/** A frame of a PUBLISH has no fewer bytes. */
const FRAME_BYTES_MIN = 4;

/** Bytes of the arrays for segments of this shape. */
export function marksCost(segmentBytes: number, segmentRuns: number): number {
  return MARKED_SEGMENTS * (4 * (segmentRuns + 1) + segmentBytes / FRAME_BYTES_MIN / 8);
}

export class RecordMarks {
  private readonly marks: readonly SegmentMarks[];
  /** Segments that `marks` are of, in order of age, the oldest first. */
  private count = 0;
  /** Neighbours are marked one after another: where the last one was. */
  private index = 0;
  /** Offsets [from, to) lie in the segments. */
  from = 0;
  to = 0;

  constructor(segmentBytes: number, segmentRuns: number) {
    this.marks = Array.from({ length: MARKED_SEGMENTS }, () => new SegmentMarks(segmentBytes, segmentRuns));
  }

  /** Begins anew, with nothing marked, for at most MARKED_SEGMENTS segments, the oldest first. */
  begin(segments: readonly Segment[]): void {
    this.count = segments.length;
    this.index = 0;
    this.from = segments[0]!.baseOffset;
    const { baseOffset, recordCount } = segments.at(-1)!;
    this.to = baseOffset + recordCount;
    segments.forEach((segment, index) => {
      this.marks[index]!.begin(segment);
    });
  }

  /** Marks the record; one that lies in none of the segments is left out. */
  mark(offset: Offset): void {
    if (offset < this.from || offset >= this.to) return;
    if (!this.marks[this.index]!.covers(offset)) this.index = this.find(offset);
    this.marks[this.index]!.mark(offset);
  }

  /** Those of the segment at `index`. */
  at(index: number): SegmentMarks {
    return this.marks[index]!;
  }

  /** The last segment that begins at or before `offset`, or the first. */
  private find(offset: Offset): number {
    let index = this.count - 1;
    while (index > 0 && this.marks[index]!.baseOffset > offset) index--;
    return Math.max(0, index);
  }
}

/** A bit for each record that lies in the segment: what it has been cleaned of has none. */
export class SegmentMarks {
  private segment: Segment | null = null;
  /** Records that lie before each run; filled when the first one is marked. */
  private before: Uint32Array;
  private bits: Uint8Array;
  private isEmpty = true;
  private run = 0;

  constructor(segmentBytes: number, segmentRuns: number) {
    this.before = new Uint32Array(segmentRuns + 1);
    this.bits = new Uint8Array(segmentBytes / FRAME_BYTES_MIN / 8);
  }

  get baseOffset(): number {
    return this.segment?.baseOffset ?? 0;
  }

  begin(segment: Segment): void {
    this.segment = segment;
    this.isEmpty = true;
    this.run = 0;
  }

  covers(offset: Offset): boolean {
    const { segment } = this;
    if (segment === null) return false;
    return offset >= segment.baseOffset && offset < segment.baseOffset + segment.recordCount;
  }

  /** Marks the record unless it lies elsewhere. */
  mark(offset: Offset): void {
    if (!this.covers(offset)) return;
    const segment = this.segment!;
    if (this.isEmpty) this.clear(segment);
    const relative = offset - segment.baseOffset;
    if (!isInRun(segment, this.run, relative)) this.run = segment.runAtRecord(relative);
    if (!isInRun(segment, this.run, relative)) return;
    const bit = this.bitOf(segment, this.run, relative);
    this.bits[bit >>> 3] = this.bits[bit >>> 3]! | (1 << (bit & 7));
  }

  /** The record, which lies in `run` and counts from the segment's first Offset, is marked. */
  has(run: number, relative: number): boolean {
    if (this.isEmpty) return false;
    const bit = this.bitOf(this.segment!, run, relative);
    return (this.bits[bit >>> 3]! & (1 << (bit & 7))) !== 0;
  }

  /** A record of `run` is marked. */
  hasIn(run: number): boolean {
    if (this.isEmpty) return false;
    const end = this.before[run + 1]!;
    for (let bit = this.before[run]!; bit < end; ) {
      const byte = this.bits[bit >>> 3]!;
      if (byte === 0) bit = (bit | 7) + 1;
      else if ((byte & (1 << (bit & 7))) !== 0) return true;
      else bit++;
    }
    return false;
  }

  private clear(segment: Segment): void {
    this.isEmpty = false;
    const { runCount, runs } = segment;
    if (this.before.length <= runCount) this.before = new Uint32Array(runCount + 1);
    for (let run = 0; run < runCount; run++)
      this.before[run + 1] = this.before[run]! + runs[run * RUN_STRIDE + RUN_COUNT]!;
    const bytes = (this.before[runCount]! + 7) >>> 3;
    if (this.bits.length < bytes) this.bits = new Uint8Array(bytes);
    else this.bits.fill(0, 0, bytes);
  }

  private bitOf(segment: Segment, run: number, relative: number): number {
    return this.before[run]! + relative - segment.runs[run * RUN_STRIDE + RUN_FIRST]!;
  }
}

function isInRun(segment: Segment, run: number, relative: number): boolean {
  if (run >= segment.runCount) return false;
  const first = segment.runs[run * RUN_STRIDE + RUN_FIRST]!;
  return relative >= first && relative < first + segment.runs[run * RUN_STRIDE + RUN_COUNT]!;
}
