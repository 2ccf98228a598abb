// SOCKS5: what a client says to a proxy so that it connects on to a host, whose name the proxy resolves (RFC 1928, and
// RFC 1929 for user name and password). Bytes in, bytes out: the socket is somebody else's.
//
//   method → (login →) reply → agreed

import { isIPv4 } from "node:net";
import { CommandError } from "../end.ts";

export interface SocksProxy {
  readonly host: string;
  readonly port: number;
  /** Undefined: the proxy is not told who comes. */
  readonly username: string | undefined;
  readonly password: string;
}

const PORT = 1080;
const PORT_MAX = 65_535;
const FORM = /^socks5h:\/\/(?:([^/@:]*)(?::([^/@]*))?@)?(\[[^\]/]+\]|[^/:@[\]]+)(?::(\d+))?\/?$/i;
const TEXT_BYTES_MAX = 255;

const VERSION = 5;
const LOGIN_VERSION = 1;
const CONNECT = 1;
const NO_LOGIN = 0;
const LOGIN = 2;
const ADDRESS_V4 = 1;
const ADDRESS_NAME = 3;
const ADDRESS_V6 = 4;

const REPLIES = [
  "",
  "it failed",
  "its rules do not allow it",
  "it cannot reach the network",
  "it cannot reach the host, or does not know its name",
  "nothing listens there",
  "the connection took too long",
  "it does not do this",
  "it does not take this kind of address",
];

/** Reads what `--proxy` says. Throws CommandError. */
export function parseProxy(text: string): SocksProxy {
  const found = FORM.exec(text);
  const port = Number(found?.[4] ?? PORT);
  if (found === null || port < 1 || port > PORT_MAX)
    throw new CommandError(
      `--proxy: write socks5h://[user[:password]@]host[:port], the port ${PORT} without one`,
    );
  const [, username, password = "", host = ""] = found;
  return {
    host: host.replace(/^\[|\]$/g, ""),
    port,
    username: username === undefined ? undefined : limited(decoded(username)),
    password: limited(decoded(password)),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function limited(text: string): string {
  if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) return text;
  throw new CommandError(`--proxy: SOCKS takes names and passwords of ${TEXT_BYTES_MAX} bytes at most`);
}

export class SocksHandshake {
  private step: "method" | "login" | "reply" = "method";
  private bytes: Buffer = Buffer.alloc(0);
  private readonly proxy: SocksProxy;
  private readonly host: string;
  private readonly port: number;

  constructor(proxy: SocksProxy, host: string, port: number) {
    this.proxy = proxy;
    this.host = host;
    this.port = port;
  }

  /** What the client says first. */
  greeting(): Buffer {
    return this.proxy.username === undefined
      ? Buffer.from([VERSION, 1, NO_LOGIN])
      : Buffer.from([VERSION, 2, NO_LOGIN, LOGIN]);
  }

  /** What to say next, which may be nothing yet; null once the proxy has connected. Throws Error when it will not. */
  next(chunk: Buffer): Buffer | null {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.step === "method") return this.bytes.length < 2 ? Buffer.alloc(0) : this.method(this.take(2));
    if (this.step === "login") return this.bytes.length < 2 ? Buffer.alloc(0) : this.login(this.take(2));
    const { bytes } = this;
    if (bytes.length < 5) return Buffer.alloc(0);
    this.check(bytes[1]!);
    const address = bytes[3] === ADDRESS_V4 ? 4 : bytes[3] === ADDRESS_V6 ? 16 : 1 + bytes[4]!;
    return bytes.length < 4 + address + 2 ? Buffer.alloc(0) : null;
  }

  private take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  private method([version, method]: Buffer): Buffer {
    if (version !== VERSION) throw new Error("it does not speak SOCKS5");
    if (method === NO_LOGIN) return this.request();
    const { username, password } = this.proxy;
    if (method !== LOGIN || username === undefined)
      throw new Error(
        username === undefined
          ? "it wants a user name and password: write socks5h://user:password@host"
          : "it takes neither a user name and password nor nobody",
      );
    this.step = "login";
    return Buffer.concat([Buffer.from([LOGIN_VERSION]), prefixed(username), prefixed(password)]);
  }

  private login([, status]: Buffer): Buffer {
    if (status !== 0) throw new Error("it does not take this user name and password");
    return this.request();
  }

  private request(): Buffer {
    this.step = "reply";
    const { host, port } = this;
    const address = isIPv4(host)
      ? Buffer.from([ADDRESS_V4, ...host.split(".").map(Number)])
      : Buffer.concat([Buffer.from([ADDRESS_NAME]), prefixed(host)]);
    return Buffer.concat([
      Buffer.from([VERSION, CONNECT, 0]),
      address,
      Buffer.from([port >>> 8, port & 0xff]),
    ]);
  }

  private check(reply: number): void {
    if (reply !== 0) throw new Error(`${REPLIES[reply] ?? `it answers ${reply}`}, says the proxy`);
  }
}

function prefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > TEXT_BYTES_MAX) throw new Error("the name of the host is too long for SOCKS");
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
