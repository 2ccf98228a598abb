// What the log says of messages that nobody got.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Logger } from "../../src/base/logger.ts";
import { HostLog } from "../../src/net/hostLog.ts";
import type { Connection } from "../../src/net/connection.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { openLogger } from "../support/openLogger.ts";

let one: TestBroker;
beforeAll(async () => {
  one = await startTestBroker();
});
afterAll(() => one.stop());

/** A log whose warnings are kept. */
function recorded(): { log: HostLog; lines: { fields: object; message: string }[] } {
  const lines: { fields: object; message: string }[] = [];
  const logger: Logger = {
    debug() {},
    info() {},
    warn: (fields, message) => void lines.push({ fields, message }),
    error() {},
    isEnabled: () => true,
  };
  return { log: new HostLog(logger, one.broker.router.clock), lines };
}

test("dropped messages are told by kind, once, and nothing is said while there are none", () => {
  const { log, lines } = recorded();
  log.tellDropped();
  log.host = one.broker.host;
  log.tellDropped();
  expect(lines).toEqual([]);
  const { stats } = one.broker.router;
  stats.quotaMessages += 12;
  stats.gapMessages += 3;
  log.tellDropped();
  log.tellDropped();
  expect(lines).toHaveLength(1);
  expect(lines[0]!.fields).toEqual({ gap: 3, quota: 12 });
  expect(lines[0]!.message).toContain("12 of QoS 1 and 2 beyond the quota of a session's queue");
  stats.quotaMessages++;
  log.tellDropped();
  expect(lines[1]!.fields).toEqual({ quota: 1 });
});

test("a part of the memory that was too small is told with its name and size", () => {
  const { log, lines } = recorded();
  log.host = one.broker.host;
  const { sessions } = one.broker.router.budgets;
  const { used, bytesMax } = sessions;
  for (let i = 0; i < 3; i++) expect(sessions.take(bytesMax + 1)).toBe(false);
  log.tellDropped();
  log.tellDropped();
  const told = lines.filter(({ fields }) => "memory" in fields);
  expect(told.map(({ fields }) => fields)).toEqual([
    { memory: "sessions", times: 3, used, bytes_max: bytesMax },
  ]);
  expect(told[0]!.message).toContain("raise memory");
});

test("of a client that nobody looks at nothing is made", () => {
  let made = 0;
  const connection = {
    isShown: false,
    logFields: () => {
      made++;
      return {};
    },
    show: () => true,
  } as unknown as Connection;
  const pass = (text: string): number => {
    made = 0;
    const log = new HostLog(openLogger(text), one.broker.router.clock);
    log.host = one.broker.host;
    log.identified(connection);
    log.connected(connection);
    log.tellState();
    return made;
  };
  expect(pass("info")).toBe(0);
  expect(pass("info,[{client_id=another}]=info")).toBe(0);
  expect(pass("info,[{client_id=another}]=debug")).toBeGreaterThan(0); // it might have been this one
});
