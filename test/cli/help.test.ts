// What the program says of itself: help of the program and of each command, and `millrace version`.

import { describe, expect, test } from "bun:test";
import packageJson from "../../package.json" with { type: "json" };
import { commandOf } from "../../src/cli/commandLine.ts";
import { GROUPS } from "../../src/cli/subcommand.ts";
import { SUBCOMMANDS } from "../../src/cli/subcommands.ts";
import { MILLRACE, runTool, TOOL_TIMEOUT_MS } from "./tool.ts";

const COLUMNS_MAX = 100;

async function said(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runTool([...MILLRACE, ...args]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

test(
  "-h lists commands by group and options, --help the keys of the configuration too",
  async () => {
    const [short, long] = await Promise.all([said("-h"), said("--help")]);
    for (const group of GROUPS) expect(short).toContain(`\n${group}:\n`);
    for (const { name, summary } of SUBCOMMANDS)
      expect(short).toMatch(new RegExp(`^  ${name} +${summary.replaceAll(/[()']/g, ".")}$`, "m"));
    expect(short).not.toContain("max_connections");
    expect(long).toContain("max_connections");
    for (const line of long.split("\n")) expect(line.length).toBeLessThanOrEqual(COLUMNS_MAX);
    expect(long).toStartWith(short.slice(0, short.indexOf("millrace --help, in full")));
  },
  TOOL_TIMEOUT_MS,
);

test(
  "help COMMAND is COMMAND --help",
  async () => {
    const [asked, own] = await Promise.all([said("help", "sub"), said("sub", "--help")]);
    expect(asked).toBe(own);
    for (const text of [
      "Usage: millrace sub",
      "Formats, for -F:",
      "Examples:",
      "Exit status:",
      "  %% @@ \\\\ themselves",
    ])
      expect(own).toContain(text);
  },
  TOOL_TIMEOUT_MS,
);

describe("each command", () => {
  for (const subcommand of SUBCOMMANDS) {
    test(`${subcommand.name} explains every option, in lines that fit`, async () => {
      const command = commandOf(subcommand, await subcommand.load(), () => {
        throw new Error("nothing global is asked for");
      });
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      expect(help).toStartWith(`Usage: millrace ${subcommand.name}`);
      for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(COLUMNS_MAX);
      for (const option of command.options) expect(option.hidden || option.description !== "").toBe(true);
      expect(help).toContain(subcommand.name === "completions" ? "\nFor good:\n" : "\nExamples:\n");
      expect(help).toMatch(/\n\nExit status: 0[\s\S]*\n$/);
      expect(help).not.toContain("\x1b");
    });
  }
});

test(
  "version says what a report of a fault should begin with",
  async () => {
    const [text, json, short] = await Promise.all([
      said("version"),
      said("version", "--json"),
      said("--version"),
    ]);
    const platform = `${process.platform} ${process.arch}`;
    expect(text).toMatch(
      new RegExp(`^millrace ${packageJson.version}( \\(.+\\))?, Bun ${Bun.version}, ${platform}\n$`),
    );
    expect(JSON.parse(json)).toMatchObject({
      version: packageJson.version,
      bun: Bun.version,
      arch: process.arch,
    });
    expect(short).toBe(`${packageJson.version}\n`);
  },
  TOOL_TIMEOUT_MS,
);
