// Close cause: why a connection ended, as the log line and the counters name it.

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
  noMemory: { cause: "no_memory", reason: 0x97, message: "the budget for unfinished packets is used up" },
} as const satisfies Record<string, Closed>;
