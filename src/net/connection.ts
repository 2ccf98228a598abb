// Connection: one Network Connection, from bytes to packets and back. It knows no Bun: the listener gives it a socket,
// the simulation a fake one. connectionState.ts draws its life.

import type { ByteWriter } from "../base/byteWriter.ts";
import { type LineFields, subjectFields } from "../base/logger.ts";
import { writeDisconnect } from "../packet/encode.ts";
import { errors, type MqttError } from "../packet/error.ts";
import { PacketType } from "../packet/frame.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import type { Segment } from "../log/segment.ts";
import type { Publisher } from "../router/publisher.ts";
import type { Router } from "../router/router.ts";
import type { DeliveryPort } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import type { Access, PeerCertificate } from "./access.ts";
import type { Authentication } from "./authenticating.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import { ConnectionState } from "./connectionState.ts";
import type { ConnectionStats, Traffic } from "./connectionStats.ts";
import { refuse } from "./handshake.ts";
import { Hold, Inbound } from "./inbound.ts";
import type { Tally } from "./limits.ts";
import type { PacketLog } from "./packetLog.ts";
import type { HostObserver } from "./observer.ts";
import { type ByteSink, Outbound } from "./outbound.ts";
import type { Residues } from "./residues.ts";
import type { RateMemory } from "./rate.ts";
import type { ListenerSettings } from "./settings.ts";
import type { StrangerRoom, Strangers } from "./strangers.ts";

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
  readonly residues: Residues;
  readonly strangers: Strangers;
  /** Answers to one chunk; reset by whoever begins to use it. */
  readonly out: ByteWriter;
  /** Connections that stand paused and are let read one chunk now and then. */
  readonly paused: Set<Connection>;
  /** Connections that are not read until their rate allows more. */
  readonly overdrawn: Set<Connection>;
  readonly connectionsMax: number;
  /** Judges every CONNECT; null lets everybody in. */
  readonly access: Access | null;
  /** Grows whenever users or rules have changed. */
  readonly revision: number;
  /** Connections by user name. */
  readonly users: Tally;
  /** What clients that have gone still owe to their rates. */
  readonly rates: RateMemory;
  readonly stats: ConnectionStats;
  readonly observer: HostObserver | null;
  /** A Client Identifier for a client that gave none. */
  assignIdentifier(): string;
  /** The Client Identifier looks like one that assignIdentifier() gave. */
  isAssigned(clientIdentifier: string): boolean;
  /**
   * Counts a client that is about to come in and to end the connection of `former`, if that is one. False when its
   * address has as many as it may.
   */
  count(connection: Connection, former: unknown): boolean;
  /** More is known of who the client is: what its CONNECT claims, and what it has proved. */
  identified(connection: Connection): void;
  connected(connection: Connection): void;
  closed(connection: Connection, closed: Closed): void;
  /** A connection was paused. */
  pressed(): void;
}

const KEEP_ALIVE_FACTOR_MS = 1500;

