// JWT: a token in the place of the password. Its signature says who issued it, its claims whose it is, `exp` how long
// the client may stay.

import { decodeProtectedHeader, errors as joseErrors, type JWTPayload, jwtVerify } from "jose";
import type { Clock } from "../base/clock.ts";
import type { ConnectAttempt } from "../net/access.ts";
import type { JwtSettings } from "../net/authSettings.ts";
import { errors } from "../packet/error.ts";
import {
  type Authenticator,
  denied,
  type Granted,
  granted,
  notMine,
  type Denied,
  type Outcome,
  shown,
  wrong,
} from "./authenticator.ts";
import { BUSY, Gate } from "./gate.ts";
import type { JwtKeys } from "./jwtKeys.ts";

const TOKEN_BYTES_MAX = 16 * 1024;
/** Tokens that are verified at one time, and that wait for it. */
const RUNNING_MAX = 8;
const WAITING_MAX = 1_024;
const WAIT_MS_MAX = 4_000;
const CLAIM_CHARACTERS_MAX = 256;
/** Three parts of base64url, the first of which begins with `{"`. */
const TOKEN = /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/;

export class JwtAuthenticator implements Authenticator {
  readonly name = "jwt";
  private readonly settings: JwtSettings;
  private readonly keys: JwtKeys;
  private readonly clock: Clock;
  private readonly gate: Gate;

  constructor(settings: JwtSettings, keys: JwtKeys, clock: Clock) {
    this.settings = settings;
    this.keys = keys;
    this.clock = clock;
    this.gate = new Gate({ running: RUNNING_MAX, waiting: WAITING_MAX, waitMs: WAIT_MS_MAX }, clock);
  }

  judge(attempt: ConnectAttempt): Outcome | Promise<Outcome> {
    const { password } = attempt;
    if (password === undefined) return notMine("no token");
    if (password.length > TOKEN_BYTES_MAX) return notMine("too long for a token");
    const token = Buffer.from(password).toString("latin1");
    if (!TOKEN.test(token)) return notMine("the password is no token");
    return this.gate
      .run(() => this.verify(token, attempt))
      .then((outcome) => {
        return outcome === BUSY ? denied(errors.serverBusy, "too many tokens wait to be verified") : outcome;
      });
  }

  private async verify(token: string, attempt: ConnectAttempt): Promise<Outcome> {
    const { algorithms, issuers, audiences, leewaySeconds, requireExpiry } = this.settings;
    try {
      const header = decodeProtectedHeader(token);
      if (!algorithms.some((algorithm) => algorithm === header.alg))
        return wrong(`the token's algorithm ${shown(`${header.alg}`)} is not accepted`);
      for (const key of await this.keysFor(header)) {
        const payload = await jwtVerify(token, key, {
          algorithms: [...algorithms],
          clockTolerance: leewaySeconds,
          currentDate: new Date(this.clock.wallMs()),
          ...(issuers.length > 0 && { issuer: [...issuers] }),
          ...(audiences.length > 0 && { audience: [...audiences] }),
          ...(requireExpiry && { requiredClaims: ["exp"] }),
        }).then(
          (verified) => verified.payload,
          // Another key may be the one.
          (error: unknown) => {
            if (error instanceof joseErrors.JWSSignatureVerificationFailed) return null;
            throw error;
          },
        );
        if (payload !== null) return this.bind(payload, attempt);
      }
      return wrong("no key has signed the token");
    } catch (error) {
      return refusalOf(error);
    }
  }

  private async keysFor(header: Parameters<JwtKeys["find"]>[0]): ReturnType<JwtKeys["find"]> {
    try {
      return await this.keys.find(header);
    } catch (error) {
      throw new NoKeys(error instanceof Error ? error.message : "no keys");
    }
  }

  /** The token is good; is it this client's? */
  private bind(payload: JWTPayload, attempt: ConnectAttempt): Granted | Denied {
    const { userNameClaim, clientIdClaim, claims, leewaySeconds } = this.settings;
    const name = payload[userNameClaim];
    if (typeof name !== "string" || name === "")
      return denied(errors.notAuthorized, `the token has no claim ${shown(userNameClaim)} with a name`);
    const { userName, clientIdentifier } = attempt;
    if (userName !== undefined && userName !== "" && userName !== name)
      return denied(
        errors.notAuthorized,
        `the token is ${shown(name)}'s, the User Name says ${shown(userName)}`,
      );
    if (clientIdClaim !== null && !names(payload[clientIdClaim], clientIdentifier)) {
      const text = `the token's ${shown(clientIdClaim)} is not the Client Identifier ${shown(clientIdentifier)}`;
      return denied(errors.notAuthorized, text);
    }
    const expiresWallMs =
      payload.exp === undefined ? Number.POSITIVE_INFINITY : (payload.exp + leewaySeconds) * 1000;
    return granted(name, { claims: chosen(payload, claims), expiresWallMs });
  }
}

/** The keys could not be had: the broker's trouble, not the client's. */
class NoKeys extends Error {
  override readonly name = "NoKeys";
}

function refusalOf(error: unknown): Denied {
  if (error instanceof NoKeys) return denied(errors.serverUnavailable, error.message);
  // Its signature was right: whoever sends it guesses nothing.
  if (error instanceof joseErrors.JWTExpired) return denied(errors.notAuthorized, "the token has expired");
  if (error instanceof joseErrors.JWTClaimValidationFailed) {
    const state = error.reason === "missing" ? "missing" : "not accepted";
    return denied(errors.notAuthorized, `the token's claim ${shown(error.claim)} is ${state}`);
  }
  return wrong("the token cannot be verified");
}

function names(claim: unknown, identifier: string): boolean {
  return Array.isArray(claim) ? claim.includes(identifier) : claim === identifier;
}

/**
 * The claims that rules may use, as text. What would change the shape of a Topic Filter, is empty or no plain value is
 * left out: a rule with it then applies to nobody.
 */
function chosen(payload: JWTPayload, claims: readonly string[]): Readonly<Record<string, string>> {
  const texts: Record<string, string> = Object.create(null);
  for (const claim of claims) {
    const value = payload[claim];
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") continue;
    const text = `${value}`;
    if (text === "" || text.length > CLAIM_CHARACTERS_MAX || /[+#/\p{Cc}]/u.test(text)) continue;
    texts[claim] = text;
  }
  return texts;
}
