// Who may use the console.

import { describe, expect, test } from "bun:test";
import { type ConsoleUsers, refusal } from "../../src/console/gate.ts";

const NOBODY: ConsoleUsers = { token: null, user: null };
const TOKEN: ConsoleUsers = { token: "s3cret", user: null };
const USER: ConsoleUsers = { token: null, user: { name: "ann", password: "päss:word" } };
const BOTH: ConsoleUsers = { ...TOKEN, user: USER.user };

const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

/** Users, the peer's address, headers beside `host: localhost:3030`, the status. */
const rows: readonly (readonly [string, ConsoleUsers, string, Record<string, string>, number])[] = [
  ["this machine without a token", NOBODY, "127.0.0.1", {}, 200],
  ["this machine by IPv6", NOBODY, "::1", { host: "[::1]:3030" }, 200],
  ["this machine by IPv4 within IPv6", NOBODY, "::ffff:127.0.0.1", {}, 200],
  ["another machine without a token", NOBODY, "192.0.2.7", {}, 403],
  ["nobody knows from where", NOBODY, "", {}, 403],
  ["a name that was made to point here", NOBODY, "127.0.0.1", { host: "evil.example:3030" }, 403],
  ["a page of the console itself", NOBODY, "127.0.0.1", { origin: "http://localhost:3030" }, 200],
  ["a page of another origin", NOBODY, "127.0.0.1", { origin: "http://evil.example" }, 403],
  ["a page of no origin", NOBODY, "127.0.0.1", { origin: "null" }, 403],
  ["the token", TOKEN, "192.0.2.7", bearer("s3cret"), 200],
  ["the token under any host name", TOKEN, "192.0.2.7", { host: "broker.example", ...bearer("s3cret") }, 200],
  [
    "the token from another origin",
    TOKEN,
    "192.0.2.7",
    { origin: "http://evil.example", ...bearer("s3cret") },
    403,
  ],
  ["no token, from this machine", TOKEN, "127.0.0.1", {}, 401],
  ["a wrong token", TOKEN, "127.0.0.1", bearer("s3cre"), 401],
  ["an empty token", TOKEN, "127.0.0.1", bearer(""), 401],
  ["a token where a user is wanted", USER, "127.0.0.1", bearer("s3cret"), 401],
  ["the user", USER, "192.0.2.7", basic("ann:päss:word"), 200],
  ["the user with a wrong password", USER, "192.0.2.7", basic("ann:word"), 401],
  ["another user", USER, "192.0.2.7", basic("bob:päss:word"), 401],
  ["no base64", USER, "192.0.2.7", { authorization: "Basic ***" }, 401],
  ["another scheme", BOTH, "192.0.2.7", { authorization: "Digest s3cret" }, 401],
  ["either of both", BOTH, "192.0.2.7", basic("ann:päss:word"), 200],
];

describe("the console's gate", () => {
  test.each(rows)("%s", (_, users, address, headers, status) => {
    const request = new Request("http://localhost:3030/", {
      headers: { host: "localhost:3030", ...headers },
    });
    expect(refusal(users, request, address)?.status ?? 200).toBe(status as 200);
  });
});
