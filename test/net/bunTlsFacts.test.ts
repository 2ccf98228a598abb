// What this broker relies on of Bun's TLS, most of which Bun promises nowhere: an accepted socket is upgraded where it
// stands, with bytes that were read already. A version of Bun that breaks one of these must not pass unnoticed.

import { afterAll, afterEach, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, createSecureContext, type TLSSocket } from "node:tls";
import { Authority } from "../support/certificates.ts";

const authority = new Authority();
afterAll(() => authority.remove());
const pair = authority.server();
const other = authority.server("other.example");
const read = (path: string): string => readFileSync(path, "utf8");
const context = createSecureContext({ cert: read(pair.cert), key: read(pair.key), ca: read(authority.cert) });
const otherContext = createSecureContext({ cert: read(other.cert), key: read(other.key) });

type Raw = Socket<{ upgraded: boolean } | undefined>;
type Secure = Socket<unknown> & { write(bytes: Uint8Array, at: number, length: number): number };

interface Server {
  readonly port: number;
  /** In the order in which they happened. */
  readonly events: string[];
  /** Both halves of each upgraded socket. */
  readonly sockets: { raw: Secure; tls: Secure }[];
  readonly chunks: Buffer[];
}

const servers: TCPSocketListener<unknown>[] = [];
const clients: { destroy(): void }[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  for (const server of servers.splice(0)) server.stop(true);
});

/** A server that upgrades every socket with its first chunk. */
function serve(policy = { requestCert: false, rejectUnauthorized: false }): Server {
  const server: { -readonly [K in keyof Server]: Server[K] } = {
    port: 0,
    events: [],
    sockets: [],
    chunks: [],
  };
  const { events, sockets, chunks } = server;
  const handlers = {
    open: () => void events.push("open"),
    handshake(socket: Secure, success: boolean, error: { code?: string } | null) {
      const subject = socket.getPeerX509Certificate?.()?.subject ?? "";
      events.push(`handshake ${success} ${socket.authorized} ${error?.code ?? ""} ${subject}`);
    },
    data(_: Secure, chunk: Buffer) {
      events.push("data");
      chunks.push(chunk);
    },
    drain: () => void events.push("drain"),
    end: () => void events.push("end"),
    close: () => void events.push("close"),
    error: () => {},
    serverName(data: unknown, name: string) {
      events.push(`name ${name} ${data === server}`);
      return name === "other.example" ? otherContext.context : undefined;
    },
  };
  const listener = Bun.listen<Raw["data"]>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, chunk) {
        if (socket.data?.upgraded) {
          events.push("tapped");
          return;
        }
        socket.data = { upgraded: true };
        const upgrade = socket.upgradeTLS.bind(socket) as unknown as (options: object) => [Secure, Secure];
        const [raw, tls] = upgrade({
          isServer: true,
          secureContext: context.context,
          tls: policy,
          initialData: chunk,
          data: server,
          socket: handlers,
        });
        sockets.push({ raw, tls });
      },
      drain() {},
    },
  });
  servers.push(listener);
  server.port = listener.port;
  return server;
}

interface ClientOptions {
  readonly version?: "TLSv1.2" | "TLSv1.3";
  readonly name?: string;
  readonly certificate?: { cert: string; key: string };
}

