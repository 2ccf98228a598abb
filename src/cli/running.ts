// Running: the broker of a configuration with what stands beside it, and what a changed configuration makes of both.
// A reload is checked as a whole before anything of it is in force, and told line by line.

import { readFileSync } from "node:fs";
import { VERSION } from "../base/version.ts";
import { type Broker, type ListeningAt, startBroker } from "../broker.ts";
import { changesBetween, valuesInForce } from "../config/changes.ts";
import { findConfig, type Found } from "../config/find.ts";
import { type ReadConfig, readConfig } from "../config/load.ts";
import { MEMORY_SHARE } from "../config/listeners.ts";
import type { ProgramLogger } from "../config/logger.ts";
import { ConfigError } from "../config/problems.ts";
import type { ConsoleListener, ServiceSettings } from "../config/serviceSettings.ts";
import type { BrokerSettings } from "../config/settings.ts";
import { addressText, logListening, startFailure } from "../config/startup.ts";
import type { Metrics, PreparedMetrics } from "../console/metrics.ts";
import type { Operations, ReloadReport } from "../console/ports.ts";
import type { Console } from "../console/server.ts";
import { WARNING_MS } from "../net/hostLog.ts";
import type { ListenerSettings } from "../net/settings.ts";

/** A reload that came to nothing; `message` says why. */
export class ReloadError extends Error {
  override readonly name = "ReloadError";
}

