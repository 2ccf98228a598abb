// Budgets: how `[router] memory` is divided. Each owner has a name and a share; together they are the whole.

import { assert } from "../base/assert.ts";
import { Budget } from "../base/budget.ts";
import { cleanerCost } from "../log/cleaner.ts";
import type { LogShape } from "../log/commitLog.ts";
import { segmentCost } from "../log/segment.ts";
import { BATCH_COST } from "./batch.ts";

/** Batches that readers may share at one time. */
export const SHARED_BATCHES = 4;
/** And the one that is rendered for a single session. */
const RENDER_BYTES = (SHARED_BATCHES + 1) * BATCH_COST;

/** Shares in 64ths of the memory. */
const LOG = 25; // segments with their run and posting tables, their cleaner, what deliveries are rendered in
const PARTIAL = 16; // packets that are still arriving: at least one of Maximum Packet Size
const RETAINED = 5;
const SESSIONS = 9; // subscriptions, client identifiers, Topic Aliases, QoS 2 identifiers
const INFLIGHT = 3;
const RESIDUE = 2; // rests of cut frames and control packets that wait
const PARKED = 3; // chunks that wait for room in the log
const STRANGERS = 1; // CONNECT, and what came behind it, of clients that nobody has let in yet
const SHARES = 64;

export interface Budgets {
  readonly log: Budget;
  readonly render: Budget;
  readonly cleaner: Budget;
  readonly partial: Budget;
  readonly retained: Budget;
  readonly sessions: Budget;
  readonly inflight: Budget;
  readonly residue: Budget;
  readonly parked: Budget;
  readonly strangers: Budget;
}

export function divide(memoryBytes: number): Budgets {
  const bytesOf = (share: number) => Math.floor((memoryBytes * share) / SHARES);
  const part = (name: string, share: number) => new Budget(name, bytesOf(share));
  const logBytes = bytesOf(LOG) - RENDER_BYTES;
  const cleanerBytes = cleanerCost(segmentShape(logBytes));
  const budgets: Budgets = {
    log: new Budget("log", logBytes - cleanerBytes),
    render: new Budget("render", RENDER_BYTES),
    cleaner: new Budget("cleaner", cleanerBytes),
    partial: part("partial packets", PARTIAL),
    retained: part("retained", RETAINED),
    sessions: part("sessions", SESSIONS),
    inflight: part("in flight", INFLIGHT),
    residue: part("residues", RESIDUE),
    parked: part("parked chunks", PARKED),
    strangers: part("strangers", STRANGERS),
  };
  const sum = Object.values(budgets).reduce((total: number, budget: Budget) => total + budget.bytesMax, 0);
  assert(sum <= memoryBytes, "the budgets add up to no more than the memory");
  return budgets;
}

/** Segment bytes for a log budget: large enough for bulk copies, small enough that a dozen fit. */
export function segmentShape(logBytes: number): LogShape {
  let segmentBytes = 1024 * 1024;
  const shape = () => ({ segmentBytes, segmentRuns: segmentBytes / 256, segmentEntries: segmentBytes / 256 });
  while (segmentBytes > 64 * 1024) {
    const { segmentRuns, segmentEntries } = shape();
    if (segmentCost(segmentBytes, segmentRuns, segmentEntries) * 12 <= logBytes) break;
    segmentBytes /= 2;
  }
  return shape();
}
