// MQTT over TLS end to end: real clients, client certificates, names, versions, and what comes after the handshake.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { connect, connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import type { PeerCertificate } from "../../src/net/access.ts";
import type { TransportSettings } from "../../src/net/transport.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Authority, type Pair } from "../support/certificates.ts";
import { mutual, tlsTransport } from "../support/tls.ts";

const TIMEOUT_MS = 20_000;
const authority = new Authority();
const stranger = new Authority("Stranger");
const server = authority.server();
const alice = authority.issue({ subject: "/O=acme/CN=alice", names: "DNS:alice.example,URI:urn:alice" });
const bob = authority.issue({ subject: "/O=acme/CN=bob" });
const late = authority.issue({ subject: "/CN=late", days: -1 });
const mallory = stranger.issue({ subject: "/O=acme/CN=alice" });
const ca = readFileSync(authority.cert);

const brokers: TestBroker[] = [];
const clients: MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});
afterAll(() => {
  authority.remove();
  stranger.remove();
});

async function brokerWith(transport: TransportSettings): Promise<TestBroker> {
  const broker = await startTestBroker({ listener: { transport, allowAnonymous: true } });
  brokers.push(broker);
  return broker;
}

function shown(pair: Pair | null): { cert?: Buffer; key?: Buffer } {
  return pair === null ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
}

async function connected(
  port: number,
  pair: Pair | null = null,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const options: IClientOptions = { ca, reconnectPeriod: 0, connectTimeout: 5_000, ...shown(pair), ...more };
  const client = await connectAsync(`mqtts://localhost:${port}`, options, false);
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/** A bare TLS client; "closed" when the server ends it, with what it was sent before. */
function bare(port: number, options: ConnectionOptions = {}): { socket: TLSSocket; closed: Promise<Buffer> } {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca,
    checkServerIdentity: () => undefined,
    ...options,
  });
  const got: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => got.push(chunk));
  socket.on("error", () => {});
  const closed = new Promise<Buffer>((resolve) => socket.on("close", () => resolve(Buffer.concat(got))));
  return { socket, closed };
}

const CONNECT = Buffer.from("101000044d51545405" + "02" + "003c" + "00" + "0003746c73", "hex");

for (const [label, protocolVersion] of [
  ["3.1", 3],
  ["3.1.1", 4],
  ["5", 5],
] as const) {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(
      `MQTT ${label} over ${version}: every QoS, large messages, and back to a session`,
      async () => {
        const { port } = await brokerWith(tlsTransport(server));
        const base: IClientOptions & ConnectionOptions = {
          protocolVersion,
          ...(protocolVersion === 3 ? { protocolId: "MQIsdp" } : {}),
          minVersion: version,
          maxVersion: version,
          clientId: "same",
          clean: false,
          ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
        };
        const first = await connected(port, null, base);
        await first.subscribeAsync("t/#", { qos: 2 });
        const large = "x".repeat(900_000);
        const received = messages(first, 4);
        for (const qos of [0, 1, 2] as const) await first.publishAsync(`t/${qos}`, `at ${qos}`, { qos });
        await first.publishAsync("t/large", large, { qos: 1 });
        expect((await received).map(([topic, payload]) => `${topic} ${payload.length}`).toSorted()).toEqual([
          "t/0 4",
          "t/1 4",
          "t/2 4",
          "t/large 900000",
        ]);
        await first.endAsync();
        const publisher = await connected(port);
        await publisher.publishAsync("t/later", "kept", { qos: 1 });
        const again = connect(`mqtts://localhost:${port}`, { ca, reconnectPeriod: 0, ...base });
        clients.push(again);
        const kept = messages(again, 1);
        expect((await kept).map(([topic, payload]) => `${topic} ${payload}`)).toEqual(["t/later kept"]);
      },
      TIMEOUT_MS,
    );
  }
}

type Message = readonly [topic: string, payload: string];

function messages(client: MqttClient, count: number): Promise<Message[]> {
  const got: Message[] = [];
  return new Promise((resolve) => {
    client.on("message", (topic, payload) => {
      got.push([topic, payload.toString()]);
      if (got.length === count) resolve(got);
    });
  });
}

