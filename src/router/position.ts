// Positions: how a subscription moves along its filter's posting chain. @hot

import { pin, type Segment } from "../log/segment.ts";
import { ENTRY_NEXT, ENTRY_STRIDE, NO_LINK } from "../log/segment.ts";
import { frameBytes } from "../packet/frame.ts";
import type { Reader } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import type { FilterState } from "./filters.ts";

export type SegmentSlots = readonly (Segment | null)[];

/** Gives a caught-up subscription its position and pins the reader there. */
export function place(subscription: Subscription, segment: Segment, entry: number, from: number): void {
  const reader = subscription.reader;
  subscription.segment = segment;
  subscription.entry = entry;
  subscription.from = from;
  reader.pending.push(subscription);
  if (reader.pinnedIn === null) pin(segment, reader);
}

/** The subscription owes nothing more: its filter's next append places it again. */
export function park(subscription: Subscription, state: FilterState): void {
  if (subscription.segment === null) return;
  subscription.segment = null;
  state.armed = true;
  const pending = subscription.reader.pending;
  const last = pending.pop();
  if (last !== subscription && last !== undefined) pending[pending.indexOf(subscription)] = last;
}

/** To the start of the filter's next entry, or parked when there is none. */
export function toNextEntry(slots: SegmentSlots, subscription: Subscription, state: FilterState): void {
  const next = subscription.segment!.entries[subscription.entry * ENTRY_STRIDE + ENTRY_NEXT]!;
  if (next === NO_LINK) {
    park(subscription, state);
    return;
  }
  const segment = slots[next >>> 16]!;
  subscription.segment = segment;
  subscription.entry = next & 0xffff;
  subscription.from = segment.entryStart(subscription.entry);
}

/** To the first owed byte at or behind byte `to` of `segment`. */
export function advanceTo(
  slots: SegmentSlots,
  subscription: Subscription,
  state: FilterState,
  segment: Segment,
  to: number,
): void {
  for (;;) {
    const at = subscription.segment;
    if (at === null || at.sequence > segment.sequence) return;
    if (at === segment) {
      if (subscription.from >= to) return;
      if (at.entryEnd(subscription.entry) > to) {
        subscription.from = Math.max(to, subscription.from);
        return;
      }
    }
    toNextEntry(slots, subscription, state);
  }
}

/** The pending subscription that is furthest behind; null when the reader is caught up. */
export function earliest(reader: Reader): Subscription | null {
  const pending = reader.pending;
  const count = pending.length;
  if (count === 0) return null;
  let first = pending[0]!;
  for (let i = 1; i < count; i++) {
    const other = pending[i]!;
    const order = other.segment!.sequence - first.segment!.sequence;
    if (order < 0 || (order === 0 && other.from < first.from)) first = other;
  }
  return first;
}

/** The end of the frame that byte `at` lies in; `at` itself if a frame begins there. */
export function cutFrameEnd(segment: Segment, at: number): number {
  const run = segment.runAtByte(at);
  if (run === segment.runCount) return at;
  let frame = segment.runStart(run);
  while (frame < at) frame += frameBytes(segment.bytes, frame);
  return frame;
}
