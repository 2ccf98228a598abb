// Ports of the console: what it asks of those who run the broker, beside the broker itself.

/** What a reload did, line by line. */
export interface ReloadReport {
  readonly applied: readonly string[];
  /** Changes that only a restart brings. */
  readonly needsRestart: readonly string[];
}

export interface LogTail {
  /** Calls `line` with each line of the log, as JSON text, until the returned function is called. */
  follow(line: (text: string) => void): () => void;
}

export interface Operations {
  readonly version: string;
  /** The configuration that is in force, without secrets. */
  configuration(): unknown;
  /** Rejects, and changes nothing, when the new configuration is wrong. */
  reload(): Promise<ReloadReport>;
  /** The filter of the log now, in rumqttd's form. */
  logFilter(): string;
  /** Throws, and changes nothing, when `text` is no filter. Returns what of it is taken as more than it says. */
  setLogFilter(text: string): readonly string[];
  readonly tail: LogTail;
  /** Somebody at `address` showed a wrong token or password. */
  refused(address: string): void;
}
