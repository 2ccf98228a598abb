// `pub`, `sub`, `bench` and `healthcheck` over TLS, Unix sockets and WebSocket, with certificates and passwords.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PLAIN_TCP, type TransportSettings } from "../../src/net/transport.ts";
import { ANY } from "../../src/net/webSocketSettings.ts";
import { startTestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { mutual, tlsSettings } from "../support/tls.ts";
import { type Ended, MILLRACE, runTool, TOOL_TIMEOUT_MS } from "./tool.ts";

const authority = new Authority();
const server = authority.server();
const alice = authority.issue({ subject: "/O=acme/CN=alice" });
const folder = mkdtempSync(join(tmpdir(), "millrace-transports-"));
const socketPath = join(folder, "broker.sock");

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});
afterAll(() => {
  authority.remove();
  rmSync(folder, { recursive: true });
});

/** Resolves with the port of a broker that lives as long as the test. */
async function started(
  transport: Partial<TransportSettings>,
  users?: Record<string, string>,
): Promise<number> {
  const broker = await startTestBroker({
    listener: {
      transport: { ...PLAIN_TCP, ...transport },
      ...(users !== undefined && { users: new Map(Object.entries(users)), allowAnonymous: false }),
    },
  });
  cleanups.push(() => broker.stop());
  return broker.port;
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return runTool([...MILLRACE, command, ...args], { env });
}

const webSocket = { path: ANY, origins: [ANY], compression: true };
const ca = ["--cafile", authority.cert];

describe("every client over", () => {
  const rows: readonly (readonly [string, Partial<TransportSettings>, (port: number) => string[]])[] = [
    ["TLS", { tls: tlsSettings(server) }, (port) => ["-h", "localhost", "-p", `${port}`, ...ca]],
    ["TLS by address", { tls: tlsSettings(server) }, (port) => ["-L", `mqtts://localhost:${port}`, ...ca]],
    ["TLS unchecked", { tls: tlsSettings(server) }, (port) => ["-p", `${port}`, "--insecure"]],
    [
      "TLS with a certificate",
      { tls: tlsSettings(server, mutual(authority)) },
      (port) => ["-p", `${port}`, ...ca, "--cert", alice.cert, "--key", alice.key],
    ],
    ["a Unix socket", { unix: { path: socketPath, mode: 0o600 } }, () => ["--unix", socketPath]],
    [
      "a Unix socket by address",
      { unix: { path: socketPath, mode: 0o600 } },
      () => ["-L", `unix:${socketPath}`],
    ],
    ["WebSocket", { webSocket }, (port) => ["-L", `ws://127.0.0.1:${port}/mqtt`]],
    [
      "WebSocket and TLS",
      { webSocket, tls: tlsSettings(server) },
      (port) => ["-L", `wss://localhost:${port}`, ...ca],
    ],
  ];
  for (const [name, transport, argsFor] of rows) {
    test(
      name,
      async () => {
        const args = argsFor(await started(transport));
        const published = await run("pub", [...args, "-t", "over/it", "-m", name, "-q", "2", "-r"]);
        expect([published.status, published.stderr]).toEqual([0, ""]);
        const [subscribed, load, health] = await Promise.all([
          run("sub", [...args, "-t", "over/+", "-C", "1", "-W", "10"]),
          run("bench", [...args, "pairs", "-n", "3", "-q", "1", "-d", "0.3", "--warm-up", "0", "--json"]),
          run("healthcheck", args),
        ]);
        expect(subscribed).toMatchObject({ status: 0, stdout: `${name}\n`, stderr: "" });
        expect([load.status, load.stderr]).toEqual([0, ""]);
        expect(JSON.parse(load.stdout)).toMatchObject({ lost: 0, reordered: 0, duplicates: 0, ok: true });
        expect([health.status, health.stderr]).toEqual([0, ""]);
        expect(health.stdout).toStartWith("healthy: ");
      },
      TOOL_TIMEOUT_MS,
    );
  }
});

describe("a certificate that", () => {
  const rows: readonly (readonly [string, string[], string])[] = [
    [
      "nobody here trusts",
      ["-h", "localhost", "--tls"],
      "its certificate is not trusted; name its authority with",
    ],
    ["is for another name", ["-h", "localhost", ...ca], "its certificate is for another name"],
    [
      "is not asked for",
      ["-h", "localhost"],
      "it may speak another version of MQTT (-V), or want TLS (--cafile)",
    ],
  ];
  for (const [name, args, message] of rows) {
    test(
      name,
      async () => {
        const pair = name.includes("name") ? authority.server("elsewhere") : server;
        const all = [...args, "-p", `${await started({ tls: tlsSettings(pair) })}`];
        const { status, stderr } = await run("pub", [...all, "-t", "a", "-m", "b"]);
        expect(status).toBe(1);
        expect(stderr).toContain(message);
        const health = await run("healthcheck", all);
        expect([health.status, health.stdout]).toEqual([1, ""]);
        expect(health.stderr).toStartWith("unhealthy: ");
      },
      TOOL_TIMEOUT_MS,
    );
  }
});

