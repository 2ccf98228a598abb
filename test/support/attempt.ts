// A CONNECT as authenticators see it.

import type { ConnectAttempt } from "../../src/net/access.ts";

type Given = Partial<Omit<ConnectAttempt, "password">> & { readonly password?: string | Uint8Array };

export function attemptOf({ password, ...given }: Given = {}): ConnectAttempt {
  return {
    connectionId: 1,
    listener: "v4.1",
    remoteAddress: "192.0.2.1",
    level: 5,
    clientIdentifier: "client",
    userName: undefined,
    password: typeof password === "string" ? Buffer.from(password) : password,
    certificate: null,
    ...given,
  };
}
