// `millrace pub` as a person runs it, against a broker of this process; the same table holds for mosquitto_pub.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync, type IPublishPacket, type MqttClient } from "mqtt";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { MILLRACE, runTool, startTool, testBesideMosquitto, TOOL_TIMEOUT_MS } from "./tool.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-pub-"));
const BYTES = Buffer.from([0, 1, 0xff, 0xfe, 0x0a, 0x0d, 0x0a, 0x80]);
const file = join(folder, "payload.bin");
writeFileSync(file, BYTES);
const emptyFile = join(folder, "empty");
writeFileSync(emptyFile, "");

let broker: TestBroker;
let listener: MqttClient;
const received: IPublishPacket[] = [];
let look = (): void => {};

beforeAll(async () => {
  broker = await startTestBroker();
  listener = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5 });
  listener.on("message", (_topic, _payload, packet) => {
    received.push(packet);
    look();
  });
  await listener.subscribeAsync("#", { qos: 2, rap: true });
});
afterAll(async () => {
  await listener.endAsync(true);
  await broker.stop();
  rmSync(folder, { recursive: true });
});

/** All that came until the marker, which a client of this process publishes behind everything else. */
async function arrived(): Promise<IPublishPacket[]> {
  await listener.publishAsync("marker", "", { qos: 2 });
  while (received.at(-1)?.topic !== "marker") {
    await new Promise<void>((resolve) => {
      look = resolve;
    });
  }
  return received.splice(0).slice(0, -1);
}

interface Row {
  readonly name: string;
  readonly args: readonly string[];
  readonly stdin?: string | Buffer;
  /** Payloads in order; QoS and RETAIN are the same for all. */
  readonly payloads: readonly (string | Buffer)[];
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: IPublishPacket["properties"];
}

const LINES = "first\n\nwith cr\r\n  blanks  \nlast, without an end";
const rows: readonly Row[] = [
  { name: "-m", args: ["-m", "hello"], payloads: ["hello"] },
  { name: "-m with an empty text", args: ["-m", ""], payloads: [""] },
  { name: "-m that looks like an option", args: ["-m", "-5"], payloads: ["-5"] },
  { name: "-n", args: ["-n"], payloads: [""] },
  { name: "-f", args: ["-f", file], payloads: [BYTES] },
  { name: "-s", args: ["-s"], stdin: BYTES, payloads: [BYTES] },
  {
    name: "-l",
    args: ["-l", "-q", "1"],
    stdin: LINES,
    payloads: ["first", "", "with cr\r", "  blanks  ", "last, without an end"],
    qos: 1,
  },
  { name: "-l without a line", args: ["-l"], stdin: "", payloads: [] },
  { name: "-f with an empty file", args: ["-f", emptyFile], payloads: [""] },
  { name: "-q 1", args: ["-m", "x", "-q", "1"], payloads: ["x"], qos: 1 },
  { name: "-q 2", args: ["-m", "x", "-q", "2"], payloads: ["x"], qos: 2 },
  { name: "-r", args: ["-m", "x", "-r"], payloads: ["x"], retain: true },
  { name: "-r -n", args: ["-n", "-r"], payloads: [""], retain: true },
  { name: "--repeat", args: ["-m", "x", "--repeat", "3", "-q", "2"], payloads: ["x", "x", "x"], qos: 2 },
  {
    name: "--repeat-delay",
    args: ["-m", "x", "--repeat", "2", "--repeat-delay", "0.1"],
    payloads: ["x", "x"],
  },
  { name: "MQTT 3.1", args: ["-m", "x", "-V", "mqttv31", "-q", "2"], payloads: ["x"], qos: 2 },
  { name: "MQTT 3.1.1", args: ["-m", "x", "-V", "311", "-q", "1"], payloads: ["x"], qos: 1 },
  { name: "MQTT 5", args: ["-m", "x", "-V", "5", "-q", "2"], payloads: ["x"], qos: 2 },
  {
    name: "long names",
    args: ["--message", "x", "--qos", "1", "--retain", "--protocol-version", "5", "--keepalive", "30"],
    payloads: ["x"],
    qos: 1,
    retain: true,
  },
  {
    name: "-D",
    args: [
      ...["-m", "x", "-V", "5"],
      ...["-D", "publish", "content-type", "text/plain"],
      ...["-D", "PUBLISH", "user-property", "unit", "°C"],
      ...["-D", "publish", "user-property", "unit", "K"],
      ...["-D", "publish", "user-property", "place", "-1"],
      ...["--property", "publish", "response-topic", "answers/here"],
      ...["-D", "publish", "correlation-data", "c-1"],
      ...["-D", "publish", "payload-format-indicator", "1"],
      ...["-D", "publish", "message-expiry-interval", "3600"],
      ...["-D", "connect", "user-property", "a", "b"],
      ...["-D", "disconnect", "session-expiry-interval", "0"],
    ],
    payloads: ["x"],
    properties: {
      contentType: "text/plain",
      userProperties: { unit: ["°C", "K"], place: "-1" },
      responseTopic: "answers/here",
      correlationData: Buffer.from("c-1"),
      payloadFormatIndicator: true,
      messageExpiryInterval: 3600,
    },
  },
];

