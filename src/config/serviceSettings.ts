// From the sections of services to their settings: console, metrics, what the broker publishes about itself.

import { validTopicName } from "../topic/topicName.ts";
import type { Address } from "./key.ts";
import { keyText, valueText } from "./problems.ts";
import { type Document, problem, readSection, tableAt, unknownKey, warning } from "./section.ts";
import { ALERT_KEYS, CONSOLE_KEYS, METER_KEYS, PROMETHEUS_KEYS, SYS_KEYS } from "./serviceKeys.ts";

export const SERVICE_SECTIONS: readonly string[] = ["console", "prometheus", "sys", "metrics"];

export interface ConsoleListener extends Address {
  readonly users: {
    readonly token: string | null;
    readonly user: { readonly name: string; readonly password: string } | null;
  };
}

export interface MetricsListener extends Address {
  readonly lagIntervalMs: number;
}

export interface AlertSettings {
  readonly topic: string;
  readonly events: readonly string[];
  readonly intervalMs: number;
}

export interface MeterSettings {
  readonly topic: string;
  readonly intervalMs: number;
}

export interface ServiceSettings {
  readonly console: ConsoleListener | null;
  readonly prometheus: MetricsListener | null;
  /** 0 is never. */
  readonly sysIntervalMs: number;
  readonly alerts: AlertSettings | null;
  readonly meters: MeterSettings | null;
}

export const NO_SERVICES: ServiceSettings = Object.freeze({
  console: null,
  prometheus: null,
  sysIntervalMs: 0,
  alerts: null,
  meters: null,
});

type Table = Readonly<Record<string, unknown>>;

const SECOND_MS = 1000;
const LOOPBACK = "127.0.0.1";

export function readServices(document: Document, root: Table): ServiceSettings {
  const { console, prometheus, sys, metrics } = root;
  const sysTable = tableAt(document, ["sys"], sys) ?? {};
  return {
    console: console === undefined ? null : readConsole(document, console),
    prometheus: prometheus === undefined ? null : readPrometheus(document, prometheus),
    sysIntervalMs: readSection(document, ["sys"], sysTable, SYS_KEYS).interval * SECOND_MS,
    ...readMetrics(document, metrics),
  };
}

function readConsole(document: Document, raw: unknown): ConsoleListener | null {
  const path = ["console"];
  const table = tableAt(document, path, raw);
  if (table === undefined) return null;
  const { listen, token, user, password } = readSection(document, path, table, CONSOLE_KEYS);
  const { user: isUser, password: isPassword } = table;
  if ((isUser === undefined) !== (isPassword === undefined)) {
    const missing = isUser === undefined ? "user" : "password";
    problem(document, path, `[console] needs the key ${missing}: user and password go together`);
  }
  const { host, port } = listen ?? { host: LOOPBACK, port: 0 };
  return {
    host,
    port,
    users: { token, user: user === null || password === null ? null : { name: user, password } },
  };
}

function readPrometheus(document: Document, raw: unknown): MetricsListener | null {
  const path = ["prometheus"];
  const table = tableAt(document, path, raw);
  if (table === undefined) return null;
  const { listen, port, interval } = readSection(document, path, table, PROMETHEUS_KEYS);
  if (table["listen"] === undefined && table["port"] === undefined)
    problem(document, path, "[prometheus] needs the key listen");
  if (listen !== null && port !== null) {
    warning(document, [...path, "port"], `${keyText([...path, "port"])} is without effect beside listen`);
  }
  return { ...(listen ?? { host: LOOPBACK, port: port ?? 0 }), lagIntervalMs: interval * SECOND_MS };
}

function readMetrics(document: Document, raw: unknown): Pick<ServiceSettings, "alerts" | "meters"> {
  const path = ["metrics"];
  const table = tableAt(document, path, raw) ?? {};
  for (const name of Object.keys(table)) {
    if (name !== "alerts" && name !== "meters")
      unknownKey(document, [...path, name], {}, ["alerts", "meters"]);
  }
  const settings: { alerts: AlertSettings | null; meters: MeterSettings | null } = {
    alerts: null,
    meters: null,
  };
  const alertsAt = [...path, "alerts"];
  const alerts = table["alerts"] === undefined ? undefined : tableAt(document, alertsAt, table["alerts"]);
  if (alerts !== undefined) {
    const { topic, events, push_interval } = readSection(document, alertsAt, alerts, ALERT_KEYS);
    checkTopic(document, [...alertsAt, "topic"], topic);
    settings.alerts = { topic, events, intervalMs: push_interval * SECOND_MS };
  }
  const metersAt = [...path, "meters"];
  const meters = table["meters"] === undefined ? undefined : tableAt(document, metersAt, table["meters"]);
  if (meters !== undefined) {
    const { topic, push_interval } = readSection(document, metersAt, meters, METER_KEYS);
    checkTopic(document, [...metersAt, "topic"], topic);
    settings.meters = { topic, intervalMs: push_interval * SECOND_MS };
  }
  return settings;
}

function checkTopic(document: Document, path: readonly string[], topic: string): void {
  if (validTopicName(topic)) return;
  problem(document, path, `${keyText(path)} = ${valueText(topic)}: must be a topic without + and #`);
}
