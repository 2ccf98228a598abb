// `millrace check-config FILE`: whether the broker would start with it, and with which values.

import type { Command } from "commander";
import { readWithFiles } from "../access.ts";
import { effectiveText } from "../config/effective.ts";
import { findConfig } from "../config/find.ts";
import type { Globals } from "./subcommand.ts";

const HELP = `
Prints every key in force, with the line or the environment variable that set it. Secrets are not
shown. Warnings go to stderr. FILE is looked for as with --config; without one it is what --config
names, else the demo inside the program.

Examples:
  millrace check-config /etc/millrace.toml
  millrace check-config new.toml > /dev/null && systemctl reload millrace
  MILLRACE__ROUTER__MEMORY=1GiB millrace check-config | grep memory

Exit status: 0 the broker would take it; 1 it would not, and stderr says why, each problem with its
line.
`;

export function register(command: Command, globals: () => Globals): void {
  command
    .argument("[file]", "configuration, in TOML")
    .addHelpText("after", HELP)
    .action((file: string | undefined) => check(file ?? globals().config));
}

/** Rejects with ConfigError, with every problem, when the broker would not start. Asks nobody over the network. */
async function check(path: string | undefined): Promise<void> {
  const found = findConfig(path);
  const read = await readWithFiles(found, process.env, true);
  for (const warning of read.warnings) process.stderr.write(`millrace: warning: ${warning}\n`);
  process.stdout.write(effectiveText(read, found.source));
}
