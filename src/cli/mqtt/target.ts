// Target: the broker that a client of the command line connects to, and how.

import { CommandError } from "../end.ts";
import type { SocksProxy } from "./socks.ts";

export interface Tls {
  /** PEM texts. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The broker's certificate is taken as it is. */
  readonly insecure: boolean;
  /** 0x0302 for TLS 1.1, and so on. */
  readonly versionMin?: number;
  readonly ciphers?: string;
  /** 1..255 bytes. */
  readonly alpn?: string;
}

export interface Target {
  readonly kind: "tcp" | "unix" | "ws";
  readonly host: string;
  /** 0 with "unix". */
  readonly port: number;
  /** Of the socket with "unix", of the URL with "ws". */
  readonly path: string;
  readonly tls: boolean;
  /** An address of this machine to connect from; not with "unix" and "ws". */
  readonly bind?: string;
  /** Through whom; not with "unix" and "ws". */
  readonly proxy?: SocksProxy;
  /** `host` is a domain whose SRV records say where the broker is; not with "unix" and "ws". */
  readonly isService?: boolean;
}

export interface UrlParts {
  readonly target: Target;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** What follows the host, where that is not a path. */
  readonly topic: string | undefined;
}

export const PORT = 1883;
export const TLS_PORT = 8883;
const PORT_MAX = 65_535;
/** Where most brokers have it. */
export const WS_PATH = "/mqtt";

interface Scheme {
  readonly kind: "tcp" | "ws";
  readonly tls: boolean;
  readonly port: number;
}

const SCHEMES: Readonly<Record<string, Scheme>> = {
  mqtt: { kind: "tcp", tls: false, port: PORT },
  tcp: { kind: "tcp", tls: false, port: PORT },
  mqtts: { kind: "tcp", tls: true, port: TLS_PORT },
  ssl: { kind: "tcp", tls: true, port: TLS_PORT },
  tls: { kind: "tcp", tls: true, port: TLS_PORT },
  ws: { kind: "ws", tls: false, port: 80 },
  wss: { kind: "ws", tls: true, port: 443 },
};

/** scheme://[user[:password]@]host[:port][/rest]; the host may be an IPv6 address in brackets. */
const URL_FORM = /^([a-z]+):\/\/(?:([^/@:]*)(?::([^/@]*))?@)?(\[[^\]/]+\]|[^/:@[\]]+)(?::(\d+))?(\/.*)?$/i;
const UNIX_FORM = /^unix:(?:\/\/)?(.+)$/i;

/** Reads what `-L` says; throws CommandError with the forms that there are. */
export function parseUrl(text: string): UrlParts {
  const unix = UNIX_FORM.exec(text);
  if (unix !== null) return plain({ kind: "unix", host: "", port: 0, path: unix[1]!, tls: false });
  const found = URL_FORM.exec(text);
  const scheme = SCHEMES[found?.[1]?.toLowerCase() ?? ""];
  if (found === null || scheme === undefined) throw new CommandError(urlProblem(text));
  const [, , username, password, host = "", port, rest = ""] = found;
  const target: Target = {
    kind: scheme.kind,
    host: host.replace(/^\[|\]$/g, ""),
    port: portOf(port ?? String(scheme.port)),
    path: scheme.kind === "ws" ? (rest === "" ? WS_PATH : rest) : "",
    tls: scheme.tls,
  };
  const topic = scheme.kind === "tcp" && rest.length > 1 ? rest.slice(1) : undefined;
  return { target, username: decoded(username), password: decoded(password), topic };
}

function plain(target: Target): UrlParts {
  return { target, username: undefined, password: undefined, topic: undefined };
}

function urlProblem(text: string): string {
  const forms =
    "mqtt://[user[:password]@]host[:port]/topic, mqtts://…, ws://host:port/path, wss://… or unix:/path";
  return `${JSON.stringify(text)} is no address of a broker: write ${forms}`;
}

/** %3A and its like in names and passwords; what is no such code stays as it is. */
function decoded(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** 1..65535, or a CommandError. */
export function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > PORT_MAX)
    throw new CommandError(`${JSON.stringify(text)} is no port: it is a number from 1 to ${PORT_MAX}`);
  return port;
}

/** How messages name it: "localhost:1883", "/run/millrace.sock", "ws://localhost:80/mqtt". */
export function targetText({ kind, host, port, path, tls }: Target): string {
  if (kind === "unix") return path;
  const at = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return kind === "ws" ? `${tls ? "wss" : "ws"}://${at}${path}` : at;
}
