// One row of tests for each row of the key table: default, minimum, maximum, beyond both, wrong type.

import { afterAll, describe, expect, test } from "bun:test";
import { ACL_KEYS, AUTHORIZATION_KEYS } from "../../src/config/aclKeys.ts";
import {
  AUTH_FILE_KEYS,
  AUTH_HTTP_KEYS,
  AUTH_JWT_KEYS,
  AUTH_KEYS,
  AUTH_LIMIT_KEYS,
} from "../../src/config/authKeys.ts";
import { type Key, type Keys, TIB } from "../../src/config/key.ts";
import { ROUTER_KEYS, SECTIONS, SEGMENT_KEYS, TOP_KEYS } from "../../src/config/keys.ts";
import {
  BRIDGE_CLIENT_KEYS,
  BRIDGE_CONNECTION_KEYS,
  BRIDGE_KEYS,
  BRIDGE_TLS_KEYS,
  CLUSTER_KEYS,
} from "../../src/config/linkKeys.ts";
import {
  CONNECTION_KEYS,
  LISTENER_KEYS,
  MQTT_LISTENER_KEYS,
  WS_LISTENER_KEYS,
} from "../../src/config/listenerKeys.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { defaultToml } from "../../src/config/reference.ts";
import {
  ALERT_KEYS,
  CONSOLE_KEYS,
  METER_KEYS,
  PROMETHEUS_KEYS,
  SYS_KEYS,
} from "../../src/config/serviceKeys.ts";
import { SNI_KEYS, TLS_KEYS } from "../../src/config/transportKeys.ts";
import { readAddress, readValue, sizeText } from "../../src/config/values.ts";
import { Authority } from "../support/certificates.ts";

interface Place {
  readonly keys: Keys;
  /** A file in which the line takes effect. */
  readonly file: (line: string) => string;
  readonly label: string;
}

const LISTEN = 'listen = "127.0.0.1:1883"';

const authority = new Authority();
afterAll(() => authority.remove());
const { cert, key: privateKey } = authority.server();
const TLS = [`certpath = "${cert}"`, `keypath = "${privateKey}"`];

/** The places of one kind of listener. */
function listenerPlaces(section: string, keys: Keys): Place[] {
  const head = `[router]\n${ROOM}\n[${section}]\n`;
  return [
    { keys, label: `[${section}] `, file: (line) => `${head}${beside(line, [LISTEN])}` },
    {
      keys: CONNECTION_KEYS,
      label: `[${section}.connections] `,
      file: (line) => `${head}${LISTEN}\n[${section}.connections]\n${line}`,
    },
    {
      keys: TLS_KEYS,
      label: `[${section}.tls] `,
      file: (line) => `${head}${LISTEN}\n[${section}.tls]\n${beside(line, TLS)}`,
    },
    {
      keys: SNI_KEYS,
      label: `[${section}.tls.sni[0]] `,
      file: (line) =>
        `${head}${LISTEN}\n[${section}.tls]\n${TLS.join("\n")}\n[[${section}.tls.sni]]\n` +
        beside(line, [...TLS, 'host = "localhost"']),
    },
  ];
}

/** `line`, after those of `lines` that do not give its key. */
function beside(line: string, lines: readonly string[]): string {
  const given = /^\w+ = /.exec(line)?.[0] ?? "";
  const others = lines.filter((other) => !other.startsWith(given));
  return [...others, line].join("\n");
}

const ONE_LISTENER = `[v4.1]\n${LISTEN}`;
const JWT = 'public_key_file = "key.pem"';
const HTTP = 'url = "http://127.0.0.1:1/"';
const ALL_AUTH = `[auth.file]\npath = "users"\n[auth.jwt]\n${JWT}\n[auth.http]\n${HTTP}`;
const RULE = ['allow = ["publish"]', 'filters = ["a/%c"]'];
const BRIDGE = ['name = "b"', 'addr = "other:1883"', 'sub_path = "a/#"'];

const CONSOLE = ['listen = "127.0.0.1:1"', 'user = "u"', 'password = "p"'];
const PROMETHEUS = ['listen = "127.0.0.1:1"'];

/** Memory is large here, so that only the key's own range is in the way. */
const ROOM = 'memory = "1TiB"';

