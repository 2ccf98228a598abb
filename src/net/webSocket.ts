// WebSocket: the layer that carries MQTT over a WebSocket, §6 and RFC 6455. Below it is a socket, above it a
// connection that takes no notice: bytes go up as they come, and what it writes goes down in frames.
//
//   Upgrading ──101──▶ Open ──close frame, fault, end()──▶ Closed

import type { Room } from "../base/budget.ts";
import { RELEASED_BYTES_MIN, release } from "./chunk.ts";
import type { Closed } from "./closeCause.ts";
import type { Socket } from "./connection.ts";
import type { Layer } from "./layer.ts";
import type { Residues } from "./residues.ts";
import { CloseCode, closedBy, type Fault, faults } from "./webSocketClose.ts";
import { FrameDecoder, FrameEvent, Opcode } from "./webSocketDecoder.ts";
import { type EncoderOwner, FrameEncoder } from "./webSocketEncoder.ts";
import { type Unpacked, UnpackStatus } from "./webSocketDeflate.ts";
import { Unpacker } from "./webSocketExtension.ts";
import { HeadReader, HeadStatus, parseRequest } from "./webSocketRequest.ts";
import type { WebSocketSettings } from "./webSocketSettings.ts";
import { type Agreement, answer, refusal, type UpgradeRefusal } from "./webSocketUpgrade.ts";

/** Who takes the bytes: a connection. */
export interface Upper extends Layer {
  /** Null until its client has said who it is. */
  readonly session: unknown;
  /** Ends it for a reason of its client's; it calls end() of its socket. */
  close(cause: Closed): void;
}

/** What all WebSockets of one listener share. */
export interface WebSocketHost {
  readonly settings: WebSocketSettings;
  /** A compressed message, as it comes and unpacked: bytes. */
  readonly messageBytesMax: number;
  /** For what comes in parts and cannot be passed on yet, of those who have not said who they are. */
  readonly strangers: Room;
  /** The same, of clients. */
  readonly partial: Room;
  /** For rests of cut frames. */
  readonly residues: Residues;
  /** Calls a turn after other work has had its own. */
  later(turn: () => void): void;
  /** The upgrade is done. Returns who takes the bytes, which writes to `socket`; null, and the socket is closed. */
  open(socket: Socket): Upper | null;
  /** There was no upgrade: the HTTP status, and why. */
  refused(status: number, message: string): void;
}

const State = { Upgrading: 0, Open: 1, Closed: 2 } as const;
type State = (typeof State)[keyof typeof State];

const NO_PAYLOAD = Buffer.alloc(0);

/** Of what one chunk unpacks to, bytes: then others have their turn. A thousandth of it may have come. */
export const UNPACKED_BYTES_PER_TURN = 256 * 1024;

export class WebSocketLayer implements Layer, Socket, EncoderOwner, Unpacked {
  private readonly lower: Socket;
  private readonly host: WebSocketHost;
  private state: State = State.Upgrading;
  private head: HeadReader | null;
  private upper: Upper | null = null;
  private decoder: FrameDecoder | null = null;
  private encoder: FrameEncoder | null = null;
  private unpacker: Unpacker | null = null;
  /** Of the message that is being unpacked. */
  private unpackedBytes = 0;
  /** Payload of the last ping that is not answered yet, §5.5.3: earlier ones need no answer. */
  private ping: Buffer | null = null;
  /** Frames that wait for their turn; the socket is not read meanwhile. */
  private waiting: Buffer = NO_PAYLOAD;
  /** Who has room for them. */
  private waitingBudget: Room | null = null;
  private isTurnAsked = false;
  /** The connection wants nothing now. */
  private isPaused = false;

  constructor(lower: Socket, host: WebSocketHost) {
    this.lower = lower;
    this.host = host;
    this.head = new HeadReader(host.strangers);
  }

  // ---- from below

