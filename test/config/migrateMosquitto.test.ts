// mosquitto's configurations: files of its own in, the new file out, which says of each line what it was, loses nothing
// in silence, shows no secret, and starts a broker that lets in whom mosquitto did.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { pbkdf2Sync } from "node:crypto";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { IClientOptions } from "mqtt";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import { OLD_FOLDER, OldMachine } from "../support/oldConfig.ts";

/** A program is started, and its clients come one after the other. */
setDefaultTimeout(20_000);

const machine = new OldMachine();
afterAll(() => machine.remove());

/** As mosquitto_passwd writes it. */
function passwordLine(user: string, password: string): string {
  const salt = Buffer.from("twelve bytes");
  const hash = pbkdf2Sync(password, salt, 101, 64, "sha512");
  return `${user}:$7$101$${salt.toString("base64")}$${hash.toString("base64")}\n`;
}

writeFileSync(join(machine.folder, "passwords"), passwordLine("dashboard", "blue green"));
copyFileSync(join(OLD_FOLDER, "rules.acl"), join(machine.folder, "rules.acl"));
mkdirSync(join(machine.folder, "run"));

function migrated(text: string, file = "mosquitto.conf") {
  return machine.migrated(text, "mosquitto", file);
}

const CERTIFICATE = { ca: machine.ca, ...machine.client };
const USER = { username: "dashboard", password: "blue green" };

interface Row {
  readonly file: string;
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
  readonly clients: readonly [section: string, code: number, options?: IClientOptions][];
}

const NO_BRIDGE = "bridges are not there yet: no message goes to or comes from the other broker";

