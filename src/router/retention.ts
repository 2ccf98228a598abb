// Retention: how much readers may owe. Once a second, room or not: of a filter's QoS 0 messages its retention, of
// QoS 1 and 2 messages the session's quota; the oldest goes. And when the log's budget is used up, in this order, what
// gives way: what nobody owes any more; what is beyond those bounds; what sparse old segments hold beside the few
// messages that somebody owes; QoS 0 messages of readers that lag and for which no publisher waits; what sessions that
// are offline or do not move are owed. Then there is no room, and publishers are refused or wait. What is skipped is
// counted to the message.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { Cleaner, type CleanerOwner, type Position } from "../log/cleaner.ts";
import type { CommitLog } from "../log/commitLog.ts";
import type { RecordMarks } from "../log/recordMarks.ts";
import { ENTRY_CLASS, ENTRY_STRIDE, type Pinned, type Segment } from "../log/segment.ts";
import { errors } from "../packet/error.ts";
import { frameBytes } from "../packet/frame.ts";
import { InflightState } from "../session/inflight.ts";
import { type Reader, ReaderState } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { Debt } from "./debt.ts";
import { type Filters, patienceMs } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { earliest } from "./position.ts";
import { classQos } from "./runClass.ts";
import type { RouterSettings } from "./settings.ts";
import type { ShareGroups } from "./shareGroup.ts";
import type { Stats } from "./stats.ts";

/** A client that acknowledges nothing for so long may be closed when the log is full of what it was sent. */
const ACKNOWLEDGE_MS = 5_000;

/** What the housekeeping of one tick may look at: readers, and stretches of the log that they owe. */
const READERS_PER_TICK = 65_536;
const STRETCHES_PER_TICK = 10_000;

/** While nobody moves, what is owed to those that are connected is kept for so many times `stallMs`. */
const ALL_STALLED = 10;
/** So long the whole log is not looked through again after it was, and there was nothing to gain. */
const IN_VAIN_MS = 5;

const EVERYTHING = Number.POSITIVE_INFINITY;

export class Retention implements CleanerOwner {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly lanes: Lanes;
  private readonly groups: ShareGroups;
  private readonly settings: RouterSettings;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly cleaner: Cleaner;
  private readonly condemned = new Set<Session>();
  /** The readers that this round of housekeeping has still to look at; null between two rounds. */
  private round: Iterator<Reader> | null = null;
  private readonly debt: Debt;
  private readonly retentionByFilter: ReadonlyMap<string, number>;
  private inVainMs = Number.NEGATIVE_INFINITY;
  private tidiedMs = Number.NEGATIVE_INFINITY;
  /** Kept for the cleaner, so that it can work when nothing else is free. */
  private spare: Segment | null;

  constructor(
    log: CommitLog,
    filters: Filters,
    lanes: Lanes,
    groups: ShareGroups,
    settings: RouterSettings,
    stats: Stats,
    clock: Clock,
    cleanerBudget: Budget,
  ) {
    this.log = log;
    this.filters = filters;
    this.lanes = lanes;
    this.groups = groups;
    this.settings = settings;
    this.stats = stats;
    this.clock = clock;
    this.cleaner = new Cleaner(log, this, cleanerBudget);
    this.debt = new Debt(log, filters, lanes, stats);
    this.retentionByFilter = new Map(settings.retentionByFilter.map(({ filter, bytes }) => [filter, bytes]));
    this.spare = log.obtainForCleaner(0, 0);
    assert(this.spare !== null, "the log's budget has room for the cleaner's segment");
  }

  get rewrites(): number {
    return this.cleaner.rewrites;
  }

