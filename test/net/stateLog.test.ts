// What -vvv shows: the broker's inner state and each connection's, when it is another one.

import { afterEach, expect, test } from "bun:test";
import { LINES_MAX, StateLog } from "../../src/net/stateLog.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { openLogger } from "../support/openLogger.ts";
import { WireClient } from "../support/wireClient.ts";

let one: TestBroker;
const clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  await one.stop();
});

async function connected(clientId: string): Promise<WireClient> {
  const client = await WireClient.open(one.port, 5);
  clients.push(client);
  await client.connect({ clientId, username: "ann" });
  return client;
}

test("a line for the broker, and one for each connection whose state is another one", async () => {
  one = await startTestBroker();
  const { records, ...logger } = openLogger("all");
  const log = new StateLog(logger);
  const slow = await connected("slow");
  await connected("idle");
  await slow.subscribe("a", { qos: 1 });
  log.tell(one.broker.host);
  const each = records.slice(0, -1);
  expect(records.at(-1)).toMatchObject({
    level: "trace",
    message: "state of the broker",
    fields: {
      sockets: 2,
      clients: 2,
      sessions: 2,
      paused: 0,
      log_head: 0,
      memory: { log: expect.any(Number) },
    },
  });
  expect(each.map(({ fields }) => fields["client_id"])).toEqual(["slow", "idle"]);
  expect(each[0]).toMatchObject({
    level: "trace",
    message: "state of the connection",
    fields: {
      connection_id: 1,
      username: "ann",
      listener: "v4.1",
      remote: "127.0.0.1",
      reading: "yes",
      reader: "caught_up",
      subscriptions: 1,
      in_flight: 0,
      unsent_bytes: 0,
    },
  });
  const publisher = await connected("publisher");
  await publisher.publish("a", "x", { qos: 1 });
  await slow.receive({ topic: "a" });
  records.length = 0;
  log.tell(one.broker.host);
  expect(records.slice(0, -1).map(({ fields }) => fields["client_id"])).toEqual(["slow", "publisher"]);
  expect(records[0]!.fields).toMatchObject({ in_flight: 1 });
  records.length = 0;
  log.tell(one.broker.host);
  expect(records).toEqual([]);
});

test.each([
  ["trace", 0],
  ["info,[{client_id=slow}]=trace", 0],
  ["info,[{client_id=slow}]=all", 1],
  ["all", 3],
])("the filter %s wants %p lines", async (text, count) => {
  one = await startTestBroker();
  await connected("slow");
  await connected("idle");
  const { records, ...logger } = openLogger(text);
  new StateLog(logger).tell(one.broker.host);
  expect(records).toHaveLength(count);
});

test("so many connections in a second; how many were left out is told", async () => {
  one = await startTestBroker();
  await connected("a");
  const [connection] = one.broker.host.open;
  const like = () => Object.create(connection!) as object;
  const open = new Set(Array.from({ length: LINES_MAX + 5 }, like));
  const { records, ...logger } = openLogger("all");
  new StateLog(logger).tell({ ...pick(one), open } as never);
  expect(records).toHaveLength(LINES_MAX + 1);
  expect(records.at(-1)!.fields).toMatchObject({ connections_untold: 5 });
});

function pick({ broker: { host } }: TestBroker) {
  const { router, stats, paused, overdrawn, residues, lobby } = host;
  return { router, stats, paused, overdrawn, residues, lobby };
}
