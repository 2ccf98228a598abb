// The program with its real broker: what a person sees of it from outside.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WireClient } from "../support/wireClient.ts";
import { logLines, PROGRAM_TIMEOUT_MS, run, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-program-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** CONNECT of MQTT 5 with Clean Start, Keep Alive 60, no properties and the Client Identifier "cli". */
const CONNECT_V5 = Buffer.from("101000044d51545405" + "02" + "003c" + "00" + "0003636c69", "hex");

function configFor(port: number): string {
  const file = join(folder, `${port}.toml`);
  writeFileSync(file, `[v4.1]\nname = "plain"\nlisten = "127.0.0.1:${port}"\n`);
  return file;
}

test("listens where it says, refuses a port in use, and tells its clients when it stops", async () => {
  const program = start(["--config", configFor(0), "--log-format", "json"]);
  await program.until("ready");
  const port = await program.port();
  const socket = connect(port, "127.0.0.1", () => socket.write(CONNECT_V5));
  let received = Buffer.alloc(0);
  const connected = new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      resolve();
    });
  });
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  await connected;
  expect(received[0]).toBe(0x20);
  expect(received[3]).toBe(0);
  const connackLength = received.length;

  const second = await run(["--config", configFor(port)]);
  expect(second.status).toBe(1);
  expect(second.stderr).toEndWith(` (${folder}/${port}.toml:3: [v4.1] listen, EADDRINUSE)\n`);
  const message = `millrace: plain cannot listen on 127.0.0.1:${port}: the port is in use: stop what listens there`;
  expect(second.stderr).toStartWith(message);
  expect(second.stderr.trimEnd().split("\n")).toHaveLength(1);

  program.kill("SIGTERM");
  await closed;
  expect((await program.outcome).status).toBe(0);
  // DISCONNECT 0x8B: Server shutting down.
  const disconnect = received.subarray(connackLength);
  expect(disconnect[0]).toBe(0xe0);
  expect(disconnect[2]).toBe(0x8b);
});

test("a host that nobody knows is one line, not a fault", async () => {
  const file = join(folder, "host.toml");
  writeFileSync(file, '[v4.1]\nlisten = "no.such.host.invalid:1883"\n');
  const { status, stderr } = await run(["--config", file]);
  expect(status).toBe(1);
  expect(stderr).toStartWith("millrace: v4-1 cannot listen on no.such.host.invalid:1883: ");
});

for (const section of ["console", "prometheus"]) {
  test(`an address of [${section}] that is taken is told with its line`, async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const file = join(folder, `${section}.toml`);
    writeFileSync(file, `[v4.1]\nlisten = "127.0.0.1:0"\n[${section}]\nlisten = "127.0.0.1:${taken.port}"\n`);
    const { status, stderr } = await run(["--config", file]);
    taken.stop(true);
    expect(status).toBe(1);
    expect(stderr).toStartWith(`millrace: cannot listen on 127.0.0.1:${taken.port}: the port is in use`);
    expect(stderr).toEndWith(` (${file}:3: [${section}], EADDRINUSE)\n`);
  });
}

test("-v shows packets, -vv pings too, -vvv the inner state as well", async () => {
  const heard: Record<string, string[]> = {};
  for (const flag of ["-v", "-vv", "-vvv"]) {
    const program = start(["-c", configFor(0), "--log-format", "json", flag]);
    await program.until("ready");
    if (flag === "-vvv") await program.until("state of the broker");
    const client = await WireClient.open(await program.port(), 4);
    await client.connect({ clientId: "me" });
    await client.expectSilence();
    if (flag === "-vvv") await program.until("state of the connection");
    await client.disconnect();
    await program.until("said DISCONNECT");
    program.kill("SIGTERM");
    const { stdout } = await program.outcome;
    const said = logLines(stdout).map((line) => String(line["msg"]));
    heard[flag] = ["incoming CONNECT", "incoming PINGREQ", "state of the connection"].filter((part) =>
      said.some((message) => message.includes(part)),
    );
  }
  expect(heard).toEqual({
    "-v": ["incoming CONNECT"],
    "-vv": ["incoming CONNECT", "incoming PINGREQ"],
    "-vvv": ["incoming CONNECT", "incoming PINGREQ", "state of the connection"],
  });
});
