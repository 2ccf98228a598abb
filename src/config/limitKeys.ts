// The keys of limits per client and per user. They stand among the keys of a listener's connections.

import { type Keys, TIB } from "./key.ts";

const COUNT_MAX = 0xffff_ffff;

/** Part of `[v4.N.connections]` and `[v5.N.connections]`. */
export const LIMIT_KEYS = {
  max_client_id_len: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 65_535,
    unit: "bytes",
    doc: "Longest Client Identifier that a client may choose; 0 sets no limit",
  },
  client_id_characters: {
    kind: "text",
    default: null,
    defaultText: "any characters",
    doc: 'Characters and ranges that a Client Identifier may have, such as "A-Za-z0-9_-"',
  },
  client_id_of_user: {
    kind: "choice",
    default: "none",
    choices: ["none", "equal", "prefix"],
    doc: "Whether a Client Identifier must be the user name, or begin with it and one of - _ . : / @",
  },
  max_connections_per_user: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: COUNT_MAX,
    unit: "connections",
    doc: "Connections of one user name at one time, over all listeners; 0 sets no limit",
  },
  max_subscriptions: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: COUNT_MAX,
    unit: "subscriptions",
    doc: "Subscriptions of one client; 0 sets no limit",
  },
  max_topic_levels: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 65_535,
    unit: "levels",
    doc: "Levels of the topics and filters that a client may publish and subscribe to; 0 sets no limit",
  },
  max_message_rate: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: COUNT_MAX,
    unit: "messages/s",
    doc: "Messages that one client may publish in a second before it is slowed down; 0 sets no limit",
  },
  max_byte_rate: {
    kind: "size",
    default: 0,
    minimum: 0,
    maximum: TIB,
    unit: "bytes/s",
    doc: "The same in bytes, of whatever packets; 0 sets no limit",
  },
  throttle_delay_ms: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 60_000,
    unit: "ms",
    doc: "Pause after each read of what a client has sent, in steps of 50 ms; 0 is none",
  },
  max_retained_messages: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: COUNT_MAX,
    unit: "messages",
    doc: "Retained messages that one client may have stored; 0 sets no limit",
  },
} as const satisfies Keys;
