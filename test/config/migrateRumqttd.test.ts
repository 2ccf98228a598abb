// Each of rumqttd's old syntaxes: a file of its time in, the new file out, which says of each change what it was, loses
// nothing in silence, shows no secret in a warning, and starts the broker.

import type { IClientOptions } from "mqtt";
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Generation, generationOf } from "../../src/config/migrate/rumqttd/generation.ts";
import { parseToml } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { OldMachine } from "../support/oldConfig.ts";

/** A program is started, and its clients come one after the other. */
setDefaultTimeout(20_000);

const machine = new OldMachine();
afterAll(() => machine.remove());

interface Row {
  readonly file: string;
  readonly generation: Generation;
  /** Lines of the new file. */
  readonly lines: readonly string[];
  /** Warnings: line of the old file, and how the text begins. */
  readonly warnings: readonly [line: number, text: string][];
  readonly secrets: readonly string[];
  /** Who comes to which listener, and what the answer is: 0 welcome, else the CONNACK code, -1 no CONNACK. */
  readonly clients: readonly [section: string, code: number, options?: IClientOptions][];
}

const CA = { ca: machine.ca };
const CERTIFICATE = { ...CA, ...machine.client };
const WRONG = 4;
const NOBODY_ELSE = 5;

const STORED = "nothing was stored by it; [persistence] dir stores messages";
const ACKNOWLEDGED = "a message is acknowledged once it is in the log";
const NO_EFFECT = "a key of older brokers without effect here";
const IMPLIED = "clients must show a certificate of this CA";

