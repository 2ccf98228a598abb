// A web page in Chromium: MQTT.js's bundle for browsers subscribes over wss, gets what others publish and publishes
// itself. Without a Chromium on this machine it is skipped.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";

const TIMEOUT_MS = 60_000;
const BUNDLE = join(import.meta.dir, "../../node_modules/mqtt/dist/mqtt.min.js");
const MANY = 3000;
const LARGE_BYTES = 200_000;

const chromium = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find(Boolean);

/** What the page reports: each step by its name. */
interface Report {
  readonly step: string;
  readonly detail: unknown;
}

/** The page's own script; `settings` stands in the page. */
const SCRIPT = `
const report = (step, detail) => fetch("/report", { method: "POST", body: JSON.stringify({ step, detail: detail ?? null }) });
const got = { small: [], many: 0, inOrder: true, large: 0 };
const client = mqtt.connect(settings.url, { protocolVersion: settings.version, reconnectPeriod: 0, clientId: "page" + settings.version });
client.on("error", (error) => report("failed", String(error)));
client.on("close", () => report("closed"));
client.on("connect", () => client.subscribe("to/page/#", { qos: 2 }, (error) => report(error ? "failed" : "subscribed", String(error))));
client.on("message", (topic, payload, packet) => {
  if (topic === "to/page/large") got.large = payload.length;
  else if (topic === "to/page/many") got.inOrder = got.inOrder && payload.toString() === String(got.many++);
  else if (topic !== "to/page/end") got.small.push(payload.toString() + " at " + packet.qos);
  else client.publish("from/page", JSON.stringify(got), { qos: 1 });
});
`;

describe("a page in Chromium", () => {
  const authority = new Authority();
  const server = authority.server();
  const reports: Report[] = [];
  let wake: () => void = () => {};
  let broker: TestBroker;

  beforeAll(async () => {
    const tls = {
      certificatePath: server.cert,
      keyPath: server.key,
      names: [],
      clientCertificate: "none",
      authoritiesPath: null,
      revokedPath: null,
      versionMin: "1.2",
      identity: "cn",
      isTenantRuled: false,
    } as const;
    const webSocket = { path: "/mqtt", origins: [origin], compression: true };
    broker = await startTestBroker({
      listener: {
        transport: { ...PLAIN_TCP, tls, webSocket, isSniffing: true },
        connectTimeoutMs: 20_000,
        queueMessagesMax: 10_000,
      },
    });
  });
  afterAll(async () => {
    await broker.stop();
    await pages.stop(true);
    authority.remove();
  });

  const pages = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/mqtt.js") return new Response(Bun.file(BUNDLE));
      if (pathname === "/report") {
        reports.push((await request.json()) as Report);
        wake();
        return new Response();
      }
      if (pathname !== "/") return new Response("none", { status: 404 });
      const settings = JSON.stringify({
        url: `wss://127.0.0.1:${broker.port}${searchParams.get("path")}`,
        version: Number(searchParams.get("version")),
      });
      const html =
        `<!doctype html><meta charset="utf-8"><title>page</title><script src="/mqtt.js"></script>` +
        `<script>const settings = ${settings};${SCRIPT}</script>`;
      return new Response(html, { headers: { "Content-Type": "text/html" } });
    },
  });
  const origin = `http://127.0.0.1:${pages.port}`;

  async function reported(step: string): Promise<void> {
    const deadline = performance.now() + TIMEOUT_MS / 2;
    while (!reports.some((one) => one.step === step)) {
      const failed = reports.find((one) => one.step === "failed");
      if (failed !== undefined && step !== "failed") throw new Error(`the page failed: ${failed.detail}`);
      if (performance.now() > deadline) throw new Error(`the page did not say "${step}"`);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(resolve, 500);
      await promise;
      clearTimeout(timer);
    }
  }

  /** Opens the page, runs `body` beside it and closes the browser. */
  async function withPage(page: string, body: () => Promise<void>): Promise<void> {
    reports.length = 0;
    const profile = mkdtempSync(join(tmpdir(), "millrace-browser-"));
    const browser = Bun.spawn(
      [
        ...[chromium ?? "", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        ...["--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync"],
        ...["--ignore-certificate-errors", `--user-data-dir=${profile}`, `${origin}${page}`],
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
    try {
      await body();
    } finally {
      browser.kill();
      await browser.exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    }
  }

  function testInBrowser(title: string, body: () => Promise<void>): void {
    if (chromium === undefined) test.skip(`${title} (skipped: chromium is not installed)`, body);
    else test(title, body, TIMEOUT_MS);
  }

  for (const [label, version] of [
    ["3.1.1", 4],
    ["5", 5],
  ] as const) {
    testInBrowser(`subscribes over wss with MQTT ${label} and answers`, async () => {
      await withPage(`/?version=${version}&path=/mqtt`, async () => {
        await reported("subscribed");
        const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { reconnectPeriod: 0 });
        await client.subscribeAsync("from/page", { qos: 1 });
        const answer = new Promise<string>((resolve) => {
          client.on("message", (_topic, payload) => resolve(payload.toString()));
        });
        for (const qos of [0, 1, 2] as const) await client.publishAsync("to/page/small", "hello", { qos });
        await client.publishAsync("to/page/large", Buffer.alloc(LARGE_BYTES, "x"), { qos: 1 });
        for (let i = 0; i < MANY; i++) client.publish("to/page/many", `${i}`, { qos: 0 });
        await client.publishAsync("to/page/end", "", { qos: 1 });
        expect(JSON.parse(await answer)).toEqual({
          small: ["hello at 0", "hello at 1", "hello at 2"],
          many: MANY,
          inOrder: true,
          large: LARGE_BYTES,
        });
        await client.endAsync();
      });
    });
  }

  testInBrowser("is kept out on another path", async () => {
    await withPage("/?version=5&path=/other", () => reported("closed"));
    expect(reports.some(({ step }) => step === "subscribed")).toBe(false);
  });
});
