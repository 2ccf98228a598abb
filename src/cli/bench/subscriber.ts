// A subscriber of the load generator: reads who published what and when, and keeps account of it. It does as little for
// a message as a check of every message allows.

import { PacketType } from "../../packet/frame.ts";
import type { ProtocolLevel, QoS } from "../../packet/protocol.ts";
import type { ConnectTerms } from "../clientOptions.ts";
import { Answers } from "./answers.ts";
import { LoadConnection } from "./connection.ts";
import type { Histogram } from "./histogram.ts";
import { SEQUENCE_AT, TIME_AT } from "./payload.ts";
import { SequenceCheck } from "./sequence.ts";
import type { ShareCheck } from "./shareCheck.ts";

export interface SubscriberTerms {
  readonly connect: ConnectTerms;
  readonly level: ProtocolLevel;
  readonly qos: QoS;
  readonly clientId: string;
  readonly topic: string;
  readonly payloadBytes: number;
  /** Publishers whose messages come, by their number. */
  readonly publishers: readonly number[];
  /** One for each publisher, when this is the member `member` of a group. */
  readonly share: readonly ShareCheck[] | null;
  readonly member: number;
  readonly latencies: Histogram;
}

const TYPE_BITS = 0xf0;
const QOS_BITS = 0x06;
const QOS_2 = 0x04;

export class LoadSubscriber {
  received = 0;
  /** By publisher; empty in a group. */
  readonly checks: SequenceCheck[] = [];
  private readonly terms: SubscriberTerms;
  private readonly share: readonly ShareCheck[] | null;
  private readonly member: number;
  private readonly payloadBytes: number;
  private readonly latencies: Histogram;
  private readonly answers = new Answers();
  private connection: LoadConnection | null = null;
  /** When the chunk came that is being read; 0 until somebody asks. */
  private chunkMs = 0;

  private constructor(terms: SubscriberTerms) {
    this.terms = terms;
    this.share = terms.share;
    this.member = terms.member;
    this.payloadBytes = terms.payloadBytes;
    this.latencies = terms.latencies;
    if (terms.share === null)
      for (const publisher of terms.publishers) this.checks[publisher] = new SequenceCheck();
  }

  static async connect(terms: SubscriberTerms): Promise<LoadSubscriber> {
    const subscriber = new LoadSubscriber(terms);
    const { connection } = await LoadConnection.open(terms.connect, terms.level, terms.clientId, subscriber);
    subscriber.connection = connection;
    await connection.subscribe(terms.topic, terms.qos);
    return subscriber;
  }

  get failure(): Error | null {
    return this.connection?.failure ?? null;
  }

  /** Of the messages that `sentBy` tells for each publisher, those that did not come; not for members of a group. */
  lost(sentBy: (publisher: number) => number): number {
    let lost = 0;
    for (const publisher of this.terms.publishers)
      lost += this.checks[publisher]?.lost(sentBy(publisher)) ?? 0;
    return lost;
  }

  ping(): void {
    this.answers.ping();
    this.drained();
  }

  close(): void {
    this.connection?.close();
  }

  /** @hot */
  frame(first: number, bytes: Buffer, body: number, end: number): void {
    if ((first & TYPE_BITS) !== PacketType.Publish) {
      if ((first & TYPE_BITS) === PacketType.Pubrel)
        this.answers.add(PacketType.Pubcomp, bytes[body]!, bytes[body + 1]!);
      return;
    }
    const at = end - this.payloadBytes;
    // Not of this run, and not to be read as if it were.
    if (at <= body) return;
    this.received++;
    this.account(uint32(bytes, at), uint32(bytes, at + SEQUENCE_AT));
    if (bytes[at + TIME_AT] !== 0) this.measure(bytes, at);
    if ((first & QOS_BITS) !== 0) this.acknowledge(first, bytes, body);
  }

  private account(publisher: number, sequence: number): void {
    if (this.share === null) this.checks[publisher]?.came(sequence);
    else this.share[publisher]?.came(this.member, sequence);
  }

  private measure(bytes: Buffer, at: number): void {
    if (this.chunkMs === 0) this.chunkMs = performance.now();
    this.latencies.add(this.chunkMs - bytes.readDoubleBE(at + TIME_AT));
  }

  private acknowledge(first: number, bytes: Buffer, body: number): void {
    const identifier = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
    const type = (first & QOS_BITS) === QOS_2 ? PacketType.Pubrec : PacketType.Puback;
    this.answers.add(type, bytes[identifier]!, bytes[identifier + 1]!);
  }

  chunkDone(): void {
    this.chunkMs = 0;
    if (!this.answers.isEmpty) this.drained();
  }

  drained(): void {
    if (this.connection !== null) this.answers.flush(this.connection);
  }
}

function uint32(bytes: Buffer, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
