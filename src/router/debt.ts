// Debt: what a reader still has to be sent, counted, and cut short at its old end. Filters are merged by position, as
// rendering does it, so that a message that several of them match counts once. What is skipped is counted to the
// message.

import type { CommitLog } from "../log/commitLog.ts";
import { RUN_FIRST, RUN_PUBLISHER, RUN_STRIDE, type Segment } from "../log/segment.ts";
import { frameBytes } from "../packet/frame.ts";
import type { Reader } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Filters } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { bytesGot } from "./pacing.ts";
import { park } from "./position.ts";
import { recordsBefore } from "./render.ts";
import type { Stats } from "./stats.ts";
import { Walk } from "./walk.ts";

/** QoS 1 and 2 messages, and their bytes. */
export interface Owed {
  messages: number;
  bytes: number;
}

const EVERYTHING = Number.POSITIVE_INFINITY;

export class Debt {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly lanes: Lanes;
  private readonly stats: Stats;
  private readonly walk = new Walk();
  /** Where filters stay while the walk goes on; and the bytes that each is still to skip. */
  private readonly kept = new Walk();
  private readonly excess: number[] = [];
  /** Stretches that were looked at, ever: what counting and cutting cost. */
  steps = 0;

  constructor(log: CommitLog, filters: Filters, lanes: Lanes, stats: Stats) {
    this.log = log;
    this.filters = filters;
    this.lanes = lanes;
    this.stats = stats;
  }

  /** Messages that the reader has not been sent. */
  owed(reader: Reader): Owed {
    const owed: Owed = { messages: 0, bytes: 0 };
    this.eachStretch(reader, (segment, from, stop, qos) => {
      if (qos > 0) {
        const run = segment.runAtByte(from);
        owed.messages += recordsBefore(segment, run, stop) - recordsBefore(segment, run, from);
        owed.bytes += stop - from;
      }
      return stop;
    });
    return owed;
  }

  /**
   * Moves the reader past messages of at most `qosMax` at the head of its debt: to the first one of a higher QoS,
   * past segments up to `sequenceMax`, or until so many QoS 1 and 2 messages and bytes are gone.
   */
  skip(
    reader: Reader,
    qosMax: number,
    sequenceMax: number,
    messagesMax = EVERYTHING,
    bytesMax = EVERYTHING,
  ): void {
    const limited = messagesMax !== EVERYTHING;
    let messages = 0;
    let bytes = 0;
    this.lanes.endCut(reader);
    this.eachStretch(reader, (segment, from, stop, qos) => {
      if (qos > qosMax || segment.sequence > sequenceMax) return from;
      let at = from;
      while (at < stop) {
        if (limited && messages >= messagesMax && bytes >= bytesMax) break;
        const length = frameBytes(segment.bytes, at);
        at += length;
        if (qos <= 0) continue;
        messages++;
        bytes += length;
      }
      if (qos === 0) this.countQos0(reader, segment, from, at);
      return at;
    });
    this.apply(reader, this.walk);
    this.stats.quotaMessages += messages;
    if (reader.session !== null) reader.session.quotaMessages += messages;
  }

  /**
   * Moves each filter of which the reader owes more than `bytesMax` says past the oldest QoS 0 messages of that
   * filter, until it is within it or a message of a higher QoS is next. What another filter still brings is not gone.
   */
  keepWithin(reader: Reader, bytesMax: (subscription: Subscription) => number): void {
    this.lanes.endCut(reader);
    const { pending } = reader;
    const { walk, kept, excess } = this;
    for (let i = 0; i < pending.length; i++) {
      const subscription = pending[i]!;
      const debt = this.log.postings.bytes[subscription.filter]! - bytesGot(subscription);
      excess[i] = Math.max(0, debt - bytesMax(subscription));
    }
    walk.begin(reader);
    kept.begin(reader);
    while (this.isOver(pending.length)) {
      const first = walk.earliest(pending.length);
      const segment = walk.segment[first]!;
      const from = walk.from[first]!;
      const stop = this.stretch(reader, segment, from);
      const at = this.cutStretch(reader, segment, from, stop);
      walk.advance(this.log.segments, pending.length, segment, at);
      for (let i = 0; i < pending.length; i++) {
        const stayed = walk.segment[i] === kept.segment[i] && walk.from[i] === kept.from[i];
        if (excess[i] === 0 || stayed) continue;
        kept.set(i, walk);
        excess[i] = Math.max(0, excess[i]! - (at - from));
      }
    }
    this.apply(reader, kept);
  }

