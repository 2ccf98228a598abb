// Arrivals on fake sockets: whatever stands between accept and CONNECT, cut at every byte.

import { expect, test } from "bun:test";
import { AddressRanges } from "../../src/net/address.ts";
import { type AcceptedSocket, Arrival, type SecureCarrier, type TlsUser } from "../../src/net/arrival.ts";
import type { Closed } from "../../src/net/closeCause.ts";
import type { Connection } from "../../src/net/connection.ts";
import { Host } from "../../src/net/host.ts";
import type { Layer } from "../../src/net/layer.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import type { TlsKit } from "../../src/net/tlsKit.ts";
import { PLAIN_TCP, type TransportSettings } from "../../src/net/transport.ts";
import { Router } from "../../src/router/router.ts";
import { listenerDefaults, routerDefaults } from "../support/broker.ts";
import { manualClock } from "../support/clock.ts";
import { inetBody, proxyV2, sslValue } from "../support/proxyHeader.ts";
import { tlsSettings } from "../support/tls.ts";
import { clientFrame } from "../support/webSocket.ts";

const CONNECT = Buffer.from("101000044d51545405" + "02" + "003c" + "00" + "0003746c73", "hex");
const PING = Buffer.from("c000", "hex");
const NOBODY: Layer = { data() {}, drain() {}, closed() {} };
const KIT = {} as TlsKit;
const WS = { path: "*", origins: ["*"], compression: false };
const TLS = tlsSettings({ cert: "", key: "" });

class FakeSocket implements AcceptedSocket, SecureCarrier {
  layer: Layer = NOBODY;
  readonly remoteAddress: string;
  readonly sent: Buffer[] = [];
  state = "open";
  isPaused = false;
  hasSpoken = true;
  user: TlsUser | null = null;
  hello: Buffer | null = null;
  secured: FakeSocket | null = null;

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    this.sent.push(Buffer.from(bytes.subarray(at, at + length)));
    return length;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.finish("ended");
  }

  drop(): void {
    this.finish("dropped");
  }

  private finish(state: string): void {
    if (this.state !== "open") return;
    this.state = state;
    this.layer.closed();
  }

  secure(_kit: TlsKit, hello: Buffer, user: TlsUser): SecureCarrier {
    this.user = user;
    this.hello = Buffer.from(hello);
    this.secured = new FakeSocket(this.remoteAddress);
    this.secured.layer = user;
    return this.secured;
  }
}

interface Scene {
  readonly host: Host;
  readonly socket: FakeSocket;
  readonly arrival: Arrival;
  readonly clock: ReturnType<typeof manualClock>;
  readonly left: Closed[];
  readonly connected: Connection[];
  begin(from?: string): { socket: FakeSocket; arrival: Arrival };
}

function scene(transport: Partial<TransportSettings>, from = "10.0.0.9", options = {}): Scene {
  const clock = manualClock();
  const scheduler = { soon: queueMicrotask, later: queueMicrotask };
  const router = new Router(routerDefaults, { clock, scheduler, seed: 1 });
  const left: Closed[] = [];
  const connected: Connection[] = [];
  const listener = {
    left: (_: Arrival, closed: Closed) => void left.push(closed),
    identified() {},
    connected: (connection: Connection) => void connected.push(connection),
    closed() {},
    pressed() {},
    turnedAway() {},
  };
  const host = new Host(router, listener, "assigned-", options);
  const settings: ListenerSettings = { ...listenerDefaults, transport: { ...PLAIN_TCP, ...transport } };
  const { trustedProxies } = settings.transport;
  const trusted = trustedProxies === null ? null : new AddressRanges(trustedProxies);
  const begin = (at = from): { socket: FakeSocket; arrival: Arrival } => {
    const socket = new FakeSocket(at);
    const arrival = new Arrival(host, { settings, trusted, tlsKit: KIT }, socket);
    arrival.begin();
    return { socket, arrival };
  };
  return { host, clock, left, connected, begin, ...begin() };
}

/** What the broker answered, as packet types. */
function answers({ sent }: FakeSocket): number[] {
  const types: number[] = [];
  const bytes = Buffer.concat(sent);
  for (let at = 0; at < bytes.length; at += 2 + bytes[at + 1]!) types.push(bytes[at]! >>> 4);
  return types;
}

/** Every way to cut `bytes` in two, and byte by byte. */
function* cuts(bytes: Buffer): Generator<Buffer[]> {
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (byte) => Buffer.of(byte));
}

const HEADERS = [
  {
    what: "v1",
    bytes: Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 5 6\r\n"),
    address: "192.0.2.7",
    cn: null,
  },
  { what: "v1 UNKNOWN", bytes: Buffer.from("PROXY UNKNOWN\r\n"), address: "10.0.0.9", cn: null },
  { what: "v2", bytes: proxyV2(0x21, 0x11, inetBody("192.0.2.8")), address: "192.0.2.8", cn: null },
  { what: "v2 LOCAL", bytes: proxyV2(0x20, 0x00, Buffer.alloc(0)), address: "10.0.0.9", cn: null },
  {
    what: "v2 with a CN",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inetBody("192.0.2.8"), sslValue({ commonName: "alice" })])),
    address: "192.0.2.8",
    cn: "alice",
  },
];

