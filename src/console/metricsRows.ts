// Metrics rows: every metric of the broker, with what it means and how it is read. No label has more values than the
// configuration or the specification names.

import type { Histogram } from "../base/histogram.ts";
import { VERSION } from "../base/version.ts";
import type { Host } from "../net/host.ts";
import { reasonCodeName } from "../packet/reasonCode.ts";
import type { Session } from "../session/session.ts";
import type { Figures } from "./figures.ts";
import type { Runtime } from "./metricsRuntime.ts";

/** What rows read. */
export interface Source {
  readonly host: Host;
  readonly figures: Figures;
  readonly runtime: Runtime;
}

/** A value for each combination of label values; one number for a metric without labels. */
export type Values = number | Iterable<readonly [labels: readonly string[], value: number]>;

export interface Row {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  readonly read: (source: Source) => Values;
}

export interface HistogramRow {
  readonly name: string;
  readonly help: string;
  readonly read: (source: Source) => Histogram;
}

type Read = Row["read"];

function counter(name: string, help: string, read: Read, ...labels: readonly string[]): Row {
  return { name: `millrace_${name}_total`, help, type: "counter", labels, read };
}

function gauge(name: string, help: string, read: Read, ...labels: readonly string[]): Row {
  return { name: `millrace_${name}`, help, type: "gauge", labels, read };
}

