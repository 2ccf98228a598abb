// Scenarios of the load run, and how one is run: connect, warm up, measure a window, stop, wait for the rest, compare
// what came with what was sent.

import type { Level, QoS } from "../frames.ts";
import type { BrokerProcess } from "./brokerProcess.ts";
import { Latencies, Publisher, Subscriber } from "./client.ts";

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** "pairs": each publisher has a topic and a subscriber of its own; "fan": all subscribers read one publisher. */
  readonly layout: "fan" | "pairs";
  /** Subscribers of the fan, or pairs. */
  readonly count: number;
  readonly qos: QoS;
  readonly from: Level;
  readonly to: Level;
  readonly alias?: boolean;
  /** Messages a second; without it as fast as the broker takes them. */
  readonly rate?: number;
}

const v4 = { layout: "fan", qos: 0, from: 4, to: 4 } as const;

export const scenarios: readonly Scenario[] = [
  { ...v4, name: "q0-1to1", summary: "one publisher, one subscriber, QoS 0", count: 1 },
  { ...v4, name: "q0-fan10", summary: "one publisher, 10 subscribers", count: 10 },
  { ...v4, name: "q0-fan100", summary: "one publisher, 100 subscribers", count: 100 },
  { ...v4, name: "q0-fan1000", summary: "one publisher, 1,000 subscribers", count: 1000 },
  { ...v4, name: "v5-fan100", summary: "the same at MQTT 5", count: 100, from: 5, to: 5 },
  {
    ...v4,
    name: "v5-alias-fan100",
    summary: "MQTT 5, topic by alias",
    count: 100,
    from: 5,
    to: 5,
    alias: true,
  },
  { ...v4, name: "v4-v5-fan100", summary: "published at 3.1.1, subscribed at MQTT 5", count: 100, to: 5 },
  { ...v4, name: "q1-fan100", summary: "one publisher, 100 subscribers, QoS 1", count: 100, qos: 1 },
  {
    ...v4,
    name: "q1-pairs50",
    summary: "50 publishers, a subscriber each, QoS 1",
    layout: "pairs",
    count: 50,
    qos: 1,
  },
  {
    ...v4,
    name: "v5-q1-pairs50",
    summary: "the same at MQTT 5",
    layout: "pairs",
    count: 50,
    qos: 1,
    from: 5,
    to: 5,
  },
  { ...v4, name: "lat-1to1", summary: "1,000 messages a second, one subscriber", count: 1, rate: 1000 },
  { ...v4, name: "lat-fan100", summary: "100 messages a second, 100 subscribers", count: 100, rate: 100 },
];

export const PAYLOAD_BYTES = 64;
const WINDOW = 64;
const WARM_UP_SHARE = 0.3;
const WARM_UP_S_MAX = 1;
/** Clients that connect at one time. */
const CONNECTING_MAX = 50;
/** Nothing came for so long: nothing more will. */
const QUIET_MS = 2_000;
const POLL_MS = 20;

export interface Result {
  readonly name: string;
  readonly deliveriesPerS: number;
  readonly megabytesPerS: number;
  /** Undefined where /proc is not there. */
  readonly brokerNsPerDelivery: number | undefined;
  /** Share of one core, brokers and driver: the one that is near 1 sets the rate. */
  readonly brokerCores: number | undefined;
  readonly driverCores: number;
  readonly rssBytes: number | undefined;
  readonly rssPeakBytes: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly sent: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly disconnected: number;
}

interface Clients {
  readonly publishers: Publisher[];
  readonly subscribers: Subscriber[];
  readonly latencies: Latencies;
}

interface Snapshot {
  readonly atMs: number;
  readonly received: number;
  readonly bytes: number;
  readonly brokerCpuS: number | undefined;
  readonly driverCpuS: number;
}

export function isGood(result: Result): boolean {
  return result.lost + result.reordered + result.duplicates + result.disconnected === 0 && result.sent > 0;
}

/** Runs one scenario for about `seconds`; `progress` is told now and then what was delivered so far. */
export async function runScenario(
  scenario: Scenario,
  broker: BrokerProcess,
  seconds: number,
  progress: (deliveries: number, elapsedS: number) => void,
): Promise<Result> {
  const clients = await connectAll(scenario, broker.port);
  const { publishers, subscribers, latencies } = clients;
  const snapshot = (): Snapshot => snapshotOf(clients, broker);
  const stop = begin(scenario, publishers);
  const begun = performance.now();
  const ticker = setInterval(
    () => progress(receivedBy(subscribers), (performance.now() - begun) / 1000),
    200,
  );
  await Bun.sleep(1000 * Math.min(WARM_UP_S_MAX, seconds * WARM_UP_SHARE));
  latencies.count = 0;
  const before = snapshot();
  await Bun.sleep(1000 * seconds);
  const after = snapshot();
  stop();
  await settled(scenario, clients);
  clearInterval(ticker);
  const result = resultOf(scenario, clients, before, after, broker);
  for (const client of [...publishers, ...subscribers]) client.close();
  return result;
}

