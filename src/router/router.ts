// Router: one log with its sessions, single-threaded, the only writer and reader of its log. This file wires the
// parts together and is all that net and the services see of them.

import type { Clock } from "../base/clock.ts";
import { CommitLog, type LogOwner } from "../log/commitLog.ts";
import type { Pinned, Segment } from "../log/segment.ts";
import type { Will } from "../packet/will.ts";
import { InflightSlab } from "../session/inflight.ts";
import type { DeliveryPort } from "../session/ports.ts";
import { type Reader, ReaderState } from "../session/reader.ts";
import type { ConnectionTerms, Session } from "../session/session.ts";
import { Acknowledge } from "./acknowledge.ts";
import { type Budgets, divide, segmentShape } from "./budgets.ts";
import { Filters } from "./filters.ts";
import { Ingest } from "./ingest.ts";
import { Lanes } from "./lanes.ts";
import { Latency } from "./latency.ts";
import { LocalPublish } from "./localPublish.ts";
import { Pacing } from "./pacing.ts";
import { earliest } from "./position.ts";
import { Publisher, type PublisherTerms } from "./publisher.ts";
import { ReadyQueue, type Scheduler } from "./readyQueue.ts";
import { Redelivery } from "./redelivery.ts";
import { Replays } from "./replay.ts";
import { Retained } from "./retained.ts";
import { Retention } from "./retention.ts";
import { Revision } from "./revision.ts";
import { type Resumed, Sessions } from "./sessions.ts";
import type { RouterSettings } from "./settings.ts";
import { ShareGroups } from "./shareGroup.ts";
import { Stats } from "./stats.ts";
import { Subscribe } from "./subscribe.ts";

export interface RouterPorts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Decides hash collisions and random share groups. */
  readonly seed: number;
}

/** How a message of the broker itself is published; `properties` are PUBLISH property bytes without their length. */
export interface LocalMessage {
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties?: Uint8Array;
}

const NO_PROPERTIES = new Uint8Array(0);

/** Share of the log's budget that is free below which publishers are held before they are read. */
const NEARLY_FULL = 0.6;
/** The most that a socket delivers at one time, bytes. */
export const CHUNK_BYTES_MAX = 512 * 1024;

export class Router implements LogOwner {
  readonly settings: RouterSettings;
  readonly clock: Clock;
  readonly stats = new Stats();
  readonly budgets: Budgets;
  readonly log: CommitLog;
  readonly filters: Filters;
  readonly ready: ReadyQueue;
  readonly pacing: Pacing;
  readonly latency: Latency;
  readonly retained: Retained;
  readonly ingest: Ingest;
  readonly lanes: Lanes;
  readonly groups: ShareGroups;
  readonly replays: Replays;
  readonly subscriptions: Subscribe;
  readonly acknowledgements: Acknowledge;
  readonly sessions: Sessions;
  private readonly redelivery: Redelivery;
  private readonly revision: Revision;
  private readonly retention: Retention;
  private readonly local: LocalPublish;

  constructor(settings: RouterSettings, ports: RouterPorts) {
    const { clock, scheduler, seed } = ports;
    this.settings = settings;
    this.clock = clock;
    const budgets = divide(settings.memoryBytes);
    this.budgets = budgets;
    const { stats } = this;
    const log = new CommitLog(segmentShape(budgets.log.bytesMax), budgets.log, this);
    this.log = log;
    this.ready = new ReadyQueue(scheduler);
    this.filters = new Filters(log, this.ready, clock, seed);
    this.pacing = new Pacing(log.postings, clock, settings.paceDebtBytes, settings.stallMs);
    this.retained = new Retained(budgets.retained, clock, seed);
    this.latency = new Latency(clock);
    const { pacing, retained, latency } = this;
    this.ingest = new Ingest(log, this.filters, pacing, retained, this.ready, latency, stats, clock);
    const { batchMessagesMax } = settings;
    this.lanes = new Lanes(log, this.filters, this.ready, stats, clock, batchMessagesMax, budgets);
    const { filters, ready, lanes } = this;
    this.groups = new ShareGroups(log, filters, ready, lanes, stats, clock, settings.sharedStrategy, seed);
    this.replays = new Replays(log, filters, this.retained, this.ingest, budgets.sessions);
    const { groups, replays } = this;
    this.subscriptions = new Subscribe(filters, groups, replays, lanes, budgets.sessions, stats);
    this.revision = new Revision(log, filters, this.subscriptions, stats);
    this.acknowledgements = new Acknowledge(ready, lanes, stats, clock, (session) =>
      this.groups.roomIn(session),
    );
    this.redelivery = new Redelivery(log, lanes, this.acknowledgements, stats, clock);
    const { cleaner } = budgets;
    this.retention = new Retention(log, filters, lanes, groups, settings, stats, clock, cleaner);
    this.local = new LocalPublish(log, filters, this.ingest, this.retained, clock);
    this.sessions = new Sessions({
      log,
      filters,
      ready,
      lanes,
      retention: this.retention,
      groups: this.groups,
      subscriptions: this.subscriptions,
      revision: this.revision,
      slab: new InflightSlab(budgets.inflight),
      budget: budgets.sessions,
      stats,
      clock,
      publishWill: (session, will) => this.publishWill(session, will),
    });
    for (const filter of settings.initializedFilters) filters.begin(filter).keep = true;
    ready.start(
      (reader) => this.serve(reader),
      () => this.afterTurn(),
    );
  }

