// Output: what a subcommand has made goes to stdout, or into a file that is never replaced by accident.

import { writeFileSync } from "node:fs";
import { CommandError } from "./end.ts";

export interface OutputOptions {
  /** Absent: stdout. */
  readonly output?: string;
  readonly force?: true;
}

/** `mode` holds for a new file alone. Throws CommandError when the file is there already or cannot be written. */
export function writeOutput(text: string, { output, force }: OutputOptions, mode = 0o644): void {
  if (output === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(output, text, { flag: force ? "w" : "wx", mode });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw new CommandError(`${output} exists already; --force replaces it`);
    throw new CommandError(`${output}: cannot be written: ${message}`);
  }
}
