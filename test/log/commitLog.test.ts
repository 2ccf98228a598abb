// CommitLog and Postings against a list: random appends to random sets of filters, readers that walk their filters'
// postings at their own pace, segments that roll, grow for a large run, are released and used again.

import { describe, expect, test } from "bun:test";
import type { FilterId, Offset } from "../../src/base/brand.ts";
import { Budget } from "../../src/base/budget.ts";
import { CommitLog, type LogOwner } from "../../src/log/commitLog.ts";
import {
  ENTRY_CLASS,
  ENTRY_FIRST_RUN,
  ENTRY_NEXT,
  ENTRY_STRIDE,
  NO_LINK,
  type Pinned,
  pin,
  RUN_FIRST,
  RUN_PUBLISHER,
  RUN_STRIDE,
  type Segment,
} from "../../src/log/segment.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";

const FILTERS = 6;
const READERS = 8;
const SHAPE = { segmentBytes: 4096, segmentRuns: 48, segmentEntries: 96 };
const RECORD_HEAD = 8;

interface Record {
  readonly offset: number;
  readonly bytes: Buffer;
  readonly filters: readonly number[];
  readonly runClass: number;
  readonly publisher: number;
}

/** A reader of one filter: what it has read so far is a prefix of what the filter got. */
class FilterReader implements Pinned {
  readonly filter: FilterId;
  pinnedIn: Segment | null = null;
  pinnedPrevious: Pinned | null = null;
  pinnedNext: Pinned | null = null;
  segment: Segment | null = null;
  entry = 0;
  from = 0;
  /** Index of the next record in the filter's list. */
  next = 0;

  constructor(filter: FilterId) {
    this.filter = filter;
  }
}

class Model implements LogOwner {
  readonly budget = new Budget("log", 30 * 10_000);
  readonly log = new CommitLog(SHAPE, this.budget, this);
  readonly readers: FilterReader[] = [];
  readonly records: Record[] = [];
  readonly byFilter: Record[][] = [];
  refusals = 0;
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
    for (let filter = 0; filter < FILTERS; filter++) {
      this.byFilter.push([]);
      this.log.postings.ensure(filter as FilterId);
    }
    for (let i = 0; i < READERS; i++) this.readers.push(new FilterReader((i % FILTERS) as FilterId));
  }

  floorOf(pinned: Pinned): Segment | null {
    return (pinned as FilterReader).segment;
  }

  rolled(): void {}

  makeRoom(): boolean {
    return false;
  }

  append(): void {
    const { random, log } = this;
    const filters = random.shuffle([0, 1, 2, 3, 4, 5]).slice(0, random.between(1, 4)).sort();
    const runClass = random.below(3);
    const publisher = random.below(3);
    const count = random.between(1, 4);
    const records: Record[] = [];
    for (let i = 0; i < count; i++) {
      const size = random.chance(0.02) ? random.between(4_000, 20_000) : random.between(RECORD_HEAD, 200);
      const bytes = Buffer.alloc(size, log.head + i);
      bytes.writeUInt32BE(size);
      bytes.writeUInt32BE(log.head + i, 4);
      records.push({ offset: log.head + i, bytes, filters, runClass, publisher });
    }
    const staged = Buffer.concat(records.map(({ bytes }) => bytes));
    if (!log.prepare(staged.length, filters.length)) {
      this.refusals++;
      for (const reader of this.readers) this.read(reader, Number.POSITIVE_INFINITY);
      return;
    }
    const segment = log.active;
    segment.bytes.set(staged, segment.used);
    const from = segment.used;
    const route = filters.reduce((set, filter) => set | (1 << filter), 0);
    const largest = Math.max(...records.map(({ bytes }) => bytes.length));
    const run = log.commit(staged.length, count, largest, publisher, route, 7, runClass);
    for (const filter of filters) {
      const entry = log.post(filter as FilterId, run, count, staged.length, runClass, largest);
      for (const reader of this.readers) {
        if (reader.filter !== filter || reader.segment !== null) continue;
        reader.segment = segment;
        reader.entry = entry;
        reader.from = from;
        if (reader.pinnedIn === null) pin(segment, reader);
      }
      this.byFilter[filter]!.push(...records);
    }
    this.records.push(...records);
  }

  /** Reads up to `countMax` records along the reader's postings. */
  read(reader: FilterReader, countMax: number): void {
    const owed = this.byFilter[reader.filter]!;
    for (let count = 0; reader.segment !== null && count < countMax; ) {
      const segment = reader.segment;
      if (reader.from === segment.entryEnd(reader.entry)) {
        const next = segment.entries[reader.entry * ENTRY_STRIDE + ENTRY_NEXT]!;
        if (next === NO_LINK) {
          reader.segment = null;
          break;
        }
        reader.segment = this.log.segments[next >>> 16]!;
        reader.entry = next & 0xffff;
        reader.from = reader.segment!.entryStart(reader.entry);
        continue;
      }
      const length = (segment.bytes as Buffer).readUInt32BE(reader.from);
      const expected = owed[reader.next++]!;
      expect(expected.bytes.equals(segment.bytes.subarray(reader.from, reader.from + length))).toBe(true);
      expect(segment.entries[reader.entry * ENTRY_STRIDE + ENTRY_CLASS]).toBe(expected.runClass);
      const run = segment.runAtByte(reader.from);
      expect(segment.runs[run * RUN_STRIDE + RUN_PUBLISHER]).toBe(expected.publisher);
      this.checkCounts(reader, segment, run);
      reader.from += length;
      count++;
    }
    if (reader.segment === null) expect(reader.next).toBe(owed.length);
  }

  /** The filter's cumulative counts before an entry are what came before it. */
  private checkCounts(reader: FilterReader, segment: Segment, run: number): void {
    const firstRun = segment.entries[reader.entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
    if (run !== firstRun || reader.from !== segment.entryStart(reader.entry)) return;
    expect(segment.countBefore[reader.entry]).toBe(reader.next - 1);
  }

  checkSegmentOf(): void {
    if (this.records.length === 0) return;
    const record = this.random.pick(this.records);
    const segment = this.log.segmentOf(record.offset as Offset);
    if (segment === null) {
      expect(record.offset).toBeLessThan(this.log.oldest.baseOffset);
      return;
    }
    const relative = record.offset - segment.baseOffset;
    const run = segment.runAtRecord(relative);
    let at = segment.runStart(run);
    for (let i = segment.runs[run * RUN_STRIDE + RUN_FIRST]!; i < relative; i++) {
      at += (segment.bytes as Buffer).readUInt32BE(at);
    }
    expect(record.bytes.equals(segment.bytes.subarray(at, at + record.bytes.length))).toBe(true);
  }

  /** The order of segments has no hole, and the budget is what the segments cost. */
  checkShape(): void {
    let cost = 0;
    for (const segment of this.log.segments) cost += segment?.cost ?? 0;
    expect(this.budget.used).toBe(cost);
    let live = 0;
    for (let segment: Segment | null = this.log.oldest; segment !== null; segment = segment.newer) {
      live++;
      if (segment.newer !== null) {
        expect(segment.newer.older).toBe(segment);
        expect(segment.newer.sequence).toBeGreaterThan(segment.sequence);
        expect(segment.newer.baseOffset).toBe((segment.baseOffset + segment.recordCount) as Offset);
      }
    }
    expect(this.log.liveSegments).toBe(live);
    expect(this.log.head).toBe(this.records.length as Offset);
  }
}

