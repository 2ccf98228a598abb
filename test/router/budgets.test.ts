// Budgets: how the memory is divided, and what the least of it must hold.

import { describe, expect, test } from "bun:test";
import { segmentCost } from "../../src/log/segment.ts";
import { divide, segmentShape } from "../../src/router/budgets.ts";

const MIB = 1 << 20;

describe("budgets", () => {
  for (const memory of [16, 64, 1024]) {
    test(`of ${memory} MiB are no more than the memory, and nearly all of it`, () => {
      const budgets = Object.values(divide(memory * MIB));
      const sum = budgets.reduce((total: number, { bytesMax }) => total + bytesMax, 0);
      expect(sum).toBeLessThanOrEqual(memory * MIB);
      expect(sum).toBeGreaterThan(memory * MIB - 64);
    });
  }

  test("of 64 MiB let as many clients in as the sample file says, each with a filter of its own", () => {
    // 894 bytes were charged for an identifier and a filter of some 20 characters.
    expect(divide(64 * MIB).sessions.bytesMax).toBeGreaterThan(10_010 * 900);
  });

  test("what deliveries are rendered in has its own, whatever the memory", () => {
    const { render } = divide(16 * MIB);
    expect(render.name).toBe("render");
    expect(render.bytesMax).toBe(divide(1024 * MIB).render.bytesMax);
    expect(render.bytesMax).toBeWithin(500_000, MIB);
  });

  test("of 16 MiB leave the log room for the largest packet beside what is written and cleaned", () => {
    const { log } = divide(16 * MIB);
    const { segmentBytes, segmentRuns, segmentEntries } = segmentShape(log.bytesMax);
    const standard = segmentCost(segmentBytes, segmentRuns, segmentEntries);
    expect(log.bytesMax).toBeGreaterThan(segmentCost(4 * MIB, segmentRuns, segmentEntries) + 3 * standard);
  });
});
