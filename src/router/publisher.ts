// Publisher: what ingest remembers of one Network Connection between two PUBLISH packets: its last topic and route,
// its Topic Aliases, its limits. @hot

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import { ALIAS_COST, RECEIVED_COST, type Session } from "../session/session.ts";
import type { Filters, Route } from "./filters.ts";
import type { PacedPort } from "./pacing.ts";

/** Longer topics are looked up anew for every message. */
const LAST_TOPIC_BYTES = 128;

export interface PublisherTerms {
  readonly v5: boolean;
  readonly packetBytesMax: number;
  readonly payloadBytesMax: number;
  readonly qosMax: number;
  readonly retainAvailable: boolean;
  readonly topicAliasMaximum: number;
  readonly receiveMaximum: number;
  /** Retained messages that the client may have stored; Infinity sets no limit. */
  readonly retainedMax: number;
}

export interface AliasTopic {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export class Publisher implements PacedPort {
  readonly session: Session;
  /** Of the session, for No Local. */
  readonly number: number;
  readonly v5: boolean;
  readonly packetBytesMax: number;
  readonly payloadBytesMax: number;
  readonly qosMax: number;
  readonly retainAvailable: boolean;
  readonly topicAliasMaximum: number;
  readonly receiveMaximum: number;

  heldBy = 0;
  lastRoute: Route | null = null;
  lastEpoch = -1;
  /** What the topic before this one looked like: a topic is remembered when it seems to come twice. */
  private candidate = -1;
  private lastLength = 0;
  private lastTopic: DataView | null = null;
  private aliases: (AliasTopic | null)[] | null = null;
  private readonly budget: Budget;
  private aliasBytes = 0;

  constructor(session: Session, terms: PublisherTerms, budget: Budget) {
    this.session = session;
    this.number = session.number;
    this.v5 = terms.v5;
    this.packetBytesMax = terms.packetBytesMax;
    this.payloadBytesMax = terms.payloadBytesMax;
    this.qosMax = terms.qosMax;
    this.retainAvailable = terms.retainAvailable;
    this.topicAliasMaximum = terms.topicAliasMaximum;
    this.receiveMaximum = terms.receiveMaximum;
    this.budget = budget;
  }

  get isReader(): boolean {
    return this.session.byText.size > 0;
  }

  get mayAcknowledge(): boolean {
    return this.session.inflight.count > 0;
  }

  pace(paced: boolean): void {
    this.session.port?.pace(paced);
  }

  /** The Topic Name at view[at..at+length) is that of the last message. */
  isLastTopic(view: DataView, at: number, length: number): boolean {
    if (length !== this.lastLength) return false;
    const last = this.lastTopic!;
    let i = 0;
    for (; i + 4 <= length; i += 4) if (view.getInt32(at + i) !== last.getInt32(i)) return false;
    for (; i < length; i++) if (view.getUint8(at + i) !== last.getUint8(i)) return false;
    return true;
  }

  /** The route of a topic that is the last one and still holds, else null. */
  routeOf(filters: Filters, view: DataView, at: number, length: number): Route | null {
    if (this.lastRoute === null || this.lastEpoch !== filters.currentEpoch) return null;
    return this.isLastTopic(view, at, length) ? this.lastRoute : null;
  }

  remember(view: DataView, bytes: Buffer, at: number, length: number, route: Route, epoch: number): void {
    if (length > LAST_TOPIC_BYTES) return;
    assert(view.byteLength === bytes.length, "the view shows the bytes");
    const tag = length * 256 + bytes[at + length - 1]!;
    if (tag !== this.candidate && this.lastRoute !== null) {
      this.candidate = tag;
      return;
    }
    if (this.lastTopic === null) this.lastTopic = new DataView(new ArrayBuffer(LAST_TOPIC_BYTES));
    const last = this.lastTopic;
    let i = 0;
    for (; i + 4 <= length; i += 4) last.setInt32(i, view.getInt32(at + i));
    for (; i < length; i++) last.setUint8(i, view.getUint8(at + i));
    this.lastLength = length;
    this.lastRoute = route;
    this.lastEpoch = epoch;
  }

  aliasTopic(alias: number): AliasTopic | null {
    return this.aliases?.[alias] ?? null;
  }

  /** False when the session's share of the budget is used up. */
  setAlias(alias: number, bytes: Buffer, at: number, length: number): boolean {
    const known = this.aliasTopic(alias);
    if (known !== null && known.bytes.length === length && known.bytes.compare(bytes, at, at + length) === 0)
      return true;
    const more = known === null ? ALIAS_COST + length : length - known.bytes.length;
    if (more > 0 && !this.session.charge(this.budget, more)) return false;
    if (more < 0) this.session.refund(this.budget, -more);
    this.aliasBytes += more;
    const copy = Buffer.from(bytes.subarray(at, at + length));
    if (this.aliases === null) this.aliases = [];
    this.aliases[alias] = { bytes: copy, view: new DataView(copy.buffer, copy.byteOffset, copy.length) };
    return true;
  }

  /** The QoS 2 message `identifier` is known and waits for its PUBREL. */
  received(identifier: number): boolean {
    return this.session.received?.has(identifier) ?? false;
  }

  receive(identifier: number): void {
    if (this.session.received === null) this.session.received = new Set();
    this.session.received.add(identifier);
    this.session.charge(this.budget, RECEIVED_COST);
  }

  /** PUBREL came: the identifier is free again. False when it was not known. */
  released(identifier: number): boolean {
    if (!(this.session.received?.delete(identifier) ?? false)) return false;
    this.session.refund(this.budget, RECEIVED_COST);
    if (this.session.received?.size === 0) this.session.received = null;
    return true;
  }

  /** One more QoS 1 or 2 message would respect the Receive Maximum (v5) and the memory budget. [MQTT-3.3.4-9] */
  mayReceive(qos: number): boolean {
    if (qos !== 2) return true;
    const waiting = this.session.received?.size ?? 0;
    if (this.v5 && waiting >= this.receiveMaximum) return false;
    return this.session.mayCharge(this.budget, RECEIVED_COST);
  }

  /** The connection ends. */
  close(): void {
    this.session.refund(this.budget, this.aliasBytes);
    this.aliasBytes = 0;
    this.aliases = null;
  }
}
