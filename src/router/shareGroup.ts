// Share group, §4.8.2: one reader over the log whose deliveries go to its members in turn. A message is handed to a
// member at the moment of its write, so nothing waits with a member that stalls. What a member has not acknowledged
// at QoS 1 when its connection ends comes back and goes to another; QoS 2 stays with its session. [MQTT-4.8.2-4, -5]

import type { Offset } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "../log/commitLog.ts";
import {
  ENTRY_FIRST_RUN,
  ENTRY_STRIDE,
  pinBack,
  RUN_FIRST,
  RUN_STRIDE,
  type Segment,
} from "../log/segment.ts";
import { InflightState } from "../session/inflight.ts";
import { Reader, ReaderState } from "../session/reader.ts";
import type { GroupMembership, Session } from "../session/session.ts";
import { Subscription, type SubscriptionOptions } from "../session/subscription.ts";
import { BATCH_PIECES_MAX, type Batch, BatchKind } from "./batch.ts";
import type { Filters } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { advanceTo } from "./position.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import { recordsBefore } from "./render.ts";
import type { SharedStrategy } from "./settings.ts";
import { renderSingle } from "./single.ts";
import type { Stats } from "./stats.ts";

/** Deliveries of one group in one turn. */
const WRITES_PER_TURN = 32;

interface Member {
  readonly session: Session;
  options: SubscriptionOptions;
}

export class ShareGroup implements GroupMembership {
  readonly number: number;
  readonly key: string;
  readonly reader = new Reader(null);
  readonly subscription: Subscription;
  readonly members: Member[] = [];
  next = 0;
  /** Messages that came back from a member, oldest first. */
  returned: Offset[] = [];

  constructor(number: number, key: string, filter: Subscription["filter"], options: SubscriptionOptions) {
    this.number = number;
    this.key = key;
    this.subscription = new Subscription(this.reader, filter, key, options);
    this.reader.subscriptions.push(this.subscription);
    this.reader.uniformQos = -1;
    this.reader.state = ReaderState.CaughtUp;
  }
}

export class ShareGroups {
  private readonly byKey = new Map<string, ShareGroup>();
  private readonly byReader = new Map<Reader, ShareGroup>();
  private readonly byNumber = new Map<number, ShareGroup>();
  private nextNumber = 1;
  private readonly batch: Batch;
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly ready: ReadyQueue;
  private readonly lanes: Lanes;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly strategy: SharedStrategy;
  private random: number;

  constructor(
    log: CommitLog,
    filters: Filters,
    ready: ReadyQueue,
    lanes: Lanes,
    stats: Stats,
    clock: Clock,
    strategy: SharedStrategy,
    seed: number,
  ) {
    this.log = log;
    this.filters = filters;
    this.ready = ready;
    this.lanes = lanes;
    this.batch = lanes.single;
    this.stats = stats;
    this.clock = clock;
    this.strategy = strategy;
    this.random = seed | 1;
  }

  get count(): number {
    return this.byKey.size;
  }

  /** The session joins (or, a member already, changes its options). */
  join(session: Session, name: string, filter: string, options: SubscriptionOptions): void {
    const key = `${name}/${filter}`;
    let group = this.byKey.get(key);
    if (group === undefined) {
      const state = this.filters.begin(filter);
      group = new ShareGroup(this.nextNumber++, key, state.id, options);
      this.filters.attach(state, group.subscription);
      this.byKey.set(key, group);
      this.byReader.set(group.reader, group);
      this.byNumber.set(group.number, group);
    }
    const member = group.members.find((m) => m.session === session);
    if (member !== undefined) member.options = options;
    else {
      group.members.push({ session, options });
      if (session.groups.length === 0) session.groups = [group];
      else session.groups.push(group);
    }
    this.stir(group);
  }

  leave(session: Session, name: string, filter: string): void {
    const group = this.byKey.get(`${name}/${filter}`);
    if (group !== undefined) this.remove(session, group);
  }

