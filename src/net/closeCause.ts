// Close cause: why a connection ended, as the log line and the counters name it.

import type { LineFields } from "../base/logger.ts";
import { reasonCodeName } from "../packet/reasonCode.ts";

export interface Closed {
  readonly cause: string;
  /** Reason Code, 0 where none applies. */
  readonly reason: number;
  readonly statement?: string;
  readonly message: string;
  /** More for the log, never for the client, never a secret. */
  readonly detail?: string;
}

export const CloseCause = {
  disconnect: { cause: "disconnect", reason: 0, message: "the client said DISCONNECT" },
  lost: { cause: "lost", reason: 0, message: "the network connection was lost" },
  refused: { cause: "refused", reason: 0, message: "the connection was refused" },
  connectTimeout: { cause: "connect_timeout", reason: 0, message: "no CONNECT came in time" },
  authenticationTimeout: {
    cause: "connect_timeout",
    reason: 0,
    message: "the client's authentication was not over in time",
  },
  shuttingDown: { cause: "shutdown", reason: 0, message: "the server is shutting down" },
  displaced: {
    cause: "displaced",
    reason: 0,
    message: "its place was needed: it had not become a client for long",
  },
  untrustedProxy: { cause: "proxy", reason: 0, message: "it does not come from a trusted proxy" },
  proxyHeader: { cause: "proxy", reason: 0, message: "its PROXY header is wrong" },
  tls: { cause: "tls", reason: 0, message: "the TLS handshake failed" },
  certificate: { cause: "certificate", reason: 0, message: "the client's certificate was refused" },
  tooEager: { cause: "tls", reason: 0, message: "it said more than a TLS handshake begins with" },
  upgrade: { cause: "websocket", reason: 0, message: "the upgrade to WebSocket was refused" },
  noMemory: { cause: "no_memory", reason: 0x97, message: "the budget for unfinished packets is used up" },
} as const satisfies Record<string, Closed>;

/** Who is lost, or silent, has no Reason Code; who says DISCONNECT has one though it be 0. */
export function reasonFields({ cause, reason }: Closed): LineFields {
  if (reason !== 0) return { reason_code: reason, reason: reasonCodeName(reason) };
  return cause === CloseCause.disconnect.cause ? { reason_code: 0, reason: "NormalDisconnection" } : {};
}
