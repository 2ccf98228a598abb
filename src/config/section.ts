// One table of a document read against its keys: values, and a problem for each key that is wrong or unknown.

import { assert } from "../base/assert.ts";
import type { Keys, ValuesOf } from "./key.ts";
import { SECTIONS } from "./keys.ts";
import type { LineMap } from "./lines.ts";
import type { Path } from "./problems.ts";
import { keyText, nearest, pathText, valueText } from "./problems.ts";
import { isTable, readValue } from "./values.ts";

/** A parsed file, and what is said about it. */
export interface Document {
  /** How messages name the file. */
  readonly file: string;
  readonly lines: LineMap;
  /** What the environment set in place of the file. */
  readonly variables: VariableMap;
  readonly problems: Remark[];
  readonly warnings: Remark[];
}

/** Which environment variable stands behind a path, if any does. */
export interface VariableMap {
  nameOf(path: Path): string | undefined;
}

export interface Remark {
  readonly line: number;
  /** Set where an environment variable is to blame rather than the line. */
  readonly variable: string | undefined;
  readonly text: string;
  /** The configuration is right, and a file that it names is not. */
  readonly isOfFile?: boolean;
}

/** The texts in the order of the file, each with file and line at its head, then those of variables. */
export function remarkTexts(document: Document, remarks: readonly Remark[]): string[] {
  const rank = ({ line, variable }: Remark): number => (variable === undefined ? line : Infinity);
  const inOrder = remarks.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  return inOrder.map(({ line, variable, text }) => `${variable ?? `${document.file}:${line}`}: ${text}`);
}

export function problem(document: Document, path: Path, text: string): void {
  document.problems.push(remark(document, path, text));
}

/** What is wrong with a file that the key at `path` names. */
export function problemOfFile(document: Document, path: Path, text: string): void {
  document.problems.push({ ...remark(document, path, text), isOfFile: true });
}

export function warning(document: Document, path: Path, text: string): void {
  document.warnings.push(remark(document, path, text));
}

function remark(document: Document, path: Path, text: string): Remark {
  return { line: document.lines.lineOf(path), variable: document.variables.nameOf(path), text };
}

/** `line 12`, or the variable that set it. */
export function placeText(document: Document, path: Path): string {
  return document.variables.nameOf(path) ?? `line ${document.lines.lineOf(path)}`;
}

/** `millrace.toml:12`, or the variable that set it. */
export function headText(document: Document, path: Path): string {
  return document.variables.nameOf(path) ?? `${document.file}:${document.lines.lineOf(path)}`;
}

/**
 * The values of `table`, which stands at `path`. A wrong value is reported and replaced by its default, so that
 * reading goes on; the caller throws in the end if there was any problem. `children` names keys that others read.
 */
export function readSection<T extends Keys>(
  document: Document,
  path: Path,
  table: Readonly<Record<string, unknown>>,
  keys: T,
  children: readonly string[] = [],
): ValuesOf<T> {
  const values: Record<string, unknown> = {};
  for (const [name, key] of Object.entries(keys)) {
    values[name] = defaultOf(key.default);
    const raw = table[name];
    const at = [...path, name];
    if (raw === undefined) {
      if (key.required) problem(document, path, `[${pathText(path)}] needs the key ${name}`);
      continue;
    }
    const reading = readValue(key, raw);
    if ("refusal" in reading) {
      const shown = reading.refusal.secret ? "" : ` = ${valueText(raw)}`;
      problem(document, at, `${keyText(at)}${shown}: must be ${reading.refusal.allowed}`);
    } else if (key.effect === "none") {
      warning(document, at, `${keyText(at)} is an old key without effect`);
    } else {
      values[name] = reading.value;
    }
  }
  for (const name of Object.keys(table)) {
    if (!Object.hasOwn(keys, name) && !children.includes(name))
      unknownKey(document, [...path, name], keys, children);
  }
  return values as ValuesOf<T>;
}

/** A fresh copy, so that no two settings share a list. */
function defaultOf(value: Keys[string]["default"]): unknown {
  return Array.isArray(value) ? [...value] : value;
}

/** Reports the key at `path` as unknown, with the key that was probably meant. */
export function unknownKey(document: Document, path: Path, keys: Keys, children: readonly string[]): void {
  const name = path[path.length - 1];
  assert(typeof name === "string", "a key's path ends in its name");
  const home = SECTIONS.find((section) => section.keys !== keys && Object.hasOwn(section.keys, name));
  const known = [...Object.keys(keys), ...children];
  const longer = known.filter((one) => one.startsWith(name));
  const meant = longer.length === 1 ? longer[0] : nearest(name, known);
  let hint = `; known here: ${known.join(", ")}`;
  if (meant !== undefined) hint = `; did you mean ${meant}?`;
  else if (home !== undefined)
    hint = `; it belongs ${home.title === "" ? "above the first section" : `in ${home.title}`}`;
  problem(document, path, `${keyText(path)}: unknown key${hint}`);
}

/** The table at `path`, or undefined with a problem when something else stands there. Absent gives {}. */
export function tableAt(
  document: Document,
  path: Path,
  raw: unknown,
): Readonly<Record<string, unknown>> | undefined {
  if (raw === undefined) return {};
  if (isTable(raw)) return raw;
  problem(document, path, `${keyText(path)} = ${valueText(raw)}: must be a section, [${pathText(path)}]`);
  return undefined;
}