describe("commit log", () => {
  for (const seed of seeds(1, 2, 3, 4)) {
    test(`agrees with a list under random operations, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const model = new Model(random);
        for (let step = 0; step < 3_000; step++) {
          const dice = random.below(10);
          if (dice < 6) model.append();
          else if (dice < 9) model.read(random.pick(model.readers), random.below(60));
          else model.checkSegmentOf();
          if (step % 50 === 0) model.checkShape();
          if (step % 300 === 0) model.log.trim();
        }
        for (const reader of model.readers) model.read(reader, Number.POSITIVE_INFINITY);
        model.log.release();
        expect(model.log.liveSegments).toBe(1);
        for (const reader of model.readers) expect(reader.next).toBe(model.byFilter[reader.filter]!.length);
        expect(model.refusals).toBeGreaterThan(0);
        model.checkShape();
      });
    });
  }

  test("keeps what it may need again, and gives back what it was not short of from one trim to the next", () => {
    withSeed(1, (random) => {
      const model = new Model(random);
      const { budget, log, readers } = model;
      while (model.refusals === 0) model.append();
      for (const reader of readers) model.read(reader, Number.POSITIVE_INFINITY);
      log.release();
      const full = budget.used;
      log.trim();
      expect(budget.used).toBe(full); // all of it was in use since the last time
      model.append();
      log.trim();
      expect(budget.used).toBeLessThan(full / 2);
      const least = budget.used;
      log.trim();
      expect(budget.used).toBe(least);
      model.checkShape();
    });
  });

  test("refuses what does not fit and changes nothing", () => {
    withSeed(1, (random) => {
      const model = new Model(random);
      const { log } = model;
      const before = [log.head, log.active, model.budget.used] as const;
      expect(log.prepare(model.budget.bytesMax, 1)).toBe(false);
      expect([log.head, log.active, model.budget.used]).toEqual([...before]);
    });
  });
});
