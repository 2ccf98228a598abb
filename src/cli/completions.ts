// `millrace completions SHELL`: what bash, zsh and fish need to complete a command line of millrace. Drawn from the
// commands themselves, so that it never lags behind them.

import { Argument, type Command, type Option } from "commander";
import { commandOf, programCommand } from "./commandLine.ts";
import { type CompletedCommand, type CompletedOption, scripts } from "./completionScripts.ts";
import { SUBCOMMANDS } from "./subcommands.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

const HELP = `
For this shell alone:
  source <(millrace completions bash)
  source <(millrace completions zsh)
  millrace completions fish | source

For good:
  millrace completions bash > ~/.local/share/bash-completion/completions/millrace
  millrace completions zsh > "\${fpath[1]}/_millrace"
  millrace completions fish > ~/.config/fish/completions/millrace.fish

Exit status: 0; 1 for another shell.
`;

export function register(command: Command): void {
  command
    .addArgument(new Argument("<shell>", "which one").choices(SHELLS))
    .addHelpText("after", HELP)
    .action(async (shell: (typeof SHELLS)[number]) => {
      const globals = programCommand(false);
      const commands = await Promise.all(
        SUBCOMMANDS.map(async (subcommand): Promise<CompletedCommand> => {
          const whole = commandOf(subcommand, await subcommand.load(), () => ({
            config: undefined,
            level: "info",
            format: undefined,
          }));
          return { name: subcommand.name, summary: subcommand.summary, ...completed(whole) };
        }),
      );
      process.stdout.write(
        scripts[shell]({ name: "millrace", summary: "", ...completed(globals) }, commands),
      );
    });
}

function completed(command: Command): Pick<CompletedCommand, "options" | "words" | "takesFiles"> {
  const [argument] = command.registeredArguments;
  return {
    options: command.createHelp().visibleOptions(command).map(completedOption),
    words: argument?.argChoices ?? [],
    takesFiles: argument !== undefined && isFile(argument.name()),
  };
}

function completedOption(option: Option): CompletedOption {
  const { short, long, description, argChoices, required, optional, flags } = option;
  const value = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? "";
  return {
    names: [short, long].filter((name) => name !== undefined),
    summary: description,
    takesValue: required || optional,
    choices: argChoices ?? [],
    takesFiles: isFile(value),
  };
}

/** How placeholders are named that stand for a path. */
function isFile(placeholder: string): boolean {
  return /^(?:file|path|old|new|dir)$/i.test(placeholder);
}
