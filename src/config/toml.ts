// TOML as this program writes it: keys, values and comments, each on one line.

import { isTable } from "./values.ts";

const BARE_KEY = /^[\w-]+$/;
/** What a literal string, in single quotes, can hold: no quote and no control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that TOML forbids there.
const LITERAL_KEY = /^[^'\u0000-\u001f\u007f]*$/;

/** One part of a key: bare where it can be, else in quotes. */
export function tomlKey(name: string): string {
  if (BARE_KEY.test(name)) return name;
  return LITERAL_KEY.test(name) ? `'${name}'` : tomlString(name);
}

/** `[a.b.'c/d']` without its brackets. */
export function tomlPath(path: readonly string[]): string {
  return path.map(tomlKey).join(".");
}

/** JSON's escapes are TOML's, but for DEL, which JSON leaves alone. */
export function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007F");
}

/** A value as the parser gives it (integers as BigInt), or as a program makes it (integers as numbers). */
export function tomlValue(value: unknown): string {
  if (typeof value === "string") return tomlString(value);
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (isTable(value)) {
    const entries = Object.entries(value).map(([name, item]) => `${tomlKey(name)} = ${tomlValue(item)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  if (value instanceof Date) return value.toISOString();
  return String(value);
}

/** What a text may be inside a comment: one line, without characters that TOML forbids. */
export function commentText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that TOML forbids there.
  return text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]+/g, " ").trimEnd();
}
