// The keys of links to other brokers: `[bridge]` and `[cluster]`, as rumqttd has them.

import { type Keys, PACKET_BYTES_MAX, REMAINING_LENGTH_MAX } from "./key.ts";

export const BRIDGE_KEYS = {
  name: {
    kind: "text",
    default: null,
    required: true,
    doc: "Client Identifier that this broker has at the other one",
  },
  addr: {
    kind: "address",
    default: null,
    required: true,
    doc: 'The other broker, as "host:port"',
  },
  qos: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 2,
    doc: "QoS of the subscription at the other broker",
  },
  sub_path: {
    kind: "text",
    default: null,
    required: true,
    doc: "Topic filter of what is fetched from the other broker",
  },
  reconnection_delay: {
    kind: "integer",
    default: 5,
    minimum: 0,
    maximum: 86_400,
    unit: "s",
    doc: "Pause before the link is made anew",
  },
  ping_delay: {
    kind: "integer",
    default: 5,
    minimum: 1,
    maximum: 65_535,
    unit: "s",
    doc: "Time without traffic after which the other broker is asked for a sign of life",
  },
  timeout_delay: {
    kind: "integer",
    default: 5,
    minimum: 1,
    maximum: 65_535,
    unit: "s",
    doc: "Time without an answer after which the link is made anew",
  },
} as const satisfies Keys;

/** `[bridge.connections]`. */
export const BRIDGE_CONNECTION_KEYS = {
  connection_timeout_ms: {
    kind: "integer",
    default: 5_000,
    minimum: 10,
    maximum: 3_600_000,
    unit: "ms",
    doc: "Time for the link to stand",
  },
  max_payload_size: {
    kind: "size",
    default: 1024 * 1024,
    minimum: 0,
    maximum: REMAINING_LENGTH_MAX,
    unit: "bytes",
    doc: "Largest payload of a message that is fetched",
  },
  max_inflight_count: {
    kind: "integer",
    default: 100,
    minimum: 1,
    maximum: 65_535,
    unit: "messages",
    doc: "QoS 1 and 2 messages on their way over the link",
  },
  dynamic_filters: {
    kind: "boolean",
    default: true,
    doc: "As in [v4.N.connections]",
  },
  auth: {
    kind: "users",
    default: null,
    effect: "none",
    doc: "Users of older brokers, which looked at no link's",
  },
  max_client_id_len: {
    kind: "integer",
    default: null,
    minimum: 0,
    maximum: 65_535,
    effect: "none",
    doc: "Client identifier length of older brokers",
  },
  throttle_delay_ms: {
    kind: "integer",
    default: null,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    effect: "none",
    doc: "Read pause of older brokers",
  },
  max_inflight_size: {
    kind: "size",
    default: null,
    minimum: 0,
    maximum: PACKET_BYTES_MAX,
    effect: "none",
    doc: "In-flight bytes of older brokers",
  },
} as const satisfies Keys;

/** `[bridge.transport.tls]`. */
export const BRIDGE_TLS_KEYS = {
  ca: {
    kind: "text",
    default: null,
    required: true,
    doc: "File of the certificates that the other broker's is checked against",
  },
} as const satisfies Keys;

/** `[bridge.transport.tls.client_auth]`. */
export const BRIDGE_CLIENT_KEYS = {
  certs: {
    kind: "text",
    default: null,
    required: true,
    doc: "File of the certificate that this broker shows",
  },
  key: {
    kind: "text",
    default: null,
    required: true,
    doc: "File of its private key",
  },
} as const satisfies Keys;

export const CLUSTER_KEYS = {
  node_id: {
    kind: "integer",
    default: null,
    required: true,
    minimum: 0,
    maximum: 65_535,
    doc: "Number of this node",
  },
  listen: {
    kind: "address",
    default: null,
    required: true,
    doc: "Where this node listens for the others",
  },
  seniors: {
    kind: "nodes",
    default: [],
    doc: 'The nodes that this one connects to, as [[1, "host:port"]]',
  },
} as const satisfies Keys;
