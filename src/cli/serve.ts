// Serve: the program as a broker: configuration, broker, signals, exit status. No logic of the broker lives here. A
// command does not load it.
//
//   Starting → Running → Stopping → exit 0
//   a signal while Starting: exit 0; a second one while Stopping: exit 128 + its number; SIGHUP reads the files anew

import { readWithFiles } from "../access.ts";
import { VERSION } from "../base/version.ts";
import { findConfig } from "../config/find.ts";
import type { ReadConfig } from "../config/load.ts";
import type { ProgramLogger } from "../config/logger.ts";
import { createLogger } from "../config/logger.ts";
import { logConfig, logListeners, startFailure } from "../config/startup.ts";
import { Running } from "./running.ts";
import { ServiceManager } from "./serviceManager.ts";
import type { Globals } from "./subcommand.ts";

const EXIT_FAILED = 1;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_FAULT = 70;
const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXITS;
/** Ctrl-C under `npm start` arrives twice, from the terminal and from npm: within this time it is one. */
const SAME_SIGNAL_MS = 500;

/** Runs until a signal or a fault ends the process. */
export function serve(globals: Globals): Promise<void> {
  return new Program(globals).start();
}

class Program {
  private readonly config: string | undefined;
  private readonly logger: ProgramLogger;
  private readonly serviceManager: ServiceManager;
  private running: Running | undefined;
  /** When the first signal came, on the clock of performance.now(). */
  private stoppingSince: number | undefined;

  constructor(globals: Globals) {
    this.config = globals.config;
    this.logger = createLogger(globals);
    this.serviceManager = new ServiceManager(this.logger);
  }

  async start(): Promise<void> {
    const fault = (error: unknown): never => this.fault(error);
    process.on("uncaughtException", fault);
    process.on("unhandledRejection", fault);
    process.on("SIGINT", (signal) => this.stop(signal as StopSignal));
    process.on("SIGTERM", (signal) => this.stop(signal as StopSignal));
    process.on("SIGHUP", () => this.reload());
    const { config, logger } = this;
    let read: ReadConfig | undefined;
    try {
      const found = findConfig(config);
      read = await readWithFiles(found, process.env);
      const { names: variables } = read.document.variables;
      logger.info({ version: VERSION, bun: Bun.version, pid: process.pid }, `millrace ${VERSION}`);
      logConfig(logger, { ...read, source: found.source, variables });
      this.running = await Running.start(config, found, read, logger);
      const { listeners } = this.running.broker;
      logListeners(logger, read.settings, listeners);
      this.serviceManager.ready(`${listeners.length} listener${listeners.length === 1 ? "" : "s"}`);
    } catch (error) {
      this.refuse(error, read);
    }
  }

  /** Ends a start that cannot succeed: one message on stderr, exit 1; anything unforeseen is a fault. */
  private refuse(error: unknown, read: ReadConfig | undefined): never {
    const text = startFailure(error, read?.settings);
    if (text === undefined) this.fault(error);
    process.stderr.write(`millrace: ${text}\n`);
    this.exit(EXIT_FAILED);
  }

  /** The configuration, certificates, users and rules are read anew. */
  private reload(): void {
    if (this.running === undefined || this.stoppingSince !== undefined) return;
    this.running.reloadAndTell("SIGHUP").catch((error: unknown) => this.fault(error));
  }

  private stop(signal: StopSignal): void {
    if (this.stoppingSince !== undefined) {
      if (performance.now() - this.stoppingSince < SAME_SIGNAL_MS) return;
      this.exit(SIGNAL_EXITS[signal]);
    }
    if (this.running === undefined) this.exit(0);
    this.stoppingSince = performance.now();
    this.serviceManager.stopping();
    this.logger.info({ signal }, `stopping on ${signal}; once more stops at once`);
    this.running.stop().then(
      () => {
        this.logger.info({}, "stopped");
        this.exit(0);
      },
      (error: unknown) => this.fault(error),
    );
  }

  private fault(error: unknown): never {
    const err = error instanceof Error ? error : new Error(String(error));
    this.logger.fatal({ err }, `a fault of the program: ${err.message}`);
    this.exit(EXIT_FAULT);
  }

  private exit(status: number): never {
    try {
      this.logger.flush();
    } catch {
      // A log that cannot be written must not keep the process.
    }
    process.exit(status);
  }
}
