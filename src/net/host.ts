// Host: what all connections of one router share, and the work on them that time sets off. It knows neither timers
// nor sockets: whoever composes the broker calls tick(), and while somebody is held back trickle() and relax(), as
// often as their constants say.

import { ByteWriter } from "../base/byteWriter.ts";
import { type LineFields, subjectFields } from "../base/logger.ts";
import { RateMemory } from "./rate.ts";
import { CHUNK_BYTES_MAX, type Router } from "../router/router.ts";
import type { Access } from "./access.ts";
import type { Arrival } from "./arrival.ts";
import { adopt } from "./authenticating.ts";
import type { Closed } from "./closeCause.ts";
import { Connection, type ConnectionHost } from "./connection.ts";
import { ConnectionStats } from "./connectionStats.ts";
import { Tally } from "./limits.ts";
import { Lobby } from "./lobby.ts";
import type { HostObserver } from "./observer.ts";
import { Residues } from "./residues.ts";
import { Strangers } from "./strangers.ts";
import type { ListenerSettings } from "./settings.ts";

export const TICK_MS = 1000;
/** How often a paused publisher is let deliver one chunk, so that its acknowledgements and PINGREQ flow. */
export const TRICKLE_MS = 50;
/** How soon a reader that does not move is left behind. */
export const RELAX_MS = 10;

/** Unless the configuration says another: see HostOptions. */
export const HANDSHAKES_MAX = 1024;
/** Descriptors that are not for clients: listeners, logs, the event loop. */
const DESCRIPTORS_KEPT = 32;
/** So long between two ticks, and the process was stopped or the machine slept. */
const STOOD_STILL_MS = 2.5 * TICK_MS;
/** Connections that trickle whatever the log's room. */
const TRICKLE_MIN = 2;
const OUT_BYTES = 64 * 1024;
/** Clients that are judged anew in one turn. */
const REVISED_PER_TURN = 128;

export interface HostOptions {
  /** TLS handshakes at one time; sockets beyond `max_connections` that may be open until their CONNECT is answered. */
  readonly handshakesMax: number;
  /** Files that the process may have open. */
  readonly descriptorsMax: number;
  /** Calls a turn after other work has had its own. */
  readonly later: (turn: () => void) => void;
}

/** Who is told of connections, for the log. */
export interface HostListener {
  identified(connection: Connection): void;
  connected(connection: Connection): void;
  closed(connection: Connection, closed: Closed): void;
  /** A socket has gone before there was a connection. */
  left(arrival: Arrival, closed: Closed): void;
  /** Somebody is held back: isPressed became true. */
  pressed(): void;
  /** A socket was closed at once: there are as many as there may be. */
  turnedAway(who: LineFields): void;
}

export class Host implements ConnectionHost {
  readonly router: Router;
  readonly residues: Residues;
  readonly strangers: Strangers;
  readonly out = new ByteWriter(OUT_BYTES);
  readonly paused = new Set<Connection>();
  readonly overdrawn = new Set<Connection>();
  readonly users = new Tally();
  readonly rates = new RateMemory();
  readonly stats = new ConnectionStats();
  /** Told what becomes of clients. */
  observer: HostObserver | null = null;
  /** Set before the first connection comes. */
  access: Access | null = null;
  revision = 0;
  readonly open = new Set<Connection>();
  readonly lobby: Lobby;
  connectionsMax: number;
  /** The largest payload, and packet, that any listener takes. */
  payloadBytesMax = Number.POSITIVE_INFINITY;
  packetBytesMax = Number.POSITIVE_INFINITY;
  /** Open sockets: the connections and some that have not said CONNECT yet, as far as descriptors allow. */
  socketsMax: number;
  private readonly handshakesMax: number;
  private readonly descriptorsMax: number;
  private readonly listener: HostListener;
  private readonly identifierPrefix: string;
  private connections = 0;
  private lastTickMs: number;
  private assigned = 0;

  /** `identifierPrefix` begins every Client Identifier that is assigned: unlike any that clients choose. */
  constructor(
    router: Router,
    listener: HostListener,
    identifierPrefix: string,
    options: Partial<HostOptions> = {},
  ) {
    const { handshakesMax = HANDSHAKES_MAX, descriptorsMax = Number.POSITIVE_INFINITY } = options;
    this.router = router;
    this.residues = new Residues(router.budgets.residue, router.clock, () => listener.pressed());
    router.replays.pressed = () => listener.pressed();
    this.strangers = new Strangers(router.budgets.strangers);
    this.lastTickMs = router.clock.nowMs();
    this.listener = listener;
    this.identifierPrefix = identifierPrefix;
    this.handshakesMax = handshakesMax;
    this.descriptorsMax = descriptorsMax;
    this.connectionsMax = router.settings.connectionsMax;
    this.socketsMax = 1;
    this.limit(this.connectionsMax);
    this.lobby = new Lobby({
      placesMax: handshakesMax,
      clock: router.clock,
      later: options.later ?? queueMicrotask,
      pressed: () => listener.pressed(),
    });
  }

  /** So many connections from now on; those beyond it stay until they go. */
  limit(connectionsMax: number): void {
    this.connectionsMax = connectionsMax;
    const socketsMax = Math.min(connectionsMax + this.handshakesMax, this.descriptorsMax - DESCRIPTORS_KEPT);
    this.socketsMax = Math.max(1, socketsMax);
  }

