// Whole files: what becomes of them, and what is said about those that are wrong.

import { afterAll, describe, expect, test } from "bun:test";
import { DEMO_TEXT } from "../../src/config/find.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { referenceMarkdown, sampleToml } from "../../src/config/reference.ts";
import type { BrokerSettings } from "../../src/config/settings.ts";
import { transportNames } from "../../src/net/transport.ts";
import { Authority } from "../support/certificates.ts";

const MIB = 1024 * 1024;

const authority = new Authority();
afterAll(() => authority.remove());
const server = authority.server();

function parse(text: string): { settings: BrokerSettings; warnings: readonly string[] } {
  return parseConfig({ text, file: "test.toml" });
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

/** The keys and sections of a file as rumqttd 0.20 takes them, all at once. */
const OLD_FILE = `
id = 7

[router]
id = 0
max_connections = 5000
max_outgoing_packet_count = 100
max_segment_size = 1048576
max_segment_count = 4
max_read_len = 10240
shared_subscriptions_strategy = "sticky"
initialized_filters = ["plant/+/state", "alarm"]
    [router.custom_segment.'/office/+/devices/status']
    max_segment_size = 102400
    max_segment_count = 2

[bridge]
name = "to-the-cloud"
addr = "localhost:1893"
qos = 0
sub_path = "#"
    [bridge.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480

[v4.1]
name = "plain"
listen = "0.0.0.0:1883"
next_connection_delay_ms = 1
    [v4.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480
    max_inflight_count = 500
    dynamic_filters = true
    throttle_delay_ms = 0
    max_inflight_size = 1024
        [v4.1.connections.auth]
        user1 = "p@ssw0rd"
        user2 = "password"

[v4.2]
name = "secure"
listen = "0.0.0.0:8883"
next_connection_delay_ms = 10
    [v4.2.tls]
    capath = "${authority.cert}"
    certpath = "${server.cert}"
    keypath = "${server.key}"
    [v4.2.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480
    max_inflight_count = 100

[v5.1]
name = "five"
listen = "0.0.0.0:1884"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480
    max_inflight_count = 100

[ws.1]
name = "browser"
listen = "0.0.0.0:8083"
next_connection_delay_ms = 1
    [ws.1.connections]
    connection_timeout_ms = 60000
    max_client_id_len = 256

[prometheus]
listen = "127.0.0.1:9042"
interval = 1

[console]
listen = "0.0.0.0:3030"

[cluster]
node_id = 0
listen = "0.0.0.0:1993"
seniors = []

[metrics]
    [metrics.alerts]
    push_interval = 1
    [metrics.meters]
    push_interval = 1
`;

describe("a file of rumqttd", () => {
  const { settings, warnings } = parse(OLD_FILE);

  test("sets the router", () => {
    expect(settings.router).toEqual({
      id: 7,
      memoryBytes: 64 * MIB,
      connectionsMax: 5000,
      batchMessagesMax: 100,
      retentionBytes: 4 * MIB,
      retentionByFilter: [{ filter: "/office/+/devices/status", bytes: 204_800 }],
      initializedFilters: ["plant/+/state", "alarm"],
      sharedStrategy: "sticky",
      paceDebtBytes: 2 * MIB,
      stallMs: 1000,
    });
  });

  test("starts every listener", () => {
    expect(settings.listeners.map(({ section, name, host, port }) => [section, name, host, port])).toEqual([
      ["v4.1", "plain", "0.0.0.0", 1883],
      ["v4.2", "secure", "0.0.0.0", 8883],
      ["v5.1", "five", "0.0.0.0", 1884],
      ["ws.1", "browser", "0.0.0.0", 8083],
    ]);
    const names = settings.listeners.map(({ transport }) => transportNames(transport));
    expect(names).toEqual([["tcp"], ["tls"], ["tcp"], ["ws"]]);
    const [plain, secure, five, browser] = settings.listeners;
    expect(secure?.transport.tls).toMatchObject({ certificatePath: server.cert, clientCertificate: "none" });
    expect(browser?.transport.webSocket).toEqual({ path: "*", origins: ["*"], compression: false });
    expect(plain?.versions).toEqual([3, 4, 5]);
    expect(plain?.nextConnectionDelayMs).toBe(1);
    expect(plain?.connectTimeoutMs).toBe(60_000);
    expect(plain?.payloadBytesMax).toBe(20_480);
    expect(plain?.inflightMax).toBe(500);
    expect([...(plain?.users ?? [])]).toEqual([
      ["user1", "p@ssw0rd"],
      ["user2", "password"],
    ]);
    expect(five?.users).toBeNull();
  });

  test("warns once of each thing that is not there", () => {
    const lines = OLD_FILE.split("\n");
    const rows: readonly [string, string][] = [
      ["max_read_len = 10240", "[router] max_read_len is an old key"],
      ["    max_inflight_size = 1024", "[v4.1.connections] max_inflight_size is an old key"],
      [`    capath = "${authority.cert}"`, "[v4.2.tls] capath has no effect"],
      ["[bridge]", "[bridge] is ignored"],
      ["[cluster]", "[cluster] is ignored"],
    ];
    expect(warnings).toHaveLength(rows.length);
    for (const [line, text] of rows) {
      const head = `test.toml:${lines.indexOf(line) + 1}: ${text}`;
      expect(warnings.filter((warning) => warning.startsWith(head))).toHaveLength(1);
    }
  });
});

describe("the demo", () => {
  test("is what the key table says (bun run reference writes it)", () => {
    expect(DEMO_TEXT).toBe(sampleToml());
  });

  test("has two listeners and nothing to warn of", () => {
    const { settings, warnings } = parse(DEMO_TEXT);
    expect(warnings).toEqual([]);
    expect(settings.listeners.map(({ host, port }) => `${host}:${port}`)).toEqual([
      "0.0.0.0:1883",
      "0.0.0.0:1884",
    ]);
    expect(settings.listeners[0]?.payloadBytesMax).toBe(MIB);
  });

  test("still loads with every commented key written out", () => {
    const { settings } = parse(DEMO_TEXT.replaceAll(/^# (?=(\w+ = |\[))/gm, ""));
    expect(settings.listeners[0]?.users?.get("alice")).toBe("secret");
    expect(settings.router.retentionByFilter).toEqual([{ filter: "plant/+/telemetry", bytes: 204_800 }]);
  });
});

test("the README shows the table of keys (bun run reference writes it)", async () => {
  const readme = await Bun.file(`${import.meta.dir}/../../README.md`).text();
  expect(readme).toContain(referenceMarkdown());
});

const BAD = `id = -1
[router]
memory = "8MiB"
max_conections = 5
listen = "0.0.0.0:1"

[v4.1]
listen = "0.0.0.0:1883"
connections.max_inflight_count = 70000
connections.auth = { alice = 5 }

[v4.2]
name = "second"

[v5.'my lan']
listen = "127.0.0.1:1883"
connections = { max_qos = 3, receive_maximum = 0 }

[consol]
listen = "x"

[servers.1]
port = 1883
`;

test("all problems are told at once, each with its line", () => {
  const allowed = 'must be a table of user names and passwords, such as { alice = "secret" }';
  expect(problems(BAD)).toEqual([
    "test.toml:1: id = -1: must be an integer from 0 to 65535",
    'test.toml:3: [router] memory = "8MiB": must be bytes from 16 MiB to 1 TiB, as an integer or as "1MiB"',
    "test.toml:4: [router] max_conections: unknown key; did you mean max_connections?",
    "test.toml:5: [router] listen: unknown key; it belongs in [v4.N] and [v5.N]",
    "test.toml:9: [v4.1.connections] max_inflight_count = 70000: must be an integer from 1 to 65535",
    `test.toml:10: [v4.1.connections] auth: ${allowed}`,
    "test.toml:12: [v4.2] needs the key listen",
    "test.toml:16: [v5.'my lan'] listen: port 1883 is taken by [v4.1] (line 8); every listener needs its own",
    "test.toml:17: [v5.'my lan'.connections] receive_maximum = 0: must be an integer from 1 to 65535",
    "test.toml:17: [v5.'my lan'.connections] max_qos = 3: must be an integer from 0 to 2",
    "test.toml:19: [consol]: unknown section; did you mean [console]?",
    "test.toml:22: [servers]: unknown section; listeners are called [v4.1] or [v5.1] today",
  ]);
});

describe("settings that do not fit each other", () => {
  const head = (memory: string) =>
    `[router]\nmemory = "${memory}"\n[v4.1]\nlisten = ":1883"\n[v4.1.connections]\n`;

  test("a packet is at most a quarter of the memory", () => {
    const rows: readonly [string, string, string | undefined][] = [
      ["16MiB", 'max_packet_size = "4MiB"', undefined],
      [
        "16MiB",
        "max_packet_size = 4194305",
        "[v4.1.connections] max_packet_size = 4194305: a packet must be",
      ],
      ["64MiB", 'max_payload_size = "15MiB"', undefined],
      [
        "64MiB",
        'max_payload_size = "16MiB"',
        "[v4.1.connections] max_payload_size = 16777216 makes packets of",
      ],
    ];
    for (const [memory, line, start] of rows) {
      const found = problems(head(memory) + line);
      if (start === undefined) expect(found).toEqual([]);
      else expect(found[0]).toStartWith(`test.toml:6: ${start}`);
    }
  });

  test("the packet size follows the payload size", () => {
    const listener = parse(`${head("64MiB")}max_payload_size = 20480`).settings.listeners[0];
    expect(listener?.packetBytesMax).toBe(20_480 + 128 * 1024);
  });

  test("the debt is at most a quarter of the memory", () => {
    const text = '[router]\nmemory = "16MiB"\npace_debt = "5MiB"\n[v4.1]\nlisten = ":1"';
    expect(problems(text)).toEqual([
      "test.toml:3: [router] pace_debt = 5242880: must be at most a quarter of [router] memory, 4 MiB",
    ]);
  });

  test("ports are shared only by different hosts", () => {
    const rows: readonly [string, string, boolean][] = [
      ["127.0.0.1:1883", "127.0.0.1:1883", false],
      ["127.0.0.1:1883", ":1883", false],
      ["[::]:1883", "127.0.0.1:1883", false],
      ["127.0.0.1:1883", "[::1]:1883", true],
      [":0", ":0", true],
    ];
    for (const [one, two, isFine] of rows) {
      expect(problems(`[v4.1]\nlisten = "${one}"\n[v4.2]\nlisten = "${two}"`).length === 0).toBe(isFine);
    }
  });

  test("something must listen", () => {
    expect(problems("id = 0")[0]).toStartWith("test.toml:1: no listener is left to start");
  });

  test("an empty table of users lets nobody in, and says so", () => {
    const { settings, warnings } = parse('[v4.1]\nlisten = ":1"\nconnections.auth = {}');
    expect(settings.listeners[0]?.users?.size).toBe(0);
    expect(warnings).toEqual(["test.toml:3: [v4.1.connections] auth is empty: nobody can connect"]);
  });
});

test("what is no section is told as such", () => {
  const rows: readonly [string, string][] = [
    ["router = 1", "test.toml:1: router = 1: must be a section, [router]"],
    ['[v4]\nlisten = ":1"', "test.toml:2: [v4] listen: [v4] holds listeners, each a section such as [v4.1]"],
    ["[[v4]]", "test.toml:1: v4 = [{}]: must be a section, [v4]"],
    ["console = 1", "test.toml:1: console = 1: must be a section, [console]"],
  ];
  for (const [text, expected] of rows) {
    expect(problems(`${text}\n[v5.1]\nlisten = ":2"`)).toContain(expected);
  }
});

test("a broken file is told by line and column", () => {
  expect(problems("[router]\nmemory = = 5")[0]).toMatch(/^test\.toml:2:10: Invalid TOML document: /);
  expect(problems("[router]\nid = 1\nid = 2")[0]).toMatch(/^test\.toml:3:1: /);
});

test("the router's id stands in for the broker's", () => {
  const tail = '\n[v4.1]\nlisten = ":1"';
  expect(parse(`[router]\nid = 3${tail}`).settings.router.id).toBe(3);
  expect(parse(`id = 0\n[router]\nid = 3${tail}`).settings.router.id).toBe(0);
});