  data(chunk: Buffer): void {
    if (this.waiting.length > 0) this.wait(Buffer.concat([this.waiting, chunk]));
    else if (this.state === State.Open) this.frames(chunk);
    else if (this.state === State.Upgrading) this.upgrade(chunk);
  }

  drain(): void {
    if (this.state !== State.Open || !this.encoder!.flush()) return;
    if (this.ping !== null) this.pong();
    if (this.state === State.Open && !this.encoder!.owes) this.upper!.drain();
  }

  closed(): void {
    const { upper } = this;
    this.release();
    this.upper = null;
    upper?.closed();
  }

  // ---- from above

  write(bytes: Uint8Array, at: number, length: number): number {
    return this.state === State.Open ? this.encoder!.write(bytes, at, length) : -1;
  }

  pause(): void {
    this.isPaused = true;
    this.lower.pause();
  }

  resume(): void {
    this.isPaused = false;
    if (this.waiting.length > 0) this.askTurn();
    else this.lower.resume();
  }

  end(): void {
    if (this.state !== State.Open) return;
    this.sendClose(CloseCode.Normal);
    this.lower.end();
  }

  // ---- the upgrade

  private upgrade(chunk: Buffer): void {
    const head = this.head!;
    const status = head.add(chunk);
    if (status === HeadStatus.NeedMore) return;
    const answered = this.answerOf(head, status);
    if (!("subprotocol" in answered)) {
      this.refuse(answered);
      return;
    }
    const taken = head.taken;
    this.open(answered);
    if (this.state === State.Open && taken < chunk.length) this.frames(chunk.subarray(taken));
  }

  private answerOf(head: HeadReader, status: HeadStatus): Agreement | UpgradeRefusal {
    if (status === HeadStatus.NotHttp) return refusal(400, "this is no HTTP request");
    if (status === HeadStatus.TooLarge) return refusal(431, "the request's head is too large");
    if (status === HeadStatus.NoMemory) return refusal(503, "the budget for unfinished packets is used up");
    const request = parseRequest(head.head);
    return typeof request === "string" ? refusal(400, request) : answer(request, this.host.settings);
  }

  private refuse({ response, status, message }: UpgradeRefusal): void {
    this.release();
    this.lower.write(response, 0, response.length);
    this.host.refused(status, message);
    this.lower.end();
  }

  private open({ response, deflate }: Agreement): void {
    const { host } = this;
    this.head!.close();
    this.head = null;
    this.encoder = new FrameEncoder(this.lower, host.residues, this, deflate?.windowBits ?? 0);
    this.decoder = new FrameDecoder(deflate !== null);
    this.unpacker = deflate === null ? null : new Unpacker(host.messageBytesMax);
    this.state = State.Open;
    this.encoder.whole(response, response.length);
    this.upper = host.open(this);
    if (this.upper !== null) return;
    this.release();
    this.lower.end();
  }

  // ---- frames

  private frames(chunk: Buffer): void {
    const decoder = this.decoder!;
    let unpackedBytes = 0;
    decoder.begin(chunk);
    for (;;) {
      const event = decoder.next();
      if (event === FrameEvent.Ping) {
        this.ping = Buffer.from(decoder.control.subarray(0, decoder.controlLength));
        continue;
      }
      // What came before this event goes up first.
      if (decoder.to > decoder.from) {
        const payload = chunk.subarray(decoder.from, decoder.to);
        decoder.took();
        this.upper!.data(payload);
        if (this.state !== State.Open) break;
      }
      if (event === FrameEvent.Piece) {
        unpackedBytes += this.piece(decoder, chunk);
        if (this.state !== State.Open) break;
        const hasMore = decoder.pieceEnd < chunk.length;
        const mayGoOn = unpackedBytes < UNPACKED_BYTES_PER_TURN && !(this.isPaused && unpackedBytes > 0);
        if (mayGoOn || !hasMore) continue;
        this.wait(chunk.subarray(decoder.pieceEnd));
        break;
      }
      if (event === FrameEvent.Close) this.closedByPeer(decoder);
      else if (event === FrameEvent.Failed) this.fail(decoder.fault!);
      break;
    }
    decoder.end();
    if (this.ping !== null && this.state === State.Open && !this.encoder!.owes) this.pong();
  }

