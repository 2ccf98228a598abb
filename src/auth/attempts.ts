// Attempts: limits of failed logins, per address and per user.
//
// Every address and every user name has a bucket of tokens. A wrong secret takes one from both; a token comes back
// every `refillMs`. An address whose bucket is empty is banned for `banMs`; a user whose bucket is empty is guarded
// until a token is back. What neither may do is lock a good user out because of somebody else's guesses, so a pair of
// user and address that has logged in before is trusted:
//
//                        user has tokens      user is guarded
//   address is free      asked                asked if the pair is trusted
//   address is banned    asked if trusted     refused
//
// So guesses at alice from all over the world do not keep alice out where she usually is, nor does a stranger behind
// her own NAT; and nobody gets more guesses at her than the two buckets hold. At a new address she has to wait
// while the guessing lasts; that is said in the log.
//
// Every table is bounded. When one is full, the least guilty of its eldest goes: who would flush the table has to be
// guilty from that many addresses, and those are forgotten before the guiltier.

import type { Clock } from "../base/clock.ts";
import type { ConnectAttempt } from "../net/access.ts";
import type { AttemptLimits } from "../net/authSettings.ts";

/** Addresses, users and trusted pairs that are remembered, each. */
export const TABLE_ENTRIES_MAX = 16_384;
/** Of so many of the eldest the least guilty is forgotten. */
const EVICTION_SAMPLE = 8;
/** How often the log is told of one user that is guarded. */
const WARNING_MS = 60_000;
/** Longer user names are remembered by their beginning and length. */
const NAME_CHARACTERS_MAX = 64;

interface Bucket {
  /** Failures that are not yet forgiven; a fraction between two refills. */
  failures: number;
  sinceMs: number;
  bannedUntilMs: number;
  nextWarningMs: number;
}

export interface AttemptCounts {
  /** Wrong secrets. */
  failed: number;
  /** Attempts that were refused without being looked at. */
  refused: number;
  /** Times that an address was banned. */
  bans: number;
}

export interface Refused {
  readonly banned: "address" | "user";
  readonly reason: string;
}

export interface AttemptsListener {
  /** `by` is the attempt that was one too many, where it is known. */
  addressBanned(address: string, failures: number, seconds: number, by: ConnectAttempt | null): void;
  userGuarded(userName: string, failures: number, by: ConnectAttempt | null): void;
}

export class Attempts {
  readonly limits: AttemptLimits;
  readonly counts: AttemptCounts = { failed: 0, refused: 0, bans: 0 };
  private readonly clock: Clock;
  private readonly listener: AttemptsListener;
  private readonly exempt: ReadonlySet<string>;
  private readonly addresses: Table;
  private readonly users: Table;
  /** User and address that have logged in; the eldest first. */
  private readonly trusted = new Set<string>();

  constructor(limits: AttemptLimits, clock: Clock, listener: AttemptsListener) {
    this.limits = limits;
    this.clock = clock;
    this.listener = listener;
    this.exempt = new Set(limits.exempt.map(addressKey));
    this.addresses = new Table(limits.failuresPerAddress, limits.refillMs);
    this.users = new Table(limits.failuresPerUser, limits.refillMs);
  }

  get bannedAddresses(): number {
    return this.addresses.countBanned(this.clock.nowMs());
  }

  /** Why an attempt is not even looked at; null when it is. Ask before any work is done for it. */
  refusal(address: string, userName: string | undefined): Refused | null {
    const now = this.clock.nowMs();
    const from = addressKey(address);
    const isBanned = this.addresses.isBanned(from, now);
    const isGuarded = userName !== undefined && this.users.isEmpty(nameKey(userName), now);
    if (!isBanned && !isGuarded) return null;
    if (!(isBanned && isGuarded) && this.isTrusted(from, userName)) return null;
    this.counts.refused++;
    if (!isBanned) return { banned: "user", reason: "too many failed attempts for this user name" };
    const seconds = Math.ceil((this.addresses.bannedUntil(from) - now) / 1000);
    return {
      banned: "address",
      reason: `the address is banned for ${seconds} s more: too many failed attempts`,
    };
  }

