// What the counters and the log say of connections: per listener, by reason and cause, with what went over them; and
// what an observer is told.

import { expect, test } from "bun:test";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { DENIAL, FakeAccess } from "../support/fakeAccess.ts";
import { recorder } from "../support/recorder.ts";
import { WireClient } from "../support/wireClient.ts";

const SECTION = "v4.1";
const { reason: REFUSED } = DENIAL.error;

function observed({ broker }: TestBroker): string[] {
  const told: string[] = [];
  broker.host.observer = {
    connected: ({ clientIdentifier }) => void told.push(`${clientIdentifier} connected`),
    disconnected: ({ clientIdentifier }, { cause }) => void told.push(`${clientIdentifier} ${cause}`),
    refused: ({ clientIdentifier }, { reason }) => void told.push(`${clientIdentifier} refused ${reason}`),
    subscribed: ({ clientIdentifier }, entries, codes) =>
      void told.push(`${clientIdentifier} subscribed ${entries.map(({ filter }) => filter)} ${codes}`),
  };
  return told;
}

async function client(port: number, clientId: string, username = "user"): Promise<WireClient> {
  const one = await WireClient.open(port, 5);
  await one.connect({ clientId, username });
  return one;
}

test("connections are counted where they came in, with why they were refused or ended", async () => {
  const log = recorder();
  const one = await startTestBroker({
    logger: log,
    access: new FakeAccess(),
    listener: { connectTimeoutMs: 300 },
  });
  const told = observed(one);
  const { stats } = one.broker.host;

  const reader = await client(one.port, "reader");
  expect(await reader.subscribe(["a", "b/#", "c/#/d"], { qos: 1 })).toEqual([1, 1, 0x8f]);
  const publisher = await client(one.port, "publisher");
  for (const topic of ["a", "a", "nobody"]) await publisher.publish(topic, "0123456789");
  for (const topic of ["a", "b/c"]) await publisher.publish(topic, "0123456789", { qos: 1 });
  for (let i = 0; i < 4; i++) await reader.acknowledge(await reader.receive());
  await publisher.disconnect();
  const stranger = await WireClient.open(one.port, 5);
  await stranger.send(stranger.connectPacket({ clientId: "stranger", username: "denied" }));
  await stranger.expect("connack");
  await stranger.expectClosed();
  const mute = await WireClient.open(one.port, 5);
  await mute.expectClosed(10_000);

  const listener = stats.listeners.get(SECTION)!;
  expect(listener).toMatchObject({ clients: 1, accepted: 2 });
  expect(stats).toMatchObject({ clients: 1, clientsPeak: 2, accepted: 2, sockets: 4, turnedAway: 0 });
  expect([...listener.refused]).toEqual([[REFUSED, 1]]);
  expect([...stats.refused]).toEqual([[REFUSED, 1]]);
  expect(Object.fromEntries(stats.closed)).toEqual({ disconnect: 1, refused: 1, connect_timeout: 1 });
  expect(listener.ended).toMatchObject({ messagesIn: 5, messagesOut: 0 });
  expect(listener.ended.bytesIn).toBeGreaterThan(5 * 10);
  const [connection] = one.broker.host.open;
  expect(connection!.traffic()).toMatchObject({ messagesIn: 0, messagesOut: 4 });

  await reader.disconnect();
  await one.stop();
  expect(listener).toMatchObject({ clients: 0, ended: { messagesIn: 5, messagesOut: 4 } });
  expect(told).toEqual([
    "reader connected",
    `reader subscribed a,b/#,c/#/d 1,1,${0x8f}`,
    "publisher connected",
    "publisher disconnect",
    `stranger refused ${REFUSED}`,
    "reader disconnect",
  ]);
  const line = log.records.find(({ fields }) => fields["client_id"] === "reader" && "cause" in fields);
  expect(line?.fields).toMatchObject({ messages_in: 0, messages_out: 4 });
});

/** The client gets a message of its own. */
async function roundTrip(one: WireClient): Promise<void> {
  await one.send(one.publishPacket("a", "x"));
  await one.receive();
}

test("a session that is taken over begins to count anew", async () => {
  const log = recorder();
  const one = await startTestBroker({ logger: log });
  const first = await client(one.port, "same");
  await first.subscribe("a");
  for (let i = 0; i < 3; i++) await roundTrip(first);
  const second = await client(one.port, "same");
  await second.subscribe("a");
  await roundTrip(second);
  await second.disconnect();
  await one.stop();
  const lines = log.records.filter(({ fields }) => fields["client_id"] === "same" && "cause" in fields);
  expect(lines.map(({ fields: { messages_in, messages_out } }) => [messages_in, messages_out])).toEqual([
    [3, 3],
    [1, 1],
  ]);
});
