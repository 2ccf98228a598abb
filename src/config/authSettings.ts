// From `[auth]` to what authenticators are told, and what is said of listeners that let everybody in.

import type {
  AttemptLimits,
  AuthenticatorName,
  AuthSettings,
  HttpAuthSettings,
  JwtAlgorithm,
  JwtKeySource,
  JwtSettings,
} from "../net/authSettings.ts";
import { AUTHENTICATOR_NAMES, JWT_ALGORITHMS } from "../net/authSettings.ts";
import type { ListenerSettings } from "../net/settings.ts";
import { AUTH_FILE_KEYS, AUTH_HTTP_KEYS, AUTH_JWT_KEYS, AUTH_KEYS, AUTH_LIMIT_KEYS } from "./authKeys.ts";
import { keyText, valueText } from "./problems.ts";
import type { Document } from "./section.ts";
import { problem, readSection, tableAt, warning } from "./section.ts";

type Table = Readonly<Record<string, unknown>>;

export const AUTH_SECTION = "auth";
const JWT_KEY_NAMES = ["secret_file", "public_key_file", "jwks_file", "jwks_url"];
const CHILDREN = ["file", "jwt", "http", "limits"];

/** Algorithms with a shared secret: whoever can check a token can make one. */
const isShared = (algorithm: string): boolean => algorithm.startsWith("HS");

export function readAuth(document: Document, root: Table): AuthSettings {
  const path = [AUTH_SECTION];
  const table = tableAt(document, path, root[AUTH_SECTION]) ?? {};
  const values = readSection(document, path, table, AUTH_KEYS, CHILDREN);
  const child = (name: string): Table | undefined =>
    table[name] === undefined ? undefined : tableAt(document, [...path, name], table[name]);
  const file = child("file");
  const jwt = child("jwt");
  const http = child("http");
  const settings: AuthSettings = {
    chain: values.chain === null ? null : authenticatorNames(values.chain),
    verifiedMs: values.remember_ms,
    file: file === undefined ? null : readSection(document, [...path, "file"], file, AUTH_FILE_KEYS).path,
    jwt: jwt === undefined ? null : readJwt(document, jwt),
    http: http === undefined ? null : readHttp(document, http),
    limits: readLimits(document, child("limits") ?? {}),
  };
  if (settings.chain !== null) checkChain(document, [...path, "chain"], settings.chain, settings);
  return settings;
}

export function authenticatorNames(names: readonly string[]): AuthenticatorName[] {
  return names.flatMap((name) => AUTHENTICATOR_NAMES.filter((known) => known === name));
}

function readLimits(document: Document, table: Table): AttemptLimits {
  const values = readSection(document, [AUTH_SECTION, "limits"], table, AUTH_LIMIT_KEYS);
  return {
    failuresPerAddress: values.failures_per_address,
    failuresPerUser: values.failures_per_user,
    refillMs: values.forgive_ms,
    banMs: values.ban_ms,
    exempt: values.exempt,
  };
}

function readHttp(document: Document, table: Table): HttpAuthSettings {
  const path = [AUTH_SECTION, "http"];
  const values = readSection(document, path, table, AUTH_HTTP_KEYS);
  const url = checkUrl(document, [...path, "url"], values.url, "passwords go there as plain text");
  checkAuthorities(document, path, values.ca_file, url);
  return {
    url,
    authoritiesPath: values.ca_file,
    request: values.request === "form" ? "form" : "json",
    clientIdField: values.client_id_field,
    answer: values.answer === "json" || values.answer === "text" ? values.answer : "status",
    timeoutMs: values.timeout_ms,
    requestsMax: values.max_requests,
    yesMs: values.remember_ms,
    noMs: values.remember_refusals_ms,
  };
}

