// `bun run smoke`: the compiled program in an empty folder. It starts, listens on a free port, answers CONNECT in
// MQTT 3.1.1 and 5, and ends with status 0 on SIGTERM; its own clients publish, subscribe, measure and check it; it
// also finds the demo inside itself.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const STEP_MS_MAX = 10_000;
const program = resolve(process.argv[2] ?? "dist/millrace");
const root = mkdtempSync(join(tmpdir(), "millrace-smoke-"));
const empty = mkdtempSync(join(root, "empty-"));
const binary = join(root, "millrace");
copyFileSync(program, binary);

/** CONNECT with clean start, Keep Alive 60 and the Client Identifier "smoke". */
const CONNECTS: Readonly<Record<string, Uint8Array>> = {
  "3.1.1": Buffer.from("10110004" + "4d515454" + "04" + "02" + "003c" + "0005" + "736d6f6b65", "hex"),
  "5": Buffer.from("10120004" + "4d515454" + "05" + "02" + "003c" + "00" + "0005" + "736d6f6b65", "hex"),
};

function launch(args: readonly string[]) {
  return Bun.spawn([binary, ...args], { cwd: empty, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

/** Reads log lines until one passes `wanted`; undefined when the program ends before. */
async function lineWith(
  stdout: ReadableStream<Uint8Array>,
  wanted: (line: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown> | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const fields = JSON.parse(line) as Record<string, unknown>;
      if (wanted(fields)) return fields;
    }
  }
  return undefined;
}

/** The first bytes that the broker at `port` answers `bytes` with. */
function answer(port: number, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolved, rejected) => {
    const timer = setTimeout(() => rejected(new Error("no answer to CONNECT")), STEP_MS_MAX);
    const done = (): void => clearTimeout(timer);
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(bytes),
        data(socket, data) {
          done();
          resolved(Buffer.from(data));
          socket.end();
        },
        close: () => rejected(new Error("closed without an answer")),
        error: (_, error) => rejected(error),
      },
    }).catch(rejected);
  });
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
  console.log(`smoke: ${what}`);
}

async function withConfiguration(): Promise<void> {
  const file = join(root, "smoke.toml");
  writeFileSync(file, '[v4.1]\nlisten = "127.0.0.1:0"\n');
  const from = performance.now();
  const child = launch(["--config", file, "--log-format", "json"]);
  const line = await lineWith(child.stdout, (fields) => typeof fields["address"] === "string");
  const address = String(line?.["address"]);
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  check(port > 0, `listens on ${address} after ${Math.round(performance.now() - from)} ms`);
  for (const [version, connect] of Object.entries(CONNECTS)) {
    const bytes = await answer(port, connect);
    check(bytes[0] === 0x20 && bytes[3] === 0, `answers CONNECT of MQTT ${version} with CONNACK`);
  }
  await withItsClients(["-h", "127.0.0.1", "-p", `${port}`]);
  child.kill("SIGTERM");
  check((await child.exited) === 0, "ends with status 0 on SIGTERM");
}

/** The clients inside the program, against the broker at `where`. */
async function withItsClients(where: readonly string[]): Promise<void> {
  const runs: readonly (readonly [string, string[], RegExp])[] = [
    ["pub", [...where, "-t", "smoke/x", "-m", "rising", "-q", "2", "-r"], /^$/],
    ["sub", [...where, "-t", "smoke/#", "-v", "-C", "1", "-W", "5"], /^smoke\/x rising$/],
    [
      "bench",
      ["pairs", ...where, "-n", "4", "-q", "1", "-d", "0.5", "--warm-up", "0"],
      / 0 lost, 0 out of order, /,
    ],
    ["healthcheck", [...where], /^healthy: /],
    ["completions", ["bash"], /complete -F _millrace millrace$/],
    ["version", [], /^millrace \d/],
  ];
  for (const [command, args, wanted] of runs) {
    const client = launch([command, ...args]);
    const [stdout, status] = await Promise.all([new Response(client.stdout).text(), client.exited]);
    check(status === 0 && wanted.test(stdout.trim()), `${command} does its work`);
  }
}

/** Other programs may hold the demo's ports; then the message must say so. */
async function withoutFiles(): Promise<void> {
  const child = launch(["--config", "demo.toml", "--log-format", "json"]);
  const stderr = new Response(child.stderr).text();
  const line = await lineWith(child.stdout, (fields) => String(fields["msg"]).startsWith("ready"));
  if (line === undefined) {
    check(
      (await child.exited) === 1 && (await stderr).includes("the port is in use"),
      "says that 1883 is in use",
    );
    return;
  }
  child.kill("SIGTERM");
  check((await child.exited) === 0, "starts from the demo inside itself");
}

const deadline = setTimeout(() => {
  console.error("smoke: took too long");
  process.exit(1);
}, 4 * STEP_MS_MAX);
try {
  await withConfiguration();
  await withoutFiles();
} catch (error) {
  console.error(`smoke: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  rmSync(root, { recursive: true });
}
