// View: the broker's state as plain values for JSON. It reads and changes nothing; what it looks at is bounded by the
// page that was asked for, except that a search looks at every session once.

import { ownerOf } from "../net/access.ts";
import { Connection } from "../net/connection.ts";
import type { Host } from "../net/host.ts";
import { frameBody } from "../packet/frame.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import { lagOf } from "../router/lag.ts";
import type { RetainedRecord } from "../router/retained.ts";
import type { Router } from "../router/router.ts";
import { CLASS_V5, classQos } from "../router/runClass.ts";
import type { ShareGroup } from "../router/shareGroup.ts";
import { READER_STATES } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Matches in all. */
  readonly total: number;
  readonly offset: number;
}

export interface PageQuery {
  readonly offset: number;
  /** 1..1000. */
  readonly limit: number;
  /** Part of the name, in any case; "" matches all. */
  readonly search: string;
}

/** One subscription of a client. */
interface Subscribed {
  readonly session: Session;
  readonly subscription: Subscription;
}

/** Members of a share group that are named. */
const MEMBERS_MAX = 1000;
const VERSIONS = { 3: "3.1", 4: "3.1.1", 5: "5" } as const;

export class View {
  private readonly host: Host;
  private readonly router: Router;

  constructor(host: Host) {
    this.host = host;
    this.router = host.router;
  }

  /** Rates are differences of two of these. */
  counters() {
    const { stats, budgets, log } = this.router;
    const [out0 = 0, out1 = 0, out2 = 0] = stats.sent.bytes;
    return {
      connections: this.host.stats.clients,
      sessions: this.router.sessions.count,
      links: this.router.sessions.links,
      sockets: this.host.open.size,
      retained: this.router.retained.count,
      filters: this.router.filters.states.reduce((count, state) => (state === null ? count : count + 1), 0),
      publishes_in: stats.publishesIn,
      publish_bytes_in: stats.publishBytesIn,
      messages_out: stats.messagesOut,
      bytes_out: out0 + out1 + out2,
      unmatched: stats.unmatched,
      dropped: {
        too_large: stats.droppedTooLarge,
        expired: stats.droppedExpired,
        gap: stats.gapMessages,
        quota: stats.quotaMessages,
        offline_qos0: stats.offlineQos0,
        refused: stats.refusedPublishes,
        denied: stats.deniedPublishes,
        not_permitted: stats.deniedDeliveries,
        not_retained: stats.refusedRetained,
      },
      paused: this.host.paused.size,
      head: log.head,
      memory: Object.values(budgets).map(({ name, used, peak, bytesMax }) => ({
        name,
        used,
        peak,
        max: bytesMax,
      })),
      rss: process.memoryUsage.rss(),
    };
  }

  clients(query: PageQuery) {
    return page(this.sessions(), query, nameOf, (session) => this.summary(session));
  }

  /** The session of a client; undefined for one of the broker's own too. */
  session(clientIdentifier: string): Session | undefined {
    const session = this.router.sessions.get(clientIdentifier);
    return session?.isLink === true ? undefined : session;
  }

  /** `query` is of the subscriptions. */
  client(clientIdentifier: string, query: PageQuery) {
    const session = this.session(clientIdentifier);
    if (session === undefined) return null;
    const subscriptions = page(session.byText.values(), query, filterOf, (one) =>
      this.subscription(session, one),
    );
    const { reader, inflight } = session;
    return {
      ...this.summary(session),
      window: session.window,
      maximum_packet_size: session.frameMax,
      topic_aliases: session.aliasMax,
      queue_messages_max: session.queueMessagesMax,
      queue_bytes_max: session.queueBytesMax,
      in_flight: inflight.count,
      waiting_for_pubrel: session.received?.size ?? 0,
      retained_to_send: session.replays.length,
      left_behind: reader.isLeftBehind,
      has_will: session.will !== null,
      will_topic: session.will?.topic ?? null,
      head: this.router.log.head,
      cursor: reader.pending.reduce(
        (least, one) => Math.min(least, lagOf(this.router.log, one).offset),
        this.router.log.head as number,
      ),
      subscriptions: subscriptions.items,
      subscriptions_total: subscriptions.total,
      subscriptions_offset: subscriptions.offset,
    };
  }

  subscriptions(query: PageQuery) {
    return page(this.everySubscription(), query, matchText, show(this));
  }

  /** Who subscribes to exactly this filter. */
  subscribersOf(filter: string, query: PageQuery) {
    return page(this.subscriptionsTo(filter), query, matchText, show(this));
  }

