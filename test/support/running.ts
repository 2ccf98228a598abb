// The program's broker with all that stands beside it, in this process, reading a file that the test writes.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Running } from "../../src/cli/running.ts";
import { findConfig } from "../../src/config/find.ts";
import { readConfig } from "../../src/config/load.ts";
import { createLogger } from "../../src/config/logger.ts";

/** Ports that nobody has now. */
export function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = servers.map(({ port }) => port);
  for (const server of servers) server.stop();
  return ports;
}

export interface TestProgram {
  readonly running: Running;
  readonly folder: string;
  write(text: string): void;
  /** Writes the file and reads it anew. */
  reload(text: string): ReturnType<Running["reload"]>;
  port(section: string): number;
  stop(): Promise<void>;
}

export async function startRunning(text: string): Promise<TestProgram> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-running-"));
  const path = join(folder, "millrace.toml");
  const write = (next: string): void => writeFileSync(path, next);
  write(text);
  const found = findConfig(path);
  const logger = createLogger({ level: "silent", format: "json" });
  const running = await Running.start(path, found, readConfig(found, {}), logger);
  return {
    running,
    folder,
    write,
    reload(next) {
      write(next);
      return running.reload();
    },
    port: (section) => running.broker.listeners.find((one) => one.section === section)?.port ?? 0,
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
