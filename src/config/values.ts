// One value of one key: from what TOML gives to what the program uses, or the text of what is allowed instead.

import type { ProtocolLevel } from "../net/settings.ts";
import type { SharedStrategy } from "../router/settings.ts";
import { parseTopicFilter } from "../topic/topicFilter.ts";
import type { Address, Endpoint, Key, Kind, KindValue } from "./key.ts";
import { GIB, KIB, MIB, TIB } from "./key.ts";

/** What a value must be, for people: "an integer from 1 to 65535". */
export interface Refusal {
  readonly allowed: string;
  /** Set where the value itself must not be shown. */
  readonly secret?: true;
}

export type Reading<V> = { readonly value: V } | { readonly refusal: Refusal };

export const STRATEGIES: readonly SharedStrategy[] = ["roundrobin", "random", "sticky"];
const VERSIONS: readonly ProtocolLevel[] = [3, 4, 5];

/** Bytes in one of each unit; matched without regard to case. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1_000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  tb: 1_000_000_000_000,
  kib: KIB,
  mib: MIB,
  gib: GIB,
  tib: TIB,
};

const readers: { readonly [K in Kind]: (raw: unknown, key: Key) => KindValue[K] | undefined } = {
  integer: readInteger,
  size: readSize,
  boolean: (raw) => (typeof raw === "boolean" ? raw : undefined),
  text: (raw) => (typeof raw === "string" && raw !== "" ? raw : undefined),
  strategy: (raw) => STRATEGIES.find((strategy) => strategy === raw),
  address: (raw) => (typeof raw === "string" ? readAddress(raw) : undefined),
  endpoint: (raw) => (typeof raw === "string" ? readEndpoint(raw) : undefined),
  versions: readVersions,
  filters: readFilters,
  choice: (raw, key) => key.choices?.find((choice) => choice === raw),
  toggle: (raw, key) => (typeof raw === "boolean" ? raw : key.choices?.find((choice) => choice === raw)),
  texts: readTexts,
  nodes: readNodes,
  users: readUsers,
};

/** The value of `key` that the TOML value `raw` (integers as BigInt) stands for. */
export function readValue(key: Key, raw: unknown): Reading<KindValue[Kind]> {
  const value = readers[key.kind](raw, key);
  if (value !== undefined) return { value };
  const allowed = allowedText(key);
  return { refusal: key.kind === "users" || key.secret ? { allowed, secret: true } : { allowed } };
}

/** What a key accepts, for people. */
export function allowedText(key: Key): string {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = key;
  switch (key.kind) {
    case "integer":
      return `an integer from ${minimum} to ${maximum}`;
    case "size":
      return `bytes from ${sizeText(minimum)} to ${sizeText(maximum)}, as an integer or as "1MiB"`;
    case "boolean":
      return "true or false";
    case "text":
      return "a string that is not empty";
    case "strategy":
      return quoted(STRATEGIES);
    case "address":
      return '"host:port", "[::]:1883" or ":1883", with a port from 0 to 65535';
    case "endpoint":
      return '"host:port", "[::]:1883" or ":1883", with a port from 0 to 65535, or "unix:/path/of/socket"';
    case "versions":
      return "a list of 3, 4 and 5, such as [4, 5]";
    case "filters":
      return 'a list of topic filters, such as ["plant/+/state"]';
    case "choice":
      return quoted(key.choices ?? []);
    case "toggle":
      return `true, false or ${quoted(key.choices ?? [])}`;
    case "texts":
      return key.choices === undefined
        ? 'a list of strings that are not empty, such as ["one"]'
        : `a list of ${quoted(key.choices)}`;
    case "nodes":
      return 'a list of nodes, each a number and an address, such as [[1, "host:1883"]]';
    case "users":
      return 'a table of user names and passwords, such as { alice = "secret" }';
  }
}

function quoted(texts: readonly string[]): string {
  return texts.map((text) => `"${text}"`).join(", ");
}