async function publishes(command: readonly string[], row: Row): Promise<void> {
  const topic = `pub/${row.name.replaceAll(/[^a-z0-9]/gi, "")}`;
  const { stdin = "" } = row;
  const where = ["-h", "127.0.0.1", "-p", String(broker.port), "-t", topic];
  const { status, stdout, stderr } = await runTool([...command, ...where, ...row.args], { stdin });
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
  const came = await arrived();
  expect(came.map(({ payload }) => Buffer.from(payload))).toEqual(
    row.payloads.map((payload) => Buffer.from(payload as string)),
  );
  for (const packet of came) {
    expect([packet.topic, packet.qos, packet.retain]).toEqual<unknown>([
      topic,
      row.qos ?? 0,
      row.retain ?? false,
    ]);
    if (row.properties !== undefined) expect<unknown>(packet.properties).toEqual(row.properties);
  }
}

describe("pub", () => {
  for (const row of rows) test(row.name, () => publishes([...MILLRACE, "pub"], row), TOOL_TIMEOUT_MS);
});

describe("mosquitto_pub does the same", () => {
  for (const row of rows) testBesideMosquitto(row.name, () => publishes(["mosquitto_pub"], row));
});

describe("pub, besides", () => {
  const pub = [...MILLRACE, "pub"];
  const at = (): string[] => ["-h", "127.0.0.1", "-p", String(broker.port)];

  test(
    "-L names host, port and topic",
    async () => {
      const url = `mqtt://127.0.0.1:${broker.port}/url/a topic`;
      expect((await runTool([...pub, "-L", url, "-m", "x"])).status).toBe(0);
      expect((await arrived()).map(({ topic }) => topic)).toEqual(["url/a topic"]);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "-d tells the packets, and nothing of what they hold",
    async () => {
      const args = [
        "-t",
        "pub/debug",
        "-m",
        "secret",
        "-q",
        "2",
        "-d",
        "-i",
        "teller",
        "-u",
        "me",
        "-P",
        "hidden",
      ];
      const { status, stderr } = await runTool([...pub, ...at(), ...args]);
      expect(status).toBe(0);
      const packets = ["sending CONNECT", "received CONNACK", "sending PUBLISH", "received PUBREC"];
      for (const text of [...packets, "sending PUBREL", "received PUBCOMP", "sending DISCONNECT"])
        expect(stderr).toContain(text);
      expect(stderr).not.toContain("secret");
      expect(stderr).not.toContain("hidden");
      await arrived();
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "-l publishes each line when it comes",
    async () => {
      const tool = startTool([...pub, ...at(), "-t", "pub/live", "-l", "-d"]);
      tool.input("one\n");
      await tool.until("sending PUBLISH");
      tool.input("two\nthr");
      tool.input("ee\n");
      tool.endInput();
      expect((await tool.ended).status).toBe(0);
      expect((await arrived()).map(({ payload }) => `${payload}`)).toEqual(["one", "two", "three"]);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "10,000 lines of QoS 1 and 2 come all, once, in order",
    async () => {
      const lines = Array.from({ length: 10_000 }, (_, at) => `line ${at}`);
      for (const qos of ["1", "2"]) {
        const args = [...at(), "-t", "pub/many", "-l", "-q", qos, "-M", "1000"];
        const { status, stderr } = await runTool([...pub, ...args], { stdin: lines.join("\n") });
        expect([status, stderr]).toEqual([0, ""]);
        expect((await arrived()).map(({ payload }) => `${payload}`)).toEqual(lines);
      }
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a will is published for one that is lost, not for one that says DISCONNECT",
    async () => {
      const will = ["--will-topic", "pub/will", "--will-payload", "gone", "--will-qos", "1", "--will-retain"];
      const args = [...pub, ...at(), ...will, "-t", "pub/wills", "-l", "-d"];
      expect((await runTool(args, { stdin: "x\n" })).status).toBe(0);
      const lost = startTool(args);
      await lost.until("received CONNACK");
      lost.kill("SIGTERM");
      await lost.ended;
      while (!received.some(({ topic }) => topic === "pub/will")) {
        await new Promise<void>((resolve) => {
          look = resolve;
        });
      }
      const wills = (await arrived()).filter(({ topic }) => topic === "pub/will");
      expect(wills.map(({ payload, qos, retain }) => [`${payload}`, qos, retain])).toEqual([
        ["gone", 1, true],
      ]);
      await runTool([...pub, ...at(), "-t", "pub/will", "-n", "-r"]);
      await arrived();
    },
    TOOL_TIMEOUT_MS,
  );
});
