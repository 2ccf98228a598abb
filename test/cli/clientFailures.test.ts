// What goes wrong between the clients of the command line and a broker: exit statuses, which are mosquitto's where it
// has them, and sentences that say what to do. Connections that are lost and made anew.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { commandOf } from "../../src/cli/commandLine.ts";
import { CommandError } from "../../src/cli/end.ts";
import { SUBCOMMANDS } from "../../src/cli/subcommands.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { type Behaviour, type FakeBroker, startFakeBroker } from "./fakeBroker.ts";
import { MILLRACE, runTool, startTool, testBesideMosquitto, TOOL_TIMEOUT_MS } from "./tool.ts";

setDefaultTimeout(TOOL_TIMEOUT_MS);

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function fake(behaviour: Behaviour): FakeBroker {
  const broker = startFakeBroker(behaviour);
  cleanups.push(() => broker.stop());
  return broker;
}

async function started(port = 0): Promise<TestBroker> {
  const broker = await startTestBroker({ listener: { port } });
  cleanups.push(() => broker.stop());
  return broker;
}

const PUB = ["-t", "a", "-m", "b"];
const folder = mkdtempSync(join(tmpdir(), "millrace-fail-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const empty = join(folder, "empty");
writeFileSync(empty, "");

describe("before there is a connection", () => {
  const rows: readonly (readonly [name: string, args: string[], message: string])[] = [
    [
      "nothing listens",
      ["pub", ...PUB, "-p", "1"],
      "cannot connect to localhost:1: nothing listens there; start the",
    ],
    [
      "an unknown host",
      ["pub", ...PUB, "-h", "no.host.invalid"],
      "the host name is unknown; name another with -h",
    ],
    ["no socket", ["pub", ...PUB, "--unix", "/nowhere.sock"], "there is no such socket"],
    ["no port", ["pub", ...PUB, "-p", "99999"], '"99999" is no port: it is a number from 1 to 65535'],
    ["no address", ["pub", ...PUB, "-L", "http://x"], '"http://x" is no address of a broker: write mqtt://'],
    ["TLS for an address without", ["pub", ...PUB, "-L", "mqtt://x", "--tls"], "write mqtts: or wss:"],
    ["no topic", ["pub", "-m", "x"], "a topic is missing: say where to publish with -t"],
    ["a wildcard to publish to", ["pub", "-t", "a/#", "-m", "x"], "and no + and no #"],
    ["nothing to publish", ["pub", "-t", "a"], "say what to publish with one of -m, -f, -l, -s and -n"],
    ["two things to publish", ["pub", ...PUB, "-n"], "say what to publish with one of"],
    ["no such file", ["pub", "-t", "a", "-f", "/nowhere"], "-f /nowhere: ENOENT"],
    ["--repeat with -l", ["pub", "-t", "a", "-l", "--repeat", "2"], "--repeat does not go with -l"],
    ["no topic to subscribe to", ["sub"], "say what to subscribe to with -t"],
    ["a wrong filter", ["sub", "-t", "a/#/b"], '-t "a/#/b" is no topic filter'],
    ["a wrong filter to leave out", ["sub", "-t", "a", "-T", "a+"], '-T "a+" is no topic filter'],
    [
      "no retained ones, and those alone",
      ["sub", "-t", "a", "-R", "--retained-only"],
      "they leave nothing to print",
    ],
    ["a property without anything", ["pub", ...PUB, "-D"], "-D wants a packet, a property and its value"],
    ["a session without a name", ["sub", "-t", "a", "-c"], "give it one with --id"],
    ["a session for ever without a name", ["pub", ...PUB, "-x", "-1"], "give it one with --id"],
    ["MQTT 5's options with 3.1.1", ["pub", ...PUB, "-V", "311", "-x", "5"], "-D and -x want MQTT 5"],
    ["a password alone with 3.1.1", ["pub", ...PUB, "-V", "311", "-P", "x"], "give one with -u"],
    ["an empty password file", ["pub", ...PUB, "--password-file", empty], "its first line is empty"],
    ["no password file", ["pub", ...PUB, "--password-file", "/nowhere"], "--password-file /nowhere: ENOENT"],
    ["a will without a topic", ["pub", ...PUB, "--will-payload", "x"], "give it one with --will-topic"],
    ["a wrong will topic", ["pub", ...PUB, "--will-topic", "a/+"], "--will-topic"],
    [
      "no such packet",
      ["pub", ...PUB, "-D", "subscribe", "user-property", "a", "b"],
      "the packet is one of connect",
    ],
    ["no such property", ["pub", ...PUB, "-D", "publish", "content-typ", "a"], "did you mean content-type?"],
    [
      "a property of others",
      ["pub", ...PUB, "-D", "publish", "subscription-identifier", "1"],
      "no such property",
    ],
    ["a property without a value", ["pub", ...PUB, "-D", "publish", "content-type"], "a value is missing"],
    ["half a pair", ["pub", ...PUB, "-D", "publish", "user-property", "a"], "a name and a value are missing"],
    ["a value out of range", ["pub", ...PUB, "-D", "publish", "topic-alias", "0"], "must be 1..65535"],
    [
      "a property twice",
      ["pub", ...PUB, ...["a", "b"].flatMap((v) => ["-D", "publish", "content-type", v])],
      "twice",
    ],
  ];
  for (const [name, args, message] of rows) {
    test(name, async () => {
      const [command = "", ...rest] = args;
      const { name: _, ...row } = SUBCOMMANDS.find((subcommand) => subcommand.name === command)!;
      const { register, rewrite } = await row.load();
      const whole = commandOf({ name: command, ...row }, { register }, () => {
        throw new Error("nothing global is asked for");
      });
      const failure = await whole
        .parseAsync(rewrite?.(rest) ?? rest, { from: "user" })
        .catch((error) => error);
      expect(failure).toBeInstanceOf(CommandError);
      expect(failure.status).toBe(1);
      expect(failure.message).toContain(message);
    });
  }

  test(
    "a process ends with 1 and the sentence, and says nothing else",
    async () => {
      const { status, stdout, stderr } = await runTool([...MILLRACE, "pub", ...PUB, "-p", "1"]);
      expect([status, stdout]).toEqual([1, ""]);
      const advice = "nothing listens there; start the broker, or name another with -h and -p (ECONNREFUSED)";
      expect(stderr).toBe(`millrace: cannot connect to localhost:1: ${advice}\n`);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "an empty standard input clears nothing",
    async () => {
      const { status, stderr } = await runTool([...MILLRACE, "pub", "-t", "a", "-s", "-r"]);
      expect(status).toBe(1);
      expect(stderr).toContain("standard input is empty: -n publishes a message without a payload");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "options that are none, with a suggestion",
    async () => {
      const rows: readonly (readonly [string[], string])[] = [
        [["pub", ...PUB, "--retian"], "(Did you mean --retain?)"],
        [["sub", "-t", "a", "-q", "3"], "It is a whole number from 0 to 2."],
        [["pub", ...PUB, "-V", "4"], "It is 5, 3.1.1 or 3.1."],
        [["bench", "fan"], "Allowed choices are fan-out, fan-in, pairs, shared, connect"],
        [["bench", "--size", "8"], "It is a number of bytes from 16"],
      ];
      for (const [args, message] of rows) {
        const { status, stderr } = await runTool([...MILLRACE, ...args]);
        expect(status).toBe(1);
        expect(stderr).toContain(message);
        expect(stderr).toContain(`(millrace ${args[0]} --help tells the options)`);
      }
    },
    TOOL_TIMEOUT_MS,
  );
});

describe("a broker that refuses", () => {
  interface Row {
    readonly behaviour: Behaviour;
    readonly command: "pub" | "sub";
    readonly args: readonly string[];
    readonly status: number;
    readonly message: string;
    /** mosquitto's clients end with the same status. */
    readonly isMosquittos?: true;
  }
  const v5 = ["-V", "5"];
  const v4 = ["-V", "311"];
  const rows: readonly Row[] = [
    {
      behaviour: "refuses",
      command: "pub",
      args: [...PUB, ...v5],
      status: 135,
      message: "the broker refuses the connection: Not Authorized (0x87)",
      isMosquittos: true,
    },
    {
      behaviour: "refuses",
      command: "sub",
      args: ["-t", "a", ...v4],
      status: 5,
      message: "not authorized; give a user name and password with -u and -P",
      isMosquittos: true,
    },
    {
      behaviour: "drops",
      command: "pub",
      args: [...PUB, "-q", "1", ...v5],
      status: 7,
      message: "the connection is lost: the broker closed the connection; 1 message was not acknowledged",
      isMosquittos: true,
    },
    {
      behaviour: "drops",
      command: "pub",
      args: [...PUB, "-q", "2", ...v4],
      status: 7,
      message: "1 message was not acknowledged",
      isMosquittos: true,
    },
    {
      behaviour: "forbids",
      command: "pub",
      args: [...PUB, "-q", "1", ...v5],
      status: 135,
      message: "the broker refuses a message: Not Authorized (0x87); this user may not do it",
    },
    {
      behaviour: "forbids",
      command: "pub",
      args: [...PUB, "-q", "2", ...v5],
      status: 135,
      message: "the broker refuses a message: Not Authorized (0x87)",
    },
    {
      behaviour: "forbids",
      command: "sub",
      args: ["-t", "a", ...v5],
      status: 135,
      message: "the broker refuses the subscription to a: Not Authorized (0x87)",
    },
    {
      behaviour: "forbids",
      command: "sub",
      args: ["-t", "a", ...v4],
      status: 128,
      message: "the broker refuses the subscription to a",
    },
    {
      behaviour: "disconnects",
      command: "pub",
      args: [...PUB, "-q", "1", ...v5],
      status: 7,
      message: "the broker disconnects: Packet Too Large (0x95)",
    },
    {
      behaviour: "silent",
      command: "pub",
      args: [...PUB, "--connect-timeout", "1"],
      status: 1,
      message: "no CONNACK within 1000 ms",
    },
    {
      behaviour: "garbles",
      command: "sub",
      args: ["-t", "a"],
      status: 1,
      message: "the broker sent what is no MQTT",
    },
  ];
  for (const { behaviour, command, args, status, message, isMosquittos } of rows) {
    const title = `that ${behaviour}: ${command} ${args.join(" ")}`;
    test(
      title,
      async () => {
        const { port } = fake(behaviour);
        const ended = await runTool([...MILLRACE, command, "-p", String(port), "-h", "127.0.0.1", ...args]);
        expect(ended.stderr).toContain(message);
        expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
        expect([ended.status, ended.stdout]).toEqual([status, ""]);
      },
      TOOL_TIMEOUT_MS,
    );
    if (isMosquittos !== true) continue;
    testBesideMosquitto(
      `mosquitto_${title.slice(title.indexOf(command))} ends with the same status`,
      async () => {
        const { port } = fake(behaviour);
        const ended = await runTool([`mosquitto_${command}`, "-p", String(port), "-h", "127.0.0.1", ...args]);
        expect(ended.status).toBe(status);
      },
    );
  }

  test(
    "a broker that never answers SUBSCRIBE does not outlast -W",
    async () => {
      const { port } = fake("forgets");
      const ended = await runTool([
        ...MILLRACE,
        "sub",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-t",
        "a",
        "-W",
        "0.3",
      ]);
      expect([ended.status, ended.stdout]).toEqual([27, ""]);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "--quiet says nothing, and the status is the same",
    async () => {
      const { port } = fake("forbids");
      const ended = await runTool([...MILLRACE, "pub", "-p", String(port), ...PUB, "-q", "1", "--quiet"]);
      expect([ended.status, ended.stderr]).toEqual([135, ""]);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a message larger than the broker takes is not sent",
    async () => {
      const { port } = await started();
      const args = ["pub", "-h", "127.0.0.1", "-p", String(port), "-t", "a", "-s"];
      const ended = await runTool([...MILLRACE, ...args], { stdin: Buffer.alloc(3 << 20, 0x61) });
      expect(ended.status).toBe(1);
      expect(ended.stderr).toContain("is too large: the broker takes 2097152");
    },
    TOOL_TIMEOUT_MS,
  );
});

describe("a broker that goes and comes back", () => {
  test(
    "sub connects and subscribes again",
    async () => {
      const first = await startTestBroker();
      const { port } = first;
      const tool = startTool([
        ...MILLRACE,
        "sub",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-t",
        "back/#",
        "-C",
        "1",
        "-d",
      ]);
      await tool.until("received SUBACK");
      await first.stop();
      await tool.until("connecting again");
      await started(port);
      await tool.until("received SUBACK", 2);
      const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`);
      cleanups.push(() => publisher.endAsync(true));
      await publisher.publishAsync("back/x", "hello again", { qos: 1 });
      expect(await tool.ended).toMatchObject({ status: 0, stdout: "hello again\n" });
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "pub -l publishes every line, those that the old one did not acknowledge too",
    async () => {
      const first = startFakeBroker("drops");
      const { port } = first;
      const tool = startTool([
        ...MILLRACE,
        "pub",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-t",
        "kept",
        "-l",
        "-q",
        "1",
      ]);
      tool.input("one\ntwo\n");
      await tool.until("connecting again");
      first.stop();
      await started(port);
      const subscriber = await connectAsync(`mqtt://127.0.0.1:${port}`);
      cleanups.push(() => subscriber.endAsync(true));
      const payloads: string[] = [];
      const { promise: allCame, resolve } = Promise.withResolvers<void>();
      subscriber.on("message", (_, payload) => {
        payloads.push(`${payload}`);
        if (payloads.at(-1) === "end") resolve();
      });
      await subscriber.subscribeAsync("kept", { qos: 1 });
      tool.input("three\n");
      tool.endInput();
      expect((await tool.ended).status).toBe(0);
      await subscriber.publishAsync("kept", "end", { qos: 1 });
      await allCame;
      expect(payloads).toEqual(["one", "two", "three", "end"]);
    },
    TOOL_TIMEOUT_MS,
  );
});
