// Runs the program as a person would: a process of its own, its output and its exit status.

import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");
const STUB = join(import.meta.dir, "stubBroker.ts");

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  /** Resolves once stdout holds `text`; rejects when the program ends before. */
  until(text: string): Promise<void>;
  /** What stdout holds so far. */
  output(): string;
  /** The port of the first listener that a JSON log tells of. */
  port(): Promise<number>;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGHUP"): void;
  readonly outcome: Promise<Outcome>;
}

export interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Set to run with the stub in place of the broker, doing this. */
  readonly stub?: string;
}

/** Long: a machine may be slow, and busy with other tests. */
const RUN_MS_MAX = 60_000;
export const PROGRAM_TIMEOUT_MS = 90_000;

export function start(args: readonly string[], options: Options = {}): Running {
  const preload = options.stub === undefined ? [] : ["--preload", STUB];
  const child = Bun.spawn([process.execPath, ...preload, join(ROOT, "src/main.ts"), ...args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH: process.env["PATH"] ?? "", STUB_BROKER: options.stub ?? "", ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: RUN_MS_MAX,
  });
  let stdout = "";
  let wake = (): void => {};
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      stdout += decoder.decode(chunk, { stream: true });
      wake();
    }
  })();
  const stderr = new Response(child.stderr).text();
  const outcome = (async () => {
    const status = await child.exited;
    await reading;
    wake();
    return { status, stdout, stderr: await stderr };
  })();
  const until = async (text: string): Promise<void> => {
    while (!stdout.includes(text)) {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${stdout}${await stderr}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    outcome,
    until,
    output: () => stdout,
    async port() {
      await until('"address":"');
      return Number(/"address":"[^"]*:(\d+)"/.exec(stdout)?.[1]);
    },
    kill: (signal) => child.kill(signal),
  };
}

export function run(args: readonly string[], options: Options = {}): Promise<Outcome> {
  return start(args, options).outcome;
}

/** The objects that a JSON log holds. */
export function logLines(stdout: string): Record<string, unknown>[] {
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