function client(port: number, { version, name, certificate }: ClientOptions = {}): TLSSocket {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca: read(authority.cert),
    checkServerIdentity: () => undefined,
    ...(name === undefined ? {} : { servername: name }),
    ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
    ...(certificate === undefined ? {} : { cert: read(certificate.cert), key: read(certificate.key) }),
  });
  socket.on("error", () => {});
  clients.push(socket);
  return socket;
}

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!done()) {
    if (performance.now() > end) throw new Error("did not happen");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const has = (server: Server, event: string): boolean => server.events.some((one) => one.startsWith(event));

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: bytes that were read before the upgrade count, and plain text comes in chunks of its own`, async () => {
    const server = serve();
    const socket = client(server.port, { version });
    socket.write(Buffer.alloc(3_000_000, 7));
    await until(() => server.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === 3_000_000);
    expect(server.events[0]).toBe("open");
    expect(server.events.indexOf("data")).toBeGreaterThan(
      server.events.findIndex((event) => event.startsWith("handshake true")),
    );
    for (const chunk of server.chunks) {
      expect(chunk.buffer.byteLength).toBe(chunk.length);
      expect(chunk.length).toBeLessThanOrEqual(512 * 1024);
    }
  });

  test(`${version}: a short write keeps nothing: whatever is written next follows what was taken`, async () => {
    const server = serve();
    const socket = client(server.port, { version });
    const theirs = createHash("md5");
    let got = 0;
    socket.on("data", (chunk: Buffer) => {
      theirs.update(chunk);
      got += chunk.length;
    });
    await until(() => has(server, "handshake true"));
    const { tls } = server.sockets[0]!;
    socket.pause();
    const ours = createHash("md5");
    const bytes = Buffer.alloc(1_000_000);
    let [sent, short] = [0, 0];
    for (let round = 0; sent < 24_000_000; round++) {
      bytes.fill(round & 0xff);
      bytes.writeUInt32LE(round, 0);
      const length = 1 + ((round * 7919) % bytes.length);
      const took = tls.write(bytes, 0, length);
      if (took > 0) {
        ours.update(bytes.subarray(0, took));
        sent += took;
      }
      if (took === length) continue;
      expect(took).toBeGreaterThanOrEqual(0);
      if (++short > 3) socket.resume();
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.resume();
    await until(() => got === sent);
    expect(short).toBeGreaterThan(0);
    expect(theirs.digest("hex")).toBe(ours.digest("hex"));
  });
}

test("nothing is taken before the handshake, and a closed socket takes nothing", async () => {
  const server = serve();
  const socket = connectTcp(server.port, "127.0.0.1", () => socket.write(Buffer.from("160301", "hex")));
  clients.push(socket);
  await until(() => server.sockets.length === 1);
  const { tls, raw } = server.sockets[0]!;
  expect(tls.write(Buffer.from("early"), 0, 5)).toBe(0);
  raw.terminate();
  await until(() => has(server, "close"));
  expect(tls.write(Buffer.from("late"), 0, 4)).toBeLessThanOrEqual(0);
});

test("serverName is asked before the handshake is answered, with the socket's data, and may choose another context", async () => {
  const server = serve();
  const named = client(server.port, { name: "other.example" });
  await until(() => has(server, "handshake true"));
  expect(server.events.indexOf("name other.example true")).toBe(1);
  expect(named.getPeerCertificate().subject.CN).toBe("other.example");
  const plain = client(server.port);
  await until(() => server.events.filter((event) => event.startsWith("handshake true")).length === 2);
  expect(plain.getPeerCertificate().subject.CN).toBe("localhost");
});

test("the policy of the upgrade asks for certificates and tells whether they are good", async () => {
  const alice = authority.issue({ subject: "/CN=alice" });
  const evil = new Authority("Evil");
  const mallory = evil.issue({ subject: "/CN=mallory" });
  const optional = serve({ requestCert: true, rejectUnauthorized: false });
  for (const [certificate, event] of [
    [alice, "handshake true true  CN=alice"],
    [mallory, "handshake true false UNABLE_TO_VERIFY_LEAF_SIGNATURE CN=mallory"],
    [undefined, "handshake true false UNABLE_TO_GET_ISSUER_CERT "],
  ] as const) {
    client(optional.port, certificate === undefined ? {} : { certificate });
    await until(() => optional.events.includes(event));
  }
  const required = serve({ requestCert: true, rejectUnauthorized: true });
  client(required.port);
  await until(() => has(required, "handshake false false EPROTO"));
  client(required.port, { certificate: mallory });
  await until(() => has(required, "handshake true false UNABLE_TO_VERIFY_LEAF_SIGNATURE CN=mallory"));
  await until(() => required.events.filter((event) => event === "close").length === 2);
  evil.remove();
});

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: the cipher is known as soon as the ClientHello is whole, and not before`, async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const tap = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_, chunk) => resolve(chunk) },
    });
    servers.push(tap);
    client(tap.port, { version });
    const hello = await promise;
    const server = serve();
    const socket = connectTcp(server.port, "127.0.0.1");
    clients.push(socket);
    socket.write(hello.subarray(0, 100));
    await until(() => server.sockets.length === 1);
    const { tls } = server.sockets[0]!;
    const cipher = (): string | null => (tls as unknown as TLSSocket).getCipher().name;
    expect(cipher()).toBeNull();
    socket.write(hello.subarray(100));
    await until(() => cipher() !== null);
    expect(has(server, "handshake")).toBe(false);
  });
}

