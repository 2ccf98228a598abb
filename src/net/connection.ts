// Connection: one Network Connection, from bytes to packets and back. It knows no Bun: the listener gives it a socket,
// the simulation a fake one.
//
//   AwaitConnect ──CONNECT──▶ Connected ──DISCONNECT, error, takeover, time──▶ Closing ──▶ Closed

import type { ByteWriter } from "../base/byteWriter.ts";
import { decodeConnect } from "../packet/connect.ts";
import { writeDisconnect } from "../packet/encode.ts";
import { errorOfCode, errors, isMqttError, type MqttError } from "../packet/error.ts";
import { bodyAt, MALFORMED_LENGTH, NEED_MORE, PacketType, remainingLength } from "../packet/frame.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import type { Segment } from "../log/segment.ts";
import { IngestStatus, Refusal } from "../router/ingest.ts";
import type { Publisher } from "../router/publisher.ts";
import type { Router } from "../router/router.ts";
import type { DeliveryPort } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import { command } from "./commands.ts";
import { accept, answerConnect, refuse } from "./handshake.ts";
import { type ByteSink, CONTROL_BYTES_MAX, Outbound } from "./outbound.ts";
import { Partial, PartialStatus } from "./partial.ts";
import type { ListenerSettings } from "./settings.ts";

/** What a connection needs of its socket. */
export interface Socket extends ByteSink {
  pause(): void;
  resume(): void;
  /** Sends what the kernel has and closes. */
  end(): void;
}

/** What all connections share. */
export interface ConnectionHost {
  readonly router: Router;
  /** Answers to one chunk; reset by whoever begins to use it. */
  readonly out: ByteWriter;
  /** Connections that stand paused and are let read one chunk now and then. */
  readonly paused: Set<Connection>;
  readonly connectionsMax: number;
  /** A Client Identifier for a client that gave none. */
  assignIdentifier(): string;
  connected(connection: Connection): void;
  closed(connection: Connection, closed: Closed): void;
  /** A connection was paused. */
  pressed(): void;
}

export const ConnectionState = { AwaitConnect: 0, Connected: 1, Closing: 2, Closed: 3 } as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const CONNECT_BYTES_MAX = 256 * 1024;
const NO_CHUNK = Buffer.alloc(0);
/** So long without room, and the connection is closed: a paused socket does not tell that its client has died. */
const WAIT_MS_MAX = 30_000;
const KEEP_ALIVE_FACTOR_MS = 1500;

export class Connection implements DeliveryPort {
  readonly number: number;
  readonly remoteAddress: string;
  readonly listener: ListenerSettings;
  readonly host: ConnectionHost;
  readonly socket: Socket;
  readonly outbound: Outbound;
  state: ConnectionState = ConnectionState.AwaitConnect;
  session: Session | null = null;
  publisher: Publisher | null = null;
  level: ProtocolLevel = 4;
  keepAliveMs = 0;
  /** The client wants Reason Strings and User Properties. */
  problemInformation = true;
  readonly openedMs: number;
  lastSeenMs: number;
  closeCause: Closed = CloseCause.lost;
  /** Publishes too fast for a healthy reader, or its chunk waits for room. */
  private isPaced = false;
  private parked: Buffer | null = null;
  /** The log had no room for the packet at which packets() stopped. */
  private waits = false;
  /** Since when, ms; 0 while nothing does. */
  private waitsSinceMs = 0;
  private readonly partial: Partial;
  /** The partial packet is whole and waits for room in the log; later chunks are parked behind it. */
  private partialWaits = false;

  constructor(
    host: ConnectionHost,
    listener: ListenerSettings,
    socket: Socket,
    number: number,
    address: string,
  ) {
    this.host = host;
    this.listener = listener;
    this.socket = socket;
    this.number = number;
    this.remoteAddress = address;
    const { budgets, clock } = host.router;
    this.outbound = new Outbound(socket, budgets.residue);
    this.partial = new Partial(budgets.partial);
    this.openedMs = clock.nowMs();
    this.lastSeenMs = this.openedMs;
  }

  // ---- receiving

