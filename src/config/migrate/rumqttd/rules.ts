// What becomes of the keys that rumqttd has had, in all its generations. A key of a listener goes by its own rule
// wherever in the listener it stood: the first files had them all in one table, later ones in three.

import type { Part } from "../draft.ts";

export type Rule =
  /** Its place today. */
  | { readonly part: Part; readonly key: string }
  /** Nothing takes its place, and why. */
  | { readonly gone: string };

const NEVER_STORED = "nothing was stored by it; [persistence] dir stores messages";
const NEVER_HELD = "it was never held to; max_message_rate and max_byte_rate are, for each client";

/** Tables inside an old listener, and the part that their keys belonged to. */
export const OLD_PARTS: Readonly<Record<string, Part>> = {
  connections: "connections",
  cert: "tls",
  certs: "tls",
  tls: "tls",
};

export const LISTENER_RULES: Readonly<Record<string, Rule>> = {
  name: { part: "", key: "name" },
  listen: { part: "", key: "listen" },
  next_connection_delay_ms: { part: "", key: "next_connection_delay_ms" },
  connection_timeout_ms: { part: "connections", key: "connection_timeout_ms" },
  timeout_ms: { part: "connections", key: "connection_timeout_ms" },
  max_payload_size: { part: "connections", key: "max_payload_size" },
  max_packet_size: { part: "connections", key: "max_packet_size" },
  max_inflight_count: { part: "connections", key: "max_inflight_count" },
  max_inflight_size: { part: "connections", key: "max_inflight_size" },
  max_client_id_len: { part: "connections", key: "max_client_id_len" },
  dynamic_filters: { part: "connections", key: "dynamic_filters" },
  auth: { part: "connections", key: "auth" },
  cert_path: { part: "tls", key: "certpath" },
  certpath: { part: "tls", key: "certpath" },
  key_path: { part: "tls", key: "keypath" },
  keypath: { part: "tls", key: "keypath" },
  instant_ack: { gone: "a message is acknowledged once it is in the log" },
  disk_persistence: { gone: NEVER_STORED },
  disk_retention_size: { gone: NEVER_STORED },
  disk_retention_time_sec: { gone: NEVER_STORED },
  auto_save_interval_sec: { gone: NEVER_STORED },
  max_cloud_to_device_throughput: { gone: NEVER_HELD },
  max_device_to_cloud_throughput: { gone: NEVER_HELD },
  max_incoming_messages_per_sec: { gone: NEVER_HELD },
  max_inflight_queue_size: { gone: "max_inflight_count and max_queued_messages bound what is on its way" },
};

/** `key`: its name today. */
export type TableRule = { readonly key: string } | { readonly gone: string };

function same(...names: string[]): Record<string, TableRule> {
  return Object.fromEntries(names.map((name) => [name, { key: name }]));
}

export const ROUTER_RULES: Readonly<Record<string, TableRule>> = {
  ...same(
    "id",
    "memory",
    "max_connections",
    "max_outgoing_packet_count",
    "max_segment_size",
    "max_segment_count",
    "initialized_filters",
    "shared_subscriptions_strategy",
  ),
  max_segments: { key: "max_segment_count" },
  instant_ack: { gone: "a message is acknowledged once it is in the log" },
  max_read_len: { gone: "max_outgoing_packet_count bounds what one subscriber gets in its turn" },
  dir: { gone: NEVER_STORED },
};

export const BRIDGE_RULES: Readonly<Record<string, TableRule>> = same(
  "name",
  "addr",
  "qos",
  "sub_path",
  "reconnection_delay",
  "ping_delay",
  "timeout_delay",
);

export const BRIDGE_CONNECTION_RULES: Readonly<Record<string, TableRule>> = {
  ...same(
    "connection_timeout_ms",
    "max_payload_size",
    "max_inflight_count",
    "max_inflight_size",
    "max_client_id_len",
    "throttle_delay_ms",
    "dynamic_filters",
    "auth",
  ),
  timeout_ms: { key: "connection_timeout_ms" },
};

/** Sections of which nothing is left, by name. */
export const GONE_SECTIONS: Readonly<Record<string, string>> = {
  replicator: "links between nodes have no limits of their own",
  httppush: "messages are not pushed over HTTP",
  httpserver: "messages are published over MQTT alone here",
};