const PLACES: readonly Place[] = [
  { keys: TOP_KEYS, label: "", file: (line) => `${line}\n[v4.1]\n${LISTEN}` },
  {
    keys: ROUTER_KEYS,
    label: "[router] ",
    file: (line) => `[router]\n${line.startsWith("memory") ? "" : ROOM}\n${line}\n[v4.1]\n${LISTEN}`,
  },
  {
    keys: SEGMENT_KEYS,
    label: "[router.custom_segment.'a/#'] ",
    file: (line) => `[router.custom_segment.'a/#']\n${line}\n[v4.1]\n${LISTEN}`,
  },
  ...listenerPlaces("v4.1", LISTENER_KEYS),
  ...listenerPlaces("mqtt.1", MQTT_LISTENER_KEYS),
  ...listenerPlaces("ws.1", WS_LISTENER_KEYS),
  {
    keys: AUTH_KEYS,
    label: "[auth] ",
    file: (line) => `${ONE_LISTENER}\n[auth]\n${line}\n${ALL_AUTH}`,
  },
  {
    keys: AUTH_FILE_KEYS,
    label: "[auth.file] ",
    file: (line) => `${ONE_LISTENER}\n[auth.file]\n${line}`,
  },
  {
    keys: AUTH_JWT_KEYS,
    label: "[auth.jwt] ",
    file: (line) =>
      `${ONE_LISTENER}\n[auth.jwt]\n${/^(?!ca_)\w+_(?:file|url) /.test(line) ? "" : JWT}\n${line}`,
  },
  {
    keys: AUTH_HTTP_KEYS,
    label: "[auth.http] ",
    file: (line) => `${ONE_LISTENER}\n[auth.http]\n${beside(line, [HTTP])}`,
  },
  {
    keys: AUTH_LIMIT_KEYS,
    label: "[auth.limits] ",
    file: (line) => `${ONE_LISTENER}\n[auth.limits]\n${line}`,
  },
  {
    keys: AUTHORIZATION_KEYS,
    label: "[authorization] ",
    file: (line) => `${ONE_LISTENER}\n[authorization]\n${line}`,
  },
  {
    keys: ACL_KEYS,
    label: "[acl[0]] ",
    file: (line) =>
      `${ONE_LISTENER}\n[[acl]]\n${beside(line, line.startsWith("deny") ? RULE.slice(1) : RULE)}`,
  },
  {
    keys: CONSOLE_KEYS,
    label: "[console] ",
    file: (line) => `${ONE_LISTENER}\n[console]\n${beside(line, CONSOLE)}`,
  },
  {
    keys: PROMETHEUS_KEYS,
    label: "[prometheus] ",
    file: (line) =>
      `${ONE_LISTENER}\n[prometheus]\n${beside(line, line.startsWith("port") ? [] : PROMETHEUS)}`,
  },
  { keys: SYS_KEYS, label: "[sys] ", file: (line) => `${ONE_LISTENER}\n[sys]\n${line}` },
  {
    keys: ALERT_KEYS,
    label: "[metrics.alerts] ",
    file: (line) => `${ONE_LISTENER}\n[metrics.alerts]\n${line}`,
  },
  {
    keys: METER_KEYS,
    label: "[metrics.meters] ",
    file: (line) => `${ONE_LISTENER}\n[metrics.meters]\n${line}`,
  },
  {
    keys: BRIDGE_KEYS,
    label: "[bridge] ",
    file: (line) => `${ONE_LISTENER}\n[bridge]\n${beside(line, BRIDGE)}`,
  },
  {
    keys: BRIDGE_CONNECTION_KEYS,
    label: "[bridge.connections] ",
    file: (line) => `${ONE_LISTENER}\n[bridge]\n${BRIDGE.join("\n")}\n[bridge.connections]\n${line}`,
  },
  {
    keys: BRIDGE_TLS_KEYS,
    label: "[bridge.transport.tls] ",
    file: (line) =>
      `${ONE_LISTENER}\n[bridge]\n${BRIDGE.join("\n")}\n[bridge.transport.tls]\n${beside(line, ['ca = "ca"'])}`,
  },
  {
    keys: BRIDGE_CLIENT_KEYS,
    label: "[bridge.transport.tls.client_auth] ",
    file: (line) =>
      `${ONE_LISTENER}\n[bridge]\n${BRIDGE.join("\n")}\n[bridge.transport.tls]\nca = "ca"\n` +
      `[bridge.transport.tls.client_auth]\n${beside(line, ['certs = "c"', 'key = "k"'])}`,
  },
  {
    keys: CLUSTER_KEYS,
    label: "[cluster] ",
    file: (line) => `${ONE_LISTENER}\n[cluster]\n${beside(line, ["node_id = 1", 'listen = ":1993"'])}`,
  },
];

