// Clients that are silent or slow in their TLS handshake, many more than there are places, on a real listener: whoever
// speaks gets in, and most of them are still there when it has.

import { afterAll, afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TransportSettings } from "../../src/net/transport.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { tlsTransport } from "../support/tls.ts";

const PLACES = 64;
const SILENT = 400;
const CONNECT = Buffer.from("101000044d51545405" + "02" + "003c" + "00" + "0003746c73", "hex");
const CONNACK = 0x20;

const authority = new Authority();
const pair = authority.server();
const ca = readFileSync(authority.cert);
const transport = tlsTransport(pair);

let broker: TestBroker | null = null;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await broker?.stop();
});
afterAll(() => authority.remove());

interface Crowd {
  /** Whom the broker has closed. */
  gone: number;
}

/** So many connections, from the addresses in turn, that send `first` and nothing more, as far as there are places. */
async function crowd(
  port: number,
  addresses: readonly string[],
  first: Buffer | null,
  isSniffing = false,
): Promise<Crowd> {
  const crowd = { gone: 0 };
  const all = Array.from({ length: SILENT }, (_, index) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: addresses[index % addresses.length]! });
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("close", () => void crowd.gone++);
    if (first !== null) socket.write(first);
    return new Promise((resolve) => socket.on("connect", resolve));
  });
  await Promise.all(all);
  const { newcomers, gate } = broker!.broker.host.lobby;
  const filled = isSniffing ? 0 : addresses.length === 1 ? PLACES - 1 : PLACES;
  while (newcomers.size + crowd.gone < SILENT || gate.underWay < filled)
    await new Promise((resolve) => setImmediate(resolve));
  return crowd;
}

/** A client's first packet from the broker. */
function firstPacket(port: number, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const raw = connect({ host: "127.0.0.1", port, localAddress });
    sockets.push(raw);
    const socket = connectTls({ socket: raw, ca, checkServerIdentity: () => undefined });
    sockets.push(socket);
    socket.on("secureConnect", () => socket.write(CONNECT));
    socket.on("data", (chunk: Buffer) => resolve(chunk[0]!));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed")));
  });
}

/** What a client of this machine says first. */
async function clientHello(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (_, chunk) => resolve(Buffer.from(chunk)) },
  });
  const socket = connectTls({ host: "127.0.0.1", port: listener.port });
  sockets.push(socket);
  socket.on("error", () => {});
  const hello = await promise;
  listener.stop(true);
  return hello;
}

async function start(more: Partial<TransportSettings> = {}): Promise<number> {
  broker = await startTestBroker({
    handshakesMax: PLACES,
    listener: { transport: { ...transport, ...more }, allowAnonymous: true, connectTimeoutMs: 60_000 },
  });
  return broker.port;
}

const ONE = ["127.0.0.1"];
/** More than there are places. */
const MANY = Array.from({ length: 200 }, (_, index) => `127.0.1.${index + 1}`);

for (const [from, addresses] of [
  ["one address", ONE],
  ["many addresses", MANY],
] as const) {
  for (const what of ["nothing", "half a ClientHello"] as const) {
    for (const at of ["127.0.0.1", "127.0.0.2"]) {
      test(`a client at ${at} gets in beside ${SILENT} of ${from} that say ${what}`, async () => {
        const port = await start();
        const first = what === "nothing" ? null : (await clientHello()).subarray(0, 100);
        const silent = await crowd(port, addresses, first);
        expect(await firstPacket(port, at)).toBe(CONNACK);
        expect(silent.gone).toBeLessThan(SILENT - PLACES);
        expect(broker!.broker.host.lobby.gate.underWay).toBeGreaterThan(0);
      }, 30_000);
    }
  }
}

test("whoever says no more than its ClientHello leaves a place: a client of another address gets in", async () => {
  const port = await start();
  const slow = await crowd(port, ONE, await clientHello());
  const { gate } = broker!.broker.host.lobby;
  expect(gate.underWay).toBe(PLACES - 1);
  expect(await firstPacket(port, "127.0.0.2")).toBe(CONNACK);
  expect(slow.gone).toBeLessThan(SILENT - PLACES);
}, 30_000);

test("where the first bytes tell, whoever says nothing has no handshake", async () => {
  const port = await start({ isSniffing: true });
  const silent = await crowd(port, ONE, null, true);
  expect(broker!.broker.host.lobby.gate.underWay).toBe(0);
  expect(await firstPacket(port, "127.0.0.1")).toBe(CONNACK);
  expect(silent.gone).toBe(0);
}, 30_000);
