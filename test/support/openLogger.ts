// A logger that keeps every line, packets and inner state too, as the live filter at `all` does.

import { LOG_RANKS, type LogLevel, type Logger } from "../../src/base/logger.ts";
import { LogFilter } from "../../src/config/logFilter.ts";
import type { LogRecord } from "./recorder.ts";

export interface OpenLogger extends Logger {
  readonly records: LogRecord[];
  /** The lines of one connection. */
  of(connectionId: number): LogRecord[];
}

/** Lines that the filter `text` wants. */
export function openLogger(text = "all"): OpenLogger {
  const records: LogRecord[] = [];
  const filter = new LogFilter(text);
  const at =
    (level: LogLevel) =>
    (fields: object, message: string): void => {
      const known = Object.entries(fields).filter(([, value]) => value !== undefined);
      const line = { level, fields: Object.fromEntries(known) as Record<string, unknown>, message };
      if (LOG_RANKS[level] >= filter.rankOf(line.fields)) records.push(line);
    };
  return {
    records,
    of: (connectionId) => records.filter(({ fields }) => fields["connection_id"] === connectionId),
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    isEnabled: (level) => LOG_RANKS[level] >= filter.base,
    filter: {
      least: filter.least,
      rankOf: (fields) => filter.rankOf(fields),
      rankOfAnyTopic: (fields) => filter.rankOfAnyTopic(fields),
      watch() {},
    },
  };
}
