// Broker: the composition root. It makes the router and its listeners, drives their clocks and says what happened.

import { readFileSync } from "node:fs";
import { type BrokerAccess, openAccess } from "./access.ts";
import type { Authenticate } from "./auth/embedded.ts";
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/logger.ts";
import { FileWatch, WATCH_MS } from "./config/fileWatch.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { Access } from "./net/access.ts";
import { CloseCause } from "./net/closeCause.ts";
import type { Connection } from "./net/connection.ts";
import type { ConnectionStats } from "./net/connectionStats.ts";
import { HANDSHAKES_MAX, Host, TICK_MS } from "./net/host.ts";
import { HostLog } from "./net/hostLog.ts";
import { Listener } from "./net/listener.ts";
import { TlsFileError, tlsFiles } from "./net/tlsKit.ts";
import { transportNames } from "./net/transport.ts";
import { errors } from "./packet/error.ts";
import { Router } from "./router/router.ts";

export interface ListeningAt {
  readonly section: string;
  readonly name: string;
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** What is spoken there: "tcp", "tls", "ws", "wss", "unix". */
  readonly transports: readonly string[];
}

export interface Broker {
  readonly listeners: readonly ListeningAt[];
  /** Files that are loaded anew when they have changed, and by reload(). */
  readonly files: FileWatch;
  readonly host: Host;
  /** Who may connect, as configured; null where everybody may do everything, or where the embedder judges. */
  readonly access: BrokerAccess | null;
  readonly router: Router;
  readonly connectionStats: ConnectionStats;
  /** Users or rules have changed: connected clients are judged anew, those that lost their grant are cut. */
  reauthorise(): Promise<void>;
  /** Loads every file anew that the configuration names; connections that stand keep what they have. */
  reload(): void;
  /** Tells v5 clients, closes everything and resolves when nothing is left open. */
  stop(): Promise<void>;
}

/** How long stop() waits for subscribers to take what was acknowledged. */
const DRAIN_MS = 2000;
/** How long it waits for sockets to close. */
const CLOSE_MS = 500;

const systemClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };

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
 * Listens as `settings` say. `access`, if any, judges every client in place of what `settings` say; a function is one
 * more authenticator, asked before the others. Rejects with the system's error, with `code` and `address`, when a
 * listener cannot, and with ConfigError for files of users and rules that are not good.
 */
export async function startBroker(
  settings: BrokerSettings,
  logger: Logger,
  access: Access | Authenticate | null = null,
): Promise<Broker> {
  const prefix = `millrace-${crypto.randomUUID().slice(0, 8)}-`;
  const log = new HostLog(logger, systemClock);
  const descriptors = descriptorsMax();
  const host = new Host(newRouter(settings), log, prefix, {
    descriptorsMax: descriptors,
    handshakesMax: settings.handshakesMax ?? HANDSHAKES_MAX,
    later: (turn) => void setImmediate(turn),
  });
  host.router.ingest.cutsDenied = settings.authorization.refusedPublish === "disconnect";
  if (host.socketsMax < host.connectionsMax) {
    const fields = { max_connections: host.connectionsMax, descriptors, sockets: host.socketsMax };
    logger.warn(
      fields,
      "the limit of open files (ulimit -n) is below max_connections: fewer clients can connect",
    );
  }
  const given = typeof access === "function" ? null : access;
  const authenticate = typeof access === "function" ? access : undefined;
  const opened =
    given === null ? await openAccess(settings, { clock: systemClock, logger, authenticate }) : null;
  host.access = given ?? opened?.access ?? null;
  log.host = host;
  const listeners = await listen(settings, host);
  const files = new FileWatch();
  const reauthorise = (): Promise<void> =>
    host.reauthorise(() => new Promise((resolve) => void setImmediate(resolve)));
  for (const listener of listeners) watchTls(listener, files, logger);
  opened?.watch(files, () => void reauthorise());
  const timers = [setInterval(() => host.tick(), TICK_MS), setInterval(() => files.look(), WATCH_MS)];
  let stopped: Promise<void> | null = null;
  return {
    listeners: listeners.map(({ settings, port }) => ({
      section: settings.section,
      name: settings.name,
      host: settings.transport.unix?.path ?? settings.host,
      port,
      transports: transportNames(settings.transport),
    })),
    files,
    reload: () => files.reloadAll(),
    host,
    access: opened,
    router: host.router,
    connectionStats: host.stats,
    reauthorise,
    stop() {
      stopped ??= stop(host, listeners, timers, logger);
      return stopped;
    },
  };
}

/** Every listener, listening. Rejects with the error of the first that cannot, with its `address` and `section`. */
async function listen(settings: BrokerSettings, host: Host): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (const one of settings.listeners) {
    const { section, transport } = one;
    try {
      const listener = new Listener(one, host);
      await listener.start();
      listeners.push(listener);
    } catch (error) {
      for (const open of listeners) open.stop();
      if (error instanceof TlsFileError) throw error;
      const address = transport.unix?.path ?? `${one.host}:${one.port}`;
      throw Object.assign(error as Error, { address, section });
    }
  }
  return listeners;
}

/** Certificates, keys, authorities and CRLs of `listener` that are replaced serve the next connections. */
function watchTls(listener: Listener, files: FileWatch, logger: Logger): void {
  const { section, transport } = listener.settings;
  if (transport.tls === null) return;
  files.watch(tlsFiles(transport.tls), () => {
    try {
      listener.reload();
      const until = new Date(listener.tlsKit?.expiresWallMs ?? 0).toISOString();
      logger.info({ listener: section, until }, `[${section}.tls]: the files are loaded anew`);
      for (const warning of listener.tlsKit?.warnings ?? []) logger.warn({ listener: section }, warning);
    } catch (error) {
      if (!(error instanceof TlsFileError)) throw error;
      const { path, reason } = error;
      logger.error(
        { listener: section, path },
        `[${section}.tls] ${path}: ${reason}; what was loaded before stays`,
      );
    }
  });
}

/**
 * Publishers go first; what was acknowledged to them is delivered to the subscribers that take it within DRAIN_MS; then
 * these go. v5 clients are told 0x8B.
 */
async function stop(host: Host, listeners: Listener[], timers: Timer[], logger: Logger): Promise<void> {
  for (const listener of listeners) listener.stop();
  host.lobby.closeAll(CloseCause.shuttingDown);
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
