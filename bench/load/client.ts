// The driver's two kinds of client over real sockets. They do as little per message as a check of every message
// allows: a subscriber walks frame lengths and reads the sequence number where it must stand, a publisher stamps
// sequence numbers into frames that were made before.
//
// Payload: sequence number, 4 bytes; when it was published, 8 bytes of performance.now(); filler.

import type { Socket, SocketHandler } from "bun";
import { connectFrame, type Level, PUBACK_BYTES, publishFrame, type QoS, subscribeFrame } from "../frames.ts";
import { SequenceCheck } from "./sequence.ts";

const TIME_AT = 4;
const SEQUENCE_MODULUS = 2 ** 32;
const HANDSHAKE_MS = 10_000;
const CHUNK_BYTES = 64 * 1024;
/** Chunks that a publisher writes before others are heard. */
const CHUNKS_PER_TURN = 4;
const LATENCIES_MAX = 1 << 20;

const CONNACK = 0x20;
const PUBLISH = 0x30;
const PUBACK = 0x40;
const SUBACK = 0x90;

export interface ClientTerms {
  readonly port: number;
  readonly level: Level;
  readonly qos: QoS;
  readonly topic: string;
  readonly payloadBytes: number;
}

/** One socket and its handshake; bytes that were not accepted wait for the drain. */
abstract class LoadClient {
  protected socket: Socket<undefined> | null = null;
  private failure: Error | null = null;
  private waiting: { type: number; resolve: () => void; reject: (error: Error) => void } | null = null;
  private carry: Buffer | null = null;

  protected async open(port: number, level: Level, name: string): Promise<void> {
    const handlers: SocketHandler<undefined> = {
      data: (_socket, chunk) => this.data(chunk),
      drain: () => this.drained(),
      close: () => this.fail(new Error(`${name} lost its connection`)),
      error: (_socket, error) => this.fail(error),
    };
    this.socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: handlers,
      data: undefined,
    });
    this.socket.setNoDelay(true);
    await this.ask(connectFrame(level, name), CONNACK);
  }

  /** Writes `frame` and resolves when a packet of `type` has come. */
  protected async ask(frame: Buffer, type: number): Promise<void> {
    const late = setTimeout(() => this.fail(new Error("the broker does not answer")), HANDSHAKE_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        this.waiting = { type, resolve, reject };
        if (this.failure !== null) reject(this.failure);
        else this.socket!.write(frame);
      });
    } finally {
      clearTimeout(late);
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(error);
    this.waiting = null;
  }

  get broken(): boolean {
    return this.failure !== null;
  }

  close(): void {
    this.socket?.terminate();
  }

  private data(chunk: Buffer): void {
    const bytes = this.carry === null ? chunk : Buffer.concat([this.carry, chunk]);
    const done = this.frames(bytes);
    this.carry = done === bytes.length ? null : Buffer.from(bytes.subarray(done));
    this.chunkDone();
  }

  /** Walks the whole frames of `bytes`; returns the position behind them. */
  private frames(bytes: Buffer): number {
    const end = bytes.length;
    let at = 0;
    while (at + 2 <= end) {
      let length = bytes[at + 1]!;
      let body = at + 2;
      if (length > 127) {
        length &= 127;
        let scale = 128;
        do {
          if (body >= end) return at;
          length += (bytes[body]! & 127) * scale;
          scale *= 128;
        } while (bytes[body++]! > 127);
      }
      if (body + length > end) return at;
      const first = bytes[at]!;
      if (!this.frame(first, bytes, body, body + length)) this.answer(first & 0xf0);
      at = body + length;
    }
    return at;
  }

  private answer(type: number): void {
    if (this.waiting?.type !== type) return;
    this.waiting.resolve();
    this.waiting = null;
  }

  /** False when it is not the kind of frame that this client lives on. */
  protected abstract frame(first: number, bytes: Buffer, body: number, end: number): boolean;
  protected abstract chunkDone(): void;
  protected abstract drained(): void;
}

