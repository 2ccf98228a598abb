// A real listener on a clock that goes when it is told to.

import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Host } from "../../src/net/host.ts";
import { Listener } from "../../src/net/listener.ts";
import { Router } from "../../src/router/router.ts";
import { listenerDefaults, routerDefaults } from "../support/broker.ts";
import { manualClock } from "../support/clock.ts";

const DELAY_MS = 15_000;
const CONNECT = Buffer.from("101100044d5154540502003c00" + "0004" + "74657374", "hex");
const CONNECTION_RATE_EXCEEDED = 0x9f;

const sockets: Socket[] = [];
let listener: Listener | null = null;
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  listener?.stop();
});

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

test("next_connection_delay_ms: whoever would wait over 30 s is told at once that connections come too fast", async () => {
  const clock = manualClock();
  const scheduler = { soon: queueMicrotask, later: queueMicrotask };
  const router = new Router(routerDefaults, { clock, scheduler, seed: 1 });
  const nobody = { left() {}, identified() {}, connected() {}, closed() {}, pressed() {}, turnedAway() {} };
  const host = new Host(router, nobody, "assigned-");
  listener = new Listener({ ...listenerDefaults, nextConnectionDelayMs: DELAY_MS }, host);
  await listener.start();
  const { port } = listener;
  const answers: string[] = [];
  let count = 0;
  /** Connects, says CONNECT, and is accepted. */
  const come = async (): Promise<void> => {
    const name = `${count++}`;
    const socket = connect({ host: "127.0.0.1", port });
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => void answers.push(`${name}: ${chunk[3]}`));
    socket.write(CONNECT);
    const { sockets: before } = host.stats;
    await until(() => host.stats.sockets > before);
  };
  await come();
  await until(() => answers.length === 1);
  await come(); // in 15 s
  await come(); // in 30 s
  await come(); // would be in 45 s
  await until(() => answers.length === 2);
  expect(answers).toEqual(["0: 0", `3: ${CONNECTION_RATE_EXCEEDED}`]);
  expect(host.lobby.newcomers.size).toBe(2);
  clock.pass(DELAY_MS - 1);
  await come();
  await until(() => answers.length === 3);
  clock.pass(1);
  await come(); // in 30 s again
  expect(answers.slice(2)).toEqual([`4: ${CONNECTION_RATE_EXCEEDED}`]);
  expect(host.lobby.newcomers.size).toBe(3);
});
