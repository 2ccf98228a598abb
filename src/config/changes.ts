// Changes: what is different between two configurations, key by key, as a reload tells it.

import { effectiveText } from "./effective.ts";
import type { Key } from "./key.ts";
import { parseToml, type ReadConfig } from "./load.ts";
import { keysAt } from "./places.ts";
import { keyText, pathText, valueText } from "./problems.ts";
import { isTable } from "./values.ts";

export interface Change {
  /** "[v4.1] max_qos: 2 → 1". */
  readonly text: string;
  readonly needsRestart: boolean;
}

interface Value {
  readonly path: readonly (string | number)[];
  readonly key: Key | undefined;
  /** What is compared; the raw value where it is secret. */
  readonly raw: unknown;
}

const HIDDEN = /<hidden>/g;

/** In the order of the new one; what is gone comes last. A section that is there in one of them alone is one change. */
export function changesBetween(before: ReadConfig, after: ReadConfig): Change[] {
  const old = valuesOf(before);
  const now = valuesOf(after);
  const changes: Change[] = [];
  for (const [name, value] of now) {
    const was = old.get(name);
    if (was === undefined) addOnce(changes, aloneText(value, old, "added"), value);
    else if (!Bun.deepEquals(was.raw, value.raw)) {
      addOnce(changes, `${keyText(value.path)}: ${shown(was)} → ${shown(value)}`, value);
    }
  }
  for (const [name, value] of old) if (!now.has(name)) addOnce(changes, aloneText(value, now, "gone"), value);
  return changes;
}

function addOnce(changes: Change[], text: string, { key }: Value): void {
  if (changes.some((one) => one.text === text)) return;
  changes.push({ text, needsRestart: key?.restart ?? false });
}

/** The key, or the outermost section around it that `others` have nothing of. */
function aloneText({ path }: Value, others: ReadonlyMap<string, Value>, what: string): string {
  for (let length = 1; length < path.length; length++) {
    const section = path.slice(0, length);
    const isShared = [...others.values()].some((other) => section.every((part, i) => part === other.path[i]));
    if (!isShared) return `[${pathText(section)}]: ${what}`;
  }
  return `${keyText(path)}: ${what}`;
}

function shown({ key, raw }: Value): string {
  return key?.secret === true || key?.kind === "users" ? "another" : valueText(raw);
}

/** The configuration in force as one object, secrets hidden. */
export function effectiveValues(read: ReadConfig): Record<string, unknown> {
  const text = effectiveText(read, "");
  return plain(parseToml(text.replaceAll(HIDDEN, '"<hidden>"'), "")) as Record<string, unknown>;
}

/** The same of a program that began with `started` and read `read` since: what takes a restart is as it began. */
export function valuesInForce(started: ReadConfig, read: ReadConfig): Record<string, unknown> {
  const values = effectiveValues(read);
  const began = valuesOf(started);
  for (const [name, { path, key }] of valuesOf(read)) {
    if (key?.restart === true && !began.has(name)) setAt(values, path, undefined);
  }
  for (const { path, key, raw } of began.values()) if (key?.restart === true) setAt(values, path, raw);
  return values;
}

/** No key below a list takes a restart: the path is of tables alone. */
function setAt(values: Record<string, unknown>, path: Value["path"], value: unknown): void {
  let table = values;
  for (const part of path.slice(0, -1)) {
    const below = table[part];
    if (isTable(below)) table = below;
    else table = table[part] = {} as Record<string, unknown>;
  }
  table[path.at(-1)!] = value;
}

/** Every key in force by its path. */
function valuesOf(read: ReadConfig): Map<string, Value> {
  const values = new Map<string, Value>();
  collect(values, read.root, effectiveValues(read), []);
  return values;
}

function collect(
  values: Map<string, Value>,
  raw: unknown,
  table: object,
  path: readonly (string | number)[],
): void {
  const keys = keysAt(path.filter((part) => typeof part === "string"));
  for (const [name, value] of Object.entries(table)) {
    const at = [...path, Array.isArray(table) ? Number(name) : name];
    const given = isTable(raw) || Array.isArray(raw) ? (raw as Record<string, unknown>)[name] : undefined;
    const key = keys?.[name];
    if (key !== undefined) {
      const isSecret = key.secret === true || key.kind === "users";
      values.set(JSON.stringify(at), { path: at, key, raw: isSecret ? given : value });
    } else if (isTable(value) || Array.isArray(value)) collect(values, given, value, at);
  }
}

/** Integers as numbers: what JSON can say. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isTable(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}