  groups(query: PageQuery) {
    const groups = this.router.groups.all().filter((group) => group.members.some(isClient));
    return page(groups, query, keyOf, (group) => this.group(group));
  }

  retained({ offset, limit, search }: PageQuery) {
    const wanted = search.toLowerCase();
    const items: object[] = [];
    let total = 0;
    for (const record of this.retainedRecords()) {
      const topic = topicOf(record);
      if (wanted !== "" && !topic.toLowerCase().includes(wanted)) continue;
      if (total >= offset && items.length < limit) items.push(this.retainedSummary(topic, record));
      total++;
    }
    return { items, total, offset };
  }

  /** The message as it would be delivered; null when nothing is retained for the topic. */
  retainedMessage(topic: string) {
    const record = newRecord();
    const { retained } = this.router;
    const slot = retained.slotOf(topic);
    if (slot < 0 || !retained.read(slot, Number.POSITIVE_INFINITY, record)) return null;
    const payload = record.bytes.subarray(payloadAt(record), record.at + record.length);
    return {
      ...this.retainedSummary(topic, record),
      payload: textOf(payload),
      payload_base64: payload.toString("base64"),
    };
  }

  /** Segments from the oldest on. */
  log({ offset, limit }: PageQuery) {
    const { log, budgets } = this.router;
    const segments: object[] = [];
    let total = 0;
    for (let segment: typeof log.oldest | null = log.oldest; segment !== null; segment = segment.newer) {
      if (total++ < offset || segments.length === limit) continue;
      segments.push({
        base_offset: segment.baseOffset,
        records: segment.recordCount,
        bytes: segment.used,
        capacity: segment.bytes.length,
        runs: segment.runCount,
        entries: segment.entryCount,
        cleaned: segment.cleaned,
        active: segment === log.active,
      });
    }
    return {
      head: log.head,
      oldest: log.oldest.baseOffset,
      used: budgets.log.used,
      max: budgets.log.bytesMax,
      free: log.freeBytes,
      segments,
      segments_total: total,
      offset,
    };
  }

  /** Subscriptions that owe something, the furthest behind first. */
  lag(query: PageQuery) {
    const bytesOf = ({ subscription }: Subscribed): number => lagOf(this.router.log, subscription).bytes;
    const behind = [...this.lagging()].map((one) => ({ ...one, bytes: bytesOf(one) }));
    behind.sort((a, b) => b.bytes - a.bytes);
    return page(behind, query, matchText, show(this));
  }

  /** Readers that wait for this filter's next message: they owe nothing of it. */
  waiters(filter: string, query: PageQuery) {
    const { log } = this.router;
    const waiting = [...this.subscriptionsTo(filter)].filter(
      (one) => lagOf(log, one.subscription).messages === 0,
    );
    return page(waiting, query, matchText, show(this));
  }

  /** Sessions that have something to be sent, and what they wait for. */
  readyQueue(query: PageQuery) {
    const ready = [...this.sessions()].filter(({ reader }) => reader.pending.length > 0);
    return page(ready, query, nameOf, ({ clientIdentifier, reader }) => ({
      client_id: clientIdentifier,
      state: READER_STATES[reader.state],
      queued: reader.queued,
    }));
  }

  private summary(session: Session) {
    const connection = session.port instanceof Connection ? session.port : null;
    const owner = ownerOf(session.owner);
    const now = this.router.clock.nowMs();
    return {
      client_id: session.clientIdentifier,
      username: owner.userName,
      tenant: owner.tenant,
      connected: session.port !== null,
      state: READER_STATES[session.reader.state],
      version: VERSIONS[session.level],
      listener: connection?.listener.section ?? null,
      remote: connection?.remoteAddress ?? null,
      connection_id: connection?.number ?? null,
      connected_seconds: connection === null ? null : seconds(now - connection.openedMs),
      silent_seconds: connection === null ? null : seconds(now - connection.lastSeenMs),
      keep_alive_seconds: connection === null ? null : connection.keepAliveMs / 1500,
      expiry_seconds: session.expiryInterval,
      subscription_count: session.byText.size,
      paused: connection !== null && this.host.paused.has(connection),
      sent_bytes: session.port?.sentBytes ?? 0,
      session_bytes: session.cost,
      unsent_bytes: connection?.outbound.heldBytes ?? 0,
      ...this.lagOfSession(session),
    };
  }

  private lagOfSession(session: Session) {
    let messages = 0;
    let bytes = 0;
    for (const one of session.reader.pending) {
      const lag = lagOf(this.router.log, one);
      messages += lag.messages;
      bytes += lag.bytes;
    }
    return { lag_messages: messages, lag_bytes: bytes };
  }

