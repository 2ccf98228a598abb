// MQTT over WebSocket end to end: real clients over ws and wss, and frames by hand into a real broker.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generate, type Packet } from "mqtt-packet";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { PLAIN_TCP, type TransportSettings } from "../../src/net/transport.ts";
import { ANY } from "../../src/net/webSocketSettings.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority } from "../support/certificates.ts";
import { clientFrame, request, serverFrames } from "../support/webSocket.ts";
import type { Version } from "../support/wireClient.ts";

const TIMEOUT_MS = 20_000;
const OPEN = { path: ANY, origins: [ANY], compression: true };
const NARROW = { path: "/mqtt", origins: ["https://good.example"], compression: false };

const authority = new Authority();
const server = authority.server();
const TLS: TransportSettings["tls"] = {
  certificatePath: server.cert,
  keyPath: server.key,
  names: [],
  clientCertificate: "none",
  authoritiesPath: null,
  revokedPath: null,
  versionMin: "1.2",
  identity: "cn",
  isTenantRuled: false,
};

let ws: TestBroker;
let wss: TestBroker;
let narrow: TestBroker;

beforeAll(async () => {
  const start = (transport: Partial<TransportSettings>) =>
    startTestBroker({ listener: { transport: { ...PLAIN_TCP, ...transport } } });
  ws = await start({ webSocket: OPEN });
  wss = await start({ tls: TLS, webSocket: OPEN });
  narrow = await start({ webSocket: NARROW });
});
afterAll(async () => {
  for (const one of [ws, wss, narrow]) await one.stop();
  authority.remove();
});

const node = Bun.which("node");
const python = Bun.which("python3");
const hasPaho =
  python !== null &&
  Bun.spawnSync([python, "-c", "import paho.mqtt.client"], { stderr: "ignore" }).exitCode === 0;

function testWhere(present: boolean, missing: string, title: string, body: () => Promise<void>): void {
  if (!present) test.skip(`${title} (skipped: ${missing} is not installed)`, body);
  else test(title, body, TIMEOUT_MS);
}

const versions = [
  ["3.1", 3],
  ["3.1.1", 4],
  ["5", 5],
] as const;

// ---- MQTT.js, on Bun's WebSocket

/** The next `count` messages of an MQTT.js client, "payload at QoS". */
function messages(client: MqttClient, count: number): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const got: string[] = [];
  client.on("message", (_topic, payload, packet) => {
    got.push(`${payload.length > 40 ? `${payload.length} bytes` : payload.toString()} at ${packet.qos}`);
    if (got.length === count) resolve(got);
  });
  return promise;
}

for (const scheme of ["ws", "wss"] as const) {
  describe(`MQTT.js over ${scheme}`, () => {
    for (const [label, protocolVersion] of versions) {
      test(
        `MQTT ${label}: every QoS, and more than a frame`,
        async () => {
          const options: IClientOptions = {
            protocolVersion,
            ...(protocolVersion === 3 ? { protocolId: "MQIsdp" } : {}),
            clientId: `js${protocolVersion}`,
            reconnectPeriod: 0,
            rejectUnauthorized: false,
          };
          const port = scheme === "ws" ? ws.port : wss.port;
          const client = await connectAsync(`${scheme}://127.0.0.1:${port}/mqtt`, options);
          await client.subscribeAsync(`js/${protocolVersion}`, { qos: 2 });
          const received = messages(client, 4);
          for (const qos of [0, 1, 2] as const)
            await client.publishAsync(`js/${protocolVersion}`, `message ${qos}`, { qos });
          await client.publishAsync(`js/${protocolVersion}`, Buffer.alloc(300_000, "x"), { qos: 1 });
          expect(await received).toEqual([
            "message 0 at 0",
            "message 1 at 1",
            "message 2 at 2",
            "300000 bytes at 1",
          ]);
          await client.endAsync();
        },
        TIMEOUT_MS,
      );
    }
  });
}

// ---- MQTT.js in Node, on the ws package

