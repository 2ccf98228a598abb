// What this broker relies on of Bun's sockets and event loop, beyond what Bun promises. A version of Bun that breaks
// one of these must not pass unnoticed.

import { afterEach, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";

type Any = { id: number };

const CHUNK_BYTES_MAX = 512 * 1024;

const servers: TCPSocketListener<Any>[] = [];
const clients: Socket<Any>[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.terminate();
  for (const server of servers.splice(0)) server.stop(true);
});

/** A server whose sockets are numbered in the order in which they were opened. */
function serve(data: (socket: Socket<Any>, chunk: Buffer) => void, opened: Socket<Any>[] = []): number {
  const server = Bun.listen<Any>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { id: opened.length };
        opened.push(socket);
      },
      data,
    },
  });
  servers.push(server);
  return server.port;
}

async function connect(port: number, drain: () => void = () => {}): Promise<Socket<Any>> {
  const client = await Bun.connect<Any>({ hostname: "127.0.0.1", port, socket: { data() {}, drain } });
  clients.push(client);
  return client;
}

/** Resolves after `turns` visits to the poll. */
async function polls(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((done) => setImmediate(done));
}

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!done()) {
    if (performance.now() > end) throw new Error("did not happen");
    await polls(1);
  }
}

test("data hands out a fresh buffer of exactly the chunk's size, at most 512 KiB", async () => {
  const chunks: Buffer[] = [];
  let received = 0;
  const port = serve((_, chunk) => {
    chunks.push(chunk);
    received += chunk.length;
  });
  const bytes = Buffer.alloc(3_000_000, 1);
  let sent = 0;
  const pump = (): void => {
    sent += client.write(bytes, sent, bytes.length - sent);
  };
  const client = await connect(port, pump);
  pump();
  await until(() => received === bytes.length);
  for (const chunk of chunks) {
    expect(chunk.length).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
    expect(chunk.buffer.byteLength).toBe(chunk.length);
  }
  expect(new Set(chunks.map((chunk) => chunk.buffer)).size).toBe(chunks.length);
});

test("write copies before it returns, says how much it took and buffers nothing itself", async () => {
  const got: Buffer[] = [];
  const port = serve((_, chunk) => void got.push(chunk));
  const client = await connect(port);
  const bytes = Buffer.from("..hello..");
  expect(client.write(bytes, 2, 5)).toBe(5);
  bytes.fill(0);
  await until(() => got.length > 0);
  expect(Buffer.concat(got).toString()).toBe("hello");

  const opened: Socket<Any>[] = [];
  const deaf = serve(() => {}, opened);
  const writer = await connect(deaf);
  await until(() => opened.length === 1);
  opened[0]!.pause();
  const large = Buffer.alloc(8 * 1024 * 1024);
  let took = 0;
  let last = writer.write(large, 0, large.length);
  while (last > 0) {
    took += last;
    last = writer.write(large, 0, large.length);
  }
  expect(last).toBe(0);
  expect(took).toBeGreaterThan(0);
});

test("write to a socket that has been ended returns a negative number or nothing", async () => {
  const port = serve(() => {});
  const client = await connect(port);
  client.end();
  expect(client.write(Buffer.from("x"), 0, 1)).toBeLessThanOrEqual(0);
});

test("pause is immediate: neither the socket itself nor one that is ready in the same poll delivers", async () => {
  const opened: Socket<Any>[] = [];
  const order: number[] = [];
  const port = serve((socket) => {
    order.push(socket.data.id);
    for (const other of opened) other.pause();
  }, opened);
  const three = [await connect(port), await connect(port), await connect(port)];
  await until(() => opened.length === 3);
  for (const client of three) client.write(Buffer.alloc(100_000));
  await until(() => order.length > 0);
  for (const client of three) client.write(Buffer.alloc(1_000));
  await polls(20);
  expect(order.length).toBe(1);
  for (const socket of opened) socket.resume();
  await until(() => order.length > 1);
});

test("microtasks drain after every data callback, setImmediate runs after the poll's last one", async () => {
  const events: string[] = [];
  const opened: Socket<Any>[] = [];
  const port = serve((socket) => {
    events.push(`data ${socket.data.id}`);
    queueMicrotask(() => events.push(`microtask ${socket.data.id}`));
    if (events.length === 1) setImmediate(() => events.push("immediate"));
  }, opened);
  const two = [await connect(port), await connect(port)];
  await until(() => opened.length === 2);
  for (const client of two) client.write(Buffer.from("x"));
  await until(() => events.includes("immediate") && events.length === 5);
  expect(events.indexOf("microtask 0")).toBe(events.indexOf("data 0") + 1);
  expect(events.indexOf("microtask 1")).toBe(events.indexOf("data 1") + 1);
  expect(events.indexOf("immediate")).toBeGreaterThan(1);
});
