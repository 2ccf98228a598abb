// Logger port: parts of the broker say what happened, the process entry decides where the lines go and how they look.

export type LogLevel = "debug" | "info" | "warn" | "error";

/** `fields` are machine-readable and named in snake_case; `message` is a sentence for people. Neither is kept. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Ask before building `fields` that cost something: a disabled line should cost no allocation. */
  isEnabled(level: LogLevel): boolean;
}
