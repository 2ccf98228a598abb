// SimSocket: a socket without a kernel. The broker's side is the Socket port of net/connection.ts; the client's side
// is plain. Between them lie two pipes of which the broker's outgoing one has a size and a mind of its own: it takes
// a random part of what is written.

import type { Connection, Socket } from "../../src/net/connection.ts";
import type { Layer } from "../../src/net/layer.ts";
import type { Random } from "./random.ts";
import { SimWebSocket } from "./webSocket.ts";

export interface SocketShape {
  /** Bytes that lie between broker and client at most. */
  readonly capacity?: number;
  /** How often a write is cut although there is room. */
  readonly cutChance?: number;
  /** The largest chunk that one poll delivers to the broker. */
  readonly chunkMax?: number;
  /** MQTT goes in a WebSocket. */
  readonly webSocket?: boolean;
  /** How often a chunk still comes that the poll had when the socket was paused. */
  readonly lateChance?: number;
}

const CHUNK_MAX = 512 * 1024;

export class SimSocket implements Socket {
  connection: Connection | null = null;
  /** Who gets the bytes: the connection, or a layer below it. */
  layer: Layer | null = null;
  readonly webSocket: SimWebSocket | null;
  capacity: number;
  cutChance: number;
  chunkMax: number;
  private readonly lateChance: number;
  isPaused = false;
  brokerEnded = false;
  clientGone = false;
  closeTold = false;
  /** Bytes that the broker wrote in all. */
  written = 0;
  private needsDrain = false;
  private chunkInPoll = false;
  private outgoing: Buffer[] = [];
  private outgoingBytes = 0;
  private incoming: Buffer[] = [];
  private incomingBytes = 0;
  private readonly random: Random;

  constructor(random: Random, shape: SocketShape) {
    this.random = random;
    this.webSocket = shape.webSocket ? new SimWebSocket(random) : null;
    this.capacity = shape.capacity ?? 64 * 1024;
    this.cutChance = shape.cutChance ?? 0;
    this.lateChance = shape.lateChance ?? 0;
    this.chunkMax = Math.min(shape.chunkMax ?? CHUNK_MAX, CHUNK_MAX);
  }

  // ---- the broker's side

  write(bytes: Uint8Array, at: number, length: number): number {
    if (this.brokerEnded || this.clientGone) return -1;
    if (at < 0 || length < 0 || at + length > bytes.length)
      throw new Error("the broker writes what it does not have");
    let accepted = Math.min(length, this.capacity - this.outgoingBytes);
    if (accepted > 0 && this.random.chance(this.cutChance)) accepted = this.random.below(accepted + 1);
    if (accepted > 0) {
      this.outgoing.push(Buffer.from(bytes.slice(at, at + accepted)));
      this.outgoingBytes += accepted;
      this.written += accepted;
    }
    if (accepted < length) this.needsDrain = true;
    return accepted;
  }

  pause(): void {
    if (!this.isPaused) this.chunkInPoll = this.random.chance(this.lateChance);
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.brokerEnded = true;
  }

  // ---- the poll's side

  get isReadable(): boolean {
    return (
      this.incomingBytes > 0 && (!this.isPaused || this.chunkInPoll) && !this.brokerEnded && !this.clientGone
    );
  }

  /** A chunk of what the client sent, freshly allocated as Bun does it. */
  takeChunk(): Buffer {
    this.chunkInPoll = false;
    const size = this.random.chance(0.5) ? this.chunkMax : this.random.between(1, this.chunkMax);
    const chunk = takeFrom(this.incoming, Math.min(size, this.incomingBytes));
    this.incomingBytes -= chunk.length;
    return chunk;
  }

  /** True once when there is room again after a short write. */
  takeDrain(): boolean {
    if (!this.needsDrain || this.outgoingBytes >= this.capacity || this.brokerEnded || this.clientGone)
      return false;
    this.needsDrain = false;
    return true;
  }

  // ---- the client's side

  send(bytes: Buffer): void {
    if (this.clientGone || bytes.length === 0) return;
    const sent = this.webSocket?.frames(bytes) ?? bytes;
    this.incoming.push(sent);
    this.incomingBytes += sent.length;
  }

  /** Bytes that the client sent and the broker has not got. */
  get unreadByBroker(): number {
    return this.incomingBytes;
  }

  /** The broker was told that it could not write everything and waits for room. */
  get owesDrain(): boolean {
    return this.needsDrain && !this.brokerEnded && !this.clientGone;
  }

  get unreadByClient(): number {
    return this.outgoingBytes;
  }

  read(max: number): Buffer {
    if (this.outgoingBytes === 0 || max === 0) return Buffer.alloc(0);
    const taken = takeFrom(this.outgoing, Math.min(max, this.outgoingBytes));
    this.outgoingBytes -= taken.length;
    return this.webSocket?.payload(taken) ?? taken;
  }

  /** The broker has closed and the client has read everything before that. */
  get atEnd(): boolean {
    return this.brokerEnded && this.outgoingBytes === 0;
  }

  /** The client's network fails: nothing arrives any more, either way. */
  cut(): void {
    this.clientGone = true;
    this.incoming = [];
    this.incomingBytes = 0;
    this.outgoing = [];
    this.outgoingBytes = 0;
  }
}

/** The first `size` bytes of those in `pieces`, in a Buffer of their own. */
function takeFrom(pieces: Buffer[], size: number): Buffer {
  const taken = Buffer.allocUnsafeSlow(size);
  let whole = 0;
  for (let at = 0; at < size; ) {
    const piece = pieces[whole]!;
    const take = Math.min(piece.length, size - at);
    piece.copy(taken, at, 0, take);
    if (take === piece.length) whole++;
    else pieces[whole] = piece.subarray(take);
    at += take;
  }
  pieces.splice(0, whole);
  return taken;
}
