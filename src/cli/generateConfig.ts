// `millrace generate-config`: a configuration to begin with, each key explained.

import type { Command } from "commander";
import { sampleToml } from "../config/reference.ts";
import { type OutputOptions, writeOutput } from "./output.ts";

const HELP = `
Examples:
  millrace generate-config -o millrace.toml
  millrace generate-config | less

Exit status: 0 it is there; 1 it could not be written, or the file is there already.
`;

export function register(command: Command): void {
  command
    .option("-o, --output <file>", "write there instead of to stdout")
    .option("-f, --force", "replace a file that is there already")
    .addHelpText("after", HELP)
    .action((options: OutputOptions) => writeOutput(sampleToml(), options));
}
