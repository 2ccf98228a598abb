// Transport: what a listener is told about how its clients' bytes come: over which socket, behind which proxy, with
// TLS, in a WebSocket.

import type { WebSocketSettings } from "./webSocketSettings.ts";

export interface UnixSettings {
  readonly path: string;
  /** Permission bits of the socket. */
  readonly mode: number;
}

/** A certificate, with those that lead from it to its root, and its private key: two files in PEM. */
export interface CertificateFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** One more certificate, for clients that ask for this name. */
export interface NamedCertificate extends CertificateFiles {
  /** A host name in lower case; "*.example.org" stands for every name one level below. */
  readonly name: string;
}

/** Which part of a client certificate is the client's name: CN, O, or the first alternative name. */
export const CERTIFICATE_IDENTITIES = ["cn", "o", "san"] as const;
export type CertificateIdentity = (typeof CERTIFICATE_IDENTITIES)[number];

export const TLS_VERSIONS = ["1.2", "1.3"] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

export interface TlsSettings extends CertificateFiles {
  readonly names: readonly NamedCertificate[];
  /** Client certificates are not asked for; asked for and, when shown, verified; demanded. */
  readonly clientCertificate: "none" | "optional" | "required";
  /** Authorities that may have signed client certificates; null where none are asked for. */
  readonly authoritiesPath: string | null;
  /** Client certificates that are no longer valid: a CRL of every authority in their chains. */
  readonly revokedPath: string | null;
  readonly versionMin: TlsVersion;
  readonly identity: CertificateIdentity;
  /** The O of a client certificate is its client's tenant, whose topics begin with /tenants/<tenant>/. */
  readonly isTenantRuled: boolean;
}

export interface TransportSettings {
  /** A Unix socket in place of host and port. */
  readonly unix: UnixSettings | null;
  readonly tls: TlsSettings | null;
  readonly webSocket: WebSocketSettings | null;
  /** The first bytes tell whether a client speaks TLS, WebSocket or plain MQTT; what is null here is not on offer. */
  readonly isSniffing: boolean;
  /** Addresses of proxies, whose PROXY header every connection begins with; null: no header is expected. */
  readonly trustedProxies: readonly string[] | null;
  /** Clients of one address at one time; 0 sets no limit. */
  readonly connectionsPerAddress: number;
  /** New connections of one address per second; 0 sets no limit. */
  readonly ratePerAddress: number;
}

export const PLAIN_TCP: TransportSettings = Object.freeze({
  unix: null,
  tls: null,
  webSocket: null,
  isSniffing: false,
  trustedProxies: null,
  connectionsPerAddress: 0,
  ratePerAddress: 0,
});

/** What a listener offers, as people call it: "tcp", "tls", "wss"; several where the first bytes tell. */
export function transportNames({ unix, tls, webSocket, isSniffing }: TransportSettings): string[] {
  const plain = unix === null ? "tcp" : "unix";
  if (isSniffing) {
    const names = [plain];
    if (tls !== null) names.push("tls");
    if (webSocket !== null) names.push("ws");
    if (tls !== null && webSocket !== null) names.push("wss");
    return names;
  }
  const name = webSocket === null ? (tls === null ? plain : "tls") : tls === null ? "ws" : "wss";
  return unix === null || name === plain ? [name] : [plain, name];
}
