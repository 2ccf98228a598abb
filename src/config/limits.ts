// From the keys of limits to the limits.

import type { ClientLimits, IdentifierBinding } from "../net/limits.ts";
import type { ValuesOf } from "./key.ts";
import type { LIMIT_KEYS } from "./limitKeys.ts";
import { keyText } from "./problems.ts";
import { type Document, problem } from "./section.ts";

/** What `values` say, which were read at `path`. */
export function readLimits(
  document: Document,
  path: readonly string[],
  values: ValuesOf<typeof LIMIT_KEYS>,
): ClientLimits {
  const { client_id_characters: characters } = values;
  const pattern = characters === null ? null : characterPattern(characters);
  if (pattern === undefined) {
    const at = [...path, "client_id_characters"];
    const text = 'must be characters and ranges in ascending order, such as "A-Za-z0-9_-"';
    problem(document, at, `${keyText(at)} = ${JSON.stringify(characters)}: ${text}`);
  }
  return {
    connectionsPerUser: limit(values.max_connections_per_user),
    subscriptions: limit(values.max_subscriptions),
    topicLevels: limit(values.max_topic_levels),
    messagesPerSecond: limit(values.max_message_rate),
    bytesPerSecond: limit(values.max_byte_rate),
    readPauseMs: values.throttle_delay_ms,
    retainedMessages: limit(values.max_retained_messages),
    identifierBytes: limit(values.max_client_id_len),
    identifierPattern: pattern ?? null,
    identifierBinding: values.client_id_of_user as IdentifierBinding,
  };
}

function limit(value: number): number {
  return value === 0 ? Number.POSITIVE_INFINITY : value;
}

/**
 * Matches texts of these characters alone. `-` stands for a range between two characters, for itself at either end.
 * Undefined when there are none, or a range runs backwards.
 */
function characterPattern(characters: string): RegExp | undefined {
  const points = [...characters];
  const ranges: string[] = [];
  for (let i = 0; i < points.length; i++) {
    const isRange = points[i + 1] === "-" && i + 2 < points.length;
    const from = points[i]!;
    const to = isRange ? points[i + 2]! : from;
    if (codeOf(to) < codeOf(from)) return undefined;
    ranges.push(`${escaped(from)}-${escaped(to)}`);
    if (isRange) i += 2;
  }
  return ranges.length === 0 ? undefined : new RegExp(`^[${ranges.join("")}]*$`, "u");
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function escaped(character: string): string {
  return `\\u{${codeOf(character).toString(16)}}`;
}
