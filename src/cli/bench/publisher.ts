// A publisher of the load generator: stamps publisher's numbers into frames that were made before, and writes many at
// once. It publishes as fast as the broker takes it, or as a pacer tells it.

import type { IConnackPacket } from "mqtt-packet";
import { frameBody, PacketType } from "../../packet/frame.ts";
import type { ProtocolLevel, QoS } from "../../packet/protocol.ts";
import type { ConnectTerms } from "../clientOptions.ts";
import { Answers } from "./answers.ts";
import { LoadConnection } from "./connection.ts";
import type { Histogram } from "./histogram.ts";
import { blankPayload, SEQUENCE_AT, TIME_AT } from "./payload.ts";

export interface PublisherTerms {
  readonly connect: ConnectTerms;
  readonly level: ProtocolLevel;
  readonly qos: QoS;
  readonly clientId: string;
  /** Whose messages they are. */
  readonly number: number;
  readonly topic: string;
  readonly payloadBytes: number;
  /** Unacknowledged messages at one time. */
  readonly window: number;
  /** What may be written at once; at least one message is. */
  readonly chunkBytes: number;
  /** MQTT 5: topic by alias 1 behind the first message. */
  readonly alias: boolean;
  /** From a message to its last acknowledgement. */
  readonly acknowledgements: Histogram;
}

/** Chunks that a publisher writes before others are heard. */
const CHUNKS_PER_TURN = 4;
const IDENTIFIER_MAX = 65_535;
const TYPE_BITS = 0xf0;
const PUBREL_FIRST = PacketType.Pubrel | 2;
const REFUSED = 0x80;
const FLOODED = Number.POSITIVE_INFINITY;

export class LoadPublisher {
  /** Messages that were stamped; each is written whole in the end. */
  sent = 0;
  /** Messages that the broker refused. */
  refused = 0;
  private readonly terms: PublisherTerms;
  private readonly qos: QoS;
  private connection: LoadConnection | null = null;
  /** Frames of one size, one after another, and where things stand in one. */
  private chunk = Buffer.alloc(0);
  private frameBytes = 0;
  private payloadAt = 0;
  private identifierAt = 0;
  private framesMax = 1;
  private from = 0;
  private to = 0;
  private credit = FLOODED;
  private identifier = 1;
  private readonly answers = new Answers();
  /** Messages that are wanted in all, FLOODED for as many as can be. */
  private wanted = 0;
  /** Messages up to this one are late: the pacer has seen them wait. */
  private lateBefore = 0;
  /** When the pacer wanted message 0, and how far apart they are. */
  private firstDueMs = 0;
  private intervalMs = 0;
  /** One message at a time is watched until its acknowledgement. */
  private watched = 0;
  private watchedMs = 0;
  private readonly goOn = (): void => this.pump();
  private isScheduled = false;

  private constructor(terms: PublisherTerms) {
    this.terms = terms;
    this.qos = terms.qos;
  }

  static async connect(terms: PublisherTerms): Promise<LoadPublisher> {
    const publisher = new LoadPublisher(terms);
    const opened = await LoadConnection.open(terms.connect, terms.level, terms.clientId, publisher);
    publisher.connection = opened.connection;
    publisher.prepare(opened.connack);
    return publisher;
  }

  get failure(): Error | null {
    return this.connection?.failure ?? null;
  }

  /** Fills the chunk with frames to be stamped. */
  private prepare({ properties }: IConnackPacket): void {
    const { alias, topic, payloadBytes, chunkBytes, window } = this.terms;
    const usesAlias = alias && (properties?.topicAliasMaximum ?? 0) > 0;
    const frame = this.frameFor(usesAlias ? "" : topic, usesAlias);
    const credit = Math.min(window, properties?.receiveMaximum ?? IDENTIFIER_MAX);
    const fitting = Math.max(1, Math.floor(chunkBytes / frame.length));
    this.frameBytes = frame.length;
    this.payloadAt = frame.length - payloadBytes;
    this.identifierAt = frameBody(frame, 0) + 2 + (usesAlias ? 0 : Buffer.byteLength(topic));
    this.framesMax = this.qos === 0 ? fitting : Math.min(fitting, credit);
    this.chunk = Buffer.alloc(this.framesMax * frame.length);
    for (let at = 0; at < this.chunk.length; at += frame.length) frame.copy(this.chunk, at);
    if (this.qos > 0) this.credit = credit;
    if (usesAlias) this.introduceAlias();
  }

  private frameFor(topic: string, withAlias: boolean): Buffer {
    const { level, number, payloadBytes } = this.terms;
    return this.connection!.encode({
      cmd: "publish",
      topic,
      qos: this.qos,
      retain: false,
      dup: false,
      payload: blankPayload(number, payloadBytes),
      ...(this.qos > 0 && { messageId: 1 }),
      ...(level === 5 && { properties: withAlias ? { topicAlias: 1 } : {} }),
    });
  }