  /** Frees at least one segment; false when everything that is left must stay, or had to a moment ago. */
  makeRoom(): boolean {
    const now = this.clock.nowMs();
    if (now - this.inVainMs < IN_VAIN_MS) return false;
    const oldest = this.log.oldest;
    this.boundReaders(oldest);
    if (this.releasedPast(oldest)) return true;
    if (this.clean()) return true;
    this.cutQos0(oldest, (reader) => this.isLeftBehind(reader));
    if (this.releasedPast(oldest) || this.clean()) return true;
    this.shrinkQueues(oldest);
    if (this.releasedPast(oldest) || this.clean()) return true;
    this.condemn(oldest);
    this.inVainMs = now;
    return false;
  }

  /** Rewrites sparse old segments before the log is full; there may be none. */
  tidy(): void {
    const now = this.clock.nowMs();
    if (now - Math.max(this.tidiedMs, this.inVainMs) < IN_VAIN_MS) return;
    this.log.release();
    if (!this.clean()) this.tidiedMs = now;
  }

  /**
   * Clients that hold the full log's oldest segments are to be closed: those that acknowledge nothing for long, and
   * those that stopped reading within a frame that lies there.
   */
  private condemn(oldest: Segment): void {
    const now = this.clock.nowMs();
    for (const { session } of this.pinnedIn(oldest)) {
      if (session === null || session.port === null || session.inflight.count === 0) continue;
      if (now - session.acknowledgedMs >= ACKNOWLEDGE_MS) this.condemned.add(session);
    }
    for (let segment: Segment | null = oldest; segment !== null; segment = segment.newer) {
      for (const reader of this.pinnedIn(segment)) {
        const port = reader.session?.port ?? null;
        if (port !== null && port.tailSegment !== null && this.hasStalled(reader))
          this.condemned.add(reader.session!);
      }
    }
  }

  /** Closes condemned clients; not within an append, because their wills are appends. */
  closeCondemned(): void {
    for (const session of this.condemned) session.port?.disconnect(errors.quotaExceeded);
    this.condemned.clear();
  }

  private releasedPast(oldest: Segment): boolean {
    this.log.release();
    return this.log.oldest !== oldest;
  }

  private clean(): boolean {
    if (this.spare === null) this.spare = this.log.obtainForCleaner(0, 0);
    if (this.spare === null) return false;
    const target = this.spare;
    if (!this.cleaner.clean(target)) return false;
    this.lanes.forgetBatches();
    if (this.log.isLive(target)) this.spare = this.log.obtainForCleaner(0, 0);
    return true;
  }

  private pinnedIn(segment: Segment): Reader[] {
    const readers: Reader[] = [];
    for (let reader = segment.pinned; reader !== null; reader = reader.pinnedNext)
      readers.push(reader as Reader);
    return readers;
  }

  /** Applies the bounds that hold in any case to readers whose oldest message lies in `segment`. */
  private boundReaders(segment: Segment): void {
    for (const reader of this.pinnedIn(segment)) this.bound(reader);
  }

  /**
   * Once a second: the bounds hold also while there is room. A round goes on where the last tick had looked at enough.
   */
  tick(sessions: Iterable<Session>): void {
    const stretches = this.debt.steps + STRETCHES_PER_TICK;
    this.round ??= this.readers(sessions);
    for (let looked = 0; looked < READERS_PER_TICK && this.debt.steps < stretches; looked++) {
      const { done, value } = this.round.next();
      if (done === true) {
        this.round = null;
        break;
      }
      if (value.pending.length > 0) this.bound(value);
    }
    this.log.release();
    this.log.trim();
  }

  private *readers(sessions: Iterable<Session>): Generator<Reader, void> {
    for (const { reader } of sessions) yield reader;
    yield* this.groups.readers();
  }

  private bound(reader: Reader): void {
    this.boundLag(reader);
    const { session } = reader;
    if (session === null || !this.mayExceedQuota(session)) return;
    if (reader.state === ReaderState.Offline || reader.state === ReaderState.WindowFull)
      this.boundQueue(session);
    else if (reader.isLeftBehind || this.hasStalled(reader)) this.boundQueue(session);
  }

