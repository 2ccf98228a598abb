// Figures are added up a slice at a time; connections that come and go meanwhile are counted once, sooner or later.

import { expect, test } from "bun:test";
import { FiguresReader } from "../../src/console/figures.ts";
import { ConnectionStats, type Traffic } from "../../src/net/connectionStats.ts";
import { metricsForConsole } from "../../src/console/metrics.ts";
import type { Host } from "../../src/net/host.ts";
import { startTestBroker } from "../support/broker.ts";

const SECTION = "v4.1";
const TRAFFIC: Traffic = { bytesIn: 10, bytesOut: 20, messagesIn: 1, messagesOut: 2 };

interface FakeConnection {
  readonly listener: { readonly section: string };
  traffic(): Traffic;
}

class FakeHost {
  readonly stats = new ConnectionStats();
  readonly open = new Set<FakeConnection>();
  readonly sessions: object[] = [];
  readonly router = {
    sessions: { all: () => this.sessions.values() },
    log: { head: 5, oldest: { baseOffset: 2, used: 100, newer: null } },
  };

  connect(): FakeConnection {
    const connection = { listener: { section: SECTION }, traffic: () => ({ ...TRAFFIC }) };
    this.open.add(connection);
    this.stats.accept(SECTION);
    return connection;
  }

  end(connection: FakeConnection): void {
    this.open.delete(connection);
    this.stats.end(SECTION, true, "disconnect", connection.traffic());
  }
}

test("what ends during a look is missing from it at most, and sums never get less", async () => {
  const host = new FakeHost();
  const connections = Array.from({ length: 2_500 }, () => host.connect());
  const reader = new FiguresReader(host as unknown as Host);
  expect((await reader.read()).traffic.bytesIn).toBe(25_000);

  const reading = reader.read();
  expect(reader.read()).toBe(reading);
  await new Promise(setImmediate); // the first slice is over
  host.end(connections[10]!); // it was looked at
  host.end(connections[2_400]!); // it was not
  for (let i = 0; i < 3; i++) host.connect();
  expect((await reading).traffic.bytesIn).toBe(25_000 + 30 - 10);

  const { traffic, listeners } = await reader.read();
  expect(traffic).toEqual({ bytesIn: 25_030, bytesOut: 50_060, messagesIn: 2_503, messagesOut: 5_006 });
  expect(listeners).toMatchObject([{ section: SECTION, clients: 2_501, accepted: 2_503 }]);

  const again = reader.read();
  await new Promise(setImmediate);
  host.end([...host.open].at(-1)!);
  expect((await again).traffic.bytesIn).toBe(25_030); // less was found
  expect((await reader.read()).traffic.bytesIn).toBe(25_030);
});

test("sessions of links are not clients'", async () => {
  const host = new FakeHost();
  const session = { isLink: false, port: null, byText: { size: 3 }, groups: [1], inflight: { count: 4 } };
  host.sessions.push(session, { ...session, isLink: true }, { ...session, port: {}, received: { size: 2 } });
  expect(await new FiguresReader(host as unknown as Host).read()).toMatchObject({
    ...{ sessions: 2, offlineSessions: 1, subscriptions: 6, sharedSubscriptions: 2 },
    ...{ inflightOut: 8, inflightIn: 2, liveSegments: 1, logBytes: 100, logMessages: 3 },
  });
});

test("requests that come in one turn of the event loop are one look", async () => {
  const one = await startTestBroker();
  const { text, stop } = metricsForConsole(one.broker.host);
  await text.text();
  const first = text.text();
  for (let i = 0; i < 1000; i++) await Promise.resolve(); // as between two callbacks of sockets
  expect(text.text()).toBe(first);
  await first;
  expect(text.text()).not.toBe(first);
  stop();
  await one.stop();
});
