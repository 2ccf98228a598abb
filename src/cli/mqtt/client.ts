// Client: one MQTT connection of `pub`, `sub` and `healthcheck`, with mqtt-packet as its codec. It does what a
// person at a terminal wants: every message handled before it is acknowledged, every failure a sentence. The load
// generator has clients of its own.
//
//   Connecting → Open → Closing (disconnect() was called) → Closed
//                Open → Closed (lost: what was asked for rejects with LostError)

import type {
  IConnackPacket,
  IConnectPacket,
  IDisconnectPacket,
  IPublishPacket,
  ISubscribePacket,
  ISubscription,
  Packet,
  Parser,
} from "mqtt-packet";
import { parser } from "mqtt-packet";
import type { ProtocolLevel } from "../../packet/protocol.ts";
import { CommandError } from "../end.ts";
import { connectFailure, LostError, reasonText, refusal } from "./failure.ts";
import type { Target, Tls } from "./target.ts";
import { targetText } from "./target.ts";
import { traceText } from "./trace.ts";
import { ConnectError } from "./connectError.ts";
import { encode } from "./encode.ts";
import { openTransport, type Transport } from "./transport.ts";

export type Message = IPublishPacket;
type Will = NonNullable<IConnectPacket["will"]>;
type ConnectProperties = NonNullable<IConnectPacket["properties"]>;
type DisconnectProperties = NonNullable<IDisconnectPacket["properties"]>;
type SubscribeProperties = NonNullable<ISubscribePacket["properties"]>;

export interface ClientTerms {
  readonly target: Target;
  readonly tls: Tls;
  readonly version: ProtocolLevel;
  readonly clientId: string;
  readonly clean: boolean;
  /** 0..65535 s; 0 sends no PINGREQ. */
  readonly keepAliveS: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly will: Will | undefined;
  /** Given to the broker with MQTT 5 alone. */
  readonly properties: ConnectProperties;
  /** Unacknowledged QoS 1 and 2 messages at one time, 1..65535; the broker's Receive Maximum may lower it. */
  readonly inflightMax: number;
  readonly timeoutMs: number;
  /** Gets a line for each packet. */
  readonly trace: ((line: string) => void) | undefined;
}

/**
 * Gets each message before it is acknowledged. With false it has enough: what comes from then on is neither handled
 * nor acknowledged, and a session that is kept has it later.
 */
export type MessageHandler = (message: Message) => boolean;

const CLOSE_MS = 2_000;
/** Bytes that wait to be written before publish() waits too. */
const QUEUE_BYTES_MAX = 1 << 20;
const IDENTIFIER_MAX = 65_535;
/** What MQTT allows. */
const PACKET_BYTES_MAX = 268_435_460;
const NO_ALIAS = 0;
const REFUSED = 0x80;

