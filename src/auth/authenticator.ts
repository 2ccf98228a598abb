// Authenticator: one way to prove who a client is. A listener asks a chain of them, one after another, until one says
// that the client is its own; what it says then stands.

import type { ConnectAttempt, PeerCertificate } from "../net/access.ts";
import type { CertificateIdentity } from "../net/transport.ts";
import type { MqttError } from "../packet/error.ts";
import { errors } from "../packet/error.ts";
import type { Rights } from "../session/rights.ts";

/** Who a client has proved to be. */
export interface Identity {
  /** "" for an anonymous client. */
  readonly userName: string;
  readonly tenant: string | null;
  readonly claims: Readonly<Record<string, string>>;
  /** Set only by whoever decides rights too. */
  readonly rights: Rights | null;
  /** ms since 1970; Infinity never. */
  readonly expiresWallMs: number;
}

export interface Granted {
  readonly outcome: "granted";
  readonly identity: Identity;
}

export interface Denied {
  readonly outcome: "denied";
  readonly error: MqttError;
  /** For the log; never a secret. */
  readonly reason: string;
  /** A wrong secret, which the limits of failed attempts count; not so what is the server's own trouble. */
  readonly isGuess: boolean;
}

/** The next one is asked. */
export interface NotMine {
  readonly outcome: "not mine";
  readonly reason: string;
  /**
   * What checking a user that is known would have cost. It is spent when nobody lets the client in, so that the time
   * of a refusal does not tell which users there are.
   */
  readonly spend?: () => Promise<unknown>;
}

export type Outcome = Granted | Denied | NotMine;

export interface Authenticator {
  /** As `chain` in the configuration and as logs call it. */
  readonly name: string;
  judge(attempt: ConnectAttempt): Outcome | Promise<Outcome>;
  /** It goes by something else than names and passwords that clients send. */
  readonly takesNoPassword?: true;
  /** Whether it would still know the user that it let in; absent: it always does. */
  knows?(userName: string, attempt: ConnectAttempt): boolean;
}

export interface ContinueStep {
  readonly outcome: "continue";
  readonly data: Uint8Array;
}

export type StepOutcome = ContinueStep | ((Granted | Denied) & { readonly data?: Uint8Array });

/** The server's side of one enhanced authentication. */
export interface ServerExchange {
  /** As the client names itself; undefined until it has. */
  readonly userName: string | undefined;
  next(data: Uint8Array): StepOutcome | Promise<StepOutcome>;
}

/** An authenticator that speaks Authentication Methods, §4.12. */
export interface ExchangeAuthenticator extends Authenticator {
  /** Null when the method is not its own. */
  begin(method: string, attempt: ConnectAttempt): ServerExchange | null;
}

export const NOBODY: Identity = Object.freeze({
  userName: "",
  tenant: null,
  claims: Object.freeze({}),
  rights: null,
  expiresWallMs: Number.POSITIVE_INFINITY,
});

export function granted(userName: string, more: Partial<Identity> = {}): Granted {
  return { outcome: "granted", identity: { ...NOBODY, ...more, userName } };
}

/** The client's secret is wrong. */
export function wrong(reason: string): Denied {
  return { outcome: "denied", error: errors.badUserNameOrPassword, reason, isGuess: true };
}

/** Refused for another reason than a wrong secret. */
export function denied(error: MqttError, reason: string): Denied {
  return { outcome: "denied", error, reason, isGuess: false };
}

export function notMine(reason: string, spend?: () => Promise<unknown>): NotMine {
  return spend === undefined ? { outcome: "not mine", reason } : { outcome: "not mine", reason, spend };
}

const SHOWN_CHARACTERS_MAX = 64;

/** A name that came from a client, as logs show it: quoted, escaped and cut. */
export function shown(name: string): string {
  const cut =
    name.length <= SHOWN_CHARACTERS_MAX ? name : `${name.slice(0, SHOWN_CHARACTERS_MAX).toWellFormed()}…`;
  return JSON.stringify(cut);
}

/** The name of a certificate that stands for its owner, by the listener's rule. */
export function certificateName(certificate: PeerCertificate, identity: CertificateIdentity): string {
  if (identity === "cn") return certificate.commonName;
  return identity === "o" ? certificate.organization : (certificate.alternativeNames[0] ?? "");
}
