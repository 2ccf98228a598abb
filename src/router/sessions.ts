// Sessions: who has one, who takes one over, when it ends, and the wills that its ends set off. §3.1.2.4, §4.1
//
//   connect ──▶ connected ──connection ends──▶ offline ──connect──▶ connected
//                                                └──expiry──▶ ended

import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { errors } from "../packet/error.ts";
import type { Will } from "../packet/will.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { unpin } from "../log/segment.ts";
import type { InflightSlab } from "../session/inflight.ts";
import type { DeliveryPort } from "../session/ports.ts";
import { ReaderState } from "../session/reader.ts";
import { type ConnectionTerms, EXPIRY_NEVER, Session } from "../session/session.ts";
import type { Filters } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { park } from "./position.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import type { Retention } from "./retention.ts";
import type { Revision } from "./revision.ts";
import type { ShareGroups } from "./shareGroup.ts";
import type { Stats } from "./stats.ts";
import type { Subscribe } from "./subscribe.ts";

/** Budgeted bytes of a session beside its texts. */
export const SESSION_COST = 512;

export interface Resumed {
  readonly session: Session;
  readonly present: boolean;
}

interface PendingWill {
  readonly session: Session;
  readonly will: Will;
  /** Of the connection that is over; null when nothing but room is waited for. */
  readonly port: DeliveryPort | null;
  readonly dueMs: number;
}

export class Sessions {
  private readonly byIdentifier = new Map<string, Session>();
  /** Sessions without a connection that end some day. */
  private readonly expiring = new Set<Session>();
  private readonly wills = new Map<Session, PendingWill>();
  private nextNumber = 1;
  /** Sessions of the broker's own, for links within the program: they are no clients'. */
  links = 0;
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly ready: ReadyQueue;
  private readonly lanes: Lanes;
  private readonly retention: Retention;
  private readonly groups: ShareGroups;
  private readonly subscriptions: Subscribe;
  private readonly revision: Revision;
  private readonly slab: InflightSlab;
  private readonly budget: Budget;
  private readonly stats: Stats;
  private readonly clock: Clock;
  /** Publishes a will; false when there is no room yet. */
  private readonly publishWill: (session: Session, will: Will) => boolean;

  constructor(parts: {
    log: CommitLog;
    filters: Filters;
    ready: ReadyQueue;
    lanes: Lanes;
    retention: Retention;
    groups: ShareGroups;
    subscriptions: Subscribe;
    revision: Revision;
    slab: InflightSlab;
    budget: Budget;
    stats: Stats;
    clock: Clock;
    publishWill: (session: Session, will: Will) => boolean;
  }) {
    this.log = parts.log;
    this.filters = parts.filters;
    this.ready = parts.ready;
    this.lanes = parts.lanes;
    this.retention = parts.retention;
    this.groups = parts.groups;
    this.subscriptions = parts.subscriptions;
    this.revision = parts.revision;
    this.slab = parts.slab;
    this.budget = parts.budget;
    this.stats = parts.stats;
    this.clock = parts.clock;
    this.publishWill = parts.publishWill;
  }

  /** Sessions of clients, connected or not. */
  get count(): number {
    return this.byIdentifier.size - this.links;
  }

  has(clientIdentifier: string): boolean {
    return this.byIdentifier.has(clientIdentifier);
  }

  get(clientIdentifier: string): Session | undefined {
    return this.byIdentifier.get(clientIdentifier);
  }

  /** Ends the connection that the session has now, if any: somebody else connects with its Client Identifier. */
  takeOver(clientIdentifier: string, cleanStart: boolean): void {
    const session = this.byIdentifier.get(clientIdentifier);
    if (session === undefined) return;
    session.port?.disconnect(errors.sessionTakenOver); // [MQTT-3.1.4-3]
    if (cleanStart) this.end(session); // [MQTT-3.1.2-4]
  }

  /** The session for a new connection; null when the memory budget has no room for one more. */
  open(
    clientIdentifier: string,
    cleanStart: boolean,
    port: DeliveryPort,
    terms: ConnectionTerms,
  ): Resumed | null {
    this.takeOver(clientIdentifier, cleanStart);
    let session = this.byIdentifier.get(clientIdentifier);
    const present = session !== undefined;
    const willCost = costOf(terms.will);
    if (session === undefined) {
      session = new Session(this.nextNumber++, clientIdentifier, this.slab);
      const cost = SESSION_COST + 2 * clientIdentifier.length + willCost;
      if (!session.charge(this.budget, cost)) return null;
      this.byIdentifier.set(clientIdentifier, session);
    } else {
      this.wills.delete(session); // [MQTT-3.1.3-9]
      this.forgetWill(session);
      if (!session.charge(this.budget, willCost)) return null;
    }
    session.willCost = willCost;
    this.expiring.delete(session);
    session.port = port;
    const { rights } = session;
    session.applyTerms(terms);
    session.acknowledgedMs = this.clock.nowMs();
    if (present && rights !== session.rights) this.revision.revise(session);
    if (present) this.resume(session);
    else session.reader.state = ReaderState.CaughtUp;
    if (!session.isLink) this.stats.connections++;
    else if (!present) this.links++;
    return { session, present };
  }