const ROWS: readonly Row[] = [
  {
    file: "g0.toml",
    generation: "G0",
    lines: [
      "[router]  # was [broker.router]",
      "id = 4",
      "max_connections = 150  # was in [[broker.servers]], one for each listener, added up",
      "# Gateway of hall 3, set up in spring 2020.",
      "[v4.1]  # was [[broker.servers]]",
      'listen = "0.0.0.0:18830"  # was port = 18830',
      "max_payload_size = 4096  # was in [[broker.servers]]",
      'auth = { hall3 = "conveyor belt" }  # was username and password in [[broker.servers]]',
      "# the outside",
      'listen = "0.0.0.0:18883"  # was port = 18883',
      "[v4.2.tls]",
      'certpath = "tls/server.cert.pem"  # was cert_path in [[broker.servers]]',
      'keypath = "tls/server.key.pem"  # was key_path in [[broker.servers]]',
      'capath = "tls/ca.cert.pem"  # was ca_path in [[broker.servers]]',
      `verify_client_cert = true  # was implied by ca_path: ${IMPLIED}`,
    ],
    warnings: [
      [10, `disk_retention_size: ${STORED}`],
      [11, `disk_retention_time_sec: ${STORED}`],
      [12, `auto_save_interval_sec: ${STORED}`],
      [15, `max_inflight_size: ${NO_EFFECT}`],
      [16, `instant_ack: ${ACKNOWLEDGED} (also line 39)`],
      [26, "throttle_delay_ms: nothing was slowed down by it; here each client is read"],
      [27, `disk_persistence: ${STORED}`],
      [36, `dir: ${STORED}`],
    ],
    secrets: ["conveyor belt"],
    clients: [
      ["v4.1", 0, { username: "hall3", password: "conveyor belt" }],
      ["v4.1", NOBODY_ELSE],
      ["v4.2", 0, { ...CERTIFICATE, username: "any" }],
      ["v4.2", 0, CERTIFICATE],
      ["v4.2", -1, CA],
      ["v4.2", -1],
    ],
  },
  {
    file: "g0-rumq.toml",
    generation: "G0",
    lines: [
      "[v4.1]  # was [[servers]]",
      "max_packet_size = 1024  # was in [[servers]]",
      "# gone: [httppush]: messages are not pushed over HTTP",
      "# gone: disk_persistence = false: nothing was stored by it; [persistence] dir stores messages",
    ],
    warnings: [
      [6, "max_cloud_to_device_throughput: it was never held to"],
      [7, "max_device_to_cloud_throughput: it was never held to"],
      [8, "max_incoming_messages_per_sec: it was never held to"],
      [11, "max_inflight_queue_size: "],
      [13, "[httppush]: "],
      [17, "[httpserver]: "],
    ],
    secrets: [],
    clients: [["v4.1", 0]],
  },
  {
    file: "g1.toml",
    generation: "G1",
    lines: [
      "# Broker number of this machine in the mesh",
      "id = 1",
      "# Sensors, plain",
      "[v4.sensors]  # was [servers.sensors]",
      'listen = "0.0.0.0:18830"  # was port = 18830',
      "[v4.sensors.connections]  # was [servers.sensors.connections]",
      "max_payload_size = 2048",
      'auth = { sensor = "s3cret" }  # was username and password',
      "[v4.2.tls]",
      "# this makes it TLS",
      'certpath = "tls/server.cert.pem"  # was cert_path in [servers.2.connections]',
      "[cluster]  # was [cluster.0], [cluster.1], [cluster.2]",
      "node_id = 1  # was the top-level id",
      'listen = "10.0.0.11:1800"  # was [cluster.1]',
      'seniors = [[2, "10.0.0.12:1800"]]  # was the nodes of higher numbers',
    ],
    warnings: [
      [6, `dir: ${STORED}`],
      [21, `max_inflight_size: ${NO_EFFECT}`],
      [47, "[replicator]: "],
    ],
    secrets: ["s3cret"],
    clients: [
      ["v4.sensors", 0, { username: "sensor", password: "s3cret" }],
      ["v4.sensors", WRONG, { username: "sensor", password: "secret" }],
      ["v4.2", 0, CA],
    ],
  },
  {
    file: "g2.toml",
    generation: "G2",
    lines: [
      "[v4.1]  # was [servers.1]",
      'listen = "127.0.0.1:18830"',
      "# the two applications",
      'auth = { dashboard = "blue green", historian = "yellow" }  # was login_credentials',
      "[v4.2.tls]  # was [servers.2.cert]",
      'capath = "tls/ca.cert.pem"  # was ca_path',
      `verify_client_cert = true  # was implied by ca_path: ${IMPLIED}`,
      "[v4.3.tls]  # was [servers.3.cert]",
      "#   openssl pkcs12 -in tls/identity.p12 -nokeys -out tls/identity.cert.pem",
      "#   openssl pkcs12 -in tls/identity.p12 -nocerts -nodes -out tls/identity.key.pem",
      'certpath = "tls/identity.cert.pem"  # was in pkcs12_path',
      'keypath = "tls/identity.key.pem"  # was in pkcs12_path',
      'listen = "127.0.0.1:11800"  # was [cluster.0]',
      "[console]",
    ],
    warnings: [
      [5, `dir: ${STORED}`],
      [19, `max_inflight_size: ${NO_EFFECT} (also line 41)`],
      [47, "pkcs12_path and its password: "],
      [60, "[replicator]: "],
    ],
    secrets: ["blue green", "yellow", "open sesame"],
    clients: [
      ["v4.1", 0, { username: "dashboard", password: "blue green" }],
      ["v4.1", 0, { username: "historian", password: "yellow" }],
      ["v4.1", NOBODY_ELSE],
      ["v4.2", 0, CERTIFICATE],
      ["v4.2", -1, CA],
      ["v4.3", 0, CA],
    ],
  },
  {
    file: "g3.toml",
    generation: "G3",
    lines: [
      "[v4.1]",
      "connection_timeout_ms = 60000  # was timeout_ms",
      'auth = { user1 = "p@ssw0rd", user2 = "password" }',
      `verify_client_cert = true  # was implied by capath: ${IMPLIED}`,
      "# gone: [ws]: there is no listener in it",
      'listen = "127.0.0.1:19042"  # was port = 19042',
      'addr = "cloud.example.org:8883"  # was url and port',
      "[bridge.transport.tls.client_auth]",
      'certs = "tls/bridge.cert.pem"',
    ],
    warnings: [
      [5, `instant_ack: ${ACKNOWLEDGED}`],
      [8, "max_read_len: "],
      [23, `max_client_id_len: ${NO_EFFECT}`],
      [27, `max_inflight_size: ${NO_EFFECT} (also lines 44, 61)`],
    ],
    secrets: ["p@ssw0rd"],
    clients: [
      ["v4.1", 0, { username: "user1", password: "p@ssw0rd" }],
      ["v4.1", NOBODY_ELSE],
      ["v4.2", 0, { ...CERTIFICATE, username: "any" }],
      ["v4.2", -1, CA],
      ["v5.1", 0],
    ],
  },
  {
    file: "g4.toml",
    generation: "G4",
    lines: [
      "# small and quick",
      "[router.custom_segment.'/office/+/devices/status']",
      'auth = { user1 = "p@ssw0rd" }',
      'capath = "tls/ca.cert.pem"',
      "# Up to 0.18 capath alone meant verify_client_cert = true; since then only in builds made for it.",
      "[ws.1]",
      'seniors = [[1, "127.0.0.1:11994"]]',
      "[metrics.alerts]",
      "push_interval = 1",
    ],
    warnings: [
      [32, "[v4.2.tls] capath: add verify_client_cert = true if clients had to show"],
      [40, `max_inflight_size: ${NO_EFFECT}`],
    ],
    secrets: ["p@ssw0rd"],
    clients: [
      ["v4.1", 0, { username: "user1", password: "p@ssw0rd" }],
      ["v4.2", 0, CA],
      ["v5.1", 0],
      ["ws.1", 0],
    ],
  },
];

