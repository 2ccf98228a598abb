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
 * none has begun and nothing was published for so long: a collection holds everything up.
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

/** Whoever judges clients in place of what the settings say, or before it. */
interface Judge {
  readonly access: Access | null;
  readonly authenticate: Authenticate | undefined;
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
  const isFunction = typeof access === "function";
  const judge = { access: isFunction ? null : access, authenticate: isFunction ? access : undefined };
  const broker = new RunningBroker(settings, logger, judge);
  await broker.start();
  return broker;
}

class RunningBroker implements Broker {
  readonly host: Host;
  readonly files = new FileWatch();
  private readonly logger: Logger;
  private readonly judge: Judge;
  private readonly log: HostLog;
  private readonly listening: Listeners;
  private readonly collector: Collector;
  private settings: BrokerSettings;
  private opened: BrokerAccess | null = null;
  private unwatchAccess: () => void = () => {};
  private timers: readonly Timer[] = [];
  private stopped: Promise<void> | null = null;

  constructor(settings: BrokerSettings, logger: Logger, judge: Judge) {
    this.settings = settings;
    this.logger = logger;
    this.judge = judge;
    this.log = new HostLog(logger, systemClock);
    this.host = newHost(settings, logger, this.log);
    this.listening = new Listeners(this.host, this.files, logger);
    this.collector = new Collector(this.host);
  }

  get listeners(): readonly ListeningAt[] {
    return [...this.listening].map(listeningAt);
  }

  get access(): BrokerAccess | null {
    return this.opened;
  }

  get router(): Router {
    return this.host.router;
  }

  get connectionStats(): ConnectionStats {
    return this.host.stats;
  }

  async start(): Promise<void> {
    const { files, host, log, settings } = this;
    if (this.judge.access === null) this.opened = await this.open(settings);
    this.putInForce(settings);
    log.host = host;
    await this.listening.start(settings);
    this.watchAccess();
    this.timers = [
      setInterval(() => this.collector.look(), COLLECT_MS),
      setInterval(() => host.tick(), TICK_MS),
      setInterval(() => files.look(), WATCH_MS),
      setInterval(() => log.tellDropped(), WARNING_MS),
      setInterval(() => log.tellState(), STATE_MS),
    ];
  }

  reload(): void {
    this.files.reloadAll();
  }

  reauthorise(): Promise<void> {
    return this.host.reauthorise(() => new Promise((resolve) => void setImmediate(resolve)));
  }

  async apply(next: BrokerSettings): Promise<void> {
    const before = this.settings;
    const isOther = this.judge.access === null && !isSameAccess(before, next);
    const hasOtherRules = !Bun.deepEquals(before.authorization, next.authorization);
    const opened = isOther ? await this.open(next) : this.opened;
    (await this.listening.prepare(next))();
    this.settings = next;
    this.opened = opened;
    this.putInForce(next);
    if (isOther) this.watchAccess();
    else if (hasOtherRules) opened?.authorize(next.authorization);
    if (isOther || hasOtherRules) await this.reauthorise();
  }

  stop(): Promise<void> {
    this.stopped ??= stop(this.host, this.listening, this.timers, this.logger);
    return this.stopped;
  }

  private open(settings: BrokerSettings): Promise<BrokerAccess | null> {
    const { authenticate } = this.judge;
    return openAccess(settings, { clock: systemClock, logger: this.logger, authenticate });
  }

  private putInForce({ authorization, router }: BrokerSettings): void {
    const { host } = this;
    host.limit(router.connectionsMax);
    host.router.ingest.cutsDenied = authorization.refusedPublish === "disconnect";
    host.access = this.judge.access ?? this.opened?.access ?? null;
  }

  /** Files of users and rules are those of the access that is in force. */
  private watchAccess(): void {
    this.unwatchAccess();
    const placeOf: PlaceOf = (path) => this.settings.placeOf?.(path) ?? "the configuration";
    const again = (): void => void this.reauthorise();
    this.unwatchAccess = this.opened?.watch(this.files, again, placeOf) ?? (() => {});
  }
}

function newHost(settings: BrokerSettings, logger: Logger, log: HostLog): Host {
  const prefix = `millrace-${crypto.randomUUID().slice(0, 8)}-`;
  const descriptors = descriptorsMax();
  const host = new Host(newRouter(settings), log, prefix, {
    descriptorsMax: descriptors,
    handshakesMax: settings.handshakesMax ?? HANDSHAKES_MAX,
    later: (turn) => void setImmediate(turn),
  });
  if (host.socketsMax < host.connectionsMax) {
    const fields = { max_connections: host.connectionsMax, descriptors, sockets: host.socketsMax };
    logger.warn(
      fields,
      "the limit of open files (ulimit -n) is below max_connections: fewer clients can connect",
    );
  }
  return host;
}

/** Many clients have connected and no more do: what their handshakes left is given back. */
class Collector {
  private readonly host: Host;
  private accepted = 0;
  private collected = 0;
  private published = 0;

  constructor(host: Host) {
    this.host = host;
  }

  look(): void {
    const { router, stats, open } = this.host;
    const { accepted } = stats;
    const { publishesIn } = router.stats;
    const enough = Math.max(COLLECT_AFTER, open.size * COLLECT_SHARE);
    const isIdle = accepted === this.accepted && publishesIn === this.published;
    if (isIdle && accepted - this.collected >= enough) {
      this.collected = accepted;
      Bun.gc(true);
    }
    this.accepted = accepted;
    this.published = publishesIn;
  }
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
async function stop(
  host: Host,
  listeners: Listeners,
  timers: readonly Timer[],
  logger: Logger,
): Promise<void> {
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