  /** The first message carries topic and alias; its number is 0, as the payload is blank. */
  private introduceAlias(): void {
    const frame = this.frameFor(this.terms.topic, true);
    this.sent = 1;
    if (this.qos > 0) {
      this.credit--;
      this.identifier = 2;
    }
    this.connection!.write(frame, 0, frame.length);
  }

  /** As fast as the broker takes it, until stop(). */
  flood(): void {
    this.wanted = FLOODED;
    this.pump();
  }

  /** From now on want() says how many; message n is due at `firstDueMs` + n × `intervalMs`. */
  pace(firstDueMs: number, intervalMs: number): void {
    this.wanted = this.sent;
    this.firstDueMs = firstDueMs - this.sent * intervalMs;
    this.intervalMs = intervalMs;
  }

  /**
   * `count` more, now. Those that the broker or its window does not take at once are published as soon as it does, but
   * carry the time at which they were due, so that a stall is seen by all whom it delays.
   */
  want(count: number): void {
    this.lateBefore = this.wanted;
    this.wanted += count;
    this.pump();
    this.lateBefore = this.wanted;
  }

  /** Nothing new begins; what is begun is still written. */
  stop(): void {
    this.wanted = this.sent;
  }

  ping(): void {
    this.answers.ping();
    this.pump();
  }

  close(): void {
    this.connection?.close();
  }

  private pump(): void {
    this.isScheduled = false;
    if (this.connection === null || this.connection.failure !== null || !this.flush(this.connection)) return;
    for (let chunks = 0; chunks < CHUNKS_PER_TURN; chunks++) {
      const count = Math.min(this.framesMax, this.credit, this.wanted - this.sent);
      if (count <= 0) return;
      this.stamp(count);
      if (!this.flush(this.connection)) return;
    }
    this.schedule();
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(this.goOn);
  }

  /** @hot */
  private stamp(count: number): void {
    const { chunk, frameBytes } = this;
    const first = this.sent;
    let at = this.payloadAt + SEQUENCE_AT;
    for (let i = 0; i < count; i++, at += frameBytes) {
      const sequence = first + i;
      chunk[at] = sequence >>> 24;
      chunk[at + 1] = sequence >>> 16;
      chunk[at + 2] = sequence >>> 8;
      chunk[at + 3] = sequence;
    }
    this.stampTimes(first, count);
    this.sent = first + count;
    this.from = 0;
    this.to = count * frameBytes;
    if (this.qos > 0) this.stampIdentifiers(count);
  }

  /** Flooded, the first frame of a chunk alone is measured: more would cost more than the rest. */
  private stampTimes(first: number, count: number): void {
    const { chunk, frameBytes } = this;
    const nowMs = performance.now();
    let at = this.payloadAt + TIME_AT;
    if (this.wanted === FLOODED) {
      chunk.writeDoubleBE(nowMs, at);
      return;
    }
    for (let i = 0; i < count; i++, at += frameBytes) {
      const isLate = first + i < this.lateBefore;
      chunk.writeDoubleBE(isLate ? this.firstDueMs + (first + i) * this.intervalMs : nowMs, at);
    }
  }

  private stampIdentifiers(count: number): void {
    const { chunk, frameBytes } = this;
    if (this.watched === 0) {
      this.watched = this.identifier;
      this.watchedMs = performance.now();
    }
    this.credit -= count;
    for (let at = this.identifierAt, i = 0; i < count; i++, at += frameBytes) {
      chunk[at] = this.identifier >>> 8;
      chunk[at + 1] = this.identifier;
      this.identifier = this.identifier === IDENTIFIER_MAX ? 1 : this.identifier + 1;
    }
  }

  /** True when nothing is left to write. Answers wait for the end of a chunk that is cut. */
  private flush(connection: LoadConnection): boolean {
    if (this.from < this.to) this.from += connection.write(this.chunk, this.from, this.to - this.from);
    return this.from === this.to && this.answers.flush(connection);
  }

  /** @hot */
  frame(first: number, bytes: Buffer, body: number, end: number): void {
    const type = first & TYPE_BITS;
    const reason = end - body > 2 ? bytes[body + 2]! : 0;
    if (type === PacketType.Pubrec && reason < REFUSED) {
      this.answers.add(PUBREL_FIRST, bytes[body]!, bytes[body + 1]!);
      return;
    }
    if (type === PacketType.Pingresp) return;
    this.credit++;
    if (reason >= REFUSED) this.refused++;
    if (((bytes[body]! << 8) | bytes[body + 1]!) !== this.watched) return;
    this.terms.acknowledgements.add(performance.now() - this.watchedMs);
    this.watched = 0;
  }

  chunkDone(): void {
    this.pump();
  }

  drained(): void {
    this.pump();
  }
}