const ROWS: readonly Row[] = [
  {
    file: "mosquitto.conf",
    lines: [
      "memory = 134217728  # was memory_limit 134217728",
      "# gone: max_connections: other listeners had no limit, and [router] max_connections is one for all",
      "[mqtt.1]",
      'listen = "127.0.0.1:18830"  # was listener 18830 127.0.0.1',
      "topic_alias_max = 20  # was max_topic_alias 20",
      "allow_empty_client_id = false  # was allow_zero_length_clientid false",
      "max_inflight_count = 40  # was max_inflight_messages 40",
      "max_queued_messages = 5000  # was max_queued_messages 5000",
      "# gone: max_queued_bytes = 0: the default stands, and [router] memory bounds everything",
      "max_keep_alive = 600  # was max_keepalive 600",
      "max_session_expiry = 1209600  # was persistent_client_expiration 2w",
      "retain_available = true  # was retain_available true",
      "max_packet_size = 262144  # was max_packet_size 262144",
      "max_payload_size = 131072  # was message_size_limit 131072",
      "allow_anonymous = false  # was allow_anonymous false",
      "[mqtt.2.tls]",
      'certpath = "tls/server.cert.pem"  # was certfile tls/server.cert.pem',
      'keypath = "tls/server.key.pem"  # was keyfile tls/server.key.pem',
      'capath = "tls/ca.cert.pem"  # was cafile tls/ca.cert.pem',
      "verify_client_cert = true  # was require_certificate true",
      'identity = "cn"  # was use_identity_as_username true',
      'min_version = "1.2"  # was tls_version tlsv1.2',
      'auth_chain = ["certificate"]  # was use_identity_as_username true: the certificate\'s name, whatever else there is',
      "[ws.3]",
      "# was protocol websockets, which [ws.N] says",
      "max_qos = 1  # was max_qos 1",
      "[mqtt.4]",
      'listen = "unix:run/mqtt.sock"  # was listener 0 run/mqtt.sock',
      'dir = "/var/lib/mosquitto/"  # was persistence_location /var/lib/mosquitto/',
      '# gone: autosave_interval = "300": what is stored is written as it comes',
      "[sys]",
      "interval = 10  # was sys_interval 10",
      "[auth.file]",
      'path = "passwords"  # was password_file passwords',
      "[authorization]",
      'acl_file = "rules.acl"  # was acl_file rules.acl',
      'acl_file_subscriptions = "narrow"  # was so: a subscription wider than the rules brings what they let through',
      '# gone: set_tcp_nodelay = "true": it is always so',
      "# gone: upgrade_outgoing_qos = false: QoS is never raised, as the standard says",
      `# gone: connection to-the-cloud: ${NO_BRIDGE}`,
      "#   address cloud.example.org:8883",
      "#   topic plant/# out 1",
      "#   with its remote_username, remote_password, bridge_cafile",
    ],
    warnings: [
      "mosquitto.conf:2: pid_file: ",
      "mosquitto.conf:3: user: ",
      "mosquitto.conf:5: mosquitto.db cannot be read: retained messages and sessions begin anew",
      "mosquitto.conf:8: log_dest: log lines go to stdout: see --log-level and --log-format",
      "mosquitto.conf:9: log_type: log lines go to stdout: see --log-level and --log-format (also line 10)",
      "mosquitto.conf:11: connection_messages: ",
      "mosquitto.conf:33: max_connections: ",
      "mosquitto.conf:45: ciphers: ",
      "mosquitto.conf:50: http_dir: no files are served",
      "mosquitto.d/A.conf:1: auto_id_prefix: ",
      `mosquitto.d/bridge.conf:1: connection to-the-cloud: ${NO_BRIDGE}`,
    ],
    clients: [
      ["mqtt.1", 0, USER],
      ["mqtt.1", 4, { username: "dashboard", password: "wrong" }],
      ["mqtt.1", 5],
      ["mqtt.2", 0, CERTIFICATE],
      ["mqtt.2", 0, { ...CERTIFICATE, username: "other", password: "x" }],
      ["mqtt.2", -1, { ca: machine.ca, ...USER }],
      ["ws.3", 0, USER],
      ["ws.3", 5],
    ],
  },
  {
    file: "mosquitto-per-listener.conf",
    lines: [
      'listen = "127.0.0.1:18840"  # was the default listener: port 18840, bind_address 127.0.0.1',
      "auth_chain = []  # was so: no password file for this listener",
      'listen = "[::1]:18830"  # was listener 18830 ::1',
      'listen = "127.0.0.1:18831"  # was listener 18831 127.0.0.1, socket_domain ipv4',
      "allow_anonymous = false  # was so without allow_anonymous",
      "# gone: listener 18884 127.0.0.1: there is no TLS with pre-shared keys; " +
        "it is left out, not opened in plain text",
      "#   with its psk_hint, psk_file, use_identity_as_username",
      "# gone: per_listener_settings: every listener has a section of its own",
      'auth_chain = ["file"]  # was so: with a certificate, and by the password file',
    ],
    warnings: [
      "mosquitto-per-listener.conf:4: payloads were not limited by message_size_limit; ",
      "mosquitto-per-listener.conf:12: nobody can connect to [mqtt.3], for its plugin is gone: there are no users",
      "mosquitto-per-listener.conf:14: auth_plugin /usr/lib/go-auth.so: ",
      "mosquitto-per-listener.conf:15: auth_opt_backends: ",
      "mosquitto-per-listener.conf:16: auth_opt_pg_password: ",
      "mosquitto-per-listener.conf:18: listener 18884 127.0.0.1: ",
    ],
    clients: [
      ["mqtt.1", 0],
      ["mqtt.1", 0, { username: "anybody", password: "x" }],
      ["mqtt.2", 0],
      ["mqtt.2", 0, USER],
      ["mqtt.2", 4, { username: "anybody", password: "x" }],
      ["mqtt.3", 5],
      ["mqtt.4", 0, { ...CERTIFICATE, ...USER }],
      ["mqtt.4", 5, CERTIFICATE],
    ],
  },
];

