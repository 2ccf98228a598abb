// The HTTP authenticator against a server of the test's own: what it is asked, what its answers mean, what is kept.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Outcome } from "../../src/auth/authenticator.ts";
import { HttpAuthenticator } from "../../src/auth/http.ts";
import { Secret } from "../../src/auth/secret.ts";
import type { HttpAuthSettings } from "../../src/net/authSettings.ts";
import { attemptOf } from "../support/attempt.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { httpServer, type TestServer } from "../support/httpServer.ts";

let server: TestServer;
let clock: ManualClock;
beforeEach(() => {
  server = httpServer(() => new Response());
  clock = manualClock();
});
afterEach(() => server.stop());

function authenticator(settings: Partial<HttpAuthSettings> = {}): HttpAuthenticator {
  const all: HttpAuthSettings = {
    url: `${server.url}/auth`,
    authoritiesPath: null,
    request: "json",
    clientIdField: "clientid",
    answer: "status",
    timeoutMs: 5_000,
    requestsMax: 2,
    yesMs: 0,
    noMs: 0,
    ...settings,
  };
  return new HttpAuthenticator(all, clock, new Secret(), () => null);
}

const ALICE = attemptOf({ userName: "alice", password: "pä&ss=w", clientIdentifier: "c 1" });

describe("requests", () => {
  test("in mosquitto-go-auth's shape, as JSON and as a form", async () => {
    await authenticator().judge(ALICE);
    await authenticator({ request: "form" }).judge(ALICE);
    expect(server.asked).toMatchObject([
      { method: "POST", path: "/auth", type: "application/json" },
      { method: "POST", path: "/auth", type: "application/x-www-form-urlencoded" },
    ]);
    const expected = { username: "alice", password: "pä&ss=w", clientid: "c 1" };
    expect(JSON.parse(server.asked[0]?.body ?? "")).toEqual(expected);
    expect(Object.fromEntries(new URLSearchParams(server.asked[1]?.body))).toEqual(expected);
  });

  test("with rumqttd's name for the Client Identifier", async () => {
    await authenticator({ clientIdField: "client_id" }).judge(ALICE);
    expect(JSON.parse(server.asked[0]?.body ?? "")).toEqual({
      username: "alice",
      password: "pä&ss=w",
      client_id: "c 1",
    });
  });

  test("never for clients without User Name, nor for passwords that are no text", async () => {
    expect(await authenticator().judge(attemptOf({ password: "x" }))).toMatchObject({ outcome: "not mine" });
    const bytes = attemptOf({ userName: "a", password: Uint8Array.of(0xff) });
    expect(await authenticator().judge(bytes)).toMatchObject({ outcome: "denied", isGuess: true });
    expect(server.asked).toHaveLength(0);
  });
});

