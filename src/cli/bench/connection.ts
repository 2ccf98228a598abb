// One connection of the load generator: its handshake with mqtt-packet, then frames walked where they lie. What a
// frame means is its client's business.

import { type IConnackPacket, type ISubackPacket, parser, type Packet } from "mqtt-packet";
import { bodyAt, MALFORMED_LENGTH, PacketType, remainingLength } from "../../packet/frame.ts";
import type { ProtocolLevel, QoS } from "../../packet/protocol.ts";
import type { ConnectTerms } from "../clientOptions.ts";
import { CommandError } from "../end.ts";
import { connectFailure, LostError, reasonText, refusal } from "../mqtt/failure.ts";
import { ConnectError } from "../mqtt/connectError.ts";
import { encode } from "../mqtt/encode.ts";
import { openTransport, type Transport } from "../mqtt/transport.ts";

/** What a connection tells its client. */
export interface LoadClient {
  /** A frame of the type `first & 0xf0`, its body bytes[body, end). Reads only. */
  frame(first: number, bytes: Buffer, body: number, end: number): void;
  /** All whole frames of a chunk have been told. */
  chunkDone(): void;
  /** There is room for more. */
  drained(): void;
}

interface Waiting {
  readonly type: number;
  readonly resolve: (packet: Packet) => void;
  readonly reject: (error: Error) => void;
}

const REFUSED = 0x80;
const TYPE_BITS = 0xf0;
/** First byte and Remaining Length. */
const HEADER_BYTES_MAX = 5;

export class LoadConnection {
  readonly level: ProtocolLevel;
  /** Why it ended, if it did. */
  failure: Error | null = null;
  private readonly terms: ConnectTerms;
  private readonly client: LoadClient;
  private transport: Transport | null = null;
  private waiting: Waiting | null = null;
  /** The type that `waiting` waits for, 0 for none. */
  private waitingType = 0;
  /** Parts of a frame that has not come whole. */
  private cut: Buffer[] = [];
  private cutBytes = 0;
  private isClosing = false;
  private gone: () => void = () => {};

  private constructor(terms: ConnectTerms, level: ProtocolLevel, client: LoadClient) {
    this.terms = terms;
    this.level = level;
    this.client = client;
  }

  /** Resolves with the CONNACK when the broker has accepted; rejects with CommandError. */
  static async open(
    terms: ConnectTerms,
    level: ProtocolLevel,
    clientId: string,
    client: LoadClient,
  ): Promise<{ connection: LoadConnection; connack: IConnackPacket }> {
    const connection = new LoadConnection(terms, level, client);
    const handlers = {
      data: (chunk: Buffer) => connection.data(chunk),
      drain: () => client.drained(),
      closed: (error: Error | undefined) => connection.ended(error),
    };
    try {
      connection.transport = await openTransport(terms.target, terms.tls, handlers, terms.timeoutMs);
    } catch (error) {
      throw error instanceof ConnectError ? connectFailure(terms.target, error) : error;
    }
    return { connection, connack: await connection.connect(clientId) };
  }

  private async connect(clientId: string): Promise<IConnackPacket> {
    const { terms, level } = this;
    const connack = (await this.ask({
      cmd: "connect",
      protocolId: level === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: level,
      clientId,
      clean: true,
      keepalive: 0,
      ...(terms.username !== undefined && { username: terms.username }),
      ...(terms.password !== undefined && { password: Buffer.from(terms.password) }),
    })) as IConnackPacket;
    const code = (level === 5 ? connack.reasonCode : connack.returnCode) ?? 0;
    if (code !== 0) throw refusal(level, code, connack.properties?.reasonString);
    return connack;
  }

  async subscribe(topic: string, qos: QoS): Promise<void> {
    const suback = (await this.ask({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [{ topic, qos, nl: false, rap: false, rh: 0 }],
    })) as ISubackPacket;
    const [code = 0] = suback.granted as number[];
    if (code >= REFUSED)
      throw new CommandError(`the broker refuses the subscription to ${topic}: ${reasonText(code)}`, code);
  }

  /** Bytes taken. */
  write(bytes: Uint8Array, at: number, length: number): number {
    return this.transport === null ? 0 : this.transport.write(bytes, at, length);
  }