const NODE = `
const { connectAsync } = require("mqtt");
const WebSocket = require("ws");
const [url, version, deflate] = process.argv.slice(1);
(async () => {
  let socket;
  const client = await connectAsync(url, {
    createWebsocket: (target, protocols, options) =>
      (socket = new WebSocket(target, protocols, { rejectUnauthorized: false, perMessageDeflate: deflate === "deflate" })),
    protocolVersion: Number(version),
    ...(version === "3" ? { protocolId: "MQIsdp" } : {}),
    reconnectPeriod: 0,
  });
  const { extensions } = socket;
  await client.subscribeAsync("node/#", { qos: 2 });
  const got = [];
  const all = new Promise((resolve) => client.on("message", (topic, payload) => {
    got.push(payload.toString());
    if (got.length === 203) resolve();
  }));
  const sent = Array.from({ length: 200 }, (_, i) => "message " + i);
  sent.push("x".repeat(100), "y".repeat(20000), "z".repeat(300000));
  for (const [i, payload] of sent.entries()) await client.publishAsync("node/a", payload, { qos: i % 3 });
  await all;
  await client.endAsync();
  const same = sent.every((payload) => got.includes(payload));
  console.log(JSON.stringify({ same, count: got.length, extensions }));
})().catch((error) => { console.error(error); process.exit(1); });
`;

describe("MQTT.js in Node", () => {
  const rows = [
    ["ws", "4", "plain"],
    ["ws", "3", "deflate"],
    ["ws", "5", "deflate"],
    ["wss", "5", "deflate"],
    ["wss", "4", "plain"],
  ] as const;
  for (const [scheme, version, deflate] of rows) {
    testWhere(node !== null, "node", `over ${scheme}, version ${version}, ${deflate}`, async () => {
      const port = scheme === "ws" ? ws.port : wss.port;
      const url = `${scheme}://127.0.0.1:${port}/mqtt`;
      const run = Bun.spawn([node ?? "", "-e", NODE, url, version, deflate], {
        stdout: "pipe",
        stderr: "inherit",
      });
      const output = await new Response(run.stdout).text();
      expect(await run.exited).toBe(0);
      const extensions = deflate === "deflate" ? "permessage-deflate" : "";
      expect(JSON.parse(output)).toEqual({ same: true, count: 203, extensions });
    });
  }
});

// ---- paho

const PAHO = `
import ssl, sys, threading, paho.mqtt.client as mqtt
port, version, tls = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "wss"
got, done, ready = [], threading.Event(), threading.Event()
def on_message(client, userdata, message):
    got.append("%d/%d" % (len(message.payload), message.qos))
    if len(got) == 30: done.set()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho%d" % version, protocol=version, transport="websockets")
if tls:
    client.tls_set(cert_reqs=ssl.CERT_NONE)
    client.tls_insecure_set(True)
client.on_message = on_message
client.on_subscribe = lambda *rest: ready.set()
client.connect("127.0.0.1", port)
client.loop_start()
client.subscribe("paho/%d" % version, qos=2)
assert ready.wait(10), "no SUBACK"
for index in range(30):
    client.publish("paho/%d" % version, "x" * (1 + index * 997), qos=index % 3).wait_for_publish(10)
assert done.wait(10), "got only %s" % got
client.disconnect()
client.loop_stop()
print(" ".join(sorted(got, key=lambda text: int(text.split("/")[0]))))
`;

describe("paho-mqtt", () => {
  for (const scheme of ["ws", "wss"] as const) {
    for (const [label, version] of versions) {
      testWhere(hasPaho, "paho-mqtt", `over ${scheme}, MQTT ${label}, every QoS`, async () => {
        const port = scheme === "ws" ? ws.port : wss.port;
        const run = Bun.spawn([python ?? "", "-c", PAHO, `${port}`, `${version}`, scheme], {
          stdout: "pipe",
          stderr: "inherit",
        });
        const output = await new Response(run.stdout).text();
        expect(await run.exited).toBe(0);
        const expected = Array.from({ length: 30 }, (_, index) => `${1 + index * 997}/${index % 3}`);
        expect(output.trim()).toBe(expected.join(" "));
      });
    }
  }
});