describe("answers", () => {
  const yes = "yes";
  const no = "no";
  const trouble = "trouble";
  const rows: readonly (readonly [HttpAuthSettings["answer"], number, string, string])[] = [
    ["status", 200, "", yes],
    ["status", 204, "", yes],
    ["status", 401, "", no],
    ["status", 403, "ok", no],
    ["status", 404, "", no],
    ["status", 408, "", trouble],
    ["status", 429, "", trouble],
    ["status", 500, "ok", trouble],
    ["status", 302, "", trouble],
    ["json", 200, '{"Ok":true,"Error":""}', yes],
    ["json", 200, '{"ok":true}', yes],
    ["json", 200, "true", yes],
    ["json", 200, '{"Ok":false,"Error":"bad password"}', no],
    ["json", 200, "false", no],
    ["json", 200, "{}", trouble],
    ["json", 200, '{"ok":"true"}', trouble],
    ["json", 200, '"true"', trouble],
    ["json", 200, "", trouble],
    ["json", 401, '{"ok":true}', no],
    ["text", 200, "ok", yes],
    ["text", 200, "ok\n", yes],
    ["text", 200, "", no],
    ["text", 200, "OK, but no", no],
    ["text", 500, "ok", trouble],
  ];
  test.each(rows)("%s: status %d with '%s' means %s", async (answer, status, body, meaning) => {
    server.answer = () =>
      new Response(status === 204 ? null : body, { status, headers: { location: `${server.url}/else` } });
    expect(kindOf(await authenticator({ answer }).judge(ALICE))).toBe(meaning);
    expect(server.asked).toHaveLength(1);
  });

  function kindOf(outcome: Outcome): string {
    if (outcome.outcome === "granted") return yes;
    if (outcome.outcome === "denied" && outcome.isGuess && outcome.error.reason === 0x86) return no;
    return outcome.outcome === "denied" && outcome.error.reason === 0x88 ? trouble : "something else";
  }

  test("that do not come, come late or never end let nobody in, and nothing secret is told", async () => {
    const late = Promise.withResolvers<Response>();
    const answers: readonly (() => Response | Promise<Response>)[] = [
      () => late.promise,
      () => new Response("x".repeat(100_000)),
    ];
    for (const answer of answers) {
      server.answer = answer;
      const outcome = await authenticator({ timeoutMs: 50, answer: "text" }).judge(ALICE);
      expect(outcome).toMatchObject({ outcome: "denied", isGuess: false, error: { reason: 0x88 } });
      expect(JSON.stringify(outcome)).not.toContain("pä");
    }
    late.resolve(new Response());
    const url = `${server.url}/auth`;
    await server.stop();
    const outcome = await authenticator({ url: `${url}?token=hidden` }).judge(ALICE);
    expect(outcome).toMatchObject({ outcome: "denied", error: { reason: 0x88 } });
    expect("reason" in outcome && outcome.reason).toStartWith(`${url}: `);
    expect(JSON.stringify(outcome)).not.toContain("hidden");
  });
});

describe("what is remembered", () => {
  test("a yes and a no, each for its time, for this user, password and client alone", async () => {
    const http = authenticator({ yesMs: 1_000, noMs: 100 });
    server.answer = ({ body }) => new Response("", { status: body.includes("right") ? 200 : 401 });
    const ask = async (password: string, clientIdentifier = "c", userName = "alice"): Promise<string> =>
      (await http.judge(attemptOf({ userName, password, clientIdentifier }))).outcome;
    expect([await ask("right"), await ask("right"), await ask("wrong"), await ask("wrong")]).toEqual([
      "granted",
      "granted",
      "denied",
      "denied",
    ]);
    expect(server.asked).toHaveLength(2);
    await ask("right", "other");
    await ask("right", "c", "bob");
    expect(server.asked).toHaveLength(4);
    clock.pass(101);
    await ask("wrong");
    await ask("right");
    expect(server.asked).toHaveLength(5);
    clock.pass(1_000);
    await ask("right");
    expect(server.asked).toHaveLength(6);
    http.forget();
    await ask("right");
    expect(server.asked).toHaveLength(7);
  });

  test("no trouble of the server's", async () => {
    const http = authenticator({ yesMs: 1_000, noMs: 1_000 });
    server.answer = () => new Response("", { status: 500 });
    expect((await http.judge(ALICE)).outcome).toBe("denied");
    server.answer = () => new Response();
    expect((await http.judge(ALICE)).outcome).toBe("granted");
  });
});

test("so many requests at one time, so many in line, and the rest is told that the server is busy", async () => {
  const http = authenticator({ requestsMax: 2 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  server.answer = async () => {
    most = Math.max(most, ++running);
    if (running === 2) full.resolve();
    await promise;
    running--;
    return new Response();
  };
  const logins = Array.from({ length: 600 }, (_, index) =>
    Promise.resolve(http.judge(attemptOf({ userName: `u${index}`, password: "x" }))),
  );
  const busy = await logins.at(-1);
  expect(busy).toMatchObject({ outcome: "denied", isGuess: false, error: { reason: 0x89 } });
  await full.promise;
  resolve();
  const outcomes = await Promise.all(logins);
  expect(outcomes.filter(({ outcome }) => outcome === "granted")).toHaveLength(514);
  expect(most).toBe(2);
});
