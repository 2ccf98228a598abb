// The effective configuration: every key that is in force, with its value and where that comes from. It is TOML that
// a broker could be started with, but for secrets, in whose place stands what no parser takes.

import type { Key, Keys } from "./key.ts";
import type { ReadConfig } from "./load.ts";
import { isWild, keysAt, matches, PLACES } from "./places.ts";
import { defaultToml, sizeToml } from "./reference.ts";
import { tomlKey, tomlPath, tomlString, tomlValue } from "./toml.ts";
import { isTable } from "./values.ts";

type Table = Readonly<Record<string, unknown>>;

const HIDDEN = "<hidden>";
/** Origins stand in one column up to here. */
const COLUMN_MAX = 56;

/** `file` is how the head names the configuration. */
export function effectiveText(read: ReadConfig, file: string): string {
  const { names } = read.document.variables;
  const from = names.length === 0 ? "" : `, with ${names.join(", ")} of the environment`;
  const lines = [
    `# The configuration in force: ${file}${from}.`,
    "# Behind each value: the line of the file or the variable that set it, or default.",
  ];
  addSection(lines, read, [], read.root);
  return `${lines.join("\n")}\n`;
}

/** The section at `path` and those below it that are in force. */
function addSection(lines: string[], read: ReadConfig, path: readonly string[], table: Table): void {
  const keys = keysAt(path);
  if (keys !== undefined) {
    lines.push(
      "",
      ...(path.length === 0 ? [] : [`[${tomlPath(path)}]`]),
      ...keyLines(read, path, table, keys),
    );
  }
  for (const name of childNames(path, table)) {
    const below = table[name];
    const at = [...path, name];
    if (isTable(below)) addSection(lines, read, at, below);
    else if (Array.isArray(below)) addList(lines, read, at, below);
    else if (below === undefined && isInForceUnsaid(at)) addSection(lines, read, at, {});
  }
}

/** Each `[[name]]`. */
function addList(lines: string[], read: ReadConfig, path: readonly string[], tables: unknown[]): void {
  const keys = keysAt(path) ?? {};
  for (const [index, table] of tables.entries()) {
    if (isTable(table))
      lines.push("", `[[${tomlPath(path)}]]`, ...keyLines(read, [...path, index], table, keys));
  }
}

/** The sections right below `path`: those that the tables of keys name, and the ones of `table` that people named. */
function childNames(path: readonly string[], table: Table): Set<string> {
  const names = new Set<string>();
  for (const { pattern } of PLACES) {
    const next = pattern[path.length];
    if (next === undefined || !matches(pattern.slice(0, path.length), path)) continue;
    for (const name of isWild(next) ? Object.keys(table) : [next]) names.add(name);
  }
  return names;
}

/** The section at `path`, which is absent, acts by its defaults. Names that people choose are not made up. */
function isInForceUnsaid(path: readonly string[]): boolean {
  return PLACES.some((place) => {
    const isNamed = !isWild(place.pattern.at(-1) ?? "N");
    return isNamed && place.isInForceUnsaid && matches(place.pattern, path);
  });
}

function keyLines(read: ReadConfig, path: readonly (string | number)[], table: Table, keys: Keys): string[] {
  const rows: [text: string, origin: string][] = [];
  for (const [name, key] of Object.entries(keys)) {
    const raw = table[name];
    if (raw !== undefined) rows.push(givenRow(read, [...path, name], key, raw));
    else if (key.effect !== "none") rows.push(defaultRow(read, path, name, key));
  }
  const widths = rows.map(([text]) => text.length).filter((width) => width <= COLUMN_MAX);
  const column = Math.max(0, ...widths);
  return rows.map(([text, origin]) => `${text.padEnd(column)}  # ${origin}`);
}

type Row = [text: string, origin: string];

function givenRow({ document }: ReadConfig, path: (string | number)[], key: Key, raw: unknown): Row {
  const name = tomlKey(String(path.at(-1)));
  const origin = document.variables.nameOf(path) ?? `line ${document.lines.lineOf(path)}`;
  if (key.effect === "none") return [`# ${name} = ${tomlValue(raw)}`, `${origin}, without effect`];
  return [`${name} = ${shown(key, raw)}`, origin];
}

/** A value as it may be shown. */
function shown(key: Key, raw: unknown): string {
  if (key.kind === "users" && isTable(raw)) {
    const users = Object.keys(raw).map((user) => `${tomlKey(user)} = ${HIDDEN}`);
    return users.length === 0 ? "{}" : `{ ${users.join(", ")} }`;
  }
  return key.secret ? HIDDEN : tomlValue(raw);
}

function defaultRow(read: ReadConfig, path: readonly (string | number)[], name: string, key: Key): Row {
  const computed = computedToml(read, path, name);
  if (computed !== undefined) return [`${name} = ${computed}`, `default: ${key.defaultText ?? "computed"}`];
  const text = defaultToml(key);
  return text === undefined
    ? [`# ${name} is not given`, `default: ${key.defaultText ?? "none"}`]
    : [`${name} = ${text}`, "default"];
}

/** What a default that follows from other keys has come to. */
function computedToml(
  { settings }: ReadConfig,
  path: readonly (string | number)[],
  name: string,
): string | undefined {
  if (path.length === 1 && path[0] === "router" && name === "id") return `${settings.router.id}`;
  const listener = settings.listeners.find(({ section }) => section === path.slice(0, 2).join("."));
  if (listener === undefined) return undefined;
  if (path.length === 2 && name === "name") return tomlString(listener.name);
  if (path[2] === "connections" && name === "max_packet_size") return sizeToml(listener.packetBytesMax);
  return undefined;
}