  subscription(session: Session, subscription: Subscription) {
    const lag = lagOf(this.router.log, subscription);
    return {
      client_id: session.clientIdentifier,
      filter: subscription.text,
      qos: subscription.qos,
      no_local: subscription.noLocal,
      retain_as_published: subscription.retainAsPublished,
      identifier: subscription.identifier === 0 ? null : subscription.identifier,
      cursor: lag.offset,
      lag_messages: lag.messages,
      lag_bytes: lag.bytes,
    };
  }

  private group(group: ShareGroup) {
    const lag = lagOf(this.router.log, group.subscription);
    const members = group.members.filter(isClient);
    return {
      group: group.key,
      members_total: members.length,
      members: members.slice(0, MEMBERS_MAX).map(({ session, options }) => ({
        client_id: session.clientIdentifier,
        qos: options.qos,
        connected: session.port !== null,
      })),
      returned: group.returned.length,
      lag_messages: lag.messages + group.returned.length,
      lag_bytes: lag.bytes,
    };
  }

  /** Those of clients: the broker's own links are none. */
  private *sessions(): Generator<Session> {
    for (const session of this.router.sessions.all()) if (!session.isLink) yield session;
  }

  private *everySubscription(): Generator<Subscribed> {
    for (const session of this.sessions()) {
      for (const subscription of session.byText.values()) yield { session, subscription };
    }
  }

  private *subscriptionsTo(filter: string): Generator<Subscribed> {
    for (const session of this.sessions()) {
      const subscription = session.byText.get(filter);
      if (subscription !== undefined) yield { session, subscription };
    }
  }

  private *lagging(): Generator<Subscribed> {
    for (const session of this.sessions()) {
      for (const subscription of session.reader.pending) {
        if (session.byText.get(subscription.text) === subscription) yield { session, subscription };
      }
    }
  }

  private *retainedRecords(): Generator<RetainedRecord> {
    const { retained } = this.router;
    const record = newRecord();
    for (let slot = 0; slot < retained.slots; slot++) {
      if (retained.read(slot, Number.POSITIVE_INFINITY, record)) yield record;
    }
  }

  private retainedSummary(topic: string, record: RetainedRecord) {
    return {
      topic,
      qos: classQos(record.runClass),
      payload_bytes: record.at + record.length - payloadAt(record),
      age_seconds: Math.max(0, Math.floor(this.router.clock.nowMs() / 1000) - record.time),
    };
  }
}

function newRecord(): RetainedRecord {
  return { bytes: Buffer.alloc(0), at: 0, length: 0, runClass: 0, time: 0, publisher: 0 };
}

function topicOf({ bytes, at }: RetainedRecord): string {
  const body = frameBody(bytes, at);
  return decodeUtf8(bytes, body + 2, body + 2 + bytes.readUInt16BE(body));
}

function payloadAt({ bytes, at, runClass }: RetainedRecord): number {
  const body = frameBody(bytes, at);
  const topicEnd = body + 2 + bytes.readUInt16BE(body);
  if ((runClass & CLASS_V5) === 0) return topicEnd;
  let length = 0;
  let end = topicEnd;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[end++]!;
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) return end + length;
  }
}

/** The payload as text, null when it is not UTF-8. */
function textOf(payload: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(payload);
  } catch {
    return null;
  }
}

function nameOf(session: Session): string {
  return session.clientIdentifier;
}

function keyOf(group: ShareGroup): string {
  return group.key;
}

function filterOf(subscription: Subscription): string {
  return subscription.text;
}

function matchText({ session, subscription }: Subscribed): string {
  return `${session.clientIdentifier}\n${subscription.text}`;
}

function isClient({ session }: { readonly session: Session }): boolean {
  return !session.isLink;
}

function show(view: View) {
  return ({ session, subscription }: Subscribed) => view.subscription(session, subscription);
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

/** The part of `all` that `query` asks for, each shown by `show`; a search looks into `text`. */
export function page<T, U>(
  all: Iterable<T>,
  { offset, limit, search }: PageQuery,
  text: (one: T) => string,
  show: (one: T) => U,
): Page<U> {
  const wanted = search.toLowerCase();
  const items: U[] = [];
  let total = 0;
  for (const one of all) {
    if (wanted !== "" && !text(one).toLowerCase().includes(wanted)) continue;
    if (total >= offset && items.length < limit) items.push(show(one));
    total++;
  }
  return { items, total, offset };
}
