// Stopping, and what a broker promises while it stops.

import { afterAll, expect, test } from "bun:test";
import { startTestBroker } from "../support/broker.ts";
import { WireClient } from "../support/wireClient.ts";

const opened: WireClient[] = [];

async function connected(port: number, version: 3 | 4 | 5, clientId: string): Promise<WireClient> {
  const client = await WireClient.open(port, version);
  opened.push(client);
  await client.connect({ clientId });
  return client;
}

afterAll(() => {
  for (const client of opened) client.cut();
});

test("v5 [MQTT-4.13.2-1] [MQTT-3.14.2-1] [MQTT-3.14.4-2]: stop() tells v5 clients 0x8B and closes everybody", async () => {
  const { port, stop } = await startTestBroker();
  const [v3, v4, v5, subscriber] = await Promise.all([
    connected(port, 3, "three"),
    connected(port, 4, "four"),
    connected(port, 5, "five"),
    connected(port, 5, "subscriber"),
  ]);
  await subscriber.subscribe("last/words", { qos: 1 });
  await v4.publish("last/words", "acknowledged", { qos: 1 });
  const stopped = stop();
  await subscriber.receive({ payload: "acknowledged" });
  await subscriber.expectDisconnected(0x8b);
  await v5.expectDisconnected(0x8b);
  await v4.expectClosed();
  await v3.expectClosed();
  await stopped;
  expect(WireClient.open(port)).rejects.toThrow();
});

test("stop() does not wait for a client that never closes", async () => {
  const { port, stop } = await startTestBroker();
  const silent = await WireClient.open(port, 5);
  opened.push(silent);
  const reader = await connected(port, 5, "reader");
  await reader.subscribe("#");
  reader.pause();
  const publisher = await connected(port, 4, "publisher");
  for (let index = 0; index < 20; index++) await publisher.publish("bulk", Buffer.alloc(500_000));
  await stop();
});

test("two brokers in one process share nothing", async () => {
  const one = await startTestBroker();
  const two = await startTestBroker();
  const left = await connected(one.port, 5, "same");
  const right = await connected(two.port, 5, "same");
  await left.subscribe("t");
  await right.publish("t", "x");
  await left.expectSilence();
  await Promise.all([one.stop(), two.stop()]);
});
