// ConnectionState: how far a Network Connection has come.
//
//   AwaitConnect ──CONNECT──▶ Authenticating ──grant──▶ Connected ──▶ Closing ──▶ Closed
//        └───────────────────────────┴──error, denial, time─────────────▶┘
//
// Connected ends by DISCONNECT, error, takeover, time or the loss of its grant. Where there is no Access (access.ts),
// a CONNECT leads straight to Connected.

export const ConnectionState = {
  AwaitConnect: 0,
  Authenticating: 1,
  Connected: 2,
  Closing: 3,
  Closed: 4,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
