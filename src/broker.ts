// Broker: the composition root. It makes the router and its listeners, drives their clocks and says what happened.

import type { Clock } from "./base/clock.ts";
import { ByteWriter } from "./base/byteWriter.ts";
import type { Logger } from "./base/logger.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { Closed } from "./net/closeCause.ts";
import type { Connection } from "./net/connection.ts";
import { Listener, type ListenerHost } from "./net/listener.ts";
import { errors } from "./packet/error.ts";
import { reasonCodeName } from "./packet/reasonCode.ts";
import { Router } from "./router/router.ts";

export interface ListeningAt {
  readonly section: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Broker {
  readonly listeners: readonly ListeningAt[];
  readonly router: Router;
  /** Tells v5 clients, closes everything and resolves when nothing is left open. */
  stop(): Promise<void>;
}

/** How often a paused publisher is let deliver one chunk, so that its acknowledgements and PINGREQ flow. */
const TRICKLE_MS = 50;
/** Connections that trickle whatever the log's room. */
const TRICKLE_MIN = 2;
/** The largest chunk that Bun hands to `data`. */
const CHUNK_BYTES_MAX = 512 * 1024;
const TICK_MS = 1000;
/** How soon a reader that does not move is left behind. */
const PACING_MS = 10;
/** How long stop() waits for clients to take their last bytes. */
const STOP_MS = 500;

const systemClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };

class BrokerHost implements ListenerHost {
  readonly router: Router;
  readonly out = new ByteWriter(64 * 1024);
  readonly paused = new Set<Connection>();
  readonly connectionsMax: number;
  readonly open = new Set<Connection>();
  private readonly logger: Logger;
  private connections = 0;
  private assigned = 0;
  private readonly identifierPrefix = `millrace-${crypto.randomUUID().slice(0, 8)}-`;

  constructor(settings: BrokerSettings, logger: Logger) {
    this.logger = logger;
    this.connectionsMax = settings.router.connectionsMax;
    this.router = new Router(settings.router, {
      clock: systemClock,
      scheduler: { soon: queueMicrotask, later: (turn) => void setImmediate(turn) },
      seed: crypto.getRandomValues(new Uint32Array(1))[0]!,
    });
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
    if (!this.logger.isEnabled("debug")) return;
    this.logger.debug(this.fields(connection), "client connected");
  }

  closed(connection: Connection, closed: Closed): void {
    this.open.delete(connection);
    if (!this.logger.isEnabled("info")) return;
    const seconds = Math.round(systemClock.nowMs() - connection.openedMs) / 1000;
    const fields = {
      ...this.fields(connection),
      cause: closed.cause,
      reason: reasonCodeName(closed.reason),
      statement: closed.statement,
      seconds,
    };
    if (closed.cause === "error" || closed.cause === "no_memory") this.logger.warn(fields, closed.message);
    else if (connection.session === null && closed.cause === "lost") this.logger.debug(fields, closed.message);
    else this.logger.info(fields, closed.message);
  }

  private fields(connection: Connection): object {
    return {
      client_id: connection.session?.clientIdentifier,
      connection_id: connection.number,
      listener: connection.listener.section,
      remote: connection.remoteAddress,
      version: connection.level,
    };
  }

  tick(): void {
    const now = systemClock.nowMs();
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
}

/** Listens as `settings` say. Rejects with the system's error, `code` and `address` included, when a listener cannot. */
export async function startBroker(settings: BrokerSettings, logger: Logger): Promise<Broker> {
  const host = new BrokerHost(settings, logger);
  const listeners: Listener[] = [];
  try {
    for (const listener of settings.listeners) listeners.push(new Listener(listener, host));
  } catch (error) {
    for (const listener of listeners) listener.stop();
    const failed = settings.listeners[listeners.length]!;
    throw Object.assign(error as Error, {
      address: `${failed.host}:${failed.port}`,
      section: failed.section,
    });
  }
  const ticking = setInterval(() => host.tick(), TICK_MS);
  const trickling = setInterval(() => host.trickle(), TRICKLE_MS);
  const pacing = setInterval(() => host.router.relax(), PACING_MS);
  let stopped: Promise<void> | null = null;
  return {
    listeners: listeners.map(({ settings: { section, name, host: address }, port }) => ({
      section,
      name,
      host: address,
      port,
    })),
    router: host.router,
    stop() {
      stopped ??= stop(host, listeners, [ticking, trickling, pacing]);
      return stopped;
    },
  };
}

async function stop(host: BrokerHost, listeners: Listener[], timers: Timer[]): Promise<void> {
  for (const listener of listeners) listener.stop();
  for (const timer of timers) clearInterval(timer);
  for (const connection of [...host.open]) connection.fail(errors.serverShuttingDown);
  const until = systemClock.nowMs() + STOP_MS;
  while (host.open.size > 0 && systemClock.nowMs() < until) await new Promise((done) => setTimeout(done, 10));
}
