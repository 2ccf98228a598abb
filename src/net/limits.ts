// Limits of one client and of one user, as the listener sets them. None of them costs a message anything: identifiers
// are looked at once, depths are part of the rights that routes are made with, rates are taken per chunk (rate.ts).

import type { ReceiveRule, Rights } from "../session/rights.ts";

/** How a Client Identifier hangs together with the user name: not at all, equal, or beginning with it. */
export type IdentifierBinding = "none" | "equal" | "prefix";

/** Infinity sets no limit. */
export interface ClientLimits {
  /** Connections of one user name at one time, over all listeners; anonymous clients are not counted. */
  readonly connectionsPerUser: number;
  readonly subscriptions: number;
  /** Levels of a Topic Name or Topic Filter, 1.. */
  readonly topicLevels: number;
  /** PUBLISH packets per second from one client. */
  readonly messagesPerSecond: number;
  /** Bytes per second from one client, of whatever packets. */
  readonly bytesPerSecond: number;
  /** Pause after each read of what a client has sent, ms; 0 is none. */
  readonly readPauseMs: number;
  /** Retained messages that one client may have stored. */
  readonly retainedMessages: number;
  /** Bytes of UTF-8. */
  readonly identifierBytes: number;
  /** What a Client Identifier must match; null: anything. */
  readonly identifierPattern: RegExp | null;
  readonly identifierBinding: IdentifierBinding;
}

export const NO_LIMITS: ClientLimits = Object.freeze({
  connectionsPerUser: Number.POSITIVE_INFINITY,
  subscriptions: Number.POSITIVE_INFINITY,
  topicLevels: Number.POSITIVE_INFINITY,
  messagesPerSecond: Number.POSITIVE_INFINITY,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  readPauseMs: 0,
  retainedMessages: Number.POSITIVE_INFINITY,
  identifierBytes: Number.POSITIVE_INFINITY,
  identifierPattern: null,
  identifierBinding: "none",
});

/** The Client Identifier that a client chose is as long as it may be and has only characters that it may have. */
export function isIdentifierAllowed(identifier: string, limits: ClientLimits): boolean {
  const { identifierBytes, identifierPattern } = limits;
  // No character takes less than a byte.
  if (identifier.length > identifierBytes || Buffer.byteLength(identifier) > identifierBytes) return false;
  return identifierPattern === null || identifierPattern.test(identifier);
}

/** What may stand between the user name and the rest of an identifier that begins with it. */
const SEPARATOR = /^[-_.:/@]/;

/** The Client Identifier that a client chose is one for its user. Without a user name none is, where it matters. */
export function isIdentifierOf(userName: string, identifier: string, binding: IdentifierBinding): boolean {
  if (binding === "none") return true;
  if (userName === "") return false;
  if (identifier === userName) return true;
  return (
    binding === "prefix" &&
    identifier.startsWith(userName) &&
    SEPARATOR.test(identifier.slice(userName.length))
  );
}

/** The rights with a limit on depth; the same object for the same rights, so that routes can be shared. */
export function limitDepth(rights: Rights | null, levelsMax: number): Rights | null {
  if (levelsMax === Number.POSITIVE_INFINITY) return rights;
  let byRights = depthLimited.get(levelsMax);
  if (byRights === undefined) {
    byRights = new WeakMap();
    depthLimited.set(levelsMax, byRights);
  }
  const key = rights ?? EVERYTHING;
  let limited = byRights.get(key);
  if (limited === undefined) {
    limited = new DepthLimit(key, levelsMax);
    byRights.set(key, limited);
  }
  return limited;
}

/** By levels: as many as listeners have different limits. */
const depthLimited = new Map<number, WeakMap<Rights, Rights>>();

const EVERYTHING: Rights = Object.freeze({
  mayPublish: () => true,
  maySubscribe: () => true,
  mayReceive: () => true,
  receiveRule: () => null,
});

class DepthLimit implements Rights {
  private readonly rights: Rights;
  private readonly levelsMax: number;

  constructor(rights: Rights, levelsMax: number) {
    this.rights = rights;
    this.levelsMax = levelsMax;
  }

  mayPublish(topicName: string): boolean {
    return isWithin(topicName, this.levelsMax) && this.rights.mayPublish(topicName);
  }

  maySubscribe(filter: string): boolean {
    return isWithin(filter, this.levelsMax) && this.rights.maySubscribe(filter);
  }

  /** Messages of whatever depth come to a filter that is not too deep itself. */
  mayReceive(topicName: string): boolean {
    return this.rights.mayReceive(topicName);
  }

  receiveRule(filter: string): ReceiveRule | null {
    return this.rights.receiveRule(filter);
  }
}

function isWithin(topic: string, levelsMax: number): boolean {
  let levels = 1;
  for (let i = topic.indexOf("/"); i >= 0 && levels <= levelsMax; i = topic.indexOf("/", i + 1)) levels++;
  return levels <= levelsMax;
}

/** How often each name is in use. Names that are not take no room. */
export class Tally {
  private readonly counts = new Map<string, number>();

  of(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  add(name: string): void {
    this.counts.set(name, this.of(name) + 1);
  }

  remove(name: string): void {
    const count = this.of(name) - 1;
    if (count > 0) this.counts.set(name, count);
    else this.counts.delete(name);
  }
}
