// Environment variables in place of keys: which key each one is, what becomes of its text, what is said when it is wrong.

import { expect, test } from "bun:test";
import type { Environment } from "../../src/config/environment.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import type { BrokerSettings } from "../../src/config/settings.ts";

const FILE = `id = 3
[router]
max_connections = 10
[router.custom_segment.'a/B']
max_segment_count = 2
[v4.Lan]
listen = "127.0.0.1:1883"
[v4.Lan.connections]
max_qos = 1
[v4.Lan.connections.auth]
alice = "old"
`;

function read(environment: Environment): { settings: BrokerSettings; variables: readonly string[] } {
  return parseConfig({ text: FILE, file: "test.toml" }, environment);
}

function problems(environment: Environment): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("each variable is the key that it names", () => {
  const rows: readonly [string, string, (settings: BrokerSettings) => unknown, unknown][] = [
    ["MILLRACE__ID", "9", ({ router }) => router.id, 9],
    ["MILLRACE__ROUTER__MAX_CONNECTIONS", "500", ({ router }) => router.connectionsMax, 500],
    ["millrace__router__max_connections", "1_000", ({ router }) => router.connectionsMax, 1000],
    ["MILLRACE__ROUTER__MEMORY", "128MiB", ({ router }) => router.memoryBytes, 128 << 20],
    ["MILLRACE__ROUTER__MEMORY", '"128 MiB"', ({ router }) => router.memoryBytes, 128 << 20],
    ["MILLRACE__ROUTER__MEMORY", "134217728", ({ router }) => router.memoryBytes, 128 << 20],
    [
      "MILLRACE__ROUTER__SHARED_SUBSCRIPTIONS_STRATEGY",
      "sticky",
      ({ router }) => router.sharedStrategy,
      "sticky",
    ],
    [
      "MILLRACE__ROUTER__INITIALIZED_FILTERS",
      "a/#, b",
      ({ router }) => router.initializedFilters,
      ["a/#", "b"],
    ],
    ["MILLRACE__ROUTER__INITIALIZED_FILTERS", '["a,b"]', ({ router }) => router.initializedFilters, ["a,b"]],
    ["MILLRACE__V4__LAN__LISTEN", "[::1]:77", ({ listeners }) => listeners[0]?.port, 77],
    ["MILLRACE__V4__LAN__NAME", "42", ({ listeners }) => listeners[0]?.name, "42"],
    ["MILLRACE__V4__LAN__VERSIONS", "4,5", ({ listeners }) => listeners[0]?.versions, [4, 5]],
    ["MILLRACE__V4__LAN__CONNECTIONS__MAX_QOS", "0", ({ listeners }) => listeners[0]?.qosMax, 0],
    ["MILLRACE__V4__LAN__CONNECTIONS__DYNAMIC_FILTERS", "false", ({ listeners }) => listeners.length, 1],
    ["MILLRACE__V5__Door__LISTEN", ":99", ({ listeners }) => listeners[1]?.section, "v5.door"],
  ];
  for (const [variable, text, value, expected] of rows) {
    const { settings, variables } = read({ [variable]: text, PATH: "/bin", MILLRACE: "x" });
    expect([variable, value(settings)]).toEqual([variable, expected]);
    expect(variables).toEqual([variable]);
  }
  expect(read({ PATH: "/bin", MILLRACE_HOME: "x" }).variables).toEqual([]);
});

test("topic filters stand in a variable as they are written", () => {
  const name = (filter: string): string => `MILLRACE__ROUTER__CUSTOM_SEGMENT__${filter}__MAX_SEGMENT_SIZE`;
  const { settings } = read({ [name("a/B")]: "1KiB", [name("a/b")]: "2KiB" });
  expect(settings.router.retentionByFilter).toEqual([
    { filter: "a/B", bytes: 2048 },
    { filter: "a/b", bytes: 10 * 2048 },
  ]);
});

test("a user may come from a variable of its own", () => {
  const { settings } = read({ MILLRACE__V4__LAN__CONNECTIONS__AUTH__Bob: "1234" });
  expect(settings.listeners).toHaveLength(1);
  expect(problems({ MILLRACE__V4__LAN__CONNECTIONS__AUTH__Bob: "1234" })).toEqual([]);
  expect(read({ MILLRACE__V4__LAN__CONNECTIONS__AUTH: '{ eve = "x" }' }).settings.listeners).toHaveLength(1);
});

test("what is wrong is told with the variable's name, after what is wrong in the file", () => {
  const rows: readonly [Environment, string][] = [
    [
      { MILLRACE__ROUTER__MAX_CONNECTIONS: "0" },
      "MILLRACE__ROUTER__MAX_CONNECTIONS: [router] max_connections = 0: must be an integer from 1 to 10000000",
    ],
    [
      { MILLRACE__ROUTER__MAX_CONNECTIONS: "many" },
      'MILLRACE__ROUTER__MAX_CONNECTIONS: [router] max_connections = "many": must be an integer from 1 to 10000000',
    ],
    [
      { MILLRACE__ROUTER__MAX_CONECTIONS: "5" },
      "MILLRACE__ROUTER__MAX_CONECTIONS: no such key; did you mean MILLRACE__ROUTER__MAX_CONNECTIONS?",
    ],
    [
      { MILLRACE__ROUTR__MEMORY: "5" },
      "MILLRACE__ROUTR__MEMORY: no such key; did you mean MILLRACE__ROUTER__MEMORY?",
    ],
    [{ MILLRACE__MEMORY: "5" }, "MILLRACE__MEMORY: no such key; did you mean MILLRACE__ROUTER__MEMORY?"],
    [
      { MILLRACE__V4__LAN__MAX_QOS: "1" },
      "MILLRACE__V4__LAN__MAX_QOS: no such key; did you mean MILLRACE__V4__LAN__CONNECTIONS__MAX_QOS?",
    ],
    [
      { MILLRACE__V4__LAN__CONECTIONS__WHATEVER: "1" },
      "MILLRACE__V4__LAN__CONECTIONS__WHATEVER: no such section; did you mean " +
        "MILLRACE__V4__LAN__CONNECTIONS__WHATEVER?",
    ],
    [{ MILLRACE__NOTHING_OF_THE_KIND: "1" }, "MILLRACE__NOTHING_OF_THE_KIND: no such key; known there: id"],
    [
      { MILLRACE__ROUTER____MEMORY: "1" },
      "MILLRACE__ROUTER____MEMORY: no such key; did you mean MILLRACE__ROUTER__MEMORY?",
    ],
    [{ MILLRACE__V5__2__NAME: "x" }, "MILLRACE__V5__2__NAME: [v5.2] needs the key listen"],
    [
      { MILLRACE__V5__2__LISTEN: "127.0.0.1:1883" },
      "MILLRACE__V5__2__LISTEN: [v5.2] listen: port 1883 is taken by [v4.Lan] (line 7); every listener needs its own",
    ],
    [
      { MILLRACE__ID__MORE: "1" },
      "MILLRACE__ID__MORE: stands for no key; MILLRACE__ROUTER__MAX_CONNECTIONS is max_connections in [router]",
    ],
  ];
  for (const [environment, text] of rows) expect(problems(environment)).toEqual([text]);
});

test("no secret is in a message", () => {
  const [text, ...more] = problems({ MILLRACE__V4__LAN__CONNECTIONS__AUTH: "{ eve = 'hush'" });
  expect(more).toEqual([]);
  expect(text).toStartWith(
    "MILLRACE__V4__LAN__CONNECTIONS__AUTH: [v4.Lan.connections] auth: must be a table",
  );
  expect(text).not.toContain("hush");
});
