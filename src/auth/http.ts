// HTTP: a server of the operator's decides. It is asked with a POST that carries user name, password and Client
// Identifier; what is no clear yes lets nobody in.

import type { Clock } from "../base/clock.ts";
import type { ConnectAttempt } from "../net/access.ts";
import type { HttpAuthSettings } from "../net/authSettings.ts";
import { errors } from "../packet/error.ts";
import { Authorities } from "./authorities.ts";
import { type Authenticator, denied, granted, notMine, type Outcome, shown, wrong } from "./authenticator.ts";
import { ExpiringMap } from "./expiringMap.ts";
import { type Answer, fetchText } from "./fetchText.ts";
import { BUSY, Gate } from "./gate.ts";
import type { Secret } from "./secret.ts";
import type { RefusalOf } from "./userList.ts";

/** Answers that are remembered, yes and no apart; the oldest goes. */
const ANSWERS_MAX = 16_384;
/** Logins that wait for a request; beyond it the server is busy. */
const WAITING_MAX = 512;
const ANSWER_BYTES_MAX = 64 * 1024;

const decoder = new TextDecoder("utf-8", { fatal: true });

export class HttpAuthenticator implements Authenticator {
  readonly name = "http";
  readonly authorities: Authorities;
  private readonly settings: HttpAuthSettings;
  private readonly secret: Secret;
  private readonly refusalOf: RefusalOf;
  private readonly gate: Gate;
  /** By a digest of what was asked. Apart, so that a flood of wrong passwords forgets no right one. */
  private readonly yes: ExpiringMap<true>;
  private readonly no: ExpiringMap<true>;

  constructor(settings: HttpAuthSettings, clock: Clock, secret: Secret, refusalOf: RefusalOf) {
    this.settings = settings;
    this.authorities = new Authorities(settings.authoritiesPath, "http");
    this.secret = secret;
    this.refusalOf = refusalOf;
    const { requestsMax, timeoutMs } = settings;
    this.gate = new Gate({ running: requestsMax, waiting: WAITING_MAX, waitMs: timeoutMs }, clock);
    this.yes = new ExpiringMap(ANSWERS_MAX, clock);
    this.no = new ExpiringMap(ANSWERS_MAX, clock);
  }

  judge(attempt: ConnectAttempt): Outcome | Promise<Outcome> {
    const { userName, password, clientIdentifier } = attempt;
    if (userName === undefined) return notMine("no User Name");
    const text = textOf(password);
    if (text === null) return wrong("a password that is not UTF-8");
    const key = this.secret.text(userName, text, clientIdentifier);
    if (this.yes.get(key) === true) return granted(userName);
    if (this.no.get(key) === true) return wrong(`no to user ${shown(userName)}, a moment ago`);
    return this.asked(attempt, userName, text, key);
  }

  /** After the configuration has changed, or the operator says so. */
  forget(): void {
    this.yes.clear();
    this.no.clear();
  }

  private async asked(
    attempt: ConnectAttempt,
    userName: string,
    password: string,
    key: string,
  ): Promise<Outcome> {
    const { yesMs, noMs } = this.settings;
    const outcome = await this.gate.run(async () => {
      const refused = this.refusalOf(attempt);
      if (refused !== null) return denied(errors.banned, refused.reason);
      return await this.ask(userName, password, attempt.clientIdentifier);
    });
    if (outcome === BUSY) return denied(errors.serverBusy, "too many logins wait for the HTTP server");
    if (outcome.outcome === "granted") this.yes.set(key, true, yesMs);
    else if (outcome.outcome === "denied" && outcome.isGuess) this.no.set(key, true, noMs);
    return outcome;
  }

  private async ask(userName: string, password: string, clientIdentifier: string): Promise<Outcome> {
    const { url, timeoutMs, request, clientIdField, answer } = this.settings;
    const fields = { username: userName, password, [clientIdField]: clientIdentifier };
    const isForm = request === "form";
    try {
      const got = await fetchText({
        url,
        timeoutMs,
        bytesMax: ANSWER_BYTES_MAX,
        authorities: this.authorities.pem,
        body: isForm ? new URLSearchParams(fields).toString() : JSON.stringify(fields),
        contentType: isForm ? "application/x-www-form-urlencoded" : "application/json",
      });
      return judged(got, answer, userName);
    } catch (error) {
      const reason = error instanceof Error ? error.message : "the request failed";
      return denied(errors.serverUnavailable, reason);
    }
  }
}

/** 2xx is a yes unless the body says otherwise; 4xx a no; the rest is the server's trouble. */
function judged({ status, text }: Answer, answer: HttpAuthSettings["answer"], userName: string): Outcome {
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    return wrong(`status ${status} for user ${shown(userName)}`);
  if (status < 200 || status > 299) return denied(errors.serverUnavailable, `answered with status ${status}`);
  if (answer === "status") return granted(userName);
  const says = answer === "text" ? textAnswer(text) : jsonAnswer(text);
  if (says === null) return denied(errors.serverUnavailable, `an answer that is no ${answer}`);
  return says ? granted(userName) : wrong(`no to user ${shown(userName)}`);
}

/** `ok` is the one yes; whatever else is said is a no. */
function textAnswer(text: string): boolean {
  return text.trim() === "ok";
}

/** `true`, or an object whose field `ok`, in small or capital letters, is true; null for what is neither. */
function jsonAnswer(text: string): boolean | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value === "boolean") return value;
  if (typeof value !== "object" || value === null) return null;
  const field = Object.entries(value).find(([name]) => name.toLowerCase() === "ok");
  return typeof field?.[1] === "boolean" ? field[1] : null;
}

function textOf(password: Uint8Array | undefined): string | null {
  if (password === undefined) return "";
  try {
    return decoder.decode(password);
  } catch {
    return null;
  }
}
