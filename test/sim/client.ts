// SimClient: an MQTT client in plain code, with mqtt-packet for bytes. It publishes with a window, sends again what
// was not acknowledged when it comes back, acknowledges when and in which order its manners say, and checks what
// holds for one client at every packet: frames are whole, identifiers are free, the window is kept, topics in order.

import {
  generate,
  type IConnackPacket,
  type IPublishPacket,
  type Packet,
  type Parser,
  parser,
  type QoS,
} from "mqtt-packet";
import { type Ledger, matches, type Sent } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { SimSocket, SocketShape } from "./socket.ts";
import type { World } from "./world.ts";

export interface ClientShape {
  readonly id: string;
  readonly version?: 4 | 5;
  /** Keeps its session when it is away. */
  readonly persistent?: boolean;
  readonly keepalive?: number;
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
  /** QoS 1 and 2 messages that it has under way at one time. */
  readonly window?: number;
  readonly socket?: SocketShape;
  /** Member of a share group: what comes back from another member comes late. */
  readonly isMember?: boolean;
  readonly will?: {
    readonly topic: string;
    readonly qos: QoS;
    readonly size: number;
    readonly delay?: number;
  };
}

export interface Manners {
  /** Bytes read in one step; 0 is a client that does not read. */
  readMax: number;
  /** Probability that a waiting acknowledgement leaves in one step. */
  ackChance: number;
  ackShuffled: boolean;
}

export const PROMPT: Readonly<Manners> = {
  readMax: Number.POSITIVE_INFINITY,
  ackChance: 1,
  ackShuffled: false,
};

interface Granted {
  qos: QoS;
  noLocal: boolean;
}

export interface Delivery {
  readonly message: Sent;
  readonly qos: QoS;
  readonly dup: boolean;
  readonly retain: boolean;
}

type Outgoing = { readonly message: Sent; state: "publish" | "pubrel" };

const RECEIVE_DEFAULT = 65_535;
const HURRY_BYTES = 512 * 1024;
const BROKER_WINDOW = 100;

export class SimClient {
  readonly shape: ClientShape;
  readonly manners: Manners = { ...PROMPT };
  readonly version: 4 | 5;
  /** Received and taken by the application, in order; QoS 2 once. */
  readonly taken: Delivery[] = [];
  readonly filters = new Map<string, Granted>();
  /** Messages that must still come: index → effective QoS. */
  readonly owed = new Map<number, number>();
  /** Retained replays and wills are looked at by the scenario, not by the checks below. */
  readonly retained: Delivery[] = [];
  /** Messages that the broker answered with a Reason Code of 0x80 or more. */
  refused = 0;
  /** PINGRESP packets. */
  answers = 0;
  connected = false;
  sessionPresent = false;
  /** Reason Code of the broker's DISCONNECT. */
  disconnectReason = -1;
  connections = 0;
  /** Reason Codes of the DISCONNECT packets that taken-over connections got. */
  readonly ghostReasons: number[] = [];
  private ghosts: { readonly socket: SimSocket; readonly packets: Parser }[] = [];
  private socket: SimSocket | null = null;
  private parser: Parser | null = null;
  private failure: Error | null = null;
  private readonly outgoing = new Map<number, Outgoing>();
  /** QoS 0 messages that may still lie in the socket or wait with the broker. */
  private unsure: Sent[] = [];
  private nextIdentifier = 1;
  private readonly lastOf = new Map<string, number>();
  private readonly seen = new Map<number, number>();
  /** QoS 1 identifiers that were not acknowledged on this connection, QoS 2 ones without PUBCOMP. */
  private readonly inUse1 = new Set<number>();
  private readonly inUse2 = new Map<number, "received" | "released">();
  private acks: { readonly packet: Packet; readonly identifier: number }[] = [];
  /** Identifiers that an earlier connection had in flight: DUP is due for them alone. */
  private carried = new Set<number>();
  private readonly subscribing = new Map<number, () => void>();
  /** The SUBSCRIBE or UNSUBSCRIBE that was sent last for a filter: only its answer counts. */
  private readonly lastRequest = new Map<string, number>();
  private everSubscribed: string[] = [];
  private hadSession = false;
  private readonly world: World;
  private readonly ledger: Ledger;
  private readonly random: Random;

  constructor(world: World, ledger: Ledger, shape: ClientShape) {
    this.world = world;
    this.ledger = ledger;
    this.random = world.random;
    this.shape = shape;
    this.version = shape.version ?? 4;
  }

