// The service manager's protocol (sd_notify(3)), with the real systemd-notify where there is one and a datagram socket
// in systemd's place.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchdogIntervalMs } from "../../src/cli/serviceManager.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");
const hasParts = Bun.which("systemd-notify") !== null && Bun.which("python3") !== null;

/** Prints each datagram as one line, the messages within it joined by a space. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(16))
    print(data.decode().strip().replace("\\n", " "), flush=True)
`;

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split("\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
}

/** The next message with `part`; those before it are left out. */
async function messageWith(messages: AsyncGenerator<string>, part: string): Promise<string> {
  for (;;) {
    const { value, done } = await messages.next();
    if (done === true) throw new Error(`nobody said ${part}`);
    if (value.includes(part)) return value;
  }
}

describe("service manager", () => {
  test.each([
    [{}, null],
    [{ WATCHDOG_USEC: "60000000" }, 30_000],
    [{ WATCHDOG_USEC: "60000000", WATCHDOG_PID: "7" }, 30_000],
    [{ WATCHDOG_USEC: "60000000", WATCHDOG_PID: "8" }, null],
    [{ WATCHDOG_USEC: "nonsense" }, null],
    [{ WATCHDOG_USEC: "1" }, null],
  ] as const)("%j asks for a sign every %p ms", (environment, expected) => {
    expect(watchdogIntervalMs(environment, 7)).toBe(expected);
  });

  test.skipIf(!hasParts)("is told ready, alive and stopping", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-notify-"));
    const address = join(folder, "socket");
    const listener = Bun.spawn(["python3", "-c", LISTENER, address], { stdout: "pipe", stderr: "inherit" });
    const messages = lines(listener.stdout);
    expect((await messages.next()).value).toBe("bound");
    const config = join(folder, "broker.toml");
    await Bun.write(config, '[v4.1]\nlisten = "127.0.0.1:0"\n');
    const broker = Bun.spawn([process.execPath, "run", MAIN, "--config", config, "-q"], {
      env: { ...process.env, NOTIFY_SOCKET: address, WATCHDOG_USEC: "100000" },
      stdio: ["ignore", "ignore", "inherit"],
    });
    try {
      expect(await messageWith(messages, "READY=1")).toContain("STATUS=1 listener");
      await messageWith(messages, "WATCHDOG=1");
      broker.kill("SIGTERM");
      await messageWith(messages, "STOPPING=1");
      expect(await broker.exited).toBe(0);
    } finally {
      broker.kill("SIGKILL");
      listener.kill();
      await Promise.all([broker.exited, listener.exited]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
