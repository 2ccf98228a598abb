// The clients of a scenario: who publishes on which topic, who subscribes to what, and how they are connected.

import type { ProtocolLevel, QoS } from "../../packet/protocol.ts";
import type { ConnectTerms } from "../clientOptions.ts";
import { Histogram } from "./histogram.ts";
import { LoadPublisher } from "./publisher.ts";
import { ShareCheck } from "./shareCheck.ts";
import { LoadSubscriber } from "./subscriber.ts";

export const SCENARIOS = ["fan-out", "fan-in", "pairs", "shared"] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface LoadTerms {
  readonly connect: ConnectTerms;
  readonly scenario: Scenario;
  readonly publishers: number;
  readonly subscribers: number;
  readonly publishLevel: ProtocolLevel;
  readonly subscribeLevel: ProtocolLevel;
  readonly qos: QoS;
  readonly payloadBytes: number;
  readonly alias: boolean;
  readonly window: number;
  /** Messages a second of all publishers together; undefined for as many as the broker takes. */
  readonly rate: number | undefined;
  /** New connections a second; undefined for as many as the broker takes. */
  readonly connectRate: number | undefined;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Before every topic and client identifier; nobody else uses it. */
  readonly prefix: string;
}

/** Clients that connect at one time. */
const CONNECTING_MAX = 50;
/** What one publisher writes at once, and what all of them may keep for it. */
const CHUNK_BYTES = 64 * 1024;
const CHUNKS_BYTES = 64 * 1024 * 1024;
/** A paced publisher writes at most as much as is due in this time. */
const PACED_S = 0.1;

export class Clients {
  readonly publishers: LoadPublisher[] = [];
  readonly subscribers: LoadSubscriber[] = [];
  /** By publisher; empty when nothing is shared. */
  readonly shares: ShareCheck[] = [];
  readonly latencies = new Histogram();
  readonly acknowledgements = new Histogram();
  /** From the first packet of a connection to the broker's last answer before it can be used. */
  readonly connects = new Histogram();
  connectSeconds = 0;
  private readonly terms: LoadTerms;

  constructor(terms: LoadTerms) {
    this.terms = terms;
    if (terms.scenario !== "shared") return;
    for (let publisher = 0; publisher < terms.publishers; publisher++) this.shares.push(new ShareCheck());
  }

  /** Publishers that are not connected yet have no place in the array. */
  get count(): number {
    return this.publishers.reduce((sum) => sum + 1, this.subscribers.length);
  }

  /** Subscribers first, so that they miss nothing. Throws CommandError. */
  async connect(): Promise<void> {
    const { subscribers, publishers } = this.terms;
    const from = performance.now();
    const next = connectPacer(this.terms.connectRate);
    await inTurns(subscribers, next, async (number) => {
      this.subscribers.push(await this.timed(() => this.subscriber(number)));
    });
    await inTurns(publishers, next, async (number) => {
      this.publishers[number] = await this.timed(() => this.publisher(number));
    });
    this.connectSeconds = (performance.now() - from) / 1000;
  }

  private async timed<T>(connect: () => Promise<T>): Promise<T> {
    const from = performance.now();
    const client = await connect();
    this.connects.add(performance.now() - from);
    return client;
  }

  private subscriber(member: number): Promise<LoadSubscriber> {
    const { connect, scenario, subscribeLevel: level, qos, payloadBytes, prefix } = this.terms;
    return LoadSubscriber.connect({
      connect,
      level,
      qos,
      clientId: `${prefix}-s${member}`,
      topic: this.filterOf(member),
      payloadBytes,
      publishers: this.publishersOf(member),
      share: scenario === "shared" ? this.shares : null,
      member,
      latencies: this.latencies,
    });
  }

  private publisher(number: number): Promise<LoadPublisher> {
    const { connect, publishLevel: level, qos, payloadBytes, window, alias, prefix } = this.terms;
    return LoadPublisher.connect({
      connect,
      level,
      qos,
      clientId: `${prefix}-p${number}`,
      number,
      topic: `${prefix}/${number}`,
      payloadBytes,
      chunkBytes: this.chunkBytes,
      window,
      alias,
      acknowledgements: this.acknowledgements,
    });
  }

  /** So that ten thousand publishers fit in memory too. */
  private get chunkBytes(): number {
    const { publishers, rate, payloadBytes } = this.terms;
    const due = rate === undefined ? Number.POSITIVE_INFINITY : (PACED_S * rate * payloadBytes) / publishers;
    return Math.min(CHUNK_BYTES, CHUNKS_BYTES / publishers, due);
  }

  private filterOf(member: number): string {
    const { scenario, publishers, prefix } = this.terms;
    if (scenario === "shared") return `$share/bench/${prefix}/+`;
    if (scenario === "pairs") return `${prefix}/${member}`;
    return publishers === 1 ? `${prefix}/0` : `${prefix}/+`;
  }

  private publishersOf(member: number): number[] {
    if (this.terms.scenario === "pairs") return [member];
    return Array.from({ length: this.terms.publishers }, (_, number) => number);
  }

  get sent(): number {
    return this.publishers.reduce((sum, { sent }) => sum + sent, 0);
  }

  get received(): number {
    return this.subscribers.reduce((sum, { received }) => sum + received, 0);
  }

  get lost(): number {
    const sentBy = (number: number): number => this.publishers[number]?.sent ?? 0;
    if (this.terms.scenario === "shared")
      return this.shares.reduce((sum, share, number) => sum + share.lost(sentBy(number)), 0);
    return this.subscribers.reduce((sum, subscriber) => sum + subscriber.lost(sentBy), 0);
  }

  get reordered(): number {
    return this.checks().reduce((sum, { reordered }) => sum + reordered, 0);
  }

  get duplicates(): number {
    return this.checks().reduce((sum, { duplicates }) => sum + duplicates, 0);
  }

  get refused(): number {
    return this.publishers.reduce((sum, { refused }) => sum + refused, 0);
  }

  /** Why connections were lost. */
  get failures(): Error[] {
    return [...this.publishers, ...this.subscribers].flatMap(({ failure }) => failure ?? []);
  }

  private checks(): { reordered: number; duplicates: number }[] {
    return [...this.shares, ...this.subscribers.flatMap(({ checks }) => checks)];
  }

  ping(): void {
    for (const client of [...this.publishers, ...this.subscribers]) client.ping();
  }

  close(): void {
    for (const client of [...this.publishers, ...this.subscribers]) client.close();
  }
}

/** Resolves when the next connection may be made. */
function connectPacer(rate: number | undefined): () => Promise<void> {
  if (rate === undefined) return () => Promise.resolve();
  const from = performance.now();
  let made = 0;
  return async () => {
    const dueMs = from + (1000 * made++) / rate;
    if (dueMs > performance.now()) await Bun.sleep(dueMs - performance.now());
  };
}

/** `one` for 0..count, in order, at most CONNECTING_MAX at one time. */
async function inTurns(
  count: number,
  next: () => Promise<void>,
  one: (number: number) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for (let number = 0; number < count; number++) {
    await next();
    while (running.size >= CONNECTING_MAX) await Promise.race(running);
    const task: Promise<void> = one(number).finally(() => running.delete(task));
    // The first failure ends it all; those that follow are not heard.
    task.catch(() => {});
    running.add(task);
  }
  await Promise.all(running);
}