  private resume(session: Session): void {
    const { reader } = session;
    session.qos0From = this.log.head;
    this.retention.boundQueue(session);
    session.redelivery = session.inflight.ordered(); // [MQTT-4.4.0-1]
    session.redelivered = 0;
    session.resent = 0;
    for (const subscription of reader.subscriptions) {
      if (subscription.segment === null) this.filters.stateOf(subscription).armed = true;
    }
    reader.state = ReaderState.CaughtUp;
    reader.cut = false;
    reader.progressMs = this.clock.nowMs();
  }

  /** CONNACK has left: deliveries may begin. */
  start(session: Session): void {
    if (session.reader.pending.length > 0 || session.redelivery.length > 0 || session.replays.length > 0) {
      this.ready.push(session.reader);
    }
    this.groups.roomIn(session);
  }

  /** The connection of `port` is gone. `will` is what is left of the session's will: null after DISCONNECT 0x00. */
  connectionEnded(session: Session, port: DeliveryPort, will: Will | null): void {
    if (session.port !== port) return;
    session.port = null;
    this.lanes.endCut(session.reader);
    session.will = null;
    if (will === null) this.forgetWill(session);
    if (!session.isLink) this.stats.connections--;
    session.reader.state = ReaderState.Offline;
    session.redelivery = [];
    session.redelivered = 0;
    session.forgetAliases(this.budget);
    this.groups.handBack(session);
    session.inflight.trim();
    for (const subscription of session.reader.subscriptions) {
      if (subscription.qos === 0) park(subscription, this.filters.stateOf(subscription));
    }
    const now = this.clock.nowMs();
    if (session.expiryInterval === 0) {
      if (will !== null) this.sendWill(session, will);
      this.end(session);
      return;
    }
    if (will !== null) {
      const delay = Math.min(will.delayInterval, session.expiryInterval);
      if (delay === 0) this.sendWill(session, will);
      else this.wills.set(session, { session, will, port, dueMs: now + delay * 1000 });
    }
    if (session.expiryInterval === EXPIRY_NEVER) return;
    session.expiresMs = now + session.expiryInterval * 1000;
    this.expiring.add(session);
  }

  private sendWill(session: Session, will: Will): void {
    if (this.publishWill(session, will)) this.forgetWill(session);
    else this.wills.set(session, { session, will, port: null, dueMs: this.clock.nowMs() });
  }

  /** A Will whose delay is over: rules may have changed since its connection ended. */
  private sendPending({ session, will, port }: PendingWill): void {
    this.wills.delete(session);
    if (port === null || port.mayStillPublish(will.topic)) {
      this.sendWill(session, will);
      return;
    }
    this.stats.deniedPublishes++;
    this.forgetWill(session);
  }

  /** The Will is published or discarded. */
  private forgetWill(session: Session): void {
    session.refund(this.budget, session.willCost);
    session.willCost = 0;
  }

  /** Ends the session: everything it held is given back. */
  end(session: Session): void {
    if (this.byIdentifier.get(session.clientIdentifier) !== session) return;
    const waiting = this.wills.get(session);
    if (waiting !== undefined) this.sendPending(waiting); // [MQTT-3.1.2-8]: the session's end is the latest moment
    this.byIdentifier.delete(session.clientIdentifier);
    if (session.isLink) this.links--;
    this.expiring.delete(session);
    this.groups.leaveAll(session);
    for (const subscription of [...session.byText.values()]) this.subscriptions.remove(session, subscription);
    if (session.inbox !== null) {
      park(session.inbox, this.filters.stateOf(session.inbox));
      this.filters.detach(session.inbox);
      session.inbox = null;
    }
    session.replays = [];
    session.inflight.clear();
    if (this.lanes.starved.size > 0) this.lanes.feed();
    this.lanes.starved.delete(session.reader);
    session.received = null;
    unpin(session.reader);
    session.reader.state = ReaderState.Offline;
    session.refund(this.budget, session.cost);
    session.willCost = 0;
  }

  /** Once a second: ends what expired, publishes wills whose delay is over. */
  tick(): void {
    const now = this.clock.nowMs();
    for (const pending of [...this.wills.values()]) {
      if (pending.dueMs <= now) this.sendPending(pending);
    }
    for (const session of this.expiring) {
      if (session.expiresMs > now) continue;
      this.stats.expiredSessions++;
      this.end(session);
    }
  }

  all(): IterableIterator<Session> {
    return this.byIdentifier.values();
  }
}

/** Budgeted bytes of a Will. */
function costOf(will: Will | null): number {
  return will === null ? 0 : 2 * will.topic.length + will.properties.length + will.payload.length;
}
