// What people read about the keys, drawn from the one table: the sample file, the README's table, `--help`.
// Tests keep config/demo.toml and README.md equal to what these functions return.

import { assert } from "../base/assert.ts";
import { AUTHORIZATION_KEYS } from "./aclKeys.ts";
import { AUTH_FILE_KEYS, AUTH_HTTP_KEYS, AUTH_JWT_KEYS, AUTH_KEYS, AUTH_LIMIT_KEYS } from "./authKeys.ts";
import type { Key, Keys } from "./key.ts";
import { ROUTER_KEYS, SECTIONS } from "./keys.ts";
import { CONNECTION_KEYS, LISTENER_KEYS } from "./listenerKeys.ts";
import { sizeText, STRATEGIES } from "./values.ts";

const HELP_LINE_MAX = 100;

/** Keys that do something. */
function liveKeys(keys: Keys): [string, Key][] {
  return Object.entries(keys).filter(([, key]) => key.effect !== "none");
}

/** The default as TOML writes it, or undefined when there is none to write. */
export function defaultToml(key: Key): string | undefined {
  if (key.default === null) return undefined;
  if (Array.isArray(key.default)) return `[${key.default.map((item) => JSON.stringify(item)).join(", ")}]`;
  if (key.kind === "size" && typeof key.default === "number") return sizeToml(key.default);
  return JSON.stringify(key.default);
}

/** Bytes as TOML writes them: `"64MiB"` where that is exact, else plain digits. */
export function sizeToml(bytes: number): string {
  const text = sizeText(bytes);
  return text === `${bytes}` ? text : `"${text.replace(" ", "")}"`;
}

function defaultText(key: Key): string {
  if (key.required) return "must be given";
  return key.defaultText ?? defaultToml(key) ?? "none";
}

/** What a key accepts, in a few characters. */
function rangeText(key: Key): string {
  const { minimum = 0, maximum = 0, unit } = key;
  switch (key.kind) {
    case "integer":
      return `${minimum}..${maximum}${unit === undefined ? "" : ` ${unit}`}`;
    case "size":
      return `${sizeText(minimum)}..${sizeText(maximum)}`;
    case "strategy":
      return STRATEGIES.join(", ");
    case "versions":
      return "any of 3, 4, 5";
    case "boolean":
      return "true, false";
    case "choice":
      return (key.choices ?? []).join(", ");
    case "toggle":
      return ["true", "false", ...(key.choices ?? [])].join(", ");
    case "texts":
      return key.choices === undefined ? "list" : `any of ${key.choices.join(", ")}`;
    case "users":
      return "table";
    case "nodes":
      return "list of nodes";
    case "endpoint":
      return "address or unix:path";
    case "text":
    case "address":
    case "filters":
      return key.kind;
  }
}

