// Fit: whether runs may go to a session as they lie in the log: as a whole, or with identifiers stamped into them where
// they lie. What does not fit is rendered. @hot

import type { Clock } from "../base/clock.ts";
import {
  ENTRY_CLASS,
  ENTRY_FIRST_RUN,
  ENTRY_FRAME_MAX,
  ENTRY_STRIDE,
  RUN_STRIDE,
  RUN_TIME,
  type Segment,
} from "../log/segment.ts";
import type { Reader } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { CLASS_EXPIRY, CLASS_HOLE, CLASS_INBOX, CLASS_RETAIN, CLASS_V5, classQos } from "./runClass.ts";

export class Fit {
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The runs of `entry` may go to this session as they lie. */
  isRaw(reader: Reader, session: Session, s: Subscription, segment: Segment, entry: number): boolean {
    const runClass = segment.entries[entry * ENTRY_STRIDE + ENTRY_CLASS]!;
    if ((runClass & CLASS_HOLE) !== 0 || this.effectiveQos(reader, s, runClass) !== 0) return false;
    if (!this.isUnchanged(session, segment, entry)) return false;
    return reader.uniformQos === 0 || session.qos0From <= segment.baseOffset;
  }

  /** The runs of `entry` may go to this session with identifiers stamped where they lie. */
  isInPlace(reader: Reader, session: Session, s: Subscription, segment: Segment, entry: number): boolean {
    const runClass = segment.entries[entry * ENTRY_STRIDE + ENTRY_CLASS]!;
    if ((runClass & CLASS_HOLE) === 0 || this.effectiveQos(reader, s, runClass) !== classQos(runClass))
      return false;
    return this.isUnchanged(session, segment, entry);
  }

  /** Now, in seconds of the log. */
  second(): number {
    return (this.clock.nowMs() / 1000) >>> 0;
  }

  /** The frames of `entry` are of the session's protocol and may be sent unchanged as far as all readers go. */
  private isUnchanged(session: Session, segment: Segment, entry: number): boolean {
    const at = entry * ENTRY_STRIDE;
    const runClass = segment.entries[at + ENTRY_CLASS]!;
    if ((runClass & CLASS_INBOX) !== 0 || ((runClass & CLASS_V5) !== 0) !== session.v5) return false;
    if (segment.entries[at + ENTRY_FRAME_MAX]! > session.frameMax || session.aliasMax > 0) return false;
    if (session.judgedBelow > segment.baseOffset) return false;
    if ((runClass & CLASS_EXPIRY) === 0) return true;
    const first = segment.entries[at + ENTRY_FIRST_RUN]!;
    return segment.runs[first * RUN_STRIDE + RUN_TIME]! === this.second();
  }

  /** The QoS that every message of the class has for this reader, whose options change nothing; -1: it depends. */
  private effectiveQos(reader: Reader, s: Subscription, runClass: number): number {
    if (reader.uniformQos >= 0) return Math.min(reader.uniformQos, classQos(runClass));
    if (reader.subscriptions.length > 1 || s.noLocal || s.identifier !== 0) return -1;
    if (s.retainAsPublished && (runClass & CLASS_RETAIN) !== 0) return -1;
    return Math.min(s.qos, classQos(runClass));
  }
}
