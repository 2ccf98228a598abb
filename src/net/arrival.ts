// Arrival: a socket from accept until a connection takes its bytes. What stands between the two is told by the
// listener, and where it is to be found out, by the first byte. It knows no Bun: the listener gives it the socket.
//
//   ─▶ Header ─▶ FirstByte ─▶ Waiting ─▶ Securing ─▶ (FirstByte) ─▶ Upgrading ─▶ Done
//
// Steps that the listener does not ask for are left out. All of them have the listener's time for CONNECT, which counts
// from accept. None waits for another socket but Waiting (handshakeGate.ts), from whose end the time counts anew.

import type { Budget } from "../base/budget.ts";
import { errors, type MqttError } from "../packet/error.ts";
import type { PeerCertificate } from "./access.ts";
import { plainAddress, UNIX_ADDRESS } from "./address.ts";
import type { AddressRanges } from "./address.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import { Connection, type Socket } from "./connection.ts";
import type { Handshaker } from "./handshakeGate.ts";
import type { Host } from "./host.ts";
import type { Layer } from "./layer.ts";
import type { Newcomer } from "./lobby.ts";
import { proxiedCertificate } from "./peerCertificate.ts";
import { NEED_MORE_HEADER, type ProxyHeader, readProxyHeader } from "./proxyHeader.ts";
import type { Residues } from "./residues.ts";
import type { ListenerSettings } from "./settings.ts";
import type { StrangerRoom } from "./strangers.ts";
import type { TlsKit } from "./tlsKit.ts";
import type { TransportSettings } from "./transport.ts";
import { type WebSocketHost, WebSocketLayer } from "./webSocket.ts";
import type { WebSocketSettings } from "./webSocketSettings.ts";

/** A socket with the place of its layer: whoever stands there gets its bytes. */
export interface Carrier extends Socket {
  layer: Layer;
}

/** Who waits for a TLS handshake; until it is over, the layer too. */
export interface TlsUser extends Layer {
  /** The handshake is done; `certificate` is verified. Bytes may come from now on, to the layer of the carrier. */
  secured(certificate: PeerCertificate | null): void;
  /** There is no connection; closed() follows. */
  insecure(cause: Closed): void;
}

/** A socket that TLS is spoken on. */
export interface SecureCarrier extends Carrier {
  /** The client's ClientHello has come and is answered. */
  readonly hasSpoken: boolean;
}

/** A socket as it was accepted. */
export interface AcceptedSocket extends Carrier {
  readonly remoteAddress: string;
  /** Closes at once, whatever waits to be sent. */
  drop(): void;
  /** Begins TLS with what has been read already. The socket itself is used no more, but for drop(). */
  secure(kit: TlsKit, hello: Buffer, user: TlsUser): SecureCarrier;
}

/** What all arrivals of a listener share. */
export interface ArrivalPlace {
  readonly settings: ListenerSettings;
  readonly trusted: AddressRanges | null;
  /** Null where no TLS is spoken; another one when files were replaced. */
  readonly tlsKit: TlsKit | null;
}

const Step = { Header: 0, FirstByte: 1, Waiting: 2, Securing: 3, Upgrading: 4, Done: 5 } as const;
type Step = (typeof Step)[keyof typeof Step];

const FIRST_OF_TLS = 0x16;
const FIRST_OF_HTTP = 0x47; // the G of GET
/** Whoever has waited so long for its handshake has given up by now. */
const WAIT_MS_MAX = 30_000;
/** A ClientHello is smaller; more of it does not wait here. */
const HELD_BYTES_MAX = 16 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * The socket itself is read before TLS is. Bun hands whatever TLS reads to such a socket too, so that it costs a copy:
 * listeners that speak TLS and nothing else do without.
 */
export function readsFirst({ tls, isSniffing, trustedProxies }: TransportSettings): boolean {
  return tls === null || isSniffing || trustedProxies !== null;
}

/** What becomes of bytes that nobody needs. */
const NOBODY: Layer = { data() {}, drain() {}, closed() {} };

