// The keys of `[auth]`: who may connect.

import { AUTHENTICATOR_NAMES, JWT_ALGORITHMS } from "../net/authSettings.ts";
import type { Keys } from "./key.ts";

export const AUTH_KEYS = {
  chain: {
    kind: "texts",
    default: null,
    defaultText: "those that are configured, in this order",
    choices: AUTHENTICATOR_NAMES,
    doc: "Who is asked, in this order; the first one that knows the client decides",
  },
  remember_ms: {
    kind: "integer",
    default: 300_000,
    minimum: 0,
    maximum: 86_400_000,
    unit: "ms",
    doc: "How long a right password needs no new hash; 0 hashes every time",
  },
} as const satisfies Keys;

/** `[auth.file]` */
export const AUTH_FILE_KEYS = {
  path: {
    kind: "text",
    default: null,
    required: true,
    doc: "Password file, as `millrace passwd` or mosquitto_passwd writes it",
  },
} as const satisfies Keys;

/** `[auth.jwt]`: tokens in the place of passwords. */
export const AUTH_JWT_KEYS = {
  secret_file: {
    kind: "text",
    default: null,
    doc: "File with the secret that HS256, HS384 and HS512 share",
  },
  public_key_file: {
    kind: "text",
    default: null,
    doc: "Public key or certificate of the issuer, in PEM",
  },
  jwks_file: {
    kind: "text",
    default: null,
    doc: "JSON Web Key Set of the issuer",
  },
  jwks_url: {
    kind: "text",
    default: null,
    doc: "JSON Web Key Set behind a URL, where the issuer may rotate its keys",
  },
  ca_file: {
    kind: "text",
    default: null,
    defaultText: "those that the system trusts",
    doc: "Authorities that the server of jwks_url is checked against over https, in PEM",
  },
  jwks_refresh_ms: {
    kind: "integer",
    default: 600_000,
    minimum: 10_000,
    maximum: 86_400_000,
    unit: "ms",
    doc: "How old the keys of jwks_url may be; unknown ones are looked for at once",
  },
  algorithms: {
    kind: "texts",
    default: null,
    defaultText: "HS256 with a secret, all but HS with public keys",
    choices: JWT_ALGORITHMS,
    doc: "Signatures that are accepted",
  },
  issuers: {
    kind: "texts",
    default: [],
    doc: "Accepted values of the claim iss; an empty list accepts any",
  },
  audiences: {
    kind: "texts",
    default: [],
    doc: "Accepted values of the claim aud; an empty list accepts any",
  },
  leeway_s: {
    kind: "integer",
    default: 5,
    minimum: 0,
    maximum: 3_600,
    unit: "s",
    doc: "By how much the issuer's clock may differ",
  },
  require_expiry: {
    kind: "boolean",
    default: true,
    doc: "Whether a token without exp is refused; a client is disconnected when its token expires",
  },
  username_claim: {
    kind: "text",
    default: "sub",
    doc: "Claim that names the user; a User Name in CONNECT must be the same",
  },
  client_id_claim: {
    kind: "text",
    default: null,
    defaultText: "any Client Identifier",
    doc: "Claim, a string or a list, that must hold the Client Identifier",
  },
  claims: {
    kind: "texts",
    default: [],
    doc: "Claims that rules may use as %{claim}",
  },
} as const satisfies Keys;

/** `[auth.http]`: a server of the operator's decides. */
export const AUTH_HTTP_KEYS = {
  url: {
    kind: "text",
    default: null,
    required: true,
    doc: "Where user name, password and Client Identifier are posted to",
  },
  ca_file: {
    kind: "text",
    default: null,
    defaultText: "those that the system trusts",
    doc: "Authorities that the server is checked against over https, in PEM",
  },
  request: {
    kind: "choice",
    default: "json",
    choices: ["json", "form"],
    doc: "How they are written",
  },
  client_id_field: {
    kind: "text",
    default: "clientid",
    doc: 'What the Client Identifier is called beside username and password; rumqttd says "client_id"',
  },
  answer: {
    kind: "choice",
    default: "status",
    choices: ["status", "json", "text"],
    doc: 'What a yes is: a status of 200 to 299 alone, with true or { "ok": true }, or with the text ok',
  },
  timeout_ms: {
    kind: "integer",
    default: 3_000,
    minimum: 10,
    maximum: 60_000,
    unit: "ms",
    doc: "Without an answer in time nobody is let in",
  },
  max_requests: {
    kind: "integer",
    default: 16,
    minimum: 1,
    maximum: 1_024,
    unit: "requests",
    doc: "Requests at one time",
  },
  remember_ms: {
    kind: "integer",
    default: 30_000,
    minimum: 0,
    maximum: 86_400_000,
    unit: "ms",
    doc: "How long a yes is not asked for again; 0 asks every time",
  },
  remember_refusals_ms: {
    kind: "integer",
    default: 5_000,
    minimum: 0,
    maximum: 86_400_000,
    unit: "ms",
    doc: "The same for a no",
  },
} as const satisfies Keys;

/** `[auth.limits]`: failed attempts. */
export const AUTH_LIMIT_KEYS = {
  failures_per_address: {
    kind: "integer",
    default: 10,
    minimum: 0,
    maximum: 1_000_000,
    unit: "attempts",
    doc: "Wrong passwords after which an address is banned; 0 sets no limit",
  },
  failures_per_user: {
    kind: "integer",
    default: 50,
    minimum: 0,
    maximum: 1_000_000,
    unit: "attempts",
    doc: "Wrong passwords after which a user can log in only from where it has logged in before; 0 sets no limit",
  },
  forgive_ms: {
    kind: "integer",
    default: 3_000,
    minimum: 1,
    maximum: 86_400_000,
    unit: "ms",
    doc: "Time after which one wrong password is forgiven",
  },
  ban_ms: {
    kind: "integer",
    default: 60_000,
    minimum: 1,
    maximum: 86_400_000,
    unit: "ms",
    doc: "How long an address is banned",
  },
  exempt: {
    kind: "texts",
    default: [],
    doc: "Addresses that are never banned, such as a load balancer's",
  },
} as const satisfies Keys;
