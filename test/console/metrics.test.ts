// /metrics as Prometheus reads it: its own address, below the console, by a strict reader of the format, and by
// promtool where that is installed.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Metrics, type MetricsSettings, startMetrics } from "../../src/console/metrics.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { WireClient } from "../support/wireClient.ts";
import { type Family, lint, parseMetrics } from "./prometheusText.ts";
import { consoleOf } from "./support.ts";

const NOTHING: MetricsSettings = { prometheus: null, sysIntervalMs: 0, alerts: null, meters: null };
const PROMETHEUS: MetricsSettings = {
  ...NOTHING,
  prometheus: { host: "127.0.0.1", port: 0, lagIntervalMs: 20 },
};

let one: TestBroker;
let metrics: Metrics;

beforeAll(async () => {
  one = await startTestBroker();
  metrics = await startMetrics(PROMETHEUS, one.broker.host);
});
afterAll(async () => {
  await metrics.stop();
  await one.stop();
});

const url = (path: string): string => `http://127.0.0.1:${metrics.port}${path}`;

async function scrape(): Promise<Map<string, Family>> {
  return parseMetrics(await (await fetch(url("/metrics"))).text());
}

/** The value of a sample; undefined when there is none with these labels. */
function sampleOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}) {
  const samples = families.get(name)?.samples ?? families.get(name.replace(/_(count|sum)$/, ""))?.samples;
  return samples?.find((one) => one.name === name && Bun.deepEquals(one.labels, labels))?.value;
}

describe("/metrics", () => {
  test("is text that Prometheus takes, with names as it likes them", async () => {
    const response = await fetch(url("/metrics"));
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const families = parseMetrics(await response.text());
    expect(lint(families)).toEqual([]);
    expect(families.size).toBeGreaterThan(60);
  });

  const promtool = Bun.which("promtool") ?? process.env["PROMTOOL"];
  test.skipIf(promtool === undefined)("passes promtool's check", async () => {
    const text = await (await fetch(url("/metrics"))).text();
    const check = Bun.spawnSync([promtool!, "check", "metrics"], { stdin: Buffer.from(text) });
    expect(`${check.stdout}${check.stderr}`).toBe("");
    expect(check.exitCode).toBe(0);
  });

  test("counts what clients send and get", async () => {
    const before = await scrape();
    const reader = await WireClient.open(one.port, 5);
    await reader.connect({ clientId: "reader" });
    await reader.subscribe(["m/#"], { qos: 2 });
    const publisher = await WireClient.open(one.port, 4);
    await publisher.connect({ clientId: "publisher" });
    for (const qos of [0, 1, 2] as const) {
      for (let i = 0; i <= qos; i++) {
        await publisher.publish("m/x", "0123456789", { qos });
        await reader.acknowledge(await reader.receive());
      }
    }
    await publisher.publish("nobody", "x", { retain: true });
    await publisher.disconnect();
    const after = await scrape();
    const more = (name: string, labels: Record<string, string> = {}): number =>
      sampleOf(after, name, labels)! - (sampleOf(before, name, labels) ?? 0);
    for (const [qos, count] of [2, 2, 3].entries()) {
      expect(more("millrace_messages_received_total", { qos: String(qos) })).toBe(count);
    }
    for (const [qos, count] of [1, 2, 3].entries()) {
      expect(more("millrace_messages_sent_total", { qos: String(qos) })).toBe(count);
    }
    // 2 of the header, 5 of the topic, 10; MQTT 5 has a Property Length; an identifier from QoS 1 on.
    expect(more("millrace_messages_received_bytes_total", { qos: "2" })).toBe(3 * (2 + 5 + 2 + 10));
    expect(more("millrace_messages_sent_bytes_total", { qos: "1" })).toBe(2 * (2 + 5 + 2 + 1 + 10));
    expect(more("millrace_packets_received_total", { type: "connect" })).toBe(2);
    expect(more("millrace_packets_received_total", { type: "publish" })).toBe(7);
    expect(more("millrace_packets_received_total", { type: "puback" })).toBe(2);
    expect(more("millrace_packets_sent_total", { type: "pubrel" })).toBe(3);
    expect(more("millrace_packets_sent_total", { type: "suback" })).toBe(1);
    expect(more("millrace_messages_unmatched_total")).toBe(1);
    expect(more("millrace_retained_messages")).toBe(1);
    expect(more("millrace_clients")).toBe(1);
    expect(more("millrace_sessions", { state: "connected" })).toBe(1);
    expect(more("millrace_subscriptions")).toBe(1);
    expect(more("millrace_clients_accepted_total")).toBe(2);
    expect(more("millrace_listener_clients_accepted_total", { listener: "v4.1" })).toBe(2);
    expect(more("millrace_listener_messages_received_total", { listener: "v4.1" })).toBe(7);
    expect(more("millrace_listener_messages_sent_total", { listener: "v4.1" })).toBe(6);
    expect(more("millrace_publish_write_latency_seconds_count")).toBeGreaterThan(0);
    expect(more("metrics_router_total_publishes")).toBe(7);
    expect(sampleOf(after, "metrics_router_total_connections")).toBe(1);
    expect(sampleOf(after, "metrics_router_failed_publishes")).toBe(0);
    reader.cut();
  });

  test("tells of memory by owner, of the loop and of the program", async () => {
    const families = await scrape();
    for (const [name, budget] of Object.entries(one.broker.router.budgets)) {
      const owner = budget.name.replaceAll(" ", "_");
      expect(`${name} ${sampleOf(families, "millrace_memory_limit_bytes", { owner })}`).toBe(
        `${name} ${budget.bytesMax}`,
      );
    }
    expect(sampleOf(families, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(sampleOf(families, "process_start_time_seconds")).toBeGreaterThan(1.6e9);
    expect(families.get("millrace_build_info")?.samples[0]?.labels).toHaveProperty("version");
    while (sampleOf(await scrape(), "millrace_event_loop_lag_seconds_count") === 0);
    Bun.gc(true);
    while (sampleOf(await scrape(), "millrace_gc_collections_total") === 0) Bun.gc(true);
  });

  test("label values are those that are known beforehand", async () => {
    for (let i = 0; i < 20; i++) {
      const client = await WireClient.open(one.port, 5);
      await client.connect({ clientId: `label-${i}` });
      await client.subscribe([`label/${i}`]);
      await client.publish(`label/${i}/x`, "x");
      await client.disconnect();
    }
    const text = await (await fetch(url("/metrics"))).text();
    expect(text).not.toContain("label");
    expect(text.split("\n").length).toBeLessThan(500);
  });

  test.each([
    ["GET", "/", 404],
    ["POST", "/metrics", 405],
  ])("%s %s is answered with %d", async (method, path, status) => {
    expect((await fetch(url(path), { method })).status).toBe(status);
  });

  test("many who ask at once are answered", async () => {
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(url("/metrics"))).text()),
    );
    for (const text of texts) expect(lint(parseMetrics(text))).toEqual([]);
  });
});