export class Arrival implements TlsUser, Newcomer, Handshaker, WebSocketHost {
  readonly place: ArrivalPlace;
  readonly number: number;
  openedMs: number;
  private waitsSinceMs = 0;
  address: string;
  private readonly host: Host;
  private readonly accepted: AcceptedSocket;
  /** The socket, or TLS on it. */
  private carrier: Carrier;
  private secure: SecureCarrier | null = null;
  private step: Step = Step.FirstByte;
  private held: Buffer = NOTHING;
  /** What `held` costs. */
  private heldCost = 0;
  /** What it holds of the strangers' budget, with the layers above it; made when there is something. */
  private room: StrangerRoom | null = null;
  /** What it has become. */
  private connection: Connection | null = null;
  private isSecured = false;
  private certificate: PeerCertificate | null = null;
  private upgrading: Layer = NOBODY;
  private cause: Closed = CloseCause.lost;
  /** What CONNECT is answered with, whatever it says. */
  refusal: MqttError | null = null;

  constructor(host: Host, place: ArrivalPlace, socket: AcceptedSocket) {
    this.host = host;
    this.place = place;
    this.accepted = socket;
    this.carrier = socket;
    this.number = host.nextConnectionNumber();
    this.openedMs = host.router.clock.nowMs();
    const { unix } = place.settings.transport;
    this.address = unix === null ? plainAddress(socket.remoteAddress) : UNIX_ADDRESS;
    socket.layer = this;
    host.arrived(this);
  }

  /** Once, when the socket may be read. */
  begin(): void {
    if (this.step === Step.Done) return;
    const { trusted } = this.place;
    if (trusted === null) this.known();
    else if (this.address === UNIX_ADDRESS || trusted.has(this.address)) this.step = Step.Header;
    else this.close({ ...CloseCause.untrustedProxy, detail: this.address });
  }

  // ---- from below

  data(chunk: Buffer): void {
    if (this.step === Step.Upgrading) this.upgrading.data(chunk);
    else if (this.step === Step.FirstByte) this.told(chunk);
    else if (this.step === Step.Header) this.header(chunk);
    else if (this.step === Step.Waiting) this.hold(chunk);
  }

  drain(): void {
    this.upgrading.drain();
  }

  closed(): void {
    this.upgrading.closed();
    this.done(this.cause);
  }

  // ---- the PROXY header

  private header(chunk: Buffer): void {
    const bytes = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    const header = readProxyHeader(bytes);
    if (header === NEED_MORE_HEADER) {
      this.held = Buffer.from(bytes); // shorter than the longest header
      return;
    }
    if ("wrong" in header) {
      this.close({ ...CloseCause.proxyHeader, detail: header.wrong });
      return;
    }
    const rest = bytes.subarray(header.length);
    this.held = NOTHING;
    this.introduce(header);
    if (rest.length > 0) this.passOn(rest);
  }

  private introduce({ address, commonName }: ProxyHeader): void {
    if (address !== null) this.address = address;
    if (commonName !== "") this.certificate = proxiedCertificate(commonName);
    this.known();
  }

  /** To whoever stands above by now. */
  private passOn(bytes: Buffer): void {
    if (this.step !== Step.Done) this.data(bytes);
    else if (this.carrier.layer !== this) this.carrier.layer.data(bytes);
  }

  // ---- what the client speaks

  /** The client's address is known. */
  private known(): void {
    const { lobby } = this.host;
    const { settings } = this.place;
    if (!lobby.isInTime(settings, this.address)) this.refusal = errors.connectionRateExceeded;
    const { tls, webSocket, isSniffing } = settings.transport;
    this.step = Step.FirstByte;
    if (isSniffing) return;
    if (tls !== null) {
      // Bytes that have been read already must be handed over; where none are read before, TLS reads them itself.
      if (!readsFirst(settings.transport)) this.awaitTls(NOTHING);
    } else if (webSocket === null) this.connect();
    else this.upgrade();
  }

  /** The first bytes, in plain text or inside TLS. */
  private told(chunk: Buffer): void {
    const { tls, webSocket, isSniffing } = this.place.settings.transport;
    const first = chunk[0];
    if (tls !== null && !this.isSecured && (!isSniffing || first === FIRST_OF_TLS)) {
      this.awaitTls(chunk);
      return;
    }
    if (webSocket !== null && (!isSniffing || first === FIRST_OF_HTTP)) this.upgrade();
    else this.connect();
    this.passOn(chunk);
  }

  // ---- TLS

