// Sockets of every kind end to end: Unix, IPv6, behind a proxy, everything on one port; and how many may come.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect as connectNet } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync, type IClientOptions, MqttClient } from "mqtt";
import { PLAIN_TCP, type TransportSettings } from "../../src/net/transport.ts";
import { type BrokerOverrides, startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { inetBody, proxyV2, sslValue } from "../support/proxyHeader.ts";
import { tlsSettings } from "../support/tls.ts";

const TIMEOUT_MS = 20_000;
const folder = mkdtempSync(join(tmpdir(), "millrace-sockets-"));
const authority = new Authority();
const server = authority.server();
const ca = readFileSync(authority.cert);
const brokers: TestBroker[] = [];
const ends: (() => void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});
afterAll(() => {
  authority.remove();
  rmSync(folder, { recursive: true });
});

async function brokerWith(
  transport: Partial<TransportSettings>,
  more: BrokerOverrides["listener"] = {},
): Promise<TestBroker> {
  const broker = await startTestBroker({ listener: { transport: { ...PLAIN_TCP, ...transport }, ...more } });
  brokers.push(broker);
  return broker;
}

async function client(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const one = await connectAsync(url, { ca, reconnectPeriod: 0, ...options }, false);
  one.on("error", () => {});
  ends.push(() => one.end(true));
  return one;
}

/** Publishes to itself. */
async function echoes(one: MqttClient): Promise<void> {
  const received = new Promise<string>((resolve) => one.on("message", (_, payload) => resolve(`${payload}`)));
  await one.subscribeAsync("echo", { qos: 1 });
  await one.publishAsync("echo", "heard", { qos: 1 });
  expect(await received).toBe("heard");
}

const connectOf = (level: number, id: string): Buffer => {
  const properties = level === 5 ? [0] : [];
  const name = level === 3 ? [0, 6, ...Buffer.from("MQIsdp")] : [0, 4, ...Buffer.from("MQTT")];
  const body = [...name, level, 2, 0, 60, ...properties, 0, id.length, ...Buffer.from(id)];
  return Buffer.from([0x10, body.length, ...body]);
};

interface Answer {
  /** CONNACK's code, undefined when the socket was closed without one. */
  readonly code: number | undefined;
  end(): void;
}

/** Says `bytes` and waits for CONNACK, or the close. */
function says(port: number, bytes: Buffer, localAddress = "127.0.0.1"): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connectNet({ port, host: "127.0.0.1", localAddress }, () => socket.write(bytes));
    const end = (): void => void socket.destroy();
    ends.push(end);
    socket.once("data", (chunk: Buffer) => resolve({ code: chunk[3], end }));
    socket.once("error", () => {});
    socket.once("close", () => resolve({ code: undefined, end }));
  });
}

// ---- Unix sockets

describe("a Unix socket", () => {
  const overUnix = (path: string): Promise<MqttClient> =>
    new Promise((resolve, reject) => {
      const one = new MqttClient(() => connectNet(path), { reconnectPeriod: 0 });
      ends.push(() => one.end(true));
      one.once("connect", () => resolve(one)).once("error", reject);
    });

  test("has its mode, carries MQTT, and is removed at the end", async () => {
    const path = join(folder, "one.sock");
    const broker = await brokerWith({ unix: { path, mode: 0o640 } });
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(broker.broker.listeners[0]).toMatchObject({ host: path, port: 0, transports: ["unix"] });
    await echoes(await overUnix(path));
    expect([...broker.broker.host.open].map(({ remoteAddress }) => remoteAddress)).toEqual(["unix"]);
    await broker.stop();
    expect(existsSync(path)).toBe(false);
  });

  test("that a process left is replaced", async () => {
    const path = join(folder, "stale.sock");
    const child = Bun.spawn([
      process.execPath,
      "-e",
      `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); process.kill(process.pid, 9);`,
    ]);
    await child.exited;
    expect(statSync(path).isSocket()).toBe(true);
    await brokerWith({ unix: { path, mode: 0o600 } });
    await echoes(await overUnix(path));
  });

  test("that somebody listens on, or that is something else, is left alone", async () => {
    const path = join(folder, "live.sock");
    await brokerWith({ unix: { path, mode: 0o600 } });
    const fails = async (at: string): Promise<string> =>
      brokerWith({ unix: { path: at, mode: 0o600 } }).then(
        () => "listens",
        (error: { code?: string; address?: string }) => `${error.code} ${error.address}`,
      );
    expect(await fails(path)).toBe(`EADDRINUSE ${path}`);
    await echoes(await overUnix(path));
    const file = join(folder, "file");
    writeFileSync(file, "precious");
    expect(await fails(file)).toBe(`EEXIST ${file}`);
    expect(readFileSync(file, "utf8")).toBe("precious");
    const nowhere = join(folder, "no", "such", "folder.sock");
    expect(await fails(nowhere)).toBe(`ENOENT ${nowhere}`);
  });

  test("carries TLS and WebSocket too", async () => {
    const path = join(folder, "secure.sock");
    await brokerWith({ unix: { path, mode: 0o600 }, tls: tlsSettings(server) });
    const { connect } = await import("node:tls");
    const one = new MqttClient(() => connect({ path, ca, servername: "localhost" }), { reconnectPeriod: 0 });
    ends.push(() => one.end(true));
    await new Promise((resolve, reject) => one.once("connect", resolve).once("error", reject));
    await echoes(one);
  });
});

