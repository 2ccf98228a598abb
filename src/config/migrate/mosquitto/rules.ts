// What becomes of mosquitto's options: one row each. Those that take more than a row are in mosquitto.ts.

import type { Part } from "../draft.ts";

/**
 * Whom an option concerns: the broker as a whole; the listener above it; with per_listener_settings the listener above
 * it, else all; or the bridge above it.
 */
export type Scope = "broker" | "listener" | "security" | "bridge";

export interface Place {
  /** A part of each listener that the option concerns, or the path of a section. */
  readonly in: Part | readonly string[];
  readonly key: string;
}

export interface MosquittoRule {
  readonly scope: Scope;
  /** Where it goes. */
  readonly to?: Place;
  /** What its text means; "text" when absent. */
  readonly is?: "boolean" | "integer" | "text" | "versions" | "duration" | "words";
  /** Values that set no limit: the key's own largest value says the same. */
  readonly unlimited?: readonly bigint[];
  /** Why nothing takes its place. */
  readonly gone?: string;
  /** Why nothing needs to. */
  readonly same?: string;
  /** Read together with others. */
  readonly special?: true;
  /** Its value is never shown. */
  readonly secret?: true;
  /** Without any `listener`, or before the first, it opens the default one. */
  readonly opens?: true;
}

const LOG = "log lines go to stdout: see --log-level and --log-format";
const SERVICE = "the service manager does it: see the unit file";
const PLUGIN = "mosquitto's plugins cannot be loaded; [auth] and [authorization] say what takes their place";
const PSK = "there is no TLS with pre-shared keys";
const ENGINE = "keys are read from files alone";
const WEB_LIBRARY = "there is no such library in here";
const BRIDGE: MosquittoRule = { scope: "bridge", special: true };

