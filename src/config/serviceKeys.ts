// The keys of what stands beside the broker: the console, metrics, and what the broker publishes about itself.

import type { Keys } from "./key.ts";

/** `[console]` */
export const CONSOLE_KEYS = {
  listen: {
    kind: "address",
    default: null,
    required: true,
    doc: 'Where the console listens, as "host:port"; without token and user only this machine is served',
  },
  token: {
    kind: "text",
    default: null,
    defaultText: "none",
    secret: true,
    doc: "Token that asks for the console's API, as Authorization: Bearer",
  },
  user: {
    kind: "text",
    default: null,
    defaultText: "none",
    doc: "User name for the console, with password, as Authorization: Basic",
  },
  password: {
    kind: "text",
    default: null,
    secret: true,
    doc: "Password of user",
  },
} as const satisfies Keys;

/** `[prometheus]` */
export const PROMETHEUS_KEYS = {
  listen: {
    kind: "address",
    default: null,
    defaultText: "127.0.0.1 and port",
    doc: 'Where /metrics is served, as "host:port"',
  },
  port: {
    kind: "integer",
    default: null,
    minimum: 1,
    maximum: 65_535,
    doc: "Port alone, as older files have it; served to this machine",
  },
  interval: {
    kind: "integer",
    default: 1,
    minimum: 1,
    maximum: 3600,
    unit: "s",
    doc: "How often the event loop's lag is measured; counters are read when they are asked for",
  },
} as const satisfies Keys;

/** `[sys]` */
export const SYS_KEYS = {
  interval: {
    kind: "integer",
    default: 10,
    minimum: 0,
    maximum: 86_400,
    unit: "s",
    doc: "How often $SYS/broker/… is published, retained; 0 is never",
  },
} as const satisfies Keys;

/** `[metrics.alerts]`: what happens to clients, as messages. */
export const ALERT_KEYS = {
  topic: {
    kind: "text",
    default: "$events",
    doc: "Events are published below this topic, such as $events/client/connected",
  },
  events: {
    kind: "texts",
    default: ["connected", "disconnected", "subscribed", "refused", "gap", "quota"],
    choices: ["connected", "disconnected", "subscribed", "refused", "gap", "quota"],
    doc: "Which events are published",
  },
  push_interval: {
    kind: "integer",
    default: 1,
    minimum: 1,
    maximum: 3600,
    unit: "s",
    doc: "How often gap and quota are told; the others are told when they happen",
  },
} as const satisfies Keys;

/** `[metrics.meters]`: figures of the broker, as messages. */
export const METER_KEYS = {
  topic: {
    kind: "text",
    default: "$events/meters",
    doc: "Topic of the figures, one JSON object",
  },
  push_interval: {
    kind: "integer",
    default: 1,
    minimum: 1,
    maximum: 3600,
    unit: "s",
    doc: "How often the figures are published",
  },
} as const satisfies Keys;
