// Each key of the table, changed by a reload while everything else stays: the report names it, says of what is in force
// that it is applied and of the rest that it takes a restart, and /config shows what is in force.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Running } from "../../src/cli/running.ts";
import { findConfig } from "../../src/config/find.ts";
import { readConfig } from "../../src/config/load.ts";
import type { Key } from "../../src/config/key.ts";
import { createLogger } from "../../src/config/logger.ts";
import { type Place, PLACES } from "../../src/config/places.ts";
import { keyText } from "../../src/config/problems.ts";
import { Authority } from "../support/certificates.ts";
import { WireClient } from "../support/wireClient.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-keys-"));
const path = join(folder, "millrace.toml");
const authority = new Authority();
const first = authority.server("localhost");
const second = { cert: join(folder, "cert"), key: join(folder, "key") };
copyFileSync(first.cert, second.cert);
copyFileSync(first.key, second.key);
for (const file of ["users", "users2", "acl", "acl2"]) writeFileSync(join(folder, file), "");
writeFileSync(join(folder, "secret"), "s".repeat(64));
writeFileSync(join(folder, "secret2"), "t".repeat(64));
copyFileSync(authority.cert, join(folder, "ca"));
const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
writeFileSync(
  join(folder, "jwks"),
  JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), alg: "ES256" }] }),
);

/** Ports that nobody has now. */
function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = servers.map(({ port }) => port);
  for (const server of servers) server.stop();
  return ports;
}

const [consolePort = 0, otherPort = 0] = freePorts(2);
const SEGMENT = "router.custom_segment.'filter'";
const CONSOLE = [`listen = "127.0.0.1:${consolePort}"`];
const USERS = ["u:p", "other:p", "u:other"].map((user) => `Basic ${btoa(user)}`);

const at = (file: string): string => `"${join(folder, file)}"`;
const LISTENER = 'listen = "127.0.0.1:0"';
const OPTIONAL = 'verify_client_cert = "optional"';
const TLS = [
  `certpath = "${first.cert}"`,
  `keypath = "${first.key}"`,
  `capath = "${authority.cert}"`,
  OPTIONAL,
];
const SNI = ['host = "a.test"', ...TLS.slice(0, 2)];
const JWT = [`secret_file = ${at("secret")}`];
const HTTP = ['url = "http://127.0.0.1:1/"'];
const BRIDGE = ['name = "b"', 'addr = "other:1883"', 'sub_path = "a/#"'];
const RULE = ['users = ["u"]', 'allow = ["publish"]', 'filters = ["a/%c"]'];

/** What stands in a section whatever else does, by the pattern of its path, `N` being 1. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  "mqtt.N.tls": TLS,
  "ws.N.tls": TLS,
  "v4.N.tls": TLS,
  "v5.N.tls": TLS,
  "mqtt.N.tls.sni": SNI,
  "ws.N.tls.sni": SNI,
  "v4.N.tls.sni": SNI,
  "v5.N.tls.sni": SNI,
  "v4.N": [LISTENER],
  "v5.N": [LISTENER],
  "mqtt.N": [LISTENER],
  "ws.N": [LISTENER],
  "auth.file": [`path = ${at("users")}`],
  "auth.jwt": JWT,
  "auth.http": HTTP,
  acl: RULE,
  console: [`listen = "127.0.0.1:${consolePort}"`, 'user = "u"', 'password = "p"'],
  prometheus: ['listen = "127.0.0.1:0"'],
  "metrics.alerts": [],
  "metrics.meters": [],
  bridge: BRIDGE,
  "bridge.connections": [],
  "bridge.transport.tls": ['ca = "ca"'],
  "bridge.transport.tls.client_auth": ['certs = "c"', 'key = "k"'],
  cluster: ["node_id = 1", 'listen = ":1993"'],
};

/** Sections that must be there too. */
const ABOVE: Readonly<Record<string, readonly string[]>> = {
  "mqtt.N.tls.sni": ["mqtt.N", "mqtt.N.tls"],
  "ws.N.tls.sni": ["ws.N", "ws.N.tls"],
  "v4.N.tls.sni": ["v4.N", "v4.N.tls"],
  "v5.N.tls.sni": ["v5.N", "v5.N.tls"],
  "mqtt.N.tls": ["mqtt.N"],
  "ws.N.tls": ["ws.N"],
  "v4.N.tls": ["v4.N"],
  "v5.N.tls": ["v5.N"],
  "mqtt.N.connections": ["mqtt.N"],
  "ws.N.connections": ["ws.N"],
  "v4.N.connections": ["v4.N"],
  "v5.N.connections": ["v5.N"],
  auth: ["auth.file", "auth.jwt"],
  "bridge.connections": ["bridge"],
  "bridge.transport.tls": ["bridge"],
  "bridge.transport.tls.client_auth": ["bridge", "bridge.transport.tls"],
};

