// FakeAccess: an Access whose verdict hangs on the user name, so that one broker serves a table of them, and whose
// exchanges hang on the method. Whatever is to come later comes when the test says so, or in a turn of its own.

import type { Access, ConnectAttempt, Denial, Exchange, Grant, Step, Verdict } from "../../src/net/access.ts";
import { errors } from "../../src/packet/error.ts";
import type { Rights } from "../../src/session/rights.ts";

/** The words that begin user names; a name may go on behind a dot, and is then a user of its own. */
export type Way =
  | "now"
  | "later"
  | "held"
  | "denied"
  | "denied-later"
  | "throws"
  | "rejects"
  | "never"
  | "garbage";

export function grantTo(userName: string, more: Partial<Grant> = {}): Grant {
  return {
    granted: true,
    userName,
    tenant: null,
    claims: {},
    rights: null,
    expiresWallMs: Number.POSITIVE_INFINITY,
    ...more,
  };
}

export const DENIAL: Denial = {
  granted: false,
  error: errors.badUserNameOrPassword,
  reason: "the fake does not like the name",
};

/** Publishing and subscribing under `prefix` alone. */
export function rightsUnder(prefix: string): Rights {
  const isUnder = (topic: string): boolean => topic.startsWith(prefix);
  return { mayPublish: isUnder, maySubscribe: isUnder, mayReceive: isUnder, receiveRule: () => null };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const text = (data: Uint8Array): string => Buffer.from(data).toString();

export class FakeAccess implements Access {
  /** Everything that was asked, oldest first. */
  readonly attempts: ConnectAttempt[] = [];
  /** What each user has; by user name. */
  readonly grants = new Map<string, Partial<Grant>>();
  /** Users that are not known any more. */
  readonly gone = new Set<string>();
  private readonly held = new Map<string, PromiseWithResolvers<Verdict>>();
  private wake: (() => void) | null = null;

  judge(attempt: ConnectAttempt): Verdict | Promise<Verdict> {
    this.attempts.push(attempt);
    this.wake?.();
    const userName = attempt.userName ?? "";
    const grant = this.grantOf(userName);
    switch (userName.split(".")[0] as Way) {
      case "later":
        return turn().then(() => grant);
      case "held":
        return this.promiseFor(attempt.clientIdentifier).promise;
      case "denied":
        return DENIAL;
      case "denied-later":
        return turn().then(() => DENIAL);
      case "throws":
        throw new Error("the fake throws");
      case "rejects":
        return turn().then(() => Promise.reject(new Error("the fake rejects")));
      case "never":
        return new Promise(() => {});
      case "garbage":
        return { granted: "perhaps" } as unknown as Verdict;
      default:
        return grant;
    }
  }

  private grantOf(userName: string): Grant {
    return grantTo(userName, this.grants.get(userName));
  }

  private promiseFor(clientIdentifier: string): PromiseWithResolvers<Verdict> {
    const promise = this.held.get(clientIdentifier) ?? Promise.withResolvers<Verdict>();
    this.held.set(clientIdentifier, promise);
    return promise;
  }

  /** Waits until a CONNECT with this Client Identifier is being judged. */
  async asked(clientIdentifier: string): Promise<void> {
    while (!this.attempts.some((attempt) => attempt.clientIdentifier === clientIdentifier)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** The verdict on the "held" user with this Client Identifier. */
  settle(clientIdentifier: string, verdict: Verdict): void {
    this.promiseFor(clientIdentifier).resolve(verdict);
    this.held.delete(clientIdentifier);
  }

  revise(grant: Grant): Verdict {
    if (grant.userName.startsWith("throws-when-revised")) throw new Error("the fake throws");
    if (this.gone.has(grant.userName)) return { ...DENIAL, reason: "the user is gone" };
    return this.grantOf(grant.userName);
  }

  /**
   * "STEPS": the client says who it is, then "go on" as often as it likes, then "done"; "STEPS-LATER" the same with
   * answers that come later; "ONCE" needs no AUTH from the client. A client that says "wrong" is denied.
   */
  exchange(method: string, attempt: ConnectAttempt): Exchange | null {
    this.attempts.push(attempt);
    if (method === "BREAKS") throw new Error("the fake has no such exchange");
    if (method === "ONCE")
      return { next: (data) => ({ ...this.grantOf(text(data)), data: Buffer.from("bye") }) };
    if (method === "STEPS") return this.steps();
    if (method !== "STEPS-LATER") return null;
    const exchange = this.steps();
    return { next: (data) => turn().then(() => exchange.next(data)) };
  }

  private steps(): Exchange {
    let userName: string | null = null;
    return {
      next: (data): Step => {
        const said = text(data);
        if (said === "wrong") return DENIAL;
        if (said === "break") throw new Error("the fake throws");
        if (said === "done") return { ...this.grantOf(userName ?? ""), data: Buffer.from("welcome") };
        userName ??= said;
        return { granted: "continue", data: Buffer.from(`more than ${said}`) };
      },
    };
  }
}
