// [auth] as a whole: what its keys become, which do not go together, and what is said of open listeners.

import { describe, expect, test } from "bun:test";
import { asksNobody, openListenerText } from "../../src/config/authSettings.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { logListeners } from "../../src/config/startup.ts";
import { recorder } from "../support/recorder.ts";

const LISTENER = '[v4.1]\nlisten = "127.0.0.1:1883"\n';

function parse(text: string): ReturnType<typeof parseConfig> {
  return parseConfig({ text: `${LISTENER}${text}`, file: "test.toml" });
}

function problems(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("every key becomes a setting", () => {
  const { settings, warnings } = parse(`
[v4.1.connections]
auth = { alice = "secret" }
auth_chain = ["jwt", "table"]
allow_anonymous = true
[auth]
chain = ["file", "jwt", "http", "scram", "certificate", "table", "function"]
remember_ms = 1
[auth.file]
path = "users"
[auth.jwt]
jwks_url = "https://id.example.org/jwks"
ca_file = "ca.pem"
jwks_refresh_ms = 20000
algorithms = ["ES256", "RS256"]
issuers = ["a"]
audiences = ["b", "c"]
leeway_s = 7
require_expiry = false
username_claim = "name"
client_id_claim = "cid"
claims = ["site"]
[auth.http]
url = "http://[::1]:8080/auth?x=1"
request = "form"
client_id_field = "client_id"
answer = "json"
timeout_ms = 100
max_requests = 3
remember_ms = 4
remember_refusals_ms = 5
[auth.limits]
failures_per_address = 1
failures_per_user = 2
forgive_ms = 3
ban_ms = 4
exempt = ["192.0.2.1"]
`);
  expect(warnings).toEqual([]);
  expect(settings.auth).toEqual({
    chain: ["file", "jwt", "http", "scram", "certificate", "table", "function"],
    verifiedMs: 1,
    file: "users",
    jwt: {
      key: { kind: "url", url: "https://id.example.org/jwks", authoritiesPath: "ca.pem" },
      algorithms: ["RS256", "ES256"],
      issuers: ["a"],
      audiences: ["b", "c"],
      leewaySeconds: 7,
      userNameClaim: "name",
      clientIdClaim: "cid",
      claims: ["site"],
      requireExpiry: false,
      jwksRefreshMs: 20_000,
    },
    http: {
      url: "http://[::1]:8080/auth?x=1",
      authoritiesPath: null,
      request: "form",
      clientIdField: "client_id",
      answer: "json",
      timeoutMs: 100,
      requestsMax: 3,
      yesMs: 4,
      noMs: 5,
    },
    limits: { failuresPerAddress: 1, failuresPerUser: 2, refillMs: 3, banMs: 4, exempt: ["192.0.2.1"] },
  });
  expect(settings.listeners[0]).toMatchObject({ authChain: ["jwt", "table"], allowAnonymous: true });
});

test("algorithms follow from the kind of key", () => {
  const { auth } = parse('[auth.jwt]\nsecret_file = "s"').settings;
  expect(auth.jwt?.algorithms).toEqual(["HS256"]);
  for (const line of ['public_key_file = "k"', 'jwks_file = "k"', 'jwks_url = "https://x/"']) {
    const { jwt } = parse(`[auth.jwt]\n${line}`).settings.auth;
    expect(jwt?.algorithms.some((name) => name.startsWith("HS"))).toBe(false);
    expect(jwt?.algorithms).toContain("EdDSA");
  }
});

describe("what does not go together is told with its line", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["[auth.file]", "[auth.file] needs the key path"],
    ["[auth.jwt]", "[auth.jwt] needs exactly one of secret_file, public_key_file, jwks_file and jwks_url"],
    ['[auth.jwt]\nsecret_file = "a"\njwks_file = "b"', "[auth.jwt] needs exactly one of"],
    ['[auth.jwt]\npublic_key_file = "a"\nalgorithms = ["HS256"]', "no HS algorithm with public keys"],
    [
      '[auth.jwt]\nsecret_file = "a"\nalgorithms = ["RS256"]',
      "must be HS256, HS384 or HS512 with secret_file",
    ],
    [
      '[auth.jwt]\nsecret_file = "a"\nalgorithms = ["none"]',
      '[auth.jwt] algorithms = ["none"]: must be a list of',
    ],
    ['[auth.http]\nurl = "ftp://x/"', "must be a URL with http:// or https://"],
    [
      '[auth.http]\nurl = "https://user:hunter2@x/"',
      "[auth.http] url: must be a URL without user name and password",
    ],
    ['[auth]\nchain = ["file"]', '[auth] chain: "file" needs [auth.file]'],
    ['[auth]\nchain = ["jwt", "http"]', '[auth] chain: "jwt" needs [auth.jwt]'],
    ['[auth]\nchain = ["ldap"]', '[auth] chain = ["ldap"]: must be a list of'],
    ['[v4.1.connections]\nauth_chain = ["table"]', '"table" needs [v4.1.connections] auth'],
    ['[v4.1.connections]\nauth_chain = ["scram"]', '"scram" needs users: [auth.file]'],
    ["[auth.ldap]", "[auth] ldap: unknown key"],
  ];
  test.each(rows)("%s", (text, expected) => {
    const found = problems(text);
    expect(found[0]).toMatch(/^test\.toml:\d+: /);
    expect(found.join("\n")).toContain(expected);
    expect(found.join("\n")).not.toContain("hunter2");
  });
});