  /** Every few milliseconds: readers may have stopped holding publishers without any event that says so. */
  relax(): void {
    this.retention.closeCondemned();
    this.checkPacing();
    const { log, pacing, replays } = this;
    if (!replays.isWaiting && !pacing.waitsForRoom) return;
    if (!pacing.waitsForRoom) {
      if (replays.isShort) this.retention.tidy();
    } else if (log.hasRoom || this.makeRoom()) pacing.letSomeGo(this.chunkRoom);
    replays.retry(({ reader }) => this.ready.push(reader));
  }

  /** So many publishers may be let deliver a chunk now: it is appended, or it waits within its budget. */
  get chunkRoom(): number {
    const { used, bytesMax } = this.budgets.parked;
    return Math.ceil((this.log.freeBytes + bytesMax - used - CHUNK_BYTES_MAX) / CHUNK_BYTES_MAX / 2);
  }

  /** relax() has work: it is to be called every few milliseconds. */
  get isPressed(): boolean {
    return this.pacing.pacedFilters > 0 || this.pacing.waitsForRoom || this.replays.isWaiting;
  }

  private afterTurn(): void {
    this.latency.turned(this.ready);
    this.checkPacing();
  }

  private checkPacing(): void {
    if (this.pacing.pacedFilters > 0) this.pacing.check();
  }

  private serve(reader: Reader): number {
    const session = reader.session;
    if (session === null) return this.groups.serve(reader);
    if (session.port !== null && session.redelivered < session.redelivery.length) {
      const done = this.redelivery.serve(session, this.lanes);
      if (!done) return 0;
    }
    if (session.replays.length > 0 && session.port !== null) this.replays.more(session);
    const bytes = this.lanes.serve(reader);
    if (session.replays.length > 0 && reader.state === ReaderState.CaughtUp) {
      if (this.replays.more(session) && reader.pending.length > 0) this.ready.push(reader);
    }
    if (session.groups.length > 0 && reader.state !== ReaderState.SocketFull) this.groups.roomIn(session);
    if (session.hasStaleRules && reader.pending.length === 0) this.revision.settle(session);
    return bytes;
  }

  /** The session of a new connection; null when there is no memory for one more. */
  open(
    clientIdentifier: string,
    cleanStart: boolean,
    port: DeliveryPort,
    terms: ConnectionTerms,
  ): Resumed | null {
    return this.sessions.open(clientIdentifier, cleanStart, port, terms);
  }

  publisher(session: Session, terms: PublisherTerms): Publisher {
    const { clientIdentifier } = session;
    session.retainedOwner =
      terms.retainedMax === Number.POSITIVE_INFINITY
        ? null
        : this.retained.owner(clientIdentifier, terms.retainedMax);
    const publisher = new Publisher(session, terms, this.budgets.sessions);
    this.pacing.begin(publisher);
    return publisher;
  }

  /**
   * A connected session has been given other rights: what they do not permit any more ends. True when it lost a
   * subscription, or may be sent less of one: its client is to be told, with 0x87 and a close.
   */
  rightsChanged(session: Session): boolean {
    this.filters.outdate(); // what its publisher remembers may not hold
    return this.revision.revise(session);
  }

  /** The socket of the session's connection takes bytes again. */
  writable(session: Session): void {
    const { reader } = session;
    if (reader.state === ReaderState.SocketFull || session.port?.owes) this.ready.push(reader);
    this.groups.roomIn(session);
  }

  /** Publishes a message of the broker itself. False when the log has no room: nothing was done. */
  publish(topic: string, payload: Uint8Array, options: LocalMessage): boolean {
    const { qos, retain, properties = NO_PROPERTIES } = options;
    return this.local.publish(topic, payload, qos, retain, properties, null);
  }

  private publishWill(session: Session, will: Will): boolean {
    const { rights } = session;
    if (!(rights?.mayPublish(will.topic) ?? true) || this.filters.isReserved(will.topic)) {
      this.stats.deniedPublishes++; // its rights may be others than when CONNECT was judged
      return true;
    }
    return this.local.publish(will.topic, will.payload, will.qos, will.retain, will.properties, session);
  }

  /** Once a second. */
  tick(): void {
    this.sessions.tick();
    this.acknowledgements.tick();
    this.retention.tick(this.sessions.all());
  }

  floorOf(pinned: Pinned): Segment | null {
    const reader = pinned as Reader;
    let floor = earliest(reader)?.segment ?? null;
    const session = reader.session;
    let oldest = Number.POSITIVE_INFINITY;
    if (session === null) oldest = this.groups.groupOf(reader)?.returned[0] ?? oldest;
    else {
      if (session.inflight.count > 0) oldest = session.inflight.oldestOffset();
      const tail = session.port?.tailSegment ?? null;
      if (tail !== null && (floor === null || tail.sequence < floor.sequence)) floor = tail;
    }
    if (oldest === Number.POSITIVE_INFINITY) return floor;
    for (let segment: Segment | null = this.log.oldest; segment !== null; segment = segment.newer) {
      if (oldest < segment.baseOffset + segment.recordCount) {
        return floor === null || segment.sequence < floor.sequence ? segment : floor;
      }
    }
    return floor;
  }

  rolled(free: number): void {
    this.pacing.room(this.log.freeBytes, free);
    if (free < NEARLY_FULL) this.pacing.holdFeeders();
  }

  makeRoom(): boolean {
    return this.retention.makeRoom();
  }
}
