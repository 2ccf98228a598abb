// Logger port: parts of the broker say what happened, the process entry decides where the lines go and how they look.

/** `all` is trace with the broker's inner state: its lines have the level trace. */
export const LOG_RANKS = { all: 5, trace: 10, debug: 20, info: 30, warn: 40, error: 50, off: 100 } as const;
export type LogRank = (typeof LOG_RANKS)[keyof typeof LOG_RANKS];
export type LogLevel = "all" | "trace" | "debug" | "info" | "warn" | "error";

/** What a line is about: names in snake_case. */
export type LineFields = Readonly<Record<string, unknown>>;

/** Which lines about whom are wanted; may change while the program runs. */
export interface LineFilter {
  /** The least rank that any line can have and be wanted: what is below needs no fields. */
  readonly least: LogRank;
  /** The least rank of lines about a client with these fields. */
  rankOf(fields: LineFields): LogRank;
  /** The same when the line's topic is not known yet, and may be one that is looked for. */
  rankOfAnyTopic(fields: LineFields): LogRank;
  /** Calls `changed` whenever the answers may be others than before. */
  watch(changed: () => void): void;
}

/** Characters of an identifier, a name or a reason in a line. */
export const SHOWN_MAX = 256;

/** Not more of what strangers chose than people can read; undefined, which makes no field, for nothing. */
export function shown(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined || text === "") return undefined;
  return text.length <= SHOWN_MAX ? text : text.slice(0, SHOWN_MAX).toWellFormed();
}

/** What is known of a connection that a line is about. */
export interface LineSubject {
  readonly connectionId: number;
  /** Its listener's section. */
  readonly listener: string;
  readonly remoteAddress: string;
  readonly clientIdentifier?: string | undefined;
  readonly userName?: string | undefined;
  readonly tenant?: string | null | undefined;
}

/** What every line that concerns a connection says of it, whoever writes the line. What is not known is left out. */
export function subjectFields(subject: LineSubject): LineFields {
  const { clientIdentifier, userName, tenant, connectionId, listener, remoteAddress } = subject;
  return {
    client_id: shown(clientIdentifier),
    username: shown(userName),
    tenant: shown(tenant),
    connection_id: connectionId,
    listener,
    remote: remoteAddress,
  };
}

/** Whether any line of `level` can be wanted, whoever it is about: if not, its fields need not be made. */
export function mayWant(logger: Logger, level: LogLevel): boolean {
  return logger.filter === undefined ? logger.isEnabled(level) : LOG_RANKS[level] >= logger.filter.least;
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
