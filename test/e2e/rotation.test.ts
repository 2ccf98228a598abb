// Files of TLS that are replaced while clients are at work: nobody is cut, newcomers get what is new, and what is
// broken changes nothing.

import { afterAll, afterEach, expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { connectAsync, type MqttClient } from "mqtt";
import type { Logger } from "../../src/base/logger.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority, type Pair } from "../support/certificates.ts";
import { mutual, tlsTransport } from "../support/tls.ts";

const authority = new Authority();
const ca = readFileSync(authority.cert);
const live: Pair = { cert: authority.path("live.pem"), key: authority.path("live.key") };
const first = authority.server("localhost", "first");
const second = authority.server("localhost", "second");
const clients: MqttClient[] = [];
let broker: TestBroker | null = null;
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker?.stop();
});
afterAll(() => authority.remove());

interface Line {
  readonly level: string;
  readonly message: string;
}

function install({ cert, key }: Pair): void {
  copyFileSync(cert, live.cert);
  copyFileSync(key, live.key);
}

async function start(more = {}): Promise<{ broker: TestBroker; lines: Line[] }> {
  install(first);
  const lines: Line[] = [];
  const say =
    (level: string) =>
    (_: object, message: string): void =>
      void lines.push({ level, message });
  const logger = {
    debug() {},
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    isEnabled: () => true,
  };
  broker = await startTestBroker({
    listener: { transport: tlsTransport(live, more), allowAnonymous: true },
    logger: logger as unknown as Logger,
  });
  return { broker, lines };
}

async function client(port: number, pair?: Pair): Promise<MqttClient> {
  const shown = pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const one = await connectAsync(`mqtts://localhost:${port}`, { ca, reconnectPeriod: 0, ...shown }, false);
  clients.push(one);
  return one;
}

/** The serial number of the certificate that the server shows. */
async function serialAt(port: number): Promise<string> {
  const socket: TLSSocket = connectTls({ host: "127.0.0.1", port, ca, checkServerIdentity: () => undefined });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

function serialOf({ cert }: Pair): string {
  const run = Bun.spawnSync(["openssl", "x509", "-in", cert, "-noout", "-serial"]);
  return run.stdout.toString().trim().replace("serial=", "");
}

test("rotation under load: every message arrives, no connection is lost, newcomers get the new certificate", async () => {
  const { broker: one } = await start();
  const reader = await client(one.port);
  await reader.subscribeAsync("load", { qos: 1 });
  const got: number[] = [];
  const closed: string[] = [];
  reader.on("message", (_, payload) => got.push(Number(payload.toString())));
  reader.on("close", () => closed.push("reader"));
  const publisher = await client(one.port);
  publisher.on("close", () => closed.push("publisher"));
  const serials = new Set<string>();
  let sent = 0;
  for (const pair of [second, first, second, first, second]) {
    install(pair);
    one.broker.reload();
    const batch = Array.from({ length: 200 }, () => publisher.publishAsync("load", `${sent++}`, { qos: 1 }));
    const newcomers = await Promise.all(Array.from({ length: 10 }, () => serialAt(one.port)));
    expect(new Set(newcomers)).toEqual(new Set([serialOf(pair)]));
    serials.add(newcomers[0]!);
    await Promise.all(batch);
  }
  const last = new Promise<void>((resolve) => reader.on("message", () => got.length >= sent && resolve()));
  await publisher.publishAsync("load", `${sent++}`, { qos: 1 });
  await last;
  expect(got).toEqual(Array.from({ length: sent }, (_, index) => index));
  expect([serials.size, closed]).toEqual([2, []]);
});

test("files that are replaced are noticed without a signal", async () => {
  const { broker: one, lines } = await start();
  install(second);
  for (let i = 0; i < 3; i++) one.broker.files.look();
  expect(await serialAt(one.port)).toBe(serialOf(second));
  expect(lines.filter(({ message }) => message.includes("[v4.1.tls]"))).toEqual([
    { level: "info", message: "[v4.1.tls]: the files are loaded anew" },
  ]);
});

test("a broken file is refused in one line, and what was loaded stays", async () => {
  const { broker: one, lines } = await start();
  const breaks: readonly (readonly [path: string, text: string, reason: string])[] = [
    [live.cert, "nonsense", "it holds no certificate in PEM"],
    [live.cert, readFileSync(first.cert, "utf8").replace("MII", "AAA"), "its certificate 1 of 1 is broken"],
    [live.key, readFileSync(second.key, "utf8"), `it is not the key of ${live.cert}`],
    [live.key, "", "it holds no private key in PEM"],
  ];
  for (const [path, text, reason] of breaks) {
    install(first);
    writeFileSync(path, text);
    lines.length = 0;
    one.broker.reload();
    expect(lines).toHaveLength(1);
    expect(lines[0]?.level).toBe("error");
    const key = path === live.cert ? "certpath" : "keypath";
    expect(lines[0]?.message).toStartWith(`[v4.1.tls] ${key} = "${path}": ${reason}`);
    expect(lines[0]?.message).toEndWith("; what was loaded before stays");
    expect(await serialAt(one.port)).toBe(serialOf(first));
  }
  install(second);
  one.broker.reload();
  expect(await serialAt(one.port)).toBe(serialOf(second));
});

test("a new CRL shuts its certificates out, and leaves the connections that stand", async () => {
  const [alice, bob] = [authority.issue({ subject: "/CN=alice" }), authority.issue({ subject: "/CN=bob" })];
  const revokedPath = authority.revoke([]);
  const { broker: one } = await start(mutual(authority, { revokedPath }));
  const before = await client(one.port, bob);
  authority.revoke([bob]);
  one.broker.reload();
  await expect(client(one.port, bob)).rejects.toThrow();
  await client(one.port, alice);
  await before.subscribeAsync("still");
  expect(before.connected).toBe(true);
});

test("a new authority is asked from then on", async () => {
  const other = new Authority("Other");
  const file = authority.path("authorities.pem");
  copyFileSync(authority.cert, file);
  const { broker: one } = await start(mutual(authority, { authoritiesPath: file }));
  const carol = other.issue({ subject: "/CN=carol" });
  await expect(client(one.port, carol)).rejects.toThrow();
  writeFileSync(file, readFileSync(authority.cert, "utf8") + readFileSync(other.cert, "utf8"));
  one.broker.reload();
  expect((await client(one.port, carol)).connected).toBe(true);
  other.remove();
});
