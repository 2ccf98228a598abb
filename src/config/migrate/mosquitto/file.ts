// From mosquitto's configuration to today's: listeners first, then what holds for all of them.

import type { Found } from "../../find.ts";
import { keyAt } from "../../places.ts";
import { ConfigError, nearest } from "../../problems.ts";
import { Draft, type DraftSection } from "../draft.ts";
import { addBridges } from "./bridges.ts";
import { addUntold } from "./untold.ts";
import { hasTls, type Listener, listenersOf, noTls } from "./listeners.ts";
import { type Option, readMosquitto } from "./options.ts";
import { MOSQUITTO_FAMILIES, MOSQUITTO_RULES, type MosquittoRule, mosquittoRule } from "./rules.ts";
import { addAccess } from "./access.ts";
import { addSizes } from "./sizes.ts";
import { addTransport } from "./transport.ts";
import { booleanOf, wasText, valueOfText } from "./values.ts";

/** The work at one configuration. */
export interface MosquittoJob {
  readonly draft: Draft;
  readonly listeners: readonly Listener[];
  /** Every option of the broker as a whole. */
  readonly broker: readonly Option[];
  /** Options of all listeners: those of access, unless each listener has its own. */
  readonly shared: readonly Option[];
  readonly perListener: boolean;
}

/** Throws ConfigError when `found` holds none of mosquitto's options. */
export function migrateMosquitto(found: Pick<Found, "text" | "file">): MosquittoJob {
  const { options, unread, included } = readMosquitto(found);
  const toml = options.find(({ name, text }) => name.startsWith("[") || text.startsWith("="));
  if (toml !== undefined) {
    const { file, line } = toml.source;
    throw new ConfigError([`${file}:${line}: no configuration of mosquitto: this is TOML, as rumqttd's are`]);
  }
  const known = options.filter(({ name }) => mosquittoRule(name) !== undefined);
  if (known.length === 0 && options.length > 0) {
    throw new ConfigError([`${found.file}:1: no configuration of mosquitto: none of its options is in it`]);
  }
  const draft = new Draft([
    "Written by millrace migrate-config from a configuration of mosquitto.",
    'Each line says at its end what it was; comments that begin with "gone" tell what has no equivalent.',
  ]);
  for (const { source, text } of unread) draft.warn(source, text);
  for (const folder of included) draft.section([]).note(`was include_dir ${folder}: its files are in here`);
  for (const option of options) if (!known.includes(option)) unknown(draft, option);
  const job = sorted(draft, known, { file: found.file, line: 1 });
  draft.section(["router"]);
  for (const listener of job.listeners) {
    for (const part of [[], ["tls"], ["connections"]]) draft.section([...listener.path, ...part]);
    addTransport(draft, listener);
    for (const option of listener.options) applyTo(draft, option, [listener]);
  }
  for (const option of [...job.shared, ...job.broker]) applyTo(draft, option, job.listeners);
  addSizes(job);
  addPersistence(job);
  addAccess(job);
  addBridges(draft, known);
  addUntold(draft, known);
  return job;
}

/** Puts each option where it belongs. */
function sorted(draft: Draft, options: readonly Option[], start: Option["source"]): MosquittoJob {
  const perListener = options.some(
    ({ name, text }) => name === "per_listener_settings" && booleanOf(text) === true,
  );
  const scopeOf = (option: Option): string => {
    const scope = mosquittoRule(option.name)?.scope ?? "broker";
    return scope === "security" && perListener ? "listener" : scope;
  };
  return {
    draft,
    listeners: listenersOf(
      draft,
      options.filter((option) => scopeOf(option) === "listener"),
      start,
    ),
    broker: options.filter((option) => scopeOf(option) === "broker"),
    shared: options.filter((option) => scopeOf(option) === "security"),
    perListener,
  };
}

function unknown(draft: Draft, { name, source }: Option): void {
  const meant = nearest(name, [
    ...Object.keys(MOSQUITTO_RULES),
    ...MOSQUITTO_FAMILIES.map(([prefix]) => prefix),
  ]);
  const hint = meant === undefined ? "" : `; perhaps ${meant} was meant`;
  draft.section([]).gone(name, `no option of mosquitto's that is known here${hint}`, { source });
}

/** Sets what an option becomes at each of `listeners`, or once for the broker. */
function applyTo(draft: Draft, option: Option, listeners: readonly Listener[]): void {
  const rule = mosquittoRule(option.name);
  if (rule === undefined || rule.special) return;
  const { to } = rule;
  const [first] = listeners;
  if (to === undefined) {
    const section =
      rule.scope === "listener" && first !== undefined ? draft.section(first.path) : draft.section([]);
    leaveOut(section, option, rule);
  } else if (typeof to.in === "string") {
    const part = to.in;
    for (const listener of listeners) {
      const { path } = listener;
      if (part === "tls" && !hasTls(listener)) noTls(draft.section(path), option);
      else setKey(draft, draft.section(part === "" ? path : [...path, part]), option, rule, to.key);
    }
  } else setKey(draft, draft.section(to.in), option, rule, to.key);
}

function leaveOut(section: DraftSection, option: Option, rule: MosquittoRule): void {
  const { name, text, source } = option;
  const value = rule.secret ? undefined : (valueOfText(rule, text) ?? text);
  if (rule.same !== undefined) section.gone(name, rule.same, { source, value, isIdle: true });
  else section.gone(name, rule.gone ?? "", { source, value });
}

function setKey(draft: Draft, section: DraftSection, option: Option, rule: MosquittoRule, key: string): void {
  const { name, text, source } = option;
  const value = valueOfText(rule, text);
  const row = keyAt(section.path, key);
  if (row === undefined) {
    draft.section([]).gone(name, "there is no such setting", { source, value });
  } else if (value === undefined) {
    draft.warn(source, `${name} is not what mosquitto takes, and is left out`);
    section.note(`gone: ${name}: it was not what mosquitto takes`);
  } else if (typeof value === "bigint" && rule.unlimited?.includes(value)) {
    const { maximum } = row;
    if (maximum === undefined || row.kind === "size") {
      section.gone(name, "the default stands, and [router] memory bounds everything", {
        source,
        value,
        isIdle: true,
      });
    } else section.set(key, BigInt(maximum), { source, was: `${wasText(option)}: no limit` });
  } else section.set(key, value, { source, was: wasText(option) });
}

/** Stored or not, and where. */
function addPersistence({ draft, broker }: MosquittoJob): void {
  const last = (name: string): Option | undefined => broker.findLast((option) => option.name === name);
  const persistence = last("persistence");
  const location = last("persistence_location");
  const isStored = persistence !== undefined && booleanOf(persistence.text) === true;
  if (persistence !== undefined && isStored) {
    const was = location === undefined ? wasText(persistence) : wasText(location);
    const { source } = location ?? persistence;
    const why = "mosquitto.db cannot be read: retained messages and sessions begin anew";
    draft.section(["persistence"]).set("dir", location?.text ?? ".", { source, was });
    draft.warn(persistence.source, why);
    return;
  }
  for (const { name, text, source } of [persistence, location].filter((option) => option !== undefined)) {
    draft
      .section([])
      .gone(name, "messages are kept in memory, as before", { source, value: text, isIdle: true });
  }
}