/** Every key of a document with its value, those of arrays of tables too. */
function* leaves(table: unknown): Generator<[name: string, value: unknown]> {
  if (typeof table !== "object" || table === null) return;
  for (const [name, value] of Object.entries(table)) {
    if (typeof value !== "object" || value === null) yield [name, value];
    else {
      if (!Array.isArray(table)) yield [name, value];
      yield* leaves(value);
    }
  }
}

for (const { file, generation, lines, warnings, secrets, clients } of ROWS) {
  describe(file, () => {
    const text = machine.text(file);
    machine.obey(machine.migrated(text).text);
    const result = machine.migrated(text);
    const newLines = result.text.split("\n");

    test(`is of ${generation}`, () => {
      expect(generationOf(parseToml(text, file))).toBe(generation);
    });

    test("becomes today's, each change with its comment", () => {
      expect(result.problems).toEqual([]);
      for (const line of lines) expect(newLines).toContain(line);
      const old = [...leaves(parseToml(machine.relative(text), file))].map(([name, value]) =>
        show(name, value),
      );
      for (const line of newLines) {
        if (line === "" || /^[#[]/.test(line) || line.includes("  # ")) continue;
        const [[name, value] = ["", ""]] = leaves(parseToml(line, "line"));
        expect(old).toContain(show(name, value));
      }
    });

    test("loses no key without a word", () => {
      const isSaid = (name: string): boolean =>
        new RegExp(`(?<![\\w-])${RegExp.escape(name)}(?![\\w-])`).test(result.text);
      const inSecret = new Set([
        "username",
        "password",
        "pkcs12_pass",
        "address",
        "host",
        "transport",
        "topic",
        "url",
      ]);
      for (const [name, value] of leaves(parseToml(text, file))) {
        if (typeof value !== "object" && !inSecret.has(name))
          expect([name, isSaid(name)]).toEqual([name, true]);
      }
    });

    test("warns of what has no equivalent, with its line and without a secret", () => {
      expect(result.warnings).toHaveLength(warnings.length);
      for (const [index, [line, start]] of warnings.entries()) {
        expect(result.warnings[index]).toStartWith(`old.toml:${line}: ${start}`);
      }
      const said = [...result.warnings, ...result.startWarnings].join("\n");
      for (const secret of secrets) {
        expect(text).toContain(secret);
        expect(said).not.toContain(secret);
      }
      const comments = newLines.map((line) => (line.startsWith("#") ? line : (line.split("  # ")[1] ?? "")));
      for (const secret of secrets) expect(comments.join("\n")).not.toContain(secret);
    });

    test("starts the broker, which lets in whom the old one did", async () => {
      const broker = await machine.broker(result.text);
      try {
        for (const [section, code, options] of clients) {
          expect([section, await broker.connect(section, options)]).toEqual([section, code]);
        }
      } finally {
        await broker.stop();
      }
    });
  });
}

function show(name: string, value: unknown): string {
  return `${name} = ${JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? `${part}` : part))}`;
}

describe("what old files may hold besides", () => {
  const rows: readonly (readonly [
    what: string,
    old: string,
    has: readonly string[],
    warnings: readonly string[],
  ])[] = [
    [
      "a limit beyond what is allowed",
      '[v4.1]\nlisten = ":1"\n[v4.1.connections]\nmax_inflight_count = 100000\n',
      ["max_inflight_count = 65535  # was 100000, brought within its range"],
      ["old.toml:4: 100000 is beyond what max_inflight_count can be, 1 to 65535: it is 65535 now"],
    ],
    [
      "packets that need more memory",
      '[v4.1]\nlisten = ":1"\n[v4.1.connections]\nmax_payload_size = 104857600\n',
      [
        'memory = "401MiB"  # was not limited; a packet may take a quarter of it, and the largest is allowed by a listener',
      ],
      ["old.toml:1: [router] memory is 401MiB, as the largest packets that the listeners allow need it"],
    ],
    [
      "a key that nobody knows",
      '[servers.1]\nlisten = "127.0.0.1:1"\nnext_conection_delay_ms = 5\nsecret = "hush"\n',
      [
        "# gone: [servers.1] next_conection_delay_ms: rumqttd has never had such a key; " +
          "perhaps next_connection_delay_ms was meant",
        "# gone: [servers.1] secret: rumqttd has never had such a key",
      ],
      [
        "old.toml:3: [servers.1] next_conection",
        "old.toml:4: [servers.1] secret: rumqttd has never had such a key",
      ],
    ],
    [
      "a user without a password: nobody gets in",
      '[servers.1]\nport = 1\n[servers.1.connections]\nusername = "a"\n',
      ["auth = {}  # was username or password without the other"],
      ["old.toml:4: [servers.1.connections] has only one of username and password: nobody can connect"],
    ],
    [
      "several bridges, as some 0.12 had them",
      '[v4.1]\nlisten = ":1"\n[bridge.1]\nname = "b"\nurl = "::1"\nport = 5\nsub_path = "#"\n[bridge.2]\nname = "c"\n',
      [
        "[bridge]  # was [bridge.1]",
        'addr = "[::1]:5"  # was url and port',
        "# gone: [bridge.2]: there is one bridge",
      ],
      ["old.toml:8: [bridge.2]: there is one bridge"],
    ],
    [
      "today's own keys",
      '[v5.1]\nlisten = "[::]:1"\nversions = [5]\n[v5.1.connections]\nmax_qos = 1\n',
      ["versions = [5]", "max_qos = 1"],
      [],
    ],
  ];
  for (const [what, old, has, warnings] of rows) {
    test(what, () => {
      const result = machine.migrated(old);
      expect(result.problems).toEqual([]);
      for (const line of has) expect(result.text.split("\n")).toContain(line);
      expect(result.warnings).toHaveLength(warnings.length);
      for (const [index, start] of warnings.entries()) expect(result.warnings[index]).toStartWith(start);
      expect(result.text + result.warnings.join()).not.toContain("hush");
    });
  }

  test("names that need quotes, and file names that need them in a shell", () => {
    const file = `[servers.'a b']\nlisten = '127.0.0.1:1'\n[servers.'a b'.cert]\npkcs12_path = "it's.pfx"\n`;
    const { text, problems } = machine.migrated(file);
    expect(text).toContain("[v4.'a b']  # was [servers.'a b']\n");
    expect(text).toContain("#   openssl pkcs12 -in 'it'\\''s.pfx' -nokeys -out 'it'\\''s.cert.pem'\n");
    expect(problems).toEqual([
      expect.stringContaining("[v4.'a b'.tls] certpath = \"it's.cert.pem\": it cannot be read"),
    ]);
  });

  test("a file that would not start is told to be one", () => {
    const text = '[servers.1]\nlisten = "0.0.0.0:1883"\n[servers.2]\nlisten = "0.0.0.0:1883"\n';
    expect(machine.migrated(text).problems).toEqual([
      "new.toml:8: [v4.2] listen: port 1883 is taken by [v4.1] (line 5); every listener needs its own",
    ]);
  });

  test("what is no file of rumqttd is refused", () => {
    for (const text of ["listener 1883\n", "", "[package]\nname = 'x'\n", "[servers"]) {
      expect(() => machine.migrated(text)).toThrow(ConfigError);
    }
  });
});
