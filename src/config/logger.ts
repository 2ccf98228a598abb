// Log lines for people on a terminal, JSON for programs. Everything is written in process: the worker threads of pino's
// transports do not survive `bun build --compile`, and a line must not be lost on exit.

import pino from "pino";
import { prettyFactory } from "pino-pretty";
import type { Logger } from "../base/logger.ts";
import { LogOutput, nonBlocking } from "./logOutput.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogSetting = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["pretty", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  readonly level: LogSetting;
  /** Absent: pretty on a terminal, JSON elsewhere. */
  readonly format?: LogFormat | undefined;
}

export interface ProgramLogger extends Logger {
  readonly format: LogFormat;
  /** For the last line before the process ends abnormally. */
  fatal(fields: object, message: string): void;
  flush(): void;
}

const STDOUT = 1;

export function createLogger(options: LogOptions): ProgramLogger {
  const isTerminal = process.stdout.isTTY === true;
  const format = options.format ?? (isTerminal ? "pretty" : "json");
  const settings: pino.LoggerOptions = { level: options.level, base: null };
  const asJson = format === "json";
  const output = new LogOutput(nonBlocking(STDOUT), asJson ? droppedJson : droppedText);
  const prettify = asJson ? null : prettyFactory(prettyOptions(isTerminal));
  const logger = pino(asJson ? jsonSettings(settings) : settings, {
    write: (line: string) => output.write(prettify === null ? line : prettify(line)),
  });
  return {
    format,
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    isEnabled: (level) => logger.isLevelEnabled(level),
    flush: () => output.flush(),
  };
}

/** Names instead of numbers for levels, and times that every tool reads. */
function jsonSettings(settings: pino.LoggerOptions): pino.LoggerOptions {
  return {
    ...settings,
    formatters: { level: (label) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
}

function prettyOptions(isTerminal: boolean) {
  return {
    colorize: isTerminal && !process.env["NO_COLOR"],
    translateTime: "SYS:yyyy-mm-dd HH:MM:ss.l",
    singleLine: true,
  };
}

function droppedJson(count: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: "warn", time, dropped: count, msg: droppedMessage(count) })}\n`;
}

function droppedText(count: number): string {
  return `WARN: ${droppedMessage(count)}\n`;
}

function droppedMessage(count: number): string {
  return `${count} log lines were dropped: whoever reads the log did not keep up, or it could not be written`;
}