/** The README's reference: one row for each key. */
export function referenceMarkdown(): string {
  const rows = ["| section | key | default | range | what it does |", "| --- | --- | --- | --- | --- |"];
  for (const { title, keys, shown = keys } of SECTIONS) {
    for (const [name, key] of liveKeys(shown)) {
      const cells = [code(title), code(name), code(defaultText(key)), rangeText(key), key.doc];
      rows.push(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
    }
  }
  return rows.join("\n");
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

/** The keys for `--help`: name, default and range, a line each. */
export function referenceHelp(): string {
  const lines: string[] = [];
  for (const { title, keys, shown = keys } of SECTIONS) {
    if (Object.keys(shown).length === 0) continue;
    lines.push(`  ${title === "" ? "(above the sections)" : title}`);
    for (const [name, key] of liveKeys(shown)) {
      lines.push(cut(`    ${name.padEnd(35)} ${defaultText(key).padEnd(27)} ${rangeText(key)}`));
    }
  }
  return lines.join("\n");
}

/** Long lists of choices are whole in the README. */
function cut(line: string): string {
  return line.length <= HELP_LINE_MAX ? line : `${line.slice(0, HELP_LINE_MAX - 1)}…`;
}

const SAMPLE_HEAD = `# Millrace's demo configuration: what runs when no other is named.
#
# Keys that are commented out show their default and need not be written; brackets hold what a key accepts.
# Sizes are bytes: integers, or strings such as "64MiB". A wrong or unknown key stops the start, and the
# message names its line.

id = 0

[router]
`;

const SEGMENT_NOTE = `
# Limits of single filters: any number of these sections, each named by its topic filter.
# [router.custom_segment.'plant/+/telemetry']
# max_segment_size = "100KiB"
# max_segment_count = 2

# Listeners: any number of sections [v4.1], [v4.2], [v5.1] … Whichever name it has, a listener speaks
# MQTT 3.1, 3.1.1 and 5, unless \`versions\` narrows it.
[v4.1]
`;

const SECOND_NOTE = `
# A second listener; it takes the same keys.
[v5.1]
name = "v5-1"
listen = "0.0.0.0:1884"

# TLS, in any listener: then it speaks nothing else. Files that are replaced serve the next connections.
#   [v4.2]
#   listen = "0.0.0.0:8883"
#   [v4.2.tls]
#   certpath = "/etc/millrace/server.pem"
#   keypath = "/etc/millrace/server.key"
#   capath = "/etc/millrace/clients.pem"
#   verify_client_cert = true
#   [[v4.2.tls.sni]]
#   host = "*.example.org"
#   certpath = "/etc/millrace/example.pem"
#   keypath = "/etc/millrace/example.key"

# MQTT over WebSocket, with TLS if there is a [ws.1.tls].
#   [ws.1]
#   listen = "0.0.0.0:8083"
#   path = "/mqtt"

# One port for TCP, WebSocket and, with [mqtt.1.tls], TLS; and a Unix socket.
#   [mqtt.1]
#   listen = "[::]:1885"
#   sniff = true
#   [mqtt.2]
#   listen = "unix:/run/millrace/mqtt.sock"
`;

const AUTH_NOTE = `
# Who may connect. Without any of these sections and without users at a listener, everybody.
# [auth]
`;

const JWT_NOTE = `
# [auth.jwt]
# The keys of tokens come from one of jwks_url, jwks_file, public_key_file (PEM) and secret_file (HS256 and the like).

`;

const ACL_NOTE = `
# What clients may publish, subscribe to and be sent: rules in their order, of which the first that matches decides.
# Without a rule everybody may do everything; with one, what no rule allows is refused.
# [[acl]]
# users = ["alice"]
# allow = ["publish", "subscribe"]
# filters = ["plant/%u/#"]

[authorization]
`;

/** Written out in the sample, though they are defaults or have none. */
const SAMPLE_VALUES: Readonly<Record<string, string>> = {
  memory: '"64MiB"',
  max_connections: "10010",
  name: '"v4-1"',
  listen: '"0.0.0.0:1883"',
  max_payload_size: '"1MiB"',
  max_inflight_count: "100",
};

/** Shown commented out for keys that have no default to show. */
const EXAMPLES: Readonly<Record<string, string>> = {
  auth: '{ alice = "secret", bob = "another" }',
  allow_anonymous: "true",
  auth_chain: '["file"]',
  chain: '["file", "jwt"]',
  path: '"/etc/millrace/users"',
  url: '"http://127.0.0.1:8080/auth"',
  jwks_url: '"https://id.example.org/jwks.json"',
  algorithms: '["ES256", "EdDSA"]',
  client_id_claim: '"client_id"',
  client_id_characters: '"A-Za-z0-9_-"',
  max_packet_size: '"1152KiB"',
  default: '"deny"',
  acl_file: '"/etc/millrace/acl"',
  ca_file: '"/etc/millrace/ca.pem"',
};

/** config/demo.toml: rumqttd's syntax, each key explained. */
export function sampleToml(): string {
  const router = Object.entries(ROUTER_KEYS).filter(([name]) => name !== "id");
  return [
    SAMPLE_HEAD,
    keyLines(Object.fromEntries(router)),
    SEGMENT_NOTE,
    keyLines(LISTENER_KEYS),
    "\n[v4.1.connections]\n",
    keyLines(CONNECTION_KEYS),
    SECOND_NOTE,
    AUTH_NOTE,
    keyLines(AUTH_KEYS),
    "\n# [auth.file]\n",
    keyLines(AUTH_FILE_KEYS),
    JWT_NOTE,
    keyLines(without(AUTH_JWT_KEYS, ["secret_file", "public_key_file", "jwks_file"])),
    "\n# [auth.http]\n",
    keyLines(AUTH_HTTP_KEYS),
    "\n# [auth.limits]\n",
    keyLines(AUTH_LIMIT_KEYS),
    ACL_NOTE,
    keyLines(AUTHORIZATION_KEYS),
  ].join("");
}

const PACKAGE_HEAD = `# Millrace's configuration, as the package brings it: for this machine alone.
#
# To let others in: make users, as root, with
#   millrace passwd -c /etc/millrace/users NAME
#   chown root:millrace /etc/millrace/users && chmod 640 /etc/millrace/users
# take away the # before [auth.file] and its path, far below, and move the one between a listener's two lines with
# listen from the second to the first; then
#   millrace check-config /etc/millrace/millrace.toml && systemctl reload millrace
`;

/** The Debian package's millrace.toml: the sample for this machine alone, with the line that opens each listener. */
export function localToml(): string {
  const [head = "", ...keys] = sampleToml().split("\n#\n");
  const local = keys.join("\n#\n").replaceAll(/^listen = "0\.0\.0\.0:(\d+)"$/gm, (open, port) => {
    const note = "For other machines too, once there are users: see the head of this file";
    return `listen = "127.0.0.1:${port}"\n# ${note}\n# ${open}`;
  });
  assert(head === SAMPLE_HEAD.split("\n")[0] && local.includes("127.0.0.1"), "the sample has one head");
  return `${PACKAGE_HEAD}#\n${local}`;
}

function without(keys: Keys, names: readonly string[]): Keys {
  return Object.fromEntries(Object.entries(keys).filter(([name]) => !names.includes(name)));
}

/** Kinds whose sentence says all that there is to say. */
const SELF_EVIDENT: ReadonlySet<string> = new Set([
  "boolean",
  "text",
  "address",
  "endpoint",
  "filters",
  "users",
  "versions",
  "texts",
]);

function keyLines(keys: Keys): string {
  const blocks = liveKeys(keys).map(([name, key]) => {
    const isEvident = SELF_EVIDENT.has(key.kind) && key.choices === undefined;
    const range = isEvident ? "" : ` [${rangeText(key)}]`;
    const given = SAMPLE_VALUES[name];
    const value = given ?? defaultToml(key) ?? EXAMPLES[name] ?? '""';
    const line = `${given === undefined ? "# " : ""}${name} = ${value}\n`;
    const without = given !== undefined || key.default !== null ? "" : `\n# Without it: ${defaultText(key)}`;
    return `# ${key.doc}${range}${without}\n${line}`;
  });
  return blocks.join("\n");
}
