// Keys of tokens: from a file with a shared secret, a public key or a JWKS, or from a JWKS behind a URL that its owner
// rotates.

import { createPublicKey, type KeyObject } from "node:crypto";
import {
  createLocalJWKSet,
  type CryptoKey,
  errors as joseErrors,
  importSPKI,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from "jose";
import type { Clock } from "../base/clock.ts";
import type { JwtAlgorithm } from "../net/authSettings.ts";
import { fetchText, placeOf } from "./fetchText.ts";
import { FileError } from "./passwordFile.ts";

/** RFC 7518 §3.2: a secret is at least as long as the hash that it keys. */
const SECRET_BYTES_MIN: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const JWKS_BYTES_MAX = 1024 * 1024;
/** Keys that one set may have, and those of them that one token is tried with. */
const JWKS_KEYS_MAX = 1_000;
export const KEYS_TRIED_MAX = 8;
const FETCH_MS_MAX = 5_000;
/** An unknown key, or a fetch that failed, leads to another fetch no sooner than this after the last. */
export const JWKS_COOLDOWN_MS = 30_000;
/** A set that cannot be fetched anew is used so long beyond its time, then no token is accepted. */
const JWKS_STALE_MS_MAX = 3_600_000;

export type TokenKey = CryptoKey | Uint8Array;

export interface JwtKeys {
  /** Every key that may have signed a token with this header. Rejects with an Error that may be logged. */
  find(header: JWSHeaderParameters): Promise<readonly TokenKey[]>;
}

/** Takes the text of a file; throws FileError, and then the old keys stay. */
export interface FileKeys extends JwtKeys {
  load(text: string): Promise<void>;
}

export class SecretKeys implements FileKeys {
  private readonly algorithms: readonly JwtAlgorithm[];
  private readonly file: string;
  private keys: readonly TokenKey[] = [];

  constructor(file: string, algorithms: readonly JwtAlgorithm[]) {
    this.file = file;
    this.algorithms = algorithms;
  }

  /** The secret is the file but for the line end that editors put behind it. */
  async load(text: string): Promise<void> {
    const secret = Buffer.from(text.replace(/\r?\n$/, ""));
    const least = Math.max(...this.algorithms.map((name) => SECRET_BYTES_MIN[name] ?? 0));
    if (secret.length < least) {
      const why = `${this.algorithms.join(", ")} needs a secret of at least ${least} bytes`;
      throw new FileError([`${this.file}: ${secret.length} bytes: ${why}`]);
    }
    this.keys = [secret];
  }

  async find(): Promise<readonly TokenKey[]> {
    return this.keys;
  }
}

/** A public key (SPKI) or a certificate. It is imported once for each algorithm that it can be used with. */
export class PemKeys implements FileKeys {
  private readonly algorithms: readonly JwtAlgorithm[];
  private readonly file: string;
  private keys: ReadonlyMap<string, CryptoKey> = new Map();

  constructor(file: string, algorithms: readonly JwtAlgorithm[]) {
    this.file = file;
    this.algorithms = algorithms;
  }

  async load(text: string): Promise<void> {
    if (/PRIVATE KEY/.test(text))
      throw new FileError([`${this.file}: a private key; the broker needs the public one alone`]);
    let spki: string;
    try {
      spki = publicKeyOf(text).export({ type: "spki", format: "pem" }).toString();
    } catch {
      throw new FileError([`${this.file}: neither a public key nor a certificate in PEM`]);
    }
    const keys = new Map<string, CryptoKey>();
    for (const algorithm of this.algorithms) {
      const key = await importSPKI(spki, algorithm).catch(() => null);
      if (key !== null) keys.set(algorithm, key);
    }
    if (keys.size === 0)
      throw new FileError([`${this.file}: a key that none of ${this.algorithms.join(", ")} can use`]);
    this.keys = keys;
  }

  async find({ alg = "" }: JWSHeaderParameters): Promise<readonly TokenKey[]> {
    const key = this.keys.get(alg);
    return key === undefined ? [] : [key];
  }
}

function publicKeyOf(pem: string): KeyObject {
  return createPublicKey(pem);
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** A JWKS in a file. */
export class JwksFileKeys implements FileKeys {
  private readonly file: string;
  private set: KeySet | null = null;

  constructor(file: string) {
    this.file = file;
  }

  async load(text: string): Promise<void> {
    this.set = keySet(text, this.file);
  }

  async find(header: JWSHeaderParameters): Promise<readonly TokenKey[]> {
    return this.set === null ? [] : ((await keysOf(this.set, header)) ?? []);
  }
}

/**
 * A JWKS behind a URL, fetched when the first token comes. A token whose key is not in it leads to another fetch, so
 * that a rotated key works at once, but not more often than the cool-down allows: forged key names cost its owner
 * nothing. Concurrent tokens wait for one fetch.
 */
export class JwksUrlKeys implements JwtKeys {
  private readonly url: string;
  private readonly refreshMs: number;
  private readonly clock: Clock;
  private readonly failed: (reason: string) => void;
  private readonly authorities: () => string | undefined;
  private set: KeySet | null = null;
  private fetchedMs = Number.NEGATIVE_INFINITY;
  private triedMs = Number.NEGATIVE_INFINITY;
  private fetching: Promise<void> | null = null;

  constructor(
    url: string,
    refreshMs: number,
    clock: Clock,
    failed: (reason: string) => void,
    authorities: () => string | undefined = () => undefined,
  ) {
    this.authorities = authorities;
    this.url = url;
    this.refreshMs = refreshMs;
    this.clock = clock;
    this.failed = failed;
  }

  async find(header: JWSHeaderParameters): Promise<readonly TokenKey[]> {
    const age = this.clock.nowMs() - this.fetchedMs;
    if (this.set === null || age > this.refreshMs + JWKS_STALE_MS_MAX) await this.fetch();
    // The old set serves meanwhile.
    else if (age > this.refreshMs) void this.fetch();
    if (this.set === null || this.clock.nowMs() - this.fetchedMs > this.refreshMs + JWKS_STALE_MS_MAX)
      throw new Error(`${placeOf(this.url)}: no keys could be fetched`);
    const keys = await keysOf(this.set, header);
    if (keys !== null) return keys;
    await this.fetch();
    return (await keysOf(this.set, header)) ?? [];
  }

  /** Resolves when nothing more is to be had now, whether it worked or not. */
  private fetch(): Promise<void> {
    if (this.fetching !== null) return this.fetching;
    const now = this.clock.nowMs();
    if (now - this.triedMs < JWKS_COOLDOWN_MS) return Promise.resolve();
    this.triedMs = now;
    this.fetching = this.fetchNow().then(
      () => {
        this.fetching = null;
      },
      (error: unknown) => {
        this.fetching = null;
        this.failed(error instanceof Error ? error.message : "the keys of tokens could not be fetched");
      },
    );
    return this.fetching;
  }

  private async fetchNow(): Promise<void> {
    const { url } = this;
    const limits = { timeoutMs: FETCH_MS_MAX, bytesMax: JWKS_BYTES_MAX };
    const { status, text } = await fetchText({ url, ...limits, authorities: this.authorities() });
    if (status !== 200) throw new Error(`${placeOf(url)}: answered with status ${status}`);
    this.set = keySet(text, placeOf(url));
    this.fetchedMs = this.clock.nowMs();
  }
}

function keySet(text: string, where: string): KeySet {
  let jwks: unknown;
  try {
    jwks = JSON.parse(text);
  } catch {
    throw new FileError([`${where}: not JSON`]);
  }
  const { keys } = (jwks ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > JWKS_KEYS_MAX)
    throw new FileError([`${where}: not a JWKS with 1 to ${JWKS_KEYS_MAX} keys`]);
  try {
    return createLocalJWKSet(jwks as JSONWebKeySet);
  } catch {
    throw new FileError([`${where}: not a JWKS`]);
  }
}

/** Null when the set has no key for this header. */
async function keysOf(set: KeySet, header: JWSHeaderParameters): Promise<readonly TokenKey[] | null> {
  try {
    return [await set(header as Parameters<KeySet>[0])];
  } catch (error) {
    if (!(error instanceof joseErrors.JWKSMultipleMatchingKeys)) return null;
    const keys: CryptoKey[] = [];
    for await (const key of error) if (keys.push(key) === KEYS_TRIED_MAX) break;
    return keys;
  }
}