  /** Takes a piece of a compressed message. Returns how many bytes of the message have been unpacked. */
  private piece({ pieceAt, pieceEnd, pieceIsLast }: FrameDecoder, chunk: Buffer): number {
    const unpacker = this.unpacker!;
    const budget = this.upper!.session === null ? this.host.strangers : this.host.partial;
    this.unpackedBytes = 0;
    const status = pieceIsLast
      ? unpacker.last(chunk, pieceAt, pieceEnd, budget, this)
      : unpacker.add(chunk, pieceAt, pieceEnd, budget);
    if (status === UnpackStatus.TooLarge) this.fail(faults.messageTooLarge);
    else if (status === UnpackStatus.NoMemory) this.fail(faults.noMemory);
    else if (status === UnpackStatus.Malformed) this.fail(faults.notDeflate);
    return this.unpackedBytes;
  }

  unpacked(piece: Buffer): boolean {
    this.unpackedBytes += piece.length;
    this.upper!.data(piece);
    return this.state === State.Open;
  }

  // ---- frames that wait

  /** Keeps a copy of `bytes`, with which the frames go on in another turn. */
  private wait(bytes: Buffer): void {
    const budget = this.upper!.session === null ? this.host.strangers : this.host.partial;
    this.forget();
    if (!budget.take(bytes.length)) {
      this.fail(faults.noMemory);
      return;
    }
    this.waiting = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(this.waiting);
    this.waitingBudget = budget;
    this.lower.pause();
    if (!this.isPaused) this.askTurn();
  }

  private askTurn(): void {
    if (this.isTurnAsked) return;
    this.isTurnAsked = true;
    this.host.later(() => this.turn());
  }

  private turn(): void {
    this.isTurnAsked = false;
    if (this.state !== State.Open || this.waiting.length === 0 || this.isPaused) return;
    const bytes = this.waiting;
    this.forget();
    this.frames(bytes);
    if (bytes.length >= RELEASED_BYTES_MIN) release(bytes);
    const isFree = this.state === State.Open && this.waiting.length === 0;
    if (isFree && !this.isPaused) this.lower.resume();
  }

  private forget(): void {
    this.waitingBudget?.give(this.waiting.length);
    this.waitingBudget = null;
    this.waiting = NO_PAYLOAD;
  }

  /** At most one pong for a chunk that came: a client that pings and does not read gets no more than that kept. */
  private pong(): void {
    const payload = this.ping!;
    this.ping = null;
    this.encoder!.control(Opcode.Pong, payload, payload.length);
  }

  // ---- ending

  /** There is no memory for what it owes (EncoderOwner). */
  close(cause: Closed): void {
    this.upper?.close(cause);
  }

  /** §5.5.1: the client's code goes back to it, and that was all. */
  private closedByPeer(decoder: FrameDecoder): void {
    const { control, controlLength } = decoder;
    this.sendClose(controlLength === 0 ? 0 : control.readUInt16BE(0));
    this.closed();
    this.lower.end();
  }

  private fail(fault: Fault): void {
    this.sendClose(fault.code);
    this.upper!.close(closedBy(fault));
    this.lower.end();
  }

  /** Sends a close frame, unless that would cut another one; nothing follows it. `code` 0 says none. */
  private sendClose(code: number): void {
    const encoder = this.encoder!;
    if (!encoder.owes) {
      const payload = code === 0 ? NO_PAYLOAD : Buffer.of(code >>> 8, code & 0xff);
      encoder.control(Opcode.Close, payload, payload.length);
    }
    this.release();
  }

  private release(): void {
    this.state = State.Closed;
    this.ping = null;
    this.forget();
    this.head?.close();
    this.encoder?.close();
    this.unpacker?.close();
  }
}
