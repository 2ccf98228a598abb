// Gate: who may use the console. With a token or a user, whoever shows it; without, programs of this machine alone.
//
// A browser on this machine also runs pages of strangers. They cannot show a token, and against the console without
// one they are kept out by what a browser cannot hide: where the page came from, and the host name that it asked for.

import { createHash, timingSafeEqual } from "node:crypto";
import { isLoopbackAddress, plainAddress } from "../net/address.ts";

export interface ConsoleUsers {
  /** For `Authorization: Bearer …`; null for none. */
  readonly token: string | null;
  /** For `Authorization: Basic …`; null for none. */
  readonly user: { readonly name: string; readonly password: string } | null;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly reason: string;
}

const LOOPBACK_HOST = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i;

/** Null when the request may pass. `address` is the peer's. */
export function refusal(users: ConsoleUsers, request: Request, address: string): Refusal | null {
  const origin = request.headers.get("origin");
  const host = request.headers.get("host") ?? "";
  if (origin !== null && !isOwnOrigin(origin, host)) {
    return { status: 403, reason: "a page of another origin may not use the console" };
  }
  if (users.token === null && users.user === null) {
    if (!isLoopbackAddress(plainAddress(address)))
      return { status: 403, reason: "only this machine may use a console without a token" };
    if (LOOPBACK_HOST.test(host)) return null;
    return { status: 403, reason: "without a token the console is asked for as localhost" };
  }
  const [scheme = "", given = ""] = (request.headers.get("authorization") ?? "").split(" ", 2);
  const isRight =
    scheme.toLowerCase() === "bearer"
      ? users.token !== null && isSame(given, users.token)
      : scheme.toLowerCase() === "basic" && users.user !== null && isUser(given, users.user);
  return isRight ? null : { status: 401, reason: "a token or a user name and password are needed" };
}

function isUser(given: string, user: { readonly name: string; readonly password: string }): boolean {
  return isSame(Buffer.from(given, "base64").toString(), `${user.name}:${user.password}`);
}

/** Takes as long for a wrong text as for the right one. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function isOwnOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host;
}