for (const { file, lines, warnings, clients } of ROWS) {
  describe(file, () => {
    const result = migrated(machine.text(file), join(OLD_FOLDER, file));
    const newLines = result.text.split("\n");

    test("becomes today's, each line with what it was", () => {
      expect(result.problems).toEqual([]);
      for (const line of lines) expect(newLines).toContain(line);
      for (const line of newLines) expect(line).toMatch(/^$|^[#[]| # was /);
    });

    test("loses no option without a word", () => {
      for (const line of machine.text(file).split("\n")) {
        const [name = ""] = line.split(" ");
        if (line.startsWith("#") || name === "" || SAID_OTHERWISE.has(name)) continue;
        expect([name, newLines.some((text) => new RegExp(`\\b${name}\\b`).test(text))]).toEqual([name, true]);
      }
    });

    test("warns of what has no equivalent, with file and line and without a secret", () => {
      const said = result.warnings.map((warning) => warning.replaceAll(`${OLD_FOLDER}/`, ""));
      expect(said.map((text, index) => text.startsWith(warnings[index] ?? "?"))).toEqual(
        warnings.map(() => true),
      );
      expect(said).toHaveLength(warnings.length);
      expect([...said, result.text].join("\n")).not.toContain("tell nobody");
    });

    test("starts a broker that lets in whom mosquitto did", async () => {
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

/** Said by what stands there in their place. */
const SAID_OTHERWISE: ReadonlySet<string> = new Set([
  "persistence",
  "include_dir",
  "per_listener_settings",
  "psk_hint",
  "psk_file",
  "use_identity_as_username",
]);

describe("each option", () => {
  /** The only listener of a file. */
  function listener(text: string): ListenerSettings | undefined {
    const { settings } = parseConfig({ text: migrated(text).text, file: "new.toml" });
    return settings.listeners[0];
  }

  test("of addresses", () => {
    const rows: readonly [string, string, number][] = [
      ["", "127.0.0.1", 1883],
      ["log_type all", "127.0.0.1", 1883],
      ["password_file passwords", "127.0.0.1", 1883],
      ["max_qos 1", "::", 1883],
      ["port 77", "::", 77],
      ["bind_address localhost", "localhost", 1883],
      ["socket_domain ipv4\nport 77", "0.0.0.0", 77],
      ["listener 77", "::", 77],
      ["  listener   77   10.0.0.1  ", "10.0.0.1", 77],
      ["listener 77 fe80::1", "fe80::1", 77],
      ["max_queued_messages 5\nlistener 77", "::", 77],
      ["max_topic_alias 5\nlistener 77 ::1", "::1", 77],
    ];
    for (const [text, host, port] of rows) {
      const { host: is, port: isPort } = listener(text) ?? {};
      expect([text, is as string, isPort as number]).toEqual([text, host, port]);
    }
  });

  test("before the first listener opens the default one, or concerns none", () => {
    const two = parseConfig({ text: migrated("max_qos 1\nlistener 77").text, file: "x" }).settings.listeners;
    expect(two.map(({ port, qosMax }) => [port, qosMax])).toEqual([
      [1883, 1],
      [77, 2],
    ]);
    expect(migrated("http_dir /www\nlistener 77").warnings[0]).toBe(
      "mosquitto.conf:1: http_dir: it stands before the first listener and concerned none",
    );
  });

  test("of limits", () => {
    const rows: readonly [string, (one: ListenerSettings) => unknown, unknown][] = [
      ["max_inflight_messages 0", ({ inflightMax }) => inflightMax, 65_535],
      ["max_queued_messages 0", ({ queueMessagesMax }) => queueMessagesMax, 0xffff_ffff],
      ["max_queued_bytes 5000000", ({ queueBytesMax }) => queueBytesMax, 5_000_000],
      ["max_keepalive 65535", ({ keepAliveMax }) => keepAliveMax, 65_535],
      ["persistent_client_expiration 1h", ({ sessionExpiryMax }) => sessionExpiryMax, 3_600],
      ["persistent_client_expiration 3d", ({ sessionExpiryMax }) => sessionExpiryMax, 3 * 86_400],
      ["persistent_client_expiration 2m", ({ sessionExpiryMax }) => sessionExpiryMax, 60 * 86_400],
      ["persistent_client_expiration 1y", ({ sessionExpiryMax }) => sessionExpiryMax, 365 * 86_400],
      ["retain_available false", ({ retainAvailable }) => retainAvailable, false],
      ["max_packet_size 20", ({ packetBytesMax }) => packetBytesMax, 128],
      ["max_packet_size 5000", ({ payloadBytesMax }) => payloadBytesMax, 5_000],
      ["message_size_limit 5000", ({ payloadBytesMax }) => payloadBytesMax, 5_000],
      ["message_size_limit 0", ({ payloadBytesMax }) => payloadBytesMax, 1 << 20],
      ["accept_protocol_versions 3,4", ({ versions }) => versions, [3, 4]],
    ];
    for (const [text, value, expected] of rows) {
      const one = listener(`listener 77\n${text}`);
      expect([text, one === undefined ? undefined : value(one)]).toEqual([text, expected]);
    }
  });

  test("of the broker as a whole", () => {
    const settings = (text: string) => parseConfig({ text: migrated(text).text, file: "x" }).settings;
    const both = settings("listener 77\nmax_connections 5\nlistener 78\nmax_connections 6\n");
    expect(both.router.connectionsMax).toBe(11);
    expect(settings("listener 77\nmax_connections -1\n").router.connectionsMax).toBe(10_010);
    expect(settings("listener 77\nglobal_max_connections 7\n").router.connectionsMax).toBe(7);
    expect(settings("listener 77\nmemory_limit 1000\n").router.memoryBytes).toBe(16 << 20);
    expect(settings("listener 77\nmessage_size_limit 200000000\n").router.memoryBytes).toBeGreaterThan(
      800_000_000,
    );
  });

  test("that is wrong or unknown is told", () => {
    const rows: readonly [string, string][] = [
      ["max_qos high", "mosquitto.conf:2: max_qos is not what mosquitto takes, and is left out"],
      [
        "retain_available yes",
        "mosquitto.conf:2: retain_available is not what mosquitto takes, and is left out",
      ],
      ["persistent_client_expiration 5", "mosquitto.conf:2: persistent_client_expiration is not what"],
      [
        "max_inflght_messages 5",
        "mosquitto.conf:2: max_inflght_messages: no option of mosquitto's that is known here; perhaps max_inflight_messages was meant",
      ],
      ["listener many", "mosquitto.conf:2: listener: it is not what mosquitto takes"],
      [
        "include_dir nowhere",
        "mosquitto.conf:2: include_dir nowhere cannot be read, and nothing of it is migrated",
      ],
      [
        "allow_anonymous false",
        "mosquitto.conf:1: nobody can connect to [mqtt.1], as before: there are no users",
      ],
      ["upgrade_outgoing_qos true", "mosquitto.conf:2: upgrade_outgoing_qos: "],
      [
        "use_username_as_clientid true",
        "mosquitto.conf:2: use_username_as_clientid: the Client Identifier is not replaced",
      ],
      ["certfile c\ntls_version tlsv1.1", "mosquitto.conf:3: tls_version tlsv1.1: TLS 1.2 is the least"],
    ];
    for (const [text, warning] of rows) {
      const { warnings } = migrated(`listener 77\n${text}`);
      expect(warnings).toContainEqual(expect.stringContaining(warning));
    }
  });

  test("of TLS without a certificate of the listener's own made no TLS", () => {
    const text =
      "listener 77\nallow_anonymous true\nmessage_size_limit 9\ncafile ca.pem\nrequire_certificate true\ntls_version tlsv1.3";
    const result = migrated(`\uFEFF${text}\nuse_identity_as_username true\n`);
    expect([result.problems, result.warnings]).toEqual([[], []]);
    expect(result.text).not.toContain(".tls]");
    for (const name of ["cafile", "require_certificate", "tls_version", "use_identity_as_username"]) {
      expect(result.text).toContain(`# gone: ${name}: without certfile there was no TLS\n`);
    }
  });

  test("that is idle is not warned of", () => {
    const idle = [
      "upgrade_outgoing_qos false",
      "queue_qos0_messages false",
      "max_inflight_bytes 0",
      "set_tcp_nodelay true",
    ];
    const { warnings } = migrated(
      `listener 77\nallow_anonymous true\nmessage_size_limit 9\n${idle.join("\n")}`,
    );
    expect(warnings).toEqual([]);
  });
});

test("payloads that were not limited are spoken of", () => {
  const { text, warnings } = migrated("listener 77\nallow_anonymous true\n");
  expect(text).toContain("# max_payload_size was not limited; without this key it is 1 MiB.\n");
  expect(warnings).toEqual([
    expect.stringContaining("mosquitto.conf:1: payloads were not limited by message_size_limit"),
  ]);
});

test("what is no file of mosquitto is refused", () => {
  for (const text of ["[v4.1]\nlisten = ':1'\n", "id = 0\n"])
    expect(() => migrated(text)).toThrow(ConfigError);
});