interface Waiting {
  readonly resolve: (codes: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

export class Client {
  readonly version: ProtocolLevel;
  /** Resolves when the connection has ended: with undefined after disconnect(), else with what happened. */
  readonly closed: Promise<LostError | undefined>;
  private readonly terms: ClientTerms;
  private readonly onMessage: MessageHandler;
  private readonly parser: Parser;
  private transport: Transport | null = null;
  private state: "connecting" | "open" | "closing" | "closed" = "connecting";
  private ended: (reason: LostError | undefined) => void = () => {};
  private answered: ((packet: IConnackPacket) => void) | null = null;
  /** What the broker said in a DISCONNECT. */
  private said: LostError | undefined;
  private queue: Buffer[] = [];
  private queueBytes = 0;
  private queueAt = 0;
  private isFlushQueued = false;
  /** By packet identifier. */
  private readonly waiting = new Map<number, Waiting>();
  /** Whoever waits for room or for answers looks again when something has changed. */
  private readonly watchers: (() => void)[] = [];
  private inflight = 0;
  private inflightMax: number;
  private packetBytesMax = PACKET_BYTES_MAX;
  private identifier = 0;
  /** QoS 2 messages that were handled and not released yet. */
  private readonly received = new Set<number>();
  private readonly aliases = new Map<number, string>();
  private pingTimer: Timer | null = null;
  private isPingOut = false;
  private isHalted = false;

  private constructor(terms: ClientTerms, onMessage: MessageHandler) {
    this.terms = terms;
    this.version = terms.version;
    this.onMessage = onMessage;
    this.inflightMax = terms.inflightMax;
    this.closed = new Promise((resolve) => {
      this.ended = resolve;
    });
    this.parser = parser({ protocolVersion: terms.version });
    this.parser.on("packet", (packet) => this.packet(packet));
    this.parser.on("error", (error) => this.lose(`the broker sent what is no MQTT: ${error.message}`));
  }

  /** Resolves when the broker has accepted; rejects with a CommandError that says what to do. */
  static async connect(terms: ClientTerms, onMessage: MessageHandler): Promise<Client> {
    const client = new Client(terms, onMessage);
    try {
      client.transport = await openTransport(terms.target, terms.tls, client.handlers(), terms.timeoutMs);
    } catch (error) {
      throw error instanceof ConnectError ? connectFailure(terms.target, error) : error;
    }
    await client.handshake();
    return client;
  }

  private handlers() {
    return {
      data: (chunk: Buffer) => void this.parser.parse(chunk),
      drain: () => this.flush(),
      closed: (error: Error | undefined) => this.lose(error?.message),
    };
  }

  private async handshake(): Promise<void> {
    const { terms } = this;
    const answer = new Promise<IConnackPacket>((resolve) => {
      this.answered = resolve;
    });
    this.send(connectPacket(terms));
    const late = setTimeout(() => this.lose(`no CONNACK within ${terms.timeoutMs} ms`), terms.timeoutMs);
    const connack = await Promise.race([answer, this.closed]);
    clearTimeout(late);
    if (connack === undefined || connack instanceof Error) {
      const hint = "it may speak another version of MQTT (-V), or want TLS (--cafile)";
      throw new CommandError(
        `${targetText(terms.target)} did not accept the connection: ${connack?.message}; ${hint}`,
      );
    }
    const code = (terms.version === 5 ? connack.reasonCode : connack.returnCode) ?? 0;
    if (code !== 0) {
      this.terminate();
      throw refusal(terms.version, code, connack.properties?.reasonString);
    }
    this.accepted(connack);
  }

  private accepted(connack: IConnackPacket): void {
    this.state = "open";
    const { receiveMaximum, serverKeepAlive, maximumPacketSize } = connack.properties ?? {};
    this.packetBytesMax = maximumPacketSize ?? PACKET_BYTES_MAX;
    if (receiveMaximum !== undefined) this.inflightMax = Math.min(this.inflightMax, receiveMaximum);
    const keepAliveS = serverKeepAlive ?? this.terms.keepAliveS;
    if (keepAliveS > 0) this.pingTimer = setInterval(() => this.ping(), keepAliveS * 1000);
  }

  get isOpen(): boolean {
    return this.state === "open";
  }

  /** Whether publish() would send at once. */
  get hasRoom(): boolean {
    return this.state === "open" && this.queueBytes <= QUEUE_BYTES_MAX && this.inflight < this.inflightMax;
  }

  /** Resolves when publish() would send at once, or would reject. */
  async room(): Promise<void> {
    while (this.state === "open" && !this.hasRoom) await this.change();
  }

  /** Resolves when nothing waits for the broker's answer, or the connection has ended. */
  async idle(): Promise<void> {
    while (this.state === "open" && this.waiting.size > 0) await this.change();
  }

  /**
   * Sends when there is room. Resolves with the broker's Reason Code, with 0 at once for QoS 0; rejects with LostError
   * when the connection ends before.
   */
  async publish(message: Message): Promise<number> {
    if (!this.hasRoom) await this.room();
    if (this.state !== "open") throw new LostError("the connection is closed");
    if (message.qos === 0) {
      this.send(message);
      return 0;
    }
    this.inflight++;
    try {
      const [code = 0] = await this.ask({ ...message, messageId: this.nextIdentifier() });
      return code;
    } finally {
      this.inflight--;
      this.changed();
    }
  }

  /** Resolves with a code for each, in order. */
  subscribe(
    subscriptions: readonly ISubscription[],
    properties: SubscribeProperties,
  ): Promise<readonly number[]> {
    return this.ask({
      cmd: "subscribe",
      messageId: this.nextIdentifier(),
      subscriptions: [...subscriptions],
      ...(this.version === 5 && { properties }),
    });
  }

  /** Resolves with a code for each, in order; with none before MQTT 5. */
  unsubscribe(topics: readonly string[], properties: SubscribeProperties): Promise<readonly number[]> {
    return this.ask({
      cmd: "unsubscribe",
      messageId: this.nextIdentifier(),
      unsubscriptions: [...topics],
      ...(this.version === 5 && { properties }),
    });
  }

  /** Ends behind what was sent. Resolves when it is closed. */
  async disconnect(properties: DisconnectProperties = {}): Promise<void> {
    if (this.state === "open") {
      this.state = "closing";
      this.send({ cmd: "disconnect", ...(this.version === 5 && { reasonCode: 0, properties }) });
      setTimeout(() => this.terminate(), CLOSE_MS).unref();
    }
    await this.closed;
  }

  /** Ends without DISCONNECT. */
  terminate(): void {
    this.close(undefined);
    this.transport?.terminate();
  }

  private ask(packet: Packet & { messageId: number }): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      if (this.state !== "open") return reject(new LostError("the connection is closed"));
      this.waiting.set(packet.messageId, { resolve, reject });
      this.send(packet);
    });
  }

  private answer(identifier: number | undefined, codes: readonly number[]): void {
    const waiting = this.waiting.get(identifier ?? 0);
    this.waiting.delete(identifier ?? 0);
    waiting?.resolve(codes);
  }

  /** One that nothing waits for; there is one, as no more than 65,534 wait. */
  private nextIdentifier(): number {
    do this.identifier = this.identifier === IDENTIFIER_MAX ? 1 : this.identifier + 1;
    while (this.waiting.has(this.identifier));
    return this.identifier;
  }

  private packet(packet: Packet): void {
    if (this.state === "closing" || this.state === "closed") return;
    this.terms.trace?.(traceText("received", packet));
    switch (packet.cmd) {
      case "connack":
        this.answered?.(packet);
        break;
      case "publish":
        this.published(packet);
        break;
      case "pubrec":
        // A refused message needs no PUBREL.
        if ((packet.reasonCode ?? 0) >= REFUSED) this.answer(packet.messageId, [packet.reasonCode!]);
        else this.send({ cmd: "pubrel", messageId: packet.messageId! });
        break;
      case "pubrel":
        this.received.delete(packet.messageId!);
        this.send({ cmd: "pubcomp", messageId: packet.messageId! });
        break;
      case "puback":
      case "pubcomp":
        this.answer(packet.messageId, [packet.reasonCode ?? 0]);
        break;
      case "suback":
      case "unsuback":
        this.answer(packet.messageId, (packet.granted ?? []) as number[]);
        break;
      case "pingresp":
        this.isPingOut = false;
        break;
      case "disconnect":
        this.said = disconnected(packet);
        break;
      default:
        this.lose(`the broker sent ${packet.cmd.toUpperCase()}, which this client cannot answer`);
    }
  }

  private published(message: Message): void {
    if (this.isHalted) return;
    const { qos, messageId, properties } = message;
    const alias = properties?.topicAlias ?? NO_ALIAS;
    if (alias !== NO_ALIAS && message.topic !== "") this.aliases.set(alias, message.topic);
    else if (alias !== NO_ALIAS) message.topic = this.aliases.get(alias) ?? "";
    if (qos < 2 || !this.received.has(messageId!)) this.isHalted = !this.onMessage(message);
    if (qos === 1) this.send({ cmd: "puback", messageId: messageId! });
    if (qos < 2) return;
    this.received.add(messageId!);
    this.send({ cmd: "pubrec", messageId: messageId! });
  }

  private ping(): void {
    if (this.isPingOut) this.lose("the broker does not answer PINGREQ");
    this.isPingOut = true;
    this.send({ cmd: "pingreq" });
  }

  private send(packet: Packet): void {
    if (this.state === "closed") return;
    this.terms.trace?.(traceText("sending", packet));
    const bytes = encode(packet, this.version);
    if (bytes.length > this.packetBytesMax) {
      const max = this.packetBytesMax;
      throw new CommandError(`a packet of ${bytes.length} bytes is too large: the broker takes ${max}`);
    }
    this.queue.push(bytes);
    this.queueBytes += bytes.length;
    if (this.isFlushQueued) return;
    this.isFlushQueued = true;
    queueMicrotask(() => {
      this.isFlushQueued = false;
      this.flush();
    });
  }

  private flush(): void {
    if (this.queue.length > 1) this.queue = [Buffer.concat(this.queue)];
    const [bytes] = this.queue;
    if (bytes !== undefined && this.transport !== null) {
      const wrote = this.transport.write(bytes, this.queueAt, bytes.length - this.queueAt);
      this.queueAt += wrote;
      if (this.queueAt < bytes.length) return;
      this.queue = [];
      this.queueAt = 0;
      this.queueBytes = 0;
      this.changed();
    }
    if (this.state === "closing") this.transport?.end();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.watchers.push(resolve));
  }

  private changed(): void {
    for (const look of this.watchers.splice(0)) look();
  }

  private lose(why: string | undefined): void {
    if (this.state === "closed") return;
    const isAsked = this.state === "closing";
    const reason = this.said ?? new LostError(why ?? "the broker closed the connection");
    this.close(isAsked ? undefined : reason);
    this.transport?.terminate();
  }

  private close(reason: LostError | undefined): void {
    if (this.state === "closed") return;
    this.state = "closed";
    if (this.pingTimer !== null) clearInterval(this.pingTimer);
    for (const { reject } of this.waiting.values())
      reject(reason ?? new LostError("the connection is closed"));
    this.waiting.clear();
    this.changed();
    this.ended(reason);
  }
}

function disconnected({ reasonCode = 0, properties }: IDisconnectPacket): LostError {
  const text = reasonText(reasonCode, properties?.reasonString);
  return new LostError(`the broker disconnects: ${text}`, reasonCode);
}

function connectPacket(terms: ClientTerms): IConnectPacket {
  const { version, clientId, clean, keepAliveS, username, password, will, properties } = terms;
  return {
    cmd: "connect",
    protocolId: version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: version,
    clientId,
    clean,
    keepalive: keepAliveS,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: Buffer.from(password) }),
    ...(will !== undefined && { will }),
    ...(version === 5 && { properties }),
  };
}
