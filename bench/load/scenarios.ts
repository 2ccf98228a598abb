// Scenarios of the load run, and how one is run: the load generator of `millrace bench` against a broker whose CPU time
// and memory are looked at.

import { Clients, type LoadTerms } from "../../src/cli/bench/clients.ts";
import { type LoadResult, runLoad } from "../../src/cli/bench/run.ts";
import type { ProtocolLevel, QoS } from "../../src/packet/protocol.ts";
import type { BrokerProcess } from "./brokerProcess.ts";

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** "pairs": each publisher has a topic and a subscriber of its own; "fan": all subscribers read one publisher. */
  readonly layout: "fan" | "pairs";
  /** Subscribers of the fan, or pairs. */
  readonly count: number;
  readonly qos: QoS;
  readonly from: ProtocolLevel;
  readonly to: ProtocolLevel;
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
const TIMEOUT_MS = 10_000;

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
  /** Of paced scenarios: flat out it is the length of queues. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly sent: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly disconnected: number;
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
  const terms = termsOf(scenario, broker.port, seconds);
  let cpuS: number | undefined;
  const result = await runLoad(terms, new Clients(terms), {
    progress: ({ received, elapsedS }) => progress(received, elapsedS),
    windowBegins: () => {
      cpuS = broker.usage()?.cpuS;
    },
    windowEnds: () => {
      const atEnd = broker.usage()?.cpuS;
      cpuS = atEnd === undefined || cpuS === undefined ? undefined : atEnd - cpuS;
    },
  });
  return resultOf(scenario, result, cpuS, broker);
}

function termsOf(
  { layout, count, qos, from, to, alias, rate }: Scenario,
  port: number,
  seconds: number,
): LoadTerms {
  const publishers = layout === "fan" ? 1 : count;
  return {
    connect: {
      target: { kind: "tcp", host: "127.0.0.1", port, path: "", tls: false },
      tls: { ca: undefined, cert: undefined, key: undefined, insecure: false },
      username: undefined,
      password: undefined,
      topic: undefined,
      timeoutMs: TIMEOUT_MS,
    },
    scenario: layout === "fan" ? "fan-out" : "pairs",
    publishers,
    subscribers: count,
    publishLevel: from,
    subscribeLevel: to,
    qos,
    payloadBytes: PAYLOAD_BYTES,
    alias: alias === true,
    window: WINDOW,
    rate: rate === undefined ? undefined : rate * publishers,
    connectRate: undefined,
    seconds,
    warmUpSeconds: Math.min(WARM_UP_S_MAX, seconds * WARM_UP_SHARE),
    prefix: "load",
  };
}

function resultOf(
  { name, rate }: Scenario,
  result: LoadResult,
  cpuS: number | undefined,
  broker: BrokerProcess,
): Result {
  const { seconds, deliveredPerS, latencies } = result;
  const deliveries = deliveredPerS * seconds;
  const usage = broker.usage();
  return {
    name,
    deliveriesPerS: deliveredPerS,
    megabytesPerS: result.deliveredBytesPerS / 1e6,
    brokerNsPerDelivery: cpuS === undefined || deliveries === 0 ? undefined : (cpuS / deliveries) * 1e9,
    brokerCores: cpuS === undefined ? undefined : cpuS / seconds,
    driverCores: result.generator.cores,
    rssBytes: usage?.rssBytes,
    rssPeakBytes: usage?.rssPeakBytes,
    p50Ms: rate === undefined ? undefined : latencies.percentile(0.5),
    p99Ms: rate === undefined ? undefined : latencies.percentile(0.99),
    sent: result.sent,
    lost: result.lost,
    reordered: result.reordered,
    duplicates: result.duplicates,
    disconnected: result.disconnected,
  };
}