test("passwords and keys that travel in the clear are warned of, not so on this machine", () => {
  const { warnings } = parse('[auth.http]\nurl = "http://auth.example.org/"');
  expect(warnings).toEqual([
    'test.toml:4: [auth.http] url = "http://auth.example.org/": passwords go there as plain text; https:// prevents that',
  ]);
  const jwks = parse('[auth.jwt]\njwks_url = "http://id.example.org/"');
  expect(jwks.warnings[0]).toContain("whoever is between can put other keys there");
  for (const host of ["localhost", "127.0.0.5", "[::1]"])
    expect(parse(`[auth.http]\nurl = "http://${host}:1/"`).warnings).toEqual([]);
});

describe("a listener that other machines reach", () => {
  const textOf = (more: string, host = "0.0.0.0"): string | null => {
    const text = `[v5.1]\nlisten = "${host}:1884"\n${more}`;
    const { settings } = parseConfig({ text, file: "test.toml" });
    const [listener] = settings.listeners;
    return listener === undefined ? "no listener" : openListenerText(listener, settings.auth);
  };

  test("and that asks nobody is told of, with what to do", () => {
    const text =
      "[v5.1] listens on 0.0.0.0, not on this machine alone: whoever reaches it can connect, without a name or a " +
      "password; give it users ([v5.1.connections] auth, or [auth.file]) or say allow_anonymous = true";
    expect(textOf("")).toBe(text);
    expect(textOf("", "[::]")).toBe(text.replace("0.0.0.0", "::"));
    expect(textOf("", "broker.example.org")).not.toBeNull();
  });

  test("is told of at the start", () => {
    const text =
      '[v5.1]\nlisten = ":1884"\n[v5.2]\nlisten = ":1885"\n[v5.2.connections]\nauth = { a = "b" }\n';
    const config = { ...parseConfig({ text, file: "test.toml" }), source: "test.toml" };
    const logger = recorder();
    const listening = config.settings.listeners.map(({ section, name, host, port }) => {
      return { section, name, host, port, transports: ["tcp"] };
    });
    logListeners(logger, config.settings, listening);
    const warned = logger.records.filter(({ level }) => level === "warn");
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatchObject({ fields: { listener: "v5.1" } });
    const [one = "", two = ""] = logger.records.flatMap(({ message }) =>
      message.startsWith("listening") ? [message] : [],
    );
    expect(one).not.toContain("prove");
    expect(two).toEndWith(", for clients that prove who they are");
  });

  test("is not when somebody is asked, when it says so, or when nobody else reaches it", () => {
    for (const more of [
      '[v5.1.connections]\nauth = { alice = "secret" }',
      "[v5.1.connections]\nallow_anonymous = true",
      "[v5.1.connections]\nallow_anonymous = false",
      "[v5.1.connections]\nauth_chain = []",
      '[auth.file]\npath = "users"',
      '[auth.jwt]\nsecret_file = "s"',
      '[auth.http]\nurl = "https://x/"',
    ])
      expect(textOf(more)).toBeNull();
    for (const host of ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"]) expect(textOf("", host)).toBeNull();
  });

  test("lets everybody in only where nothing is configured, or anonymous clients are", () => {
    const asks = (more: string): boolean => {
      const { settings } = parseConfig({ text: `[v5.1]\nlisten = ":1884"\n${more}`, file: "test.toml" });
      return !asksNobody(settings.listeners[0]!, settings.auth);
    };
    expect(asks("")).toBe(false);
    expect(asks("[v5.1.connections]\nallow_anonymous = true")).toBe(false);
    expect(asks("[v5.1.connections]\nallow_anonymous = false")).toBe(true);
    expect(asks("[v5.1.connections]\nauth_chain = []")).toBe(true);
  });
});

test("ca_file is for https alone", () => {
  const rows = [
    ['[auth.http]\nurl = "https://x/"\nca_file = "ca.pem"', []],
    ['[auth.http]\nurl = "http://127.0.0.1/"\nca_file = "ca.pem"', ["http"]],
    ['[auth.jwt]\njwks_url = "https://x/"\nca_file = "ca.pem"', []],
    ['[auth.jwt]\njwks_url = "http://127.0.0.1/"\nca_file = "ca.pem"', ["jwt"]],
    ['[auth.jwt]\nsecret_file = "s"\nca_file = "ca.pem"', ["jwt"]],
  ] as const;
  for (const [text, sections] of rows)
    expect(parse(text).warnings).toEqual(
      sections.map(
        (one) => `test.toml:5: [auth.${one}] ca_file has no effect: nobody is asked over https://`,
      ),
    );
  expect(parse(rows[0][0]).settings.auth.http?.authoritiesPath).toBe("ca.pem");
});
