// Passwords: the check of a password against a hash, for every authenticator that keeps hashes. One gate bounds the
// work, and what was right a short while ago is not hashed again, so that a whole fleet may reconnect.

import { availableParallelism } from "node:os";
import type { Clock } from "../base/clock.ts";
import type { Refused } from "./attempts.ts";
import { ExpiringMap } from "./expiringMap.ts";
import { type Busy, Gate } from "./gate.ts";
import { isCheap, matches, matchesCheap, type PasswordHash } from "./passwordHash.ts";
import type { Secret } from "./secret.ts";

/** Hashes at one time: one core is left to messages. */
export const HASHES_RUNNING_MAX = Math.max(1, Math.min(4, availableParallelism() - 1));
/** Logins in line for a hash; beyond it the server is busy. */
export const HASHES_WAITING_MAX = 256;
/** Who has waited longer is told that the server is busy, ms; its client has given up or soon will. */
export const HASH_WAIT_MS_MAX = 4_000;
/** Right passwords that are remembered; the oldest goes. */
export const VERIFIED_MAX = 16_384;

export type Checked = boolean | Busy | Refused;

export class Passwords {
  readonly gate: Gate;
  /** Hashes that were computed, for metrics. */
  hashed = 0;
  /** Right passwords that needed no hash. */
  remembered = 0;
  private readonly secret: Secret;
  private readonly verifiedForMs: number;
  /**
   * Right passwords, as digests of user, hash and password under a secret of the process. A wrong one is never kept; a
   * changed hash is another entry.
   */
  private readonly verified: ExpiringMap<true>;

  constructor(clock: Clock, secret: Secret, verifiedForMs: number) {
    this.secret = secret;
    this.verifiedForMs = verifiedForMs;
    this.verified = new ExpiringMap(VERIFIED_MAX, clock);
    const limits = { running: HASHES_RUNNING_MAX, waiting: HASHES_WAITING_MAX, waitMs: HASH_WAIT_MS_MAX };
    this.gate = new Gate(limits, clock);
  }

  /**
   * Whether `password` is `user`'s, of whom `hash` is kept. `refusal` is asked when its turn comes: what it answers is
   * the result then, without the work.
   */
  check(
    user: string,
    hash: PasswordHash,
    password: Uint8Array,
    refusal: () => Refused | null,
  ): boolean | Promise<Checked> {
    if (isCheap(hash)) return matchesCheap(hash, password);
    const key = this.secret.text(user, identityOf(hash), password);
    if (this.isRemembered(key)) return true;
    return this.hashing(hash, password, key, refusal);
  }

  /** The same work for an answer that is no all the same. */
  async spend(hash: PasswordHash, password: Uint8Array, refusal: () => Refused | null): Promise<void> {
    if (!isCheap(hash)) await this.hashing(hash, password, null, refusal);
  }

  /** After users have changed. */
  forget(): void {
    this.verified.clear();
  }

  private async hashing(
    hash: PasswordHash,
    password: Uint8Array,
    key: string | null,
    refusal: () => Refused | null,
  ): Promise<Checked> {
    return await this.gate.run(async () => {
      const refused = refusal();
      if (refused !== null) return refused;
      // A fleet has one password: who was before it in line has shown that it is right.
      if (key !== null && this.isRemembered(key)) return true;
      this.hashed++;
      const isRight = await matches(hash, password);
      if (isRight && key !== null) this.verified.set(key, true, this.verifiedForMs);
      return isRight;
    });
  }

  private isRemembered(key: string): boolean {
    if (this.verified.get(key) !== true) return false;
    this.remembered++;
    return true;
  }
}

/** What tells a hash from every other. */
function identityOf(hash: PasswordHash): string | Uint8Array {
  switch (hash.kind) {
    case "bun":
      return hash.text;
    case "scram":
      return hash.credential.storedKey;
    case "plain":
      return hash.digest;
    case "sha512":
    case "pbkdf2":
      return hash.hash;
  }
}
