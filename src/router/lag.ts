// Lag: how far a subscription is behind its filter, from the filter's cumulative counts; never by walking the log.

import type { CommitLog } from "../log/commitLog.ts";
import { ENTRY_FIRST_RUN, ENTRY_STRIDE, RUN_FIRST, RUN_STRIDE } from "../log/segment.ts";
import type { Subscription } from "../session/subscription.ts";
import { bytesGot } from "./pacing.ts";
import { recordsBefore } from "./render.ts";

export interface Lag {
  readonly messages: number;
  readonly bytes: number;
  /** The Offset of the next message that is owed; the log's head when none is. */
  readonly offset: number;
}

export function lagOf(log: CommitLog, subscription: Subscription): Lag {
  const { segment, entry, from, filter } = subscription;
  if (segment === null) return { messages: 0, bytes: 0, offset: log.head };
  const run = segment.runAtByte(from);
  const within = recordsBefore(segment, run, from);
  const record = segment.runs[run * RUN_STRIDE + RUN_FIRST]! + within;
  const firstRun = segment.entries[entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
  const got = segment.countBefore[entry]! + record - segment.runs[firstRun * RUN_STRIDE + RUN_FIRST]!;
  return {
    messages: log.postings.count[filter]! - got,
    bytes: log.postings.bytes[filter]! - bytesGot(subscription),
    offset: segment.baseOffset + record,
  };
}