function readJwt(document: Document, table: Table): JwtSettings {
  const path = [AUTH_SECTION, "jwt"];
  const values = readSection(document, path, table, AUTH_JWT_KEYS);
  const sources: JwtKeySource[] = [];
  if (values.secret_file !== null) sources.push({ kind: "secret", path: values.secret_file });
  if (values.public_key_file !== null) sources.push({ kind: "pem", path: values.public_key_file });
  if (values.jwks_file !== null) sources.push({ kind: "jwks", path: values.jwks_file });
  if (values.jwks_url !== null) {
    const text = "whoever is between can put other keys there";
    const url = checkUrl(document, [...path, "jwks_url"], values.jwks_url, text);
    sources.push({ kind: "url", url, authoritiesPath: values.ca_file });
  }
  checkAuthorities(document, path, values.ca_file, values.jwks_url ?? "");
  const [key] = sources;
  if (JWT_KEY_NAMES.filter((name) => table[name] !== undefined).length !== 1) {
    const text = "needs exactly one of secret_file, public_key_file, jwks_file and jwks_url";
    problem(document, path, `[auth.jwt] ${text}`);
  }
  const isSecret = table["secret_file"] !== undefined;
  const usual: readonly JwtAlgorithm[] = isSecret
    ? ["HS256"]
    : JWT_ALGORITHMS.filter((name) => !isShared(name));
  const given = values.algorithms ?? usual;
  const algorithms = JWT_ALGORITHMS.filter((name) => given.includes(name));
  if (algorithms.length === 0 || algorithms.some((name) => isShared(name) !== isSecret)) {
    const at = [...path, "algorithms"];
    const allowed = isSecret
      ? "HS256, HS384 or HS512 with secret_file"
      : "no HS algorithm with public keys: a public key is no secret";
    problem(document, at, `${keyText(at)} = ${valueText(given)}: must be ${allowed}`);
  }
  return {
    key: key ?? { kind: "secret", path: "" },
    algorithms,
    issuers: values.issuers,
    audiences: values.audiences,
    leewaySeconds: values.leeway_s,
    userNameClaim: values.username_claim,
    clientIdClaim: values.client_id_claim,
    claims: values.claims,
    requireExpiry: values.require_expiry,
    jwksRefreshMs: values.jwks_refresh_ms,
  };
}

/** `risk` is what it means when the way there is neither encrypted nor on this machine. */
function checkUrl(document: Document, path: readonly string[], text: string | null, risk: string): string {
  if (text === null) return "";
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    problem(document, path, `${keyText(path)} = ${valueText(text)}: must be a URL with http:// or https://`);
  } else if (url.username !== "" || url.password !== "") {
    problem(document, path, `${keyText(path)}: must be a URL without user name and password`);
  } else if (url.protocol === "http:" && !isLoopback(url.hostname.replace(/^\[|\]$/g, ""))) {
    warning(document, path, `${keyText(path)} = ${valueText(text)}: ${risk}; https:// prevents that`);
  }
  return text;
}

/** Authorities of a server that is not asked over https do nothing. */
function checkAuthorities(
  document: Document,
  path: readonly string[],
  file: string | null,
  url: string,
): void {
  if (file === null || URL.parse(url)?.protocol === "https:") return;
  const at = [...path, "ca_file"];
  warning(document, at, `${keyText(at)} has no effect: nobody is asked over https://`);
}

/** Every name in a chain must be one that can be asked. */
export function checkChain(
  document: Document,
  path: readonly string[],
  chain: readonly AuthenticatorName[],
  auth: AuthSettings,
  listener: ListenerSettings | null = null,
): void {
  const needs: Partial<Record<AuthenticatorName, string>> = {};
  if (auth.file === null) needs.file = "[auth.file]";
  if (auth.jwt === null) needs.jwt = "[auth.jwt]";
  if (auth.http === null) needs.http = "[auth.http]";
  if (listener !== null && listener.users === null) needs.table = `[${listener.section}.connections] auth`;
  if (auth.file === null && listener !== null && listener.users === null) needs.scram = "users: [auth.file]";
  for (const name of chain) {
    const need = needs[name];
    if (need !== undefined) problem(document, path, `${keyText(path)}: "${name}" needs ${need}`);
  }
}

/** The chain that a listener has of its own. */
export function checkListenerAuth(document: Document, listener: ListenerSettings, auth: AuthSettings): void {
  const path = [...listener.section.split("."), "connections", "auth_chain"];
  if (listener.authChain !== null) checkChain(document, path, listener.authChain, auth, listener);
}

/** Whether everybody is let in. */
export function asksNobody(listener: ListenerSettings, auth: AuthSettings): boolean {
  const { users, authChain, allowAnonymous, transport } = listener;
  if (allowAnonymous === false || users !== null || authChain !== null || auth.chain !== null) return false;
  if ((transport.tls?.clientCertificate ?? "none") !== "none") return false;
  return auth.file === null && auth.jwt === null && auth.http === null;
}

/** What is said of a listener that other machines reach and that lets everybody in unasked; null of the others. */
export function openListenerText(listener: ListenerSettings, auth: AuthSettings): string | null {
  const { section, host, allowAnonymous, transport } = listener;
  if (!asksNobody(listener, auth) || allowAnonymous === true) return null;
  if (transport.unix !== null || isLoopback(host)) return null;
  const advice = `give it users ([${section}.connections] auth, or [auth.file]) or say allow_anonymous = true`;
  const what = "whoever reaches it can connect, without a name or a password";
  return `[${section}] listens on ${host}, not on this machine alone: ${what}; ${advice}`;
}

export function isLoopback(host: string): boolean {
  return /^127(?:\.\d{1,3}){3}$/.test(host) || host === "::1" || host.toLowerCase() === "localhost";
}
