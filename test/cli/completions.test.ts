// `millrace completions`: scripts that the shells themselves read and act on, where they are installed.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SUBCOMMANDS } from "../../src/cli/subcommands.ts";
import { MILLRACE, runTool, TOOL_TIMEOUT_MS } from "./tool.ts";

setDefaultTimeout(TOOL_TIMEOUT_MS);

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const folder = mkdtempSync(join(tmpdir(), "millrace-completions-"));
const file = (shell: Shell): string => join(folder, `millrace.${shell}`);
const inner = join(folder, "inner");
mkdirSync(inner);
const wanted = join(folder, "wanted.bin");
writeFileSync(wanted, "");

beforeAll(async () => {
  for (const shell of SHELLS) {
    const { status, stdout, stderr } = await runTool([...MILLRACE, "completions", shell]);
    expect([status, stderr]).toEqual([0, ""]);
    writeFileSync(file(shell), stdout);
  }
}, TOOL_TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `script` in `shell`; its lines. */
function lines(shell: Shell, script: string): string[] {
  const args =
    shell === "zsh"
      ? ["-f", "-c", script]
      : shell === "bash"
        ? ["--norc", "-c", script]
        : ["-N", "-c", script];
  const { stdout, stderr, exitCode } = Bun.spawnSync([Bun.which(shell)!, ...args], {
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, TERM: "dumb" },
  });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

/** What the shell offers for the last of `words`. */
const offers: Readonly<Record<"bash" | "fish", (words: readonly string[]) => string[]>> = {
  bash: (words) => {
    const list = ["millrace", ...words].map((word) => `'${word}'`).join(" ");
    const script = `source '${file("bash")}'; COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _millrace`;
    return lines("bash", `${script}; printf '%s\\n' "\${COMPREPLY[@]}"`);
  },
  fish: (words) => {
    const script = `source '${file("fish")}'; complete -C 'millrace ${words.join(" ")}'`;
    return lines("fish", script).map((line) => line.split("\t")[0]!);
  },
};

const names = SUBCOMMANDS.map(({ name }) => name);
const rows: readonly (readonly [words: string[], some: string[], none: string[]])[] = [
  [[""], names, ["fan-out"]],
  [["p"], ["pub"], ["sub"]],
  [["-q", "su"], ["sub"], ["pub"]],
  [["--config", "x.toml", "he"], ["healthcheck"], []],
  [["--log-l"], ["--log-level"], ["--log-format"]],
  [["--log-level", ""], ["trace", "debug", "silent"], ["pub"]],
  [["--log-format", "p"], ["pretty"], ["pub"]],
  [["pub", "--re"], ["--retain", "--repeat", "--repeat-delay"], ["--count"]],
  [["-v", "pub", "--qos", ""], ["0", "1", "2"], ["--retain"]],
  [["sub", "--retain"], ["--retained-only", "--retain-as-published"], ["--repeat"]],
  [["sub", "-V", ""], ["5", "3.1.1", "3.1"], []],
  [["pub", "--tls-version", ""], ["tlsv1.3", "tlsv1.2"], ["pem"]],
  [["pub", "--p"], ["--proxy", "--port", "--pw"], ["--psk"]],
  [["sub", "--capath", join(folder, "in")], [inner], []],
  [["sub", "--cafile", join(folder, "want")], [wanted], []],
  [["migrate-config", "--from", ""], ["rumqttd", "mosquitto"], []],
  [["passwd", "--hash", "s"], ["sha512", "scram-sha-256"], ["argon2id"]],
  [["bench", "f"], ["fan-out", "fan-in"], ["pairs"]],
  [["completions", ""], [...SHELLS], []],
  [["pub", "-f", join(folder, "want")], [wanted], []],
  [["--config", join(folder, "want")], [wanted], []],
];

for (const shell of ["bash", "fish"] as const) {
  describe.skipIf(Bun.which(shell) === null)(shell, () => {
    for (const [words, some, none] of rows) {
      test(`millrace ${words.join(" ").replace(folder, "…")}`, () => {
        const offered = offers[shell](words).map((word) => word.replace(/\/$/, ""));
        for (const word of some) expect(offered).toContain(word);
        for (const word of none) expect(offered).not.toContain(word);
      });
    }
  });
}

describe.skipIf(Bun.which("zsh") === null)("zsh", () => {
  test("reads the script, and knows whose it is", () => {
    const script = `autoload -Uz compinit; compinit -u -D; source '${file("zsh")}'; print -- $_comps[millrace]`;
    expect(lines("zsh", script)).toEqual(["_millrace"]);
  });

  const asked = rows.filter(([, several]) => several.length > 1);

  test(
    "offers commands, options and their values",
    () => {
      // A terminal of its own for an interactive zsh, whose list of matches is read off it. The quotes in the markers
      // keep the echo of a command from being taken for its output.
      const tries = asked.map(
        ([words], at) => `zpty -w -n z "millrace ${words.join(" ")}"$'\\t'
zpty -w -n z $'\\x15print DO\\'\\'NE${at}\\n'
zpty -r -m z line '*DONE${at}*PROMPT*'
print -r -- "$line"
print END`,
      );
      const script = `zmodload zsh/zpty
zpty z 'TERM=dumb ${Bun.which("zsh")} -f -i'
zpty -w z "PS1=PRO''MPT; autoload -Uz compinit; compinit -u -D; source '${file("zsh")}'; LISTMAX=10000; bindkey '^I' list-choices; stty cols 300 rows 200; print REA''DY"
zpty -r -m z line '*READY*PROMPT*'
${tries.join("\n")}
zpty -d z`;
      const offered = lines("zsh", script).join("\n").split("\nEND");
      for (const [at, [, some]] of asked.entries()) {
        for (const word of some) expect(offered[at]).toContain(word);
      }
    },
    TOOL_TIMEOUT_MS,
  );
});

test(
  "a shell that is none is refused",
  async () => {
    const { status, stderr } = await runTool([...MILLRACE, "completions", "tcsh"]);
    expect(status).toBe(1);
    expect(stderr).toContain("Allowed choices are bash, zsh, fish");
  },
  TOOL_TIMEOUT_MS,
);
