// Metrics events: what happens to clients, as messages of the broker, for whoever subscribes to them: connected,
// disconnected, subscribed and refused when it happens, gap and quota every so often. QoS 0, not retained.
//
// A storm of clients makes no storm of events: of each kind EVENTS_PER_SECOND are told in a second; how many there were
// beyond them is told when the second is over, in one message below <topic>/suppressed. Nothing is made into a message
// that nobody subscribes to.

import { shown } from "../base/logger.ts";
import { reasonCodeName } from "../packet/reasonCode.ts";
import type { SubscribeEntry } from "../packet/subscribe.ts";
import { ownerOf } from "../net/access.ts";
import { type Closed, reasonFields } from "../net/closeCause.ts";
import { Connection } from "../net/connection.ts";
import type { Host } from "../net/host.ts";
import type { HostObserver } from "../net/observer.ts";
import type { Session } from "../session/session.ts";
import { SLICE, turn } from "./figures.ts";

export const EVENT_KINDS = ["connected", "disconnected", "subscribed", "refused", "gap", "quota"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface EventSettings {
  readonly topic: string;
  readonly events: readonly string[];
  /** Between two looks for gaps and quotas. */
  readonly intervalMs: number;
}

/** Of each kind; more are only counted. */
export const EVENTS_PER_SECOND = 100;
const WINDOW_MS = 1000;
/** Topic Filters that one event names. */
const FILTERS_MAX = 32;

type Fields = Readonly<Record<string, unknown>>;

const COUNTED = ["gap", "quota"] as const;
/** Messages that one session, or all of them, did not get. */
type Counts = Record<(typeof COUNTED)[number], number>;

export class Events implements HostObserver {
  private readonly host: Host;
  private readonly topic: string;
  private readonly kinds: ReadonlySet<string>;
  private readonly timer: Timer | null;
  private window: Timer | null = null;
  /** Events of the present second, by kind. */
  private readonly counts = new Map<EventKind, number>();
  private waiting: { readonly topic: string; readonly text: string }[] = [];
  private isLooking = false;
  /** What has been told of each session, and in all. */
  private readonly told = new WeakMap<Session, Counts>();
  private readonly all: Counts;
  private readonly matched: number[] = [];

  constructor(host: Host, { topic, events, intervalMs }: EventSettings) {
    this.host = host;
    this.topic = topic;
    this.kinds = new Set(events);
    const { gapMessages, quotaMessages } = host.router.stats;
    this.all = { gap: gapMessages, quota: quotaMessages };
    for (const session of host.router.sessions.all()) {
      if (session.gapMessages + session.quotaMessages > 0) this.told.set(session, countsOf(session));
    }
    const isLooking = this.kinds.has("gap") || this.kinds.has("quota");
    this.timer = isLooking ? setInterval(() => void this.look(), intervalMs) : null;
    host.observer = this;
  }

  stop(): void {
    if (this.host.observer === this) this.host.observer = null;
    if (this.timer !== null) clearInterval(this.timer);
    if (this.window !== null) clearTimeout(this.window);
    this.endWindow();
    this.publish();
  }

  // ---- what happens (HostObserver)

  connected(connection: Connection): void {
    this.tell("connected", () => ({ ...who(connection), keep_alive_seconds: connection.keepAliveMs / 1500 }));
  }

  disconnected(connection: Connection, closed: Closed): void {
    this.tell("disconnected", () => {
      const { bytesIn, bytesOut, messagesIn, messagesOut } = connection.traffic();
      return {
        ...who(connection),
        ...why(closed),
        seconds: Math.max(0, Math.round(this.host.router.clock.nowMs() - connection.openedMs)) / 1000,
        messages_in: messagesIn,
        messages_out: messagesOut,
        bytes_in: bytesIn,
        bytes_out: bytesOut,
      };
    });
  }

  refused(connection: Connection, closed: Closed): void {
    this.tell("refused", () => ({ ...who(connection), ...why(closed) }));
  }

  subscribed(connection: Connection, entries: readonly SubscribeEntry[], codes: readonly number[]): void {
    this.tell("subscribed", () => ({
      ...who(connection),
      count: entries.length,
      subscriptions: entries.slice(0, FILTERS_MAX).map(({ filter, qos }, i) => ({
        filter: shown(filter),
        qos,
        reason: reasonCodeName(codes[i]!),
      })),
    }));
  }

  // ---- gaps and quotas

  /** Sessions are only gone through when there is something to find. */
  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    await this.lookAtSessions();
    this.isLooking = false;
  }

  private async lookAtSessions(): Promise<void> {
    const { stats, sessions } = this.host.router;
    const sums: Counts = { gap: stats.gapMessages, quota: stats.quotaMessages };
    if (sums.gap === this.all.gap && sums.quota === this.all.quota) return;
    let seen = 0;
    for (const session of sessions.all()) {
      if (++seen % SLICE === 0) await turn();
      const now = countsOf(session);
      if (now.gap + now.quota === 0) continue;
      const before = this.told.get(session);
      this.told.set(session, now);
      for (const kind of COUNTED) {
        const more = now[kind] - (before?.[kind] ?? 0);
        if (more === 0) continue;
        this.all[kind] += more;
        if (session.isLink) continue; // it is no client
        this.tell(kind, () => ({ ...whose(session), messages: more, messages_total: now[kind] }));
      }
    }
    // What is left was share groups' and sessions' that have ended since.
    for (const kind of COUNTED) {
      const more = sums[kind] - this.all[kind];
      if (more <= 0) continue;
      this.all[kind] += more;
      this.tell(kind, () => ({ messages: more }));
    }
  }

  // ---- telling

  private tell(kind: EventKind, fields: () => Fields): void {
    if (!this.kinds.has(kind)) return;
    const topic = `${this.topic}/client/${kind}`;
    if (!this.isHeard(topic)) return;
    const count = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, count);
    this.window ??= setTimeout(() => this.endWindow(), WINDOW_MS);
    if (count <= EVENTS_PER_SECOND) this.put(topic, kind, fields());
  }

  private isHeard(topic: string): boolean {
    const { matched } = this;
    matched.length = 0;
    this.host.router.filters.tree.match(topic, matched);
    return matched.length > 0;
  }

  /** Publishes it when whatever goes on is over. */
  private put(topic: string, kind: string, fields: Fields): void {
    const time = new Date(this.host.router.clock.wallMs()).toISOString();
    const text = JSON.stringify({ event: kind, time, ...fields });
    if (this.waiting.push({ topic, text }) === 1) setImmediate(() => this.publish());
  }

  private publish(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const { topic, text } of waiting)
      this.host.router.publish(topic, Buffer.from(text), { qos: 0, retain: false }); // no room: nobody is told
  }

  /** A second is over. */
  private endWindow(): void {
    this.window = null;
    const suppressed = [...this.counts].filter(([, count]) => count > EVENTS_PER_SECOND);
    this.counts.clear();
    if (suppressed.length === 0) return;
    const counts = suppressed.map(([kind, count]) => [kind, count - EVENTS_PER_SECOND]);
    this.put(`${this.topic}/suppressed`, "suppressed", Object.fromEntries(counts));
  }
}

function countsOf({ gapMessages, quotaMessages }: Session): Counts {
  return { gap: gapMessages, quota: quotaMessages };
}

function who(connection: Connection): Fields {
  return connection.logFields();
}

function why(closed: Closed): Fields {
  return { cause: closed.cause, ...reasonFields(closed), message: closed.message };
}

function whose({ port, clientIdentifier, owner }: Session): Fields {
  if (port instanceof Connection) return port.logFields();
  const { userName, tenant } = ownerOf(owner);
  return {
    client_id: shown(clientIdentifier),
    username: shown(userName),
    tenant: shown(tenant),
  };
}
