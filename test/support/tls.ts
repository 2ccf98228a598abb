// Listeners with TLS for tests, and what clients of them need.

import { PLAIN_TCP, type TlsSettings, type TransportSettings } from "../../src/net/transport.ts";
import type { Authority, Pair } from "./certificates.ts";

export function tlsSettings({ cert, key }: Pair, more: Partial<TlsSettings> = {}): TlsSettings {
  return {
    certificatePath: cert,
    keyPath: key,
    names: [],
    clientCertificate: "none",
    authoritiesPath: null,
    revokedPath: null,
    versionMin: "1.2",
    identity: "cn",
    isTenantRuled: false,
    ...more,
  };
}

export function tlsTransport(pair: Pair, more: Partial<TlsSettings> = {}): TransportSettings {
  return { ...PLAIN_TCP, tls: tlsSettings(pair, more) };
}

/** Client certificates of `authority` are demanded. */
export function mutual(authority: Authority, more: Partial<TlsSettings> = {}): Partial<TlsSettings> {
  return { clientCertificate: "required", authoritiesPath: authority.cert, ...more };
}