  /** These listen from now on. */
  listensAs(listeners: readonly ListenerSettings[]): void {
    if (listeners.length === 0) return;
    this.payloadBytesMax = Math.max(...listeners.map(({ payloadBytesMax }) => payloadBytesMax));
    this.packetBytesMax = Math.max(...listeners.map(({ packetBytesMax }) => packetBytesMax));
  }

  /** One more socket may be open, if need be in place of another; else it is to be closed: turnAway(). */
  hasPlace(): boolean {
    this.stats.sockets++;
    return this.open.size + this.lobby.newcomers.size < this.socketsMax || this.lobby.makePlace();
  }

  /** There was no place for a socket: that is counted and said. */
  turnAway(listener: string, remoteAddress: string): void {
    this.stats.turnedAway++;
    const connectionId = this.nextConnectionNumber();
    this.listener.turnedAway(subjectFields({ connectionId, listener, remoteAddress }));
  }

  nextConnectionNumber(): number {
    return ++this.connections;
  }

  assignIdentifier(): string {
    let identifier: string;
    do identifier = `${this.identifierPrefix}${++this.assigned}`;
    while (this.router.sessions.has(identifier)); // a client may have guessed it
    return identifier;
  }

  isAssigned(clientIdentifier: string): boolean {
    return clientIdentifier.startsWith(this.identifierPrefix);
  }

  /** A socket has come. */
  arrived(arrival: Arrival): void {
    this.lobby.newcomers.add(arrival);
    this.lobby.enter(arrival);
  }

  /** It has gone before there was a connection. */
  left(arrival: Arrival, closed: Closed): void {
    this.lobby.newcomers.delete(arrival);
    this.lobby.leave(arrival);
    this.stats.leave(closed.cause);
    this.listener.left(arrival, closed);
  }

  /** A connection has its bytes now. */
  seated(arrival: Arrival, connection: Connection): void {
    this.lobby.newcomers.delete(arrival);
    this.lobby.leave(arrival);
    this.opened(connection);
  }

  opened(connection: Connection): void {
    this.open.add(connection);
    this.lobby.enter(connection);
  }

  count(connection: Connection, former: unknown): boolean {
    return this.lobby.count(connection, former instanceof Connection ? former : null);
  }

  identified(connection: Connection): void {
    this.listener.identified(connection);
  }

  connected(connection: Connection): void {
    this.lobby.leave(connection);
    connection.isClient = true;
    if (connection.room?.held === 0) connection.room = null;
    this.stats.accept(connection.listener.section);
    this.listener.connected(connection);
    this.observer?.connected(connection);
  }

  closed(connection: Connection, closed: Closed): void {
    this.open.delete(connection);
    this.lobby.leave(connection);
    this.lobby.forget(connection);
    const { isClient, listener } = connection;
    this.stats.end(listener.section, isClient, closed.cause, connection.traffic());
    this.listener.closed(connection, closed);
    if (isClient) this.observer?.disconnected(connection, closed);
    else if (connection.isRefused) this.observer?.refused(connection, closed);
  }

  pressed(): void {
    this.listener.pressed();
  }

  tick(): void {
    const now = this.router.clock.nowMs();
    // A process that stood still has not read what its clients sent meanwhile: it reads first and judges later.
    const stoodStill = now - this.lastTickMs > STOOD_STILL_MS;
    this.lastTickMs = now;
    if (stoodStill) for (const connection of this.open) connection.seen(now);
    else {
      for (const connection of this.open) connection.checkTime(now);
      this.lobby.tick(now);
    }
    this.residues.tick();
    this.router.tick();
  }

  /**
   * Users or rules have changed: every client that came in through Access is judged anew, and cut when it lost its
   * grant; the rest notice nothing. `breathe` lets others have their turn; it is awaited now and then.
   */
  async reauthorise(breathe: () => Promise<void>): Promise<void> {
    this.revision++;
    let count = 0;
    for (const connection of [...this.open]) {
      adopt(connection);
      connection.authentication?.revise();
      if (++count % REVISED_PER_TURN === 0) await breathe();
    }
  }

  /**
   * Lets as many paused connections deliver one chunk as the log has room for: those whose last one still waits, then
   * the others, each in its turn.
   */
  trickle(): void {
    this.lobby.gate.tick();
    for (const connection of this.overdrawn) connection.inbound.refill();
    let count = Math.max(TRICKLE_MIN, Math.floor(this.router.log.freeBytes / CHUNK_BYTES_MAX / 2));
    let room = this.router.chunkRoom;
    const [waiting, others]: [Connection[], Connection[]] = [[], []];
    for (const connection of this.paused) (connection.inbound.isWaiting ? waiting : others).push(connection);
    for (const connection of [...waiting, ...others]) {
      if (count === 0) return;
      if (!this.paused.delete(connection)) continue; // it was let go meanwhile
      this.paused.add(connection);
      if (connection.inbound.trickle(room > 0)) room--;
      count--;
    }
  }

  relax(): void {
    this.residues.closeAbandoned();
    this.router.relax();
  }

  /** Somebody is held back: trickle() and relax() have work. Otherwise they need not be called. */
  get isPressed(): boolean {
    if (this.paused.size > 0 || this.overdrawn.size > 0 || this.residues.isPressed) return true;
    if (this.lobby.gate.waitingCount > 0) return true;
    return this.router.isPressed;
  }
}
