// The console's own listener.

import { expect, test } from "bun:test";
import { startMetrics } from "../../src/console/metrics.ts";
import { startConsole } from "../../src/console/server.ts";
import { startTestBroker } from "../support/broker.ts";
import { consoleOf, FakeOperations, NOBODY } from "./support.ts";

test("an address that somebody has is an error", async () => {
  const one = await startTestBroker();
  const start = (port: number) =>
    startConsole({ host: "127.0.0.1", port, users: NOBODY }, one.broker.host, new FakeOperations());
  const first = start(0);
  expect(() => start(first.port)).toThrow("port");
  await first.stop();
  await one.stop();
});

/** What comes until the server closes. */
function exchange(port: number, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  void Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(text),
      data(_, chunk) {
        answer += chunk.toString();
      },
      close: () => resolve(answer),
      error: (_, error) => reject(error),
    },
  });
  return promise;
}

test("a load balancer that speaks HTTP/1.0 and names no host is answered", async () => {
  const one = await startTestBroker();
  const users = { token: "a", user: null };
  const settings = { host: "127.0.0.1", port: 0, users };
  const served = startConsole(settings, one.broker.host, new FakeOperations());
  const metrics = await startMetrics(
    {
      prometheus: { host: "127.0.0.1", port: 0, lagIntervalMs: 1000 },
      sysIntervalMs: 0,
      alerts: null,
      meters: null,
    },
    one.broker.host,
  );
  const health = "GET /api/v1/health HTTP/1.0\r\n";
  expect(await exchange(served.port, `${health}Authorization: Bearer a\r\n\r\n`)).toContain(" 200 OK\r\n");
  expect(await exchange(served.port, `${health}\r\n`)).toContain(" 401 ");
  expect(await exchange(metrics.port ?? 0, "GET /metrics HTTP/1.0\r\n\r\n")).toContain(" 200 OK\r\n");
  await metrics.stop();
  await served.stop();
  await one.stop();
});

test("wrong tokens and passwords are told, who shows none is not", async () => {
  const one = await startTestBroker();
  const ui = consoleOf(one, { token: "a", user: { name: "u", password: "p" } });
  for (const authorization of ["Bearer b", `Basic ${btoa("u:q")}`, "Bearer a"])
    await ui.ask("GET", "/api/v1/health", undefined, { authorization });
  await ui.ask("GET", "/api/v1/health");
  expect(ui.operations.refusals).toEqual(["127.0.0.1", "127.0.0.1"]);
  ui.close();
  await one.stop();
});