/** Other values, where one that differs from the default is not enough. */
const OTHERS: Readonly<Record<string, string>> = {
  listen: '"localhost:0"',
  mode: '"0600"',
  trusted_proxies: '["10.0.0.0/8"]',
  proxy_protocol: 'true\ntrusted_proxies = ["10.0.0.0/8"]',
  path: '"/other"',
  origins: '["https://example.org"]',
  certpath: `"${second.cert}"`,
  keypath: `"${second.key}"`,
  capath: at("ca"),
  ca_file: at("ca"),
  crlpath: `"${authority.revoke([])}"`,
  public_key_file: `"${first.cert}"`,
  jwks_file: at("jwks"),
  listeners: '["v4.keep"]',
  allow: '["subscribe"]',
  node_id: "2",
  "auth.file path": at("users2"),
  secret_file: at("secret2"),
  acl_file: at("acl"),
  url: '"http://127.0.0.1:2/"',
  jwks_url: '"http://127.0.0.1:2/"',
  algorithms: '["HS512"]',
  filters: '["b/#"]',
  auth_chain: '["certificate"]',
  chain: '["jwt"]',
  exempt: '["10.0.0.1"]',
  addr: '"elsewhere:1883"',
  topic: '"$other/x"',
  seniors: '[[2, "b:1993"]]',
  claims: '["a=b"]',
  "auth.jwt claims": '["a"]',
  initialized_filters: '["x"]',
  sub_path: '"b/#"',
};

function other(pattern: string, name: string, key: Key): string {
  const own = OTHERS[`${pattern} ${name}`] ?? OTHERS[name];
  if (own !== undefined) return own;
  const { kind, choices = [], minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = key;
  const was = key.default;
  if (kind === "integer" || kind === "size") {
    const number = typeof was === "number" ? was : minimum;
    return `${number * 2 + 1 <= maximum ? Math.max(number * 2 + 1, minimum) : minimum}`;
  }
  if (kind === "boolean" || kind === "toggle") return was === true ? "false" : "true";
  if (kind === "versions") return "[4, 5]";
  if (kind === "users") return '{ anna = "secret" }';
  if (kind === "texts") return JSON.stringify([choices.find((one) => !String(was).startsWith(one)) ?? "x"]);
  if (kind === "choice" || kind === "strategy") {
    const all = kind === "strategy" ? ["random", "sticky"] : choices;
    return JSON.stringify(all.find((one) => one !== was));
  }
  return '"other"';
}

/** A configuration with the section that `place` is, in which `line` stands, and what it needs. */
function fileWith({ pattern, isList }: Place, line: string): string {
  const name = pattern.join(".");
  const lines = new Map<string, readonly string[]>([
    ["v4.keep", [LISTENER]],
    [SEGMENT, ["max_segment_size = 1048576", "max_segment_count = 2"]],
  ]);
  lines.set("console", CONSOLE);
  for (const above of ABOVE[name] ?? []) lines.set(above, BESIDE[above] ?? []);
  const given = `${/^\w+/.exec(line)?.[0]} = `;
  const beside = (BESIDE[name] ?? lines.get(name) ?? []).filter(
    (one) => !one.startsWith(given) && !isInstead(one, line),
  );
  if (name !== "") lines.set(name, [...beside, line]);
  const sections = [...lines].map(([title, rows]) => {
    const path = title.replace(/\bN\b/, "1").replace("'filter'", "'a/#'");
    return `${isList && title === name ? `[[${path}]]` : `[${path}]`}\n${rows.join("\n")}`;
  });
  return `${name === "" ? line : ""}\n${sections.join("\n")}\n`;
}

/** Of these keys a section has one. */
function isInstead(one: string, line: string): boolean {
  const pairs = [
    ["allow", "deny"],
    ["listen", "port"],
    ["secret_file", "public_key_file"],
  ];
  pairs.push(["secret_file", "jwks_file"], ["secret_file", "jwks_url"]);
  return pairs.some(([key, instead]) => one.startsWith(`${key} =`) && line.startsWith(`${instead} =`));
}

interface Report {
  readonly applied: readonly string[];
  readonly needsRestart: readonly string[];
}

/** What stands at `path` in the configuration that the console shows. */
function valueAt(values: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (table, part) => (table as Record<string | number, unknown> | undefined)?.[part],
    values,
  );
}

