// The console's own listener.

import { expect, test } from "bun:test";
import { startConsole } from "../../src/console/server.ts";
import { startTestBroker } from "../support/broker.ts";
import { FakeOperations, NOBODY } from "./support.ts";

test("an address that somebody has is an error", async () => {
  const one = await startTestBroker();
  const start = (port: number) =>
    startConsole({ host: "127.0.0.1", port, users: NOBODY }, one.broker.host, new FakeOperations());
  const first = start(0);
  expect(() => start(first.port)).toThrow("port");
  await first.stop();
  await one.stop();
});
