// The command line: what `millrace` accepts, and the help that it gives.

import { Command, InvalidArgumentError, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import type { LogFormat, LogSetting } from "./logger.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./logger.ts";
import { referenceHelp } from "./reference.ts";

export const VERSION: string = packageJson.version;

export interface CommandLine {
  /** What `--config` says. */
  readonly config: string | undefined;
  readonly level: LogSetting;
  readonly format: LogFormat | undefined;
}

interface Flags {
  readonly config?: string;
  readonly verbose: number;
  readonly quiet?: true;
  readonly logLevel?: LogSetting;
  readonly logFormat?: LogFormat;
}

const EXAMPLES = `
Examples:
  millrace                                    the demo: MQTT 3.1, 3.1.1 and 5 on ports 1883 and 1884
  millrace --config demo.toml -v              your own demo.toml if there is one, with debug lines
  millrace --config /etc/millrace.toml -q     a service that logs warnings and errors alone
  millrace --log-format json | your-collector

  mosquitto_sub -t 'plant/#' -v               then, elsewhere:
  mosquitto_pub -t plant/1/state -m running

A configuration is looked for as given, then in config/ of the current folder, then in config/ of the
program's folder. demo.toml, when it is nowhere, is the one inside the program.

Exit status: 0 stopped by SIGINT or SIGTERM; 1 a wrong option or configuration, or an address that cannot be
listened on; 70 a fault of the program; 130 or 143 a second SIGINT or SIGTERM while stopping.
`;

/** Reads the arguments after the program's name. Answers --help, --version and mistakes itself, and exits. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const flags = command().parse(args, { from: "user" }).opts<Flags>();
  return { config: flags.config, level: levelOf(flags), format: flags.logFormat };
}

function command(): Command {
  return new Command("millrace")
    .description("An MQTT broker: 3.1, 3.1.1 and 5 over TCP, on one commit log.")
    .allowExcessArguments(false)
    .option("-c, --config <file>", "configuration, in TOML (default: the demo inside the program)", notEmpty)
    .option("-v, --verbose", "log more: -v debug, -vv trace", (_, count: number) => count + 1, 0)
    .addOption(new Option("-q, --quiet", "log warnings and errors alone").conflicts("verbose"))
    .addOption(
      new Option("--log-level <level>", "log from this level on (over -v and -q)").choices(LOG_LEVELS),
    )
    .addOption(
      new Option("--log-format <format>", "default: pretty on a terminal, json elsewhere").choices(
        LOG_FORMATS,
      ),
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .showHelpAfterError("(millrace --help tells the options)")
    .addHelpText("after", EXAMPLES)
    .addHelpText("after", `Configuration keys: default, and what is allowed\n${referenceHelp()}\n`);
}

function notEmpty(text: string): string {
  if (text === "") throw new InvalidArgumentError("A file must be named.");
  return text;
}

function levelOf(flags: Flags): LogSetting {
  if (flags.logLevel !== undefined) return flags.logLevel;
  if (flags.quiet) return "warn";
  if (flags.verbose === 0) return "info";
  return flags.verbose === 1 ? "debug" : "trace";
}
