// Untold: options that nothing has become of and nothing has been said about, by what they were set to or where they
// stand. Each gets its comment, and a warning where something may be lost: no line of an old file vanishes in silence.

import type { Draft } from "../draft.ts";
import type { Option } from "./options.ts";
import { mosquittoRule, PSK_GONE } from "./rules.ts";
import { booleanOf, integerOf } from "./values.ts";

interface Reason {
  readonly why: string;
  /** Nothing is lost. */
  readonly isIdle: boolean;
}

export function addUntold(draft: Draft, options: readonly Option[]): void {
  const untold = options.filter(({ source }) => !draft.isTold(source));
  for (const option of untold) {
    const later = options.findLast(({ name }) => name === option.name) !== option;
    const { why, isIdle } = later ? SAID_ANEW : reasonOf(option);
    draft.section([]).gone(option.name, why, { source: option.source, isIdle });
  }
}

const SAID_ANEW: Reason = { why: "a later line says it anew", isIdle: true };
const NOT_TAKEN: Reason = { why: "it is not what mosquitto takes", isIdle: false };

function reasonOf({ name, text }: Option): Reason {
  if (mosquittoRule(name)?.scope === "bridge")
    return { why: "it stands before the first connection, and belongs to no bridge", isIdle: false };
  switch (name) {
    case "per_listener_settings":
      return booleanOf(text) === undefined
        ? NOT_TAKEN
        : { why: "every listener has a section of its own", isIdle: true };
    case "allow_anonymous":
    case "listener_allow_anonymous":
      return {
        why: "without a listener everybody on this machine was let in",
        isIdle: booleanOf(text) === true,
      };
    case "protocol":
      return { why: "listeners speak MQTT unless they say otherwise", isIdle: true };
    case "psk_hint":
      return { why: PSK_GONE, isIdle: false };
    case "use_username_as_clientid":
      return booleanOf(text) === undefined
        ? NOT_TAKEN
        : { why: "clients choose their identifiers, as before", isIdle: true };
    case "max_packet_size":
    case "message_size_limit":
    case "max_connections":
      return integerOf(text) === undefined ? NOT_TAKEN : { why: "it set no limit", isIdle: true };
    default:
      return text === "" ? NOT_TAKEN : { why: "it changes nothing here", isIdle: false };
  }
}
