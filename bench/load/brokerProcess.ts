// The broker of this repository as a child process on a free port, and what the system says of it: CPU time and
// memory, where /proc is there to ask.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const START_MS = 10_000;
const STOP_MS = 3_000;
/** USER_HZ is 100 on every Linux that Bun runs on. */
const CLOCK_TICKS_PER_S = 100;

export interface Usage {
  /** User and system time of all threads, s. */
  readonly cpuS: number;
  readonly rssBytes: number;
  readonly rssPeakBytes: number;
}

export class BrokerProcess {
  readonly port: number;
  private readonly child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  private readonly folder: string;

  private constructor(child: BrokerProcess["child"], folder: string, port: number) {
    this.child = child;
    this.folder = folder;
    this.port = port;
  }

  /** Resolves when it listens. With `profile`, a path, it writes a CPU profile there when it ends. */
  static async start(profile?: string): Promise<BrokerProcess> {
    const folder = mkdtempSync(join(tmpdir(), "millrace-load-"));
    const config = join(folder, "load.toml");
    writeFileSync(config, '[v4.1]\nname = "load"\nlisten = "127.0.0.1:0"\n');
    const child = Bun.spawn(
      [process.execPath, ...profileFlags(profile), MAIN, "-c", config, "--log-format", "json"],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const kill = (): void => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    };
    process.once("exit", kill);
    void child.exited.then(() => process.removeListener("exit", kill));
    try {
      return new BrokerProcess(child, folder, await portOf(child.stdout));
    } catch (error) {
      kill();
      throw error;
    }
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Undefined where there is no /proc. */
  usage(): Usage | undefined {
    try {
      const stat = readFileSync(`/proc/${this.child.pid}/stat`, "latin1");
      const status = readFileSync(`/proc/${this.child.pid}/status`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const UTIME = 11;
      const ticks = Number(fields[UTIME]) + Number(fields[UTIME + 1]);
      return {
        cpuS: ticks / CLOCK_TICKS_PER_S,
        rssBytes: kib(status, "VmRSS"),
        rssPeakBytes: kib(status, "VmHWM"),
      };
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS);
    await this.child.exited;
    clearTimeout(late);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function profileFlags(path: string | undefined): string[] {
  if (path === undefined) return [];
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "." : path.slice(0, slash);
  return [
    "--cpu-prof",
    "--cpu-prof-md",
    `--cpu-prof-dir=${folder}`,
    `--cpu-prof-name=${path.slice(slash + 1)}`,
  ];
}

function kib(status: string, field: string): number {
  return 1024 * Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
}

/** The port of the start-up line; reading goes on behind it, so that the child's pipe never fills up. */
async function portOf(stdout: ReadableStream<Uint8Array>): Promise<number> {
  const reader = stdout.getReader();
  const decoder = new TextDecoder();
  const deadline = performance.now() + START_MS;
  let text = "";
  while (performance.now() < deadline) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    const found = /"address":"[^"]*:(\d+)"/.exec(text);
    if (found === null) continue;
    void drain(reader);
    return Number(found[1]);
  }
  throw new Error(`the broker does not say where it listens:\n${text}`);
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
