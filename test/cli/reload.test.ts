// The configuration while the program runs: SIGHUP, POST /reload and a changed file put what is different in force and
// say so line by line; whoever it does not concern notices nothing.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { WireClient } from "../support/wireClient.ts";
import { freePorts } from "../support/running.ts";
import { logLines, PROGRAM_TIMEOUT_MS, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-reload-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
interface Line {
  readonly msg: string;
  readonly reload?: string;
  readonly address?: string;
}

function program(text: string) {
  const file = join(folder, `${++files}.toml`);
  writeFileSync(file, text);
  const running = start(["--config", file, "--log-format", "json"]);
  const lines = (): Line[] => logLines(running.output()) as unknown as Line[];
  return { ...running, lines, write: (next: string): void => writeFileSync(file, next) };
}

/** Where the console says it listens. */
async function consoleOf(one: ReturnType<typeof program>): Promise<string> {
  await one.until("console on http");
  return /console on (http:\/\/[^/]+)\//.exec(one.output())?.[1] ?? "";
}

const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';
const CONSOLE = '[console]\nlisten = "127.0.0.1:0"\n';

describe("a reload", () => {
  test("by SIGHUP: limits for those who come, restarts told, clients under load not cut", async () => {
    const one = program(LISTENER);
    const port = await one.port();
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
    let closed = false;
    client.on("close", () => (closed = true));
    let echoed = 0;
    client.on("message", () => void echoed++);
    await client.subscribeAsync("load", { qos: 1 });
    let isLoading = true;
    const load = (async () => {
      let sent = 0;
      for (; isLoading; sent++) await client.publishAsync("load", "x", { qos: 1 });
      return sent;
    })();

    one.write(
      `[router]\nmemory = "32MiB"\nmax_connections = 5\n${LISTENER}[v4.1.connections]\nmax_qos = 1\n`,
    );
    one.kill("SIGHUP");
    await one.until("needs a restart"); // what is told last
    const told = one.lines().filter(({ reload }) => reload !== undefined);
    expect(told.map(({ msg }) => msg).sort()).toEqual([
      "applied: [router] max_connections: 10010 → 5",
      "applied: [v4.1.connections] max_qos: 2 → 1",
      'needs a restart: [router] memory: "64MiB" → "32MiB"',
    ]);
    const next = await WireClient.open(port, 5);
    expect((await next.connect({ clientId: "next" })).properties).toMatchObject({ maximumQoS: 1 });
    isLoading = false;
    const sent = await load;
    while (echoed < sent) await new Promise((resolve) => client.once("message", resolve));
    expect(closed).toBe(false);
    await client.endAsync();
    next.cut();
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("by SIGHUP: a wrong file changes nothing and says why", async () => {
    const one = program(LISTENER);
    const port = await one.port();
    one.write(`${LISTENER}max_qos = 1\n`);
    one.kill("SIGHUP");
    await one.until("what was in force stays");
    expect(one.output()).toContain(`${files}.toml:3: [v4.1] max_qos: unknown key`);
    const client = await WireClient.open(port, 5);
    expect((await client.connect({ clientId: "still" })).properties).not.toMatchObject({ maximumQoS: 1 });
    client.cut();
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("by POST /reload: listeners come and go, their clients stay", async () => {
    const second = '[v4.2]\nlisten = "127.0.0.1:0"\n';
    const one = program(LISTENER + CONSOLE);
    const at = await consoleOf(one);
    const reload = async () => {
      const response = await fetch(`${at}/api/v1/reload`, { method: "POST" });
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    };
    const clientCount = async () =>
      ((await (await fetch(`${at}/api/v1/counters`)).json()) as { connections: number }).connections;

    expect((await reload()).json).toEqual({ applied: [], needs_restart: [] });
    one.write(LISTENER + second + CONSOLE);
    const added = await reload();
    expect(added.status).toBe(200);
    expect(added.json["applied"]).toContain("[v4.2]: added");
    await one.until('"listener":"v4.2"');
    const { address = "" } =
      one.lines().find(({ msg }) => msg.includes("[v4.2]") && msg.includes("listening")) ?? {};
    const client = await WireClient.open(Number(address.split(":")[1]), 5);
    await client.connect({ clientId: "second" });

    one.write(LISTENER + CONSOLE);
    expect((await reload()).json["applied"]).toContain("[v4.2]: gone");
    await client.expectSilence();
    expect(await clientCount()).toBe(1);
    const refused = await WireClient.open(Number(address.split(":")[1]), 5).then(
      () => false,
      () => true,
    );
    expect(refused).toBe(true);

    one.write(`[v4.1]\nlisten = "nowhere"\n${CONSOLE}`);
    const wrong = await reload();
    expect(wrong.status).toBe(409);
    expect(wrong.json["error"]).toContain("[v4.1] listen");
    client.cut();
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("what takes a restart stays told, and is not shown as being in force", async () => {
    const one = program(LISTENER + CONSOLE);
    const at = await consoleOf(one);
    const reload = async () => {
      const response = await fetch(`${at}/api/v1/reload`, { method: "POST" });
      return (await response.json()) as Record<string, unknown>;
    };
    const routerNow = async () =>
      ((await (await fetch(`${at}/api/v1/config`)).json()) as { router: Record<string, unknown> }).router;
    const waits = { applied: [], needs_restart: ['[router] memory: "64MiB" → "1GiB"'] };
    const large = '[router]\nmemory = "1GiB"\nmax_connections = 5\n';
    one.write(`${large}${LISTENER}${CONSOLE}`);
    await reload();
    expect(await reload()).toEqual(waits);
    expect(await routerNow()).toMatchObject({ memory: "64MiB", max_connections: 5 });

    one.write(`${large}${LISTENER}[v4.1.connections]\nmax_payload_size = "60MiB"\n${CONSOLE}`);
    expect((await reload())["error"]).toContain("need more [router] memory, which takes a restart");
    one.write(LISTENER + CONSOLE);
    await reload();
    expect(await reload()).toEqual({ applied: [], needs_restart: [] });
    expect(await routerNow()).toMatchObject({ memory: "64MiB", max_connections: 10010 });
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("reads the file that the program began with, and no other while that one is gone", async () => {
    const cwd = join(folder, "named");
    mkdirSync(join(cwd, "config"), { recursive: true });
    writeFileSync(join(cwd, "demo.toml"), LISTENER);
    writeFileSync(join(cwd, "config/demo.toml"), `${LISTENER}[v4.1.connections]\nmax_qos = 1\n`);
    const one = start(["--config", "demo.toml", "--log-format", "json"], { cwd });
    await one.port();
    rmSync(join(cwd, "demo.toml"));
    one.kill("SIGHUP");
    await one.until("what was in force stays");
    writeFileSync(join(cwd, "demo.toml"), LISTENER);
    one.kill("SIGHUP");
    await one.until("the configuration is what it was");
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("of a wrong file is told once, whoever notices it", async () => {
    const one = program(LISTENER);
    await one.port();
    one.write(`${LISTENER}max_qos = 1\n`);
    one.kill("SIGHUP");
    await one.until("what was in force stays");
    one.write(`${LISTENER}[v4.1.connections]\nmax_qos = 1\n`);
    one.kill("SIGHUP");
    await one.until("applied: [v4.1.connections] max_qos");
    expect(one.lines().filter(({ msg }) => msg.includes("what was in force stays"))).toHaveLength(1);
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });

  test("by the file itself; the console's own token too, which is not shown", async () => {
    const one = program(LISTENER + CONSOLE);
    await consoleOf(one);
    const [port] = freePorts(1);
    const told = '[console]\ntoken = "s3cret"\n';
    one.write(`${LISTENER}${told}listen = "127.0.0.1:${port}"\n`);
    await one.until("[console] token");
    const config = `http://127.0.0.1:${port}/api/v1/config`;
    expect((await fetch(config)).status).toBe(401);
    expect(one.output()).not.toContain("a wrong token");
    const wrong = { headers: { authorization: "Bearer wr0ng" } };
    for (let i = 0; i < 3; i++) expect((await fetch(config, wrong)).status).toBe(401);
    await one.until("a wrong token or password from 127.0.0.1");
    expect(one.output().match(/a wrong token/g)).toHaveLength(1);
    expect(one.output()).not.toContain("wr0ng");
    const shown = await fetch(config, { headers: { authorization: "Bearer s3cret" } });
    expect(await shown.text()).toContain('"token":"<hidden>"');
    expect(one.output()).not.toContain("s3cret");
    one.kill("SIGTERM");
    expect((await one.outcome).status).toBe(0);
  });
});
