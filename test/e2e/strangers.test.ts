// What comes of clients that nobody has let in yet has little room: whoever fills it with what never ends gives way to
// those that want less of it.

import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { startTestBroker, type TestBroker } from "../support/broker.ts";

const CONNECT = Buffer.from("101000044d51545405" + "02" + "003c" + "00" + "0003746c73", "hex");
/** The beginning of a CONNECT of 240 KiB. */
const ENDLESS = Buffer.concat([Buffer.from("10ffd60e00044d51545405", "hex"), Buffer.alloc(200 * 1024)]);
const COUNT = 4;

let broker: TestBroker | null = null;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await broker?.stop();
});

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

function open(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port });
  sockets.push(socket);
  socket.on("error", () => {});
  return socket;
}

test("a client whose CONNECT comes in parts gets in beside others whose CONNECT never ends", async () => {
  broker = await startTestBroker({ listener: { connectTimeoutMs: 60_000 } });
  const { host, router } = broker.broker;
  const { strangers } = router.budgets;
  let gone = 0;
  for (let i = 0; i < COUNT; i++) {
    const socket = open(broker.port);
    socket.on("close", () => void gone++);
    socket.write(ENDLESS);
  }
  await until(() => strangers.used >= COUNT * ENDLESS.length);
  strangers.take(strangers.bytesMax - strangers.used); // and the rest
  for (let round = 0; round < 3; round++) {
    const good = open(broker.port);
    let answer = "";
    good.on("data", (chunk: Buffer) => {
      answer ||= chunk.toString("hex", 0, 4);
    });
    good.on("close", () => {
      answer ||= "closed";
    });
    good.write(CONNECT.subarray(0, 5));
    await until(() => answer !== "" || [...host.open].some(({ inbound }) => inbound.bytes === 5));
    good.write(CONNECT.subarray(5));
    await until(() => answer !== "");
    expect(answer).toMatch(/^20..0000$/); // CONNACK, Success
    good.destroy();
  }
  expect(gone).toBe(1);
});