async function connectAll(scenario: Scenario, port: number): Promise<Clients> {
  const { layout, count, qos, from, to, alias = false, rate } = scenario;
  const latencies = new Latencies();
  const topicOf = (i: number): string => (layout === "fan" ? "load/fan" : `load/pair/${i}`);
  const common = { port, qos, payloadBytes: PAYLOAD_BYTES };
  const subscribers = await inParts(count, (i) => {
    const terms = { ...common, level: to, topic: topicOf(i) };
    return Subscriber.connect(terms, `load-sub-${i}`, rate === undefined ? null : latencies);
  });
  const publishers = await inParts(layout === "fan" ? 1 : count, (i) => {
    return Publisher.connect(
      { ...common, level: from, topic: topicOf(i), window: WINDOW, alias },
      `load-pub-${i}`,
    );
  });
  return { publishers, subscribers, latencies };
}

async function inParts<T>(count: number, one: (i: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  while (all.length < count) {
    const size = Math.min(CONNECTING_MAX, count - all.length);
    const from = all.length;
    all.push(...(await Promise.all(Array.from({ length: size }, (_, i) => one(from + i)))));
  }
  return all;
}

/** Returns what ends the publishing. */
function begin({ rate }: Scenario, publishers: readonly Publisher[]): () => void {
  if (rate === undefined) {
    for (const publisher of publishers) publisher.flood();
    return () => {
      for (const publisher of publishers) publisher.stop();
    };
  }
  const begun = performance.now();
  let due = 0;
  const pacing = setInterval(() => {
    const target = ((performance.now() - begun) / 1000) * rate;
    for (; due < target; due++) for (const publisher of publishers) publisher.one();
  }, 1);
  return () => clearInterval(pacing);
}

function receivedBy(subscribers: readonly Subscriber[]): number {
  let received = 0;
  for (const subscriber of subscribers) received += subscriber.received;
  return received;
}

function sentTo({ layout }: Scenario, { publishers }: Clients, subscriber: number): number {
  return publishers[layout === "fan" ? 0 : subscriber]!.sent;
}

/** Waits until everything that was sent has come, or nothing comes any more. */
async function settled(scenario: Scenario, clients: Clients): Promise<void> {
  const { subscribers } = clients;
  let last = -1;
  let lastMs = performance.now();
  for (;;) {
    const received = receivedBy(subscribers);
    if (subscribers.every((subscriber, i) => subscriber.sequence.lost(sentTo(scenario, clients, i)) === 0))
      return;
    const now = performance.now();
    if (received !== last) lastMs = now;
    else if (now - lastMs > QUIET_MS) return;
    last = received;
    await Bun.sleep(POLL_MS);
  }
}

function snapshotOf({ subscribers }: Clients, broker: BrokerProcess): Snapshot {
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    received: receivedBy(subscribers),
    bytes: subscribers.reduce((sum, subscriber) => sum + subscriber.bytes, 0),
    brokerCpuS: broker.usage()?.cpuS,
    driverCpuS: (user + system) / 1e6,
  };
}

function resultOf(
  scenario: Scenario,
  clients: Clients,
  before: Snapshot,
  after: Snapshot,
  broker: BrokerProcess,
): Result {
  const { subscribers, publishers, latencies } = clients;
  const seconds = (after.atMs - before.atMs) / 1000;
  const deliveries = after.received - before.received;
  const hasCpu = after.brokerCpuS !== undefined && before.brokerCpuS !== undefined;
  const cpuS = hasCpu ? after.brokerCpuS - before.brokerCpuS : undefined;
  const usage = broker.usage();
  const sum = (of: (subscriber: Subscriber, i: number) => number): number => {
    return subscribers.reduce((total, subscriber, i) => total + of(subscriber, i), 0);
  };
  return {
    name: scenario.name,
    deliveriesPerS: deliveries / seconds,
    megabytesPerS: (after.bytes - before.bytes) / seconds / 1e6,
    brokerNsPerDelivery: cpuS === undefined || deliveries === 0 ? undefined : (cpuS / deliveries) * 1e9,
    brokerCores: cpuS === undefined ? undefined : cpuS / seconds,
    driverCores: (after.driverCpuS - before.driverCpuS) / seconds,
    rssBytes: usage?.rssBytes,
    rssPeakBytes: usage?.rssPeakBytes,
    p50Ms: latencies.percentile(0.5),
    p99Ms: latencies.percentile(0.99),
    sent: publishers.reduce((total, publisher) => total + publisher.sent, 0),
    lost: sum((subscriber, i) => subscriber.sequence.lost(sentTo(scenario, clients, i))),
    reordered: sum((subscriber) => subscriber.sequence.reordered),
    duplicates: sum((subscriber) => subscriber.sequence.duplicates),
    disconnected: [...publishers, ...subscribers].filter((client) => client.broken).length,
  };
}