/** `64 MiB` where that is exact, else plain digits. */
export function sizeText(bytes: number): string {
  for (const [unit, size] of [
    ["TiB", TIB],
    ["GiB", GIB],
    ["MiB", MIB],
    ["KiB", KIB],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${bytes}`;
}

function withinRange(value: number, key: Key): number | undefined {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = key;
  return value >= minimum && value <= maximum ? value : undefined;
}

/** TOML integers arrive as BigInt, so that 1.0 and integers past 2^53 are told from what is meant. */
function readInteger(raw: unknown, key: Key): number | undefined {
  return typeof raw === "bigint" ? withinRange(Number(raw), key) : undefined;
}

function readSize(raw: unknown, key: Key): number | undefined {
  if (typeof raw === "bigint") return withinRange(Number(raw), key);
  if (typeof raw !== "string") return undefined;
  const match = /^\s*(\d[\d_]*)\s*([kmgt]?i?b)?\s*$/i.exec(raw);
  const unit = SIZE_UNITS[match?.[2]?.toLowerCase() ?? "b"];
  const digits = match?.[1]?.replaceAll("_", "");
  if (digits === undefined || unit === undefined) return undefined;
  return withinRange(Number(digits) * unit, key);
}

/** `host:port`; an IPv6 address stands in brackets, an absent host means every IPv4 address of the machine. */
export function readAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]*)):(\d{1,5})$/i.exec(text.trim());
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  return { host: match[1] ?? (match[2] || "0.0.0.0"), port };
}

/** An address, or `unix:` and an absolute path. */
function readEndpoint(text: string): Endpoint | undefined {
  if (text.startsWith("unix:")) {
    const unix = text.slice("unix:".length);
    return unix.startsWith("/") && !unix.includes("\0") ? { host: "", port: 0, unix } : undefined;
  }
  const address = readAddress(text);
  return address === undefined ? undefined : { ...address, unix: null };
}

function readVersions(raw: unknown): readonly ProtocolLevel[] | undefined {
  if (!Array.isArray(raw) || raw.length === 0) return undefined;
  const levels = raw.map((item) =>
    VERSIONS.find((level) => typeof item === "bigint" && level === Number(item)),
  );
  return levels.every((level) => level !== undefined) ? [...new Set(levels)].sort() : undefined;
}

function readFilters(raw: unknown): readonly string[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const filters: string[] = [];
  for (const item of raw) {
    if (!isPlainFilter(item)) return undefined;
    if (!filters.includes(item)) filters.push(item);
  }
  return filters;
}

function readTexts(raw: unknown, key: Key): readonly string[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const texts: string[] = [];
  for (const item of raw) {
    if (typeof item !== "string" || item === "") return undefined;
    if (key.choices !== undefined && !key.choices.includes(item)) return undefined;
    if (!texts.includes(item)) texts.push(item);
  }
  return texts;
}

function readNodes(raw: unknown): readonly (readonly [number, Address])[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const nodes: [number, Address][] = [];
  for (const item of raw) {
    const [id, text, ...more]: readonly unknown[] = Array.isArray(item) ? item : [];
    const address = typeof text === "string" ? readAddress(text) : undefined;
    if (typeof id !== "bigint" || id < 0n || id > 65_535n || address === undefined) return undefined;
    if (more.length > 0) return undefined;
    nodes.push([Number(id), address]);
  }
  return nodes;
}

/** A valid Topic Filter that is no shared subscription. */
export function isPlainFilter(raw: unknown): raw is string {
  return typeof raw === "string" && parseTopicFilter(raw)?.group === null;
}

function readUsers(raw: unknown): ReadonlyMap<string, string> | undefined {
  if (!isTable(raw)) return undefined;
  const users = new Map<string, string>();
  for (const [user, password] of Object.entries(raw)) {
    if (typeof password !== "string") return undefined;
    users.set(user, password);
  }
  return users;
}

/** A TOML table, as opposed to an array, a date or a plain value. */
export function isTable(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw) && !(raw instanceof Date);
}
