// Password hash: what is kept of a password, in each form that password files have, and whether a password is the one.
//
//   $6$salt$hash               SHA-512 of password and salt, base64 (mosquitto_passwd -H sha512)
//   $7$iterations$salt$hash    PBKDF2 with HMAC-SHA-512, base64 (mosquitto_passwd)
//   $argon2id$…  $2b$…         argon2 and bcrypt, as Bun.password writes them
//   SCRAM-SHA-256$…            RFC 5803
//
// Slow ones work off the event loop.

import { createHash, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import {
  formatScram,
  fromBase64,
  parseScram,
  type ScramCredential,
  type ScramMethod,
  scramCredential,
} from "./scram.ts";
import type { Secret } from "./secret.ts";

export type PasswordHash =
  /** Of a configuration's table: its digest under the secret of the process. */
  | { readonly kind: "plain"; readonly digest: Uint8Array; readonly secret: Secret }
  | { readonly kind: "sha512"; readonly salt: Uint8Array; readonly hash: Uint8Array }
  | {
      readonly kind: "pbkdf2";
      readonly iterations: number;
      readonly salt: Uint8Array;
      readonly hash: Uint8Array;
    }
  | { readonly kind: "bun"; readonly text: string }
  | { readonly kind: "scram"; readonly credential: ScramCredential };

export const HASH_NAMES = [
  "argon2id",
  "bcrypt",
  "pbkdf2-sha512",
  "sha512",
  "scram-sha-256",
  "scram-sha-512",
] as const;
export type HashName = (typeof HASH_NAMES)[number];

const ITERATIONS_MAX = 10_000_000;
const DIGEST_BYTES = 64;
/** As long as mosquitto's; it takes no other. */
const SALT_BYTES = 12;
const SCRAM_SALT_BYTES = 16;

/** Iterations where none are asked for. A SCRAM client has to compute them, however small it is. */
export const ITERATIONS_DEFAULT: Readonly<Partial<Record<HashName, number>>> = {
  "pbkdf2-sha512": 210_000,
  "scram-sha-256": 15_000,
  "scram-sha-512": 15_000,
};

const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;
const ARGON2 = /^\$argon2(?:id|i|d)\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/;

const pbkdf2Async = promisify(pbkdf2);

/** Whether the text was meant as a hash: then it is one, or a broken one, and never a plain password. */
export function looksLikeHash(text: string): boolean {
  return /^\$(?:6|7|argon2\w*|2[abxy])\$/.test(text) || /^SCRAM-SHA-(?:256|512)\$/.test(text);
}

/** Null when the text is none of the forms above. */
export function parsePasswordHash(text: string): PasswordHash | null {
  if (ARGON2.test(text)) return { kind: "bun", text };
  // $2y$ is what other programs call $2b$.
  if (BCRYPT.test(text)) return { kind: "bun", text: text.replace(/^\$2y/, "$2b") };
  const credential = parseScram(text);
  if (credential !== null) return { kind: "scram", credential };
  const sha512 = /^\$6\$([^$]+)\$([^$]+)$/.exec(text);
  if (sha512 !== null) return digestOf(sha512[1], sha512[2], null);
  const derived = /^\$7\$(\d{1,8})\$([^$]+)\$([^$]+)$/.exec(text);
  return derived === null ? null : digestOf(derived[2], derived[3], Number(derived[1]));
}

function digestOf(saltText = "", hashText = "", iterations: number | null): PasswordHash | null {
  const salt = fromBase64(saltText);
  const hash = fromBase64(hashText);
  if (salt === null || hash === null || hash.length !== DIGEST_BYTES) return null;
  if (iterations === null) return { kind: "sha512", salt, hash };
  if (iterations < 1 || iterations > ITERATIONS_MAX) return null;
  return { kind: "pbkdf2", iterations, salt, hash };
}

/** One digest is not worth a place in line. */
export function isCheap(hash: PasswordHash): boolean {
  return hash.kind === "plain" || hash.kind === "sha512";
}

/** Whether `password` is the one that `hash` was made of. */
export async function matches(hash: PasswordHash, password: Uint8Array): Promise<boolean> {
  switch (hash.kind) {
    case "plain":
    case "sha512":
      return matchesCheap(hash, password);
    case "pbkdf2": {
      const derived = await pbkdf2Async(password, hash.salt, hash.iterations, DIGEST_BYTES, "sha512");
      return timingSafeEqual(derived, hash.hash);
    }
    case "bun":
      // Bun takes no empty password; the work is done all the same.
      return (
        (await Bun.password.verify(password.length > 0 ? password : "\0", hash.text)) && password.length > 0
      );
    case "scram":
      return await matchesScram(hash.credential, password);
  }
}

/** The same for those that are cheap; false for the others. */
export function matchesCheap(hash: PasswordHash, password: Uint8Array): boolean {
  if (hash.kind === "plain") return timingSafeEqual(hash.secret.digest(password), hash.digest);
  if (hash.kind !== "sha512") return false;
  return timingSafeEqual(createHash("sha512").update(password).update(hash.salt).digest(), hash.hash);
}

async function matchesScram(credential: ScramCredential, password: Uint8Array): Promise<boolean> {
  const { method, salt, iterations, storedKey } = credential;
  const made = await scramCredential(method, Buffer.from(password).toString("utf8"), salt, iterations);
  return made !== null && timingSafeEqual(made.storedKey, storedKey);
}

/** The line of a password file for `password`. Null when SCRAM cannot take the password. */
export async function hashPassword(
  name: HashName,
  password: string,
  iterations: number = ITERATIONS_DEFAULT[name] ?? 0,
): Promise<string | null> {
  const salt = randomBytes(SALT_BYTES);
  switch (name) {
    case "argon2id":
    case "bcrypt":
      return await Bun.password.hash(password, { algorithm: name });
    case "sha512": {
      const hash = createHash("sha512").update(password).update(salt).digest("base64");
      return `$6$${salt.toString("base64")}$${hash}`;
    }
    case "pbkdf2-sha512": {
      const hash = await pbkdf2Async(password, salt, iterations, DIGEST_BYTES, "sha512");
      return `$7$${iterations}$${salt.toString("base64")}$${hash.toString("base64")}`;
    }
    case "scram-sha-256":
    case "scram-sha-512": {
      const method = name.toUpperCase() as ScramMethod;
      const scramSalt = randomBytes(SCRAM_SALT_BYTES);
      const credential = await scramCredential(method, password, scramSalt, iterations);
      return credential === null ? null : formatScram(credential);
    }
  }
}
