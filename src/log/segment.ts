// Segment: a fixed piece of the commit log. Message bytes lie one after another in `bytes`; beside them a run table
// (which bytes came together, from whom, when, of what class) and the posting entries of every filter that a run of
// this segment matched. The segment knows bytes and classes, not MQTT. @hot
//
// Invariants: runs are in byte order and, unless the cleaner wrote the segment, without holes between them; an
// entry's runs firstRun..lastRun are neighbours of one class; `used` never shrinks until the segment is recycled.

import type { Offset } from "../base/brand.ts";

/** Fields of one run, 32 bytes: `runs[run * RUN_STRIDE + RUN_…]`. */
export const RUN_STRIDE = 8;
export const RUN_BYTE_AT = 0;
export const RUN_BYTES = 1;
/** First record of the run, relative to the segment's base offset. */
export const RUN_FIRST = 2;
export const RUN_COUNT = 3;
/** The largest frame of the run, bytes. */
export const RUN_FRAME_MAX = 4;
/** Who published it; the owner of the log says what the number means. */
export const RUN_PUBLISHER = 5;
/** Seconds on the owner's clock. */
export const RUN_TIME = 6;
export const RUN_CLASS = 7;

/** Fields of one posting entry: `entries[entry * ENTRY_STRIDE + ENTRY_…]`. */
export const ENTRY_STRIDE = 6;
export const ENTRY_FILTER = 0;
export const ENTRY_FIRST_RUN = 1;
export const ENTRY_LAST_RUN = 2;
/** The filter's next entry as a link (see link()), NO_LINK at its tail. */
export const ENTRY_NEXT = 3;
export const ENTRY_CLASS = 4;
export const ENTRY_FRAME_MAX = 5;

/** A link names an entry anywhere in the log: slot * ENTRIES_PER_LINK + entry. */
export const ENTRIES_PER_LINK = 65_536;
export const NO_LINK = 0xffff_ffff;
/** Slots that a link can name. */
export const SLOTS_MAX = 65_535;

/** Readers whose oldest owed byte may lie in one segment: a doubly linked list through the readers themselves. */
export interface Pinned {
  pinnedIn: Segment | null;
  pinnedPrevious: Pinned | null;
  pinnedNext: Pinned | null;
}

export class Segment {
  readonly slot: number;
  readonly bytes: Uint8Array;
  readonly runs: Uint32Array;
  readonly runsMax: number;
  readonly entries: Uint32Array;
  readonly entriesMax: number;
  /** Per entry: messages and bytes of its filter ahead of it since the filter began. */
  readonly countBefore: Float64Array;
  readonly bytesBefore: Float64Array;
  /** Budgeted size, bytes: all arrays of this segment. */
  readonly cost: number;

  /** Age of the segment: 1.., a larger one is newer; 0 while it is in the pool. */
  sequence = 0;
  baseOffset = 0 as Offset;
  used = 0;
  runCount = 0;
  entryCount = 0;
  /** Offsets given out in this segment; the next one is baseOffset + recordCount. */
  recordCount = 0;
  cleaned = false;
  /** Head of the list of readers that pin this segment. */
  pinned: Pinned | null = null;
  /** Neighbours in age. */
  older: Segment | null = null;
  newer: Segment | null = null;

  constructor(slot: number, bytesMax: number, runsMax: number, entriesMax: number) {
    this.slot = slot;
    this.bytes = Buffer.from(new ArrayBuffer(bytesMax));
    this.runsMax = runsMax;
    this.runs = new Uint32Array(runsMax * RUN_STRIDE);
    this.entriesMax = entriesMax;
    this.entries = new Uint32Array(entriesMax * ENTRY_STRIDE);
    this.countBefore = new Float64Array(entriesMax);
    this.bytesBefore = new Float64Array(entriesMax);
    this.cost = segmentCost(bytesMax, runsMax, entriesMax);
  }

  /** First byte of a run. */
  runStart(run: number): number {
    return this.runs[run * RUN_STRIDE + RUN_BYTE_AT]!;
  }

  runEnd(run: number): number {
    const at = run * RUN_STRIDE;
    return this.runs[at + RUN_BYTE_AT]! + this.runs[at + RUN_BYTES]!;
  }

  entryStart(entry: number): number {
    return this.runStart(this.entries[entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!);
  }

  entryEnd(entry: number): number {
    return this.runEnd(this.entries[entry * ENTRY_STRIDE + ENTRY_LAST_RUN]!);
  }

  /** The run that holds byte `at`, or the first one behind it; runCount if none. Binary search. */
  runAtByte(at: number): number {
    let low = 0;
    let high = this.runCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.runEnd(middle) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The run that holds the record `relative` to the base offset, or the first one behind it; runCount if none. */
  runAtRecord(relative: number): number {
    let low = 0;
    let high = this.runCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * RUN_STRIDE;
      if (this.runs[at + RUN_FIRST]! + this.runs[at + RUN_COUNT]! <= relative) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function segmentCost(bytesMax: number, runsMax: number, entriesMax: number): number {
  return bytesMax + runsMax * RUN_STRIDE * 4 + entriesMax * (ENTRY_STRIDE * 4 + 16);
}

export function link(slot: number, entry: number): number {
  return slot * ENTRIES_PER_LINK + entry;
}

/** Puts `reader` at the head of `segment`'s pinned list; it must be in none. */
export function pin(segment: Segment, reader: Pinned): void {
  reader.pinnedIn = segment;
  reader.pinnedPrevious = null;
  reader.pinnedNext = segment.pinned;
  if (segment.pinned !== null) segment.pinned.pinnedPrevious = reader;
  segment.pinned = reader;
}

/** Makes sure that `reader` pins `segment` or an older one. */
export function pinBack(segment: Segment, reader: Pinned): void {
  if (reader.pinnedIn !== null && reader.pinnedIn.sequence <= segment.sequence) return;
  unpin(reader);
  pin(segment, reader);
}

/** Takes `reader` out of the list it is in, if any. */
export function unpin(reader: Pinned): void {
  const segment = reader.pinnedIn;
  if (segment === null) return;
  if (reader.pinnedPrevious !== null) reader.pinnedPrevious.pinnedNext = reader.pinnedNext;
  else segment.pinned = reader.pinnedNext;
  if (reader.pinnedNext !== null) reader.pinnedNext.pinnedPrevious = reader.pinnedPrevious;
  reader.pinnedIn = null;
  reader.pinnedPrevious = null;
  reader.pinnedNext = null;
}
