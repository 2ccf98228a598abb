// The tables of configuration keys. Value types, range checks, unknown-key errors, the sample file, the reference
// table of the README and `--help` all derive from them: a key is added here, or in the table of its own that SECTIONS
// names, and nowhere else.

import { ACL_KEYS, AUTHORIZATION_KEYS } from "./aclKeys.ts";
import { AUTH_FILE_KEYS, AUTH_HTTP_KEYS, AUTH_JWT_KEYS, AUTH_KEYS, AUTH_LIMIT_KEYS } from "./authKeys.ts";
import { GIB, type Keys, KIB, MIB, TIB } from "./key.ts";
import {
  BRIDGE_CLIENT_KEYS,
  BRIDGE_CONNECTION_KEYS,
  BRIDGE_KEYS,
  BRIDGE_TLS_KEYS,
  CLUSTER_KEYS,
} from "./linkKeys.ts";
import { CONNECTION_KEYS, LISTENER_KEYS, MQTT_LISTENER_KEYS, WS_LISTENER_KEYS } from "./listenerKeys.ts";
import { SNI_KEYS, SNIFF_KEYS, TLS_KEYS } from "./transportKeys.ts";
import { WEB_SOCKET_KEYS } from "./wsKeys.ts";
import { ALERT_KEYS, CONSOLE_KEYS, METER_KEYS, PROMETHEUS_KEYS, SYS_KEYS } from "./serviceKeys.ts";

export const TOP_KEYS = {
  id: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 65_535,
    restart: true,
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
    restart: true,
    doc: "Number of this broker when the top-level id is absent",
  },
  memory: {
    kind: "size",
    default: 64 * MIB,
    minimum: 16 * MIB,
    maximum: TIB,
    unit: "bytes",
    restart: true,
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
  max_handshakes: {
    kind: "integer",
    default: 1_024,
    minimum: 1,
    maximum: 1_000_000,
    unit: "handshakes",
    restart: true,
    doc: "TLS handshakes at one time; sockets beyond max_connections that have not become clients yet",
  },
  max_outgoing_packet_count: {
    kind: "integer",
    default: 200,
    minimum: 1,
    maximum: 65_535,
    unit: "messages",
    restart: true,
    doc: "Messages that one subscriber gets before it is the next one's turn",
  },
  max_segment_size: {
    kind: "size",
    default: 100 * MIB,
    minimum: KIB,
    maximum: TIB,
    unit: "bytes",
    restart: true,
    doc: "Times max_segment_count: how much of one filter a slow QoS 0 subscriber may owe before it skips",
  },
  max_segment_count: {
    kind: "integer",
    default: 10,
    minimum: 1,
    maximum: 1_000_000,
    restart: true,
    doc: "See max_segment_size",
  },
  initialized_filters: {
    kind: "filters",
    default: [],
    restart: true,
    doc: "Topic filters that exist from the start, whoever subscribes",
  },
  shared_subscriptions_strategy: {
    kind: "strategy",
    default: "roundrobin",
    restart: true,
    doc: "Which member of a shared subscription gets the next message",
  },
  pace_debt: {
    kind: "size",
    default: 2 * MIB,
    minimum: 64 * KIB,
    maximum: GIB,
    unit: "bytes",
    restart: true,
    doc: "What a healthy subscriber may owe of one filter before that filter's publishers are slowed",
  },
  stall_timeout_ms: {
    kind: "integer",
    default: 1_000,
    minimum: 10,
    maximum: 3_600_000,
    unit: "ms",
    restart: true,
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
    restart: true,
    doc: "The same for this filter alone",
  },
  max_segment_count: {
    kind: "integer",
    default: null,
    defaultText: "as in [router]",
    minimum: 1,
    maximum: 1_000_000,
    restart: true,
    doc: "The same for this filter alone",
  },
} as const satisfies Keys;

export interface Section {
  readonly title: string;
  readonly keys: Keys;
  /** The rows that people read under this title, where the others stand under another. */
  readonly shown?: Keys;
  /** What it says is off where it is absent, though none of its keys must be given. */
  readonly offUnlessGiven?: true;
}

/** Every table of keys under the name that people know it by. `N` is any name, `filter` any topic filter. */
export const SECTIONS: readonly Section[] = [
  { title: "", keys: TOP_KEYS },
  { title: "[router]", keys: ROUTER_KEYS },
  { title: "[router.custom_segment.'filter']", keys: SEGMENT_KEYS },
  { title: "[v4.N] and [v5.N]", keys: LISTENER_KEYS },
  { title: "[mqtt.N]", keys: MQTT_LISTENER_KEYS, shown: SNIFF_KEYS },
  { title: "[ws.N]", keys: WS_LISTENER_KEYS, shown: WEB_SOCKET_KEYS },
  { title: "[v4.N.connections] and [v5.N.connections]", keys: CONNECTION_KEYS },
  { title: "[mqtt.N.connections] and [ws.N.connections]", keys: CONNECTION_KEYS, shown: {} },
  { title: "[v4.N.tls] and [v5.N.tls]", keys: TLS_KEYS },
  { title: "[mqtt.N.tls] and [ws.N.tls]", keys: TLS_KEYS, shown: {} },
  { title: "[[v4.N.tls.sni]] and [[v5.N.tls.sni]]", keys: SNI_KEYS },
  { title: "[[mqtt.N.tls.sni]] and [[ws.N.tls.sni]]", keys: SNI_KEYS, shown: {} },
  { title: "[auth]", keys: AUTH_KEYS },
  { title: "[auth.file]", keys: AUTH_FILE_KEYS },
  { title: "[auth.jwt]", keys: AUTH_JWT_KEYS, offUnlessGiven: true },
  { title: "[auth.http]", keys: AUTH_HTTP_KEYS },
  { title: "[auth.limits]", keys: AUTH_LIMIT_KEYS },
  { title: "[authorization]", keys: AUTHORIZATION_KEYS },
  { title: "[[acl]]", keys: ACL_KEYS },
  { title: "[console]", keys: CONSOLE_KEYS },
  { title: "[prometheus]", keys: PROMETHEUS_KEYS, offUnlessGiven: true },
  { title: "[sys]", keys: SYS_KEYS },
  { title: "[metrics.alerts]", keys: ALERT_KEYS, offUnlessGiven: true },
  { title: "[metrics.meters]", keys: METER_KEYS, offUnlessGiven: true },
  { title: "[bridge]", keys: BRIDGE_KEYS },
  { title: "[bridge.connections]", keys: BRIDGE_CONNECTION_KEYS },
  { title: "[bridge.transport.tls]", keys: BRIDGE_TLS_KEYS },
  { title: "[bridge.transport.tls.client_auth]", keys: BRIDGE_CLIENT_KEYS },
  { title: "[cluster]", keys: CLUSTER_KEYS },
];