  private awaitTls(hello: Buffer): void {
    this.step = Step.Waiting;
    this.held = hello;
    if (this.host.lobby.gate.enter(this)) return;
    this.accepted.pause();
    this.waitsSinceMs = this.host.router.clock.nowMs();
    this.openedMs = Number.POSITIVE_INFINITY; // it is not its fault
    this.held = NOTHING; // the chunk is not ours any longer
    this.hold(hello);
  }

  /** There is a place for this handshake. */
  start(): void {
    const hello = this.held;
    this.letGo();
    if (this.openedMs === Number.POSITIVE_INFINITY) this.openedMs = this.host.router.clock.nowMs();
    this.step = Step.Securing;
    const carrier = this.accepted.secure(this.place.tlsKit!, hello, this);
    this.accepted.layer = NOBODY;
    this.secure = carrier;
    this.carrier = carrier;
  }

  get hasSpoken(): boolean {
    return this.secure?.hasSpoken ?? false;
  }

  giveUp(): void {
    this.close(CloseCause.displaced);
  }

  secured(certificate: PeerCertificate | null): void {
    if (this.step === Step.Done) return;
    this.host.lobby.gate.succeed(this);
    this.isSecured = true;
    if (certificate !== null) this.certificate = certificate;
    const { webSocket, isSniffing } = this.place.settings.transport;
    if (isSniffing && webSocket !== null) this.step = Step.FirstByte;
    else if (webSocket !== null) this.upgrade();
    else this.connect();
  }

  insecure(cause: Closed): void {
    this.cause = cause;
  }

  // ---- WebSocket (WebSocketHost)

  private upgrade(): void {
    this.step = Step.Upgrading;
    this.upgrading = new WebSocketLayer(this.carrier, this);
  }

  get settings(): WebSocketSettings {
    return this.place.settings.transport.webSocket!;
  }

  get messageBytesMax(): number {
    return this.place.settings.packetBytesMax;
  }

  get strangers(): StrangerRoom {
    if (this.connection !== null) return this.connection.strangers;
    this.room ??= this.host.strangers.roomFor(this);
    return this.room;
  }

  get partial(): Budget {
    return this.host.router.budgets.partial;
  }

  get residues(): Residues {
    return this.host.residues;
  }

  later(turn: () => void): void {
    this.host.lobby.later(turn);
  }

  open(socket: Socket): Connection | null {
    if (this.step === Step.Done) return null;
    this.carrier.layer = this.upgrading;
    return this.newConnection(socket);
  }

  refused(status: number, message: string): void {
    this.cause = { ...CloseCause.upgrade, detail: `${status}: ${message}` };
  }

  // ---- the end of it

  private connect(): void {
    this.carrier.layer = this.newConnection(this.carrier);
  }

  private newConnection(socket: Socket): Connection {
    const { settings } = this.place;
    const connection = new Connection(this.host, settings, socket, this.number, this.address);
    connection.openedMs = this.openedMs;
    connection.certificate = this.certificate;
    connection.refusal = this.refusal;
    if (this.room !== null) {
      this.room.owner = connection;
      connection.room = this.room;
    }
    this.connection = connection;
    this.step = Step.Done;
    this.host.seated(this, connection);
    return connection;
  }

  checkTime(nowMs: number): void {
    const isLate = nowMs - this.openedMs >= this.place.settings.connectTimeoutMs;
    const isForgotten = this.step === Step.Waiting && nowMs - this.waitsSinceMs >= WAIT_MS_MAX;
    if (isLate || isForgotten) this.close(CloseCause.connectTimeout);
  }

  close(cause: Closed): void {
    if (this.step === Step.Done) return;
    this.done(cause);
    this.upgrading.closed();
    this.accepted.drop();
  }

  private done(cause: Closed): void {
    if (this.step === Step.Done) return;
    this.step = Step.Done;
    this.letGo();
    this.host.lobby.gate.leave(this);
    this.host.left(this, cause);
  }

  /** Keeps a copy of what a ClientHello begins with. No client says more before it is answered. */
  private hold(chunk: Buffer): void {
    if (this.held.length + chunk.length > HELD_BYTES_MAX) this.close(CloseCause.tooEager);
    else if (!this.strangers.take(chunk.length)) this.close(CloseCause.noMemory);
    else {
      this.heldCost += chunk.length;
      this.held = Buffer.concat([this.held, chunk]);
    }
  }

  private letGo(): void {
    this.held = NOTHING;
    if (this.heldCost > 0) this.room?.give(this.heldCost);
    this.heldCost = 0;
  }
}
