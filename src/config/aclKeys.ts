// The keys of authorisation: what a client may publish, subscribe to and be sent.

import type { Keys } from "./key.ts";

const ACTIONS = ["publish", "subscribe", "receive"] as const;

/** `[authorization]` */
export const AUTHORIZATION_KEYS = {
  default: {
    kind: "choice",
    choices: ["allow", "deny"],
    default: null,
    defaultText: '"deny" where there is an [[acl]], else "allow"',
    doc: "What holds for publishing and subscribing where no rule matches",
  },
  default_receive: {
    kind: "choice",
    choices: ["allow", "deny"],
    default: "allow",
    doc: "What holds for messages to a client where no rule matches: what it could subscribe to, it is sent",
  },
  acl_file: {
    kind: "text",
    default: null,
    defaultText: "no file",
    doc: "Rules in the format of mosquitto's acl_file, behind every [[acl]]; what they do not match is denied",
  },
  acl_file_subscriptions: {
    kind: "choice",
    choices: ["refuse", "narrow"],
    default: "refuse",
    doc: "What becomes of subscriptions that are wider than what the acl_file lets be read; mosquitto narrows them",
  },
  on_refused_publish: {
    kind: "choice",
    choices: ["drop", "disconnect"],
    default: "drop",
    doc: "What a refused message does that no packet can answer: at QoS 0, and at any QoS before MQTT 5",
  },
} as const satisfies Keys;

/** `[[acl]]`: rules in their order, of which the first that matches decides. */
export const ACL_KEYS = {
  users: {
    kind: "texts",
    default: null,
    defaultText: "whoever",
    doc: "Only these users",
  },
  client_ids: {
    kind: "texts",
    default: null,
    defaultText: "whoever",
    doc: "Only these client identifiers, in which * stands for any characters; clients choose them freely",
  },
  tenants: {
    kind: "texts",
    default: null,
    defaultText: "whoever",
    doc: "Only clients of these tenants",
  },
  listeners: {
    kind: "texts",
    default: null,
    defaultText: "wherever",
    doc: 'Only clients of these listeners, by their sections, such as "v4.1"',
  },
  anonymous: {
    kind: "boolean",
    default: null,
    defaultText: "either",
    doc: "Only clients without a user name, or only those with one",
  },
  claims: {
    kind: "texts",
    default: null,
    defaultText: "whoever",
    doc: 'Only clients whose token has all of these claims, each as "name=value"',
  },
  allow: {
    kind: "texts",
    choices: ACTIONS,
    default: null,
    defaultText: "either allow or deny",
    doc: "What the rule permits",
  },
  deny: {
    kind: "texts",
    choices: ACTIONS,
    default: null,
    defaultText: "either allow or deny",
    doc: "What the rule forbids",
  },
  filters: {
    kind: "texts",
    default: null,
    required: true,
    doc: "Topic filters; %c is the client identifier, %u the user, %o the tenant, %{name} a claim, %% a percent sign",
  },
} as const satisfies Keys;
