// `millrace migrate-config OLD`: an older or another broker's configuration as one of today.

import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { type Command, Option } from "commander";
import { readWithFiles } from "../access.ts";
import { migrate, ORIGINS, type OriginName } from "../config/migrate/migrate.ts";
import { ConfigError } from "../config/problems.ts";
import { CommandError } from "./end.ts";
import { type OutputOptions, writeOutput } from "./output.ts";

const HELP = `
Takes every syntax that rumqttd has had. The new file goes to stdout or, with -o, into a file with
the old one's permissions, for passwords go with it. Each line that changed says at its end what it
was. What has no equivalent is a comment in the new file and a warning on stderr, with the old
file's line.

The new file is checked as check-config does, with the certificates, users and rules that it names:
what is missing is told with what to do. It is written all the same, so that it can be made on
another machine.

Examples:
  millrace migrate-config rumqttd.toml -o millrace.toml
  millrace migrate-config --from mosquitto /etc/mosquitto/mosquitto.conf -o millrace.toml
  millrace migrate-config rumqttd.conf | less

Exit status: 0 the broker would start with the new file; 2 it is written, but the broker would not
start with it here, and stderr says why; 1 there is no new file: the old one could not be read, or
nothing could be written.
`;

interface Options extends OutputOptions {
  readonly from: OriginName;
}

export function register(command: Command): void {
  command
    .argument("<old>", "the configuration to be migrated")
    .option("-o, --output <file>", "write there instead of to stdout")
    .option("-f, --force", "replace a file that is there already")
    .addOption(new Option("--from <broker>", "whose configuration it is").choices(ORIGINS).default("rumqttd"))
    .addHelpText("after", HELP)
    .action(run);
}

/** The new file is there, and the broker would not start with it. */
const EXIT_NOT_READY = 2;

async function run(file: string, options: Options): Promise<void> {
  const { text, mode } = read(file);
  const newFile = options.output ?? "the new file";
  const migrated = migrate({ text, file }, options.from, newFile);
  writeOutput(migrated.text, options, mode);
  for (const warning of [...migrated.warnings, ...migrated.startWarnings]) {
    process.stderr.write(`millrace: warning: ${warning}\n`);
  }
  const problems = await problemsOf(migrated.text, newFile);
  if (problems.length === 0) return;
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  const head = `${basename(file)} is migrated, but the broker would not start with it here, for ${count}`;
  throw new CommandError(`${head}:\n${problems.join("\n")}`, EXIT_NOT_READY);
}

async function problemsOf(text: string, file: string): Promise<readonly string[]> {
  try {
    await readWithFiles({ text, file }, {}, true);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function read(file: string): { readonly text: string; readonly mode: number } {
  try {
    return { text: readFileSync(file, "utf8"), mode: statSync(file).mode & 0o777 };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandError(`${file}: ${code === "ENOENT" ? "no such file" : `cannot be read: ${message}`}`);
  }
}
