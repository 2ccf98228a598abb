// Host: what all connections of one router share, and the work on them that time sets off. It knows neither timers
// nor sockets: whoever composes the broker calls tick(), and while somebody is held back trickle() and relax(), as
// often as their constants say.

import { ByteWriter } from "../base/byteWriter.ts";
import type { Router } from "../router/router.ts";
import type { Closed } from "./closeCause.ts";
import type { Connection, ConnectionHost } from "./connection.ts";

export const TICK_MS = 1000;
/** How often a paused publisher is let deliver one chunk, so that its acknowledgements and PINGREQ flow. */
export const TRICKLE_MS = 50;
/** How soon a reader that does not move is left behind. */
export const RELAX_MS = 10;

/** Connections that trickle whatever the log's room. */
const TRICKLE_MIN = 2;
/** The largest chunk that a socket delivers at one time. */
const CHUNK_BYTES_MAX = 512 * 1024;
const OUT_BYTES = 64 * 1024;

/** Who is told of connections, for the log. */
export interface HostListener {
  connected(connection: Connection): void;
  closed(connection: Connection, closed: Closed): void;
  /** Somebody is held back: isPressed became true. */
  pressed(): void;
}

export class Host implements ConnectionHost {
  readonly router: Router;
  readonly out = new ByteWriter(OUT_BYTES);
  readonly paused = new Set<Connection>();
  readonly open = new Set<Connection>();
  readonly connectionsMax: number;
  private readonly listener: HostListener;
  private readonly identifierPrefix: string;
  private connections = 0;
  private assigned = 0;

  /** `identifierPrefix` begins every Client Identifier that is assigned: unlike any that clients choose. */
  constructor(router: Router, listener: HostListener, identifierPrefix: string) {
    this.router = router;
    this.listener = listener;
    this.identifierPrefix = identifierPrefix;
    this.connectionsMax = router.settings.connectionsMax;
  }

  nextConnectionNumber(): number {
    return ++this.connections;
  }

  assignIdentifier(): string {
    return `${this.identifierPrefix}${++this.assigned}`;
  }

  opened(connection: Connection): void {
    this.open.add(connection);
  }

  connected(connection: Connection): void {
    this.listener.connected(connection);
  }

  closed(connection: Connection, closed: Closed): void {
    this.open.delete(connection);
    this.listener.closed(connection, closed);
  }

  pressed(): void {
    this.listener.pressed();
  }

  tick(): void {
    const now = this.router.clock.nowMs();
    for (const connection of this.open) connection.checkTime(now);
    this.router.tick();
  }

  /** Lets as many paused connections deliver one chunk as the log has room for, each in its turn. */
  trickle(): void {
    let count = Math.max(TRICKLE_MIN, Math.floor(this.router.log.freeBytes / CHUNK_BYTES_MAX / 2));
    for (const connection of [...this.paused]) {
      if (count-- === 0) return;
      this.paused.delete(connection);
      this.paused.add(connection);
      connection.trickle();
    }
  }

  relax(): void {
    this.router.relax();
  }

  /** Somebody is held back: trickle() and relax() have work. Otherwise they need not be called. */
  get isPressed(): boolean {
    return this.paused.size > 0 || this.router.pacing.pacedFilters > 0;
  }
}