for (const { what, bytes, address, cn } of HEADERS) {
  test(`a PROXY header, ${what}, and CONNECT behind it, cut at every byte`, () => {
    for (const pieces of cuts(Buffer.concat([bytes, CONNECT, PING]))) {
      const { socket, connected } = scene({ trustedProxies: ["10.0.0.0/8"] });
      for (const piece of pieces) if (piece.length > 0) socket.layer.data(piece);
      expect(answers(socket)).toEqual([2, 13]);
      expect(connected[0]?.remoteAddress).toBe(address);
      expect(connected[0]?.certificate?.commonName ?? null).toBe(cn);
    }
  });
}

test("a PROXY header and a whole chunk of packets at once", () => {
  const { socket } = scene({ trustedProxies: ["10.0.0.0/8"] });
  const pings = Buffer.concat(Array.from({ length: 100_000 }, () => PING));
  socket.layer.data(Buffer.concat([HEADERS[0]!.bytes, CONNECT, pings]));
  expect(answers(socket)).toHaveLength(100_001);
});

test("who is no trusted proxy is closed, without a word", () => {
  const { socket, left } = scene({ trustedProxies: ["10.1.0.0/16"] });
  expect([socket.state, socket.sent.length, left[0]?.cause]).toEqual(["dropped", 0, "proxy"]);
});

test("whatever is no header from a trusted proxy is closed at its first wrong byte", () => {
  for (const bytes of [
    CONNECT,
    Buffer.from("PROXZ"),
    Buffer.from("160301", "hex"),
    proxyV2(0x2f, 0x11, inetBody("1.2.3.4")),
  ]) {
    const { socket, left } = scene({ trustedProxies: ["10.0.0.0/8"] });
    socket.layer.data(bytes);
    expect([socket.state, socket.sent.length, left[0]?.cause]).toEqual(["dropped", 0, "proxy"]);
  }
});

test("a Unix socket is trusted by its permissions", () => {
  const { socket, connected } = scene({ unix: { path: "/x", mode: 0o600 }, trustedProxies: [] }, "");
  socket.layer.data(Buffer.concat([HEADERS[0]!.bytes, CONNECT]));
  expect(connected[0]?.remoteAddress).toBe("192.0.2.7");
});

const REQUEST = Buffer.from(
  "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
);

for (const isSecure of [false, true]) {
  const inside = isSecure ? "inside TLS" : "in plain text";

  test(`${inside}, the first byte tells MQTT from WebSocket`, () => {
    for (const pieces of cuts(CONNECT)) {
      const { socket, connected } = sniffing(isSecure);
      for (const piece of pieces) if (piece.length > 0) socket.layer.data(piece);
      expect([answers(socket), connected.length]).toEqual([[2], 1]);
    }
    for (const pieces of cuts(REQUEST)) {
      const { socket } = sniffing(isSecure);
      for (const piece of pieces) if (piece.length > 0) socket.layer.data(piece);
      expect(Buffer.concat(socket.sent).toString()).toStartWith("HTTP/1.1 101 ");
    }
  });
}

function sniffing(isSecure: boolean): { socket: FakeSocket; connected: Connection[] } {
  const { socket, connected } = scene({ isSniffing: true, tls: TLS, webSocket: WS });
  if (!isSecure) return { socket, connected };
  socket.layer.data(Buffer.from("1603010200", "hex"));
  expect(socket.hello?.toString("hex")).toBe("1603010200");
  socket.user!.secured(null);
  return { socket: socket.secured!, connected };
}

test("without sniff, what is configured is spoken and nothing else", () => {
  const tls = scene({ tls: TLS });
  expect(tls.socket.hello).toHaveLength(0); // TLS reads by itself
  const proxied = scene({ tls: TLS, trustedProxies: ["10.0.0.9"] });
  proxied.socket.layer.data(Buffer.concat([HEADERS[0]!.bytes, CONNECT]));
  expect(proxied.socket.hello).toEqual(CONNECT); // for TLS to refuse
  const ws = scene({ webSocket: WS });
  ws.socket.layer.data(CONNECT);
  expect([ws.socket.state, ws.left[0]?.cause]).toEqual(["ended", "websocket"]);
  const plain = scene({});
  plain.socket.layer.data(REQUEST);
  expect([plain.socket.state, plain.socket.sent.length]).toEqual(["ended", 0]);
});

