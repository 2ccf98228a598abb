// What is said at the start: the configuration, the listeners, and the one line of a start that fails.

import type { Logger } from "../base/logger.ts";
import type { ListenerSettings, ProtocolLevel } from "../net/settings.ts";
import type { LoadedConfig } from "./load.ts";
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
export function logListeners(logger: Logger, config: LoadedConfig, listening: readonly Listening[]): void {
  for (const { section, name, host, port } of listening) {
    const settings = config.settings.listeners.find((listener) => listener.section === section);
    const address = addressText(host, port);
    const versions = (settings?.versions ?? []).map((level) => VERSION_NAMES[level]);
    const users = settings?.users === null ? "" : ", for users with a password";
    logger.info(
      { listener: section, listener_name: name, address, versions },
      `listening on ${address} as ${name} ([${section}]) for MQTT ${versions.join(", ")}${users}`,
    );
  }
  const { connectionsMax, memoryBytes } = config.settings.router;
  logger.info(
    {},
    `ready: up to ${connectionsMax} connections, ${sizeText(memoryBytes)} of memory for messages`,
  );
}

/** Why an address cannot be listened on, and what to do, by the system's error code. */
const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use: stop what listens there, or choose another port",
  EACCES:
    "not permitted: ports below 1024 need privileges; choose a higher port, or grant CAP_NET_BIND_SERVICE",
  EPERM: "not permitted: choose another address or port",
  EADDRNOTAVAIL: "this machine has no such address: choose one of its own, or 0.0.0.0",
  EAFNOSUPPORT: "this machine does not speak that kind of address: choose an IPv4 one, such as 0.0.0.0",
  ENOTFOUND: "the host name is unknown: choose an address, such as 0.0.0.0",
};

/** What stops the start, as lines for people; undefined when `error` is a fault of the program. */
export function startFailure(error: unknown, listeners: readonly ListenerSettings[]): string | undefined {
  if (error instanceof ConfigError) {
    const count = error.problems.length;
    const head = count === 1 ? "" : `the configuration has ${count} problems\n`;
    return `${head}${error.message}`;
  }
  if (!(error instanceof Error)) return undefined;
  const { code, address, section } = error as ListenError;
  if (typeof address !== "string") return undefined;
  const reason = LISTEN_FAILURES[String(code)] ?? error.message;
  const listener = listeners.find((candidate) => {
    return candidate.section === section || addressText(candidate.host, candidate.port) === address;
  });
  const where = listener === undefined ? address : addressText(listener.host, listener.port);
  const who = listener === undefined ? "" : `${listener.name} `;
  const key = [listener && `[${listener.section}] listen`, code]
    .filter((part) => part !== undefined)
    .join(", ");
  return `${who}cannot listen on ${where}: ${reason}${key === "" ? "" : ` (${key})`}`;
}

/** What startBroker rejects with when an address cannot be listened on. */
type ListenError = Error & {
  readonly code?: unknown;
  readonly address?: unknown;
  readonly section?: unknown;
};
