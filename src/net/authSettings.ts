// What authenticators are told at start. Listeners say in their own settings which of them they ask.

/** Ways to prove who a client is, as `chain` names them. */
export const AUTHENTICATOR_NAMES = [
  "certificate",
  "table",
  "scram",
  "jwt",
  "file",
  "http",
  "function",
] as const;
export type AuthenticatorName = (typeof AUTHENTICATOR_NAMES)[number];

/** Signatures of tokens that can be accepted; `none` is not among them. */
export const JWT_ALGORITHMS = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** Where the keys of tokens are: a file with a shared secret, with a public key or certificate, with a JWKS; a URL. */
export type JwtKeySource =
  | { readonly kind: "secret" | "pem" | "jwks"; readonly path: string }
  | {
      readonly kind: "url";
      readonly url: string;
      /** File with the CAs that its server is checked against; null: the system's. */
      readonly authoritiesPath: string | null;
    };

export interface JwtSettings {
  readonly key: JwtKeySource;
  readonly algorithms: readonly JwtAlgorithm[];
  /** One of these must be the token's; empty: any. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly leewaySeconds: number;
  readonly userNameClaim: string;
  /** Must be the Client Identifier; null: any. */
  readonly clientIdClaim: string | null;
  /** Handed on for rules. */
  readonly claims: readonly string[];
  readonly requireExpiry: boolean;
  /** A JWKS from a URL is fetched anew after so long, ms. */
  readonly jwksRefreshMs: number;
}

export interface HttpAuthSettings {
  readonly url: string;
  /** File with the CAs that its server is checked against; null: the system's. */
  readonly authoritiesPath: string | null;
  /** How the request is written. */
  readonly request: "json" | "form";
  /** What the Client Identifier is called in it. */
  readonly clientIdField: string;
  /** What the answer says yes with. */
  readonly answer: "status" | "json" | "text";
  readonly timeoutMs: number;
  readonly requestsMax: number;
  /** How long a yes and a no are remembered, ms. */
  readonly yesMs: number;
  readonly noMs: number;
}

export interface AttemptLimits {
  /** Wrong secrets at one time that an address may give before it is banned; 0 sets no limit. */
  readonly failuresPerAddress: number;
  /** The same for a user name, from any address. */
  readonly failuresPerUser: number;
  /** One of them is forgiven after so long, ms. */
  readonly refillMs: number;
  readonly banMs: number;
  /** Addresses that are never banned, such as that of a load balancer which does not tell its clients' own. */
  readonly exempt: readonly string[];
}

export interface AuthSettings {
  /** In which order authenticators are asked; null: those that are configured, in the order of AUTHENTICATOR_NAMES. */
  readonly chain: readonly AuthenticatorName[] | null;
  /** How long a right password is remembered, ms; 0 not at all. */
  readonly verifiedMs: number;
  /** The password file. */
  readonly file: string | null;
  readonly jwt: JwtSettings | null;
  readonly http: HttpAuthSettings | null;
  readonly limits: AttemptLimits;
}

/** Nothing is configured. */
export const NO_AUTH: AuthSettings = Object.freeze({
  chain: null,
  verifiedMs: 300_000,
  file: null,
  jwt: null,
  http: null,
  limits: Object.freeze({
    failuresPerAddress: 10,
    failuresPerUser: 50,
    refillMs: 3_000,
    banMs: 60_000,
    exempt: [],
  }),
});