// ---- frames by hand

/** A raw WebSocket: bytes out, frames in. */
class RawClient {
  response = "";
  readonly payloads: Buffer[] = [];
  readonly controls: string[] = [];
  closed = false;
  private rest: Buffer = Buffer.alloc(0);
  private wake: () => void = () => {};
  private socket: Awaited<ReturnType<typeof Bun.connect>> | null = null;

  static async open(port: number, bytes: Buffer): Promise<RawClient> {
    const client = new RawClient();
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, chunk) => client.take(chunk),
        close: () => client.end(),
        error: () => client.end(),
      },
    });
    client.send(bytes);
    await client.until(() => client.response !== "" || client.closed);
    return client;
  }

  send(bytes: Buffer): void {
    this.socket?.write(bytes);
  }

  cut(): void {
    this.socket?.terminate();
  }

  private end(): void {
    this.closed = true;
    this.wake();
  }

  private take(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    const end = this.rest.indexOf("\r\n\r\n");
    if (this.response === "" && end >= 0) {
      this.response = this.rest.toString("latin1", 0, end + 4);
      this.rest = this.rest.subarray(end + 4);
    }
    if (this.response.startsWith("HTTP/1.1 101")) {
      const { frames, rest } = serverFrames(this.rest);
      this.rest = Buffer.from(rest);
      for (const { opcode, payload } of frames) {
        if (opcode === 2) this.payloads.push(Buffer.from(payload));
        else this.controls.push(`${opcode} ${payload.toString("hex")}`);
      }
    }
    this.wake();
  }

  async until(isThere: () => boolean): Promise<void> {
    const end = performance.now() + 5_000;
    while (!isThere()) {
      if (performance.now() > end) throw new Error("did not come");
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      const timer = setTimeout(resolve, 100);
      await promise;
      clearTimeout(timer);
    }
  }
}

function encoded(version: Version, ...packets: readonly Packet[]): Buffer {
  return Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: version })));
}

function connectPacket(version: Version, clientId: string): Packet {
  return {
    cmd: "connect",
    protocolId: version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: version,
    clean: true,
    keepalive: 0,
    clientId,
  } as Packet;
}