  private isOver(count: number): boolean {
    for (let i = 0; i < count; i++) if (this.excess[i]! > 0) return true;
    return false;
  }

  /** How far the filters that bring segment.bytes[from..stop) skip of it; those that may not skip it are done. */
  private cutStretch(reader: Reader, segment: Segment, from: number, stop: number): number {
    const { walk, excess } = this;
    const { pending } = reader;
    const { qos } = this.lanes.renderer.view;
    let wanted = EVERYTHING;
    let isGone = qos === 0;
    for (let i = 0; i < pending.length; i++) {
      if (walk.segment[i] !== segment || walk.from[i] !== from) continue;
      if (qos > 0) excess[i] = 0;
      else if (excess[i]! > 0) wanted = Math.min(wanted, excess[i]!);
      else if (!isOwn(pending[i]!, segment, from)) isGone = false;
    }
    if (wanted >= stop - from) {
      if (isGone) this.countQos0(reader, segment, from, stop);
      return stop;
    }
    let at = from;
    while (at - from < wanted) at += frameBytes(segment.bytes, at);
    if (isGone) this.countQos0(reader, segment, from, at);
    return at;
  }

  /**
   * QoS 0 messages of one stretch are skipped: a gap, unless they were published while the session's client was away
   * and would not have been delivered.
   */
  private countQos0(reader: Reader, segment: Segment, from: number, to: number): void {
    const { session } = reader;
    const run = segment.runAtByte(from);
    const before = recordsBefore(segment, run, from);
    const count = recordsBefore(segment, run, to) - before;
    const first = segment.baseOffset + segment.runs[run * RUN_STRIDE + RUN_FIRST]! + before;
    const awayBelow = session === null ? 0 : session.port === null ? EVERYTHING : session.qos0From;
    const away = Math.min(count, Math.max(0, awayBelow - first));
    this.stats.offlineQos0 += away;
    this.stats.gapMessages += count - away;
    if (session !== null) session.gapMessages += count - away;
  }

  /** Calls `visit` for each stretch of the reader's debt; it returns how far it went, and less than `stop` ends. */
  private eachStretch(
    reader: Reader,
    visit: (segment: Segment, from: number, stop: number, qos: number) => number,
  ): void {
    const { walk } = this;
    walk.begin(reader);
    for (;;) {
      const first = walk.earliest(reader.pending.length);
      if (first < 0) return;
      const segment = walk.segment[first]!;
      const from = walk.from[first]!;
      const stop = this.stretch(reader, segment, from);
      const done = visit(segment, from, stop, this.lanes.renderer.view.qos);
      if (done > from) walk.advance(this.log.segments, reader.pending.length, segment, done);
      if (done < stop) return;
    }
  }

  private stretch(reader: Reader, segment: Segment, from: number): number {
    this.steps++;
    return this.lanes.renderer.stretch(this.walk, reader, reader.session?.number ?? 0, segment, from);
  }

  /** The reader stands where `walk` does. */
  private apply(reader: Reader, walk: Walk): void {
    for (let i = reader.pending.length - 1; i >= 0; i--) {
      const subscription = reader.pending[i]!;
      const segment = walk.segment[i]!;
      if (segment === null) park(subscription, this.filters.stateOf(subscription));
      else {
        subscription.segment = segment;
        subscription.entry = walk.entry[i]!;
        subscription.from = walk.from[i]!;
      }
    }
  }
}

/** No Local keeps the message at `from` from this subscription. */
function isOwn({ noLocal, reader }: Subscription, segment: Segment, from: number): boolean {
  return (
    noLocal && segment.runs[segment.runAtByte(from) * RUN_STRIDE + RUN_PUBLISHER] === reader.session?.number
  );
}
