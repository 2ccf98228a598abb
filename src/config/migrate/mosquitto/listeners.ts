// mosquitto's listeners: each `listener` line with the options behind it, and the default one, which nobody names.

import type { Draft, DraftSection, Source } from "../draft.ts";
import type { Option } from "./options.ts";
import { mosquittoRule, PSK_GONE } from "./rules.ts";
import { integerOf } from "./values.ts";

export interface Listener {
  /** Section of the new listener, such as ["mqtt", "1"]. */
  readonly path: readonly string[];
  readonly port: bigint;
  /** Undefined: every address. */
  readonly host: string | undefined;
  /** The loopback addresses alone, for mosquitto without a listener of its own. */
  readonly isLocalOnly: boolean;
  /** What it was. */
  readonly was: string;
  readonly source: Source;
  /** Its own options, without the `listener` line. */
  readonly options: readonly Option[];
}

/** Without a certificate of the listener's own there is no TLS, whatever else is said of it. */
export function hasTls({ options }: Listener): boolean {
  return options.some(({ name, text }) => name === "certfile" && text !== "");
}

export function noTls(section: DraftSection, { name, source }: Option): void {
  section.gone(name, "without certfile there was no TLS", { source, isIdle: true });
}

interface Group {
  /** Undefined: the default listener. */
  readonly line: Option | undefined;
  readonly options: Option[];
}

const DEFAULT_PORT = 1883n;

/** They are the default listener's wherever they stand. */
const DEFAULT_LISTENERS_OWN: ReadonlySet<string> = new Set(["port", "bind_address"]);

/**
 * Listeners in the order of the file. The default one is there when there is no `listener`, or when an option that
 * makes it stands before the first one, or is its own. A listener that must not be opened in plain text is left out,
 * with a warning.
 */
export function listenersOf(draft: Draft, options: readonly Option[], start: Source): Listener[] {
  const first: Group = { line: undefined, options: [] };
  const groups: Group[] = [first];
  for (const option of options) {
    if (option.name === "listener") groups.push({ line: option, options: [] });
    else if (DEFAULT_LISTENERS_OWN.has(option.name)) first.options.push(option);
    else groups.at(-1)?.options.push(option);
  }
  const opens = first.options.some(({ name }) => mosquittoRule(name)?.opens);
  if (groups.length > 1 && !opens) {
    for (const { name, source } of groups.shift()?.options ?? []) {
      draft.section([]).gone(name, "it stands before the first listener and concerned none", { source });
    }
  }
  const listeners: Listener[] = [];
  for (const group of groups) {
    const isLocalOnly = group.line === undefined && !opens;
    const listener = listenerOf(draft, group, listeners.length + 1, isLocalOnly, start);
    if (listener === undefined) badLine(draft, group);
    else if (isPreShared(listener)) leaveOut(draft, listener);
    else listeners.push(listener);
  }
  return listeners;
}

function listenerOf(
  draft: Draft,
  { line, options }: Group,
  number: number,
  isLocalOnly: boolean,
  start: Source,
): Listener | undefined {
  const last = (name: string): Option | undefined => options.findLast((option) => option.name === name);
  const isWeb = last("protocol")?.text === "websockets";
  const path = [isWeb ? "ws" : "mqtt", `${number}`];
  if (line === undefined) {
    const port = last("port");
    const address = last("bind_address");
    const near = { ...(options[0]?.source ?? start), isNear: true } as const;
    const source = (port ?? address)?.source ?? near;
    const said = [port, address].filter((option) => option !== undefined);
    for (const option of said) draft.tell(option.source);
    const lines = said.map(({ name, text }) => `${name} ${text}`).join(", ");
    const was = isLocalOnly
      ? "was open to this machine alone, as there was no listener; on [::1]:1883 too"
      : `was the default listener${lines === "" ? "" : `: ${lines}`}`;
    const number1 = port === undefined ? DEFAULT_PORT : integerOf(port.text);
    const common = { path, host: address?.text, isLocalOnly, was, source, options };
    return number1 === undefined ? undefined : { ...common, port: number1 };
  }
  const match = /^(\d{1,5})(?:\s+(.+))?$/.exec(line.text);
  if (match === null) return undefined;
  const port = BigInt(match[1] ?? 0);
  const was = `was listener ${line.text}`;
  return { path, port, host: match[2], isLocalOnly, was, source: line.source, options };
}

function badLine(draft: Draft, { line, options }: Group): void {
  const option = line ?? options.find(({ name }) => name === "port");
  if (option === undefined) return;
  draft.section([]).gone(option.name, "it is not what mosquitto takes", option);
  tellWith(draft, options);
}

/** The options of a listener that is left out go with it, by name alone: some are secret. */
function tellWith(draft: Draft, options: readonly Option[]): void {
  const names = new Set(options.map(({ name }) => name));
  if (names.size > 0) draft.section([]).note(`  with its ${[...names].join(", ")}`);
  for (const { source } of options) draft.tell(source);
}

/** Encrypted by keys that both sides know: without them it would be open. */
function isPreShared({ options }: Listener): boolean {
  const has = (name: string): boolean => options.some((option) => option.name === name);
  return has("psk_hint") && !has("certfile");
}

function leaveOut(draft: Draft, { was, source, options }: Listener): void {
  const what = was.replace(/^was /, "");
  draft.section([]).gone(what, `${PSK_GONE}; it is left out, not opened in plain text`, { source });
  tellWith(draft, options);
}