/** Packet types by the high four bits of the first byte. */
const PACKETS = [
  ...["reserved", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp"],
  ...["subscribe", "suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth"],
];
const FROM_CLIENTS = [1, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15];
const TO_CLIENTS = [2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15];

function* packets(counts: Float64Array, types: readonly number[]): Generator<[string[], number]> {
  for (const type of types) yield [[PACKETS[type]!], counts[type]!];
}

function* byQos(counts: Float64Array): Generator<[string[], number]> {
  for (let qos = 0; qos < counts.length; qos++) yield [[String(qos)], counts[qos]!];
}

function named(values: Readonly<Record<string, number>>): Iterable<[string[], number]> {
  return Object.entries(values).map(([name, value]) => [[name], value]);
}

function* byReason(counts: ReadonlyMap<number, number>, ...before: string[]): Generator<[string[], number]> {
  for (const [reason, count] of counts) yield [[...before, reasonCodeName(reason)], count];
}

function* memory({ host }: Source, field: "used" | "peak" | "bytesMax"): Generator<[string[], number]> {
  for (const budget of Object.values(host.router.budgets))
    yield [[budget.name.replaceAll(" ", "_")], budget[field]];
}

function* perListener({ figures }: Source, of: (one: Figures["listeners"][0]) => number) {
  for (const one of figures.listeners) yield [[one.section], of(one)] as const;
}

export const ROWS: readonly Row[] = [
  // ---- messages
  counter(
    "messages_received",
    "PUBLISH packets from clients, whatever became of them but for those that ended their connection, by QoS.",
    ({ host }) => byQos(host.router.stats.received().messages),
    "qos",
  ),
  counter(
    "messages_sent",
    "PUBLISH packets to clients, counted when their last byte has left, by QoS.",
    ({ host }) => byQos(host.router.stats.sent.messages),
    "qos",
  ),
  counter(
    "messages_received_bytes",
    "Bytes of PUBLISH packets from clients, by QoS.",
    ({ host }) => byQos(host.router.stats.received().bytes),
    "qos",
  ),
  counter(
    "messages_sent_bytes",
    "Bytes of PUBLISH packets to clients, by QoS.",
    ({ host }) => byQos(host.router.stats.sent.bytes),
    "qos",
  ),
  counter(
    "messages_dropped",
    "Messages that a client was owed and did not get: it was too far behind (gap), or its queue was full (quota).",
    ({ host: { router } }) =>
      named({
        gap: router.stats.gapMessages,
        quota: router.stats.quotaMessages,
        offline_qos0: router.stats.offlineQos0,
        too_large: router.stats.droppedTooLarge,
        expired: router.stats.droppedExpired,
        not_permitted: router.stats.deniedDeliveries,
      }),
    "reason",
  ),
  counter(
    "publishes_refused",
    "Messages that were not taken: the log had no room, or their client may not publish to the topic.",
    ({ host: { router } }) =>
      named({ no_room: router.stats.refusedPublishes, not_permitted: router.stats.deniedPublishes }),
    "reason",
  ),
  counter(
    "messages_unmatched",
    "Messages to topics that nobody subscribed to.",
    ({ host }) => host.router.stats.unmatched,
  ),
  counter(
    "messages_not_retained",
    "QoS 0 messages that were delivered but not retained: there was no room.",
    ({ host }) => host.router.stats.refusedRetained,
  ),

  // ---- packets and bytes
  counter(
    "packets_received",
    "MQTT packets from clients, by type.",
    ({ host }) => packets(host.router.stats.allPacketsIn(), FROM_CLIENTS),
    "type",
  ),
  counter(
    "packets_sent",
    "MQTT packets to clients, by type.",
    ({ host }) => packets(host.router.stats.allPacketsOut(), TO_CLIENTS),
    "type",
  ),
  counter(
    "received_bytes",
    "Bytes of MQTT from clients, without TLS and WebSocket frames.",
    ({ figures }) => figures.traffic.bytesIn,
  ),
  counter("sent_bytes", "Bytes of MQTT to clients.", ({ figures }) => figures.traffic.bytesOut),

  // ---- clients
  gauge("clients", "Connected clients.", ({ host }) => host.stats.clients),
  gauge("clients_peak", "Most clients connected at one time.", ({ host }) => host.stats.clientsPeak),
  gauge("clients_limit", "Clients that may connect.", ({ host }) => host.connectionsMax),
  counter("clients_accepted", "Clients that were let in.", ({ host }) => host.stats.accepted),
  counter(
    "clients_refused",
    "CONNECT packets that were refused, by Reason Code.",
    ({ host }) => byReason(host.stats.refused),
    "reason",
  ),
  gauge("sockets", "Open sockets.", ({ host }) => host.open.size + host.lobby.newcomers.size),
  gauge("sockets_limit", "Sockets that may be open.", ({ host }) => host.socketsMax),
  counter("sockets_opened", "Sockets that came.", ({ host }) => host.stats.sockets),
  counter(
    "sockets_closed",
    "Sockets that have gone, by cause.",
    ({ host }) => [...host.stats.closed].map(([cause, count]) => [[cause], count] as const),
    "cause",
  ),
  counter(
    "sockets_turned_away",
    "Sockets closed at once: there was no place for them.",
    ({ host }) => host.stats.turnedAway,
  ),
  gauge(
    "clients_held",
    "Clients that are not read from now: paused for slow readers or a full log, or over their rate.",
    ({ host }) => named({ paused: host.paused.size, rate: host.overdrawn.size }),
    "reason",
  ),
  counter(
    "rate_limited",
    "Times that a client was held back for its rate.",
    ({ host }) => host.stats.overdrawn,
  ),
  counter(
    "access_failures",
    "Times that users could not be judged.",
    ({ host }) => host.stats.accessFailures,
  ),
  counter("grants_revoked", "Clients cut when users or rules changed.", ({ host }) => host.stats.revoked),
  counter("grants_expired", "Clients cut when their grant ended.", ({ host }) => host.stats.expired),
  counter(
    "reauthentications",
    "Clients that proved anew who they are.",
    ({ host }) => host.stats.reauthenticated,
  ),

  // ---- sessions
  gauge(
    "sessions",
    "Sessions of clients, by whether their client is connected.",
    ({ figures: { sessions, offlineSessions } }) =>
      named({ connected: sessions - offlineSessions, offline: offlineSessions }),
    "state",
  ),
  counter(
    "sessions_expired",
    "Sessions that ended offline.",
    ({ host }) => host.router.stats.expiredSessions,
  ),
  gauge("subscriptions", "Subscriptions of clients.", ({ figures }) => figures.subscriptions),
  gauge(
    "shared_subscriptions",
    "Subscriptions of clients to share groups.",
    ({ figures }) => figures.sharedSubscriptions,
  ),
  gauge(
    "share_groups",
    "Share groups with clients.",
    ({ host }) => host.router.groups.all().filter(({ members }) => members.some(isClient)).length,
  ),
  counter(
    "subscriptions_denied",
    "Subscriptions that were refused, or ended, because their client may not have them.",
    ({ host }) => host.router.stats.deniedSubscriptions,
  ),
  gauge(
    "inflight_messages",
    "QoS 1 and 2 messages on their way to clients, and QoS 2 messages from clients that are not released.",
    ({ figures: { inflightIn, inflightOut } }) => named({ in: inflightIn, out: inflightOut }),
    "direction",
  ),
  gauge("ready_readers", "Readers that wait for their turn.", ({ host }) => host.router.ready.length),
  gauge("paced_filters", "Filters whose publishers wait.", ({ host }) => host.router.pacing.pacedFilters),

  // ---- the log and memory
  gauge("retained_messages", "Retained messages.", ({ host }) => host.router.retained.count),
  gauge("log_segments", "Segments of the log that hold messages.", ({ figures }) => figures.liveSegments),
  gauge(
    "log_spare_segments",
    "Segments that are kept for reuse.",
    ({ host, figures }) =>
      host.router.log.segments.filter((segment) => segment !== null).length - figures.liveSegments,
  ),
  gauge("log_messages", "Messages that the log holds.", ({ figures }) => figures.logMessages),
  gauge("log_bytes", "Bytes of messages that the log holds.", ({ figures }) => figures.logBytes),
  gauge("log_free_bytes", "Bytes that the log has left.", ({ host }) => host.router.log.freeBytes),
  counter("log_appended_messages", "Messages that came into the log.", ({ host }) => host.router.log.head),
  counter(
    "log_appended_bytes",
    "Bytes of messages that came into the log.",
    ({ host }) => host.router.stats.appendedBytes,
  ),
  gauge("memory_used_bytes", "Memory in use, by owner.", (source) => memory(source, "used"), "owner"),
  gauge("memory_peak_bytes", "The most that an owner has used.", (source) => memory(source, "peak"), "owner"),
  gauge("memory_limit_bytes", "What an owner may use.", (source) => memory(source, "bytesMax"), "owner"),

  // ---- listeners
  gauge(
    "listener_clients",
    "Connected clients, by listener.",
    (source) => perListener(source, ({ clients }) => clients),
    "listener",
  ),
  counter(
    "listener_clients_accepted",
    "Clients that were let in, by listener.",
    (source) => perListener(source, ({ accepted }) => accepted),
    "listener",
  ),
  counter(
    "listener_clients_refused",
    "CONNECT packets that were refused, by listener and Reason Code.",
    ({ figures }) => figures.listeners.flatMap(({ section, refused }) => [...byReason(refused, section)]),
    ...["listener", "reason"],
  ),
  counter(
    "listener_received_bytes",
    "Bytes of MQTT from clients, by listener.",
    (source) => perListener(source, ({ traffic }) => traffic.bytesIn),
    "listener",
  ),
  counter(
    "listener_sent_bytes",
    "Bytes of MQTT to clients, by listener.",
    (source) => perListener(source, ({ traffic }) => traffic.bytesOut),
    "listener",
  ),
  counter(
    "listener_messages_received",
    "PUBLISH packets from clients, by listener.",
    (source) => perListener(source, ({ traffic }) => traffic.messagesIn),
    "listener",
  ),
  counter(
    "listener_messages_sent",
    "PUBLISH packets to clients, by listener.",
    (source) => perListener(source, ({ traffic }) => traffic.messagesOut),
    "listener",
  ),

  // ---- the program
  gauge(
    "build_info",
    "Which program this is; always 1.",
    ({ runtime }) => [[[VERSION, runtime.engineVersion], 1]],
    ...["version", "bun"],
  ),
  counter(
    "gc_collections",
    "Garbage collections; those between two turns of the event loop count once.",
    ({ runtime }) => runtime.collections,
  ),
  gauge("heap_used_bytes", "Bytes of JavaScript's heap in use.", () => process.memoryUsage().heapUsed),
  gauge("heap_size_bytes", "Bytes of JavaScript's heap.", () => process.memoryUsage().heapTotal),
  {
    name: "process_resident_memory_bytes",
    help: "Resident memory size in bytes.",
    type: "gauge",
    labels: [],
    read: () => process.memoryUsage.rss(),
  },
  {
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    type: "counter",
    labels: [],
    read: () => cpuSeconds(process.cpuUsage()),
  },
  {
    name: "process_start_time_seconds",
    help: "Start time of the process since unix epoch in seconds.",
    type: "gauge",
    labels: [],
    read: ({ runtime }) => runtime.startedSeconds,
  },

  // ---- rumqttd's own names, for its dashboards
  {
    name: "metrics_router_total_publishes",
    help: "PUBLISH packets from clients; the name that rumqttd has for it.",
    type: "gauge",
    labels: [],
    read: ({ host }) => host.router.stats.publishesIn,
  },
  {
    name: "metrics_router_total_connections",
    help: "Connected clients; the name that rumqttd has for it.",
    type: "gauge",
    labels: [],
    read: ({ host }) => host.stats.clients,
  },
  {
    name: "metrics_router_failed_publishes",
    help: "Messages that were not taken; the name that rumqttd has for it.",
    type: "gauge",
    labels: [],
    read: ({ host: { router } }) => router.stats.refusedPublishes + router.stats.deniedPublishes,
  },
];

export const HISTOGRAM_ROWS: readonly HistogramRow[] = [
  {
    name: "millrace_publish_write_latency_seconds",
    help: "From a publish to the write to the last reader that was ready for it, one sample a turn.",
    read: ({ host }) => host.router.latency.seconds,
  },
  {
    name: "millrace_event_loop_lag_seconds",
    help: "By how much a timer of the event loop came too late.",
    read: ({ runtime }) => runtime.lagSeconds,
  },
];

function cpuSeconds({ user, system }: { readonly user: number; readonly system: number }): number {
  return (user + system) / 1e6;
}

function isClient({ session }: { readonly session: Session }): boolean {
  return !session.isLink;
}