/** Latencies of all subscribers of a scenario, ms. */
export class Latencies {
  private readonly samples = new Float64Array(LATENCIES_MAX);
  count = 0;

  add(ms: number): void {
    if (this.count < LATENCIES_MAX) this.samples[this.count++] = ms;
  }

  /** Undefined when there are none. */
  percentile(share: number): number | undefined {
    if (this.count === 0) return undefined;
    const sorted = this.samples.slice(0, this.count).sort();
    return sorted[Math.min(this.count - 1, Math.floor(share * this.count))];
  }
}

/** Counts what one publisher's messages are when they come: in order once, or else. */
export class Subscriber extends LoadClient {
  received = 0;
  bytes = 0;
  readonly sequence = new SequenceCheck();
  private readonly payloadBytes: number;
  private readonly latencies: Latencies | null;
  private acks = Buffer.alloc(4096);
  private ackFrom = 0;
  private ackTo = 0;

  private constructor(terms: ClientTerms, latencies: Latencies | null) {
    super();
    this.payloadBytes = terms.payloadBytes;
    this.latencies = latencies;
  }

  static async connect(terms: ClientTerms, name: string, latencies: Latencies | null): Promise<Subscriber> {
    const subscriber = new Subscriber(terms, latencies);
    await subscriber.open(terms.port, terms.level, name);
    await subscriber.ask(subscribeFrame(terms.level, [terms.topic], terms.qos), SUBACK);
    return subscriber;
  }

  protected frame(first: number, bytes: Buffer, body: number, end: number): boolean {
    if ((first & 0xf0) !== PUBLISH) return false;
    const at = end - this.payloadBytes;
    const sequence =
      ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
    this.sequence.came(sequence);
    this.received++;
    this.bytes += this.payloadBytes;
    if (this.latencies !== null) this.latencies.add(performance.now() - bytes.readDoubleBE(at + TIME_AT));
    if ((first & 6) !== 0) this.acknowledge(bytes, body);
    return true;
  }

  private acknowledge(bytes: Buffer, body: number): void {
    const identifier = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
    if (this.ackTo + PUBACK_BYTES > this.acks.length) this.acks = Buffer.concat([this.acks, this.acks]);
    const at = this.ackTo;
    const acks = this.acks;
    acks[at] = PUBACK;
    acks[at + 1] = 2;
    acks[at + 2] = bytes[identifier]!;
    acks[at + 3] = bytes[identifier + 1]!;
    this.ackTo = at + PUBACK_BYTES;
  }

  protected chunkDone(): void {
    if (this.ackTo > 0) this.drained();
  }

  protected drained(): void {
    if (this.ackFrom < this.ackTo) {
      this.ackFrom += Math.max(0, this.socket!.write(this.acks, this.ackFrom, this.ackTo - this.ackFrom));
    }
    if (this.ackFrom < this.ackTo) return;
    this.ackFrom = 0;
    this.ackTo = 0;
  }
}

export interface PublisherTerms extends ClientTerms {
  /** Unacknowledged QoS 1 messages at one time. */
  readonly window: number;
  /** MQTT 5: topic by alias 1 behind the first message. */
  readonly alias: boolean;
}

/** Publishes as fast as the broker takes it, or when told to. */
export class Publisher extends LoadClient {
  /** Messages that were stamped; each is written whole in the end. */
  sent = 0;
  private readonly qos: QoS;
  /** Frames of one size, one after another, and where things stand in one. */
  private readonly chunk: Buffer;
  private readonly frameBytes: number;
  private readonly sequenceAt: number;
  private readonly identifierAt: number;
  private readonly framesMax: number;
  private from = 0;
  private to = 0;
  private credit: number;
  private identifier = 1;
  private flooding = false;
  private readonly goOn = (): void => this.pump();
  private scheduled = false;

