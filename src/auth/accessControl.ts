// AccessControl: judges every client that connects. The limits of failed attempts come first, then the authenticators
// of the listener in their order; the first one that knows the client decides. Whoever nobody knows stays outside, but
// for anonymous clients where the listener lets them in.

import { assert } from "../base/assert.ts";
import { type Logger, mayWant, subjectFields } from "../base/logger.ts";
import type { Access, ConnectAttempt, Denial, Exchange, Grant, Step, Verdict } from "../net/access.ts";
import { errors } from "../packet/error.ts";
import type { Rights } from "../session/rights.ts";
import type { Attempts } from "./attempts.ts";
import {
  type Authenticator,
  type Denied,
  denied,
  type ExchangeAuthenticator,
  type Identity,
  NOBODY,
  type NotMine,
  type Outcome,
  type ServerExchange,
  type StepOutcome,
  shown,
  wrong,
} from "./authenticator.ts";
import { tenantOf } from "./certificate.ts";

/** What a listener asks of its clients. */
export interface ListenerAccess {
  readonly chain: readonly Authenticator[];
  /** Clients that nobody knows are let in as nobody if they claim nothing, or if no password is looked at. */
  readonly allowAnonymous: boolean;
  /** The certificate's O is the tenant, and who has none stays outside. */
  readonly tenantFromOrganization: boolean;
}

/** What a client may do, once it is known who it is. Null: everything. */
export type RightsOf = (identity: Identity, attempt: ConnectAttempt) => Rights | null;

export interface AccessCounts {
  granted: number;
  denied: number;
}

/** How a grant came about. */
interface Origin {
  /** Null for an anonymous client. */
  readonly by: Authenticator | null;
  readonly identity: Identity;
}

/** Of every grant; a later access control knows those of an earlier one. */
const origins = new WeakMap<Grant, Origin>();

export class AccessControl implements Access {
  readonly attempts: Attempts;
  readonly counts: AccessCounts = { granted: 0, denied: 0 };
  private readonly listeners: ReadonlyMap<string, ListenerAccess>;
  private readonly rightsOf: RightsOf;
  private readonly logger: Logger;

  constructor(
    listeners: ReadonlyMap<string, ListenerAccess>,
    attempts: Attempts,
    rightsOf: RightsOf,
    logger: Logger,
  ) {
    this.listeners = listeners;
    this.attempts = attempts;
    this.rightsOf = rightsOf;
    this.logger = logger;
  }

  judge(attempt: ConnectAttempt): Verdict | Promise<Verdict> {
    const listener = this.listenerOf(attempt);
    const refused = this.attempts.refusal(attempt.remoteAddress, attempt.userName);
    if (refused !== null) return this.denial(denied(errors.banned, refused.reason));
    return this.ask(attempt, listener, 0, []);
  }

  exchange(method: string, attempt: ConnectAttempt): Exchange | null {
    for (const authenticator of this.listenerOf(attempt).chain) {
      const exchange = isExchanging(authenticator) ? authenticator.begin(method, attempt) : null;
      if (exchange !== null) return { next: (data) => this.step(data, exchange, authenticator, attempt) };
    }
    return null;
  }

  revise(grant: Grant, attempt: ConnectAttempt): Verdict {
    const { by, identity } = origins.get(grant) ?? { by: null, identity: { ...grant, rights: null } };
    const listener = this.listeners.get(attempt.listener);
    if (listener === undefined) {
      // The listener is gone, its clients are not: who they are stands, what they may do is for the rules to say.
      const kept: Grant = {
        ...grant,
        rights: identity.rights ?? this.rightsOf({ ...identity, tenant: grant.tenant }, attempt),
      };
      origins.set(kept, { by, identity });
      return kept;
    }
    const { chain, allowAnonymous } = listener;
    // The configuration may have been read anew: whoever bears the name has taken its place.
    const present = by === null ? null : chain.find(({ name }) => name === by.name);
    if (present === undefined || (present === null && !allowAnonymous))
      return this.denial(denied(errors.notAuthorized, "the listener does not let this client in any more"));
    if (present?.knows?.(identity.userName, attempt) === false)
      return this.denial(
        denied(errors.notAuthorized, `${present.name}: no user ${shown(identity.userName)} any more`),
      );
    return this.grantOf(identity, present, attempt);
  }

  private listenerOf({ listener }: ConnectAttempt): ListenerAccess {
    const access = this.listeners.get(listener);
    assert(access !== undefined, `listener ${listener} has been told to the access control`);
    return access;
  }

  /** Asks chain[from..]. `passed` are those that did not know the client. */
  private ask(
    attempt: ConnectAttempt,
    listener: ListenerAccess,
    from: number,
    passed: readonly Passed[],
  ): Verdict | Promise<Verdict> {
    const authenticator = listener.chain[from];
    if (authenticator === undefined) return this.unknown(attempt, listener, passed);
    const outcome = judgement(authenticator, attempt);
    const take = (said: Outcome): Verdict | Promise<Verdict> => {
      if (said.outcome === "not mine")
        return this.ask(attempt, listener, from + 1, [...passed, { authenticator, said }]);
      if (said.outcome === "granted") return this.granted(said.identity, authenticator, attempt);
      return this.refused(prefixed(said, authenticator), attempt, attempt.userName, passed);
    };
    return outcome instanceof Promise ? outcome.then(take) : take(outcome);
  }

