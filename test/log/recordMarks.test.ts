// RecordMarks against a set of Offsets: random segments, some of which were cleaned, so that Offsets are missing.

import { describe, expect, test } from "bun:test";
import type { Offset } from "../../src/base/brand.ts";
import { Budget } from "../../src/base/budget.ts";
import { MARKED_SEGMENTS, RecordMarks } from "../../src/log/recordMarks.ts";
import { RUN_COUNT, RUN_FIRST, RUN_STRIDE, Segment } from "../../src/log/segment.ts";
import { Inflight, InflightSlab, InflightState } from "../../src/session/inflight.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";
import { objectsMade } from "../support/objects.ts";

const BYTES = 16_384;
const RUNS = 40;

/** Neighbours from Offset 100 on; `present` gets each record that lies in one of them, with its run. */
function segmentsOf(random: Random, count: number, present: Map<number, [number, number]>): Segment[] {
  let offset = 100;
  return Array.from({ length: count }, (_, index) => {
    const segment = new Segment(index, BYTES, RUNS, 4);
    segment.baseOffset = offset as Offset;
    while (segment.runCount < RUNS) {
      const first = offset + (random.chance(0.3) ? random.between(1, 5_000) : 0);
      const records = random.between(1, 60);
      const at = segment.runCount * RUN_STRIDE;
      segment.runs[at + RUN_FIRST] = first - segment.baseOffset;
      segment.runs[at + RUN_COUNT] = records;
      for (let record = first; record < first + records; record++)
        present.set(record, [index, segment.runCount]);
      offset = first + records;
      segment.runCount++;
    }
    segment.recordCount = offset - segment.baseOffset;
    return segment;
  });
}

describe("record marks", () => {
  for (const seed of seeds(1, 2, 3)) {
    test(`agree with a set, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const marks = new RecordMarks(BYTES, RUNS);
        for (let round = 0; round < 20; round++) {
          const present = new Map<number, [number, number]>();
          const segments = segmentsOf(random, random.between(1, MARKED_SEGMENTS), present);
          marks.begin(segments);
          const marked = new Set<number>();
          const end = segments.at(-1)!.baseOffset + segments.at(-1)!.recordCount;
          for (let i = random.below(200); i > 0; i--) {
            const offset = random.below(end + 500); // some lie before, between and behind the records
            marks.mark(offset as Offset);
            if (present.has(offset)) marked.add(offset);
          }
          const runs = new Set([...marked].map((offset) => present.get(offset)!.join()));
          for (const [offset, [index, run]] of present) {
            const relative = offset - segments[index]!.baseOffset;
            expect(marks.at(index).has(run, relative)).toBe(marked.has(offset));
          }
          segments.forEach((segment, index) => {
            for (let run = 0; run < segment.runCount; run++)
              expect(marks.at(index).hasIn(run)).toBe(runs.has(`${index},${run}`));
          });
        }
      });
    });
  }

  test("what is in flight is marked without an object for each message", () => {
    withSeed(1, (random) => {
      const present = new Map<number, [number, number]>();
      const segments = segmentsOf(random, MARKED_SEGMENTS, present);
      const inflight = new Inflight(new InflightSlab(new Budget("in flight", 1 << 20)));
      const states = [InflightState.Qos1, InflightState.Qos2] as const;
      for (const offset of present.keys()) inflight.take(offset as Offset, random.pick(states), 0);
      const marks = new RecordMarks(BYTES, RUNS);
      const work = (): void => {
        marks.begin(segments);
        inflight.mark(marks);
      };
      for (let i = 0; i < 50; i++) work();
      const made = objectsMade(() => {
        for (let i = 0; i < 20; i++) work();
      });
      expect(inflight.count).toBeGreaterThan(5_000);
      expect(made).toBeLessThan(1_000);
    });
  });
});