  /** Bytes came; the buffer is the connection's until this returns. */
  data(chunk: Buffer): void {
    if (this.state >= ConnectionState.Closing) return;
    this.lastSeenMs = this.host.router.clock.nowMs();
    if (this.parked !== null || this.partialWaits) this.park(chunk, 0, chunk.length);
    else this.receive(chunk);
  }

  private receive(chunk: Buffer): void {
    const { out } = this.host;
    out.reset();
    this.walk(chunk, out);
    if (out.length > 0 && this.state === ConnectionState.Connected)
      this.sendControl(out.bytes, 0, out.length);
    if (this.parked === null && !this.partialWaits) this.waitsSinceMs = 0;
    if (this.mustPause()) this.pauseSocket();
    else this.resumeSocket();
  }

  private walk(chunk: Buffer, out: ByteWriter): void {
    let at = 0;
    if (this.partial.length > 0) {
      if (!this.partialWaits) {
        const status = this.partial.add(chunk, 0, chunk.length, this.packetBytesMax);
        if (status === PartialStatus.NeedMore) return;
        if (status !== PartialStatus.Whole) {
          this.fail(partialError(status));
          return;
        }
        at = this.partial.taken;
      }
      const { bytes, length } = this.partial;
      this.partialWaits = false;
      const done = this.packets(bytes, 0, length, out);
      if (this.waits) {
        this.partialWaits = true;
        if (at < chunk.length) this.park(chunk, at, chunk.length);
        return;
      }
      this.partial.clear();
      if (done < length) return;
    }
    const end = chunk.length;
    at = this.packets(chunk, at, end, out);
    if (at === end || this.state >= ConnectionState.Closing) return;
    if (this.waits) {
      this.park(chunk, at, end);
      return;
    }
    const status = this.partial.add(chunk, at, end, this.packetBytesMax);
    if (status !== PartialStatus.NeedMore) this.fail(partialError(status));
  }

  private get packetBytesMax(): number {
    const { packetBytesMax } = this.listener;
    return this.state === ConnectionState.Connected
      ? packetBytesMax
      : Math.min(packetBytesMax, CONNECT_BYTES_MAX);
  }

  /** Takes the whole packets of chunk[at..end). Returns the position behind them. */
  private packets(chunk: Buffer, at: number, end: number, out: ByteWriter): number {
    let position = at;
    let view: DataView | null = null;
    this.waits = false;
    while (position < end && this.state < ConnectionState.Closing) {
      const first = chunk[position]!;
      if ((first & 0xf0) === PacketType.Publish && this.publisher !== null) {
        if (view === null) view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
        const { ingest } = this.host.router;
        position = ingest.ingest(this.publisher, chunk, view, position, end, out);
        if (ingest.status !== IngestStatus.Other) {
          this.afterIngest(ingest.status, out);
          return position;
        }
      } else if (
        first === PacketType.Puback &&
        position + 4 <= end &&
        chunk[position + 1] === 2 &&
        this.session
      ) {
        const identifier = (chunk[position + 2]! << 8) | chunk[position + 3]!;
        if (identifier === 0) this.fail(errors.ackIdentifierZero);
        else this.host.router.acknowledgements.puback(this.session, identifier);
        position += 4;
      } else {
        const packetEnd = this.otherPacket(first, chunk, position, end, out);
        if (packetEnd < 0) return position;
        position = packetEnd;
      }
    }
    return position;
  }

  /** Ingest stopped within the chunk. */
  private afterIngest(status: number, out: ByteWriter): void {
    if (status === IngestStatus.NoRoom) {
      this.waits = true;
      if (this.waitsSinceMs === 0) this.waitsSinceMs = this.host.router.clock.nowMs();
      this.pauseSocket();
    } else if (status < 0) {
      this.flush(out); // what was acknowledged before the error still is
      this.fail(errorOfCode(status));
    }
  }