  /** Nobody knows the client. */
  private unknown(
    attempt: ConnectAttempt,
    { allowAnonymous, chain }: ListenerAccess,
    passed: readonly Passed[],
  ): Verdict | Promise<Verdict> {
    const { userName, password } = attempt;
    const isAnonymous = userName === undefined && password === undefined;
    // Where no password is looked at, what a client claims to be makes no difference: it is nobody.
    const asksPasswords = chain.some(({ takesNoPassword }) => takesNoPassword !== true);
    if (allowAnonymous && (isAnonymous || !asksPasswords)) return this.granted(NOBODY, null, attempt);
    const said = passed.map(({ authenticator, said: { reason } }) => `${authenticator.name}: ${reason}`);
    if (isAnonymous) {
      const reason = ["anonymous clients are not let in", ...said].join("; ");
      return this.denial(denied(errors.notAuthorized, reason));
    }
    const reason = said.length === 0 ? "nobody can log in at this listener" : said.join("; ");
    return this.refused(wrong(reason), attempt, userName, passed);
  }

  /** The answer comes when everybody who was asked has spent the time that a known user costs. */
  private refused(
    no: Denied,
    attempt: ConnectAttempt,
    userName: string | undefined,
    passed: readonly Passed[],
  ): Verdict | Promise<Verdict> {
    if (no.isGuess) this.attempts.failed(attempt.remoteAddress, userName, attempt);
    const work = passed.flatMap(({ said }) => (said.spend === undefined || !no.isGuess ? [] : [said.spend]));
    if (work.length === 0) return this.denial(no);
    return Promise.allSettled(work.map((spend) => spend())).then(() => this.denial(no));
  }

  private granted(identity: Identity, by: Authenticator | null, attempt: ConnectAttempt): Verdict {
    const verdict = this.grantOf(identity, by, attempt);
    if (!verdict.granted) return verdict;
    this.counts.granted++;
    if (by !== null) this.attempts.succeeded(attempt.remoteAddress, attempt.userName ?? identity.userName);
    if (mayWant(this.logger, "debug")) {
      const fields = subjectFields({ ...attempt, userName: identity.userName, tenant: verdict.tenant });
      const who =
        by === null ? "let in as anonymous" : `let in as user ${shown(identity.userName)} by ${by.name}`;
      this.logger.debug({ ...fields, authenticator: by?.name ?? null }, who);
    }
    return verdict;
  }

  private grantOf(identity: Identity, by: Authenticator | null, attempt: ConnectAttempt): Verdict {
    let { tenant } = identity;
    if (this.listenerOf(attempt).tenantFromOrganization) {
      tenant = tenantOf(attempt.certificate?.organization ?? "");
      if (tenant === null)
        return this.denial(denied(errors.notAuthorized, "the certificate's O names no tenant"));
    }
    const known: Identity = { ...identity, tenant };
    const rights = identity.rights ?? this.rightsOf(known, attempt);
    const { userName, claims, expiresWallMs } = identity;
    const grant: Grant = { granted: true, userName, tenant, claims, rights, expiresWallMs };
    origins.set(grant, { by, identity });
    return grant;
  }

  private denial({ error, reason }: Denied): Denial {
    this.counts.denied++;
    return { granted: false, error, reason };
  }

  private step(
    data: Uint8Array,
    exchange: ServerExchange,
    by: Authenticator,
    attempt: ConnectAttempt,
  ): Step | Promise<Step> {
    const take = (said: StepOutcome): Step => {
      const { userName } = exchange;
      const refused = this.attempts.refusal(attempt.remoteAddress, userName);
      if (refused !== null) return this.denial(denied(errors.banned, refused.reason));
      if (said.outcome === "continue") return { granted: "continue", data: said.data };
      if (said.outcome === "denied") {
        if (said.isGuess) this.attempts.failed(attempt.remoteAddress, userName, { ...attempt, userName });
        return this.denial(prefixed(said, by));
      }
      const verdict = this.granted(said.identity, by, { ...attempt, userName });
      // The same object: it is known by its origin.
      return said.data === undefined ? verdict : Object.assign(verdict, { data: said.data });
    };
    const said = exchange.next(data);
    return said instanceof Promise ? said.then(take) : take(said);
  }
}

/** An authenticator that did not know the client. */
interface Passed {
  readonly authenticator: Authenticator;
  readonly said: NotMine;
}

/** An authenticator that throws or rejects lets nobody in, and that is told as its own trouble. */
function judgement(authenticator: Authenticator, attempt: ConnectAttempt): Outcome | Promise<Outcome> {
  try {
    const outcome = authenticator.judge(attempt);
    return outcome instanceof Promise ? outcome.catch(failure) : outcome;
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): Denied {
  const text =
    error instanceof Error ? `${error.name}: ${error.message}` : "something that is no Error was thrown";
  return denied(errors.serverUnavailable, `failed with ${shown(text)}`);
}

function prefixed(no: Denied, { name }: Authenticator): Denied {
  return { ...no, reason: `${name}: ${no.reason}` };
}

function isExchanging(authenticator: Authenticator): authenticator is ExchangeAuthenticator {
  return "begin" in authenticator;
}
