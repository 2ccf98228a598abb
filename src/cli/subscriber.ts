// Subscriber: what `millrace sub` does from the connection to its end. Each message is printed before it is
// acknowledged; a lost connection is made anew.

import type { ISubscription } from "mqtt-packet";
import { filterMatchesTopic } from "../topic/topicFilter.ts";
import { connectAgain, type Warn } from "./mqtt/again.ts";
import { Client, type ClientTerms, type Message } from "./mqtt/client.ts";
import { EXIT_TIMED_OUT, LostError, reasonText } from "./mqtt/failure.ts";
import type { GivenProperties } from "./mqtt/properties.ts";
import { Stdout } from "./stdout.ts";
import { now } from "./strftime.ts";
import type { Format } from "./subFormat.ts";

export interface SubscriberTerms {
  readonly client: ClientTerms;
  readonly subscriptions: readonly ISubscription[];
  readonly unsubscriptions: readonly string[];
  readonly properties: Readonly<Record<"subscribe" | "unsubscribe" | "disconnect", GivenProperties>>;
  readonly filterOut: readonly string[];
  readonly format: Format;
  readonly countMax: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly endsSubscribed: boolean;
  readonly retained: "all" | "none" | "only";
  readonly removesRetained: boolean;
  /** Of the messages that are printed, 0..1. */
  readonly share: number;
  readonly warn: Warn;
}

const REFUSED = 0x80;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export class Subscriber {
  private readonly terms: SubscriberTerms;
  private readonly output: Stdout;
  private client: Client | null = null;
  private count = 0;
  /** Set when the end is near: the exit status. */
  private status: number | undefined;
  /** Messages that clear retained ones, on their way. */
  private readonly clearing = new Set<Promise<void>>();
  /** Messages of a session that was kept come before connect() has resolved. */
  private connected: (client: Client) => void = () => {};
  private readonly firstClient: Promise<Client>;
  private end: () => void = () => {};
  private readonly ended: Promise<void>;

  constructor(terms: SubscriberTerms) {
    this.terms = terms;
    this.output = new Stdout(() => this.finish(0));
    this.firstClient = new Promise((resolve) => {
      this.connected = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** Resolves with the exit status; rejects with CommandError. */
  async run(): Promise<number> {
    this.listenForSignals();
    const { timeoutMs } = this.terms;
    const onMessage = (message: Message): boolean => this.message(message);
    this.client = await Client.connect(this.terms.client, onMessage);
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.timedOut(), timeoutMs);
    this.connected(this.client);
    for (;;) {
      await this.whileConnected(this.client);
      if (this.status !== undefined) break;
      const lost = (await this.client.closed) ?? new LostError("the connection is closed");
      const again = connectAgain(lost, this.terms.client, onMessage, this.terms.warn);
      const client = await Promise.race([again, this.ended]);
      if (client === undefined) break;
      this.client = client;
    }
    clearTimeout(timer);
    await Promise.all(this.clearing);
    await this.client.disconnect(this.terms.properties.disconnect);
    return this.status ?? 0;
  }

  /** Resolves when the end is near or the connection lost. */
  private async whileConnected(client: Client): Promise<void> {
    try {
      // A session that was kept may have had enough to say already.
      if (this.status === undefined) await Promise.race([this.subscribe(client), this.ended]);
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
    }
    if (this.status === undefined) await Promise.race([client.closed, this.ended]);
  }

  private async subscribe(client: Client): Promise<void> {
    const { subscriptions, unsubscriptions, properties, endsSubscribed } = this.terms;
    if (subscriptions.length > 0) {
      const codes = await client.subscribe(subscriptions, properties.subscribe);
      this.checkRefused(codes);
    }
    if (unsubscriptions.length > 0) await client.unsubscribe(unsubscriptions, properties.unsubscribe);
    if (endsSubscribed) this.finish(0);
  }

  /** Some that are refused leave a warning, all end the program. */
  private checkRefused(codes: readonly number[]): void {
    const { subscriptions, client, warn } = this.terms;
    const refused = codes.flatMap((code, at) =>
      code < REFUSED ? [] : [{ code, topic: subscriptions[at]?.topic }],
    );
    for (const { code, topic } of refused) {
      const why = client.version === 5 ? reasonText(code) : "it is not allowed, or not supported";
      warn(`the broker refuses the subscription to ${topic}: ${why}`);
    }
    if (refused.length === codes.length) this.finish(refused[0]?.code ?? 0);
  }

  /** False when no more are wanted. */
  private message(message: Message): boolean {
    const { retained, removesRetained, countMax } = this.terms;
    if (retained === "only" && !message.retain) this.finish(0);
    else if (!this.isFilteredOut(message)) {
      if (message.retain && removesRetained) this.clear(message.topic);
      if (this.isPrinted(message)) this.print(message);
      if (this.count === countMax) this.finish(0);
    }
    return this.status === undefined;
  }

  private isFilteredOut({ topic }: Message): boolean {
    return this.terms.filterOut.some((filter) => filterMatchesTopic(filter, topic));
  }

  private isPrinted({ retain }: Message): boolean {
    const { retained, share } = this.terms;
    return !(retain && retained === "none") && (share >= 1 || Math.random() < share);
  }

  private print(message: Message): void {
    this.count++;
    const bytes = this.terms.format(message, now());
    if (bytes !== null) this.output.write(bytes);
    else this.terms.warn(`the payload of a message on ${message.topic} is no JSON`);
  }

  private clear(topic: string): void {
    const tracked = this.clearOne(topic).finally(() => this.clearing.delete(tracked));
    this.clearing.add(tracked);
  }

  private async clearOne(topic: string): Promise<void> {
    const { warn } = this.terms;
    try {
      const client = this.client ?? (await this.firstClient);
      const code = await client.publish({
        cmd: "publish",
        topic,
        payload: "",
        qos: 1,
        retain: true,
        dup: false,
      });
      if (code >= REFUSED) warn(`${topic} stays retained: ${reasonText(code)}`);
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      warn(`${topic} may stay retained: ${error.message}`);
    }
  }

  private timedOut(): void {
    this.terms.warn("timed out");
    this.finish(EXIT_TIMED_OUT);
  }

  private listenForSignals(): void {
    for (const [signal, status] of Object.entries(SIGNALS)) {
      process.on(signal, () => {
        if (this.status !== undefined || this.client === null) process.exit(status);
        this.finish(0);
      });
    }
  }

  /** What comes from now on is not printed and not acknowledged. */
  private finish(status: number): void {
    this.status ??= status;
    this.end();
  }
}
