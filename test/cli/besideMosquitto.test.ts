// The same arguments for mosquitto's clients and for ours, at one broker: what they print, the gist of what they complain
// of, and how they end. Formats and payloads are compared in sub.test.ts and pub.test.ts.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { connectAsync, type MqttClient } from "mqtt";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { type Ended, MILLRACE, runTool, startTool, testBesideMosquitto } from "./tool.ts";

let broker: TestBroker;
let publisher: MqttClient;

beforeAll(async () => {
  broker = await startTestBroker();
  publisher = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5 });
  for (const name of ["1", "2"])
    await publisher.publishAsync(`r/${name}`, `payload ${name}`, { qos: 1, retain: true });
});
afterAll(async () => {
  await publisher.endAsync(true);
  await broker.stop();
});

type What = "pub" | "sub";

async function both(what: What, args: readonly string[], stdin = ""): Promise<[ours: Ended, theirs: Ended]> {
  const all = args.includes("-L") || args.includes("--unix") ? args : [...at(args), ...args];
  const filled = all.map((arg) => arg.replace("PORT", String(broker.port)));
  return await Promise.all([
    runTool([...MILLRACE, what, ...filled], { stdin }),
    runTool([`mosquitto_${what}`, ...filled], { stdin }),
  ]);
}

function at(args: readonly string[]): string[] {
  return ["-h", "127.0.0.1", ...(args.includes("-p") ? [] : ["-p", "PORT"])];
}

interface Row {
  readonly what: What;
  readonly args: readonly string[];
  readonly status: number;
  /** What both complain of; absent: both are silent. */
  readonly gist?: RegExp;
}

function sub(status: number, args: string, gist?: RegExp): Row {
  return { what: "sub", args: args.split(" "), status, ...(gist !== undefined && { gist }) };
}

function pub(status: number, args: string, gist?: RegExp): Row {
  return { ...sub(status, args, gist), what: "pub" };
}

const rows: readonly Row[] = [
  sub(0, "-t r/# -C 2"),
  sub(0, "-t r/# -T r/1 -C 1"),
  sub(0, "-t r/# -N -C 2"),
  sub(0, "-t r/# -v -F %t -C 2"),
  sub(0, "-t none -E"),
  sub(0, "-t r/1 -C 1 -I both"),
  sub(0, "-t r/1 -C 1 -x 10 -V 5"),
  sub(0, "-t r/1 -C 1 -D connect receive-maximum 1"),
  sub(0, "-t r/1 -C 1 --nodelay -k 10 -M 5"),
  sub(0, "-t r/1 -C 1 --retain-as-published -V 311"),
  sub(0, "-t r/1 -C 1 --will-topic w --will-payload x --will-qos 1 --will-retain"),
  sub(0, "-t r/1 -C 1 -A 127.0.0.1"),
  sub(0, "-L mqtt://127.0.0.1:PORT/r/1 -C 1"),
  sub(27, "-t r/# -R -W 1", /timed out/i),
  sub(27, "-t none -W 1", /timed out/i),
  sub(27, "-t none -U none -W 1 --quiet"),
  sub(1, "-C 1", /topic/i),
  sub(1, "-t r/# -C 0", /count/i),
  sub(1, "-t r/# -W 0", /timeout/i),
  sub(1, "-t r/#/x", /'\+' and '#'|\+ .* # /i),
  sub(1, "-t r/# -q 3", /qos/i),
  sub(1, "-t r/# -V 6", /version/i),
  sub(1, "-t r/# -F %z", /z/),
  sub(1, "-t r/# -F \\q", /escape/i),
  sub(1, "-t r/# -c", /client id|--id/i),
  sub(1, "-t r/# -i a -I b", /-i and -I/),
  sub(1, "-t r/# --will-payload x", /will .*topic/i),
  sub(1, "-t r/# --will-topic w/#", /will.topic/i),
  sub(1, "-t r/# -D connect nothing 1", /property/i),
  sub(1, "-t r/# --bogus", /unknown option '--bogus'/i),
  sub(1, "-t r/# --cert x", /both certfile and keyfile|--cert and --key/i),
  sub(1, "-t r/# -p 1", /refused|nothing listens/i),
  sub(1, "-L http://127.0.0.1/r", /url|address/i),
  sub(1, "--unix /nowhere -t r/#", /file or directory|no such socket/i),
  pub(0, "-t p -m x -q 2 --repeat 2"),
  pub(0, "-t p -n -r -q 1"),
  pub(0, "-t p -m x -I both -k 30 --nodelay"),
  pub(0, "-L mqtt://127.0.0.1:PORT/p -m x"),
  pub(1, "-m x", /topic/i),
  pub(1, "-t p", /message|publish/i),
  pub(1, "-t p/# -m x", /topic|'\+' or '#'/i),
  pub(1, "-t p -f /nowhere", /\/nowhere/),
  pub(1, "-t p -s", /zero length|empty/i),
  pub(1, "-t p -m x --repeat 0", /repeat/i),
  pub(1, "-t p -m x --repeat-delay -1", /repeat-delay/i),
  pub(1, "-t p -m x -u", /-u/),
  pub(1, "-L mqtt://127.0.0.1:PORT -m x", /topic/i),
];

describe("status, output and complaints are mosquitto's:", () => {
  for (const { what, args, status, gist } of rows) {
    testBesideMosquitto(`${what} ${args.join(" ")}`, async () => {
      const [ours, theirs] = await both(what, args);
      expect([ours.status, theirs.status]).toEqual([status, status]);
      if (status !== 1) expect(ours.stdout).toBe(theirs.stdout);
      for (const { stderr } of [ours, theirs]) {
        if (gist === undefined) expect(stderr).toBe("");
        else expect(stderr).toMatch(gist);
      }
    });
  }
});

describe("both end alike by", () => {
  const programs = [[...MILLRACE, "sub"], ["mosquitto_sub"]];

  testBesideMosquitto("the first live message after --retained-only", async () => {
    for (const program of programs) {
      const where = ["-h", "127.0.0.1", "-p", String(broker.port), "-t", "r/1", "-t", "live"];
      const tool = startTool([...program, ...where, "--retained-only"]);
      await tool.until("payload 1\n");
      await publisher.publishAsync("live", "live", { qos: 1 });
      expect(await tool.ended).toMatchObject({ status: 0, stdout: "payload 1\n", stderr: "" });
    }
  });

  testBesideMosquitto("SIGINT and SIGTERM", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      for (const program of programs) {
        const tool = startTool([...program, "-h", "127.0.0.1", "-p", String(broker.port), "-t", "r/1"]);
        await tool.until("payload 1\n");
        tool.kill(signal);
        expect(await tool.ended).toMatchObject({ status: 0, stdout: "payload 1\n", stderr: "" });
      }
    }
  });
});