  /** Where the reader owes more of a filter than its retention, it skips that filter's oldest QoS 0 messages. */
  private boundLag(reader: Reader): void {
    if (!reader.pending.some((subscription) => this.isPastRetention(subscription))) return;
    this.debt.keepWithin(reader, (subscription) => this.mayOwe(subscription));
  }

  private isPastRetention(subscription: Subscription): boolean {
    const { filter, segment, entry, qos } = subscription;
    if (qos > 0 && classQos(segment!.entries[entry * ENTRY_STRIDE + ENTRY_CLASS]!) > 0) return false;
    return this.log.postings.bytes[filter]! - segment!.bytesBefore[entry]! > this.mayOwe(subscription);
  }

  /** Bytes of QoS 0 messages that the subscription may owe; what comes while nobody is there is not delivered. */
  private mayOwe(subscription: Subscription): number {
    const { reader } = subscription;
    const state = this.filters.stateOf(subscription);
    if (reader.state === ReaderState.Offline) return 0;
    const isHealthy = !reader.isLeftBehind && !this.hasStalled(reader);
    if (state.paced !== null && isHealthy) return EVERYTHING; // publishers wait for it to catch up
    if (state.retentionBytes < 0) {
      const own = this.retentionByFilter.get(this.filters.textOf(state));
      state.retentionBytes = own ?? this.settings.retentionBytes;
    }
    return state.retentionBytes;
  }

  private lagBytes(reader: Reader): number {
    let lag = 0;
    for (const { filter, segment, entry } of reader.pending) {
      lag = Math.max(lag, this.log.postings.bytes[filter]! - segment!.bytesBefore[entry]!);
    }
    return lag;
  }

  /** Lets lagging readers that pin `segment` and match `wanted` skip the older half of their QoS 0 debt. */
  private cutQos0(segment: Segment, wanted: (reader: Reader) => boolean): void {
    const middle = Math.floor((segment.sequence + this.log.active.sequence) / 2);
    for (const reader of this.pinnedIn(segment)) {
      if (!wanted(reader) || reader.pending.length === 0) continue;
      this.debt.skip(reader, 0, Math.max(middle, sequenceBehind(reader)));
    }
  }

  /** Sessions that pin `segment` and are offline or do not move give up the oldest segment of what they are owed. */
  private shrinkQueues(segment: Segment): void {
    const since = this.clock.nowMs() - ALL_STALLED * this.settings.stallMs;
    const someMove = this.someMove();
    for (const reader of this.pinnedIn(segment)) {
      const stands = someMove ? this.hasStalled(reader) : reader.progressMs < since;
      if (reader.state !== ReaderState.Offline && !stands) continue;
      this.debt.skip(reader, 2, Math.max(segment.sequence, sequenceBehind(reader)));
      const dropped = this.dropInflight(reader, segment);
      this.stats.quotaMessages += dropped;
      if (reader.session !== null) reader.session.quotaMessages += dropped;
    }
  }

  /** What an offline session had been sent from `segment` and not acknowledged goes too. Returns the messages. */
  private dropInflight(reader: Reader, segment: Segment): number {
    const { session } = reader;
    if (session === null || session.port !== null) return 0;
    const end = segment.baseOffset + segment.recordCount;
    let dropped = 0;
    for (const { identifier, offset, state } of session.inflight.ordered()) {
      if (offset >= end || state === InflightState.Released) continue;
      // The client may hold a QoS 2 message: its identifier stays taken until PUBCOMP.
      if (state === InflightState.Qos2) session.inflight.release(identifier);
      else session.inflight.settle(identifier);
      dropped++;
    }
    return dropped;
  }

  /** One of those that owe something moves: it is not the network, nor this machine, that stands still. */
  private someMove(): boolean {
    for (let segment: Segment | null = this.log.oldest; segment !== null; segment = segment.newer) {
      for (const reader of this.pinnedIn(segment))
        if (reader.state !== ReaderState.Offline && !this.hasStalled(reader)) return true;
    }
    return false;
  }