  get receiveMaximum(): number {
    const asked = this.version === 5 ? this.shape.receiveMaximum : undefined;
    return Math.min(asked ?? RECEIVE_DEFAULT, BROKER_WINDOW);
  }

  /** The broker's side of its connection. */
  get connection() {
    return this.socket?.connection ?? null;
  }

  /** It has no connection and is not about to have one. */
  get isAway(): boolean {
    return this.socket === null;
  }

  get unacknowledged(): number {
    return this.outgoing.size;
  }

  /** Everything it sent has reached the broker. */
  get isFlushed(): boolean {
    return this.socket === null || this.socket.unreadByBroker === 0;
  }

  /** Bytes that it sent and the broker has not read. */
  get unread(): number {
    return this.socket?.unreadByBroker ?? 0;
  }

  get isBusy(): boolean {
    if (this.acks.length > 0) return true;
    const { socket } = this;
    return socket !== null && (socket.unreadByBroker > 0 || socket.unreadByClient > 0 || socket.owesDrain);
  }

  /** From now on its socket holds so much. */
  shrink(capacity: number): void {
    if (this.socket !== null) this.socket.capacity = capacity;
  }

  /** From now on its socket carries whatever it is given. */
  hurry(): void {
    Object.assign(this.manners, PROMPT);
    if (this.socket === null) return;
    this.socket.chunkMax = HURRY_BYTES;
    this.socket.capacity = Math.max(this.socket.capacity, HURRY_BYTES);
  }

  // ---- coming and going

  /** Connects once more while the old connection still stands: the broker ends that one. */
  takeOver(): void {
    const { socket, parser: packets } = this;
    if (socket !== null && packets !== null) {
      packets.removeAllListeners("packet");
      packets.on("packet", (packet: Packet) => this.ghostReceives(packet));
      this.ghosts.push({ socket, packets });
      this.drop();
    }
    this.connect();
  }

  /** What the old connection still gets must be whole; it counts for nothing else. */
  private ghostReceives(packet: Packet): void {
    if (packet.cmd === "publish") this.ledger.find(packet.topic, packet.payload as Buffer);
    if (packet.cmd === "disconnect") this.ghostReasons.push(packet.reasonCode ?? 0);
  }

  private readGhosts(): void {
    for (const { socket, packets } of this.ghosts) {
      const bytes = socket.read(this.manners.readMax);
      if (bytes.length > 0) packets.parse(bytes);
      if (this.failure !== null) throw this.complaint(`received what is no MQTT: ${this.failure.message}`);
    }
    this.ghosts = this.ghosts.filter(({ socket }) => !socket.atEnd);
  }

