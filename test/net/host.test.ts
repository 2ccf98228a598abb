// What all connections share: places for sockets, and judging time only when it was seen to pass.

import { expect, test } from "bun:test";
import { CloseCause, type Closed } from "../../src/net/closeCause.ts";
import type { Connection } from "../../src/net/connection.ts";
import { noTraffic } from "../../src/net/connectionStats.ts";
import { Host, TICK_MS } from "../../src/net/host.ts";
import { Router } from "../../src/router/router.ts";

const MIB = 1024 * 1024;

class FakeConnection {
  readonly listener = { section: "v4.1" };
  isClient = false;
  openedMs = 0;
  closeCause: Closed | null = null;
  checked = 0;
  heardOf = 0;

  traffic() {
    return noTraffic();
  }

  checkTime(): void {
    this.checked++;
  }

  close(cause: Closed): void {
    this.closeCause = cause;
  }

  seen(): void {
    this.heardOf++;
  }
}

function hostWith(connectionsMax: number, descriptorsMax?: number) {
  const time = { nowMs: 1_000 };
  const router = new Router(
    {
      id: 0,
      memoryBytes: 16 * MIB,
      connectionsMax,
      batchMessagesMax: 200,
      retentionBytes: MIB,
      retentionByFilter: [],
      initializedFilters: [],
      sharedStrategy: "roundrobin",
      paceDebtBytes: MIB,
      stallMs: 1_000,
    },
    {
      clock: { nowMs: () => time.nowMs, wallMs: () => 0 },
      scheduler: { soon() {}, later() {} },
      seed: 1,
    },
  );
  const turnedAway: object[] = [];
  const listener = {
    identified() {},
    connected() {},
    closed() {},
    left() {},
    pressed() {},
    turnedAway: (who: object) => void turnedAway.push(who),
  };
  const options = { handshakesMax: 256, ...(descriptorsMax === undefined ? {} : { descriptorsMax }) };
  const host = new Host(router, listener, "assigned-", options);
  const open = (): FakeConnection => {
    const connection = new FakeConnection();
    connection.openedMs = time.nowMs;
    host.opened(connection as unknown as Connection);
    return connection;
  };
  return { host, time, open, turnedAway: () => turnedAway };
}

test("sockets are as many as connections and handshakes may be, or descriptors allow", () => {
  expect(hostWith(1_000).host.socketsMax).toBe(1_256);
  expect(hostWith(1_000, 20_000).host.socketsMax).toBe(1_256);
  expect(hostWith(1_000, 100).host.socketsMax).toBe(68);
  expect(hostWith(1_000, 10).host.socketsMax).toBe(1);
});

test("a socket without a place is turned away, and that is said", () => {
  const { host, open, turnedAway } = hostWith(1_000, 34);
  for (let i = 0; i < 2; i++) {
    expect(host.hasPlace()).toBe(true);
    open();
  }
  expect(host.hasPlace()).toBe(false);
  host.turnAway("v4.1", "192.0.2.1");
  expect(turnedAway()).toEqual([
    expect.objectContaining({ connection_id: 1, listener: "v4.1", remote: "192.0.2.1" }),
  ]);
});

test("when there is no place, whoever has not become a client for long makes it", () => {
  const { host, time, open } = hostWith(1_000, 35);
  const [client, silent, young] = [open(), open(), open()];
  host.connected(client as unknown as Connection);
  time.nowMs += 900;
  young.openedMs = time.nowMs;
  expect(host.hasPlace()).toBe(false);
  time.nowMs += 100;
  expect(host.hasPlace()).toBe(true);
  expect([client, silent, young].map(({ closeCause }) => closeCause?.cause)).toEqual([
    undefined,
    "displaced",
    undefined,
  ]);
  host.closed(silent as unknown as Connection, CloseCause.displaced);
  open();
  expect(host.hasPlace()).toBe(false);
});

test("a process that stood still reads what came meanwhile before it judges anybody silent", () => {
  const { host, time, open } = hostWith(10);
  const connection = open();
  time.nowMs += TICK_MS;
  host.tick();
  expect([connection.checked, connection.heardOf]).toEqual([1, 0]);
  time.nowMs += 60 * TICK_MS;
  host.tick();
  expect([connection.checked, connection.heardOf]).toEqual([1, 1]);
  time.nowMs += TICK_MS;
  host.tick();
  expect([connection.checked, connection.heardOf]).toEqual([2, 1]);
});
