// Completion scripts: the same tables of commands and options in the words of each shell.

export interface CompletedOption {
  /** "-q", "--qos" */
  readonly names: readonly string[];
  readonly summary: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly takesFiles: boolean;
}

export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** What its first argument may be. */
  readonly words: readonly string[];
  readonly takesFiles: boolean;
}

type Script = (program: CompletedCommand, commands: readonly CompletedCommand[]) => string;

/** One word in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bash(program: CompletedCommand, commands: readonly CompletedCommand[]): string {
  const all = [{ ...program, name: "", words: commands.map(({ name }) => name) }, ...commands];
  const skipped = program.options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names);
  return `# Completions of millrace for bash, version 4 and later: source <(millrace completions bash)
_millrace() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= words= i
  local IFS=$'\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${skipped.join(" | ")}) ((i++)) ;;
      -*) ;;
      *)
        command=\${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  case $command,$previous in
${all.flatMap(bashValues).join("\n")}
  esac
  case $command in
${all.map(bashWords).join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}

_millrace_files() {
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$1"))
}

complete -F _millrace millrace
`;
}

/** What may stand behind each option that takes a value. */
function bashValues({ name, options }: CompletedCommand): string[] {
  return options.flatMap(({ names, takesValue, choices, takesFiles }) => {
    if (!takesValue) return [];
    const pattern = names.map((option) => `${quoted(name)},${option}`).join(" | ");
    const words = `COMPREPLY=($(compgen -W ${quoted(choices.join("\n"))} -- "$current"))`;
    const action = takesFiles ? '_millrace_files "$current"' : choices.length > 0 ? words : ":";
    return [`    ${pattern})`, `      ${action}`, "      return", "      ;;"];
  });
}

function bashWords({ name, options, words, takesFiles }: CompletedCommand): string {
  const offered = [...words, ...options.flatMap(({ names }) => names)];
  const files = takesFiles
    ? '\n      if [[ $current != -* ]]; then _millrace_files "$current"; return; fi'
    : "";
  return `    ${quoted(name)})${files}\n      words=${quoted(offered.join("\n"))}\n      ;;`;
}

function zsh(program: CompletedCommand, commands: readonly CompletedCommand[]): string {
  const named = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const bodies = commands.map((command) => {
    const [first] = zshArguments(command);
    const lines = [...command.options.map(zshOption), ...(first === undefined ? [] : [first])];
    return `        ${command.name})\n          _arguments -s ${lines.join(" \\\n            ")}\n          ;;`;
  });
  return `#compdef millrace
# Completions of millrace for zsh: source <(millrace completions zsh), or a file _millrace in $fpath
_millrace() {
  local context state line
  local -a commands
  typeset -A opt_args
  commands=(
${named.join("\n")}
  )
  _arguments -C -A '-*' ${program.options.map(zshOption).join(" \\\n    ")} \\
    '1: :->command' \\
    '*:: :->arguments'
  case $state in
    command) _describe command commands ;;
    arguments)
      case $line[1] in
${bodies.join("\n")}
      esac
      ;;
  esac
}

if [[ $funcstack[1] = _millrace ]]; then
  _millrace "$@"
else
  compdef _millrace millrace
fi
`;
}

function zshArguments({ words, takesFiles }: CompletedCommand): string[] {
  if (words.length > 0) return [quoted(`1: :(${words.join(" ")})`)];
  return takesFiles ? ["'1:file:_files'"] : [];
}

function zshOption({ names, summary, takesValue, choices, takesFiles }: CompletedOption): string {
  const what = `[${summary.replaceAll(/[[\]\\]/g, "\\$&")}]`;
  const values = choices.length > 0 ? `(${choices.join(" ")})` : takesFiles ? "_files" : " ";
  const value = takesValue ? `: :${values}` : "";
  const each = names.length > 1 ? `${quoted(`(${names.join(" ")})`)}{${names.join(",")}}` : (names[0] ?? "");
  return `${each}${quoted(`${what}${value}`)}`;
}

function fish(program: CompletedCommand, commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const lines = [
    "# Completions of millrace for fish: millrace completions fish | source",
    "complete -c millrace -f",
    ...program.options.map((option) => fishOption(`not __fish_seen_subcommand_from ${names}`, option)),
  ];
  for (const { name, summary, options, words, takesFiles } of commands) {
    const inside = `__fish_seen_subcommand_from ${name}`;
    const before = `not __fish_seen_subcommand_from ${names}`;
    lines.push(`complete -c millrace -n ${quoted(before)} -a ${name} -d ${quoted(summary)}`);
    if (takesFiles) lines.push(`complete -c millrace -n ${quoted(inside)} -F`);
    if (words.length > 0)
      lines.push(`complete -c millrace -n ${quoted(inside)} -a ${quoted(words.join(" "))}`);
    lines.push(...options.map((option) => fishOption(inside, option)));
  }
  return `${lines.join("\n")}\n`;
}

function fishOption(condition: string, option: CompletedOption): string {
  const { names, summary, takesValue, choices, takesFiles } = option;
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const value = !takesValue
    ? ""
    : takesFiles
      ? " -r -F"
      : choices.length > 0
        ? ` -x -a ${quoted(choices.join(" "))}`
        : " -x";
  return `complete -c millrace -n ${quoted(condition)} ${flags.join(" ")}${value} -d ${quoted(summary)}`;
}

export const scripts: Readonly<Record<"bash" | "zsh" | "fish", Script>> = { bash, zsh, fish };