  private constructor(terms: PublisherTerms) {
    super();
    const { level, qos, topic, payloadBytes } = terms;
    this.qos = qos;
    const payload = Buffer.alloc(payloadBytes, 0x6d);
    const alias = terms.alias ? 1 : 0;
    const frame = publishFrame({ level, qos, topic: terms.alias ? "" : topic, payload, alias });
    this.frameBytes = frame.length;
    this.sequenceAt = frame.length - payloadBytes;
    this.identifierAt =
      frame.length - publishBodyBytes(frame) + 2 + (terms.alias ? 0 : Buffer.byteLength(topic));
    this.framesMax = qos === 0 ? Math.max(1, Math.floor(CHUNK_BYTES / frame.length)) : terms.window;
    this.credit = qos === 0 ? Number.POSITIVE_INFINITY : terms.window;
    this.chunk = Buffer.alloc(this.framesMax * frame.length);
    for (let at = 0; at < this.chunk.length; at += frame.length) frame.copy(this.chunk, at);
  }

  static async connect(terms: PublisherTerms, name: string): Promise<Publisher> {
    const publisher = new Publisher(terms);
    await publisher.open(terms.port, terms.level, name);
    if (terms.alias) publisher.introduceAlias(terms);
    return publisher;
  }

  private introduceAlias({ level, qos, topic, payloadBytes }: PublisherTerms): void {
    const payload = Buffer.alloc(payloadBytes, 0x6d);
    payload.writeUInt32BE(this.sent++, 0);
    this.socket!.write(publishFrame({ level, qos, topic, payload, alias: 1 }));
  }

  flood(): void {
    this.flooding = true;
    this.pump();
  }

  /** Nothing new begins; what is begun is still written. */
  stop(): void {
    this.flooding = false;
  }

  /** One message, now. */
  one(): void {
    if (this.from < this.to || this.credit < 1) return;
    this.stamp(1);
    this.chunk.writeDoubleBE(performance.now(), this.sequenceAt + TIME_AT);
    this.flush();
  }

  private pump(): void {
    this.scheduled = false;
    if (!this.flush()) return;
    for (let chunks = 0; chunks < CHUNKS_PER_TURN; chunks++) {
      if (!this.flooding || this.credit === 0) return;
      this.stamp(Math.min(this.framesMax, this.credit));
      if (!this.flush()) return;
    }
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.goOn);
  }

  private stamp(count: number): void {
    const { chunk, frameBytes } = this;
    let at = this.sequenceAt;
    for (let i = 0; i < count; i++, at += frameBytes) {
      const sequence = (this.sent + i) % SEQUENCE_MODULUS;
      chunk[at] = sequence >>> 24;
      chunk[at + 1] = sequence >>> 16;
      chunk[at + 2] = sequence >>> 8;
      chunk[at + 3] = sequence;
    }
    this.sent += count;
    this.from = 0;
    this.to = count * frameBytes;
    if (this.qos === 0) return;
    this.credit -= count;
    for (let id = this.identifierAt, i = 0; i < count; i++, id += frameBytes) {
      chunk[id] = this.identifier >>> 8;
      chunk[id + 1] = this.identifier;
      this.identifier = this.identifier === 65_535 ? 1 : this.identifier + 1;
    }
  }

  /** True when nothing of the chunk is left. */
  private flush(): boolean {
    if (this.from < this.to) {
      this.from += Math.max(0, this.socket!.write(this.chunk, this.from, this.to - this.from));
    }
    return this.from === this.to;
  }

  protected frame(first: number): boolean {
    if ((first & 0xf0) !== PUBACK) return false;
    this.credit++;
    return true;
  }

  protected chunkDone(): void {
    if (this.flooding && this.from === this.to) this.pump();
  }

  protected drained(): void {
    this.pump();
  }
}

/** Remaining Length of a PUBLISH. */
function publishBodyBytes(frame: Buffer): number {
  let header = 1;
  while (frame[header]! > 127) header++;
  return frame.length - header - 1;
}