test("a handshake that is no handshake fails at once; one that is cut says so", async () => {
  const server = serve();
  const garbage = connectTcp(server.port, "127.0.0.1", () => garbage.write("\x16\x03\x01\x00\x05hello"));
  clients.push(garbage);
  await until(() => has(server, "handshake false false EPROTO") && has(server, "close"));
  const cut = connectTcp(server.port, "127.0.0.1", () => cut.write("\x16\x03\x01"));
  clients.push(cut);
  await until(() => server.sockets.length === 2);
  cut.destroy();
  await until(() => has(server, "handshake false false ECONNRESET"));
});

test("pause is immediate, as without TLS", async () => {
  const server = serve();
  const socket = client(server.port);
  await until(() => has(server, "handshake true"));
  const { tls } = server.sockets[0]!;
  tls.pause();
  socket.write(Buffer.alloc(100_000));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(server.chunks).toHaveLength(0);
  tls.resume();
  await until(() => server.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === 100_000);
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** A client that has stopped: it neither reads nor answers close_notify. */
async function stoppedClient(port: number): Promise<() => void> {
  const code = `const t = require("node:tls"), s = t.connect({ host: "127.0.0.1", port: ${port}, rejectUnauthorized: false },
    () => { s.on("data", () => {}); setTimeout(() => process.kill(process.pid, "SIGSTOP"), 100); });`;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "ignore", stderr: "ignore" });
  return () => child.kill(9);
}

test("close_notify and a close below TLS leave no descriptor behind, whatever the client does", async () => {
  const server = serve();
  const before = descriptors();
  const kills = await Promise.all([stoppedClient(server.port), stoppedClient(server.port)]);
  await until(() => server.events.filter((event) => event.startsWith("handshake true")).length === 2);
  const spawned = descriptors();
  const [idle, full] = server.sockets as [Server["sockets"][0], Server["sockets"][0]];
  const bytes = Buffer.alloc(1 << 22);
  while (full.tls.write(bytes, 0, bytes.length) > 0);
  for (const { tls, raw } of [idle, full]) {
    tls.shutdown();
    raw.shutdown();
    raw.end();
  }
  await until(() => server.events.filter((event) => event === "close").length === 2);
  expect(descriptors()).toBe(spawned - 2);
  expect(before).toBeLessThan(spawned);
  for (const kill of kills) kill();
});

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: what was taken before that close arrives, and the client sees a clean end`, async () => {
    const server = serve();
    const socket = client(server.port, { version });
    const got: Buffer[] = [];
    let end = "";
    socket.on("data", (chunk: Buffer) => got.push(chunk));
    socket.on("end", () => {
      end ||= "end";
    });
    socket.on("error", () => {
      end ||= "error";
    });
    await until(() => has(server, "handshake true"));
    const { tls, raw } = server.sockets[0]!;
    const bytes = Buffer.alloc(50_000, 3);
    expect(tls.write(bytes, 0, bytes.length)).toBe(bytes.length);
    tls.shutdown();
    raw.shutdown();
    raw.end();
    await until(() => end !== "");
    expect(end).toBe("end");
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
  });
}

test("a listener without a data callback is upgraded unread, paused or not, and no copy of what TLS reads is made", async () => {
  const events: string[] = [];
  let count = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        const begin = (): void => {
          const upgrade = socket.upgradeTLS.bind(socket) as unknown as (options: object) => [Secure, Secure];
          upgrade({
            isServer: true,
            secureContext: context.context,
            initialData: Buffer.alloc(0),
            socket: { data: (_: Secure, chunk: Buffer) => void events.push(`data ${chunk.length}`) },
          });
        };
        if (count++ % 2 === 0) begin();
        else {
          socket.pause();
          setImmediate(() => setImmediate(begin));
        }
      },
      drain() {},
    },
  });
  servers.push(listener);
  for (let index = 0; index < 4; index++) client(listener.port).write("hello");
  await until(() => events.filter((event) => event === "data 5").length === 4);
});

test("reload gives the sockets of a listener other callbacks, those that stand too", async () => {
  const events: string[] = [];
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: () => void events.push("open"), drain() {} },
  });
  servers.push(listener);
  const one = connectTcp(listener.port, "127.0.0.1");
  clients.push(one);
  await until(() => events.length === 1);
  listener.reload({ socket: { data: (_, chunk) => void events.push(`${chunk}`) } });
  one.write("heard");
  const two = connectTcp(listener.port, "127.0.0.1", () => two.write("too"));
  clients.push(two);
  await until(() => events.includes("heard") && events.includes("too"));
});