  /** A secret was wrong. */
  failed(address: string, userName: string | undefined, by: ConnectAttempt | null = null): void {
    const now = this.clock.nowMs();
    const from = addressKey(address);
    this.counts.failed++;
    if (!this.exempt.has(from) && this.addresses.take(from, now)) {
      const bucket = this.addresses.get(from)!;
      if (bucket.bannedUntilMs <= now) {
        bucket.bannedUntilMs = now + this.limits.banMs;
        this.counts.bans++;
        this.listener.addressBanned(
          address,
          Math.round(bucket.failures),
          Math.ceil(this.limits.banMs / 1000),
          by,
        );
      }
    }
    if (userName === undefined) return;
    const name = nameKey(userName);
    if (!this.users.take(name, now)) return;
    const bucket = this.users.get(name)!;
    if (bucket.nextWarningMs > now) return;
    bucket.nextWarningMs = now + WARNING_MS;
    this.listener.userGuarded(userName, Math.round(bucket.failures), by);
  }

  /** A secret was right: from here this user is trusted. What others did is not forgiven. */
  succeeded(address: string, userName: string): void {
    if (userName === "") return;
    const pair = pairKey(addressKey(address), userName);
    this.trusted.delete(pair);
    if (this.trusted.size >= TABLE_ENTRIES_MAX) {
      for (const eldest of this.trusted) {
        this.trusted.delete(eldest);
        break;
      }
    }
    this.trusted.add(pair);
  }

  private isTrusted(from: string, userName: string | undefined): boolean {
    return userName !== undefined && this.trusted.has(pairKey(from, userName));
  }
}

/** Buckets by key, the longest untouched first. */
class Table {
  private readonly tokensMax: number;
  private readonly refillMs: number;
  private readonly buckets = new Map<string, Bucket>();

  constructor(tokensMax: number, refillMs: number) {
    this.tokensMax = tokensMax;
    this.refillMs = refillMs;
  }

  get(key: string): Bucket | undefined {
    return this.buckets.get(key);
  }

  isBanned(key: string, now: number): boolean {
    return this.bannedUntil(key) > now;
  }

  bannedUntil(key: string): number {
    return this.buckets.get(key)?.bannedUntilMs ?? 0;
  }

  isEmpty(key: string, now: number): boolean {
    const bucket = this.buckets.get(key);
    if (bucket === undefined || this.tokensMax === 0) return false;
    this.forgive(bucket, now);
    return bucket.failures > this.tokensMax - 1;
  }

  /** Takes a token; true when none is left. */
  take(key: string, now: number): boolean {
    if (this.tokensMax === 0) return false;
    const bucket = this.buckets.get(key) ?? this.added(now);
    this.buckets.delete(key);
    this.buckets.set(key, bucket);
    this.forgive(bucket, now);
    bucket.failures = Math.min(bucket.failures + 1, this.tokensMax);
    return bucket.failures > this.tokensMax - 1;
  }

  countBanned(now: number): number {
    let count = 0;
    for (const bucket of this.buckets.values()) if (bucket.bannedUntilMs > now) count++;
    return count;
  }

  private added(now: number): Bucket {
    if (this.buckets.size >= TABLE_ENTRIES_MAX) this.evict(now);
    return { failures: 0, sinceMs: now, bannedUntilMs: 0, nextWarningMs: 0 };
  }

  private forgive(bucket: Bucket, now: number): void {
    bucket.failures = Math.max(0, bucket.failures - (now - bucket.sinceMs) / this.refillMs);
    bucket.sinceMs = now;
  }

  private evict(now: number): void {
    let best: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    let seen = 0;
    for (const [key, bucket] of this.buckets) {
      this.forgive(bucket, now);
      const guilt = bucket.failures + (bucket.bannedUntilMs > now ? this.tokensMax : 0);
      if (guilt < least) {
        least = guilt;
        best = key;
      }
      if (++seen === EVICTION_SAMPLE) break;
    }
    if (best !== undefined) this.buckets.delete(best);
  }
}

function nameKey(userName: string): string {
  if (userName.length <= NAME_CHARACTERS_MAX) return userName;
  return `${userName.slice(0, NAME_CHARACTERS_MAX)}…${userName.length}`;
}

function pairKey(address: string, userName: string): string {
  return `${address} ${nameKey(userName)}`;
}

/** Who has an IPv6 address has 2^64 of them: their first half counts. IPv4 may come written as IPv6. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").toLowerCase().split("::");
  const front = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const back = tail === "" ? [] : tail.split(":");
    while (front.length + back.length < 8) front.push("0");
    front.push(...back);
  }
  return `${front
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
