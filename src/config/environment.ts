// Environment: variables that stand in for keys of the file. `MILLRACE__ROUTER__MAX_CONNECTIONS=500` is
// `max_connections = 500` in [router]; each double underscore goes one section down. Their values pass the same
// checks as the file's, and what is wrong with one is told with the variable's name, never with a secret.

import { parse } from "smol-toml";
import type { Key } from "./key.ts";
import { LATER_SECTIONS } from "./later.ts";
import { isWild, keysAt, PLACES } from "./places.ts";
import type { Path } from "./problems.ts";
import { nearest } from "./problems.ts";
import type { VariableMap } from "./section.ts";
import { isTable, readValue } from "./values.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "MILLRACE__";
const SEPARATOR = "__";

type Table = Record<string, unknown>;

/** Which variable set which path. */
export class Variables implements VariableMap {
  readonly #byPath = new Map<string, string>();

  /** Every variable that has set something. */
  get names(): readonly string[] {
    return [...new Set(this.#byPath.values())];
  }

  /** The variable that set `path`, what it is in, or, for a section that the file does not have, the first in it. */
  nameOf(path: Path): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const name = this.#byPath.get(pathId(path.slice(0, length)));
      if (name !== undefined) return name;
    }
    return undefined;
  }

  set(path: Path, name: string): void {
    this.#byPath.set(pathId(path), name);
  }
}

function pathId(path: Path): string {
  return JSON.stringify(path);
}

/** A variable that stands for no key. */
export interface Refused {
  readonly variable: string;
  readonly text: string;
}

/**
 * Puts what `environment` says into `root`, a parsed file, and remembers it in `variables`. Variables of other
 * programs are left alone; those of this one that stand for nothing are returned.
 */
export function applyEnvironment(root: Table, environment: Environment, variables: Variables): Refused[] {
  const refused: Refused[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const text = environment[variable];
    if (text === undefined || !variable.toUpperCase().startsWith(PREFIX)) continue;
    const parts = variable.slice(PREFIX.length).split(SEPARATOR);
    const target = parts.includes("") ? undefined : targetOf(parts, root);
    const problem =
      target === undefined ? unknownText(parts) : place(root, target, text, variable, variables);
    if (problem !== undefined) refused.push({ variable, text: problem });
  }
  return refused;
}

interface Target {
  /** From the top of the file to the key. */
  readonly path: readonly string[];
  /** Absent for keys of sections whose feature does not exist yet. */
  readonly key: Key | undefined;
}

/** The key that the variable's parts stand for, in sections of `root` or new ones. */
function targetOf(parts: readonly string[], root: Table): Target | undefined {
  const [last = ""] = parts.slice(-1);
  for (const { pattern, keys, isList } of PLACES) {
    if (isList) continue;
    // One part more than section and key: an entry of a table of users.
    const isEntry = parts.length === pattern.length + 2;
    if (!isEntry && parts.length !== pattern.length + 1) continue;
    const section = sectionPath(pattern, parts, root);
    const name = section && sameName(Object.keys(keys), parts[pattern.length] ?? "");
    const key = name === undefined ? undefined : keys[name];
    if (section === undefined || name === undefined || key === undefined) continue;
    if (!isEntry) return { path: [...section, name], key };
    if (key.kind === "users") return { path: [...section, name, last], key: undefined };
  }
  const [first = ""] = parts;
  const later = sameName(LATER_SECTIONS, first);
  if (later === undefined || parts.length < 2) return undefined;
  return { path: [later, ...parts.slice(1).map((part) => part.toLowerCase())], key: undefined };
}

/** `pattern` with the names that `parts` give; undefined when they do not fit. */
function sectionPath(
  pattern: readonly string[],
  parts: readonly string[],
  root: Table,
): string[] | undefined {
  const path: string[] = [];
  let table: unknown = root;
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? "";
    const known: string[] = isTable(table) ? Object.keys(table) : [];
    const name = isWild(expected) ? chosenName(expected, part, known) : sameName([expected], part);
    if (name === undefined) return undefined;
    path.push(name);
    table = isTable(table) ? table[name] : undefined;
  }
  return path;
}

