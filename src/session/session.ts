// Session: what the broker keeps for one Client Identifier, §4.1: its reader over the log, what is in flight both
// ways, its will. It outlives Network Connections; `port` is the present one.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import { Inflight, type InflightMessage, type InflightSlab } from "./inflight.ts";
import type { DeliveryPort } from "./ports.ts";
import { Reader } from "./reader.ts";
import type { ReceiveRule, Rights } from "./rights.ts";
import type { Subscription } from "./subscription.ts";
import type { Will } from "../packet/will.ts";

/** What a Network Connection sets for the session it resumes. */
export interface ConnectionTerms {
  readonly level: ProtocolLevel;
  /** QoS 1 and 2 messages in flight to the client: its Receive Maximum or the listener's, whichever is smaller. */
  readonly window: number;
  /** The client's Maximum Packet Size. */
  readonly frameMax: number;
  /** The client's Topic Alias Maximum as far as the broker uses it. */
  readonly aliasMax: number;
  /** Session Expiry Interval, s; 0xFFFFFFFF never. */
  readonly expiryInterval: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** Who the client has proved to be; "" for an anonymous one. */
  readonly owner: string;
  readonly will: Will | null;
  /** Null: everything is permitted. */
  readonly rights: Rights | null;
}

/** One SUBSCRIBE's claim to retained messages: those stored up to `before` that the filter matches. */
export interface Replay {
  readonly filter: string;
  readonly matches: (bytes: Uint8Array, at: number, end: number) => boolean;
  /** What may be sent of them; null: everything. */
  rule: ReceiveRule | null;
  readonly before: number;
  readonly qos: number;
  readonly identifier: number;
  readonly noLocal: boolean;
  /** Next slot to look at, and the first one not to. */
  slot: number;
  readonly end: number;
  /** Budgeted bytes. */
  readonly cost: number;
}

/** Who has stored how many retained messages; sessions of one Client Identifier share it. */
export interface RetainedOwner {
  readonly clientIdentifier: string;
  readonly countMax: number;
  count: number;
}

/** Owner of the sessions that the broker itself has: no user has such a name. */
export const BROKER_OWNER = "\u0000broker";

/** What a session knows of a share group: enough to leave it and to tell it that there is room. */
export interface GroupMembership {
  readonly reader: Reader;
}

/** One session takes at most so small a share of the sessions' budget. */
const SESSIONS_MIN = 4;

/** Budgeted bytes of one QoS 2 identifier of the client that waits for PUBREL. */
export const RECEIVED_COST = 32;
/** Budgeted bytes of one Topic Alias, of either direction, beside its topic's. */
export const ALIAS_COST = 256;

export const EXPIRY_NEVER = 0xffff_ffff;

/** What most sessions have of most things; the first one takes an array of its own. */
const NONE = Object.freeze([]) as unknown as never[];