  private hasStalled({ progressMs, pending }: Reader): boolean {
    const { stallMs } = this.settings;
    const now = this.clock.nowMs();
    if (now - progressMs <= stallMs) return false;
    const [first] = pending;
    return first === undefined || now - progressMs > patienceMs(this.filters.stateOf(first), stallMs, now);
  }

  /** A QoS 0 reader that nobody waits for: it does not move, or it is far behind although publishers were not held. */
  private isLeftBehind(reader: Reader): boolean {
    if (this.isAwaited(reader)) return false;
    return (
      reader.isLeftBehind ||
      this.hasStalled(reader) ||
      this.lagBytes(reader) > 2 * this.settings.paceDebtBytes
    );
  }

  /** A healthy reader for which publishers are held back at this moment: what it owes is not cut. */
  private isAwaited(reader: Reader): boolean {
    if (reader.state === ReaderState.Offline || reader.isLeftBehind || this.hasStalled(reader)) return false;
    if ((reader.session?.port?.tailSegment ?? null) !== null) return true; // a large frame is on its way from here
    return reader.pending.some((subscription) => this.filters.stateOf(subscription).paced !== null);
  }

  /** Cheap, and often enough to know that the session is within its quota. */
  private mayExceedQuota({ reader, queueMessagesMax, queueBytesMax }: Session): boolean {
    const { count, bytes } = this.log.postings;
    let messagesOwed = 0;
    let bytesOwed = 0;
    for (const { filter, segment, entry } of reader.pending) {
      messagesOwed += count[filter]! - segment!.countBefore[entry]!;
      bytesOwed += bytes[filter]! - segment!.bytesBefore[entry]!;
    }
    if (messagesOwed <= queueMessagesMax && bytesOwed <= queueBytesMax) return false;
    return this.posted(reader, count) > reader.withinCount || this.posted(reader, bytes) > reader.withinBytes;
  }

  /** What the reader's filters have got since they began. */
  private posted({ subscriptions, session }: Reader, perFilter: Float64Array): number {
    let sum = session?.inbox == null ? 0 : perFilter[session.inbox.filter]!;
    for (const { filter } of subscriptions) sum += perFilter[filter]!;
    return sum;
  }

  /** Drops the oldest of what a session is owed until it is within its quota. [its listener's queue quotas] */
  boundQueue(session: Session): void {
    const { reader, queueMessagesMax, queueBytesMax } = session;
    if (reader.pending.length === 0) return;
    const owed = this.debt.owed(reader);
    const messages = owed.messages - queueMessagesMax;
    const bytes = owed.bytes - queueBytesMax;
    const { count, bytes: bytesOf } = this.log.postings;
    reader.withinCount = this.posted(reader, count) + Math.max(0, -messages);
    reader.withinBytes = this.posted(reader, bytesOf) + Math.max(0, -bytes);
    if (messages > 0 || bytes > 0) this.debt.skip(reader, 2, EVERYTHING, messages, bytes);
  }

  // ---- for the cleaner

  positionsOf(pinned: Pinned): readonly Position[] {
    return (pinned as Reader).pending;
  }

  markInflight(pinned: Pinned, marks: RecordMarks): void {
    const reader = pinned as Reader;
    if (reader.session !== null) reader.session.inflight.mark(marks);
    else for (const offset of this.groups.groupOf(reader)?.returned ?? []) marks.mark(offset);
  }

  heldBy(pinned: Pinned): Segment | null {
    return (pinned as Reader).session?.port?.tailSegment ?? null;
  }

  readonly recordBytes = frameBytes;
}

/** Age of the oldest segment in which the reader owes something. */
function sequenceBehind(reader: Reader): number {
  return earliest(reader)?.segment?.sequence ?? 0;
}
