// Console: an HTTP listener for people and scripts, beside MQTT. It costs the data path nothing while nobody asks.

import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Host } from "../net/host.ts";
import { api } from "./api.ts";
import { type ConsoleUsers, refusal } from "./gate.ts";
import { legacy } from "./legacy.ts";
import { metricsForConsole } from "./metrics.ts";
import { metricsResponse } from "./metricsServer.ts";
import dashboard from "./page/index.html";
import { DASHBOARD, pages } from "./pages.ts";
import type { Operations } from "./ports.ts";
import { withHost } from "./withHost.ts";

export interface ConsoleSettings {
  readonly host: string;
  /** 0..65535; 0 takes any free port. */
  readonly port: number;
  readonly users: ConsoleUsers;
}

export interface Console {
  readonly port: number;
  /** Its port is free at once. Who has asked for something is answered; nobody else is. */
  retire(): void;
  stop(): Promise<void>;
}

/** Followers of the log at one time; further ones are turned away. */
const FOLLOWERS_MAX = 16;
/** Lines that wait for one follower; beyond it the oldest go, and it is told how many. */
const LINES_MAX = 1000;
const BASIC = 'Basic realm="Millrace", charset="UTF-8"';
const KEEP_ALIVE_MS = 15_000;
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const IDLE_SECONDS = 60;
/** How long a console that is not wanted any more has for answers. */
const RETIRE_MS = 1000;

interface Bindings {
  readonly address: string;
}

/** The console without its socket: `fetch(request, { address })`, where `address` is the peer's. */
export function consoleApp(host: Host, users: ConsoleUsers, operations: Operations) {
  const app = new Hono<{ Bindings: Bindings }>();
  const versionOne = api(host, operations);
  app.use("*", (c, next) => {
    c.header("X-Content-Type-Options", "nosniff");
    c.header("X-Frame-Options", "DENY");
    c.header("Referrer-Policy", "no-referrer");
    if (c.req.path.startsWith("/api/")) c.header("Cache-Control", "no-store");
    return next();
  });
  app.use("*", async (c, next) => {
    // Where things are is no secret, and a browser must find the page that asks for a token.
    const refused = c.req.path === "/" ? null : refusal(users, c.req.raw, c.env.address);
    if (refused === null) {
      await next();
      return;
    }
    if (refused.status === 401 && c.req.header("authorization") !== undefined)
      operations.refused(c.env.address);
    if (refused.status === 401) c.header("WWW-Authenticate", users.user === null ? "Bearer" : BASIC);
    return c.json({ error: refused.reason }, refused.status);
  });
  let metrics: ReturnType<typeof metricsForConsole> | null = null;
  let followers = 0;
  let isClosed = false;
  const wakes = new Set<() => void>();
  app.get("/api/v1/logs/tail", (c) => {
    if (followers === FOLLOWERS_MAX) return c.json({ error: `${FOLLOWERS_MAX} already follow the log` }, 503);
    followers++;
    return streamSSE(c, async (stream) => {
      const waiting: string[] = [];
      let lost = 0;
      let wake = (): void => {};
      const wakeUp = (): void => wake();
      wakes.add(wakeUp);
      const stop = operations.tail.follow((line) => {
        if (waiting.length === LINES_MAX) {
          waiting.shift();
          lost++;
        }
        waiting.push(line);
        wake();
      });
      const beat = setInterval(() => wake(), KEEP_ALIVE_MS);
      stream.onAbort(() => wake()); // a place that nobody uses is free at once
      try {
        await stream.writeSSE({ event: "ready", data: "" });
        while (!stream.aborted && !stream.closed && !isClosed) {
          if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
          if (lost > 0) await stream.writeSSE({ event: "lost", data: String(lost) });
          lost = 0;
          const lines = waiting.splice(0);
          if (lines.length === 0) await stream.writeSSE({ event: "beat", data: "" });
          for (const data of lines) await stream.writeSSE({ event: "line", data });
        }
      } finally {
        clearInterval(beat);
        wakes.delete(wakeUp);
        stop();
        followers--;
      }
    });
  });
  app.route("/api/v1", versionOne.app);
  app.get("/metrics", () => {
    metrics ??= metricsForConsole(host);
    return metricsResponse(metrics.text);
  });
  app.route("/", legacy(host, operations));
  app.route("/", pages());
  app.notFound((c) => c.json({ error: "there is nothing here; /api/v1/openapi.json says what is" }, 404));
  app.onError((error, c) => c.json({ error: error.message }, 500));
  const close = (): void => {
    isClosed = true;
    for (const wake of wakes) wake();
    versionOne.close();
    metrics?.stop();
  };
  return { app, close };
}

/** Listens at once; throws what Bun throws, with `code`, when it cannot. */
export function startConsole(settings: ConsoleSettings, host: Host, operations: Operations): Console {
  const { app, close } = consoleApp(host, settings.users, operations);
  let isRetired = false;
  const server = Bun.serve({
    hostname: settings.host,
    port: settings.port,
    maxRequestBodySize: BODY_BYTES_MAX,
    idleTimeout: IDLE_SECONDS,
    development: false,
    reusePort: false, // else Bun would share the port with another program that has it
    // The page holds nothing of the broker's: what it shows it asks of the API, which wants to know who asks.
    routes: { [DASHBOARD]: dashboard },
    async fetch(request, self) {
      if (isRetired) return new Response(null, { status: 503, headers: { Connection: "close" } });
      const response = await app.fetch(withHost(request), {
        address: self.requestIP(request)?.address ?? "",
      });
      if (isRetired) response.headers.set("Connection", "close"); // what is asked next is asked of another one
      return response;
    },
  });
  return {
    port: server.port ?? settings.port,
    retire() {
      isRetired = true;
      close();
      void server.stop(false);
      setTimeout(() => void server.stop(true), RETIRE_MS).unref();
    },
    async stop() {
      close();
      await server.stop(true);
    },
  };
}
