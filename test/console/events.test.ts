// Events and meters: who is told what, how often, and what clients cannot do about it.

import { afterEach, describe, expect, test } from "bun:test";
import { type Metrics, type MetricsSettings, startMetrics } from "../../src/console/metrics.ts";
import { EVENT_KINDS, EVENTS_PER_SECOND } from "../../src/console/metricsEvents.ts";
import type { Connection } from "../../src/net/connection.ts";
import { Link } from "../../src/net/link.ts";
import { type BrokerOverrides, startTestBroker, type TestBroker } from "../support/broker.ts";
import { FakeAccess } from "../support/fakeAccess.ts";
import { WireClient } from "../support/wireClient.ts";

type Event = Readonly<Record<string, unknown>>;

const NOT_AUTHORIZED = 0x87;
const NOTHING: MetricsSettings = { prometheus: null, sysIntervalMs: 0, alerts: null, meters: null };
const ALERTS: MetricsSettings = {
  ...NOTHING,
  alerts: { topic: "$events", events: EVENT_KINDS, intervalMs: 20 },
};

let one: TestBroker;
let metrics: Metrics;
const clients: WireClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  await metrics.stop();
  await one.stop();
});

async function start(settings: MetricsSettings, overrides: BrokerOverrides = {}): Promise<void> {
  one = await startTestBroker(overrides);
  metrics = await startMetrics(settings, one.broker.host);
}