describe("each key", () => {
  let running: Running;
  const reload = async (text: string): Promise<Report> => {
    writeFileSync(path, text);
    return running.reload();
  };
  const shown = async (): Promise<unknown> => {
    for (const port of [consolePort, otherPort]) {
      for (const authorization of USERS) {
        const asked = fetch(`http://127.0.0.1:${port}/config`, { headers: { authorization } });
        const answer = await asked.catch(() => null);
        if (answer?.ok) return answer.json();
      }
    }
    throw new Error("no console answers");
  };

  beforeAll(async () => {
    writeFileSync(path, fileWith({ pattern: [] } as unknown as Place, ""));
    const found = findConfig(path);
    const logger = createLogger({ level: "silent", format: "json" });
    running = await Running.start(path, found, readConfig(found, {}), logger);
  });
  afterAll(async () => {
    await running.stop();
    authority.remove();
    rmSync(folder, { recursive: true });
  });

  for (const place of PLACES) {
    const pattern = place.pattern.join(".");
    const title = place.pattern.map((part) => (part === "N" ? "1" : part === "'filter'" ? "a/#" : part));
    for (const [name, key] of Object.entries(place.keys)) {
      test(`[${pattern}] ${name}`, async () => {
        const at = [...title, ...(place.isList ? [0] : []), name];
        const before = fileWith(place, "");
        const value =
          pattern === "console" && name === "listen" ? `"127.0.0.1:${otherPort}"` : other(pattern, name, key);
        await reload(before);
        const old = await shown();
        for (const [text, isBack] of [
          [fileWith(place, `${name} = ${value}`), false],
          [before, true],
        ] as const) {
          const { applied, needsRestart } = await reload(text);
          const now = await shown();
          const isNamed = (line: string): boolean => line.startsWith(`${keyText(at)}: `);
          if (key.effect === "none") {
            expect(applied).toEqual([]);
            expect(now).toEqual(old);
          } else if (key.restart === true) {
            expect(applied).toEqual([]);
            expect(needsRestart.filter(isNamed)).toHaveLength(isBack ? 0 : 1);
            expect(valueAt(now, at)).toEqual(valueAt(old, at));
          } else {
            expect({ applied, needsRestart, named: applied.filter(isNamed).length }).toMatchObject({
              needsRestart: [],
              named: 1,
            });
            const isHidden = key.secret === true || key.kind === "users";
            if (isBack) expect(now).toEqual(old);
            else if (!isHidden) expect(valueAt(now, at)).not.toEqual(valueAt(old, at));
          }
        }
      });
    }
  }

  // ---- what is said to be applied is what the next client finds

  const ANSWERS: readonly (readonly [line: string, answer: Readonly<Record<string, unknown>>])[] = [
    ["max_qos = 1", { properties: { maximumQoS: 1 } }],
    ["retain_available = false", { properties: { retainAvailable: false } }],
    ["wildcard_available = false", { properties: { wildcardSubscriptionAvailable: false } }],
    ["shared_available = false", { properties: { sharedSubscriptionAvailable: false } }],
    [
      "subscription_identifiers_available = false",
      { properties: { subscriptionIdentifiersAvailable: false } },
    ],
    ["max_keep_alive = 7", { properties: { serverKeepAlive: 7 } }],
    ["max_session_expiry = 5", { properties: { sessionExpiryInterval: 5 } }],
    ["receive_maximum = 9", { properties: { receiveMaximum: 9 } }],
    ["topic_alias_max = 3", { properties: { topicAliasMaximum: 3 } }],
    ["max_packet_size = 200", { properties: { maximumPacketSize: 200 } }],
    ["max_client_id_len = 3", { reasonCode: 0x85 }],
    ['client_id_characters = "abc"', { reasonCode: 0x85 }],
    ["allow_anonymous = false", { reasonCode: 0x87 }],
    ['auth = { anna = "secret" }', { reasonCode: 0x87 }],
  ];
  const connections = PLACES.find(({ pattern }) => pattern.join(".") === "v4.N.connections")!;

  for (const [line, answer] of ANSWERS) {
    test(`${line} is what clients are told`, async () => {
      const told = async (): Promise<unknown> => {
        const port = running.broker.listeners.find(({ section }) => section === "v4.1")?.port ?? 0;
        const client = await WireClient.open(port, 5);
        const properties = { sessionExpiryInterval: 100 };
        await client.send(client.connectPacket({ clientId: "someone", keepalive: 60, properties }));
        const answer = await client.expect("connack");
        client.cut();
        return answer;
      };
      await reload(fileWith(connections, ""));
      expect(await told()).toMatchObject({ reasonCode: 0 });
      expect(await told()).not.toMatchObject(answer);
      await reload(fileWith(connections, line));
      expect(await told()).toMatchObject(answer);
      await reload(fileWith(connections, ""));
      expect(await told()).not.toMatchObject(answer);
    });
  }
});
