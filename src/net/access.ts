// Access: the port through which a CONNECT is judged. Whoever composes the broker gives an implementation; without one
// every client is let in with every right.

import type { MqttError } from "../packet/error.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import type { Rights } from "../session/rights.ts";

/** What is known of a client certificate that the TLS handshake has verified. */
export interface PeerCertificate {
  readonly commonName: string;
  readonly organization: string;
  /** DNS, e-mail, URI and IP names, in the order of the certificate, without their kind. */
  readonly alternativeNames: readonly string[];
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly fingerprint: string;
}

/** One CONNECT as it came. */
export interface ConnectAttempt {
  /** The connection's number, as every log line about it says. */
  readonly connectionId: number;
  /** Section of the listener, for example "v4.1". */
  readonly listener: string;
  readonly remoteAddress: string;
  readonly level: ProtocolLevel;
  /** As assigned when the client gave none. */
  readonly clientIdentifier: string;
  readonly userName: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly certificate: PeerCertificate | null;
}

/** Who a client is and what it may do. */
export interface Grant {
  readonly granted: true;
  /** The name that the client proved to have; "" for an anonymous one. Sessions belong to it. */
  readonly userName: string;
  /** Confines every topic to /tenants/<tenant>/; null for none. */
  readonly tenant: string | null;
  /** Claims of a token, for `%{claim}` in rules. */
  readonly claims: Readonly<Record<string, string>>;
  /** Null: everything is permitted. */
  readonly rights: Rights | null;
  /** When the grant ends and the connection with it, ms since 1970; Infinity never. */
  readonly expiresWallMs: number;
}

/** Who a client is: user names of two tenants are two users. "" for an anonymous client of no tenant. */
export function identityOf({ userName, tenant }: Grant): string {
  return tenant === null ? userName : `\u0000${tenant}\u0000${userName}`;
}

/** Whose a session is that belongs to `identity`; a session of the broker's own is nobody's. */
export function ownerOf(identity: string): { readonly userName: string; readonly tenant: string | null } {
  if (!identity.startsWith("\u0000")) return { userName: identity, tenant: null };
  const [, tenant = "", userName] = identity.split("\u0000");
  return userName === undefined ? { userName: "", tenant: null } : { userName, tenant };
}

export interface Denial {
  readonly granted: false;
  /** What the client is told. */
  readonly error: MqttError;
  /** What the log is told; never a secret. */
  readonly reason: string;
}

export type Verdict = Grant | Denial;

/** A step of enhanced authentication, §4.12: more data for the client, or the end. */
export interface Continue {
  readonly granted: "continue";
  readonly data: Uint8Array;
}

/** A Verdict may come with last data for the client, in CONNACK or AUTH. */
export type Step = Continue | (Verdict & { readonly data?: Uint8Array });

/** Enhanced authentication of one connection: from CONNECT, or from the AUTH that begins it anew. */
export interface Exchange {
  /** Takes the client's Authentication Data. */
  next(data: Uint8Array): Step | Promise<Step>;
}

/** What throws or rejects lets nobody in. */
export interface Access {
  /** Judges a CONNECT without an Authentication Method. May answer at once or later. */
  judge(attempt: ConnectAttempt): Verdict | Promise<Verdict>;
  /** Begins an exchange by `method`; null when it is not known on this listener. */
  exchange(method: string, attempt: ConnectAttempt): Exchange | null;
  /** Users or rules have changed: what the client of `grant` has from now on. `attempt` comes without its password. */
  revise(grant: Grant, attempt: ConnectAttempt): Verdict;
}