describe("passwords", () => {
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "s3:cret@\n");
  const rows: readonly (readonly [string, (port: number) => string[], Record<string, string>])[] = [
    ["-P", (port) => ["-p", `${port}`, "-u", "anna", "-P", "s3:cret@"], {}],
    ["--password-file", (port) => ["-p", `${port}`, "-u", "anna", "--password-file", passwordFile], {}],
    ["MILLRACE_PASSWORD", (port) => ["-p", `${port}`, "-u", "anna"], { MILLRACE_PASSWORD: "s3:cret@" }],
    ["in the address", (port) => ["-L", `mqtt://anna:s3%3Acret%40@127.0.0.1:${port}`], {}],
    [
      "beside the address",
      (port) => ["-L", `mqtt://anna@127.0.0.1:${port}`],
      { MILLRACE_PASSWORD: "s3:cret@" },
    ],
  ];
  for (const [name, argsFor, env] of rows) {
    test(
      name,
      async () => {
        const port = await started({}, { anna: "s3:cret@" });
        const host = argsFor(port).includes("-L") ? [] : ["-h", "127.0.0.1"];
        const args = [...argsFor(port), ...host];
        const ended = await run("pub", [...args, "-t", "a", "-m", "b"], env);
        expect([ended.status, ended.stderr]).toEqual([0, ""]);
      },
      TOOL_TIMEOUT_MS,
    );
  }

  test(
    "a wrong one ends with the broker's code, and the broker is healthy all the same",
    async () => {
      const wrong = ["-u", "anna", "-P", "wrong"];
      // A broker each: who guesses is banned soon.
      const at = async (): Promise<string[]> => [
        "-h",
        "127.0.0.1",
        "-p",
        `${await started({}, { anna: "right" })}`,
      ];
      const [v5, v4, load, health] = await Promise.all([
        run("pub", [...(await at()), ...wrong, "-t", "a", "-m", "b"]),
        run("sub", [...(await at()), ...wrong, "-t", "a", "-V", "3.1.1"]),
        run("bench", [...(await at()), ...wrong, "-n", "1"]),
        run("healthcheck", await at()),
      ]);
      expect([v5.status, v4.status, load.status]).toEqual([134, 4, 134]);
      for (const { stderr, stdout } of [v5, v4, load]) {
        expect(stdout).toBe("");
        expect(stderr).toContain("give the right ones with -u and -P");
        expect(stderr).not.toContain("wrong");
      }
      expect(health.status).toBe(0);
      expect(health.stdout).toMatch(
        /^healthy: 127\.0\.0\.1:\d+ answers, in [\d.]+ ms, and lets in only whom it knows\n$/,
      );
    },
    TOOL_TIMEOUT_MS,
  );
});

describe("healthcheck of the configured listener", () => {
  function config(text: string): string {
    const file = join(folder, "health.toml");
    writeFileSync(file, text);
    return file;
  }

  test(
    "finds the first that can be tried from here",
    async () => {
      const port = await started({ tls: tlsSettings(server) });
      const file = config(`[v4.0]
listen = "127.0.0.1:0"
[v4.1]
listen = "127.0.0.1:1"
proxy_protocol = true
trusted_proxies = ["10.0.0.1"]
[v4.2]
listen = "0.0.0.0:${port}"
[v4.2.tls]
certpath = "${server.cert}"
keypath = "${server.key}"
`);
      const ended = await runTool([...MILLRACE, "--config", file, "healthcheck"]);
      expect(ended.stderr).toBe("");
      expect(ended.stdout).toMatch(
        new RegExp(`^healthy: 127\\.0\\.0\\.1:${port} accepts connections, in [\\d.]+ ms\\n$`),
      );
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "says what is wrong in one line, and ends with 1",
    async () => {
      const rows: readonly (readonly [string, string])[] = [
        [
          '[v4.1]\nlisten = "127.0.0.1:1"\n',
          "unhealthy: cannot connect to 127.0.0.1:1: nothing listens there",
        ],
        [
          '[v4.1]\nlisten = "127.0.0.1:0"\n',
          "millrace: no listener of the configuration can be tried from here",
        ],
        ['[v4.1]\nlisten = "here"\n', "[v4.1] listen"],
      ];
      for (const [text, message] of rows) {
        const ended = await runTool([...MILLRACE, "--config", config(text), "healthcheck"]);
        expect([ended.status, ended.stdout]).toEqual([1, ""]);
        expect(ended.stderr).toContain(message);
        expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
      }
    },
    TOOL_TIMEOUT_MS,
  );
});