  /** Takes the packet at `position`. Returns the position behind it, -1 while it is not whole or cannot be. */
  private otherPacket(first: number, chunk: Buffer, position: number, end: number, out: ByteWriter): number {
    const body = bodyAt(chunk, position, end);
    if (body === NEED_MORE) return -1;
    if (body === MALFORMED_LENGTH) {
      this.fail(errors.remainingLengthTooLong);
      return -1;
    }
    const packetEnd = body + remainingLength(chunk, position, body);
    if (packetEnd - position > this.packetBytesMax) {
      if (this.session === null) answerConnect(this, chunk, body, Math.min(packetEnd, end));
      this.fail(errors.packetTooLarge);
      return -1;
    }
    if (this.session === null) {
      if ((first & 0xf0) !== PacketType.Connect)
        this.fail(errors.firstNotConnect); // [MQTT-3.1.0-1]
      else if (packetEnd > end) return -1;
      else if ((first & 15) !== 0) this.fail(errors.reservedFlags);
      else this.connect(chunk, body, packetEnd);
      return packetEnd;
    }
    if (packetEnd > end) return -1;
    command(this, this.session, first, chunk, body, packetEnd, out);
    return packetEnd;
  }

  private connect(chunk: Buffer, body: number, end: number): void {
    const connect = decodeConnect(chunk, body, end);
    if (!isMqttError(connect)) {
      accept(this, connect);
      return;
    }
    answerConnect(this, chunk, body, end);
    refuse(this, connect);
  }

  /** Sends what has been answered so far. */
  flush(out: ByteWriter): void {
    if (out.length === 0) return;
    this.sendControl(out.bytes, 0, out.length);
    out.reset();
  }

  // ---- sending (DeliveryPort)

  get owes(): boolean {
    return this.outbound.owes;
  }

  get owesControl(): boolean {
    return this.outbound.owesControl;
  }

  get sentBytes(): number {
    return this.outbound.sentBytes;
  }

  get tailSegment(): Segment | null {
    return this.outbound.tailSegment;
  }

  flushRest(): boolean {
    return this.outbound.flushRest();
  }

  flushControl(): boolean {
    const flushed = this.outbound.flushControl();
    if (flushed && !this.mustPause()) this.resumeSocket();
    return flushed;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    if (this.state >= ConnectionState.Closing) return -1;
    const wrote = this.outbound.write(bytes, at, length);
    if (wrote < 0) this.close(CloseCause.lost);
    return wrote;
  }

  keepRest(bytes: Uint8Array, at: number, length: number): boolean {
    if (this.outbound.keepRest(bytes, at, length)) return true;
    this.close(CloseCause.noMemory);
    return false;
  }

  keepTail(segment: Segment, from: number, to: number): void {
    this.outbound.keepTail(segment, from, to);
  }

  sendControl(bytes: Uint8Array, at: number, length: number): void {
    if (this.state >= ConnectionState.Closing) return;
    const cut = this.session?.reader.cut ?? false;
    if (!this.outbound.sendControl(bytes, at, length, cut)) this.close(CloseCause.noMemory);
  }

  disconnect(error: MqttError): void {
    this.fail(error);
  }

  /** The socket takes bytes again. */
  drain(): void {
    if (this.state >= ConnectionState.Closing) return;
    if (this.session !== null) {
      this.host.router.writable(this.session);
      return;
    }
    if (this.outbound.flushRest() && this.outbound.owesControl) this.outbound.flushControl();
  }

  // ---- pausing

  pace(paced: boolean): void {
    this.isPaced = paced;
    if (paced) this.pauseSocket();
    else if (!this.mustPause()) this.resumeSocket();
  }

  private mustPause(): boolean {
    return (
      this.isPaced ||
      this.parked !== null ||
      this.partialWaits ||
      this.outbound.controlBytes > CONTROL_BYTES_MAX
    );
  }

  private pauseSocket(): void {
    if (this.state >= ConnectionState.Closing) return;
    this.socket.pause();
    if (this.host.paused.has(this)) return;
    this.host.paused.add(this);
    this.host.pressed();
  }

  private resumeSocket(): void {
    if (!this.host.paused.delete(this) || this.state >= ConnectionState.Closing) return;
    this.lastSeenMs = this.host.router.clock.nowMs();
    this.socket.resume();
  }