export class Running {
  readonly broker: Broker;
  private readonly logger: ProgramLogger;
  private readonly path: string | undefined;
  /** What the program began with: keys that take a restart are in force as they are here. */
  private readonly started: ReadConfig;
  private read: ReadConfig;
  private found: Found;
  /** The configuration that was read last, taken or not: it is told of once. */
  private lastText: string;
  private console: Console | null = null;
  private metrics: Metrics | null = null;
  private unwatch: () => void = () => {};
  /** Wrong tokens and passwords that the console was shown, and when it may be told again. */
  private refusals = 0;
  private nextRefusalMs = 0;
  /** One reload after another. */
  private reloading: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string | undefined,
    found: Found,
    read: ReadConfig,
    broker: Broker,
    logger: ProgramLogger,
  ) {
    this.path = path;
    this.found = found;
    this.lastText = found.text;
    this.started = read;
    this.read = read;
    this.broker = broker;
    this.logger = logger;
  }

  /** Rejects as startBroker does, and with what the console's address says. */
  static async start(
    path: string | undefined,
    found: Found,
    read: ReadConfig,
    logger: ProgramLogger,
  ): Promise<Running> {
    const broker = await startBroker(read.settings, logger);
    const running = new Running(path, found, read, broker, logger);
    try {
      await (await running.prepareMetrics(read.settings.services)).commit();
      running.tellMetrics(read.settings.services);
      running.console = await running.startConsole(read.settings.services.console);
    } catch (error) {
      await running.stop();
      throw error;
    }
    running.watch();
    return running;
  }

  /**
   * Reads the configuration and the files that it names again, and puts in force what is different. Rejects with
   * ReloadError when the configuration is wrong; then what was in force stays.
   */
  reload(): Promise<ReloadReport> {
    const next = this.reloading.then(() => this.reloadNow());
    this.reloading = next.catch(() => {});
    return next;
  }

  /** The same for those who only read the log: what came of it is told there. */
  async reloadAndTell(cause: string): Promise<void> {
    this.logger.info({ cause }, `reading the configuration anew: ${cause}`);
    try {
      await this.reload();
    } catch (error) {
      if (!(error instanceof ReloadError)) throw error;
    }
    this.broker.reload();
  }

  async stop(): Promise<void> {
    await this.console?.stop();
    await this.metrics?.stop();
    await this.broker.stop();
  }

  private async reloadNow(): Promise<ReloadReport> {
    let settings: BrokerSettings | undefined;
    try {
      const found = this.findAgain();
      this.lastText = found.text;
      const read = readConfig(found, process.env);
      settings = read.settings;
      const before = this.broker.listeners;
      const report = await this.apply(read);
      this.found = found;
      this.read = read;
      this.watch();
      this.tell(read.warnings, report);
      const isNew = (one: ListeningAt): boolean =>
        !before.some(
          ({ section, port, host }) => section === one.section && port === one.port && host === one.host,
        );
      logListening(this.logger, read.settings, this.broker.listeners.filter(isNew));
      return report;
    } catch (error) {
      const text = startFailure(error, settings) ?? (error instanceof Error ? error.message : String(error));
      this.logger.error({}, `the configuration is not taken, what was in force stays: ${text}`);
      throw new ReloadError(text);
    }
  }

  /** The file that the program began with: while it is gone, another one of its name is not meant. */
  private findAgain(): Found {
    const { path, source } = this.found;
    return path === null ? findConfig(this.path) : { ...findConfig(path), source };
  }

  private async apply(next: ReadConfig): Promise<ReloadReport> {
    const applied = changesBetween(this.read, next).filter(({ needsRestart }) => !needsRestart);
    const waiting = changesBetween(this.started, next).filter(({ needsRestart }) => needsRestart);
    const { router } = this.started.settings;
    const isOther = !Bun.deepEquals(this.read.settings.services.console, next.settings.services.console);
    const other = isOther ? await this.moveConsole(next.settings.services.console) : null;
    let metrics: PreparedMetrics | null = null;
    try {
      metrics = await this.prepareMetrics(next.settings.services);
      const { connectionsMax } = next.settings.router;
      checkPackets(next.settings.listeners, router.memoryBytes);
      await this.broker.apply({ ...next.settings, router: { ...router, connectionsMax } });
    } catch (error) {
      await metrics?.undo();
      await other?.undo();
      throw error;
    }
    other?.commit();
    const port = this.metrics?.port;
    await metrics.commit();
    if (this.metrics?.port !== port) this.tellMetrics(next.settings.services);
    return {
      applied: applied.map(({ text }) => text),
      needsRestart: waiting.map(({ text }) => text),
    };
  }

  private tell(warnings: readonly string[], { applied, needsRestart }: ReloadReport): void {
    for (const warning of warnings) this.logger.warn({}, warning);
    for (const line of applied) this.logger.info({ reload: "applied" }, `applied: ${line}`);
    for (const line of needsRestart) this.logger.warn({ reload: "restart" }, `needs a restart: ${line}`);
    const nothing = applied.length + needsRestart.length === 0;
    if (nothing) this.logger.info({ reload: "nothing" }, "the configuration is what it was");
  }

  /**
   * The console at its new place; the old one goes when everything else is in force too, and answers whoever asked for
   * that.
   */
  private async moveConsole(settings: ConsoleListener | null) {
    const old = this.console;
    const isSamePort = old !== null && settings !== null && settings.port !== 0 && settings.port === old.port;
    const again = async (): Promise<void> => {
      if (!isSamePort) return;
      const before = this.read.settings.services.console;
      this.console = await this.startConsole(before && { ...before, port: old.port });
    };
    if (isSamePort) old.retire(); // two cannot have it
    let next: Console | null;
    try {
      next = await this.startConsole(settings);
    } catch (error) {
      await again();
      throw error;
    }
    return {
      commit: (): void => {
        this.console = next;
        if (!isSamePort) old?.retire();
      },
      undo: async (): Promise<void> => {
        await next?.stop();
        await again();
      },
    };
  }

  private async startConsole(settings: ConsoleListener | null): Promise<Console | null> {
    if (settings === null) return null;
    const { startConsole } = await import("../console/server.ts"); // not loaded where there is none
    try {
      const console = startConsole(settings, this.broker.host, this.operations());
      const { token, user } = settings.users;
      const who =
        token === null && user === null ? ", for this machine alone: it has no token and no user" : "";
      this.logger.info({}, `console on http://${addressText(settings.host, console.port)}/${who}`);
      return console;
    } catch (error) {
      throw Object.assign(error as Error, {
        address: addressText(settings.host, settings.port),
        section: "console",
      });
    }
  }

  /** Rejects when Prometheus's address cannot be had. */
  private async prepareMetrics(settings: ServiceSettings): Promise<PreparedMetrics> {
    const { Metrics } = await import("../console/metrics.ts");
    this.metrics ??= new Metrics(this.broker.host);
    try {
      return await this.metrics.prepare(settings);
    } catch (error) {
      const { host = "", port = 0 } = settings.prometheus ?? {};
      throw Object.assign(error as Error, { address: addressText(host, port), section: "prometheus" });
    }
  }

  private tellMetrics({ prometheus }: ServiceSettings): void {
    const port = this.metrics?.port ?? null;
    if (prometheus !== null && port !== null)
      this.logger.info({}, `metrics on http://${addressText(prometheus.host, port)}/metrics`);
  }

  private operations(): Operations {
    const { logger } = this;
    return {
      version: VERSION,
      configuration: () => ({ source: this.found.source, ...valuesInForce(this.started, this.read) }),
      reload: () => this.reload(),
      logFilter: () => logger.filterText,
      setLogFilter: (text) => {
        const notices = logger.setFilter(text);
        logger.info({ filter: text }, `the log's filter is now ${text}`);
        for (const notice of notices) logger.warn({ filter: text }, `the log's filter: ${notice}`);
        return notices;
      },
      tail: logger,
      refused: (address) => this.tellRefused(address),
    };
  }

  /** Who guesses at the console's password makes no flood of lines. */
  private tellRefused(remote: string): void {
    this.refusals++;
    const now = this.broker.router.clock.nowMs();
    if (now < this.nextRefusalMs) return;
    this.nextRefusalMs = now + WARNING_MS;
    const count = this.refusals;
    this.logger.warn({ remote, count }, `the console was shown a wrong token or password from ${remote}`);
  }

  /** The file of the configuration is read anew when somebody has replaced it. */
  private watch(): void {
    this.unwatch();
    const { path } = this.found;
    if (path === null) return;
    const again = (): void => {
      if (!isStill(path, this.lastText)) this.reload().catch(() => {}); // what came of it is told in the log
    };
    this.unwatch = this.broker.files.watch([path], again);
    again(); // it was replaced after it was read, before it was watched
  }
}

function isStill(path: string, text: string): boolean {
  try {
    return readFileSync(path, "utf8") === text;
  } catch {
    return true; // it is gone: nothing to read anew
  }
}

/** The memory that the router was made with rules, whatever the file says now. */
function checkPackets(listeners: readonly ListenerSettings[], memoryBytes: number): void {
  const large = listeners.find(({ packetBytesMax }) => packetBytesMax * MEMORY_SHARE > memoryBytes);
  if (large === undefined) return;
  throw new ConfigError([
    `[${large.section}] packets of ${large.packetBytesMax} bytes need more [router] memory, which takes a restart`,
  ]);
}
