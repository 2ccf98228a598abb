// Process entry: arguments, configuration, broker, signals, exit status. No logic of the broker lives here.
//
//   Starting → Running → Stopping → exit 0
//   a signal while Starting: exit 0; a second one while Stopping: exit 128 + its number; SIGHUP reads the files anew

import { readWithFiles } from "./access.ts";
import { VERSION } from "./base/version.ts";
import { runCommandLine } from "./cli/commandLine.ts";
import { Running } from "./cli/running.ts";
import { ServiceManager } from "./cli/serviceManager.ts";
import { findConfig } from "./config/find.ts";
import type { ReadConfig } from "./config/load.ts";
import type { ProgramLogger } from "./config/logger.ts";
import { createLogger } from "./config/logger.ts";
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
let running: Running | undefined;
/** When the first signal came, on the clock of performance.now(). */
let stoppingSince: number | undefined;

process.on("uncaughtException", fault);
process.on("unhandledRejection", fault);
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.on("SIGHUP", reload);

await start();

async function start(): Promise<void> {
  let read: ReadConfig | undefined;
  try {
    const found = findConfig(commandLine.config);
    read = await readWithFiles(found, process.env);
    const { names: variables } = read.document.variables;
    logger.info({ version: VERSION, bun: Bun.version, pid: process.pid }, `millrace ${VERSION}`);
    logConfig(logger, { ...read, source: found.source, variables });
    running = await Running.start(commandLine.config, found, read, logger);
    const { listeners } = running.broker;
    logListeners(logger, read.settings, listeners);
    serviceManager.ready(`${listeners.length} listener${listeners.length === 1 ? "" : "s"}`);
  } catch (error) {
    refuse(error, read);
  }
}

/** Ends a start that cannot succeed: one message on stderr, exit 1; anything unforeseen is a fault. */
function refuse(error: unknown, read: ReadConfig | undefined): never {
  const text = startFailure(error, read?.settings);
  if (text === undefined) fault(error);
  process.stderr.write(`millrace: ${text}\n`);
  exit(EXIT_FAILED);
}

/** The configuration, certificates, users and rules are read anew. */
function reload(): void {
  if (running === undefined || stoppingSince !== undefined) return;
  running.reloadAndTell("SIGHUP").catch(fault);
}

function stop(signal: StopSignal): void {
  if (stoppingSince !== undefined) {
    if (performance.now() - stoppingSince < SAME_SIGNAL_MS) return;
    exit(SIGNAL_EXITS[signal]);
  }
  if (running === undefined) exit(0);
  stoppingSince = performance.now();
  serviceManager.stopping();
  logger.info({ signal }, `stopping on ${signal}; once more stops at once`);
  running.stop().then(() => {
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