  /** Says DISCONNECT and closes; nothing that happens then is a failure. */
  close(): void {
    this.isClosing = true;
    const bytes = this.encode({ cmd: "disconnect", ...(this.level === 5 && { reasonCode: 0 }) });
    if (this.failure === null) this.write(bytes, 0, bytes.length);
    this.transport?.end();
  }

  /** Says DISCONNECT and resolves when the broker has closed. */
  async closed(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.gone = resolve;
    });
    this.close();
    await gone;
  }

  encode(packet: Packet): Buffer {
    return encode(packet, this.level);
  }

  /** Sends `packet` and resolves with its answer. */
  private async ask(packet: Packet): Promise<Packet> {
    const type = packet.cmd === "connect" ? PacketType.Connack : PacketType.Suback;
    const bytes = this.encode(packet);
    const { timeoutMs } = this.terms;
    const late = setTimeout(() => this.lose(`the broker did not answer within ${timeoutMs} ms`), timeoutMs);
    try {
      return await new Promise<Packet>((resolve, reject) => {
        this.waiting = { type, resolve, reject };
        this.waitingType = type;
        if (this.failure !== null) reject(this.failure);
        else this.write(bytes, 0, bytes.length);
      });
    } finally {
      clearTimeout(late);
    }
  }

  private answer(frame: Buffer): void {
    const { waiting } = this;
    this.waitingType = 0;
    const codec = parser({ protocolVersion: this.level });
    codec.on("packet", (packet) => waiting?.resolve(packet));
    codec.on("error", (error: Error) => this.lose(`the broker sent what is no MQTT: ${error.message}`));
    codec.parse(frame);
  }

  private ended(error: Error | undefined): void {
    this.lose(error?.message ?? "the broker closed a connection");
    this.gone();
  }

  private lose(why: string): void {
    if (this.isClosing || this.failure !== null) return;
    this.failure = new LostError(why);
    this.waiting?.reject(new CommandError(`no load can be made: ${why}`));
    this.waiting = null;
    this.transport?.terminate();
  }

  private data(chunk: Buffer): void {
    const from = this.cut.length === 0 ? 0 : this.completed(chunk);
    const done = this.walk(chunk, from);
    if (done < chunk.length) {
      this.cut.push(Buffer.from(chunk.subarray(done)));
      this.cutBytes = chunk.length - done;
    }
    this.client.chunkDone();
  }

  /** Tells the frame that the chunks before left cut, once it is whole; returns how much of `chunk` belongs to it. */
  private completed(chunk: Buffer): number {
    const [first] = this.cut;
    const isEnough = first!.length >= HEADER_BYTES_MAX;
    const head = isEnough ? first! : Buffer.concat([...this.cut, chunk.subarray(0, HEADER_BYTES_MAX)]);
    const body = bodyAt(head, 0, head.length);
    if (body === MALFORMED_LENGTH) this.malformed();
    const bytes = body < 0 ? Number.POSITIVE_INFINITY : body + remainingLength(head, 0, body);
    const missing = bytes - this.cutBytes;
    const taken = Math.min(missing, chunk.length);
    this.cut.push(chunk.subarray(0, taken));
    this.cutBytes += taken;
    if (missing > chunk.length) return taken;
    const frame = Buffer.concat(this.cut);
    this.cut = [];
    this.cutBytes = 0;
    this.walk(frame, 0);
    return taken;
  }

  /** Tells the whole frames of `bytes` from `from` on; returns the position behind them. @hot */
  private walk(bytes: Buffer, from: number): number {
    const { client } = this;
    const end = bytes.length;
    let at = from;
    while (at + 2 <= end) {
      let length = bytes[at + 1]!;
      let body = at + 2;
      if (length > 127) {
        body = bodyAt(bytes, at, end);
        if (body < 0) {
          if (body === MALFORMED_LENGTH) this.malformed();
          return at;
        }
        length = remainingLength(bytes, at, body);
      }
      const next = body + length;
      if (next > end) return at;
      const first = bytes[at]!;
      if ((first & TYPE_BITS) === this.waitingType) this.answer(bytes.subarray(at, next));
      else if ((first & TYPE_BITS) === PacketType.Disconnect) this.disconnected(bytes[body]);
      else client.frame(first, bytes, body, next);
      at = next;
    }
    return at;
  }

  private malformed(): void {
    this.lose("the broker sent a frame whose length is none");
  }

  private disconnected(reason = 0): void {
    this.lose(`the broker disconnects: ${reasonText(reason)}`);
  }
}
