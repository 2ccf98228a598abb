// What is said at the start: the configuration, the listeners, and the one line of a start that fails.

import type { Logger } from "../base/logger.ts";
import type { ProtocolLevel } from "../net/settings.ts";
import { type TransportSettings, transportNames } from "../net/transport.ts";
import { asksNobody, openListenerText } from "./authSettings.ts";
import { type PlaceOf, placeOfKey } from "./filePlace.ts";
import { sectionPath } from "./listeners.ts";
import type { LoadedConfig } from "./load.ts";
import type { BrokerSettings } from "./settings.ts";
import { ConfigError } from "./problems.ts";
import { sizeText } from "./values.ts";

const VERSION_NAMES: Readonly<Record<ProtocolLevel, string>> = { 3: "3.1", 4: "3.1.1", 5: "5" };

/** A listener that stands; its port is the one that the system gave, where 0 was asked for. */
export interface Listening {
  readonly section: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export function addressText(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Before anything listens: which configuration this is, why, and what of it has no effect. */
export function logConfig(logger: Logger, config: LoadedConfig): void {
  const { source, variables } = config;
  const from = variables.length === 0 ? "" : `, with ${variables.join(", ")} of the environment`;
  logger.info({}, `configuration: ${source}${from}`);
  for (const warning of config.warnings) logger.warn({}, warning);
}

/** Once everything listens: what listens where, for whom. */
export function logListeners(logger: Logger, config: BrokerSettings, listening: readonly Listening[]): void {
  logListening(logger, config, listening);
  const { connectionsMax, memoryBytes } = config.router;
  logger.info(
    {},
    `ready: up to ${connectionsMax} connections, ${sizeText(memoryBytes)} of memory for messages`,
  );
}

export function logListening(logger: Logger, config: BrokerSettings, listening: readonly Listening[]): void {
  for (const { section, name, host, port } of listening) {
    const settings = config.listeners.find((listener) => listener.section === section);
    const unix = settings?.transport.unix ?? null;
    const address = unix === null ? addressText(host, port) : `unix:${unix.path}`;
    const transports = settings === undefined ? [] : transportNames(settings.transport);
    const over = settings === undefined ? "" : ` over ${transportText(settings.transport)}`;
    const versions = (settings?.versions ?? []).map((level) => VERSION_NAMES[level]);
    const { auth } = config;
    const users =
      settings === undefined || asksNobody(settings, auth) ? "" : ", for clients that prove who they are";
    logger.info(
      { listener: section, listener_name: name, address, transports, versions },
      `listening on ${address} as ${name} ([${section}]) for MQTT ${versions.join(", ")}${over}${users}`,
    );
    const open = settings === undefined ? null : openListenerText(settings, auth);
    if (open !== null) logger.warn({ listener: section }, open);
  }
}

const TRANSPORT_TEXTS: Readonly<Record<string, string>> = {
  tcp: "TCP",
  unix: "a Unix socket",
  tls: "TLS",
  ws: "WebSocket",
  wss: "WebSocket in TLS",
};

/** "TLS with client certificates", "TCP, TLS or WebSocket behind a PROXY header". */
function transportText(transport: TransportSettings): string {
  const texts = transportNames(transport).map((name) => TRANSPORT_TEXTS[name] ?? name);
  const last = texts.pop() ?? "";
  const list =
    texts.length === 0 ? last : `${texts.join(", ")}${transport.isSniffing ? " or " : ": "}${last}`;
  const { tls, trustedProxies } = transport;
  const certificates =
    tls === null || tls.clientCertificate === "none"
      ? ""
      : ` with client certificates${tls.clientCertificate === "optional" ? " where there are" : ""}`;
  return `${list}${certificates}${trustedProxies === null ? "" : " behind a PROXY header"}`;
}

/** Why an address cannot be listened on, and what to do, by the system's error code. */
const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use: stop what listens there, or choose another port",
  EACCES:
    "not permitted: ports below 1024 need privileges; choose a higher port, or grant CAP_NET_BIND_SERVICE",
  EPERM: "not permitted: choose another address or port",
  EADDRNOTAVAIL: "this machine has no such address: choose one of its own, or 0.0.0.0",
  EAFNOSUPPORT: "this machine does not speak that kind of address: choose an IPv4 one, such as 0.0.0.0",
  EEXIST: "the file is there and is no socket: choose another path, or remove it",
  ENOENT: "the folder is not there: make it first",
  ENOTDIR: "the folder is not there: make it first",
  EINVAL: "a Unix socket cannot have such a path: choose a shorter one",
  ENOTFOUND: "the host name is unknown: choose an address, such as 0.0.0.0",
};

/** What stops the start, as lines for people; undefined when `error` is a fault of the program. */
export function startFailure(
  error: unknown,
  { listeners, placeOf }: Partial<Pick<BrokerSettings, "listeners" | "placeOf">> = {},
): string | undefined {
  if (error instanceof ConfigError) {
    const count = error.problems.length;
    const head = count === 1 ? "" : `the configuration has ${count} problems\n`;
    return `${head}${error.message}`;
  }
  if (!(error instanceof Error)) return undefined;
  const { code, address, section } = error as ListenError;
  if (typeof address !== "string") return undefined;
  const inUse = "somebody listens there: stop that, or choose another path";
  const isPath = address.startsWith("/");
  const reason = isPath && code === "EADDRINUSE" ? inUse : (LISTEN_FAILURES[String(code)] ?? error.message);
  const listener = listeners?.find((candidate) => {
    // The console and Prometheus may want what a listener has.
    if (section !== undefined) return candidate.section === section;
    return addressText(candidate.host, candidate.port) === address;
  });
  const where = listener === undefined || isPath ? address : addressText(listener.host, listener.port);
  const who = listener === undefined ? "" : `${listener.name} `;
  const place =
    listener === undefined
      ? sectionPlace(placeOf, section)
      : placeOfKey(placeOf, [...sectionPath(listener), "listen"]);
  const key = [place, code].filter((part) => part !== undefined).join(", ");
  return `${who}cannot listen on ${where}: ${reason}${key === "" ? "" : ` (${key})`}`;
}

/** Of the console and of Prometheus, which have one address each. */
function sectionPlace(placeOf: PlaceOf | undefined, section: unknown): string | undefined {
  if (typeof section !== "string") return undefined;
  return placeOf === undefined ? `[${section}]` : `${placeOf([section])}: [${section}]`;
}

/** What startBroker rejects with when an address cannot be listened on. */
type ListenError = Error & {
  readonly code?: unknown;
  readonly address?: unknown;
  readonly section?: unknown;
};