  /** The session ends. */
  leaveAll(session: Session): void {
    for (const membership of [...session.groups]) {
      const group = this.byReader.get(membership.reader);
      if (group !== undefined) this.remove(session, group);
    }
  }

  private remove(session: Session, group: ShareGroup): void {
    const index = group.members.findIndex((member) => member.session === session);
    if (index < 0) return;
    group.members.splice(index, 1);
    session.groups = session.groups.filter((other) => other !== group);
    if (group.members.length > 0) {
      this.stir(group);
      return;
    }
    this.byKey.delete(group.key);
    this.byReader.delete(group.reader);
    this.byNumber.delete(group.number);
    group.returned = [];
    group.reader.state = ReaderState.Offline;
    group.subscription.segment = null;
    group.reader.pending.length = 0;
    this.filters.detach(group.subscription);
  }

  /** The session's connection is gone: its unacknowledged QoS 1 messages go back to their groups. */
  handBack(session: Session): void {
    if (session.inflight.count === 0) return;
    for (const { identifier, offset, state, origin } of session.inflight.ordered()) {
      const group = this.byNumber.get(origin);
      if (group === undefined || state !== InflightState.Qos1) continue;
      session.inflight.settle(identifier);
      const segment = this.log.segmentOf(offset);
      if (segment === null) continue;
      pinBack(segment, group.reader);
      group.returned.push(offset);
      group.returned.sort((a, b) => a - b);
      this.stir(group);
    }
  }

  /** The session may take more: its socket drained, its window opened, it came back. */
  roomIn(session: Session): void {
    for (const membership of session.groups) {
      const state = membership.reader.state;
      if (state === ReaderState.SocketFull || state === ReaderState.WindowFull)
        this.ready.push(membership.reader);
    }
  }

  private stir(group: ShareGroup): void {
    if (group.returned.length > 0 || group.reader.pending.length > 0) this.ready.push(group.reader);
  }

  readers(): IterableIterator<Reader> {
    return this.byReader.keys();
  }

  all(): ShareGroup[] {
    return [...this.byKey.values()];
  }

  groupOf(reader: Reader): ShareGroup | undefined {
    return this.byReader.get(reader);
  }

  /** Writes for a group until it is caught up, no member can take more, or its share of the turn is used. */
  serve(reader: Reader): number {
    const group = this.byReader.get(reader);
    if (group === undefined) {
      reader.state = ReaderState.Offline;
      return 0;
    }
    const before = this.stats.bytesOut;
    for (let writes = 0; writes < WRITES_PER_TURN; writes++) {
      if (group.returned.length === 0 && reader.pending.length === 0) {
        reader.state = ReaderState.CaughtUp;
        reader.isLeftBehind = false;
        return this.stats.bytesOut - before;
      }
      const eligible = this.eligible(group);
      if (eligible === 0) {
        reader.state = ReaderState.SocketFull;
        return this.stats.bytesOut - before;
      }
      const member = this.choose(group);
      if (group.returned.length > 0) this.writeReturned(group, member);
      else this.writeShare(group, member, eligible);
      this.batch.shrink();
    }
    this.ready.push(reader);
    return this.stats.bytesOut - before;
  }

  private eligible(group: ShareGroup): number {
    let count = 0;
    for (const member of group.members) if (canTake(member.session)) count++;
    return count;
  }

  /** The member whose turn it is, among those that can take a message; there is one. */
  private choose(group: ShareGroup): Member {
    const members = group.members;
    if (this.strategy === "random") {
      this.random = (Math.imul(this.random, 1_103_515_245) + 12_345) >>> 0;
      group.next = (this.random >>> 8) % members.length;
    }
    if (group.next >= members.length) group.next = 0;
    while (!canTake(members[group.next]!.session)) group.next = (group.next + 1) % members.length;
    const member = members[group.next]!;
    if (this.strategy !== "sticky") group.next = (group.next + 1) % members.length;
    return member;
  }

