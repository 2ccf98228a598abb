// Connection: one Network Connection, from bytes to packets and back. It knows no Bun: the listener gives it a socket,
// the simulation a fake one.
//
//   AwaitConnect ──CONNECT──▶ Connected ──DISCONNECT, error, takeover, time──▶ Closing ──▶ Closed

import type { ByteWriter } from "../base/byteWriter.ts";
import { newAck, decodeAck } from "../packet/ack.ts";
import { decodeConnect } from "../packet/connect.ts";
import { decodeAuth, decodeDisconnect } from "../packet/disconnect.ts";
import { writeDisconnect, writePingresp, writeSuback, writeUnsuback } from "../packet/encode.ts";
import { errorOfCode, errors, isMqttError, type MqttError } from "../packet/error.ts";
import { bodyAt, MALFORMED_LENGTH, NEED_MORE, PacketType, remainingLength } from "../packet/frame.ts";
import type { AckType, ProtocolLevel } from "../packet/protocol.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { decodeSubscribe, decodeUnsubscribe } from "../packet/subscribe.ts";
import type { Segment } from "../log/segment.ts";
import { IngestStatus } from "../router/ingest.ts";
import type { Publisher } from "../router/publisher.ts";
import type { Router } from "../router/router.ts";
import type { DeliveryPort } from "../session/ports.ts";
import { EXPIRY_NEVER, type Session } from "../session/session.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
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
}

