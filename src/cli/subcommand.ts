// Subcommand: what `millrace NAME …` does. The table in subcommands.ts names each with its module, which is imported
// only when that subcommand is called, so that none of them costs the broker's start anything.

import type { Command } from "commander";
import type { LogFormat, LogSetting } from "../config/logger.ts";

/** What stands before the subcommand's name: `millrace --config F -q NAME`. */
export interface Globals {
  /** What `--config` says. */
  readonly config: string | undefined;
  readonly level: LogSetting;
  readonly format: LogFormat | undefined;
}

/** What the module of a subcommand exports. */
export interface SubcommandModule {
  /**
   * Gives `command`, which has its name and summary already, its options, help and `.action(…)`. The action may be
   * async; the process ends with `process.exitCode` once it has returned and its output is written. It throws
   * CommandError for what the user can put right (see end.ts).
   */
  register(command: Command, globals: () => Globals): void;
  /** Changes the arguments before they are parsed, for what commander cannot parse. */
  rewrite?(args: readonly string[]): string[];
}

export const GROUPS = ["Clients", "Configuration", "This program"] as const;

export interface Subcommand {
  readonly name: string;
  readonly group: (typeof GROUPS)[number];
  /** One line for the list in `--help`, small letters, no full stop. */
  readonly summary: string;
  readonly load: () => Promise<SubcommandModule>;
}
