// A clock that goes when it is told to.

import type { Clock } from "../../src/base/clock.ts";

export interface ManualClock extends Clock {
  pass(ms: number): void;
}

export function manualClock(): ManualClock {
  let now = 1_000;
  return {
    nowMs: () => now,
    wallMs: () => 1_700_000_000_000 + now,
    pass(ms) {
      now += ms;
    },
  };
}
