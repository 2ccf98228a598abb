// Postings: which runs each filter matched, as a chain of entries from segment to segment. The entries lie in the
// segments and are freed with them; this table holds, per filter, the tail of its chain and its cumulative counts,
// from which every lag, quota and gap is a difference. @hot

import type { FilterId } from "../base/brand.ts";
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
  type Segment,
} from "./segment.ts";

const FILTERS_MIN = 64;

export class Postings {
  /** Per filter: link of its newest entry, valid only while that segment has tailSequence. */
  private tail = new Uint32Array(FILTERS_MIN);
  private tailSequence = new Float64Array(FILTERS_MIN);
  /** Per filter: messages and bytes appended since it began. Never reset, also when a FilterId is reused. */
  count = new Float64Array(FILTERS_MIN);
  bytes = new Float64Array(FILTERS_MIN);

  /** Makes room for filters up to `filter`. Called when a filter begins, never on the hot path. */
  ensure(filter: FilterId): void {
    if (filter < this.tail.length) return;
    let length = this.tail.length;
    while (length <= filter) length *= 2;
    this.tail = grown(this.tail, new Uint32Array(length));
    this.tailSequence = grown(this.tailSequence, new Float64Array(length));
    this.count = grown(this.count, new Float64Array(length));
    this.bytes = grown(this.bytes, new Float64Array(length));
  }

  /**
   * Notes that `run` of `segment` (count messages, bytes) matched `filter`. Extends the filter's last entry when the
   * run is its neighbour and of its class, else links a new one behind it. The caller has checked that the segment
   * has room for an entry. Returns the entry.
   */
  post(
    segments: readonly (Segment | null)[],
    segment: Segment,
    filter: FilterId,
    run: number,
    count: number,
    bytes: number,
    runClass: number,
    frameMax: number,
  ): number {
    const before = this.count[filter]!;
    const bytesBefore = this.bytes[filter]!;
    this.count[filter] = before + count;
    this.bytes[filter] = bytesBefore + bytes;
    const tail = this.tail[filter]!;
    const sequence = this.tailSequence[filter]!;
    if (sequence === segment.sequence) {
      const entry = tail & 0xffff;
      const at = entry * ENTRY_STRIDE;
      const entries = segment.entries;
      const lastRun = entries[at + ENTRY_LAST_RUN]!;
      if (lastRun + 1 >= run && entries[at + ENTRY_CLASS] === runClass) {
        entries[at + ENTRY_LAST_RUN] = run;
        if (entries[at + ENTRY_FRAME_MAX]! < frameMax) entries[at + ENTRY_FRAME_MAX] = frameMax;
        return entry;
      }
    }
    const entry = this.add(segment, filter, run, run, runClass, frameMax, before, bytesBefore);
    if (sequence !== 0) {
      const from = segments[tail >>> 16];
      if (from !== null && from !== undefined && from.sequence === sequence) {
        from.entries[(tail & 0xffff) * ENTRY_STRIDE + ENTRY_NEXT] = link(segment.slot, entry);
      }
    }
    this.tail[filter] = link(segment.slot, entry);
    this.tailSequence[filter] = segment.sequence;
    return entry;
  }

  /** Appends an entry to `segment` without linking it. Also the cleaner's way to write one. */
  add(
    segment: Segment,
    filter: FilterId,
    firstRun: number,
    lastRun: number,
    entryClass: number,
    frameMax: number,
    countBefore: number,
    bytesBefore: number,
  ): number {
    const entry = segment.entryCount++;
    const at = entry * ENTRY_STRIDE;
    const entries = segment.entries;
    entries[at + ENTRY_FILTER] = filter;
    entries[at + ENTRY_FIRST_RUN] = firstRun;
    entries[at + ENTRY_LAST_RUN] = lastRun;
    entries[at + ENTRY_NEXT] = NO_LINK;
    entries[at + ENTRY_CLASS] = entryClass;
    entries[at + ENTRY_FRAME_MAX] = frameMax;
    segment.countBefore[entry] = countBefore;
    segment.bytesBefore[entry] = bytesBefore;
    return entry;
  }

  /** The cleaner moved the tail of `filter`. */
  moveTail(
    filter: FilterId,
    from: Segment,
    fromEntry: number,
    to: Segment,
    toEntry: number,
    toSequence: number,
  ): void {
    if (this.tailSequence[filter] !== from.sequence || this.tail[filter] !== link(from.slot, fromEntry))
      return;
    this.tail[filter] = link(to.slot, toEntry);
    this.tailSequence[filter] = toSequence;
  }
}

function grown<T extends Uint32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}