describe("client certificates", () => {
  const certificateOf = ({ broker }: TestBroker): PeerCertificate | null | undefined =>
    [...broker.host.open][0]?.certificate;

  test("a good one is taken and passed on", async () => {
    const broker = await brokerWith(tlsTransport(server, mutual(authority)));
    await connected(broker.port, alice);
    expect(certificateOf(broker)).toEqual({
      commonName: "alice",
      organization: "acme",
      alternativeNames: ["alice.example", "urn:alice"],
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const [what, pair] of [
      ["none", null],
      ["one of a stranger's authority", mallory],
      ["one that is over", late],
    ] as const) {
      test(`${version}: where they are demanded, ${what} gets nothing, not even CONNACK`, async () => {
        const { port } = await brokerWith(tlsTransport(server, mutual(authority)));
        const { socket, closed } = bare(port, { minVersion: version, maxVersion: version, ...shown(pair) });
        socket.write(CONNECT);
        expect(await closed).toHaveLength(0);
      });
    }
  }

  test("where they are optional, none is anonymous, a good one is passed on, a bad one gets nothing", async () => {
    const broker = await brokerWith(
      tlsTransport(server, mutual(authority, { clientCertificate: "optional" })),
    );
    const anonymous = await connected(broker.port);
    expect(certificateOf(broker)).toBeNull();
    await anonymous.endAsync();
    await connected(broker.port, bob);
    expect(certificateOf(broker)).toMatchObject({ commonName: "bob", alternativeNames: [] });
    const { socket, closed } = bare(broker.port, shown(mallory));
    socket.write(CONNECT);
    expect(await closed).toHaveLength(0);
  });

  test("where they are not asked for, one that is shown counts for nothing", async () => {
    const broker = await brokerWith(tlsTransport(server));
    await connected(broker.port, mallory);
    expect(certificateOf(broker)).toBeNull();
  });

  test("a revoked one gets nothing, others still do, and neither comes in by an earlier session", async () => {
    const revoked = { revokedPath: authority.revoke([bob]) };
    const broker = await brokerWith(tlsTransport(server, mutual(authority, revoked)));
    await connected(broker.port, alice);
    const { socket, closed } = bare(broker.port, shown(bob));
    socket.write(CONNECT);
    expect(await closed).toHaveLength(0);
  });

  test("a resumed session has the certificate that it began with", async () => {
    const broker = await brokerWith(tlsTransport(server, mutual(authority)));
    const options = { ...shown(alice), minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;
    const first = bare(broker.port, options);
    const session = await new Promise<Buffer>((resolve) => first.socket.on("session", resolve));
    first.socket.destroy();
    const { socket } = bare(broker.port, { ...options, session });
    socket.write(CONNECT);
    await new Promise((resolve) => socket.once("data", resolve));
    expect(certificateOf(broker)).toMatchObject({ commonName: "alice" });
    socket.destroy();
  });
});

test("names have certificates of their own; others get the listener's", async () => {
  const named = ["mqtt.example", "*.wild.example"].map((name) => {
    const { cert, key } = authority.issue({ subject: `/CN=${name}`, names: `DNS:${name}` });
    return { name, certificatePath: cert, keyPath: key };
  });
  const { port } = await brokerWith(tlsTransport(server, mutual(authority, { names: named })));
  const rows: readonly [servername: string | undefined, subject: string][] = [
    ["mqtt.example", "mqtt.example"],
    ["MQTT.Example", "mqtt.example"],
    ["one.wild.example", "*.wild.example"],
    ["two.one.wild.example", "localhost"],
    ["wild.example", "localhost"],
    ["other.example", "localhost"],
    [undefined, "localhost"],
  ];
  for (const [servername, subject] of rows) {
    const { socket, closed } = bare(port, {
      ...shown(alice),
      ...(servername === undefined ? {} : { servername }),
    });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    expect([servername, socket.getPeerCertificate().subject.CN]).toEqual([servername, subject]);
    socket.destroy();
    const refused = bare(port, servername === undefined ? {} : { servername });
    refused.socket.write(CONNECT);
    expect(await refused.closed).toHaveLength(0);
    await closed;
  }
});

test("versions below the least are refused, and TLS 1.1 always", async () => {
  const { port } = await brokerWith(tlsTransport(server, { versionMin: "1.3" }));
  const old = bare(port, { maxVersion: "TLSv1.2" });
  expect(await old.closed).toHaveLength(0);
  const { socket } = bare(port, { maxVersion: "TLSv1.3" });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
  const both = await brokerWith(tlsTransport(server));
  const run = Bun.spawn(
    ["openssl", "s_client", "-connect", `127.0.0.1:${both.port}`, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  expect(await new Response(run.stderr).text()).toContain("alert protocol version");
});

test("what is no TLS is closed, and harms nobody", async () => {
  const { port } = await brokerWith(tlsTransport(server));
  const good = await connected(port);
  for (const bytes of [CONNECT, Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(70_000, 0x16)]) {
    const closed = await new Promise<string>((resolve) => {
      void Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: { open: (socket) => void socket.write(bytes), data() {}, close: () => resolve("closed") },
      });
    });
    expect(closed).toBe("closed");
  }
  await good.subscribeAsync("t");
  const received = messages(good, 1);
  await good.publishAsync("t", "fine");
  expect(await received).toEqual([["t", "fine"]]);
});

test(
  "a reader that stops is let be, and gets everything once it reads again",
  async () => {
    const { port } = await brokerWith(tlsTransport(server));
    const reader = await connected(port, null, { clientId: "slow", protocolVersion: 5 });
    await reader.subscribeAsync("bulk", { qos: 1 });
    const publisher = await connected(port);
    const payload = Buffer.alloc(200_000);
    const received = messages(reader, 60);
    reader.stream.pause();
    const sent = Array.from({ length: 60 }, (_, index) => {
      payload.fill(index);
      return publisher.publishAsync("bulk", Buffer.from(payload), { qos: 1 });
    });
    await Promise.all(sent.slice(0, 5));
    reader.stream.resume();
    const got = await received;
    expect(got.map(([, text]) => text.charCodeAt(0) + text.length)).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 200_000),
    );
    await Promise.all(sent);
  },
  TIMEOUT_MS,
);

test("stop() says DISCONNECT and ends TLS cleanly", async () => {
  const broker = await brokerWith(tlsTransport(server));
  const { socket, closed } = bare(broker.port);
  let ended = false;
  socket.on("end", () => {
    ended = true;
  });
  socket.write(CONNECT);
  await new Promise((resolve) => socket.once("data", resolve));
  const half = bare(broker.port); // its handshake is over, and no CONNECT comes
  await new Promise((resolve) => half.socket.once("secureConnect", resolve));
  await broker.stop();
  const bytes = await closed;
  const disconnect = bytes.subarray(2 + bytes[1]!); // behind CONNACK
  expect([disconnect[0], disconnect[2], ended]).toEqual([0xe0, 0x8b, true]);
  await half.closed;
});

// ---- clients of others

const hasMosquitto = Bun.which("mosquitto_pub") !== null && Bun.which("mosquitto_sub") !== null;
const python = Bun.which("python3");
const hasPaho =
  python !== null &&
  Bun.spawnSync([python, "-c", "import paho.mqtt.client"], { stderr: "ignore" }).exitCode === 0;

function testWhere(present: boolean, missing: string, title: string, body: () => Promise<void>): void {
  if (!present) test.skip(`${title} (skipped: ${missing} is not installed)`, body);
  else test(title, body, TIMEOUT_MS);
}

for (const isMutual of [false, true]) {
  const what = isMutual ? "mutual TLS" : "TLS";
  const transport = tlsTransport(server, isMutual ? mutual(authority) : {});

  for (const version of ["mqttv31", "mqttv311", "mqttv5"]) {
    testWhere(
      hasMosquitto,
      "mosquitto_pub",
      `mosquitto_pub and mosquitto_sub, ${version} over ${what}`,
      async () => {
        const { port } = await brokerWith(transport);
        const tls = [
          "--cafile",
          authority.cert,
          ...(isMutual ? ["--cert", alice.cert, "--key", alice.key] : []),
        ];
        const common = ["-h", "localhost", "-p", `${port}`, "-V", version, "-t", "m/s", "-q", "1", ...tls];
        const sub = Bun.spawn(["stdbuf", "-oL", "mosquitto_sub", ...common, "-C", "2", "-d"], {
          stdout: "pipe",
        });
        let output = "";
        const reading = (async () => {
          for await (const chunk of sub.stdout) {
            const before = output.includes("Subscribed");
            output += new TextDecoder().decode(chunk);
            if (before || !output.includes("Subscribed")) continue;
            const pub = Bun.spawn(["mosquitto_pub", ...common, "-l"], { stdin: "pipe" });
            pub.stdin.write("one\ntwo\n");
            await pub.stdin.end();
          }
        })();
        expect(await sub.exited).toBe(0);
        await reading;
        expect(output.split("\n").filter((line) => ["one", "two"].includes(line))).toEqual(["one", "two"]);
      },
    );
  }

  for (const version of [3, 4, 5]) {
    testWhere(hasPaho, "paho-mqtt", `paho-mqtt, protocol ${version} over ${what}`, async () => {
      const { port } = await brokerWith(transport);
      const files = isMutual ? [alice.cert, alice.key] : [];
      const run = Bun.spawn([python!, "-c", PAHO, `${port}`, `${version}`, authority.cert, ...files], {
        stdout: "pipe",
        stderr: "inherit",
      });
      expect((await new Response(run.stdout).text()).trim()).toBe("0 1 2 3 4 5 6 7 8");
      expect(await run.exited).toBe(0);
    });
  }
}

const PAHO = `
import sys, threading, paho.mqtt.client as mqtt
port, version, ca, files = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
got, done, ready = [], threading.Event(), threading.Event()
def on_message(client, userdata, message):
    got.append(int(message.payload))
    if len(got) == 9: done.set()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho", protocol=version)
client.tls_set(ca, *files)
client.on_message = on_message
client.on_subscribe = lambda *rest: ready.set()
client.connect("localhost", port)
client.loop_start()
client.subscribe("p", qos=2)
assert ready.wait(10), "no SUBACK"
for index in range(9):
    client.publish("p", str(index), qos=index % 3).wait_for_publish(10)
assert done.wait(10), "got only %s" % got
client.disconnect()
client.loop_stop()
print(*sorted(got))
`;