export const ConnectionState = { AwaitConnect: 0, Connected: 1, Closing: 2, Closed: 3 } as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const RESERVED_FLAGS_2 = new Set<number>([PacketType.Pubrel, PacketType.Subscribe, PacketType.Unsubscribe]);
const CONNECT_BYTES_MAX = 256 * 1024;
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
  private readonly partial: Partial;
  private readonly ack = newAck();

  constructor(host: ConnectionHost, listener: ListenerSettings, socket: Socket, number: number, address: string) {
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
    if (this.parked !== null) {
      this.park(chunk, 0, chunk.length);
      return;
    }
    this.receive(chunk);
  }

  private receive(chunk: Buffer): void {
    const { out } = this.host;
    out.reset();
    this.walk(chunk, out);
    if (out.length > 0 && this.state === ConnectionState.Connected) this.sendControl(out.bytes, 0, out.length);
    if (this.mustPause() && this.state < ConnectionState.Closing) this.pauseSocket();
  }

  private walk(chunk: Buffer, out: ByteWriter): void {
    let at = 0;
    if (this.partial.length > 0) {
      const status = this.partial.add(chunk, 0, chunk.length, this.packetBytesMax);
      if (status === PartialStatus.NeedMore) return;
      if (status !== PartialStatus.Whole) {
        this.fail(partialError(status));
        return;
      }
      at = this.partial.taken;
      const { bytes, length } = this.partial;
      const done = this.packets(bytes, 0, length, out);
      this.partial.clear();
      if (done < length) {
        if (this.parked !== null) this.park(chunk, at, chunk.length);
        return;
      }
    }
    const end = chunk.length;
    at = this.packets(chunk, at, end, out);
    if (at === end || this.state >= ConnectionState.Closing || this.parked !== null) return;
    const status = this.partial.add(chunk, at, end, this.packetBytesMax);
    if (status !== PartialStatus.NeedMore) this.fail(partialError(status));
  }

  private get packetBytesMax(): number {
    return this.state === ConnectionState.Connected ? this.listener.packetBytesMax : CONNECT_BYTES_MAX;
  }

  /** Takes the whole packets of chunk[at..end). Returns the position behind them. */
  private packets(chunk: Buffer, at: number, end: number, out: ByteWriter): number {
    let position = at;
    let view: DataView | null = null;
    while (position < end && this.state < ConnectionState.Closing) {
      const first = chunk[position]!;
      const type = first & 0xf0;
      if (type === PacketType.Publish && this.publisher !== null) {
        if (view === null) view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
        const { ingest } = this.host.router;
        position = ingest.ingest(this.publisher, chunk, view, position, end, out);
        const { status } = ingest;
        if (status === IngestStatus.NeedMore) return position;
        if (status === IngestStatus.NoRoom) {
          this.park(chunk, position, end);
          return position;
        }
        if (status < 0) {
          this.flushBeforeFailure(out);
          this.fail(errorOfCode(status));
        }
        continue;
      }
      if (first === PacketType.Puback && position + 4 <= end && chunk[position + 1] === 2 && this.session !== null) {
        const identifier = (chunk[position + 2]! << 8) | chunk[position + 3]!;
        if (identifier === 0) this.fail(errors.ackIdentifierZero);
        else this.host.router.acknowledgements.puback(this.session, identifier);
        position += 4;
        continue;
      }
      const body = bodyAt(chunk, position, end);
      if (body === NEED_MORE) return position;
      if (body === MALFORMED_LENGTH) {
        this.fail(errors.remainingLengthTooLong);
        return position;
      }
      const packetEnd = body + remainingLength(chunk, position, body);
      if (packetEnd - position > this.packetBytesMax) {
        this.fail(errors.packetTooLarge);
        return position;
      }
      if (packetEnd > end) {
        if (this.session === null && type !== PacketType.Connect) this.fail(errors.firstNotConnect);
        return position;
      }
      this.control(first, chunk, body, packetEnd, out);
      position = packetEnd;
    }
    return position;
  }

  /** What was acknowledged before the error still is: the client should know. */
  private flushBeforeFailure(out: ByteWriter): void {
    if (out.length === 0) return;
    this.sendControl(out.bytes, 0, out.length);
    out.reset();
  }

  private control(first: number, chunk: Buffer, body: number, end: number, out: ByteWriter): void {
    const type = first & 0xf0;
    if (this.session === null) {
      if (type !== PacketType.Connect) this.fail(errors.firstNotConnect); // [MQTT-3.1.0-1]
      else if ((first & 15) !== 0) this.fail(errors.reservedFlags);
      else this.connect(chunk, body, end);
      return;
    }
    if ((first & 15) !== (RESERVED_FLAGS_2.has(type) ? 2 : 0)) {
      this.fail(errors.reservedFlags); // [MQTT-2.1.3-1]
      return;
    }
    switch (type) {
      case PacketType.Puback:
      case PacketType.Pubrec:
      case PacketType.Pubrel:
      case PacketType.Pubcomp:
        this.acknowledge(type, chunk, body, end, out);
        return;
      case PacketType.Pingreq:
        if (body !== end) this.fail(errors.trailingBytes);
        else writePingresp(out);
        return;
      case PacketType.Subscribe:
        this.subscribe(chunk, body, end, out);
        return;
      case PacketType.Unsubscribe:
        this.unsubscribe(chunk, body, end, out);
        return;
      case PacketType.Disconnect:
        this.flushBeforeFailure(out);
        this.disconnected(chunk, body, end);
        return;
      case PacketType.Auth: {
        const auth = decodeAuth(this.level, chunk, body, end);
        this.fail(isMqttError(auth) ? auth : errors.authNotStarted); // [MQTT-4.12.0-6]
        return;
      }
      case PacketType.Connect:
        this.fail(errors.secondConnect); // [MQTT-3.1.0-2]
        return;
      default:
        this.fail(type === 0 ? errors.reservedPacketType : errors.notFromClient);
    }
  }

  private connect(chunk: Buffer, body: number, end: number): void {
    const connect = decodeConnect(chunk, body, end);
    if (isMqttError(connect)) {
      answerConnect(this, chunk, body, end);
      refuse(this, connect);
      return;
    }
    accept(this, connect);
  }

  private acknowledge(type: AckType, chunk: Buffer, body: number, end: number, out: ByteWriter): void {
    const { ack } = this;
    const code = decodeAck(this.level, type, chunk, body, end, ack);
    if (code < 0) {
      this.fail(errorOfCode(code));
      return;
    }
    const session = this.session!;
    const { acknowledgements } = this.host.router;
    const identifier = ack.packetIdentifier;
    if (type === PacketType.Puback) acknowledgements.puback(session, identifier);
    else if (type === PacketType.Pubrec) acknowledgements.pubrec(session, identifier, ack.reason, out);
    else if (type === PacketType.Pubcomp) acknowledgements.pubcomp(session, identifier);
    else {
      const known = this.publisher!.released(identifier); // [MQTT-4.3.3-12]
      const unknown = !known && this.level === 5;
      out.u16(PacketType.Pubcomp * 256 + (unknown ? 3 : 2));
      out.u16(identifier);
      if (unknown) out.u8(ReasonCode.PacketIdentifierNotFound);
    }
  }

  private subscribe(chunk: Buffer, body: number, end: number, out: ByteWriter): void {
    const subscribe = decodeSubscribe(this.level, chunk, body, end);
    if (isMqttError(subscribe)) {
      this.fail(subscribe);
      return;
    }
    const { entries, subscriptionIdentifier } = subscribe;
    const { subscriptions } = this.host.router;
    const codes = subscriptions.subscribe(this.session!, entries, subscriptionIdentifier, this.listener);
    const frameMax = this.session!.frameMax;
    if (writeSuback(out, this.level, subscribe.packetIdentifier, codes, undefined, frameMax)) return;
    this.fail(errors.packetTooLarge);
  }

  private unsubscribe(chunk: Buffer, body: number, end: number, out: ByteWriter): void {
    const unsubscribe = decodeUnsubscribe(this.level, chunk, body, end);
    if (isMqttError(unsubscribe)) {
      this.fail(unsubscribe);
      return;
    }
    const codes = this.host.router.subscriptions.unsubscribe(this.session!, unsubscribe.filters);
    writeUnsuback(out, this.level, unsubscribe.packetIdentifier, codes);
  }

  private disconnected(chunk: Buffer, body: number, end: number): void {
    const packet = decodeDisconnect(this.level, chunk, body, end);
    if (isMqttError(packet)) {
      this.fail(packet);
      return;
    }
    const session = this.session!;
    const { sessionExpiryInterval: expiry } = packet.properties;
    if (expiry !== undefined) {
      if (session.expiryInterval === 0 && expiry !== 0) {
        this.fail(errors.sessionExpiryFromZero); // [MQTT-3.1.2-23]
        return;
      }
      session.expiryInterval = Math.min(expiry, this.listener.sessionExpiryMax);
    }
    if (packet.reason === ReasonCode.NormalDisconnection) session.will = null; // [MQTT-3.14.4-3]
    this.close({ ...CloseCause.disconnect, reason: packet.reason });
  }

  // ---- sending (DeliveryPort)

  get owes(): boolean {
    return this.outbound.owes;
  }

  get owesControl(): boolean {
    return this.outbound.owesControl;
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
    return this.outbound.write(bytes, at, length);
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
    return this.isPaced || this.parked !== null || this.outbound.controlBytes > CONTROL_BYTES_MAX;
  }

  private pauseSocket(): void {
    if (this.state >= ConnectionState.Closing) return;
    this.socket.pause();
    this.host.paused.add(this);
  }

  private resumeSocket(): void {
    if (!this.host.paused.delete(this) || this.state >= ConnectionState.Closing) return;
    this.lastSeenMs = this.host.router.clock.nowMs();
    this.socket.resume();
  }

  /** Every 50 ms while paused: the parked chunk is tried again, or one more chunk is let in. */
  trickle(): void {
    const { parked } = this;
    if (parked !== null) {
      this.parked = null;
      this.host.router.budgets.parked.give(parked.length);
      this.receive(parked);
      if (this.parked === null && !this.mustPause()) this.resumeSocket();
      return;
    }
    this.lastSeenMs = this.host.router.clock.nowMs();
    this.socket.resume();
  }

  /** chunk[at..end) waits until the log has room. */
  private park(chunk: Buffer, at: number, end: number): void {
    const { parked } = this.host.router.budgets;
    if (!parked.take(end - at)) {
      this.fail(errors.quotaExceeded);
      return;
    }
    const rest = chunk.subarray(at, end);
    this.parked = this.parked === null ? Buffer.from(rest) : Buffer.concat([this.parked, rest]);
    this.pauseSocket();
  }

  // ---- ending

  /** Once a second. [MQTT-3.1.2-22] */
  checkTime(nowMs: number): void {
    if (this.state === ConnectionState.AwaitConnect) {
      if (nowMs - this.openedMs >= this.listener.connectTimeoutMs) this.close(CloseCause.connectTimeout);
    } else if (this.state === ConnectionState.Connected && this.keepAliveMs > 0 && !this.host.paused.has(this)) {
      if (nowMs - this.lastSeenMs > this.keepAliveMs) this.fail(errors.keepAliveTimeout);
    }
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
      if (this.outbound.owesControl) this.outbound.flushControl();
      this.outbound.write(out.bytes, from, out.length - from);
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
    if (session !== null) router.sessions.connectionEnded(session, this, session.port === this ? session.will : null);
    this.outbound.close();
    this.host.closed(this, this.closeCause);
  }
}

function partialError(status: number): MqttError {
  if (status === PartialStatus.Malformed) return errors.remainingLengthTooLong;
  return status === PartialStatus.TooLarge ? errors.packetTooLarge : errors.quotaExceeded;
}

export { EXPIRY_NEVER };
