// SCRAM, RFC 5802 and 7677: the credential that a server keeps, and the arithmetic of an exchange. From the credential
// nobody can compute the password, nor log in with it elsewhere.

import { createHash, createHmac, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { saslPrep } from "./saslPrep.ts";

/** As MQTT's Authentication Method and RFC 5803 write them. */
export const SCRAM_METHODS = ["SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export type ScramMethod = (typeof SCRAM_METHODS)[number];

const HASHES: Readonly<Record<ScramMethod, { readonly name: string; readonly bytes: number }>> = {
  "SCRAM-SHA-256": { name: "sha256", bytes: 32 },
  "SCRAM-SHA-512": { name: "sha512", bytes: 64 },
};

/** RFC 7677 §4: what clients can be asked for at least. */
export const SCRAM_ITERATIONS_MIN = 4_096;
export const SCRAM_ITERATIONS_MAX = 10_000_000;
const SALT_BYTES_MIN = 8;
const SALT_BYTES_MAX = 1_024;

export interface ScramCredential {
  readonly method: ScramMethod;
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

const pbkdf2Async = promisify(pbkdf2);

export function isScramMethod(method: string): method is ScramMethod {
  return SCRAM_METHODS.some((known) => known === method);
}

export function hmac(method: ScramMethod, key: Uint8Array, data: string | Uint8Array): Buffer {
  return createHmac(HASHES[method].name, key).update(data).digest();
}

export function hash(method: ScramMethod, data: Uint8Array): Buffer {
  return createHash(HASHES[method].name).update(data).digest();
}

/** The credential of `password`; null when the password holds what SASLprep forbids. Works off the event loop. */
export async function scramCredential(
  method: ScramMethod,
  password: string,
  salt: Uint8Array,
  iterations: number,
): Promise<ScramCredential | null> {
  const prepared = saslPrep(password);
  if (prepared === null) return null;
  const { name, bytes } = HASHES[method];
  const salted = await pbkdf2Async(prepared, salt, iterations, bytes, name);
  const storedKey = hash(method, hmac(method, salted, "Client Key"));
  return { method, iterations, salt, storedKey, serverKey: hmac(method, salted, "Server Key") };
}

/** Whether the client's proof shows that it knows the password. `authMessage` is what both sides have said. */
export function provedKey(
  credential: ScramCredential,
  authMessage: string,
  proof: Uint8Array,
): Buffer | null {
  const { method, storedKey } = credential;
  const signature = hmac(method, storedKey, authMessage);
  if (proof.length !== signature.length) return null;
  return hash(
    method,
    signature.map((byte, index) => byte ^ proof[index]!),
  );
}

export function serverSignature({ method, serverKey }: ScramCredential, authMessage: string): string {
  return hmac(method, serverKey, authMessage).toString("base64");
}

/** RFC 5803: `SCRAM-SHA-256$15000:salt$StoredKey:ServerKey`. */
export function formatScram(credential: ScramCredential): string {
  const { method, iterations, salt, storedKey, serverKey } = credential;
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  return `${method}$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}

/** Null when the text is not a credential. */
export function parseScram(text: string): ScramCredential | null {
  const match = /^(SCRAM-SHA-256|SCRAM-SHA-512)\$(\d{1,8}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  if (match === null) return null;
  const method = match[1] as ScramMethod;
  const iterations = Number(match[2]);
  const [salt, storedKey, serverKey] = match.slice(3).map(fromBase64);
  if (salt == null || storedKey == null || serverKey == null) return null;
  if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) return null;
  if (salt.length < SALT_BYTES_MIN || salt.length > SALT_BYTES_MAX) return null;
  const { bytes } = HASHES[method];
  if (storedKey.length !== bytes || serverKey.length !== bytes) return null;
  return { method, iterations, salt, storedKey, serverKey };
}

/** Standard base64 with its padding, nothing else; null otherwise. */
export function fromBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}
