// A logger that keeps what it is told.

import type { Logger, LogLevel } from "../../src/base/logger.ts";

export interface LogRecord {
  readonly level: LogLevel;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface Recorder extends Logger {
  readonly records: LogRecord[];
  /** Everything that was said, fields too. */
  text(): string;
}

export function recorder(): Recorder {
  const records: LogRecord[] = [];
  const at =
    (level: LogLevel) =>
    (fields: object, message: string): void =>
      void records.push({ level, fields: { ...fields }, message });
  return {
    records,
    text: () => JSON.stringify(records),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    isEnabled: () => true,
  };
}