  connect(clean = this.shape.persistent !== true): void {
    if (this.socket !== null) this.cut();
    const { shape } = this;
    this.socket = this.world.connect(shape.socket);
    this.parser = parser({ protocolVersion: this.version });
    this.parser.on("packet", (packet: Packet) => this.receive(packet));
    this.parser.on("error", (error: Error) => {
      this.failure = error;
    });
    this.inUse1.clear();
    this.acks = [];
    this.carried = new Set(this.inUse2.keys());
    this.disconnectReason = -1;
    if (clean) this.forgetSession();
    const properties: Record<string, unknown> = {};
    if (this.version === 5) {
      if (shape.persistent === true) properties["sessionExpiryInterval"] = 0xffff_ffff;
      if (shape.receiveMaximum !== undefined) properties["receiveMaximum"] = shape.receiveMaximum;
      if (shape.maximumPacketSize !== undefined) properties["maximumPacketSize"] = shape.maximumPacketSize;
    }
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: this.version,
      clientId: shape.id,
      clean,
      keepalive: shape.keepalive ?? 0,
      ...(this.version === 5 ? { properties } : {}),
      ...this.will(),
    });
  }

  private will() {
    const { will } = this.shape;
    if (will === undefined) return {};
    const message = this.ledger.add(this.shape.id, will.topic, will.qos, will.size);
    message.uncertain = true;
    const properties = this.version === 5 ? { properties: { willDelayInterval: will.delay ?? 0 } } : {};
    return {
      will: { topic: will.topic, payload: message.payload, qos: will.qos, retain: false, ...properties },
    };
  }

  /** The session and what hung on it is gone. */
  private forgetSession(): void {
    for (const { message } of this.outgoing.values()) message.uncertain = true;
    this.outgoing.clear();
    this.filters.clear();
    this.owed.clear();
    this.inUse2.clear();
    this.carried.clear();
    this.hadSession = false;
  }

  /** The network fails. */
  cut(): void {
    this.socket?.cut();
    this.drop();
  }

  /** DISCONNECT, and nothing more. */
  leave(): void {
    this.send({ cmd: "disconnect" });
    this.left();
  }

  /** DISCONNECT that ends the session too (v5). */
  endSession(): void {
    if (this.version === 5) {
      this.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
      this.forgetSession();
    } else this.send({ cmd: "disconnect" });
    this.left();
  }

  private left(): void {
    this.connected = false;
    this.forgetQos0();
    if (this.shape.persistent !== true) this.forgetSession();
  }

  private drop(): void {
    for (const message of this.unsure) message.uncertain = true;
    this.unsure = [];
    this.left();
    this.socket = null;
    this.parser = null;
  }

  private forgetQos0(): void {
    for (const [index, qos] of this.owed) if (qos === 0) this.owed.delete(index);
  }

  // ---- doing

  subscribe(filter: string, qos: QoS, options: { readonly noLocal?: boolean } = {}): void {
    const identifier = this.freeIdentifier();
    const noLocal = options.noLocal === true && this.version === 5;
    const known = this.filters.get(filter);
    if (known !== undefined) {
      known.qos = Math.min(known.qos, qos) as QoS;
      known.noLocal ||= noLocal;
    }
    for (const [index, owed] of this.owed) {
      // What waits already goes out as the new options say.
      const message = this.ledger.sent[index]!;
      if (!matches(filter, message.topic)) continue;
      if (noLocal && message.publisher === this.shape.id) this.owed.delete(index);
      else this.owed.set(index, Math.min(owed, qos));
    }
    this.everSubscribed.push(filter);
    this.lastRequest.set(filter, identifier);
    this.subscribing.set(identifier, () => {
      if (this.lastRequest.get(filter) === identifier) this.filters.set(filter, { qos, noLocal });
    });
    const subscription = this.version === 5 ? { topic: filter, qos, nl: noLocal } : { topic: filter, qos };
    this.send({ cmd: "subscribe", messageId: identifier, subscriptions: [subscription] });
  }

  unsubscribe(filter: string): void {
    const identifier = this.freeIdentifier();
    this.filters.delete(filter);
    for (const index of [...this.owed.keys()]) {
      if (matches(filter, this.ledger.sent[index]!.topic)) this.owed.delete(index);
    }
    this.lastRequest.set(filter, identifier);
    this.subscribing.set(identifier, () => {});
    this.send({ cmd: "unsubscribe", messageId: identifier, unsubscriptions: [filter] });
  }

  get mayPublish(): boolean {
    return this.connected && this.outgoing.size < (this.shape.window ?? 20);
  }

  /** Publishes to everybody in `others` who subscribes. */
  publish(topic: string, qos: QoS, size: number, others: readonly SimClient[], retain = false): Sent {
    const message = this.ledger.add(this.shape.id, topic, qos, size);
    const messageId = qos === 0 ? 0 : this.freeIdentifier();
    if (qos > 0) this.outgoing.set(messageId, { message, state: "publish" });
    else this.unsure.push(message);
    this.sendPublish(message, messageId, false, retain);
    for (const other of others) other.expect(message);
    return message;
  }

  ping(): void {
    this.send({ cmd: "pingreq" });
  }

  /** Bytes as they are. */
  sendRaw(bytes: Buffer): void {
    this.socket?.send(bytes);
  }

  private sendPublish(message: Sent, messageId: number, dup: boolean, retain = false): void {
    const { topic, qos, payload } = message;
    this.send({ cmd: "publish", topic, payload, qos, dup, retain, ...(qos > 0 ? { messageId } : {}) });
  }

  private freeIdentifier(): number {
    do this.nextIdentifier = this.nextIdentifier === 65_535 ? 1 : this.nextIdentifier + 1;
    while (this.outgoing.has(this.nextIdentifier) || this.subscribing.has(this.nextIdentifier));
    return this.nextIdentifier;
  }

  /** Notes that the message is owed to this client if its subscriptions stand. */
  expect(message: Sent): void {
    const effective = this.effective(message);
    if (effective < 0 || (effective === 0 && !this.connected)) return;
    const { maximumPacketSize } = this.shape;
    if (
      this.version === 5 &&
      maximumPacketSize !== undefined &&
      message.payload.length * 2 > maximumPacketSize
    )
      return;
    this.owed.set(message.index, effective);
  }

  private effective(message: Sent): number {
    let granted = -1;
    for (const [filter, { qos, noLocal }] of this.filters) {
      if ((noLocal && message.publisher === this.shape.id) || !matches(filter, message.topic)) continue;
      granted = Math.max(granted, qos);
    }
    return granted < 0 ? -1 : Math.min(granted, message.qos);
  }

  // ---- its part of a step

  act(): void {
    this.readGhosts();
    const { socket, parser: packets } = this;
    if (socket === null || packets === null) return;
    const bytes = socket.read(this.manners.readMax);
    if (bytes.length > 0) {
      // The parser keeps what is unfinished.
      packets.parse(bytes);
      if (this.failure !== null) throw this.complaint(`received what is no MQTT: ${this.failure.message}`);
    }
    if (this.socket !== socket) return;
    if (socket.atEnd) {
      this.drop();
      return;
    }
    this.sendAcks();
    if (
      socket.unreadByBroker === 0 &&
      socket.connection !== null &&
      !this.world.paused.has(socket.connection)
    ) {
      this.unsure = [];
    }
  }

  private sendAcks(): void {
    const { ackChance, ackShuffled } = this.manners;
    if (this.acks.length === 0) return;
    if (ackShuffled) this.random.shuffle(this.acks);
    const waiting: typeof this.acks = [];
    for (const ack of this.acks) {
      if (!this.random.chance(ackChance)) {
        waiting.push(ack);
        continue;
      }
      this.send(ack.packet);
      if (ack.packet.cmd === "puback") this.inUse1.delete(ack.identifier);
      if (ack.packet.cmd === "pubcomp") this.inUse2.delete(ack.identifier);
    }
    this.acks = waiting;
  }

  private send(packet: Packet): void {
    this.socket?.send(generate(packet, { protocolVersion: this.version }));
  }

  private receive(packet: Packet): void {
    switch (packet.cmd) {
      case "connack":
        this.connackCame(packet);
        return;
      case "publish":
        this.publishCame(packet);
        return;
      case "puback":
      case "pubcomp":
        this.settled(packet.messageId ?? 0, packet.reasonCode ?? 0);
        return;
      case "pubrec":
        this.pubrecCame(packet.messageId ?? 0, "reasonCode" in packet ? (packet.reasonCode ?? 0) : 0);
        return;
      case "pubrel":
        if (this.inUse2.has(packet.messageId ?? 0)) this.inUse2.set(packet.messageId ?? 0, "released");
        this.acks.push({
          packet: { cmd: "pubcomp", messageId: packet.messageId ?? 0 },
          identifier: packet.messageId ?? 0,
        });
        return;
      case "suback":
      case "unsuback":
        this.subscribing.get(packet.messageId ?? 0)?.();
        this.subscribing.delete(packet.messageId ?? 0);
        return;
      case "disconnect":
        this.disconnectReason = packet.reasonCode ?? 0;
        return;
      case "pingresp":
        this.answers++;
        return;
      default:
        throw this.complaint(`received a ${packet.cmd}`);
    }
  }

  private connackCame(packet: IConnackPacket): void {
    const code = packet.reasonCode ?? packet.returnCode ?? 0;
    if (code !== 0) throw this.complaint(`was refused with ${code}`);
    this.connected = true;
    this.connections++;
    this.sessionPresent = packet.sessionPresent;
    if (this.hadSession && !packet.sessionPresent) throw this.complaint("lost its session");
    this.hadSession = true;
    if (!packet.sessionPresent) return;
    for (const [messageId, { message, state }] of this.outgoing) {
      if (state === "pubrel") this.send({ cmd: "pubrel", messageId });
      else {
        message.again = true;
        this.sendPublish(message, messageId, true);
      }
    }
  }

  /** A refused message need not arrive anywhere. */
  private settled(messageId: number, reason: number): void {
    const outgoing = this.outgoing.get(messageId);
    if (outgoing === undefined) return;
    if (reason >= 0x80) {
      outgoing.message.uncertain = true;
      this.refused++;
    }
    this.outgoing.delete(messageId);
  }

  private pubrecCame(messageId: number, reason: number): void {
    const outgoing = this.outgoing.get(messageId);
    if (reason >= 0x80) {
      this.settled(messageId, reason);
      return;
    }
    if (outgoing !== undefined) outgoing.state = "pubrel";
    this.send({ cmd: "pubrel", messageId });
  }

  private publishCame(packet: IPublishPacket): void {
    const payload = packet.payload as Buffer;
    const message = this.ledger.find(packet.topic, payload);
    const { qos, dup, retain } = packet;
    const messageId = packet.messageId ?? 0;
    const delivery: Delivery = { message, qos, dup, retain };
    if (!this.everSubscribed.some((filter) => matches(unshared(filter), packet.topic))) {
      throw this.complaint(`never subscribed to ${packet.topic}`);
    }
    if (qos > message.qos)
      throw this.complaint(`${packet.topic} came at QoS ${qos}, published at ${message.qos}`);
    if (dup && this.connections < 2) throw this.complaint("got DUP on its first connection");
    if (qos === 0) {
      this.take(delivery);
      return;
    }
    if (qos === 1) {
      if (this.inUse1.has(messageId) || this.inUse2.has(messageId))
        throw this.complaint(`identifier ${messageId} is in use`);
      this.inUse1.add(messageId);
      this.acks.push({ packet: { cmd: "puback", messageId }, identifier: messageId });
      this.checkWindow();
      this.take(delivery);
      return;
    }
    const known = this.inUse2.get(messageId);
    if (this.inUse1.has(messageId) || (known !== undefined && !(dup && this.carried.has(messageId)))) {
      throw this.complaint(`identifier ${messageId} is in use`);
    }
    this.acks.push({ packet: { cmd: "pubrec", messageId }, identifier: messageId });
    if (known !== undefined) return;
    this.inUse2.set(messageId, "received");
    this.checkWindow();
    this.take(delivery);
  }

  private checkWindow(): void {
    const inFlight = this.inUse1.size + this.inUse2.size;
    if (inFlight > this.receiveMaximum)
      throw this.complaint(`${inFlight} in flight, its maximum is ${this.receiveMaximum}`);
  }

  private take(delivery: Delivery): void {
    const { message, qos, dup } = delivery;
    if (delivery.retain) {
      this.retained.push(delivery);
      return;
    }
    const key = `${message.publisher} ${message.topic}`;
    const times = this.seen.get(message.index) ?? 0;
    if (times === 0) {
      const last = this.lastOf.get(key) ?? -1;
      // Sent again, it may lie behind its successors: the first was refused, or came before this subscription.
      const mayLag = message.qos === 1 || this.world.router.stats.refusedPublishes > 0;
      const isLate = (message.again && mayLag) || this.shape.isMember === true;
      if (message.index < last && !isLate) {
        throw this.complaint(`out of order: ${message.index} behind ${last} on ${message.topic}`);
      }
      this.lastOf.set(key, Math.max(last, message.index));
    } else {
      const mayRepeat = qos === 1 && (dup || this.shape.isMember === true);
      const repeatedByPublisher = message.again && message.qos === 1;
      if (!mayRepeat && !repeatedByPublisher) {
        throw this.complaint(
          `duplicate of ${message.index} on ${message.topic}, QoS ${message.qos} → ${qos}`,
        );
      }
    }
    this.seen.set(message.index, times + 1);
    this.owed.delete(message.index);
    this.taken.push(delivery);
  }

  /** Owed messages that must come whatever happens. */
  missing(): Sent[] {
    const list: Sent[] = [];
    for (const index of this.owed.keys()) {
      const message = this.ledger.sent[index]!;
      if (!message.uncertain) list.push(message);
    }
    return list;
  }

  /** For the message of a failure. */
  describe(): string {
    const missing = this.missing();
    const first = missing.slice(0, 3).map((m) => `${m.index} of ${m.publisher} on ${m.topic} QoS ${m.qos}`);
    const session = this.world.router.sessions.get(this.shape.id);
    return [
      `${this.shape.id} v${this.version}${this.connected ? "" : " away"}`,
      `unacknowledged ${this.outgoing.size}, ${this.isBusy ? "busy" : "quiet"}`,
      `reader state ${session?.reader.state ?? "none"} pending ${session?.reader.pending.length ?? 0}`,
      `in flight ${session?.inflight.count ?? 0} of ${session?.window ?? 0}`,
      `missing ${missing.length}${first.length > 0 ? ` (${first.join("; ")})` : ""}`,
    ].join(", ");
  }

  private complaint(text: string): Error {
    return new Error(`client ${this.shape.id} (v${this.version}, connection ${this.connections}) ${text}`);
  }
}

function unshared(filter: string): string {
  return filter.startsWith("$share/") ? filter.split("/").slice(2).join("/") : filter;
}
