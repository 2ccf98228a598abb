// Transport: a stream of bytes to a broker over TCP, TLS, a Unix socket or WebSocket. Like a socket it takes what it
// can and says when it takes more; it never keeps what it was given.

import type { Socket, SocketHandler, TLSOptions } from "bun";
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

/** Why no connection came about; `code` is the system's or TLS's name for it, if there is one. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
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
    const opened =
      target.kind === "ws" ? openWebSocket(target, tls, handlers) : openSocket(target, tls, handlers);
    const timer = setTimeout(() => {
      reject(new ConnectError("ETIMEDOUT", `no connection within ${timeoutMs} ms`));
      opened.then((transport) => transport.terminate()).catch(() => {});
    }, timeoutMs);
    opened.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function tlsOptions({ ca, cert, key, insecure }: Tls): TLSOptions {
  return {
    rejectUnauthorized: !insecure,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function openSocket(target: Target, tls: Tls, handlers: TransportHandlers): Promise<Transport> {
  return new Promise((resolve, reject) => {
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
        if (success) return ready(opened);
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
    const { kind, host: hostname, port, path: unix } = target;
    const opening =
      kind === "unix"
        ? Bun.connect<undefined>({ unix, socket, data: undefined })
        : Bun.connect<undefined>({
            hostname,
            port,
            ...(target.tls && { tls: tlsOptions(tls) }),
            socket,
            data: undefined,
          });
    opening.catch((error: unknown) => reject(connectError(error, "no connection")));
  });
}

function socketTransport(socket: Socket<undefined>): Transport {
  return {
    write: (bytes, at, length) => Math.max(0, socket.write(bytes, at, length)),
    end: () => void socket.end(),
    terminate: () => void socket.terminate(),
  };
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
    const socket = new WebSocket(targetText(target), options as unknown as string[]);
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