export class Session {
  readonly number: number;
  readonly clientIdentifier: string;
  readonly reader: Reader = new Reader(this);
  readonly inflight: Inflight;
  readonly byText = new Map<string, Subscription>();
  port: DeliveryPort | null = null;
  level: ProtocolLevel = 4;
  window = 1;
  frameMax = 0;
  aliasMax = 0;
  expiryInterval = 0;
  queueMessagesMax = 0;
  queueBytesMax = 0;
  will: Will | null = null;
  /** Budgeted bytes of the Will, until it is published or discarded. */
  willCost = 0;
  /** What its client may do; null: everything. Whoever sets other rights tells the router: it keeps answers. */
  rights: Rights | null = null;
  /** Messages below this Offset were owed under other rights: each is judged before it is sent. See router/revision. */
  judgedBelow = 0;
  /** Subscriptions owe messages of another rule than theirs is now: they go over to it when they have caught up. */
  hasStaleRules = false;
  /** Who made it; "" is anonymous. Nobody else resumes it or takes it over. */
  owner = "";
  /** It is one of the broker's own, for a link within the program. */
  isLink = false;
  /** PUBLISH packets that the present connection was sent. */
  messagesOut = 0;
  /** Messages that it did not get, as the router's counters say: gapMessages, quotaMessages (router/stats). */
  gapMessages = 0;
  quotaMessages = 0;
  /** Of the PUBLISH whose rest the port keeps: its QoS, -1 for none, and bytes that count when it has left. */
  begunQos = -1;
  begunBytes = 0;
  /** Null where its client may have as many retained messages as there is room for. */
  retainedOwner: RetainedOwner | null = null;
  /** Packet Identifiers of QoS 2 messages from the client that wait for PUBREL; null when there are none. */
  received: Set<number> | null = null;
  /** Messages in flight that the client must get again, oldest first; `redelivered` of them have left. */
  redelivery: readonly InflightMessage[] = NONE;
  redelivered = 0;
  /** Messages sent again on this connection and not settled yet, while redelivery lasts. */
  resent = 0;
  /** Carries retained messages for new subscriptions; made when first needed. */
  inbox: Subscription | null = null;
  /** Retained messages still to be put into the inbox. */
  replays: Replay[] = NONE;
  /** QoS 0 messages below this Offset were published while nobody was connected: they are not delivered. */
  qos0From = 0;
  /** Budgeted bytes of this session. */
  cost = 0;
  /** Share groups that the session is a member of. */
  groups: GroupMembership[] = NONE;
  /** When the client last settled a message, or connected, ms. */
  acknowledgedMs = 0;
  /** Outgoing Topic Aliases of the present connection, by topic. */
  aliases: Map<string, number> | null = null;
  /** When the session ends although nobody is connected, ms; Infinity never. */
  expiresMs = Number.POSITIVE_INFINITY;

  constructor(number: number, clientIdentifier: string, slab: InflightSlab) {
    this.number = number;
    this.clientIdentifier = clientIdentifier;
    this.inflight = new Inflight(slab);
  }

  get v5(): boolean {
    return this.level === 5;
  }

  applyTerms(terms: ConnectionTerms): void {
    this.level = terms.level;
    this.window = terms.window;
    this.frameMax = terms.frameMax;
    this.aliasMax = terms.aliasMax;
    this.expiryInterval = terms.expiryInterval;
    this.queueMessagesMax = terms.queueMessagesMax;
    this.queueBytesMax = terms.queueBytesMax;
    this.owner = terms.owner;
    this.isLink = terms.owner === BROKER_OWNER;
    this.messagesOut = 0;
    this.begunQos = -1;
    this.will = terms.will;
    this.rights = terms.rights;
  }

  /** One more part would find room in the budget, and in the session's share of it. */
  mayCharge(budget: Budget, bytes: number): boolean {
    return this.isWithinShare(budget, bytes) && budget.used + bytes <= budget.bytesMax;
  }

  private isWithinShare(budget: Budget, bytes: number): boolean {
    return this.cost + bytes <= budget.bytesMax / SESSIONS_MIN;
  }

  /** Budgeted bytes of one more part; false and nothing taken when there is no room for it. */
  charge(budget: Budget, bytes: number): boolean {
    if (!this.isWithinShare(budget, bytes) || !budget.take(bytes)) return false;
    this.cost += bytes;
    return true;
  }

  refund(budget: Budget, bytes: number): void {
    budget.give(bytes);
    this.cost -= bytes;
  }

  /** The client is told that `alias` stands for `topic`. The caller has seen that it may be charged. */
  tellAlias(budget: Budget, topic: string, alias: number): void {
    const charged = this.charge(budget, ALIAS_COST + topic.length);
    assert(charged, "there was room for the alias");
    this.aliases ??= new Map();
    this.aliases.set(topic, alias);
  }

  /** It was not told, or it has gone. */
  forgetAlias(budget: Budget, topic: string): void {
    if (this.aliases?.delete(topic) ?? false) this.refund(budget, ALIAS_COST + topic.length);
  }

  /** The connection that was told them is gone. */
  forgetAliases(budget: Budget): void {
    for (const topic of this.aliases?.keys() ?? []) this.forgetAlias(budget, topic);
    this.aliases = null;
  }
}