function listen(filter: string) {
  const events: { readonly topic: string; readonly event: Event }[] = [];
  let wake = (): void => {};
  const link = new Link(one.broker.router, "listener", 10, {
    onMessage: ({ topic, payload, retain, qos }) => {
      expect([retain, qos]).toEqual([false, 0]);
      events.push({ topic, event: JSON.parse(Buffer.from(payload).toString()) as Event });
      wake();
    },
  });
  link.subscribe(filter, 1, true);
  return {
    events,
    async next(topic: string): Promise<Event> {
      for (;;) {
        const at = events.findIndex((one) => one.topic === topic);
        if (at >= 0) return events.splice(at, 1)[0]!.event;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

async function client(clientId: string, more: object = {}): Promise<WireClient> {
  const opened = await WireClient.open(one.port, 5);
  clients.push(opened);
  await opened.connect({ clientId, ...more });
  return opened;
}

describe("events", () => {
  test("tell of a client's life", async () => {
    await start(ALERTS, { access: new FakeAccess() });
    const heard = listen("$events/#");
    const reader = await client("reader", { username: "user" });
    const who = { client_id: "reader", username: "user", listener: "v4.1", remote: "127.0.0.1", version: 5 };
    expect(await heard.next("$events/client/connected")).toMatchObject({ event: "connected", ...who });
    await reader.subscribe(["a/+", "b/#/c"], { qos: 1 });
    expect(await heard.next("$events/client/subscribed")).toMatchObject({
      ...who,
      count: 2,
      subscriptions: [
        { filter: "a/+", qos: 1, reason: "GrantedQoS1" },
        { filter: "b/#/c", qos: 1, reason: "TopicFilterInvalid" },
      ],
    });
    await reader.send(reader.publishPacket("a/x", "0123456789"));
    await reader.receive();
    await reader.disconnect();
    expect(await heard.next("$events/client/disconnected")).toMatchObject({
      ...who,
      ...{ cause: "disconnect", reason: "NormalDisconnection", messages_in: 1, messages_out: 1 },
    });
    const stranger = await WireClient.open(one.port, 5);
    await stranger.send(stranger.connectPacket({ clientId: "stranger", username: "denied" }));
    await stranger.expect("connack");
    expect(await heard.next("$events/client/refused")).toMatchObject({
      client_id: "stranger",
      cause: "refused",
    });
    expect(heard.events).toEqual([]);
  });

  test("tell of messages that a client's queue had no place for", async () => {
    await start(ALERTS, { listener: { queueMessagesMax: 5 } });
    const heard = listen("$events/client/quota");
    const away = await client("away", { clean: false, properties: { sessionExpiryInterval: 100 } });
    await away.subscribe("a", { qos: 1 });
    await away.disconnect();
    const publisher = await client("publisher");
    for (let i = 0; i < 20; i++) await publisher.publish("a", "x", { qos: 1 });
    const event = await heard.next("$events/client/quota");
    expect(event).toMatchObject({ client_id: "away", messages: 15, messages_total: 15 });
  });

  test("tell of gaps, those of sessions that are gone too", async () => {
    await start(ALERTS);
    const heard = listen("$events/client/gap");
    await client("slow");
    const { stats, sessions } = one.broker.router;
    stats.gapMessages += 12;
    sessions.get("slow")!.gapMessages += 7;
    expect(await heard.next("$events/client/gap")).toMatchObject({ client_id: "slow", messages: 7 });
    const rest = await heard.next("$events/client/gap");
    expect(rest).toMatchObject({ messages: 5 });
    expect(rest).not.toHaveProperty("client_id");
    stats.gapMessages += 3;
    sessions.get("slow")!.gapMessages += 3;
    expect(await heard.next("$events/client/gap")).toMatchObject({ messages: 3, messages_total: 10 });
  });

  test("of a storm are told as far as there is a place, and how many there were more", async () => {
    await start(ALERTS);
    const heard = listen("$events/#");
    await client("one");
    await heard.next("$events/client/connected");
    const [connection] = one.broker.host.open;
    const { observer } = one.broker.host;
    for (let i = 0; i < EVENTS_PER_SECOND + 50; i++) observer!.connected(connection!);
    for (let i = 0; i < EVENTS_PER_SECOND; i++) observer!.refused(connection!, connection!.closeCause);
    expect(await heard.next("$events/suppressed")).toMatchObject({ event: "suppressed", connected: 51 });
    const of = (kind: string): number => heard.events.filter(({ event }) => event["event"] === kind).length;
    expect([of("connected"), of("refused")]).toEqual([EVENTS_PER_SECOND - 1, EVENTS_PER_SECOND]);
  });

  test("that other settings end are told before, and how many more there were", async () => {
    await start(ALERTS);
    const heard = listen("$events/#");
    const someone = await client("someone");
    await heard.next("$events/client/connected");
    const [connection] = one.broker.host.open;
    for (let i = 0; i < EVENTS_PER_SECOND + 5; i++) one.broker.host.observer!.connected(connection!);
    await (await metrics.prepare({ ...ALERTS, alerts: { ...ALERTS.alerts!, intervalMs: 50 } })).commit();
    expect(await heard.next("$events/suppressed")).toMatchObject({ connected: 6 });
    expect(heard.events).toHaveLength(EVENTS_PER_SECOND - 1);
    await someone.expectSilence();
  });

  test("cost nothing while nobody listens", async () => {
    await start(ALERTS);
    const nobody = {
      logFields(): never {
        throw new Error("it is looked at");
      },
    } as unknown as Connection;
    one.broker.host.observer!.connected(nobody);
    const heard = listen("$events/client/connected");
    expect(() => one.broker.host.observer!.connected(nobody)).toThrow("it is looked at");
    expect(heard.events).toEqual([]);
  });

  test("that are not asked for are not told", async () => {
    await start({ ...NOTHING, alerts: { topic: "alerts", events: ["disconnected"], intervalMs: 20 } });
    const heard = listen("alerts/#");
    const someone = await client("someone");
    await someone.subscribe("a");
    await someone.disconnect();
    await heard.next("alerts/client/disconnected");
    expect(heard.events).toEqual([]);
  });

  test("cannot be made up by clients", async () => {
    await start(ALERTS);
    const liar = await client("liar");
    await liar.send(liar.publishPacket("$events/client/connected", "{}", { qos: 1 }));
    expect((await liar.expect("puback")).reasonCode).toBe(NOT_AUTHORIZED);
  });

  test("name of what clients chose no more than people can read", async () => {
    await start(ALERTS);
    const heard = listen("$events/#");
    const long = await client("i".repeat(2000));
    const filters = Array.from({ length: 100 }, (_, i) => `${"f".repeat(2000)}/${i}`);
    await long.subscribe(filters);
    expect(JSON.stringify(await heard.next("$events/client/connected")).length).toBeLessThan(600);
    const { count, subscriptions } = await heard.next("$events/client/subscribed");
    expect([count, (subscriptions as object[]).length]).toEqual([100, 32]);
    expect(JSON.stringify(subscriptions).length).toBeLessThan(32 * 400);
  });

  test("end with the metrics", async () => {
    await start(ALERTS);
    await metrics.stop();
    expect(one.broker.host.observer).toBeNull();
  });
});

test("meters are one message, time and again", async () => {
  await start({ ...NOTHING, meters: { topic: "$events/meters", intervalMs: 20 } });
  const someone = await client("someone");
  await someone.subscribe("a");
  await someone.publish("nobody", "x");
  const heard = listen("$events/meters");
  for (let i = 0; i < 3; i++) {
    const figures = await heard.next("$events/meters");
    expect(figures).toMatchObject({
      clients: 1,
      sessions: 1,
      subscriptions: 1,
      messages_in: 1,
      messages_out: 0,
    });
    expect(new Date(figures["time"] as string).getTime()).toBeGreaterThan(1.6e12);
  }
});
