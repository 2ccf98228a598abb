// The server's side of SCRAM over MQTT's AUTH packets, RFC 5802 §3:
//
//   CONNECT  client-first   n,,n=alice,r=…
//   AUTH     server-first   r=…,s=salt,i=iterations
//   AUTH     client-final   c=biws,r=…,p=proof
//   CONNACK  server-final   v=signature
//
// A user that does not exist goes through the same exchange: its salt follows from its name and a secret of the
// process, and its proof is wrong whatever it is.

import { randomBytes, timingSafeEqual } from "node:crypto";
import type { ConnectAttempt } from "../net/access.ts";
import { errors } from "../packet/error.ts";
import { denied, granted, type ServerExchange, shown, type StepOutcome, wrong } from "./authenticator.ts";
import { saslPrep } from "./saslPrep.ts";
import { fromBase64, hash, provedKey, type ScramCredential, serverSignature } from "./scram.ts";

const NONCE_BYTES = 18;
const MESSAGE_BYTES_MAX = 4_096;
const CLIENT_NONCE_MAX = 512;

/** The credential of a user, and whether it is a real one. */
export interface Found {
  readonly credential: ScramCredential;
  readonly isKnown: boolean;
}

interface Challenge extends Found {
  readonly userName: string;
  readonly gs2: string;
  readonly nonce: string;
  /** client-first-message-bare and server-first-message. */
  readonly said: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

export class ScramExchange implements ServerExchange {
  userName: string | undefined = undefined;
  private readonly attempt: ConnectAttempt;
  private readonly find: (userName: string) => Found;
  private readonly serverNonce: string;
  private challenge: Challenge | null = null;
  private isOver = false;

  /** `serverNonce` is given by tests alone. */
  constructor(
    attempt: ConnectAttempt,
    find: (userName: string) => Found,
    serverNonce: string = randomBytes(NONCE_BYTES).toString("base64"),
  ) {
    this.attempt = attempt;
    this.find = find;
    this.serverNonce = serverNonce;
  }

  next(data: Uint8Array): StepOutcome {
    if (this.isOver) return this.over("a message after the end");
    const text = textOf(data);
    if (text === null) return this.over("a message that is too long or not UTF-8");
    return this.challenge === null ? this.first(text) : this.final(text, this.challenge);
  }

  private first(text: string): StepOutcome {
    // The client may think that the server has no channel binding (y): so it is. What it binds (p) is not there.
    const match = /^([ny],(?:a=([^,]+))?,)(n=([^,]*),r=([\x21-\x2B\x2D-\x7E]+)(?:,.*)?)$/su.exec(text);
    if (match === null)
      return this.over(`no client-first message${text.startsWith("p=") ? " without channel binding" : ""}`);
    const [, gs2 = "", authorization, bare = "", name = "", clientNonce = ""] = match;
    const userName = saslName(name);
    if (userName === null) return this.over("a user name that is not one");
    this.userName = userName;
    if (authorization !== undefined && saslName(authorization) !== userName)
      return this.over(`user ${shown(userName)} wants to act for another`);
    if (this.attempt.userName !== undefined && this.attempt.userName !== userName)
      return this.over(`CONNECT has another User Name than ${shown(userName)}`);
    if (clientNonce.length > CLIENT_NONCE_MAX) return this.over("a nonce that is too long");
    const found = this.find(userName);
    const { salt, iterations } = found.credential;
    const nonce = clientNonce + this.serverNonce;
    const serverFirst = `r=${nonce},s=${Buffer.from(salt).toString("base64")},i=${iterations}`;
    this.challenge = { ...found, userName, gs2, nonce, said: `${bare},${serverFirst}` };
    return { outcome: "continue", data: Buffer.from(serverFirst) };
  }

  private final(text: string, challenge: Challenge): StepOutcome {
    const { userName, credential, isKnown } = challenge;
    this.isOver = true;
    const match = /^(c=([^,]+),r=([^,]+)(?:,[a-zA-Z]=[^,]+)*),p=([^,]+)$/u.exec(text);
    if (match === null) return this.over("no client-final message");
    const [, withoutProof = "", binding = "", nonce = "", proofText = ""] = match;
    if (binding !== Buffer.from(challenge.gs2).toString("base64") || nonce !== challenge.nonce)
      return this.over("a client-final message that does not belong to this exchange");
    const authMessage = `${challenge.said},${withoutProof}`;
    const key = provedKey(credential, authMessage, fromBase64(proofText) ?? new Uint8Array(0));
    const isProof = key !== null && timingSafeEqual(key, credential.storedKey);
    if (!isProof || !isKnown)
      return wrong(isKnown ? `wrong proof for user ${shown(userName)}` : `no user ${shown(userName)}`);
    return { ...granted(userName), data: Buffer.from(`v=${serverSignature(credential, authMessage)}`) };
  }

  private over(reason: string): StepOutcome {
    this.isOver = true;
    return denied(errors.notAuthorized, reason);
  }
}

/** A credential like `like` with that salt, which nobody can prove. */
export function decoy(like: ScramCredential, salt: Uint8Array): ScramCredential {
  const key = hash(like.method, salt);
  return { ...like, salt, storedKey: key, serverKey: key };
}

function textOf(data: Uint8Array): string | null {
  if (data.length > MESSAGE_BYTES_MAX) return null;
  try {
    return decoder.decode(data);
  } catch {
    return null;
  }
}

/** RFC 5802 §5.1: `,` and `=` come as =2C and =3D. Null for what is no name. */
function saslName(text: string): string | null {
  if (/=(?!2C|3D)/.test(text)) return null;
  const prepared = saslPrep(text.replaceAll("=2C", ",").replaceAll("=3D", "="));
  return prepared === "" ? null : prepared;
}
