// Objects on the heap, for tests that budget allocation.

import { heapStats } from "bun:jsc";

/** Objects that `work` leaves behind, garbage included. */
export function objectsMade(work: () => void): number {
  Bun.gc(true);
  const before = objects();
  work();
  return objects() - before;
}

function objects(): number {
  let total = 0;
  for (const count of Object.values(heapStats().objectTypeCounts)) total += count;
  return total;
}