  /** Hands the member its part of what the group owes: an even share among those that can take some. */
  private writeShare(group: ShareGroup, member: Member, eligible: number): void {
    const { subscription, reader } = group;
    const { session, options } = member;
    subscription.qos = options.qos;
    subscription.identifier = options.identifier;
    subscription.retainAsPublished = options.retainAsPublished;
    const segment = subscription.segment!;
    const owed = this.owed(subscription, segment);
    const batch = this.batch;
    const second = (this.clock.nowMs() / 1000) >>> 0;
    batch.begin(reader, session, second, this.log.head, BatchKind.Rendered, false);
    batch.piecesMax = Math.min(BATCH_PIECES_MAX, Math.max(1, Math.ceil(owed / eligible)));
    this.lanes.renderer.build(batch, reader, session, second, session.window - session.inflight.count);
    const gone = this.send(group, session);
    if (gone < batch.pieces) {
      if (gone > 0) this.moved(group, batch.source[gone - 1]!, batch.sourceByte[gone - 1]!);
    } else if (batch.endSegment !== null) {
      batch.countDropped(this.stats);
      this.moved(group, batch.endSegment, batch.endByte);
    }
  }

  /** Messages of the group's filter behind its position. */
  private owed(subscription: Subscription, segment: Segment): number {
    const { filter, entry, from } = subscription;
    const firstRun = segment.entries[entry * ENTRY_STRIDE + ENTRY_FIRST_RUN]!;
    const run = segment.runAtByte(from);
    const read =
      segment.runs[run * RUN_STRIDE + RUN_FIRST]! -
      segment.runs[firstRun * RUN_STRIDE + RUN_FIRST]! +
      recordsBefore(segment, run, from);
    return this.log.postings.count[filter]! - segment.countBefore[entry]! - read;
  }

  private moved(group: ShareGroup, segment: Segment, to: number): void {
    const subscription = group.subscription;
    advanceTo(this.log.segments, subscription, this.filters.stateOf(subscription), segment, to);
    group.reader.progressMs = this.clock.nowMs();
  }

  /** Writes the batch to the member. Returns how many of its pieces have left or are kept to leave. */
  private send(group: ShareGroup, session: Session): number {
    const batch = this.batch;
    const port = session.port!;
    const pieces = this.lanes.stamp(batch, session, group.number);
    if (pieces > 0) pinBack(batch.source[0]!, session.reader); // what is in flight or half written stays
    if (pieces < batch.pieces) this.lanes.renderer.forgetAliases(session, pieces);
    if (pieces === 0) return 0;
    const length = batch.at[pieces]!;
    const wrote = port.write(batch.bytes, 0, length);
    if (wrote >= 0) this.stats.bytesOut += wrote;
    if (wrote === length) {
      if (!this.lanes.wroteWhole(batch, session, port, pieces)) session.reader.state = ReaderState.SocketFull;
      return pieces;
    }
    if (session.port === port) session.reader.state = ReaderState.SocketFull;
    return this.lanes.keepCutPieces(batch, session, port, pieces, Math.max(0, wrote));
  }

  /** Sends one message that came back from another member. */
  private writeReturned(group: ShareGroup, member: Member): void {
    const offset = group.returned[0]!;
    const batch = this.batch;
    const { session, options } = member;
    const second = (this.clock.nowMs() / 1000) >>> 0;
    batch.begin(group.reader, session, second, this.log.head, BatchKind.Rendered, false);
    if (renderSingle(this.log, this.lanes.renderer, batch, session, offset, options, second)) {
      if (this.send(group, session) === 0) return;
    }
    group.returned.shift();
  }
}

/** Nothing holds the session back: connected, socket free, room in its window. */
function canTake(session: Session): boolean {
  const port = session.port;
  return (
    port !== null &&
    !port.owes &&
    !session.reader.cut &&
    session.reader.state !== ReaderState.SocketFull &&
    session.inflight.count < session.window &&
    session.redelivered === session.redelivery.length
  );
}
