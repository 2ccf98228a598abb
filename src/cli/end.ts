// How a subcommand ends: its output written, its exit status, and one message on stderr when it failed.

import { startFailure } from "../config/startup.ts";

const EXIT_FAILED = 1;
/** As shells have it of a program that SIGINT ends. */
export const EXIT_INTERRUPTED = 130;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_FAULT = 70;

/** Something that the user can put right; `message` says how, in a sentence. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly status: number;

  constructor(message: string, status = EXIT_FAILED) {
    super(message);
    this.status = status;
  }
}

/** Ends the process with `process.exitCode`, once stdout has taken everything. */
export async function end(): Promise<never> {
  await new Promise<void>((resolve) => void process.stdout.write("", () => resolve()));
  process.exit();
}

/** One message for what was foreseen, a stack for what was not. */
export async function endFailed(error: unknown): Promise<never> {
  const text = error instanceof CommandError ? error.message : startFailure(error);
  const fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`millrace: ${text ?? `a fault of the program: ${fault}`}\n`);
  if (error instanceof CommandError) process.exitCode = error.status;
  else process.exitCode = text === undefined ? EXIT_FAULT : EXIT_FAILED;
  return await end();
}