// ---- IPv6

const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);

test.skipIf(!hasIPv6)("IPv6 listeners take IPv6 clients, and IPv4 clients by their own address", async () => {
  const six = await brokerWith({}, { host: "::1" });
  const sixth = new MqttClient(() => connectNet(six.port, "::1"), { reconnectPeriod: 0 });
  ends.push(() => sixth.end(true));
  await new Promise((resolve, reject) => sixth.once("connect", resolve).once("error", reject));
  await echoes(sixth);
  expect([...six.broker.host.open][0]?.remoteAddress).toBe("::1");
  const both = await brokerWith({}, { host: "::" });
  await echoes(await client(`mqtt://127.0.0.1:${both.port}`));
  expect([...both.broker.host.open][0]?.remoteAddress).toBe("127.0.0.1");
});

// ---- PROXY

describe("PROXY headers", () => {
  const proxied = { trustedProxies: ["127.0.0.1", "10.0.0.0/8"] };

  test("tell where the client is, and its certificate's name", async () => {
    const broker = await brokerWith(proxied);
    const v1 = Buffer.from("PROXY TCP6 2001:db8::7 ::1 4000 1883\r\n");
    const body = Buffer.concat([inetBody("192.0.2.8"), sslValue({ commonName: "alice" })]);
    expect((await says(broker.port, Buffer.concat([v1, connectOf(5, "one")]))).code).toBe(0);
    expect(
      (await says(broker.port, Buffer.concat([proxyV2(0x21, 0x11, body), connectOf(4, "two")]))).code,
    ).toBe(0);
    const seen = [...broker.broker.host.open].map(({ remoteAddress, certificate }) => [
      remoteAddress,
      certificate?.commonName,
    ]);
    expect(seen).toEqual([
      ["2001:db8::7", undefined],
      ["192.0.2.8", "alice"],
    ]);
  });

  test("stand before TLS", async () => {
    const broker = await brokerWith({ ...proxied, tls: tlsSettings(server) });
    const raw = connectNet(broker.port, "127.0.0.1");
    raw.write(Buffer.from("PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n"));
    const { connect } = await import("node:tls");
    const one = new MqttClient(() => connect({ socket: raw, ca, servername: "localhost" }), {
      reconnectPeriod: 0,
    });
    ends.push(() => one.end(true));
    await new Promise((resolve, reject) => one.once("connect", resolve).once("error", reject));
    await echoes(one);
    expect([...broker.broker.host.open][0]?.remoteAddress).toBe("192.0.2.9");
  });

  test("are taken from trusted proxies alone, and must be there", async () => {
    const broker = await brokerWith(proxied);
    const header = Buffer.from("PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n");
    const both = Buffer.concat([header, connectOf(5, "x")]);
    expect((await says(broker.port, both, "127.0.0.2")).code).toBeUndefined();
    expect((await says(broker.port, connectOf(5, "x"))).code).toBeUndefined();
    expect((await says(broker.port, both)).code).toBe(0);
  });

  test("where none is expected, one is no CONNECT", async () => {
    const broker = await brokerWith({});
    expect(
      (await says(broker.port, Buffer.from("PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n"))).code,
    ).toBeUndefined();
  });
});

// ---- one port for everything

