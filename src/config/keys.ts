// The one table of configuration keys. Value types, range checks, unknown-key errors, the sample file, the
// reference table of the README and `--help` all derive from it: a key is added here and nowhere else.
//
// A row whose `default` is null has no default: the value is null unless given. `required` rows must be given.
// Rows with `effect: "none"` are read for the sake of old files and then forgotten, with a warning.

import type { ProtocolLevel } from "../net/settings.ts";
import type { SharedStrategy } from "../router/settings.ts";

/** `host` is a name or an address without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a key's text becomes, by kind. */
export interface KindValue {
  integer: number;
  /** Bytes: an integer, or a string such as "64MiB". */
  size: number;
  boolean: boolean;
  text: string;
  strategy: SharedStrategy;
  address: Address;
  versions: readonly ProtocolLevel[];
  filters: readonly string[];
  users: ReadonlyMap<string, string>;
}

export type Kind = keyof KindValue;

export interface Key {
  readonly kind: Kind;
  readonly default: number | string | boolean | readonly (number | string)[] | null;
  /** For people, where the default is computed rather than constant. */
  readonly defaultText?: string;
  readonly required?: true;
  /** Inclusive; for integers and sizes. */
  readonly minimum?: number;
  readonly maximum?: number;
  readonly unit?: string;
  readonly effect?: "none";
  /** One sentence without its full stop. */
  readonly doc: string;
}

export type Keys = Readonly<Record<string, Key>>;

/** The values that a section's keys give: null only where a row has neither a default nor `required`. */
export type ValuesOf<T extends Keys> = {
  readonly [Name in keyof T]:
    | KindValue[T[Name]["kind"]]
    | (T[Name]["default"] extends null ? (T[Name] extends { required: true } ? never : null) : never);
};

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const TIB = 1024 * GIB;

/** §2.1.4: the largest Remaining Length, and with its fixed header the largest packet. */
const REMAINING_LENGTH_MAX = 268_435_455;
const PACKET_BYTES_MAX = REMAINING_LENGTH_MAX + 5;

/** Room for a topic, properties and headers when `max_packet_size` follows from `max_payload_size`. */
export const PACKET_OVERHEAD_BYTES = 128 * KIB;

export const TOP_KEYS = {
  id: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 65_535,
    doc: "Number of this broker, for logs and for later links to others",
  },
} as const satisfies Keys;

export const ROUTER_KEYS = {
  id: {
    kind: "integer",
    default: null,
    defaultText: "top-level id",
    minimum: 0,
    maximum: 65_535,
    doc: "Number of this broker when the top-level id is absent",
  },
  memory: {
    kind: "size",
    default: 64 * MIB,
    minimum: 16 * MIB,
    maximum: TIB,
    unit: "bytes",
    doc: "All that the broker may hold: messages, retained messages, partial packets and in-flight states",
  },
  max_connections: {
    kind: "integer",
    default: 10_010,
    minimum: 1,
    maximum: 10_000_000,
    unit: "connections",
    doc: "Network connections at one time, over all listeners",
  },
  max_outgoing_packet_count: {
    kind: "integer",
    default: 200,
    minimum: 1,
    maximum: 65_535,
    unit: "messages",
    doc: "Messages that one subscriber gets before it is the next one's turn",
  },
  max_segment_size: {
    kind: "size",
    default: 100 * MIB,
    minimum: KIB,
    maximum: TIB,
    unit: "bytes",
    doc: "Times max_segment_count: how much of one filter a slow QoS 0 subscriber may owe before it skips",
  },
  max_segment_count: {
    kind: "integer",
    default: 10,
    minimum: 1,
    maximum: 1_000_000,
    doc: "See max_segment_size",
  },
  initialized_filters: {
    kind: "filters",
    default: [],
    doc: "Topic filters that exist from the start, whoever subscribes",
  },
  shared_subscriptions_strategy: {
    kind: "strategy",
    default: "roundrobin",
    doc: "Which member of a shared subscription gets the next message",
  },
  pace_debt: {
    kind: "size",
    default: 2 * MIB,
    minimum: 64 * KIB,
    maximum: GIB,
    unit: "bytes",
    doc: "What a healthy subscriber may owe of one filter before that filter's publishers are slowed",
  },
  stall_timeout_ms: {
    kind: "integer",
    default: 1_000,
    minimum: 10,
    maximum: 3_600_000,
    unit: "ms",
    doc: "A subscriber without progress for so long slows no publisher any more",
  },
  max_read_len: {
    kind: "integer",
    default: null,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    effect: "none",
    doc: "Read length of older brokers",
  },
} as const satisfies Keys;

/** `[router.custom_segment.'filter']`; a key that is absent takes the router's value. */
export const SEGMENT_KEYS = {
  max_segment_size: {
    kind: "size",
    default: null,
    defaultText: "as in [router]",
    minimum: KIB,
    maximum: TIB,
    unit: "bytes",
    doc: "The same for this filter alone",
  },
  max_segment_count: {
    kind: "integer",
    default: null,
    defaultText: "as in [router]",
    minimum: 1,
    maximum: 1_000_000,
    doc: "The same for this filter alone",
  },
} as const satisfies Keys;

/** `[v4.N]` and `[v5.N]`: both speak every version, unless `versions` narrows it. */
export const LISTENER_KEYS = {
  name: {
    kind: "text",
    default: null,
    defaultText: "v4-N or v5-N",
    doc: "What logs call this listener",
  },
  listen: {
    kind: "address",
    default: null,
    required: true,
    doc: 'Where to listen, as "host:port", "[::]:1883" or ":1883"; port 0 takes any free one',
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
} as const satisfies Keys;

/** `[v4.N.connections]` and `[v5.N.connections]`. */
export const CONNECTION_KEYS = {
  connection_timeout_ms: {
    kind: "integer",
    default: 5_000,
    minimum: 10,
    maximum: 3_600_000,
    unit: "ms",
    doc: "Time from the connection to its whole CONNECT",
  },
  auth: {
    kind: "users",
    default: null,
    defaultText: "everybody may connect",
    doc: 'User names and their passwords, as { user = "password" }',
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
  throttle_delay_ms: {
    kind: "integer",
    default: null,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    effect: "none",
    doc: "Read pause of older brokers",
  },
  max_client_id_len: {
    kind: "integer",
    default: null,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    effect: "none",
    doc: "Client identifier length of older brokers",
  },
} as const satisfies Keys;

/** Every table of keys under the name that people know it by. `N` is any name, `filter` any topic filter. */
export const SECTIONS: readonly { readonly title: string; readonly keys: Keys }[] = [
  { title: "", keys: TOP_KEYS },
  { title: "[router]", keys: ROUTER_KEYS },
  { title: "[router.custom_segment.'filter']", keys: SEGMENT_KEYS },
  { title: "[v4.N] and [v5.N]", keys: LISTENER_KEYS },
  { title: "[v4.N.connections] and [v5.N.connections]", keys: CONNECTION_KEYS },
];
