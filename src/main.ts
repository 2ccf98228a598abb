// Process entry: arguments, configuration, broker, signals, exit status. No logic of the broker lives here.
//
//   Starting → Running → Stopping → exit 0
//   a signal while Starting: exit 0; a second one while Stopping: exit 128 + its number; SIGHUP loads files anew

import { VERSION } from "./base/version.ts";
import type { Broker } from "./broker.ts";
import { startBroker } from "./broker.ts";
import { runCommandLine } from "./cli/commandLine.ts";
import { ServiceManager } from "./cli/serviceManager.ts";
import type { LoadedConfig } from "./config/load.ts";
import { loadConfig } from "./config/load.ts";
import type { ProgramLogger } from "./config/logger.ts";
import { createLogger } from "./config/logger.ts";
import { ConfigError } from "./config/problems.ts";
import { logConfig, logListeners, startFailure } from "./config/startup.ts";

const EXIT_FAILED = 1;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_FAULT = 70;
const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXITS;
/** Ctrl-C under `npm start` arrives twice, from the terminal and from npm: within this time it is one. */
const SAME_SIGNAL_MS = 500;

const commandLine = await runCommandLine(process.argv.slice(2));
const logger = createLogger(commandLine);
const serviceManager = new ServiceManager(logger);
let broker: Broker | undefined;
/** When the first signal came, on the clock of performance.now(). */
let stoppingSince: number | undefined;

process.on("uncaughtException", fault);
process.on("unhandledRejection", fault);
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.on("SIGHUP", reload);

await start(load());

function load(): LoadedConfig {
  try {
    return loadConfig(commandLine.config);
  } catch (error) {
    refuse(error, undefined);
  }
}

async function start(loaded: LoadedConfig): Promise<void> {
  logger.info({ version: VERSION, bun: Bun.version, pid: process.pid }, `millrace ${VERSION}`);
  logConfig(logger, loaded);
  try {
    broker = await startBroker(loaded.settings, logger);
    logListeners(logger, loaded, broker.listeners);
    const count = broker.listeners.length;
    serviceManager.ready(`${count} listener${count === 1 ? "" : "s"}`);
  } catch (error) {
    refuse(error, loaded);
  }
}

/** Ends a start that cannot succeed: one message on stderr, exit 1; anything unforeseen is a fault. */
function refuse(error: unknown, loaded: LoadedConfig | undefined): never {
  const text = startFailure(error, loaded?.settings.listeners ?? []);
  if (text === undefined) fault(error);
  process.stderr.write(`millrace: ${text}\n`);
  exit(EXIT_FAILED);
}

/** Certificates, users and rules are loaded anew; while there is no broker yet, it is about to load them. */
function reload(): void {
  if (broker === undefined || stoppingSince !== undefined) return;
  logger.info({ signal: "SIGHUP" }, "loading the files anew on SIGHUP");
  broker.reload();
  try {
    const { settings } = loadConfig(commandLine.config);
    broker.authorize(settings.authorization).catch(fault); // nothing else of the configuration can change
  } catch (error) {
    if (!(error instanceof ConfigError)) fault(error);
    for (const problem of error.problems)
      logger.error({}, `the configuration is not taken, its rules stay as they were: ${problem}`);
  }
}

function stop(signal: StopSignal): void {
  if (stoppingSince !== undefined) {
    if (performance.now() - stoppingSince < SAME_SIGNAL_MS) return;
    exit(SIGNAL_EXITS[signal]);
  }
  if (broker === undefined) exit(0);
  stoppingSince = performance.now();
  serviceManager.stopping();
  logger.info({ signal }, `stopping on ${signal}; once more stops at once`);
  broker.stop().then(() => {
    logger.info({}, "stopped");
    exit(0);
  }, fault);
}

function fault(error: unknown): never {
  const err = error instanceof Error ? error : new Error(String(error));
  logger.fatal({ err }, `a fault of the program: ${err.message}`);
  exit(EXIT_FAULT);
}

function exit(status: number): never {
  flush(logger);
  process.exit(status);
}

/** A log that cannot be written must not keep the process. */
function flush(log: ProgramLogger): void {
  try {
    log.flush();
  } catch {
    // Nobody is left to be told.
  }
}
