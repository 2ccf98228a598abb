// The keys of listeners and of the connections that come in through them.

import { AUTHENTICATOR_NAMES } from "../net/authSettings.ts";
import { SNIFF_KEYS, SOCKET_KEYS } from "./transportKeys.ts";
import { WEB_SOCKET_KEYS } from "./wsKeys.ts";
import { type Keys, KIB, MIB, PACKET_BYTES_MAX, REMAINING_LENGTH_MAX, TIB } from "./key.ts";
import { LIMIT_KEYS } from "./limitKeys.ts";

/** `[v4.N]` and `[v5.N]`: both speak every version, unless `versions` narrows it. */
export const LISTENER_KEYS = {
  name: {
    kind: "text",
    default: null,
    defaultText: "v4-N or v5-N",
    doc: "What logs call this listener",
  },
  listen: {
    kind: "endpoint",
    default: null,
    required: true,
    doc: 'Where to listen: "host:port", "[::]:1883", ":1883" or "unix:/run/mqtt.sock"; port 0 takes any free one',
  },
  versions: {
    kind: "versions",
    default: [3, 4, 5],
    doc: "MQTT versions spoken here: 3 is 3.1, 4 is 3.1.1, 5 is 5.0",
  },
  next_connection_delay_ms: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 60_000,
    unit: "ms",
    doc: "Pause between two accepted connections",
  },
  ...SOCKET_KEYS,
} as const satisfies Keys;

/** `[ws.N]`: MQTT over WebSocket. */
export const WS_LISTENER_KEYS = { ...LISTENER_KEYS, ...WEB_SOCKET_KEYS } as const satisfies Keys;

/** `[mqtt.N]`: everything on one port, with `sniff`. */
export const MQTT_LISTENER_KEYS = {
  ...LISTENER_KEYS,
  ...SNIFF_KEYS,
  ...WEB_SOCKET_KEYS,
} as const satisfies Keys;

/** `[v4.N.connections]` and `[v5.N.connections]`. */
export const CONNECTION_KEYS = {
  connection_timeout_ms: {
    kind: "integer",
    default: 5_000,
    minimum: 10,
    maximum: 3_600_000,
    unit: "ms",
    doc: "Time from the connection to its whole CONNECT and the verdict on it",
  },
  auth: {
    kind: "users",
    default: null,
    defaultText: "no users of its own",
    doc: 'User names and their passwords or hashes, as { user = "password" }; `millrace passwd` makes hashes',
  },
  auth_chain: {
    kind: "texts",
    default: null,
    defaultText: "as in [auth]",
    choices: AUTHENTICATOR_NAMES,
    doc: "Who is asked about the clients of this listener, in this order",
  },
  allow_anonymous: {
    kind: "boolean",
    default: null,
    defaultText: "only where nobody is asked",
    doc: "Whether clients without user name and password may connect",
  },
  dynamic_filters: {
    kind: "boolean",
    default: true,
    doc: "Accepted: with either value a message that no filter matches costs only its parsing",
  },
  max_payload_size: {
    kind: "size",
    default: MIB,
    minimum: 0,
    maximum: REMAINING_LENGTH_MAX,
    unit: "bytes",
    doc: "Largest payload of a published message",
  },
  max_packet_size: {
    kind: "size",
    default: null,
    defaultText: "max_payload_size + 128 KiB",
    minimum: 128,
    maximum: PACKET_BYTES_MAX,
    unit: "bytes",
    doc: "Largest packet, announced as Maximum Packet Size; at most a quarter of [router] memory",
  },
  max_inflight_count: {
    kind: "integer",
    default: 1000,
    minimum: 1,
    maximum: 65_535,
    unit: "messages",
    doc: "QoS 1 and 2 messages on their way to one client; its own Receive Maximum may lower it",
  },
  receive_maximum: {
    kind: "integer",
    default: 1_024,
    minimum: 1,
    maximum: 65_535,
    unit: "messages",
    doc: "QoS 1 and 2 messages on their way from one client, announced as Receive Maximum",
  },
  topic_alias_max: {
    kind: "integer",
    default: 64,
    minimum: 0,
    maximum: 65_535,
    unit: "aliases",
    doc: "Topic aliases that a client may set, announced as Topic Alias Maximum",
  },
  max_qos: {
    kind: "integer",
    default: 2,
    minimum: 0,
    maximum: 2,
    doc: "Highest QoS, announced as Maximum QoS",
  },
  retain_available: {
    kind: "boolean",
    default: true,
    doc: "Whether messages may be retained",
  },
  wildcard_available: {
    kind: "boolean",
    default: true,
    doc: "Whether filters may hold + and #",
  },
  shared_available: {
    kind: "boolean",
    default: true,
    doc: "Whether $share/group/filter may be subscribed to",
  },
  subscription_identifiers_available: {
    kind: "boolean",
    default: true,
    doc: "Whether subscriptions may carry an identifier",
  },
  max_keep_alive: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 65_535,
    unit: "s",
    doc: "Longest Keep Alive of an MQTT 5 client; 0 sets no limit",
  },
  max_session_expiry: {
    kind: "integer",
    default: 0xffff_ffff,
    minimum: 0,
    maximum: 0xffff_ffff,
    unit: "s",
    doc: "Longest Session Expiry Interval; 4294967295 sets no limit",
  },
  allow_empty_client_id: {
    kind: "boolean",
    default: true,
    doc: "Whether a client without an identifier is given one rather than refused",
  },
  max_queued_messages: {
    kind: "integer",
    default: 100_000,
    minimum: 1,
    maximum: 0xffff_ffff,
    unit: "messages",
    doc: "QoS 1 and 2 messages kept for one session; beyond it the oldest goes",
  },
  max_queued_bytes: {
    kind: "size",
    default: 16 * MIB,
    minimum: KIB,
    maximum: TIB,
    unit: "bytes",
    doc: "The same in bytes",
  },
  max_inflight_size: {
    kind: "size",
    default: null,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    effect: "none",
    doc: "In-flight bytes of older brokers",
  },
  ...LIMIT_KEYS,
} as const satisfies Keys;
