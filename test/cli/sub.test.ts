// `millrace sub` as a person runs it, against a broker of this process. Where mosquitto_sub is installed, the output of
// both is compared byte for byte.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectAsync, type IClientPublishOptions, type MqttClient } from "mqtt";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { type Ended, MILLRACE, runTool, startTool, testBesideMosquitto, TOOL_TIMEOUT_MS } from "./tool.ts";

const SUB = [...MILLRACE, "sub"];

let broker: TestBroker;
let publisher: MqttClient;

beforeAll(async () => {
  broker = await startTestBroker();
  publisher = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5 });
  for (const { topic, payload, options } of retained)
    await publisher.publishAsync(topic, payload, { qos: 2, retain: true, ...options });
});
afterAll(async () => {
  await publisher.endAsync(true);
  await broker.stop();
});

const BINARY = Buffer.from([0, 1, 0x7f, 0x41, 0x22, 0x5c, 0x0a, 0x09, 0xc3, 0xa9]);

const TIMES =
  "Y-@m-@d @H:@M @z @Z @j @U @W @V @u @w @e @k @l @I @p @P @D @F @x @a @A @b @B @h @C @g @G @y @n@t@@@%";
const FORMATS = [
  "%t|%p|%x|%X|%l|%q|%r|%%",
  "%A|%C|%D|%E|%F|%P|%R|%S",
  String.raw`\t\n\r\v\a\e\0\\|@@`,
  `@${TIMES}`,
  "no letters at all",
  "%I %U",
  "%j",
  "%5l|%05l|%-5l|%-05l|%8F|%08F|",
  "%12p|%-12p|%20t|%-20t|%12C|%-12C|%12R|%-12R|%30I|%-30I|",
  "%.4I|",
  "%.3t|%6.3t|%-6.3t|",
  "%.4C|",
];

/** Kept by the broker, so that both programs find them whenever they come. */
const retained: readonly { topic: string; payload: string | Buffer; options?: IClientPublishOptions }[] = [
  {
    topic: "f/full",
    payload: "payload",
    options: {
      properties: {
        contentType: "text/plain",
        responseTopic: "re/ply",
        correlationData: Buffer.from("c-7"),
        payloadFormatIndicator: true,
        userProperties: { unit: "°C", place: "roof" },
      },
    },
  },
  { topic: "f/bare", payload: "x" },
  { topic: "f/json", payload: '{"a":[1,2.5],"b":"é"}' },
  { topic: "f/binary", payload: BINARY },
  { topic: "many/1", payload: "one" },
  { topic: "many/2", payload: "two" },
  { topic: "many/3/deep", payload: "three" },
];

function at(): string[] {
  return ["-h", "127.0.0.1", "-p", String(broker.port)];
}

async function sub(...args: readonly string[]): Promise<Ended> {
  return await runTool([...SUB, ...at(), ...args]);
}

/** Times differ between two runs, and mosquitto 2.0 writes "Z+0000". */
function timeless(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?[+-]\d{4}/g, "TIME")
    .replaceAll(/\d{10}\.\d{9}/g, "SECONDS");
}

