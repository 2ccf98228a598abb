// WireClient: one raw TCP connection to the broker under test. What it sends is encoded by mqtt-packet or given as
// bytes; what it receives is cut into frames here and decoded by mqtt-packet, the oracle. Every wait has a deadline.

import { expect } from "bun:test";
import type { Socket } from "bun";
import { generate, type Packet, type PacketCmd, parser } from "mqtt-packet";

export type Version = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;

export type PacketOf<C extends PacketCmd> = Extract<Packet, { cmd: C }>;

/** A decoded packet with the bytes it came in. */
export type Received<C extends PacketCmd> = PacketOf<C> & { readonly raw: Uint8Array };

export type Outgoing = Packet | Uint8Array;

export const DEADLINE_MS = 4_000;

const PING = Uint8Array.of(0xc0, 0x00);

export interface ConnectOptions {
  readonly clientId?: string;
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly username?: string;
  readonly password?: string;
  readonly will?: NonNullable<PacketOf<"connect">["will"]>;
  readonly properties?: NonNullable<PacketOf<"connect">["properties"]>;
}

export interface SubscribeOptions {
  readonly qos?: 0 | 1 | 2;
  readonly nl?: boolean;
  readonly rap?: boolean;
  readonly rh?: 0 | 1 | 2;
  readonly identifier?: number;
}

export interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly messageId?: number;
  readonly properties?: NonNullable<PacketOf<"publish">["properties"]>;
}

export interface PublishShape {
  readonly topic?: string;
  /** Compared as UTF-8 text. */
  readonly payload?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly messageId?: number;
  readonly properties?: NonNullable<PacketOf<"publish">["properties"]>;
}

/** The QoS of a delivery: the lower of published and granted. */
export function minQos(published: Qos, granted: Qos): Qos {
  return published <= granted ? published : granted;
}

function describePacket(packet: Packet): string {
  return JSON.stringify(packet, (_key, value: unknown) =>
    typeof value === "object" && value !== null && "type" in value && value.type === "Buffer"
      ? "<bytes>"
      : value,
  ).slice(0, 300);
}

/** Length of the first whole frame, or 0 while it is cut. Throws on a Remaining Length of five bytes. */
function frameLength(chunk: Uint8Array): number {
  let length = 0;
  for (let index = 1; index <= 4; index++) {
    const byte = chunk[index];
    if (byte === undefined) return 0;
    length += (byte & 127) * 128 ** (index - 1);
    if (byte < 128) {
      const whole = 1 + index + length;
      return chunk.length >= whole ? whole : 0;
    }
  }
  throw new Error("the broker sent a Remaining Length of five bytes");
}

/** Decodes one whole frame with the oracle. */
export function decode(frameBytes: Uint8Array, version: Version): Packet {
  const oracle = parser({ protocolVersion: version });
  const packets: Packet[] = [];
  const failures: unknown[] = [];
  oracle.on("packet", (packet) => packets.push(packet));
  oracle.on("error", (error: unknown) => failures.push(error));
  oracle.parse(Buffer.from(frameBytes));
  const [packet] = packets;
  if (packet === undefined || failures.length > 0) {
    const dump = Buffer.from(frameBytes).toString("hex").slice(0, 120);
    throw new Error(`mqtt-packet cannot read what the broker sent (${String(failures[0])}): ${dump}`);
  }
  return packet;
}

export class WireClient {
  readonly version: Version;
  /** Send every packet one byte at a time, each in its own turn of the event loop. */
  split = false;
  #socket: Socket<undefined> | null = null;
  #rest: Uint8Array = new Uint8Array(0);
  readonly #inbox: Received<PacketCmd>[] = [];
  #wake: (() => void) | null = null;
  #drained: (() => void) | null = null;
  #closed = false;
  #failure: Error | null = null;
  #lastIdentifier = 0;

  private constructor(version: Version) {
    this.version = version;
  }

