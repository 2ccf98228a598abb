// Metrics of the program: where the configuration puts them, also after it has changed.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lint, parseMetrics } from "../console/prometheusText.ts";
import { freePorts, startRunning } from "../support/running.ts";
import { WireClient } from "../support/wireClient.ts";
import { PROGRAM_TIMEOUT_MS, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-metrics-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';

function program(text: string) {
  const file = join(folder, `${++files}.toml`);
  const write = (next: string): void => writeFileSync(file, next);
  write(text);
  const running = start(["--config", file, "--log-format", "json"]);
  const metrics = async (): Promise<string> => {
    await running.until("metrics on http");
    return [...running.output().matchAll(/metrics on (http:\/\/[^"]+)/g)].at(-1)?.[1] ?? "";
  };
  return { ...running, write, metrics };
}

test("the program serves metrics, publishes $SYS and events, and follows its file", async () => {
  const one = program(
    `${LISTENER}[prometheus]\nlisten = "127.0.0.1:0"\n[sys]\ninterval = 1\n[metrics.alerts]\n`,
  );
  const url = await one.metrics();
  expect(lint(parseMetrics(await (await fetch(url)).text()))).toEqual([]);
  const client = await WireClient.open(await one.port(), 5);
  await client.connect({ clientId: "one" });
  await client.subscribe("$SYS/broker/version");
  expect((await client.receive()).payload.toString()).toStartWith("millrace version ");
  await client.subscribe("$events/client/connected");
  const other = await WireClient.open(await one.port(), 5);
  await other.connect({ clientId: "other" });
  expect(JSON.parse((await client.receive()).payload.toString())).toMatchObject({ client_id: "other" });

  one.write(`${LISTENER}[sys]\ninterval = 0\n`);
  one.kill("SIGHUP");
  await one.until("[prometheus]: gone");
  await expect(fetch(url)).rejects.toThrow();
  await other.subscribe("$SYS/#");
  await other.expectSilence();

  const taken = await one.port();
  one.write(`${LISTENER}[prometheus]\nlisten = "127.0.0.1:${taken}"\n[sys]\ninterval = 1\n`);
  one.kill("SIGHUP");
  await one.until("the configuration is not taken");
  await other.expectSilence();
  for (const connected of [client, other]) connected.cut();
  one.kill("SIGTERM");
  expect((await one.outcome).status).toBe(0);
});

test("a listener is told of before it has had a client, by a new name too", async () => {
  const [port = 0] = freePorts(1);
  const file = (section: string): string =>
    `[${section}]\nlisten = "127.0.0.1:0"\n[prometheus]\nlisten = "127.0.0.1:${port}"\n`;
  const one = await startRunning(file("v4.1"));
  const accepted = async (): Promise<unknown[]> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const { samples = [] } = parseMetrics(text).get("millrace_listener_clients_accepted_total") ?? {};
    return samples.map(({ labels, value }) => [labels["listener"], value]);
  };
  expect(await accepted()).toEqual([["v4.1", 0]]);
  await one.reload(file("ws.x"));
  expect(await accepted()).toContainEqual(["ws.x", 0]);
  await one.stop();
});

test("an address that somebody has ends the start, and is named", async () => {
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const one = program(`${LISTENER}[prometheus]\nlisten = "127.0.0.1:${taken.port}"\n`);
  const { status, stderr } = await one.outcome;
  expect(status).toBe(1);
  expect(stderr).toContain(`127.0.0.1:${taken.port}`);
  taken.stop(true);
});

test("[prometheus] port, as older files have it, is served to this machine", async () => {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = free;
  free.stop(true);
  const one = program(`${LISTENER}[prometheus]\nport = ${port}\ninterval = 1\n`);
  expect(await one.metrics()).toBe(`http://127.0.0.1:${port}/metrics`);
  expect(await (await fetch(await one.metrics())).text()).toContain("metrics_router_total_publishes 0\n");
  one.kill("SIGTERM");
  expect((await one.outcome).status).toBe(0);
});