describe("output is mosquitto_sub's", () => {
  const messageIds = ["0", "1", "2"].map((qos) => ["f/full", "-q", qos, "-F", "%q %r %m %l %t"] as const);
  const rows: readonly (readonly [topic: string, ...args: string[]])[] = [
    ["f/full"],
    ["f/full", "-v"],
    ["f/full", "-N"],
    ["f/full", "-v", "-N"],
    ["f/binary"],
    ["f/binary", "-F", "%p %x %X %l"],
    ...messageIds,
    ["f/bare", "-F", "%A|%C|%D|%E|%F|%P|%R|%S"],
    ["f/full", "-D", "subscribe", "subscription-identifier", "77", "-F", "%S|%5S|%05S|%-5S|"],
    ["f/json", "-F", "%j\n%J"],
    ["f/bare", "-F", "%j"],
    ["f/full", "-V", "311", "-F", "%j"],
    ["f/full", "-V", "31", "-q", "1", "-F", "%j|%C|%P"],
    // A precision once given holds for all that follow in mosquitto_sub 2.0: those stand last.
    ["f/full", "-F", FORMATS.join("\n")],
  ];
  for (const [topic, ...args] of rows) {
    testBesideMosquitto([topic, ...args].join(" ").replaceAll("\n", " "), async () => {
      const version = args.includes("-V") ? [] : ["-V", "5"];
      const all = [...at(), ...version, "-t", topic, "-C", "1", "-W", "10", ...args];
      const [ours, theirs] = await Promise.all([
        runTool([...SUB, ...all]),
        runTool(["mosquitto_sub", ...all]),
      ]);
      expect(theirs.status).toBe(0);
      expect(timeless(ours.bytes.toString("latin1"))).toBe(timeless(theirs.bytes.toString("latin1")));
      expect([ours.status, ours.stderr]).toEqual([0, ""]);
    });
  }
});

test(
  "%J says which payload is no JSON, and goes on",
  async () => {
    const { status, stdout, stderr } = await sub("-t", "f/bare", "-t", "f/json", "-C", "2", "-F", "%J");
    expect(status).toBe(0);
    expect(stderr).toContain("the payload of a message on f/bare is no JSON");
    expect(stdout.trim().split("\n")).toHaveLength(1);
  },
  TOOL_TIMEOUT_MS,
);