function parse(text: string): ReturnType<typeof parseConfig> {
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

/** Values of a type that the key does not take. */
const WRONG_TYPES: Readonly<Record<Key["kind"], readonly string[]>> = {
  integer: ['"12"', "true", "1.0", "[1]"],
  size: ['"12 parsecs"', "true", "1.0", '"-1"'],
  boolean: ['"true"', "1"],
  text: ["1", '""', "true"],
  strategy: ['"fastest"', "1", '""'],
  address: ["1883", '"1883"', '"127.0.0.1"', '"::1:1883"', '"a:65536"', '"[::1]"', '"a b:1"'],
  endpoint: ["1883", '"127.0.0.1"', '"a:65536"', '"unix:"', '"unix:relative/path"', '"unix"'],
  versions: ["4", "[]", "[6]", '["4"]'],
  filters: ['"a"', '["a/#/b"]', "[1]", '["$share/g/a"]', '[""]'],
  choice: ['"no such choice"', "1", '""'],
  toggle: ['"no such choice"', "1", '"true"'],
  texts: ['"a"', "[1]", '[""]', "true"],
  nodes: ["1", "[1]", '[[1, "a:1", 2]]', '[["1", "a:1"]]', '[[1, "a"]]', '[[65536, "a:1"]]'],
  users: ['"alice"', "[1]", "{ alice = 1 }"],
};

describe("each key", () => {
  for (const { keys, file, label } of PLACES) {
    for (const [name, key] of Object.entries(keys)) {
      const lineOf = (line: string): number => file(line).split("\n").indexOf(line) + 1;

      test(`${label}${name} has a default that it accepts itself`, () => {
        expect(key.doc).toMatch(/^\S.*[^.\s]$/);
        const text = defaultToml(key);
        if (text !== undefined) expect(problems(file(`${name} = ${text}`))).toEqual([]);
      });

      test(`${label}${name} keeps to its range`, () => {
        if (key.kind !== "integer" && key.kind !== "size") return;
        const { minimum = 0, maximum = 0 } = key;
        expect(minimum).toBeLessThanOrEqual(maximum);
        if (typeof key.default === "number") expect(key.default).toBeWithin(minimum, maximum + 1);
        for (const value of [minimum, maximum]) expect(problems(file(`${name} = ${value}`))).toEqual([]);
        for (const value of [BigInt(minimum) - 1n, BigInt(maximum) + 1n]) {
          const line = `${name} = ${value}`;
          const found = problems(file(line));
          expect(found).toHaveLength(1);
          expect(found[0]).toStartWith(`test.toml:${lineOf(line)}: ${label}${name} = ${value}: must be `);
          const shown = key.kind === "size" ? sizeText(maximum) : `${maximum}`;
          expect(found[0]).toContain(shown);
        }
      });

      test(`${label}${name} refuses other types`, () => {
        for (const value of WRONG_TYPES[key.kind]) {
          const line = `${name} = ${value}`;
          const found = problems(file(line));
          expect(found).toHaveLength(1);
          expect(found[0]).toStartWith(`test.toml:${lineOf(line)}: ${label}${name}`);
          expect(found[0]).toContain("must be ");
        }
      });
    }
  }

  test("every table of keys is tested", () => {
    expect(new Set(PLACES.map(({ keys }) => keys))).toEqual(new Set(SECTIONS.map(({ keys }) => keys)));
  });
});

test("old keys are accepted without effect, with a warning", () => {
  for (const { keys, file, label } of PLACES) {
    for (const [name, key] of Object.entries(keys)) {
      if (key.effect !== "none") continue;
      const value = key.kind === "users" ? "{ a = 'b' }" : "1";
      const { warnings } = parse(file(`${name} = ${value}`));
      const old = warnings.filter((warning) => warning.includes("old key"));
      expect(old).toHaveLength(1);
      expect(old[0]).toContain(`${label}${name} is an old key without effect`);
    }
  }
});

test("sizes are integers or numbers with a unit", () => {
  const key: Key = { kind: "size", default: 0, minimum: 0, maximum: TIB, doc: "x" };
  const rows: readonly [unknown, number | undefined][] = [
    [5n, 5],
    ["5", 5],
    ["5 B", 5],
    ["64MiB", 67_108_864],
    ["64 mib", 67_108_864],
    ["1kB", 1_000],
    ["1_000 KB", 1_000_000],
    ["2GB", 2_000_000_000],
    ["1TiB", TIB],
    ["2TiB", undefined],
    ["1.5MiB", undefined],
    ["MiB", undefined],
    [5, undefined],
  ];
  for (const [raw, bytes] of rows) {
    const reading = readValue(key, raw);
    expect("value" in reading ? reading.value : undefined).toBe(bytes);
  }
});

test("addresses are host and port", () => {
  const rows: readonly [string, string | undefined, number | undefined][] = [
    ["0.0.0.0:1883", "0.0.0.0", 1883],
    ["[::]:1883", "::", 1883],
    ["[fe80::1%eth0]:1", "fe80::1%eth0", 1],
    [":1883", "0.0.0.0", 1883],
    ["broker.example-1.org:0", "broker.example-1.org", 0],
    ["localhost:65535", "localhost", 65535],
    ["localhost:65536", undefined, undefined],
    ["::1:1883", undefined, undefined],
    ["localhost", undefined, undefined],
    ["http://localhost:1", undefined, undefined],
  ];
  for (const [text, host, port] of rows) {
    const address = readAddress(text);
    expect(address?.host).toBe(host as string);
    expect(address?.port).toBe(port as number);
  }
});