  static async open(port: number, version: Version = 4): Promise<WireClient> {
    const client = new WireClient(version);
    client.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, chunk) => client.#take(chunk),
        drain: () => client.#drained?.(),
        close: () => client.#close(),
        end: (socket) => {
          socket.end();
        },
        error: () => client.#close(),
      },
    });
    return client;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The next Packet Identifier that this client has not used. */
  nextIdentifier(): number {
    this.#lastIdentifier += 1;
    return this.#lastIdentifier;
  }

  /** Encodes all packets and hands them to the kernel in one write. */
  async send(...outgoing: readonly Outgoing[]): Promise<void> {
    const encoded = outgoing.map((one) =>
      one instanceof Uint8Array ? one : generate(one, { protocolVersion: this.version }),
    );
    const whole = Buffer.concat(encoded);
    if (!this.split) return this.#write(whole);
    for (let at = 0; at < whole.length && !this.#closed; at++) {
      await this.#write(whole.subarray(at, at + 1));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** The next packet, whatever it is. */
  async next(withinMs = DEADLINE_MS): Promise<Received<PacketCmd>> {
    await this.#until(() => this.#inbox.length > 0 || this.#closed, withinMs, "a packet");
    if (this.#failure !== null) throw this.#failure;
    const packet = this.#inbox.shift();
    if (packet === undefined) throw new Error("the broker closed the connection; a packet was expected");
    return packet;
  }

  /** The next packet must be `cmd` and match `shape`. */
  async expect<C extends PacketCmd>(
    cmd: C,
    shape: Partial<PacketOf<C>> = {},
    withinMs = DEADLINE_MS,
  ): Promise<Received<C>> {
    const packet = await this.next(withinMs);
    if (!isCommand(packet, cmd)) throw new Error(`expected ${cmd}, got ${describePacket(packet)}`);
    expect(packet).toMatchObject(shape);
    return packet;
  }

  /** The next packet must be a PUBLISH that matches `shape`. */
  async receive(shape: PublishShape = {}, withinMs = DEADLINE_MS): Promise<Received<"publish">> {
    const packet = await this.expect("publish", {}, withinMs);
    expect({ ...packet, payload: packet.payload.toString() }).toMatchObject({ ...shape });
    return packet;
  }

  /** Waits for the broker to close; packets before that fail, unless they are listed in `allowed`. */
  async expectClosed(withinMs = DEADLINE_MS, allowed: readonly PacketCmd[] = []): Promise<void> {
    await this.#until(() => this.#closed || this.#strange(allowed), withinMs, "the broker to close");
    const strange = this.#inbox.find((packet) => !allowed.includes(packet.cmd));
    if (strange !== undefined) throw new Error(`expected a close, got ${describePacket(strange)}`);
  }

  /** Nothing may arrive before the answer to a PINGREQ. */
  async expectSilence(): Promise<void> {
    await this.send(PING);
    await this.expect("pingresp");
  }

  /** v5: DISCONNECT with `reasonCode`, then a close; v3: a close and nothing else. */
  async expectDisconnected(reasonCode: number | readonly number[], withinMs = DEADLINE_MS): Promise<void> {
    if (this.version === 5) {
      const packet = await this.expect("disconnect", {}, withinMs);
      const codes = typeof reasonCode === "number" ? [reasonCode] : reasonCode;
      if (!codes.includes(packet.reasonCode ?? 0)) {
        const got = (packet.reasonCode ?? 0).toString(16);
        const wanted = codes.map((code) => code.toString(16)).join(" or ");
        throw new Error(`expected DISCONNECT 0x${wanted}, got 0x${got}`);
      }
    }
    await this.expectClosed(withinMs);
  }

  connectPacket(options: ConnectOptions = {}): PacketOf<"connect"> {
    const { password, ...rest } = options;
    return {
      cmd: "connect",
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      clientId: "",
      ...rest,
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
    };
  }

  /** CONNECT, and its successful CONNACK. */
  async connect(options: ConnectOptions = {}): Promise<Received<"connack">> {
    await this.send(this.connectPacket(options));
    return this.expect("connack", this.version === 5 ? { reasonCode: 0 } : { returnCode: 0 });
  }

  subscribePacket(
    filters: string | readonly string[],
    options: SubscribeOptions = {},
  ): PacketOf<"subscribe"> & { messageId: number } {
    const { identifier, ...each } = options;
    const list = typeof filters === "string" ? [filters] : filters;
    return {
      cmd: "subscribe",
      messageId: this.nextIdentifier(),
      subscriptions: list.map((topic) => ({ topic, qos: 0, ...each })),
      ...(identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } }),
    };
  }

  /** SUBSCRIBE, and its SUBACK's codes. */
  async subscribe(
    filters: string | readonly string[],
    options: SubscribeOptions = {},
  ): Promise<readonly unknown[]> {
    const packet = this.subscribePacket(filters, options);
    await this.send(packet);
    const { granted } = await this.expect("suback", { messageId: packet.messageId });
    return granted;
  }

  async unsubscribe(...filters: readonly string[]): Promise<Received<"unsuback">> {
    const messageId = this.nextIdentifier();
    await this.send({ cmd: "unsubscribe", messageId, unsubscriptions: [...filters] });
    return this.expect("unsuback", { messageId });
  }

  publishPacket(topic: string, payload: string | Buffer, options: PublishOptions = {}): PacketOf<"publish"> {
    const { qos = 0, messageId, ...rest } = options;
    const identifier = messageId ?? (qos === 0 ? undefined : this.nextIdentifier());
    return {
      cmd: "publish",
      dup: false,
      retain: false,
      topic,
      payload,
      qos,
      ...rest,
      ...(identifier === undefined ? {} : { messageId: identifier }),
    };
  }

  /** PUBLISH with its whole handshake: when this resolves, the broker owns the message. At QoS 0 a PING does that. */
  async publish(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<void> {
    const packet = this.publishPacket(topic, payload, options);
    await this.send(packet);
    if (packet.messageId === undefined) return this.expectSilence();
    const { messageId } = packet;
    if (packet.qos === 1) {
      await this.expect("puback", { messageId });
      return;
    }
    await this.expect("pubrec", { messageId });
    await this.send({ cmd: "pubrel", messageId });
    await this.expect("pubcomp", { messageId });
  }

  /** Answers a received PUBLISH to the end of its handshake. */
  async acknowledge(packet: PacketOf<"publish">): Promise<void> {
    if (packet.qos === 0) return;
    const messageId = packet.messageId ?? 0;
    if (packet.qos === 1) return this.send({ cmd: "puback", messageId });
    await this.send({ cmd: "pubrec", messageId });
    await this.expect("pubrel", { messageId });
    await this.send({ cmd: "pubcomp", messageId });
  }

  /** DISCONNECT, and the broker's close. */
  async disconnect(properties?: { sessionExpiryInterval?: number }, reasonCode = 0): Promise<void> {
    await this.send({
      cmd: "disconnect",
      ...(this.version === 5 ? { reasonCode } : {}),
      ...(properties === undefined ? {} : { properties }),
    });
    await this.expectClosed(DEADLINE_MS, ["publish", "pubrel"]);
  }

  /** Ends the connection as a failing network would: no DISCONNECT. */
  cut(): void {
    this.#socket?.terminate();
    this.#close();
  }

  /** Half-closes: the broker sees the end of the stream. */
  end(): void {
    this.#socket?.end();
  }

  /** Stops reading: the broker's bytes stay in the kernel's buffers. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    let at = 0;
    while (at < chunk.length && !this.#closed) {
      const accepted = this.#socket?.write(chunk, at, chunk.length - at) ?? -1;
      if (accepted < 0) return;
      at += accepted;
      if (at < chunk.length) {
        await new Promise<void>((resolve) => {
          this.#drained = resolve;
        });
        this.#drained = null;
      }
    }
  }

  #take(chunk: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? chunk.slice() : Buffer.concat([this.#rest, chunk]);
    try {
      for (let whole = frameLength(this.#rest); whole > 0; whole = frameLength(this.#rest)) {
        const raw = this.#rest.slice(0, whole);
        this.#rest = this.#rest.subarray(whole);
        this.#inbox.push({ ...decode(raw, this.version), raw });
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.cut();
    }
    this.#wake?.();
  }

  #close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#drained?.();
  }

  #strange(allowed: readonly PacketCmd[]): boolean {
    return this.#inbox.some((packet) => !allowed.includes(packet.cmd));
  }

  async #until(ready: () => boolean, withinMs: number, what: string): Promise<void> {
    if (ready()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deadline = setTimeout(() => reject(new Error(`waited ${withinMs} ms for ${what}`)), withinMs);
    this.#wake = () => {
      if (ready()) resolve();
    };
    try {
      await promise;
    } finally {
      clearTimeout(deadline);
      this.#wake = null;
    }
  }
}

function isCommand<C extends PacketCmd>(packet: Received<PacketCmd>, cmd: C): packet is Received<C> {
  return packet.cmd === cmd;
}