test("the console has the same, behind its gate", async () => {
  const open = consoleOf(one);
  const response = await open.ask("GET", "/metrics");
  expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  const families = parseMetrics(await response.text());
  expect([...families.keys()]).toEqual([...(await scrape()).keys()]);
  open.close();
  const closed = consoleOf(one, { token: "secret", user: null });
  expect((await closed.ask("GET", "/metrics")).status).toBe(401);
  closed.close();
});

test("an address that is taken is an error, and nothing is left running", async () => {
  const settings = { ...PROMETHEUS, prometheus: { ...PROMETHEUS.prometheus!, port: metrics.port! } };
  await expect(startMetrics(settings, one.broker.host)).rejects.toHaveProperty("code", "EADDRINUSE");
  await scrape();
});

describe("other settings", () => {
  const text = async (port: number | null): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const isDead = (port: number | null): Promise<boolean> =>
    text(port).then(
      () => false,
      () => true,
    );

  test("are in force when they are committed, and not when they are undone", async () => {
    const { host } = one.broker;
    const moved = await startMetrics(PROMETHEUS, host);
    const first = moved.port;
    const elsewhere = { ...PROMETHEUS, prometheus: { ...PROMETHEUS.prometheus!, host: "127.0.0.2" } };
    await (await moved.prepare({ ...elsewhere, sysIntervalMs: 5 })).undo();
    expect(moved.port).toBe(first);
    expect(host.router.retained.slotOf("$SYS/broker/version")).toBe(-1);
    await text(first);

    const alerts = { topic: "$events", events: ["connected"], intervalMs: 1000 };
    await (await moved.prepare({ ...PROMETHEUS, sysIntervalMs: 5, alerts })).commit();
    expect(moved.port).toBe(first);
    while (host.router.retained.slotOf("$SYS/broker/version") < 0) await new Promise(setImmediate);
    expect(host.observer).not.toBeNull();

    await (await moved.prepare(elsewhere)).commit();
    expect(await isDead(first)).toBe(true);
    expect((await fetch(`http://127.0.0.2:${moved.port}/metrics`)).status).toBe(200);
    expect(host.router.retained.slotOf("$SYS/broker/version")).toBe(-1);
    expect(host.observer).toBeNull();
    await moved.stop();
  });

  test("for the same port take its place; when that cannot be, the old one is back", async () => {
    const first = await startMetrics(PROMETHEUS, one.broker.host);
    const { port } = first;
    const at = (host: string) => ({ ...PROMETHEUS, prometheus: { host, port: port!, lagIntervalMs: 20 } });
    await (await first.prepare(at("0.0.0.0"))).undo();
    await text(port);
    await expect(first.prepare(at("192.0.2.1"))).rejects.toHaveProperty("code");
    await text(port);
    await (await first.prepare(at("0.0.0.0"))).commit();
    await text(port);
    await first.stop();
    expect(await isDead(port)).toBe(true);
  });
});

test("nothing is started that is not asked for", async () => {
  const none = await startMetrics(NOTHING, one.broker.host);
  expect(none.port).toBeNull();
  expect(one.broker.host.observer).toBeNull();
  await none.stop();
});
