// Logger port: parts of the broker say what happened, the process entry decides where the lines go and how they look.

export const LOG_RANKS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, off: 100 } as const;
export type LogRank = (typeof LOG_RANKS)[keyof typeof LOG_RANKS];
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** What a line is about: names in snake_case. */
export type LineFields = Readonly<Record<string, unknown>>;

/** Which lines about whom are wanted; may change while the program runs. */
export interface LineFilter {
  /** The least rank of lines about a client with these fields. */
  rankOf(fields: LineFields): LogRank;
  /** The same when the line's topic is not known yet, and may be one that is looked for. */
  rankOfAnyTopic(fields: LineFields): LogRank;
  /** Calls `changed` whenever the answers may be others than before. */
  watch(changed: () => void): void;
}

/** `fields` are machine-readable and named in snake_case; `message` is a sentence for people. Neither is kept. */
export interface Logger {
  trace?(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * Whether lines that concern nobody in particular are wanted. Ask before building `fields` that cost something: a
   * disabled line should cost no allocation.
   */
  isEnabled(level: LogLevel): boolean;
  /** Absent: every line is wanted as isEnabled says. */
  readonly filter?: LineFilter;
}