/** A name of the file, else a new one. Topic filters stand as they are written; other names are small letters. */
function chosenName(expected: string, part: string, known: readonly string[]): string {
  if (expected !== "N") return part;
  return sameName(known, part) ?? part.toLowerCase();
}

/** The one of `names` that `part` is, whatever its letters' case. */
function sameName(names: readonly string[], part: string): string | undefined {
  return names.includes(part) ? part : names.find((name) => name.toLowerCase() === part.toLowerCase());
}

/** Writes the value into `root`. Returns what is in the way, if anything is. */
function place(
  root: Table,
  { path, key }: Target,
  text: string,
  variable: string,
  variables: Variables,
): string | undefined {
  let table = root;
  for (const [index, part] of path.slice(0, -1).entries()) {
    const below = table[part];
    if (below === undefined) {
      const made: Table = {};
      table[part] = made;
      table = made;
      variables.set(path.slice(0, index + 1), variable);
    } else if (isTable(below)) table = below as Table;
    else return `the file has a value, not a section, at ${path.slice(0, index + 1).join(".")}`;
  }
  const [name = ""] = path.slice(-1);
  table[name] = key === undefined ? text : tomlMeant(key, text);
  variables.set(path, variable);
  return undefined;
}

/**
 * The TOML value that `text` means: the text itself where the key takes it, else the text read as TOML, else as a
 * list without its brackets or its quotes. A text that the key takes in no way is left to the check.
 */
function tomlMeant(key: Key, text: string): unknown {
  const words = text.split(",").map((word) => word.trim());
  const readings: readonly (() => unknown)[] = [
    () => text,
    () => tomlOf(text),
    () => tomlOf(`[${text}]`),
    () => words,
  ];
  for (const reading of readings) {
    const value = reading();
    if (value !== undefined && "value" in readValue(key, value)) return value;
  }
  return tomlOf(text) ?? text;
}

function tomlOf(text: string): unknown {
  try {
    return parse(`value = ${text}`, { integersAsBigInt: true })["value"];
  } catch {
    return undefined;
  }
}

/** Why no key is meant, and which one probably was. */
function unknownText(parts: readonly string[]): string {
  const section = parts.slice(0, -1);
  const [name = ""] = parts.slice(-1);
  const lower = section.map((part) => part.toLowerCase());
  const keys = keysAt(lower);
  if (keys !== undefined) {
    const meant = nearest(name, Object.keys(keys));
    if (meant !== undefined) return `no such key; did you mean ${variableName(section, meant)}?`;
  }
  const home = PLACES.find(({ keys: own, isList }) => !isList && Object.hasOwn(own, name.toLowerCase()));
  if (home !== undefined) return `no such key; did you mean ${homeName(home.pattern, section, name)}?`;
  const known = keys === undefined ? undefined : Object.keys(keys);
  if (known !== undefined) return `no such key; known there: ${known.join(", ")}`;
  const meant = nearestSection(lower);
  if (meant !== undefined) return `no such section; did you mean ${variableName(meant, name)}?`;
  return `stands for no key; MILLRACE__ROUTER__MAX_CONNECTIONS is max_connections in [router]`;
}

/** The name that the key has where it is at home; with the names of `section` where they fit. */
function homeName(pattern: readonly string[], section: readonly string[], name: string): string {
  const filled = pattern.map((part, index) => (isWild(part) ? (section[index] ?? part) : part));
  return variableName(filled, name);
}

function nearestSection(section: readonly string[]): readonly string[] | undefined {
  const candidates = PLACES.filter(({ pattern, isList }) => !isList && pattern.length === section.length).map(
    ({ pattern }) => pattern.map((part, index) => (isWild(part) ? (section[index] ?? "") : part)),
  );
  const text = (path: readonly string[]): string => path.join(SEPARATOR);
  const meant = nearest(text(section), candidates.map(text));
  return candidates.find((candidate) => text(candidate) === meant);
}

/** The variable of the key `name` in the section at `path`. */
export function variableName(path: readonly string[], name: string): string {
  return PREFIX + [...path, name].map((part) => (/[a-z]/i.test(part) ? part.toUpperCase() : part)).join("__");
}
