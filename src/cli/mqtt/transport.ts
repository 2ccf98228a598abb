// Transport: a stream of bytes to a broker over TCP, TLS, a Unix socket or WebSocket. Like a socket it takes what it
// can and says when it takes more; it never keeps what it was given.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Socket, SocketHandler, TLSOptions } from "bun";
import { CommandError } from "../end.ts";
import { ConnectError } from "./connectError.ts";
import { locate } from "./service.ts";
import { type SocksProxy, SocksHandshake } from "./socks.ts";
import { type Target, targetText, type Tls } from "./target.ts";

export interface TransportHandlers {
  /** The chunk is the receiver's. */
  data(chunk: Buffer): void;
  /** After a write that was not taken whole. */
  drain(): void;
  /** Once, whoever closed; not when open() rejects. */
  closed(error: Error | undefined): void;
}

export interface Transport {
  /** Bytes taken, 0 when there is no room now or it is closed. */
  write(bytes: Uint8Array, at: number, length: number): number;
  /** Closes behind what was written. */
  end(): void;
  /** Closes at once. */
  terminate(): void;
}

/** A WebSocket takes more while it holds less than this. */
const WS_BUFFERED_MAX = 1 << 20;
const WS_DRAIN_POLL_MS = 2;

/** Resolves when bytes can be written, TLS and WebSocket agreed on; rejects with ConnectError. */
export function openTransport(
  target: Target,
  tls: Tls,
  handlers: TransportHandlers,
  timeoutMs: number,
): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const opened = open(target, tls, handlers);
    const timer = setTimeout(() => {
      reject(new ConnectError("ETIMEDOUT", `no connection within ${timeoutMs} ms`));
      opened.then((transport) => transport.terminate()).catch(() => {});
    }, timeoutMs);
    opened.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function open(target: Target, tls: Tls, handlers: TransportHandlers): Promise<Transport> {
  const targets = target.isService === true ? await locate(target) : [target];
  let failure: unknown;
  for (const one of targets) {
    try {
      return await (one.kind === "ws" ? openWebSocket(one, tls, handlers) : openSocket(one, tls, handlers));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function tlsOptions({ ca, cert, key, insecure, versionMin, ciphers, alpn }: Tls): TLSOptions {
  return {
    rejectUnauthorized: !insecure,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(ciphers !== undefined && { ciphers }),
    ...(alpn !== undefined && {
      ALPNProtocols: Buffer.from([Buffer.byteLength(alpn), ...Buffer.from(alpn)]),
    }),
    // A number, as Bun has it; its types do not know.
    ...(versionMin !== undefined && ({ minVersion: versionMin } as object)),
  };
}

function openSocket(target: Target, tls: Tls, handlers: TransportHandlers): Promise<Transport> {
  const { promise, resolve, reject } = Promise.withResolvers<Transport>();
  let isOpen = false;
  let failure: Error | undefined;
  const ready = (socket: Socket<undefined>): void => {
    isOpen = true;
    socket.setNoDelay(true);
    resolve(socketTransport(socket));
  };
  const socket: SocketHandler<undefined> = {
    open: (opened) => {
      if (!target.tls) ready(opened);
    },
    handshake: (opened, success, error) => {
      if (success || (tls.insecure && isOfCertificate(error))) return ready(opened);
      failure = error ?? undefined;
      opened.terminate();
    },
    data: (_, chunk) => handlers.data(chunk),
    drain: () => handlers.drain(),
    error: (_, error) => {
      failure = error;
    },
    close: (_, error) => {
      failure ??= error;
      if (isOpen) handlers.closed(failure);
      else reject(connectError(failure, "the connection was closed before it was agreed on"));
    },
  };
  const opening = target.proxy === undefined ? direct(target, tls, socket) : proxied(target, tls, socket);
  opening.catch((error: unknown) => reject(openingError(error)));
  return promise;
}

/** What OpenSSL and Bun call a certificate that is not what it should be. */
const CERTIFICATE_CODE = /CERT|ISSUER|SIGNATURE|HOSTNAME/;

/** Whether TLS is agreed on, and the certificate alone is not what it should be. */
function isOfCertificate(error: Error | null): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && CERTIFICATE_CODE.test(code);
}

async function direct(target: Target, tls: Tls, socket: SocketHandler<undefined>): Promise<unknown> {
  const { kind, host: hostname, port, path: unix, bind } = target;
  if (kind === "unix") return await Bun.connect<undefined>({ unix, socket, data: undefined });
  return await Bun.connect<undefined>({
    ...(await endsOf(hostname, bind)),
    port,
    ...(target.tls && { tls: { ...tlsOptions(tls), ...(bind !== undefined && { serverName: hostname }) } }),
    socket,
    data: undefined,
  });
}

/** Both ends of a connection. Bun takes `bind` for addresses of its own family, and passes over it for the other. */
async function endsOf(host: string, bind: string | undefined): Promise<{ readonly hostname: string }> {
  if (bind === undefined) return { hostname: host };
  const { address } = await lookup(host, { family: isIP(bind) });
  // Bun's types do not know `localAddress`.
  return { hostname: address, localAddress: bind } as { hostname: string };
}

/** Resolves when the proxy has connected, and the socket is `socket`'s. */
async function proxied(target: Target, tls: Tls, socket: SocketHandler<undefined>): Promise<void> {
  const { host, port, bind, proxy } = target;
  const socks = new SocksHandshake(proxy!, host, port);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // It may fail before anybody waits for it.
  promise.catch(() => {});
  const lost = (error?: Error): void =>
    reject(proxyError(proxy!, error?.message ?? "it closed the connection"));
  const agreed = (opened: Socket<undefined>): void => {
    if (target.tls) {
      opened.upgradeTLS({ tls: { ...tlsOptions(tls), serverName: host }, socket, data: undefined });
    } else {
      opened.reload({ socket });
      socket.open?.(opened);
    }
    resolve();
  };
  const talk: SocketHandler<undefined> = {
    data(opened, chunk) {
      try {
        const answer = socks.next(chunk);
        if (answer === null) agreed(opened);
        else opened.write(answer);
      } catch (error) {
        if (openingError(error) instanceof CommandError) reject(openingError(error));
        else lost(error as Error);
        opened.terminate();
      }
    },
    close: (_, error) => lost(error),
    error: (_, error) => lost(error),
  };
  try {
    const ends = await endsOf(proxy!.host, bind);
    const opened = await Bun.connect<undefined>({
      ...ends,
      port: proxy!.port,
      socket: talk,
      data: undefined,
    });
    opened.write(socks.greeting());
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    throw proxyError(proxy!, code ?? message);
  }
  await promise;
}

function proxyError({ host, port }: SocksProxy, why: string): ConnectError {
  return new ConnectError("", `the proxy ${host}:${port} does not connect: ${why}`);
}

function socketTransport(socket: Socket<undefined>): Transport {
  return {
    write: (bytes, at, length) => Math.max(0, socket.write(bytes, at, length)),
    end: () => void socket.end(),
    terminate: () => void socket.terminate(),
  };
}

/** What Bun does not even try is the options' fault: a certificate that is none, ciphers that nobody knows. */
function openingError(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string };
  if (error instanceof ConnectError) return error;
  if (code === "ERR_BORINGSSL" || /^error:[0-9a-f]{8}:|TLSOptions/i.test(message))
    return new CommandError(`these options make no TLS: ${message}`);
  return connectError(error, "no connection");
}

function connectError(error: unknown, otherwise: string): ConnectError {
  const { code, message } = error instanceof Error ? (error as Error & { code?: unknown }) : {};
  return new ConnectError(typeof code === "string" ? code : "", message || otherwise);
}

function openWebSocket(target: Target, tls: Tls, handlers: TransportHandlers): Promise<Transport> {
  return new Promise((resolve, reject) => {
    let isOpen = false;
    let failure = "";
    const options = { protocols: ["mqtt"], ...(target.tls && { tls: tlsOptions(tls) }) };
    const socket = webSocket(targetText(target), options);
    socket.binaryType = "nodebuffer";
    socket.onopen = () => {
      isOpen = true;
      resolve(webSocketTransport(socket, handlers));
    };
    socket.onmessage = ({ data }: MessageEvent<Buffer | string>) => {
      if (typeof data !== "string") handlers.data(data);
      else socket.close(1003);
    };
    socket.onerror = (event) => {
      failure = (event as ErrorEvent).message ?? "";
    };
    socket.onclose = ({ reason }) => {
      const error = new ConnectError("", failure || reason || "the WebSocket was closed");
      if (isOpen) handlers.closed(failure === "" ? undefined : error);
      else reject(error);
    };
  });
}

function webSocket(url: string, options: object): WebSocket {
  try {
    return new WebSocket(url, options as unknown as string[]);
  } catch (error) {
    throw openingError(error);
  }
}

function webSocketTransport(socket: WebSocket, handlers: TransportHandlers): Transport {
  let isPolling = false;
  // A WebSocket does not say when it has room again.
  const poll = (): void => {
    isPolling = socket.readyState === WebSocket.OPEN && socket.bufferedAmount >= WS_BUFFERED_MAX;
    if (isPolling) setTimeout(poll, WS_DRAIN_POLL_MS);
    else handlers.drain();
  };
  return {
    write(bytes, at, length) {
      if (socket.readyState !== WebSocket.OPEN) return 0;
      if (socket.bufferedAmount < WS_BUFFERED_MAX) {
        socket.send(bytes.slice(at, at + length));
        return length;
      }
      if (!isPolling) setTimeout(poll, WS_DRAIN_POLL_MS);
      isPolling = true;
      return 0;
    },
    end: () => socket.close(),
    terminate: () => socket.terminate(),
  };
}
