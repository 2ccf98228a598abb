// What the text of mosquitto's options means.

import type { Option } from "./options.ts";
import type { MosquittoRule } from "./rules.ts";

export function booleanOf(text: string): boolean | undefined {
  if (/^(?:true|1)$/i.test(text)) return true;
  return /^(?:false|0)$/i.test(text) ? false : undefined;
}

export function integerOf(text: string): bigint | undefined {
  return /^-?\d{1,18}$/.test(text) ? BigInt(text) : undefined;
}

/** Seconds in one of each unit; a month has 30 days. */
const UNIT_SECONDS: Readonly<Record<string, bigint>> = {
  h: 3_600n,
  d: 86_400n,
  w: 604_800n,
  m: 2_592_000n,
  y: 31_536_000n,
};

/** `14d`: seconds. */
export function durationOf(text: string): bigint | undefined {
  const match = /^(\d{1,9})([hdwmy])$/.exec(text);
  const unit = UNIT_SECONDS[match?.[2] ?? ""];
  return unit === undefined ? undefined : BigInt(match?.[1] ?? 0) * unit;
}

/** What a rule makes of an option's text; undefined when mosquitto would not take it either. */
export function valueOfText(rule: MosquittoRule, text: string): unknown {
  switch (rule.is ?? "text") {
    case "boolean":
      return booleanOf(text);
    case "integer":
      return integerOf(text);
    case "duration":
      return durationOf(text);
    case "versions":
      return text.split(",").map((part) => integerOf(part.trim()));
    case "words":
      return text.split(/\s+/);
    case "text":
      return text === "" ? undefined : text;
  }
}

/** `was max_qos 1`: for options whose text is no secret. */
export function wasText({ name, text }: Option): string {
  return `was ${name} ${text}`.trimEnd();
}
