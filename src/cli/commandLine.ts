// The command line: what `millrace` accepts, and the help that it gives. Without a subcommand it is the broker's.

import { styleText } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import { VERSION } from "../base/version.ts";
import type { Environment } from "../config/environment.ts";
import type { LogFormat, LogSetting } from "../config/logger.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../config/logger.ts";
import { nearest } from "../config/problems.ts";
import { referenceHelp } from "../config/reference.ts";
import { end, endFailed } from "./end.ts";
import type { Globals, Subcommand, SubcommandModule } from "./subcommand.ts";
import { SUBCOMMANDS } from "./subcommands.ts";

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

  millrace sub -t 'plant/#' -v                then, elsewhere:
  millrace pub -t plant/1/state -m running
  millrace bench fan-out -n 100               how fast is it here?

A configuration is looked for as given, then in config/ of the current folder, then in config/ of
the program's folder. demo.toml, when it is nowhere, is the one inside the program.

Exit status: 0 stopped by SIGINT or SIGTERM; 1 a wrong option or configuration, or an address that
cannot be listened on; 70 a fault of the program; 130 or 143 a second SIGINT or SIGTERM while
stopping.

millrace COMMAND --help tells a command's options and its exit status.
`;
const KEYS_HINT = "millrace --help, in full, lists the keys of the configuration too.\n";
/** Levels by how often -v is given. */
const VERBOSE: readonly LogSetting[] = ["info", "debug", "trace", "all"];
/** Columns of help where there is no terminal to ask. */
const HELP_WIDTH = 100;

/**
 * Reads the arguments after the program's name. Resolves with what the broker is to run with. Runs a subcommand,
 * answers --help, --version and mistakes itself, and exits.
 */
export async function runCommandLine(args: readonly string[]): Promise<Globals> {
  let isBroker = false;
  const program = programCommand(args.includes("--help"));
  program.action(() => {
    // No subcommand has this name, or its action would have been taken.
    const [word] = program.args;
    if (word !== undefined) unknownCommand(program, word);
    isBroker = true;
  });
  for (const subcommand of SUBCOMMANDS) addSubcommand(program, subcommand);
  try {
    await program.parseAsync(asked(args), { from: "user" });
  } catch (error) {
    await endFailed(error);
  }
  return isBroker ? globalsOf(program) : await end();
}

/** `millrace help pub` is `millrace pub --help`. */
function asked(args: readonly string[]): readonly string[] {
  return args[0] === "help" ? [...args.slice(1), "--help"] : args;
}

/** The program with its own options alone; its help lists the keys of the configuration when they are wanted. */
export function programCommand(withKeys: boolean): Command {
  const keys = (): string => `Configuration keys: default, and what is allowed\n${referenceHelp()}\n`;
  return styled(new Command("millrace"))
    .description(
      "An MQTT broker: 3.1, 3.1.1 and 5 over TCP, TLS, WebSocket and Unix sockets, on one commit log.",
    )
    .usage("[options] [command]")
    .enablePositionalOptions()
    .helpCommand(false)
    .allowExcessArguments()
    .option(
      "-c, --config <file>",
      "configuration, in TOML (default: MILLRACE_CONFIG of the environment, else the demo inside the program)",
      notEmpty,
    )
    .option(
      "-v, --verbose",
      "log more: -v packets, -vv acknowledgements and pings too, -vvv the broker's inner state as well",
      (_, count: number) => count + 1,
      0,
    )
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
    .addHelpText("after", () => (withKeys ? keys() : KEYS_HINT));
}

/** Titles in bold on a terminal; wide enough where there is none. */
function styled(command: Command): Command {
  return command
    .configureHelp({
      subcommandTerm: (subcommand) => subcommand.name(),
      styleTitle: (title) => styleText("bold", title, { validateStream: false }),
    })
    .configureOutput({
      getOutHelpWidth: () => process.stdout.columns ?? HELP_WIDTH,
      getErrHelpWidth: () => process.stderr.columns ?? HELP_WIDTH,
    });
}

/** A place in the program for `subcommand`, which is loaded when it is called. */
function addSubcommand(program: Command, subcommand: Subcommand): void {
  program
    .command(subcommand.name)
    .summary(subcommand.summary)
    .helpGroup(`${subcommand.group}:`)
    .helpOption(false)
    .argument("[args...]")
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[]) => {
      const module = await subcommand.load();
      const command = commandOf(subcommand, module, () => globalsOf(program));
      await command.parseAsync(module.rewrite?.(args) ?? args, { from: "user" });
    });
}

/** The whole command, options and all. */
export function commandOf(
  { name, summary }: Subcommand,
  { register }: SubcommandModule,
  globals: () => Globals,
): Command {
  const command = styled(new Command(`millrace ${name}`))
    .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    .helpOption("--help", "print this help")
    .allowExcessArguments(false)
    .showHelpAfterError(`(millrace ${name} --help tells the options)`);
  register(command, globals);
  return command;
}

function unknownCommand(program: Command, word: string): never {
  const near = nearest(
    word,
    SUBCOMMANDS.map(({ name }) => name),
  );
  const hint = near === undefined ? "" : `\n(Did you mean ${near}?)`;
  program.error(`error: unknown command '${word}'${hint}`);
}

function notEmpty(text: string): string {
  if (text === "") throw new InvalidArgumentError("A file must be named.");
  return text;
}

function globalsOf(program: Command, environment: Environment = process.env): Globals {
  const flags = program.opts<Flags>();
  const config = flags.config ?? (environment["MILLRACE_CONFIG"] || undefined);
  return { config, level: levelOf(flags), format: flags.logFormat };
}

/** What a broker with these arguments runs with; undefined when they make none: a subcommand, --help, a mistake. */
export function brokerOf(args: readonly string[], environment: Environment): Globals | undefined {
  const program = programCommand(false)
    .exitOverride()
    .configureOutput({ writeOut() {}, writeErr() {} });
  try {
    program.action(() => {}).parse([...args], { from: "user" });
  } catch {
    return undefined;
  }
  return program.args.length > 0 ? undefined : globalsOf(program, environment);
}

function levelOf(flags: Flags): LogSetting {
  if (flags.logLevel !== undefined) return flags.logLevel;
  if (flags.quiet) return "warn";
  return VERBOSE[Math.min(flags.verbose, VERBOSE.length - 1)] ?? "info";
}