  /** Every 50 ms while paused: what waits is tried again, or one more chunk is let in. */
  trickle(): void {
    const { parked } = this;
    if (parked !== null || this.partialWaits) {
      this.parked = null;
      if (parked !== null) this.host.router.budgets.parked.give(parked.length);
      const { ingest, clock, settings } = this.host.router;
      const waited = clock.nowMs() - this.waitsSinceMs;
      if (waited > WAIT_MS_MAX) {
        this.fail(errors.quotaExceeded);
        return;
      }
      if (waited > settings.stallMs) ingest.refusal = Refusal.Answerable;
      this.receive(parked ?? NO_CHUNK);
      ingest.refusal = Refusal.Wait;
      return;
    }
    this.lastSeenMs = this.host.router.clock.nowMs();
    this.socket.resume();
  }

  /** chunk[at..end) waits until the log has room; when too much waits already, what cannot be stored is refused. */
  private park(chunk: Buffer, at: number, end: number): void {
    const { router } = this.host;
    if (router.budgets.parked.take(end - at)) {
      const rest = chunk.subarray(at, end);
      this.parked = this.parked === null ? Buffer.from(rest) : Buffer.concat([this.parked, rest]);
      this.pauseSocket();
      return;
    }
    if (this.parked !== null || this.partialWaits || router.ingest.refusal !== Refusal.Wait) {
      this.fail(errors.quotaExceeded);
      return;
    }
    router.ingest.refusal = Refusal.All;
    this.walk(chunk.subarray(at, end), this.host.out);
    router.ingest.refusal = Refusal.Wait;
  }

  // ---- ending

  /** Once a second. [MQTT-3.1.2-22] */
  checkTime(nowMs: number): void {
    if (this.state === ConnectionState.AwaitConnect) {
      if (nowMs - this.openedMs >= this.listener.connectTimeoutMs) this.close(CloseCause.connectTimeout);
    } else if (
      this.state === ConnectionState.Connected &&
      this.keepAliveMs > 0 &&
      !this.host.paused.has(this)
    ) {
      if (nowMs - this.lastSeenMs > this.keepAliveMs) this.fail(errors.keepAliveTimeout);
    }
  }

  /** Counts as heard of now. */
  seen(nowMs: number): void {
    this.lastSeenMs = nowMs;
  }

  setKeepAlive(seconds: number): void {
    this.keepAliveMs = seconds * KEEP_ALIVE_FACTOR_MS;
  }

  /** Ends the connection with the error's Reason Code, where the protocol has a packet for it. [MQTT-4.13.1-1] */
  fail(error: MqttError): void {
    if (this.state >= ConnectionState.Closing) return;
    if (this.session === null) {
      refuse(this, error);
      return;
    }
    if (this.level === 5 && !this.outbound.owesRest && !this.session.reader.cut) {
      const { out } = this.host;
      const from = out.length;
      const properties = this.problemInformation ? { reasonString: error.message } : undefined;
      writeDisconnect(out, error.reason, properties, this.session.frameMax);
      // Behind a control packet that the socket does not take whole there is no place for another one.
      if (!this.outbound.owesControl || this.outbound.flushControl()) {
        this.outbound.write(out.bytes, from, out.length - from);
      }
      out.length = from;
    }
    this.close({ cause: "error", reason: error.reason, statement: error.statement, message: error.message });
  }

  /** Ends the connection without a further word. */
  close(cause: Closed): void {
    if (this.state >= ConnectionState.Closing) return;
    this.closeCause = cause;
    this.state = ConnectionState.Closing;
    this.socket.end();
    this.leave();
  }

  /** The socket is gone. */
  closed(): void {
    if (this.state === ConnectionState.Closed) return;
    if (this.state < ConnectionState.Closing) this.leave();
    this.state = ConnectionState.Closed;
  }

  private leave(): void {
    const { router, paused } = this.host;
    paused.delete(this);
    if (this.parked !== null) {
      router.budgets.parked.give(this.parked.length);
      this.parked = null;
    }
    this.partial.clear();
    if (this.publisher !== null) {
      router.pacing.forget(this.publisher);
      this.publisher.close();
    }
    const { session } = this;
    if (session !== null)
      router.sessions.connectionEnded(session, this, session.port === this ? session.will : null);
    this.outbound.close();
    this.host.closed(this, this.closeCause);
  }
}

function partialError(status: number): MqttError {
  if (status === PartialStatus.Malformed) return errors.remainingLengthTooLong;
  return status === PartialStatus.TooLarge ? errors.packetTooLarge : errors.quotaExceeded;
}
