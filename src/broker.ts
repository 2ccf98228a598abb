// Broker: the composition root. It makes the router and its listeners, drives their clocks and says what happened.

import { readFileSync } from "node:fs";
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/logger.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { Access } from "./net/access.ts";
import type { Closed } from "./net/closeCause.ts";
import type { Connection } from "./net/connection.ts";
import type { ConnectionStats } from "./net/connectionStats.ts";
import { Host, type HostListener, RELAX_MS, TICK_MS, TRICKLE_MS } from "./net/host.ts";
import { Listener } from "./net/listener.ts";
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
  readonly connectionStats: ConnectionStats;
  /** Users or rules have changed: connected clients are judged anew, those that lost their grant are cut. */
  reauthorise(): Promise<void>;
  /** Tells v5 clients, closes everything and resolves when nothing is left open. */
  stop(): Promise<void>;
}

/** How long stop() waits for subscribers to take what was acknowledged. */
const DRAIN_MS = 2000;
/** How long it waits for sockets to close. */
const CLOSE_MS = 500;

/** Causes of an end that somebody should look at. */
const WARNINGS: ReadonlySet<string> = new Set(["error", "no_memory", "access_failed"]);

/** How often the same warning may be logged. */
const WARNING_MS = 5000;

/** Characters of an identifier or a user name in a log line. */
const SHOWN_MAX = 256;

const systemClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };

/** One line for each connection's end: who, why, after how long; and the timer while somebody is held back. */
class BrokerListener implements HostListener {
  host: Host | null = null;
  private readonly logger: Logger;
  private timer: Timer | null = null;
  private rounds = 0;
  private turnedAwayCount = 0;
  private nextWarningMs = 0;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  turnedAway(): void {
    this.turnedAwayCount++;
    const now = systemClock.nowMs();
    if (now < this.nextWarningMs) return;
    this.nextWarningMs = now + WARNING_MS;
    const sockets = this.host?.socketsMax;
    this.logger.warn(
      { sockets, turned_away: this.turnedAwayCount },
      "no place for more connections: closed at once",
    );
  }

  pressed(): void {
    this.timer ??= setInterval(() => this.release(), RELAX_MS);
  }

  private release(): void {
    const { host } = this;
    if (host === null || this.timer === null) return;
    host.relax();
    if (++this.rounds % (TRICKLE_MS / RELAX_MS) === 0) host.trickle();
    if (host.isPressed) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  connected(connection: Connection): void {
    if (this.logger.isEnabled("debug")) this.logger.debug(fieldsOf(connection), "client connected");
  }

  closed(connection: Connection, closed: Closed): void {
    if (!this.logger.isEnabled("info")) return;
    const fields = {
      ...fieldsOf(connection),
      cause: closed.cause,
      reason: reasonCodeName(closed.reason),
      detail: closed.detail,
      statement: closed.statement,
      seconds: Math.max(0, Math.round(systemClock.nowMs() - connection.openedMs)) / 1000,
    };
    if (closed.reason === errors.serverShuttingDown.reason) this.logger.debug(fields, closed.message);
    else if (WARNINGS.has(closed.cause)) this.logger.warn(fields, closed.message);
    else if (connection.session === null && closed.cause === "lost")
      this.logger.debug(fields, closed.message);
    else this.logger.info(fields, closed.message);
  }
}

function fieldsOf(connection: Connection): object {
  return {
    client_id: shown(connection.clientIdentifier),
    user: shown(connection.userName),
    connection_id: connection.number,
    listener: connection.listener.section,
    remote: connection.remoteAddress,
    version: connection.level,
  };
}

/** Not more of what strangers chose than people can read. */
function shown(text: string): string | undefined {
  return text === "" ? undefined : text.slice(0, SHOWN_MAX);
}

function newRouter(settings: BrokerSettings): Router {
  return new Router(settings.router, {
    clock: systemClock,
    scheduler: { soon: queueMicrotask, later: (turn) => void setImmediate(turn) },
    seed: crypto.getRandomValues(new Uint32Array(1))[0]!,
  });
}

/** Files that this process may have open; Infinity where the system does not say. */
function descriptorsMax(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Listens as `settings` say; `access`, if any, judges every client. Rejects with the system's error, with `code` and
 * `address`, when a listener cannot.
 */
export async function startBroker(
  settings: BrokerSettings,
  logger: Logger,
  access: Access | null = null,
): Promise<Broker> {
  const prefix = `millrace-${crypto.randomUUID().slice(0, 8)}-`;
  const listener = new BrokerListener(logger);
  const descriptors = descriptorsMax();
  const host = new Host(newRouter(settings), listener, prefix, descriptors);
  if (host.socketsMax < host.connectionsMax) {
    const fields = { max_connections: host.connectionsMax, descriptors, sockets: host.socketsMax };
    logger.warn(
      fields,
      "the limit of open files (ulimit -n) is below max_connections: fewer clients can connect",
    );
  }
  host.access = access;
  listener.host = host;
  const listeners: Listener[] = [];
  try {
    for (const one of settings.listeners) listeners.push(new Listener(one, host));
  } catch (error) {
    for (const open of listeners) open.stop();
    const failed = settings.listeners[listeners.length]!;
    throw Object.assign(error as Error, {
      address: `${failed.host}:${failed.port}`,
      section: failed.section,
    });
  }
  const timers = [setInterval(() => host.tick(), TICK_MS)];
  let stopped: Promise<void> | null = null;
  return {
    listeners: listeners.map(({ settings: { section, name, host: address }, port }) => ({
      section,
      name,
      host: address,
      port,
    })),
    router: host.router,
    connectionStats: host.stats,
    reauthorise: () => host.reauthorise(() => new Promise((resolve) => void setImmediate(resolve))),
    stop() {
      stopped ??= stop(host, listeners, timers, logger);
      return stopped;
    },
  };
}

/**
 * Publishers go first; what was acknowledged to them is delivered to the subscribers that take it within DRAIN_MS; then
 * these go. v5 clients are told 0x8B.
 */
async function stop(host: Host, listeners: Listener[], timers: Timer[], logger: Logger): Promise<void> {
  for (const listener of listeners) listener.stop();
  for (const connection of [...host.open]) {
    if ((connection.session?.byText.size ?? 0) === 0) connection.fail(errors.serverShuttingDown);
  }
  await until(DRAIN_MS, () => ![...host.open].some((connection) => isOwed(connection)));
  for (const connection of [...host.open]) connection.fail(errors.serverShuttingDown);
  for (const timer of timers) clearInterval(timer);
  const sessions = [...host.router.sessions.all()].filter(
    ({ reader, inflight }) => reader.pending.length + inflight.count > 0,
  );
  if (sessions.length > 0)
    logger.warn({ sessions: sessions.length }, "undelivered messages end with the process");
  await until(CLOSE_MS, () => host.open.size === 0);
}

/** Messages wait for the connection's session, and it takes them. */
function isOwed({ session }: Connection): boolean {
  if (session === null || session.port === null) return false;
  return session.reader.pending.length > 0 || session.port.owes;
}

/** Waits until `done`, at most `ms`. */
async function until(ms: number, done: () => boolean): Promise<void> {
  const end = systemClock.nowMs() + ms;
  while (!done() && systemClock.nowMs() < end) await Bun.sleep(5);
}