export class Connection implements DeliveryPort {
  readonly number: number;
  readonly remoteAddress: string;
  readonly listener: ListenerSettings;
  readonly host: ConnectionHost;
  readonly socket: Socket;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  state: ConnectionState = ConnectionState.AwaitConnect;
  session: Session | null = null;
  publisher: Publisher | null = null;
  /** Null where there is no Access. */
  authentication: Authentication | null = null;
  /** CONNECT's, or assigned. */
  clientIdentifier = "";
  /** CONNECT's User Name, for the log: where there is no Access nobody asks for proof of it. */
  claimedName = "";
  level: ProtocolLevel = 4;
  keepAliveMs = 0;
  /** The client wants Reason Strings and User Properties. */
  problemInformation = true;
  /** When it began, or is going to begin: the time for CONNECT counts from here. */
  openedMs: number;
  lastSeenMs: number;
  closeCause: Closed = CloseCause.lost;
  /** It got CONNACK 0. */
  isClient = false;
  /** Its CONNECT was refused. */
  isRefused = false;
  /** What the layers below know of the client: from TLS, or from a trusted proxy. */
  certificate: PeerCertificate | null = null;
  /** Its CONNECT is answered with this, whatever it says: its address has had its share. */
  refusal: MqttError | null = null;
  /** What it holds of the strangers' budget; null while that is nothing. */
  room: StrangerRoom | null = null;

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
    const { clock } = host.router;
    this.outbound = new Outbound(socket, host.residues, this);
    this.inbound = new Inbound(this);
    this.openedMs = clock.nowMs();
    this.lastSeenMs = this.openedMs;
  }

  /** As proved; as claimed by a client that is not let in; "" is anonymous. */
  get userName(): string {
    return this.authentication?.userName ?? "";
  }

  // ---- what is said of it

  /** What every log line about the connection says. */
  logFields(): LineFields {
    const { authentication } = this;
    const fields = subjectFields({
      connectionId: this.number,
      listener: this.listener.section,
      remoteAddress: this.remoteAddress,
      clientIdentifier: this.clientIdentifier,
      userName: authentication === null ? this.claimedName : authentication.userName,
      tenant: authentication?.grant?.tenant,
    });
    return { ...fields, version: this.level };
  }

  /** What it has brought and taken so far. */
  traffic(): Traffic {
    return {
      bytesIn: this.inbound.bytes,
      bytesOut: this.outbound.sentBytes,
      messagesIn: this.inbound.messages,
      messagesOut: this.session?.messagesOut ?? 0,
    };
  }

  get isShown(): boolean {
    return this.inbound.packetLog !== null;
  }

  /** Feeds `packetLog` from now on. False, and nothing changes, while a packet is on its way in or out. */
  show(packetLog: PacketLog | null): boolean {
    const { inbound, outbound } = this;
    const isBetween = inbound.isBetweenPackets && !outbound.owesRest && !(this.session?.reader.cut ?? false);
    if (packetLog !== null && !isBetween) return false;
    inbound.packetLog = packetLog;
    outbound.packetLog = packetLog;
    return true;
  }

  // ---- receiving

  /** Bytes came; the buffer is the connection's until this returns. */
  data(chunk: Buffer): void {
    if (this.state >= ConnectionState.Closing) return;
    this.lastSeenMs = this.host.router.clock.nowMs();
    this.inbound.data(chunk);
  }

  /** Room for what comes before anybody has let the client in. */
  get strangers(): StrangerRoom {
    this.room ??= this.host.strangers.roomFor(this);
    return this.room;
  }

  pace(paced: boolean): void {
    this.inbound.pace(paced);
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
    if (flushed) this.inbound.steer();
    return flushed;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    if (this.state >= ConnectionState.Closing) return -1;
    const wrote = this.outbound.write(bytes, at, length);
    if (wrote < 0) this.close(CloseCause.lost);
    return wrote;
  }

  mayKeep(bytes: number): boolean {
    return this.host.residues.mayKeep(bytes);
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

  mayStillPublish(topicName: string): boolean {
    return this.authentication?.mayStillPublish(topicName) ?? true;
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

  // ---- ending

  /** Once a second. [MQTT-3.1.2-22] */
  checkTime(nowMs: number): void {
    if (this.state < ConnectionState.Connected) {
      if (nowMs - this.openedMs < this.listener.connectTimeoutMs) return;
      if (this.state === ConnectionState.AwaitConnect) this.close(CloseCause.connectTimeout);
      else this.authentication?.late();
    } else if (this.state === ConnectionState.Connected) {
      const isReading = this.inbound.hold === Hold.None;
      if (this.keepAliveMs > 0 && isReading && nowMs - this.lastSeenMs > this.keepAliveMs) {
        this.fail(errors.keepAliveTimeout);
      } else this.authentication?.checkTime(nowMs);
    }
  }

  /** Counts as heard of now. */
  seen(nowMs: number): void {
    this.lastSeenMs = nowMs;
  }

  setKeepAlive(seconds: number): void {
    this.keepAliveMs = seconds * KEEP_ALIVE_FACTOR_MS;
  }

  /**
   * Ends the connection with the error's Reason Code, where the protocol has a packet for it. [MQTT-4.13.1-1] `detail`
   * is for the log alone.
   */
  fail(error: MqttError, detail?: string, cause?: string): void {
    if (this.state >= ConnectionState.Closing) return;
    if (this.session === null) {
      refuse(this, error, detail, cause);
      return;
    }
    if (this.level === 5 && !this.outbound.owesRest && !this.session.reader.cut) {
      const { out } = this.host;
      const from = out.length;
      const properties = this.problemInformation ? { reasonString: error.message } : undefined;
      writeDisconnect(out, error.reason, properties, this.session.frameMax);
      // Behind a control packet that the socket does not take whole there is no place for another one.
      if (!this.outbound.owesControl || this.outbound.flushControl()) {
        this.host.router.stats.sends(PacketType.Disconnect);
        this.outbound.write(out.bytes, from, out.length - from);
      }
      out.length = from;
    }
    const { reason, statement, message } = error;
    const closed = { cause: cause ?? "error", reason, statement, message };
    this.close(detail === undefined ? closed : { ...closed, detail });
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
    const { router } = this.host;
    this.inbound.close();
    this.authentication?.close();
    if (this.publisher !== null) {
      router.pacing.forget(this.publisher);
      this.publisher.close();
    }
    const { session } = this;
    if (session !== null) {
      if (this.userName !== "") this.host.users.remove(session.owner);
      router.sessions.connectionEnded(session, this, session.port === this ? session.will : null);
    }
    this.outbound.close();
    this.host.closed(this, this.closeCause);
  }
}