test("every step ends after the time for CONNECT, and nothing is left of it", () => {
  const steps: readonly (readonly [what: string, transport: Partial<TransportSettings>, bytes: Buffer])[] = [
    ["silence", { tls: TLS }, Buffer.alloc(0)],
    ["half a PROXY header", { trustedProxies: ["10.0.0.0/8"] }, Buffer.from("PROXY TC")],
    ["half a ClientHello", { tls: TLS }, Buffer.from("1603", "hex")],
    ["half an upgrade", { webSocket: WS }, REQUEST.subarray(0, 20)],
  ];
  for (const [what, transport, bytes] of steps) {
    const { host, socket, clock, left } = scene(transport);
    const { strangers } = host.router.budgets;
    if (bytes.length > 0) socket.layer.data(bytes);
    clock.pass(listenerDefaults.connectTimeoutMs - 1);
    host.lobby.tick(clock.nowMs());
    expect([what, socket.state]).toEqual([what, "open"]);
    clock.pass(1);
    host.lobby.tick(clock.nowMs());
    expect([what, socket.state, left[0]?.cause]).toEqual([what, "dropped", "connect_timeout"]);
    expect([host.lobby.newcomers.size, host.lobby.gate.underWay, strangers.used]).toEqual([0, 0, 0]);
  }
});

test("a client that leaves on the way leaves nothing behind", () => {
  for (const [transport, bytes] of [
    [{ tls: TLS }, Buffer.from("1603", "hex")],
    [{ webSocket: WS }, REQUEST.subarray(0, 20)],
    [{ trustedProxies: ["10.0.0.0/8"] }, Buffer.from("PROXY")],
  ] as const) {
    const { host, socket, left } = scene(transport);
    socket.layer.data(bytes);
    (socket.secured ?? socket).end();
    expect(left.map(({ cause }) => cause)).toEqual(["lost"]);
    expect([host.lobby.newcomers.size, host.lobby.gate.underWay]).toEqual([0, 0]);
    expect(host.router.budgets.strangers.used).toBe(0);
  }
});

test("the time of a client counts from when its turn came, but it does not wait for ever", async () => {
  const { host, socket, begin, clock } = scene({ tls: TLS }, "10.0.0.9", { handshakesMax: 1 });
  const [next, last] = [begin("10.0.0.10"), begin("10.0.0.11")];
  clock.pass(900);
  host.lobby.tick(clock.nowMs());
  socket.user!.secured(null);
  await Promise.resolve();
  expect(next.socket.secured).not.toBeNull();
  clock.pass(listenerDefaults.connectTimeoutMs - 900);
  host.lobby.tick(clock.nowMs());
  await Promise.resolve();
  // The first one's handshake took 0.9 s: it counts for an eighth, so that a second and more is long.
  expect([next.socket.state, last.socket.secured !== null]).toEqual(["dropped", true]);
  const patient = begin();
  clock.pass(30_000);
  patient.arrival.checkTime(clock.nowMs());
  expect(patient.socket.state).toBe("dropped");
});

test("handshakes beyond their limit wait unread, and begin with all that came", async () => {
  const { host, socket, begin, clock } = scene({ tls: TLS }, "10.0.0.9", { handshakesMax: 1 });
  socket.layer.data(Buffer.from("16", "hex"));
  const next = begin();
  next.socket.layer.data(Buffer.from("1603", "hex"));
  expect([next.socket.isPaused, next.socket.user]).toEqual([true, null]);
  next.socket.layer.data(Buffer.from("01", "hex"));
  const eager = begin();
  eager.socket.layer.data(Buffer.alloc(20_000));
  eager.socket.layer.data(Buffer.alloc(20_000));
  expect(eager.socket.state).toBe("dropped");
  socket.user!.secured(null);
  await Promise.resolve();
  expect(next.socket.hello?.toString("hex")).toBe("160301");
  const third = begin();
  third.socket.layer.data(Buffer.from("16", "hex"));
  clock.pass(1_000);
  host.lobby.tick(clock.nowMs());
  await Promise.resolve();
  expect([next.socket.state, third.socket.hello?.length]).toEqual(["dropped", 1]);
});

test("of those whose WebSocket carries no CONNECT yet, who holds most makes room for others", () => {
  const { host, socket, begin, left } = scene({ webSocket: { ...WS, compression: true } });
  const deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
  const upgraded = Buffer.from(REQUEST.toString("latin1").replace(/\r\n$/, deflate), "latin1");
  const one = begin();
  const { strangers } = host.router.budgets;
  for (const [index, { layer }] of [socket, one.socket].entries()) {
    layer.data(upgraded);
    expect(host.open.size).toBe(index + 1);
  }
  const piece = (bytes: number): Buffer => clientFrame({ rsv: 4, fin: false, payload: Buffer.alloc(bytes) });
  socket.layer.data(piece(1_000));
  strangers.take(strangers.bytesMax - strangers.used);
  one.socket.layer.data(piece(500));
  expect([socket.state, one.socket.state, left.length]).toEqual(["ended", "open", 0]);
});