test(
  "sniff: TCP, TLS, WebSocket and WebSocket in TLS on one port",
  async () => {
    const webSocket = { path: "/mqtt", origins: ["*"], compression: false };
    const { port } = await brokerWith({ isSniffing: true, tls: tlsSettings(server), webSocket });
    const all = [
      `mqtt://127.0.0.1:${port}`,
      `mqtts://localhost:${port}`,
      `ws://127.0.0.1:${port}/mqtt`,
      `wss://localhost:${port}/mqtt`,
    ];
    const clients = await Promise.all(all.map((url) => client(url)));
    const heard = clients.map(async (one) => {
      await one.subscribeAsync("all", { qos: 1 });
      return new Promise<string[]>((resolve) => {
        const got: string[] = [];
        one.on("message", (_, payload) => {
          got.push(`${payload}`);
          if (got.length === all.length) resolve(got.toSorted());
        });
      });
    });
    await Promise.all(clients.map((one) => one.publishAsync("ready", "", { qos: 1 })));
    await Promise.all(clients.map((one, index) => one.publishAsync("all", `${index}`, { qos: 1 })));
    expect(await Promise.all(heard)).toEqual(all.map(() => ["0", "1", "2", "3"]));
    await new Promise<void>((resolve) => {
      const odd = connectNet(port, "127.0.0.1", () => odd.write("hello"));
      odd.once("close", () => resolve());
      odd.once("error", () => {});
    });
  },
  TIMEOUT_MS,
);

// ---- limits of addresses

describe("limits per address", () => {
  test("connections beyond them get 0x97, or 3 before MQTT 5, others do not; a client may come back", async () => {
    const { port } = await brokerWith({ connectionsPerAddress: 2 });
    const first = await says(port, connectOf(5, "one"));
    expect(first.code).toBe(0);
    expect((await says(port, connectOf(5, "two"))).code).toBe(0);
    for (const [level, code] of [
      [3, 3],
      [4, 3],
      [5, 0x97],
    ] as const) {
      expect((await says(port, connectOf(level, `more${level}`))).code).toBe(code);
    }
    expect((await says(port, connectOf(5, "elsewhere"), "127.0.0.2")).code).toBe(0);
    expect((await says(port, connectOf(5, "one"))).code).toBe(0); // takes over
    expect((await says(port, connectOf(5, "three"))).code).toBe(0x97);
  });

  test("connections that come too fast get 0x9F, or 3 before MQTT 5", async () => {
    const { port } = await brokerWith({ ratePerAddress: 1 });
    expect((await says(port, connectOf(5, "fine"))).code).toBe(0);
    const late = await Promise.all([5, 4, 3].map((level) => says(port, connectOf(level, `fast${level}`))));
    expect(late.map(({ code }) => code)).toEqual([0x9f, 3, 3]);
    expect((await says(port, connectOf(5, "elsewhere"), "127.0.0.2")).code).toBe(0);
  });

  test("behind a proxy, they hold for the client's address", async () => {
    const { port } = await brokerWith({ connectionsPerAddress: 1, trustedProxies: ["127.0.0.0/8"] });
    const from = (address: string, id: string): Buffer =>
      Buffer.concat([proxyV2(0x21, 0x11, inetBody(address)), connectOf(5, id)]);
    expect((await says(port, from("192.0.2.1", "one"))).code).toBe(0);
    expect((await says(port, from("192.0.2.2", "two"))).code).toBe(0);
    expect((await says(port, from("192.0.2.1", "three"))).code).toBe(0x97);
  });
});

// ---- handshakes

test(
  "a thousand handshakes that stop half way delay nobody, and end with their time",
  async () => {
    const broker = await brokerWith({ tls: tlsSettings(server) });
    const { port } = broker;
    const slow: { closed: Promise<void>; isClosed: boolean }[] = [];
    const HALVES = [Buffer.alloc(0), Buffer.from("16", "hex"), Buffer.from("160301020001", "hex")];
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => {
        return new Promise<void>((resolve) => {
          const socket = connectNet(port, "127.0.0.1", () => {
            if (index % 3 > 0) socket.write(HALVES[index % 3]!);
            resolve();
          });
          socket.on("error", () => {});
          ends.push(() => socket.destroy());
          const one = { closed: Promise.resolve(), isClosed: false };
          one.closed = new Promise<void>((done) => {
            socket.on("close", () => {
              one.isClosed = true;
              done();
            });
          });
          slow.push(one);
        });
      }),
    );
    for (let index = 0; index < 5; index++) await echoes(await client(`mqtts://localhost:${port}`));
    // All of them were there all the time: what the good ones had, they had beside them.
    expect(slow.filter(({ isClosed }) => isClosed)).toEqual([]);
    await Promise.all(slow.map(({ closed }) => closed));
    expect(broker.broker.host.lobby.newcomers.size).toBe(0);
    await echoes(await client(`mqtts://localhost:${port}`));
  },
  TIMEOUT_MS,
);
