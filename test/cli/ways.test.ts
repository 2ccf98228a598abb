// The ways to a broker that the command line's options name, each gone by a message that the broker acknowledges: TLS
// and its options, proxies, SRV records, WebSocket, Unix sockets, the address to come from. What cannot be done is a
// sentence.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import dns from "node:dns";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import { commandOf } from "../../src/cli/commandLine.ts";
import { CommandError } from "../../src/cli/end.ts";
import { SUBCOMMANDS } from "../../src/cli/subcommands.ts";
import { ANY } from "../../src/net/webSocketSettings.ts";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { mutual, tlsTransport } from "../support/tls.ts";
import { type FakeProxy, type ProxyTerms, startFakeProxy } from "./fakeProxy.ts";
import { startFakeNames } from "./fakeNames.ts";
import { MILLRACE, runTool, TOOL_TIMEOUT_MS } from "./tool.ts";

setDefaultTimeout(TOOL_TIMEOUT_MS);

const authority = new Authority();
const stranger = new Authority("Another CA");
const pair = authority.server("localhost");
const own = authority.issue({ subject: "/CN=me" });
const ca = ["--cafile", authority.cert];
const folder = authority.path("authorities");
mkdirSync(folder);
copyFileSync(stranger.cert, `${folder}/another.pem`);
copyFileSync(authority.cert, `${folder}/ours.crt`);
symlinkSync("ours.crt", `${folder}/0a1b2c3d.0`);
writeFileSync(`${folder}/README.txt`, "no certificate");
writeFileSync(`${folder}/broken.pem`, "no certificate either");
const emptyFolder = authority.path("nothing");
mkdirSync(emptyFolder);
const socketPath = authority.path("mqtt.sock");

let plain: TestBroker;
let tls: TestBroker;
let mtls: TestBroker;
let ws: TestBroker;
let wss: TestBroker;
let unix: TestBroker;

