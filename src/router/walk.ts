// Walk: a second set of positions of a reader's pending filters, so that what it owes can be looked at, merged by
// position, while the reader itself stays where it is. Filters stand in the order of reader.pending. @hot

import { ENTRY_LAST_RUN, ENTRY_NEXT, ENTRY_STRIDE, NO_LINK, type Segment } from "../log/segment.ts";
import type { Reader } from "../session/reader.ts";
import type { SegmentSlots } from "./position.ts";

export class Walk {
  /** Null: the filter owes nothing more. */
  readonly segment: (Segment | null)[] = [];
  readonly entry: number[] = [];
  readonly from: number[] = [];

  /** Sets the positions to those of the reader. */
  begin(reader: Reader): void {
    const pending = reader.pending;
    for (let i = 0; i < pending.length; i++) {
      const subscription = pending[i]!;
      this.segment[i] = subscription.segment;
      this.entry[i] = subscription.entry;
      this.from[i] = subscription.from;
    }
  }

  /** Takes the position of filter `i` from `other`. */
  set(i: number, other: Walk): void {
    this.segment[i] = other.segment[i]!;
    this.entry[i] = other.entry[i]!;
    this.from[i] = other.from[i]!;
  }

  /** Of the first `count` filters the one that is furthest behind, -1 when none owes anything. */
  earliest(count: number): number {
    let first = -1;
    let sequence = 0;
    let from = 0;
    for (let i = 0; i < count; i++) {
      const segment = this.segment[i];
      if (segment === null || segment === undefined) continue;
      if (
        first < 0 ||
        segment.sequence < sequence ||
        (segment.sequence === sequence && this.from[i]! < from)
      ) {
        first = i;
        sequence = segment.sequence;
        from = this.from[i]!;
      }
    }
    return first;
  }

  /** Moves the first `count` filters to the first owed byte at or behind `to` of `segment`. */
  advance(slots: SegmentSlots, count: number, segment: Segment, to: number): void {
    for (let i = 0; i < count; i++) {
      for (;;) {
        const at: Segment | null | undefined = this.segment[i];
        if (at === null || at === undefined || at.sequence > segment.sequence) break;
        const entryAt = this.entry[i]! * ENTRY_STRIDE;
        if (at === segment) {
          if (this.from[i]! >= to) break;
          if (at.runEnd(at.entries[entryAt + ENTRY_LAST_RUN]!) > to) {
            this.from[i] = to;
            break;
          }
        }
        const next: number = at.entries[entryAt + ENTRY_NEXT]!;
        if (next === NO_LINK) this.segment[i] = null;
        else {
          const behind: Segment = slots[next >>> 16]!;
          this.segment[i] = behind;
          this.entry[i] = next & 0xffff;
          this.from[i] = behind.entryStart(next & 0xffff);
        }
      }
    }
  }
}
