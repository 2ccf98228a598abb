// The keys of transports: sockets, proxies and limits of addresses, TLS.

import { CERTIFICATE_IDENTITIES, TLS_VERSIONS } from "../net/transport.ts";
import type { Keys } from "./key.ts";

/** In every listener's section. */
export const SOCKET_KEYS = {
  mode: {
    kind: "text",
    default: "0660",
    doc: "Permissions of a Unix socket, in octal",
  },
  proxy_protocol: {
    kind: "boolean",
    default: false,
    doc: "Whether every connection begins with a PROXY header, version 1 or 2, that tells the client's address",
  },
  trusted_proxies: {
    kind: "texts",
    default: [],
    doc: 'Who may send PROXY headers: addresses and ranges, such as ["10.0.0.0/8"]; others are closed',
  },
  max_connections_per_address: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 10_000_000,
    unit: "connections",
    doc: "Clients of one IPv4 address, or of one IPv6 /64, at one time; 0 sets no limit",
  },
  connection_rate_per_address: {
    kind: "integer",
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    unit: "per second",
    doc: "New connections of one IPv4 address, or of one IPv6 /64; 0 sets no limit",
  },
} as const satisfies Keys;

/** In `[mqtt.N]` alone. */
export const SNIFF_KEYS = {
  sniff: {
    kind: "boolean",
    default: false,
    doc: "Whether the first bytes tell plain MQTT, WebSocket and, with [mqtt.N.tls], TLS apart on this one port",
  },
} as const satisfies Keys;

/** `[v4.N.tls]` and those of other listeners. */
export const TLS_KEYS = {
  certpath: {
    kind: "text",
    default: null,
    required: true,
    doc: "Certificate of this listener and those that lead to its authority, in PEM",
  },
  keypath: {
    kind: "text",
    default: null,
    required: true,
    doc: "Its private key, in PEM, without a passphrase",
  },
  capath: {
    kind: "text",
    default: null,
    doc: "Authorities of client certificates, in PEM; verify_client_cert says whether they are asked for",
  },
  crlpath: {
    kind: "text",
    default: null,
    doc: "Revoked client certificates: a CRL of every authority, in PEM",
  },
  verify_client_cert: {
    kind: "toggle",
    default: false,
    choices: ["optional"],
    doc: "Whether clients must show a certificate, or may and then a good one",
  },
  identity: {
    kind: "choice",
    default: "cn",
    choices: CERTIFICATE_IDENTITIES,
    doc: "Which part of its certificate is a client's name: CN, O, or the first alternative name",
  },
  tenant: {
    kind: "boolean",
    default: false,
    doc: "Whether the O of its certificate confines a client to topics below /tenants/<O>/",
  },
  min_version: {
    kind: "choice",
    default: "1.2",
    choices: TLS_VERSIONS,
    doc: "Oldest version of TLS that is spoken",
  },
} as const satisfies Keys;

/** `[[v4.N.tls.sni]]` and those of other listeners. */
export const SNI_KEYS = {
  host: {
    kind: "text",
    default: null,
    required: true,
    doc: 'Name that a client asks for, such as "mqtt.example.org", or "*.example.org" for all names one level below',
  },
  certpath: {
    kind: "text",
    default: null,
    required: true,
    doc: "Certificate for such clients, in PEM",
  },
  keypath: {
    kind: "text",
    default: null,
    required: true,
    doc: "Its private key, in PEM, without a passphrase",
  },
} as const satisfies Keys;