describe("what is printed and when it ends", () => {
  /** The payloads that come, sorted: retained messages have no order between topics. */
  async function printed(...args: readonly string[]): Promise<string[]> {
    const { status, stdout } = await sub(...args);
    expect([0, 27]).toContain(status!);
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .toSorted();
  }

  const rows: readonly (readonly [name: string, args: string[], lines: string[]])[] = [
    ["several -t", ["-t", "many/1", "-t", "many/2", "-C", "2"], ["one", "two"]],
    [
      "-T leaves out, and -C does not count it",
      ["-t", "many/#", "-T", "many/1", "-C", "2"],
      ["three", "two"],
    ],
    ["-T with wildcards", ["-t", "many/#", "-T", "many/+", "-C", "1"], ["three"]],
    ["-R", ["-t", "many/#", "-R", "-W", "0.3"], []],
    ["--random-filter", ["-t", "many/#", "--random-filter", "0.1", "-W", "0.3"], []],
  ];
  for (const [name, args, lines] of rows)
    test(name, async () => expect(await printed(...args)).toEqual(lines), TOOL_TIMEOUT_MS);

  test(
    "-W ends with 27",
    async () => {
      const { status, stdout, stderr } = await sub("-t", "nothing/here", "-W", "0.3");
      expect([status, stdout, stderr]).toEqual([27, "", "millrace: timed out\n"]);
      expect((await sub("-t", "nothing/here", "-W", "0.3", "--quiet")).stderr).toBe("");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "-E makes a session that collects, -C takes as many as it says and leaves the rest",
    async () => {
      const session = ["-c", "-i", "collector", "-q", "1", "-t", "jobs/#"];
      expect(await sub(...session, "-E")).toMatchObject({ status: 0, stdout: "" });
      for (let n = 1; n <= 5; n++) await publisher.publishAsync("jobs/new", `job ${n}`, { qos: 1 });
      expect((await sub(...session, "-C", "2")).stdout).toBe("job 1\njob 2\n");
      expect((await sub(...session, "-C", "3")).stdout).toBe("job 3\njob 4\njob 5\n");
      expect((await sub(...session, "-U", "jobs/#", "-E")).status).toBe(0);
      await publisher.publishAsync("jobs/new", "nobody's", { qos: 1 });
      expect((await sub("-c", "-i", "collector", "-t", "other", "-W", "0.3")).stdout).toBe("");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "the same at QoS 2: nothing twice, nothing missing",
    async () => {
      const session = ["-c", "-i", "collector2", "-q", "2", "-t", "jobs2/#"];
      expect((await sub(...session, "-E")).status).toBe(0);
      for (let n = 1; n <= 6; n++) await publisher.publishAsync("jobs2/new", `job ${n}`, { qos: 2 });
      let all = "";
      for (const count of ["1", "2", "3"]) all += (await sub(...session, "-C", count)).stdout;
      expect(all).toBe("job 1\njob 2\njob 3\njob 4\njob 5\njob 6\n");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "--retained-only ends with the first live message, --remove-retained clears",
    async () => {
      for (const name of ["a", "b"])
        await publisher.publishAsync(`clear/${name}`, name, { retain: true, qos: 1 });
      const tool = startTool([...SUB, ...at(), "-t", "clear/#", "--retained-only", "--remove-retained"]);
      await tool.until("a\n");
      await tool.until("b\n");
      await publisher.publishAsync("clear/live", "live", { qos: 1 });
      const { status, stdout } = await tool.ended;
      expect([status, stdout.split("\n").toSorted().join(" ").trim()]).toEqual([0, "a b"]);
      expect((await sub("-t", "clear/#", "-W", "0.3")).stdout).toBe("");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "--retain-as-published keeps the flag of a live message",
    async () => {
      for (const [args, flag] of [
        [[], "0"],
        [["--retain-as-published"], "1"],
      ] as const) {
        const tool = startTool([...SUB, ...at(), "-t", "rap/x", "-d", "-C", "1", "-F", "flag %r", ...args]);
        await tool.until("received SUBACK");
        await publisher.publishAsync("rap/x", "x", { retain: true, qos: 1 });
        expect((await tool.ended).stdout).toBe(`flag ${flag}\n`);
        await publisher.publishAsync("rap/x", "", { retain: true, qos: 1 });
      }
    },
    TOOL_TIMEOUT_MS,
  );

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(
      `${signal} ends it with DISCONNECT and 0`,
      async () => {
        const tool = startTool([...SUB, ...at(), "-t", "x", "-d", "--will-topic", "will/of/sub"]);
        await tool.until("received SUBACK");
        tool.kill(signal);
        const { status, stderr } = await tool.ended;
        expect(status).toBe(0);
        expect(stderr).toContain("sending DISCONNECT");
      },
      TOOL_TIMEOUT_MS,
    );
  }

  test(
    "a reader that goes away ends it with DISCONNECT and 0",
    async () => {
      const command = [...SUB, ...at(), "-t", "pipe/#", "-d"].map((word) => `'${word}'`).join(" ");
      const script = `set -o pipefail; ${command} | head -n 2; echo "statuses \${PIPESTATUS[*]}"`;
      const tool = startTool(["bash", "-c", script]);
      await tool.until("received SUBACK");
      const publishing = setInterval(() => publisher.publish("pipe/x", "line"), 5);
      const { stdout, stderr } = await tool.ended;
      clearInterval(publishing);
      expect(stdout).toBe("line\nline\nstatuses 0 0\n");
      expect(stderr).toContain("sending DISCONNECT");
      expect(stderr).not.toContain("EPIPE");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a slow reader gets everything, in order",
    async () => {
      const count = 900;
      const command = [...SUB, ...at(), "-t", "slow/#", "-q", "1", "-C", String(count), "-d"];
      const script = `${command.map((word) => `'${word}'`).join(" ")} | { sleep 1; wc -l; }`;
      const tool = startTool(["bash", "-c", script]);
      await tool.until("received SUBACK");
      const payload = "p".repeat(500);
      await Promise.all(
        Array.from({ length: count }, () => publisher.publishAsync("slow/x", payload, { qos: 1 })),
      );
      expect((await tool.ended).stdout.trim()).toBe(String(count));
    },
    TOOL_TIMEOUT_MS,
  );
});
