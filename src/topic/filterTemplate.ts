// FilterTemplate: a Topic Filter of a rule with places for what a client is: `%c` its Client Identifier, `%u` its user
// name, `%o` its organisation (tenant), `%{name}` a claim of its token; `%%` is a percent sign. A value that is put
// in its place stays within its level and is taken as it is spelled: it never becomes a wildcard.

import { parseTopicFilter } from "./topicFilter.ts";

/** What a place stands for: "c", "u", "o", or a claim's name in braces, such as "{role}". */
export type Place = "c" | "u" | "o" | `{${string}}`;

export interface FilterTemplate {
  /** As it was written. */
  readonly text: string;
  readonly parts: readonly (string | { readonly place: Place })[];
  /** Each place once. */
  readonly places: readonly Place[];
}

/** Levels of one filter of a rule. */
export const LEVELS_MAX = 200;

const PLACE = /%(?:([cuo%])|\{([^{}]+)\}|)/g;

/** The template that `text` spells, or a sentence that says what is wrong with it. */
export function parseTemplate(text: string): FilterTemplate | string {
  const parts: FilterTemplate["parts"][number][] = [];
  let from = 0;
  for (const match of text.matchAll(PLACE)) {
    const [whole, letter, claim] = match;
    if (letter === undefined && claim === undefined) {
      const shown = text.slice(match.index, match.index + 2);
      return `'${shown}' stands for nothing: there are %c, %u, %o, %{claim} and %%`;
    }
    parts.push(text.slice(from, match.index));
    if (letter === "%") parts.push("%");
    else parts.push({ place: claim === undefined ? (letter as "c" | "u" | "o") : `{${claim}}` });
    from = match.index + whole.length;
  }
  parts.push(text.slice(from));
  return templateOf(text, parts);
}

/** The same where only `%c` and `%u` are places and every other percent sign is itself. */
export function parsePlainPlaces(text: string): FilterTemplate | string {
  const pieces = text.split(/(%[cu])/);
  const parts = pieces.map((piece, index) => {
    return index % 2 === 0 ? piece : { place: piece.slice(1) as "c" | "u" };
  });
  return templateOf(text, parts);
}

/** The template of these parts, written as `text`, or a sentence that says why there is none. */
export function templateOf(text: string, parts: FilterTemplate["parts"]): FilterTemplate | string {
  const spelled = parts.map((part) => (typeof part === "string" ? part : "x")).join("");
  const parsed = parseTopicFilter(spelled);
  if (parsed === null) return `'${text}' is not a topic filter`;
  if (parsed.group !== null) return `'${text}' names a shared subscription: a rule names the filter alone`;
  if (spelled.split("/").length > LEVELS_MAX) return `a filter has at most ${LEVELS_MAX} levels`;
  const places = parts.flatMap((part) => (typeof part === "string" ? [] : [part.place]));
  return { text, parts: parts.filter((part) => part !== ""), places: [...new Set(places)] };
}

/**
 * The filter's levels for one client, for a rule that grants: null when a value is empty, holds "+", "#", "/" or
 * U+0000, or would begin the filter with "$". Then there is nothing of the client's own that the rule could grant.
 */
export function fillToGrant(template: FilterTemplate, valueAt: (place: Place) => string): string[] | null {
  let text = "";
  for (const part of template.parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const value = valueAt(part.place);
    if (value === "" || /[+#/\0]/.test(value) || (text === "" && value.startsWith("$"))) return null;
    text += value;
  }
  return text.split("/");
}

/**
 * The same for a rule that refuses: exactly what it spells is refused, so that no value gets round it. Null when no
 * topic is spelled like that: a value holds "+", "#" or U+0000.
 */
export function fillToRefuse(template: FilterTemplate, valueAt: (place: Place) => string): string[] | null {
  let text = "";
  for (const part of template.parts) {
    const value = typeof part === "string" ? part : valueAt(part.place);
    if (typeof part !== "string" && /[+#\0]/.test(value)) return null;
    text += value;
  }
  return text === "" ? null : text.split("/");
}
