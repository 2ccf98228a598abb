// Peer: a client of the lanes tests. It sends bytes as they are and keeps every PUBLISH frame that it gets.

import type { SimSocket, SocketShape } from "../sim/socket.ts";
import type { World } from "../sim/world.ts";
import { bodyOf, frames, identifierAt, type ReferenceSession, u16, u32, utf8, varint } from "./reference.ts";

export interface PeerShape extends ReferenceSession {
  readonly persistent?: boolean;
  /** Answers PUBREC with PUBREL, unless it says no. */
  readonly releases?: boolean;
  readonly receiveMaximum?: number;
  readonly socket?: SocketShape;
  /** Before every filter, for example "$share/g/". */
  readonly prefix?: string;
}

export class Peer {
  readonly shape: PeerShape;
  /** PUBLISH frames, in order. */
  readonly published: Buffer[] = [];
  readonly other: Buffer[] = [];
  readMax = Number.POSITIVE_INFINITY;
  acknowledges = true;
  private socket: SimSocket | null = null;
  /** Of a frame that is not whole yet, and how long it will be; 0 while that is not known. */
  private pieces: Buffer[] = [];
  private piecesBytes = 0;
  private wholeBytes = 0;
  private nextIdentifier = 1;
  private readonly world: World;

  constructor(world: World, shape: PeerShape) {
    this.world = world;
    this.shape = shape;
  }

  connect(): void {
    const { version, clientIdentifier, persistent, receiveMaximum, maximumPacketSize, socket } = this.shape;
    const { topicAliasMaximum } = this.shape;
    this.socket?.cut();
    this.socket = this.world.connect(socket);
    this.keep(Buffer.alloc(0), 0);
    const properties: Buffer[] = [];
    if (persistent === true) properties.push(Buffer.of(0x11), u32(0xffff_ffff));
    if (receiveMaximum !== undefined) properties.push(Buffer.of(0x21), u16(receiveMaximum));
    if (maximumPacketSize !== undefined) properties.push(Buffer.of(0x27), u32(maximumPacketSize));
    if (topicAliasMaximum !== undefined) properties.push(Buffer.of(0x22), u16(topicAliasMaximum));
    const block = Buffer.concat(properties);
    const flags = persistent === true ? 0 : 2;
    this.packet(
      0x10,
      Buffer.concat([utf8(version === 3 ? "MQIsdp" : "MQTT"), Buffer.of(version, flags), u16(0)]),
      version === 5 ? Buffer.concat([varint(block.length), block]) : Buffer.alloc(0),
      utf8(clientIdentifier),
    );
  }

  cut(): void {
    this.socket?.cut();
    this.socket = null;
  }

  /** One SUBSCRIBE for each subscription. */
  subscribe(): void {
    for (const { filter, qos, noLocal, retainAsPublished, identifier } of this.shape.subscriptions) {
      const properties =
        identifier === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0b), varint(identifier)]);
      const options = qos | (noLocal === true ? 4 : 0) | (retainAsPublished === true ? 8 : 0);
      this.packet(
        0x82,
        u16(this.nextIdentifier++),
        this.shape.version === 5 ? Buffer.concat([varint(properties.length), properties]) : Buffer.alloc(0),
        utf8((this.shape.prefix ?? "") + filter),
        Buffer.of(options),
      );
    }
  }

  identifier(): number {
    return this.nextIdentifier++;
  }

  send(bytes: Buffer): void {
    this.socket?.send(bytes);
  }

  private packet(first: number, ...parts: Buffer[]): void {
    const body = Buffer.concat(parts);
    this.send(Buffer.concat([Buffer.of(first), varint(body.length), body]));
  }

  get isQuiet(): boolean {
    const { socket } = this;
    if (socket === null) return true;
    return socket.unreadByBroker === 0 && socket.unreadByClient === 0 && !socket.owesDrain;
  }

  get isClosed(): boolean {
    return this.socket?.brokerEnded ?? true;
  }

  /** Reads what it may and answers. */
  act(): void {
    if (this.socket === null) return;
    const bytes = this.socket.read(this.readMax);
    if (bytes.length === 0) return;
    this.pieces.push(bytes);
    this.piecesBytes += bytes.length;
    if (this.piecesBytes < this.wholeBytes) return;
    const { whole, rest, restWhole } = frames(Buffer.concat(this.pieces));
    this.keep(Buffer.from(rest), restWhole);
    for (const frame of whole) this.take(frame);
  }

  private keep(rest: Buffer, wholeBytes: number): void {
    this.pieces = rest.length === 0 ? [] : [rest];
    this.piecesBytes = rest.length;
    this.wholeBytes = wholeBytes;
  }

  private take(frame: Buffer): void {
    const type = frame[0]! & 0xf0;
    if (type !== 0x30) {
      this.other.push(frame);
      const identifier = frame.subarray(bodyOf(frame), bodyOf(frame) + 2);
      if (type === 0x60) this.packet(0x70, identifier);
      if (type === 0x50 && this.shape.releases !== false) this.packet(0x62, identifier);
      return;
    }
    this.published.push(frame);
    const qos = (frame[0]! >> 1) & 3;
    if (qos === 0 || !this.acknowledges) return;
    const at = identifierAt(frame);
    this.packet(qos === 1 ? 0x40 : 0x50, frame.subarray(at, at + 2));
  }
}
