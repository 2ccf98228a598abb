// Broker: the composition root. It makes the router and its listeners, drives their clocks and says what happened.

import { readFileSync } from "node:fs";
import { type BrokerAccess, hasRules, openAccess } from "./access.ts";
import type { Authenticate } from "./auth/embedded.ts";
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/logger.ts";
import { FileWatch, WATCH_MS } from "./config/fileWatch.ts";
import type { PlaceOf } from "./config/filePlace.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { Access } from "./net/access.ts";
import { Listeners } from "./listeners.ts";
import { CloseCause } from "./net/closeCause.ts";
import type { Connection } from "./net/connection.ts";
import type { ConnectionStats } from "./net/connectionStats.ts";
import { HANDSHAKES_MAX, Host, TICK_MS } from "./net/host.ts";
import { HostLog, WARNING_MS } from "./net/hostLog.ts";
import type { Listener } from "./net/listener.ts";
import { STATE_MS } from "./net/stateLog.ts";
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
  /**
   * Puts other settings in force for what comes from now on: listeners, limits, users, rules. What the router was made
   * with stays; clients that a change of users or rules concerns are judged anew, the rest notice nothing. Rejects as
   * startBroker does, and then nothing has changed.
   */
  apply(settings: BrokerSettings): Promise<void>;
  /** Tells v5 clients, closes everything and resolves when nothing is left open. */
  stop(): Promise<void>;
}

/**
 * So many handshakes, and this part of the clients that are connected, leave garbage that is worth a collection, once
 * none has begun for so long.
 */
const COLLECT_AFTER = 1000;
const COLLECT_SHARE = 1 / 4;
const COLLECT_MS = 250;
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
  const { ingest } = host.router;
  ingest.cutsDenied = settings.authorization.refusedPublish === "disconnect";
  if (host.socketsMax < host.connectionsMax) {
    const fields = { max_connections: host.connectionsMax, descriptors, sockets: host.socketsMax };
    logger.warn(
      fields,
      "the limit of open files (ulimit -n) is below max_connections: fewer clients can connect",
    );
  }
  const given = typeof access === "function" ? null : access;
  const authenticate = typeof access === "function" ? access : undefined;
  const parts = { clock: systemClock, logger, authenticate };
  let present = settings;
  let opened = given === null ? await openAccess(settings, parts) : null;
  host.access = given ?? opened?.access ?? null;
  log.host = host;
  const files = new FileWatch();
  const listeners = new Listeners(host, files, logger);
  await listeners.start(settings);
  const reauthorise = (): Promise<void> =>
    host.reauthorise(() => new Promise((resolve) => void setImmediate(resolve)));
  const placeOf: PlaceOf = (path) => present.placeOf?.(path) ?? "the configuration";
  const watchAccess = (): (() => void) =>
    opened?.watch(files, () => void reauthorise(), placeOf) ?? (() => {});
  let unwatchAccess = watchAccess();
  let settled = 0;
  let collected = 0;
  /** Many clients have connected and no more do: what their handshakes left is given back. */
  const collect = (): void => {
    const { accepted } = host.stats;
    const enough = Math.max(COLLECT_AFTER, host.open.size * COLLECT_SHARE);
    if (accepted === settled && accepted - collected >= enough) {
      collected = accepted;
      Bun.gc(true);
    }
    settled = accepted;
  };
  const timers = [
    setInterval(collect, COLLECT_MS),
    setInterval(() => host.tick(), TICK_MS),
    setInterval(() => files.look(), WATCH_MS),
    setInterval(() => log.tellDropped(), WARNING_MS),
    setInterval(() => log.tellState(), STATE_MS),
  ];
  let stopped: Promise<void> | null = null;
  const apply = async (next: BrokerSettings): Promise<void> => {
    const isOther = given === null && !isSameAccess(present, next);
    const hasOtherRules = !Bun.deepEquals(present.authorization, next.authorization);
    const other = isOther ? await openAccess(next, parts) : opened;
    (await listeners.prepare(next))();
    present = next;
    host.limit(next.router.connectionsMax);
    host.router.ingest.cutsDenied = next.authorization.refusedPublish === "disconnect";
    if (isOther) {
      unwatchAccess();
      opened = other;
      host.access = opened?.access ?? null;
      unwatchAccess = watchAccess();
    } else if (hasOtherRules) opened?.authorize(next.authorization);
    if (isOther || hasOtherRules) await reauthorise();
  };
  return {
    get listeners() {
      return [...listeners].map(listeningAt);
    },
    files,
    reload: () => files.reloadAll(),
    host,
    get access() {
      return opened;
    },
    router: host.router,
    connectionStats: host.stats,
    reauthorise,
    apply,
    stop() {
      stopped ??= stop(host, listeners, timers, logger);
      return stopped;
    },
  };
}

function listeningAt({ settings, port }: Listener): ListeningAt {
  return {
    section: settings.section,
    name: settings.name,
    host: settings.transport.unix?.path ?? settings.host,
    port,
    transports: transportNames(settings.transport),
  };
}

/** Under both the same are asked, and in the same way; rules of the configuration may differ where there are some. */
function isSameAccess(a: BrokerSettings, b: BrokerSettings): boolean {
  const of = ({ auth, authorization, listeners }: BrokerSettings): unknown => ({
    auth,
    hasRules: hasRules(authorization),
    aclFile: authorization.aclFile,
    listeners: listeners.map(
      ({ section, users, authChain, allowAnonymous, transport: { tls, trustedProxies } }) => ({
        section,
        users,
        authChain,
        allowAnonymous,
        tls,
        trustedProxies,
      }),
    ),
  });
  return Bun.deepEquals(of(a), of(b));
}

/**
 * Publishers go first; what was acknowledged to them is delivered to the subscribers that take it within DRAIN_MS; then
 * these go. v5 clients are told 0x8B.
 */
async function stop(host: Host, listeners: Listeners, timers: Timer[], logger: Logger): Promise<void> {
  listeners.stop();
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