describe("frames and packets", () => {
  for (const [label, version] of versions) {
    test(`MQTT ${label}: packets in one frame, and a frame for each byte`, async () => {
      const session = encoded(
        version,
        connectPacket(version, "raw"),
        { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `raw/${version}`, qos: 0 }] } as Packet,
        { cmd: "publish", topic: `raw/${version}`, payload: "hello", qos: 0, dup: false, retain: false },
        { cmd: "pingreq" },
      );
      const together = clientFrame({ payload: session });
      const apart = Buffer.concat([...session].map((byte) => clientFrame({ payload: Buffer.of(byte) })));
      const fragments = Buffer.concat(
        [...session].map((byte, i) =>
          clientFrame({ opcode: i === 0 ? 2 : 0, fin: i === session.length - 1, payload: Buffer.of(byte) }),
        ),
      );
      for (const bytes of [together, apart, fragments]) {
        const client = await RawClient.open(ws.port, request());
        client.send(bytes);
        const stream = () => Buffer.concat(client.payloads);
        await client.until(() => stream().includes("hello") && stream().includes(Buffer.of(0xd0, 0)));
        expect(stream()[0]).toBe(0x20);
        expect(stream().includes(`raw/${version}`)).toBe(true);
        client.cut();
      }
    });
  }

  test("deliveries come in batches, several packets a frame", async () => {
    const client = await RawClient.open(ws.port, request());
    const subscribe = {
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [{ topic: "batch", qos: 0 }],
    } as Packet;
    client.send(clientFrame({ payload: encoded(4, connectPacket(4, "batch"), subscribe) }));
    await client.until(() => client.payloads.length >= 1 && Buffer.concat(client.payloads).length >= 9);
    const one: Packet = { cmd: "publish", topic: "batch", payload: "x", qos: 0, dup: false, retain: false };
    client.send(clientFrame({ payload: encoded(4, ...new Array<Packet>(1000).fill(one)) }));
    await client.until(() => Buffer.concat(client.payloads).length >= 9 + 10_000);
    expect(client.payloads.length).toBeLessThan(20);
    client.cut();
  });

  test("a ping is answered, a close too, and the Will is published", async () => {
    const watcher = await RawClient.open(ws.port, request());
    const watch = { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "will", qos: 0 }] } as Packet;
    watcher.send(clientFrame({ payload: encoded(4, connectPacket(4, "watcher"), watch) }));
    await watcher.until(() => Buffer.concat(watcher.payloads).length >= 9);
    const client = await RawClient.open(ws.port, request());
    const will = { topic: "will", payload: Buffer.from("gone"), qos: 0, retain: false };
    const connect = { ...connectPacket(4, "dying"), will } as Packet;
    client.send(clientFrame({ payload: encoded(4, connect) }));
    client.send(clientFrame({ opcode: 9, payload: "there?" }));
    await client.until(() => client.controls.length === 1);
    expect(client.controls[0]).toBe(`10 ${Buffer.from("there?").toString("hex")}`);
    client.send(clientFrame({ opcode: 8, payload: Buffer.of(0x03, 0xe9) }));
    await client.until(() => client.closed);
    expect(client.controls[1]).toBe("8 03e9");
    await watcher.until(() => Buffer.concat(watcher.payloads).includes("gone"));
    watcher.cut();
  });

  test("v3.1.1 [MQTT-6.0.0-1] v5 [MQTT-6.0.0-1]: a text frame ends the connection", async () => {
    const client = await RawClient.open(ws.port, request());
    client.send(clientFrame({ payload: encoded(5, connectPacket(5, "text")) }));
    await client.until(() => client.payloads.length > 0);
    client.send(clientFrame({ opcode: 1, payload: "text" }));
    await client.until(() => client.closed);
    expect(client.controls).toEqual(["8 03eb"]);
  });

  test("DISCONNECT ends with a close frame; what MQTT refuses, with its packet in front", async () => {
    const client = await RawClient.open(ws.port, request());
    client.send(
      clientFrame({
        payload: encoded(5, connectPacket(5, "bye"), { cmd: "disconnect", reasonCode: 0 } as Packet),
      }),
    );
    await client.until(() => client.closed);
    expect(client.controls).toEqual(["8 03e8"]);
    const wrong = await RawClient.open(ws.port, request());
    wrong.send(clientFrame({ payload: encoded(5, connectPacket(5, "wrong")) }));
    await wrong.until(() => wrong.payloads.length > 0);
    wrong.send(clientFrame({ payload: Buffer.of(0xf1, 0) }));
    await wrong.until(() => wrong.closed);
    expect(wrong.payloads.at(-1)?.[0]).toBe(0xe0);
    expect(wrong.controls).toEqual(["8 03e8"]);
  });

  const refusals: readonly [string, Buffer, string][] = [
    ["another path", request({}, "GET /other HTTP/1.1"), "404 Not Found"],
    ["a page of another origin", request({ Origin: "https://bad.example" }), "403 Forbidden"],
    [
      "a browser's plain request",
      request({ Upgrade: null, Connection: "keep-alive" }),
      "426 Upgrade Required",
    ],
    ["MQTT without a WebSocket", encoded(4, connectPacket(4, "plain")), "400 Bad Request"],
  ];
  for (const [name, bytes, status] of refusals) {
    test(`${name}: ${status}`, async () => {
      const client = await RawClient.open(narrow.port, bytes);
      await client.until(() => client.closed);
      expect(client.response).toStartWith(`HTTP/1.1 ${status}\r\n`);
    });
  }

  test("a page of an allowed origin", async () => {
    const client = await RawClient.open(narrow.port, request({ Origin: "https://good.example" }));
    expect(client.response).toStartWith("HTTP/1.1 101 ");
    client.cut();
  });
});
