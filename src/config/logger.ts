// Log lines for people on a terminal, JSON for programs. Everything is written in process: the worker threads of pino's
// transports do not survive `bun build --compile`, and a line must not be lost on exit.

import pino from "pino";
import { prettyFactory } from "pino-pretty";
import { LOG_RANKS, type LineFilter, type Logger, type LogLevel, type LogRank } from "../base/logger.ts";
import { LogFilter } from "./logFilter.ts";
import { LogOutput, nonBlocking } from "./logOutput.ts";

export const LOG_LEVELS = ["all", "trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
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
  readonly filter: LineFilter;
  trace(fields: object, message: string): void;
  readonly filterText: string;
  /**
   * Takes effect at once; throws LogFilterError, and changes nothing, when `text` is no filter. Returns what of it is
   * taken as more than it says.
   */
  setFilter(text: string): readonly string[];
  /** Calls `line` with each line that is written, as JSON, until the returned function is called. */
  follow(line: (text: string) => void): () => void;
  /** For the last line before the process ends abnormally. */
  fatal(fields: object, message: string): void;
  flush(): void;
}

const STDOUT = 1;

export function createLogger(options: LogOptions): ProgramLogger {
  const isTerminal = process.stdout.isTTY === true;
  const format = options.format ?? (isTerminal ? "pretty" : "json");
  const asJson = format === "json";
  const output = new LogOutput(nonBlocking(STDOUT), asJson ? droppedJson : droppedText);
  const prettify = asJson ? null : prettyFactory(prettyOptions(isTerminal));
  const followers = new Set<(text: string) => void>();
  const watchers: (() => void)[] = [];
  let filter = new LogFilter(FILTERS[options.level]);
  const settings: pino.LoggerOptions = { level: pinoLevel(options.level, filter), base: null };
  const logger = pino(asJson ? jsonSettings(settings) : settings, {
    write: (line: string) => {
      output.write(prettify === null ? line : prettify(line));
      for (const follow of followers) follow(line);
    },
  });
  /** Whether a line of this rank is wanted: by its rank alone, or for what it is about. */
  const wanted = (rank: LogRank, fields: object): boolean =>
    rank >= filter.base || (rank >= filter.least && rank >= filter.rankOf(fields as Record<string, unknown>));
  return {
    format,
    filter: {
      get least() {
        return filter.least;
      },
      rankOf: (fields) => filter.rankOf(fields),
      rankOfAnyTopic: (fields) => filter.rankOfAnyTopic(fields),
      watch: (changed) => void watchers.push(changed),
    },
    get filterText() {
      return filter.text;
    },
    setFilter(text) {
      filter = new LogFilter(text);
      logger.level = pinoLevel(null, filter);
      for (const changed of watchers) changed();
      return filter.notices;
    },
    follow(line) {
      followers.add(line);
      return () => void followers.delete(line);
    },
    trace: (fields, message) => void (wanted(LOG_RANKS.trace, fields) && logger.trace(fields, message)),
    debug: (fields, message) => void (wanted(LOG_RANKS.debug, fields) && logger.debug(fields, message)),
    info: (fields, message) => void (wanted(LOG_RANKS.info, fields) && logger.info(fields, message)),
    warn: (fields, message) => void (wanted(LOG_RANKS.warn, fields) && logger.warn(fields, message)),
    error: (fields, message) => void (wanted(LOG_RANKS.error, fields) && logger.error(fields, message)),
    fatal: (fields, message) => logger.fatal(fields, message),
    isEnabled: (level: LogLevel) => LOG_RANKS[level] >= filter.base,
    flush: () => output.flush(),
  };
}

/** The filter that a level of the command line stands for. */
const FILTERS: Readonly<Record<LogSetting, string>> = {
  all: "all",
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  fatal: "off",
  silent: "off",
};

/** What pino itself lets through. Only `silent` keeps a fatal line back. */
function pinoLevel(setting: LogSetting | null, filter: LogFilter): string {
  if (setting === "silent") return "silent";
  if (filter.least === LOG_RANKS.all) return "trace";
  const name = Object.entries(LOG_RANKS).find(([, rank]) => rank === filter.least)?.[0];
  return name === undefined || name === "off" ? "fatal" : name;
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