export const MOSQUITTO_RULES: Readonly<Record<string, MosquittoRule>> = {
  // Listeners.
  listener: { scope: "listener", special: true },
  port: { scope: "listener", special: true, opens: true },
  bind_address: { scope: "listener", special: true, opens: true },
  socket_domain: { scope: "listener", special: true, opens: true },
  protocol: { scope: "listener", special: true, opens: true },
  bind_interface: {
    scope: "listener",
    gone: "listeners stand on addresses, not on interfaces: give listen the interface's address",
    opens: true,
  },
  max_connections: { scope: "listener", special: true, opens: true },
  max_qos: { scope: "listener", to: { in: "connections", key: "max_qos" }, is: "integer", opens: true },
  max_topic_alias: { scope: "listener", to: { in: "connections", key: "topic_alias_max" }, is: "integer" },
  max_topic_alias_broker: { scope: "listener", gone: "aliases towards a client are as many as it allows" },
  accept_protocol_versions: { scope: "listener", to: { in: "", key: "versions" }, is: "versions" },
  mount_point: { scope: "listener", gone: "topics of a listener are not moved below a prefix", opens: true },
  use_username_as_clientid: { scope: "listener", special: true, opens: true },
  http_dir: { scope: "listener", gone: "no files are served" },
  websockets_origin: { scope: "listener", to: { in: "", key: "origins" }, is: "words" },
  websockets_headers_size: { scope: "broker", gone: WEB_LIBRARY },
  websockets_log_level: { scope: "broker", gone: WEB_LIBRARY },

  // TLS.
  certfile: { scope: "listener", to: { in: "tls", key: "certpath" }, opens: true },
  keyfile: { scope: "listener", to: { in: "tls", key: "keypath" }, opens: true },
  cafile: { scope: "listener", to: { in: "tls", key: "capath" }, opens: true },
  capath: {
    scope: "listener",
    gone: "certificates of CAs are in one file: put those of the folder together, and name it as capath",
    opens: true,
  },
  crlfile: { scope: "listener", to: { in: "tls", key: "crlpath" }, opens: true },
  require_certificate: {
    scope: "listener",
    to: { in: "tls", key: "verify_client_cert" },
    is: "boolean",
    opens: true,
  },
  use_identity_as_username: { scope: "listener", special: true, opens: true },
  use_subject_as_username: {
    scope: "listener",
    gone: 'a whole subject is no name here; identity = "cn", "o" or "san" takes a part of it',
    opens: true,
  },
  tls_version: { scope: "listener", special: true },
  ciphers: { scope: "listener", gone: "the ciphers are those of the TLS library", opens: true },
  "ciphers_tls1.3": { scope: "listener", gone: "the ciphers are those of the TLS library", opens: true },
  dhparamfile: { scope: "listener", same: "elliptic curves need no parameters", opens: true },
  disable_client_cert_date_checks: { scope: "listener", gone: "certificates that have ended are refused" },
  tls_engine: { scope: "listener", gone: ENGINE, opens: true },
  tls_engine_kpass_sha1: { scope: "listener", gone: ENGINE, secret: true, opens: true },
  tls_keyform: { scope: "listener", gone: ENGINE, opens: true },
  psk_hint: { scope: "listener", special: true, opens: true },
  psk_file: { scope: "security", gone: PSK, opens: true },

  // Who may do what.
  per_listener_settings: { scope: "broker", special: true },
  allow_anonymous: { scope: "security", special: true },
  listener_allow_anonymous: { scope: "listener", special: true },
  password_file: { scope: "security", special: true, opens: true },
  acl_file: { scope: "security", special: true },
  allow_zero_length_clientid: {
    scope: "security",
    to: { in: "connections", key: "allow_empty_client_id" },
    is: "boolean",
    opens: true,
  },
  auto_id_prefix: { scope: "security", gone: "identifiers that the broker gives have its own prefix" },
  listener_auto_id_prefix: {
    scope: "listener",
    gone: "identifiers that the broker gives have its own prefix",
  },
  clientid_prefixes: { scope: "broker", gone: "identifiers are bounded by client_id_characters and [[acl]]" },
  auth_plugin: { scope: "security", special: true, opens: true },
  plugin: { scope: "security", special: true, opens: true },
  plugin_load: { scope: "security", special: true },
  plugin_use: { scope: "security", special: true },
  global_plugin: { scope: "broker", special: true },
  auth_plugin_deny_special_chars: {
    scope: "security",
    same: "a name with a wildcard never widens a rule",
  },
  check_retain_source: { scope: "broker", gone: "who may receive decides, not who has published" },

  // Limits.
  global_max_connections: {
    scope: "broker",
    to: { in: ["router"], key: "max_connections" },
    is: "integer",
    unlimited: [-1n],
  },
  global_max_clients: {
    scope: "broker",
    gone: "sessions are bounded by [router] memory and max_session_expiry",
  },
  max_inflight_messages: {
    scope: "broker",
    to: { in: "connections", key: "max_inflight_count" },
    is: "integer",
    unlimited: [0n],
  },
  max_inflight_bytes: {
    scope: "broker",
    is: "integer",
    gone: "max_inflight_messages bounds what is on its way to a client",
  },
  max_queued_messages: {
    scope: "broker",
    to: { in: "connections", key: "max_queued_messages" },
    is: "integer",
    unlimited: [0n],
  },
  max_queued_bytes: {
    scope: "broker",
    to: { in: "connections", key: "max_queued_bytes" },
    is: "integer",
    unlimited: [0n],
  },
  max_keepalive: { scope: "broker", to: { in: "connections", key: "max_keep_alive" }, is: "integer" },
  max_packet_size: { scope: "broker", special: true },
  message_size_limit: { scope: "broker", special: true },
  memory_limit: { scope: "broker", to: { in: ["router"], key: "memory" }, is: "integer", unlimited: [0n] },
  packet_buffer_size: { scope: "broker", same: "packets are read where they lie" },
  persistent_client_expiration: {
    scope: "broker",
    to: { in: "connections", key: "max_session_expiry" },
    is: "duration",
  },
  retain_expiry_interval: {
    scope: "broker",
    gone: "retained messages end by their own Message Expiry Interval",
  },
  retain_available: { scope: "broker", to: { in: "connections", key: "retain_available" }, is: "boolean" },
  upgrade_outgoing_qos: { scope: "broker", is: "boolean", gone: "QoS is never raised, as the standard says" },
  queue_qos0_messages: { scope: "broker", is: "boolean", gone: "QoS 0 is not kept for who is away" },
  allow_duplicate_messages: {
    scope: "broker",
    same: "overlapping subscriptions bring a message once, with every Subscription Identifier",
  },
  set_tcp_nodelay: { scope: "broker", same: "it is always so" },

  // Storage.
  persistence: { scope: "broker", special: true },
  persistence_location: { scope: "broker", special: true },
  persistence_file: { scope: "broker", same: "the files in the folder have names of their own" },
  autosave_interval: { scope: "broker", same: "what is stored is written as it comes" },
  autosave_on_changes: { scope: "broker", same: "what is stored is written as it comes" },

  // Logs and statistics.
  log_dest: { scope: "broker", gone: LOG },
  log_type: { scope: "broker", gone: LOG },
  log_facility: { scope: "broker", gone: LOG },
  log_timestamp: { scope: "broker", gone: LOG },
  log_timestamp_format: { scope: "broker", gone: LOG },
  connection_messages: { scope: "broker", gone: LOG },
  sys_interval: { scope: "broker", to: { in: ["sys"], key: "interval" }, is: "integer" },
  enable_control_api: { scope: "broker", gone: "[console] answers what $CONTROL did" },

  // The process.
  user: { scope: "broker", gone: SERVICE },
  pid_file: { scope: "broker", gone: SERVICE },
  retry_interval: { scope: "broker", same: "messages are sent again when a client comes back" },
  store_clean_interval: { scope: "broker", same: "what nobody needs is gone at once" },

  // Bridges: told once each, at their `connection`.
  connection: BRIDGE,
  address: BRIDGE,
  addresses: BRIDGE,
  topic: BRIDGE,
  cleansession: BRIDGE,
  clientid: BRIDGE,
  idle_timeout: BRIDGE,
  keepalive_interval: BRIDGE,
  notification_topic: BRIDGE,
  notifications: BRIDGE,
  notifications_local_only: BRIDGE,
  password: BRIDGE,
  restart_timeout: BRIDGE,
  round_robin: BRIDGE,
  start_type: BRIDGE,
  threshold: BRIDGE,
  try_private: BRIDGE,
  username: BRIDGE,
};

/** Families of options: by how their names begin. */
export const MOSQUITTO_FAMILIES: readonly (readonly [prefix: string, rule: MosquittoRule])[] = [
  ["auth_opt_", { scope: "security", gone: PLUGIN, secret: true }],
  ["plugin_opt_", { scope: "security", gone: PLUGIN, secret: true }],
  ["bridge_", BRIDGE],
  ["local_", BRIDGE],
  ["remote_", BRIDGE],
];

export function mosquittoRule(name: string): MosquittoRule | undefined {
  if (Object.hasOwn(MOSQUITTO_RULES, name)) return MOSQUITTO_RULES[name];
  return MOSQUITTO_FAMILIES.find(([prefix]) => name.startsWith(prefix))?.[1];
}

export const PLUGIN_GONE = PLUGIN;
export const PSK_GONE = PSK;