beforeAll(async () => {
  const webSocket = { path: "/mqtt", origins: [ANY], compression: false };
  const secured = tlsTransport(pair);
  [plain, tls, mtls, ws, wss, unix] = await Promise.all([
    startTestBroker(),
    startTestBroker({ listener: { transport: secured } }),
    startTestBroker({ listener: { transport: tlsTransport(pair, mutual(authority)) } }),
    startTestBroker({ listener: { transport: { ...PLAIN_TCP, webSocket } } }),
    startTestBroker({ listener: { transport: { ...secured, webSocket } } }),
    startTestBroker({
      listener: { transport: { ...PLAIN_TCP, unix: { path: socketPath, mode: 0o600 } } },
    }),
  ]);
});
afterAll(async () => {
  await Promise.all([plain, tls, mtls, ws, wss, unix].map((broker) => broker.stop()));
  authority.remove();
  stranger.remove();
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function proxied(terms: ProxyTerms): FakeProxy {
  const proxy = startFakeProxy(terms);
  cleanups.push(() => proxy.stop());
  return proxy;
}

/** Runs `millrace pub` in this process. Resolves when a message is acknowledged; rejects with why it is not. */
async function publish(...args: readonly string[]): Promise<void> {
  const pub = SUBCOMMANDS.find(({ name }) => name === "pub")!;
  const module = await pub.load();
  const command = commandOf(pub, module, () => {
    throw new Error("nothing global is asked for");
  });
  await command.parseAsync(["-t", "ways", "-m", "x", "-q", "1", ...args], { from: "user" });
}

/** Runs `millrace bench` in a process of its own, every message checked. */
async function measured(...args: readonly string[]): Promise<void> {
  const short = ["-n", "2", "-q", "1", "--rate", "500", "-d", "0.2", "--warm-up", "0"];
  const { status, stdout, stderr } = await runTool([...MILLRACE, "bench", "pairs", ...short, ...args]);
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("0 lost, 0 out of order, 0 twice");
}

async function failure(...args: readonly string[]): Promise<string> {
  const error = await publish(...args).then(
    () => new Error("it was published"),
    (reason: Error) => reason,
  );
  expect([error instanceof CommandError, error.message]).toEqual([true, error.message]);
  return error.message;
}

function port(broker: { readonly port: number }): string[] {
  return ["-h", "localhost", "-p", String(broker.port)];
}

/** A server before the plain broker; `seen` gets each connection of a client. */
async function before<T>(
  server: Server,
  seen: (socket: T) => void,
  event: string,
): Promise<{ port: number }> {
  server.on(event, (socket: TLSSocket) => {
    seen(socket as T);
    const beyond = connect(plain.port, "127.0.0.1");
    socket.on("error", () => beyond.destroy());
    beyond.on("error", () => socket.destroy());
    socket.pipe(beyond).pipe(socket);
  });
  cleanups.push(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(0, "localhost", resolve));
  return { port: (server.address() as AddressInfo).port };
}

describe("a message gets there by", () => {
  const rows: readonly (readonly [name: string, args: () => string[]])[] = [
    ["TCP", () => port(plain)],
    ["TLS, --cafile", () => [...port(tls), ...ca]],
    ["TLS, --capath", () => [...port(tls), "--capath", folder]],
    ["TLS, --insecure", () => [...port(tls), "--insecure"]],
    ["TLS, --cert and --key", () => [...port(mtls), ...ca, "--cert", own.cert, "--key", own.key]],
    ["TLS, --keyform pem", () => [...port(tls), ...ca, "--keyform", "pem"]],
    ["a Unix socket", () => ["--unix", socketPath]],
    ["a Unix socket, -L", () => ["-L", `unix:${socketPath}`]],
    ["WebSocket, --ws", () => [...port(ws), "--ws"]],
    ["WebSocket, --ws-path", () => [...port(ws), "--ws-path", "mqtt"]],
    ["WebSocket, -L", () => ["-L", `ws://localhost:${ws.port}/mqtt`]],
    ["WebSocket in TLS", () => [...port(wss), "--ws", ...ca]],
    ["WebSocket in TLS, -L", () => ["-L", `wss://localhost:${wss.port}/mqtt`, ...ca]],
    ["a URL with TLS", () => ["-L", `mqtts://localhost:${tls.port}/ways`, ...ca]],
  ];
  for (const [name, args] of rows) test(name, () => publish(...args()));

  test("TLS as --tls-version, --ciphers and --tls-alpn say", async () => {
    const seen: unknown[] = [];
    const options: TlsOptions = {
      cert: await Bun.file(pair.cert).text(),
      key: await Bun.file(pair.key).text(),
      ALPNProtocols: ["other", "mqtt"],
    };
    const note = (socket: TLSSocket): void =>
      void seen.push([socket.getProtocol(), socket.getCipher().name, socket.alpnProtocol]);
    const any = await before(createTlsServer(options), note, "secureConnection");
    await publish(...port(any), ...ca, "--tls-version", "tlsv1.3", "--tls-alpn", "mqtt");
    expect(seen).toEqual([["TLSv1.3", expect.any(String), "mqtt"]]);
    const older = createTlsServer({ ...options, maxVersion: "TLSv1.2" });
    const old = await before(older, note, "secureConnection");
    const suite = "ECDHE-ECDSA-AES256-GCM-SHA384";
    await publish(...port(old), ...ca, "--tls-version", "tlsv1.2", "--ciphers", suite);
    expect(seen[1]).toEqual(["TLSv1.2", suite, expect.anything()]);
    for (const more of [[], ["--ws"]]) {
      const why = await failure(...port(old), ...ca, "--tls-version", "tlsv1.3", ...more);
      expect(why).toContain("cannot connect to");
    }
  });

  test("the address that -A names", async () => {
    const seen: (string | undefined)[] = [];
    const note = ({ remoteAddress }: TLSSocket): void => void seen.push(remoteAddress);
    const server = createServer();
    cleanups.push(() => void server.close());
    const { port: at } = await before(server, note, "connection");
    const host = (server.address() as AddressInfo).address;
    const from = host.includes(":") ? "::1" : "127.0.0.1";
    await publish("-h", host, "-p", String(at), "-A", from);
    expect(seen).toEqual([from]);
  });

  test("the host and port of a SRV record, the next one when the first does not answer", async () => {
    const names = await startFakeNames({
      "_mqtt._tcp.plant.test": [
        { priority: 2, port: plain.port, name: "localhost" },
        { priority: 1, port: 1, name: "localhost" },
      ],
      "_secure-mqtt._tcp.plant.test": [{ priority: 1, port: tls.port, name: "localhost" }],
    });
    const servers = dns.getServers();
    dns.setServers([`127.0.0.1:${names.port}`]);
    cleanups.push(() => dns.setServers(servers));
    cleanups.push(() => names.stop());
    await publish("-h", "plant.test", "-S");
    await publish("-h", "plant.test", "-S", ...ca);
    expect(await failure("-h", "other.test", "-S")).toContain(
      "cannot connect to other.test:1883: no SRV record _mqtt._tcp.other.test says where it is",
    );
  });
});

describe("bench goes them too:", () => {
  const rows: readonly (readonly [name: string, args: () => string[]])[] = [
    ["TLS", () => [...port(tls), ...ca]],
    ["TLS with a certificate", () => [...port(mtls), ...ca, "--cert", own.cert, "--key", own.key]],
    ["WebSocket", () => [...port(ws), "--ws"]],
    ["WebSocket in TLS", () => [...port(wss), "--ws", ...ca]],
    ["a Unix socket", () => ["--unix", socketPath]],
  ];
  for (const [name, args] of rows) test(name, () => measured(...args()));
});

describe("a proxy", () => {
  const through = (proxy: FakeProxy, login = ""): string[] => [
    "--proxy",
    `socks5h://${login}localhost:${proxy.port}`,
  ];

  test("resolves the name of the broker, and carries MQTT", async () => {
    const proxy = proxied({ port: plain.port });
    await publish("-h", "only.the.proxy.knows", "-p", "4321", ...through(proxy));
    await publish("-h", "192.0.2.9", ...through(proxy));
    expect(proxy.asked).toEqual(["only.the.proxy.knows:4321", "192.0.2.9:1883"]);
  });

  test("carries TLS, whose certificate is the broker's", async () => {
    const proxy = proxied({ port: tls.port, dribbles: true });
    await publish("-h", "localhost", ...ca, ...through(proxy));
    expect(proxy.asked).toEqual(["localhost:8883"]);
    expect(await failure("-h", "elsewhere.test", ...ca, ...through(proxy))).toContain(
      "its certificate is for another name",
    );
    expect(await failure("-h", "localhost", "--cafile", stranger.cert, ...through(proxy))).toContain(
      "its certificate is not trusted",
    );
    await publish("-h", "elsewhere.test", "--insecure", ...through(proxy));
  });

  test("is told who comes", async () => {
    const proxy = proxied({ port: plain.port, login: "anna:p@ss:word", dribbles: true });
    await publish(...port(plain), ...through(proxy, "anna:p%40ss%3Aword@"));
    expect(proxy.asked).toHaveLength(1);
    expect(await failure(...port(plain), ...through(proxy, "anna:other@"))).toContain(
      "does not connect: it does not take this user name and password",
    );
    expect(await failure(...port(plain), ...through(proxy))).toContain("it wants a user name and password");
  });

  test("that refuses says why, and one that is not there is named", async () => {
    const refusing = proxied({ port: plain.port, refuses: 2 });
    expect(await failure(...port(plain), ...through(refusing))).toBe(
      `cannot connect to localhost:${plain.port}: the proxy localhost:${refusing.port} does not connect: ` +
        "its rules do not allow it, says the proxy",
    );
    const gone = proxied({ port: plain.port });
    gone.stop();
    expect(await failure(...port(plain), ...through(gone))).toContain(
      `the proxy localhost:${gone.port} does not connect: ECONNREFUSED`,
    );
    expect(await failure(...port(plain), "--proxy", `socks5h://localhost:${plain.port}`)).toContain(
      `the proxy localhost:${plain.port} does not connect: `,
    );
  });
});

describe("what cannot be is a sentence:", () => {
  const rows: readonly (readonly [name: string, args: () => string[], message: string])[] = [
    [
      "an authority of others",
      () => [...port(tls), "--cafile", stranger.cert],
      "its certificate is not trusted",
    ],
    ["another name", () => ["-h", "127.0.0.2", "-p", String(tls.port), ...ca], "cannot connect to 127.0.0.2"],
    ["no folder", () => ["--capath", "/nowhere"], "--capath /nowhere: ENOENT"],
    ["a folder without certificates", () => ["--capath", emptyFolder], "no file in it holds a certificate"],
    ["a certificate without a key", () => [...ca, "--cert", own.cert], "--cert and --key go together"],
    [
      "a key that is none",
      () => [...port(tls), ...ca, "--cert", own.cert, "--key", own.cert],
      "these options make no TLS",
    ],
    [
      "an authority that is none",
      () => [...port(tls), "--cafile", `${folder}/README.txt`],
      "these options make no TLS",
    ],
    [
      "ciphers that nobody knows",
      () => [...port(tls), ...ca, "--ciphers", "ROT13"],
      "these options make no TLS",
    ],
    ["pre-shared keys", () => ["--psk", "abcd", "--psk-identity", "me"], "Bun's TLS has no pre-shared keys"],
    ["an identity for them", () => ["--psk-identity", "me"], "Bun's TLS has no pre-shared keys"],
    ["TLS engines", () => ["--tls-engine", "tpm2"], "Bun's TLS has no engines"],
    ["keys in engines", () => ["--keyform", "engine"], "Bun's TLS has no engines"],
    [
      "a protocol without a name",
      () => ["--tls-alpn", ""],
      "--tls-alpn: the name of a protocol has 1 to 255",
    ],
    ["a protocol and WebSocket", () => ["--ws", "--tls-alpn", "mqtt"], "WebSocket asks for http/1.1"],
    [
      "another kind of proxy",
      () => ["--proxy", "http://localhost"],
      "write socks5h://[user[:password]@]host",
    ],
    ["a proxy's port that is none", () => ["--proxy", "socks5h://a:99999"], "write socks5h://"],
    [
      "a proxy and WebSocket",
      () => ["--ws", "--proxy", "socks5h://a"],
      "--proxy goes with TCP and TLS alone",
    ],
    [
      "an address and a Unix socket",
      () => ["--unix", "/x", "-A", "127.0.0.1"],
      "-A goes with TCP and TLS alone",
    ],
    ["an address that is none", () => ["-A", "eth0"], "-A eth0: write an address of this machine"],
    ["an address of others", () => [...port(plain), "-A", "192.0.2.1"], "cannot connect to localhost"],
    ["a service without a domain", () => ["-S"], "-S wants a domain to look up"],
    ["two identifiers", () => ["-i", "a", "-I", "b"], "-i and -I do not go together"],
  ];
  for (const [name, args, message] of rows)
    test(name, async () => expect(await failure(...args())).toContain(message));
});
