// Runs millrace's clients, or mosquitto's beside them, as a person would: arguments, standard input, output as it comes,
// exit status. MILLRACE_PROGRAM names a compiled program to be run in place of the source.

import { join } from "node:path";
import { test } from "bun:test";
import { ROOT } from "./program.ts";

/** Long: a machine may be slow, and busy with other tests. */
const RUN_MS_MAX = 60_000;
export const TOOL_TIMEOUT_MS = 90_000;

const program = process.env["MILLRACE_PROGRAM"];
export const MILLRACE: readonly string[] =
  program === undefined ? [process.execPath, join(ROOT, "src/main.ts")] : [program];

export const hasMosquitto = Bun.which("mosquitto_pub") !== null && Bun.which("mosquitto_sub") !== null;

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Of standard output, undecoded. */
  readonly bytes: Buffer;
}

export interface Tool {
  /** Resolves once what came on either stream holds `text` so often; rejects when the program ends before. */
  until(text: string, times?: number): Promise<void>;
  input(text: string): void;
  endInput(): void;
  kill(signal: "SIGINT" | "SIGTERM"): void;
  readonly ended: Promise<Ended>;
}

export interface ToolOptions {
  /** All of standard input; absent: it stays open for input(). */
  readonly stdin?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

/** `command` is the program and its arguments. */
export function startTool(command: readonly string[], options: ToolOptions = {}): Tool {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", TZ: "UTC", HOME: "/nonexistent", ...options.env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    timeout: RUN_MS_MAX,
  });
  if (options.stdin !== undefined) {
    child.stdin.write(options.stdin);
    void child.stdin.end();
  }
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let look = (): void => {};
  const collect = async (stream: ReadableStream<Uint8Array>, into: Buffer[]): Promise<void> => {
    for await (const chunk of stream) {
      into.push(Buffer.from(chunk));
      look();
    }
  };
  const reading = Promise.all([collect(child.stdout, out), collect(child.stderr, err)]);
  const text = (): string => Buffer.concat([...out, ...err]).toString();
  const ended = (async (): Promise<Ended> => {
    const status = await child.exited;
    await reading;
    look();
    const bytes = Buffer.concat(out);
    return {
      status: child.signalCode === null ? status : null,
      stdout: bytes.toString(),
      stderr: `${Buffer.concat(err)}`,
      bytes,
    };
  })();
  return {
    ended,
    async until(wanted, times = 1) {
      while (text().split(wanted).length <= times) {
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${text()}`);
        await new Promise<void>((resolve) => {
          look = resolve;
        });
      }
    },
    input: (line) => void child.stdin.write(line),
    endInput: () => void child.stdin.end(),
    kill: (signal) => child.kill(signal),
  };
}

export function runTool(command: readonly string[], options: ToolOptions = {}): Promise<Ended> {
  return startTool(command, { stdin: "", ...options }).ended;
}

/** A test that compares with mosquitto's clients, skipped where they are not installed. */
export function testBesideMosquitto(title: string, body: () => Promise<void>): void {
  if (hasMosquitto) test(title, body, TOOL_TIMEOUT_MS);
  else test.skip(`${title} (skipped: mosquitto's clients are not installed)`, body);
}
