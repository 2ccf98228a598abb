// Embedded: a function of the program that the broker is part of decides.

import type { ConnectAttempt, Verdict } from "../net/access.ts";
import type { Authenticator, Outcome } from "./authenticator.ts";
import { notMine } from "./authenticator.ts";
import { errors } from "../packet/error.ts";

/** Null: the next authenticator is asked. What it throws or rejects with lets nobody in. */
export type Authenticate = (attempt: ConnectAttempt) => Verdict | null | Promise<Verdict | null>;

export class EmbeddedAuthenticator implements Authenticator {
  readonly name = "function";
  private readonly authenticate: Authenticate;

  constructor(authenticate: Authenticate) {
    this.authenticate = authenticate;
  }

  judge(attempt: ConnectAttempt): Outcome | Promise<Outcome> {
    const verdict = this.authenticate(attempt);
    return verdict instanceof Promise ? verdict.then(outcomeOf) : outcomeOf(verdict);
  }
}

/** A wrong user name or password counts as a failed attempt, other refusals do not. */
function outcomeOf(verdict: Verdict | null): Outcome {
  if (verdict === null) return notMine("it does not know the client");
  if (!verdict.granted) {
    const { error, reason } = verdict;
    return { outcome: "denied", error, reason, isGuess: error === errors.badUserNameOrPassword };
  }
  const { userName, tenant, claims, rights, expiresWallMs } = verdict;
  return { outcome: "granted", identity: { userName, tenant, claims, rights, expiresWallMs } };
}
