// `millrace bench`: every scenario at every QoS against a broker of this process, its verdict over brokers that lose,
// double and shuffle, and the parts that keep account.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectAsync } from "mqtt";
import { Clients, type LoadTerms, SCENARIOS } from "../../src/cli/bench/clients.ts";
import { drawHistogram } from "../../src/cli/bench/draw.ts";
import { generatorLoad, generatorTimes, isBusy } from "../../src/cli/bench/generatorLoad.ts";
import { Histogram } from "../../src/cli/bench/histogram.ts";
import { textReport } from "../../src/cli/bench/report.ts";
import { type Progress, runLoad } from "../../src/cli/bench/run.ts";
import { ShareCheck } from "../../src/cli/bench/shareCheck.ts";
import { faultsOf } from "../../src/cli/bench/verdict.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { type Behaviour, startFakeBroker } from "./fakeBroker.ts";
import { MILLRACE, runTool, startTool, TOOL_TIMEOUT_MS } from "./tool.ts";

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker({ listener: { queueMessagesMax: 100_000, queueBytesMax: 64 << 20 } });
});
afterAll(() => broker.stop());

let serial = 0;

function termsOf(port: number, more: Partial<LoadTerms>): LoadTerms {
  return {
    connect: {
      target: { kind: "tcp", host: "127.0.0.1", port, path: "", tls: false },
      tls: { ca: undefined, cert: undefined, key: undefined, insecure: false },
      username: undefined,
      password: undefined,
      topic: undefined,
      timeoutMs: 10_000,
    },
    scenario: "pairs",
    publishers: 3,
    subscribers: 3,
    publishLevel: 5,
    subscribeLevel: 5,
    qos: 0,
    payloadBytes: 64,
    alias: false,
    window: 16,
    rate: undefined,
    connectRate: undefined,
    seconds: 0.15,
    warmUpSeconds: 0.05,
    prefix: `bench-test-${++serial}`,
    ...more,
  };
}

async function load(port: number, more: Partial<LoadTerms>) {
  const terms = termsOf(port, more);
  const result = await runLoad(terms, new Clients(terms), { progress() {} });
  return { result, faults: faultsOf(result, terms.qos) };
}

describe("every scenario", () => {
  const counts = { "fan-out": [1, 4], "fan-in": [4, 1], pairs: [3, 3], shared: [2, 4] } as const;
  const ways = { "fan-out": 4, "fan-in": 1, pairs: 1, shared: 1 } as const;
  for (const scenario of SCENARIOS) {
    for (const qos of [0, 1, 2] as const) {
      test(
        `${scenario} at QoS ${qos}: all comes, once, in order`,
        async () => {
          const [publishers, subscribers] = counts[scenario];
          // At a rate: a flood may overrun what a session may be owed, and QoS 0 a slow reader.
          const { result, faults } = await load(broker.port, {
            scenario,
            qos,
            publishers,
            subscribers,
            rate: 2_000,
          });
          expect(faults).toEqual([]);
          expect(result.lost).toBe(0);
          expect(result.received).toBe(result.sent * ways[scenario]);
          expect(result.latencies.count).toBeGreaterThan(0);
          expect(result.acknowledgements.count > 0).toBe(qos > 0);
          expect(result.connects.count).toBe(publishers + subscribers);
        },
        TOOL_TIMEOUT_MS,
      );
    }
  }

  const rows: readonly (readonly [string, Partial<LoadTerms>])[] = [
    ["flat out", { qos: 1, publishers: 2, subscribers: 2 }],
    ["from MQTT 3.1 to 5", { publishLevel: 3, qos: 2, rate: 1_000 }],
    ["from MQTT 5 to 3.1.1, topics by alias", { subscribeLevel: 4, alias: true, qos: 1, rate: 1_000 }],
    ["topics by alias, QoS 0", { alias: true, rate: 1_000 }],
    ["payloads of 16 bytes", { payloadBytes: 16, qos: 2, rate: 1_000 }],
    ["payloads of 100 KiB, larger than a chunk", { payloadBytes: 100 << 10, qos: 1, rate: 100 }],
    ["a window of 1", { window: 1, qos: 2 }],
    ["a window larger than the broker's Receive Maximum", { window: 5_000, qos: 1, rate: 2_000 }],
    ["connections at a rate", { connectRate: 100, rate: 1_000 }],
  ];
  for (const [name, terms] of rows) {
    test(
      name,
      async () => {
        const { result, faults } = await load(broker.port, terms);
        expect([faults, result.lost, result.received]).toEqual([[], 0, result.sent]);
        expect(result.sent).toBeGreaterThan(0);
      },
      TOOL_TIMEOUT_MS,
    );
  }
});

describe("the generator", () => {
  test("was the limit when its core was busy, with it or with others", () => {
    const load = (cpuS: number, waitedS: number) =>
      generatorLoad({ cpuS: 1, waitedS: 1 }, { cpuS: 1 + cpuS, waitedS: 1 + waitedS }, 2);
    expect(load(0.5, 0.25)).toEqual({ cores: 0.25, waitedCores: 0.125 });
    expect([load(1, 0), load(1.9, 0), load(1, 0.9)].map(isBusy)).toEqual([false, true, true]);
    expect(generatorTimes().cpuS).toBeGreaterThan(0);
  });
});

describe("the verdict over a broker that", () => {
  const rows: readonly (readonly [Behaviour, 0 | 1 | 2, RegExp | null])[] = [
    ["good", 2, null],
    ["loses", 0, null],
    ["loses", 1, /lost, which QoS 1 does not allow/],
    ["loses", 2, /lost, which QoS 2 does not allow/],
    ["doubles", 0, /twice, which QoS 0 does not allow/],
    ["doubles", 1, null],
    ["doubles", 2, /twice, which QoS 2 does not allow/],
    ["shuffles", 1, /out of order/],
    ["drops", 1, /connections? lost/],
    ["rejects", 1, /refused by the broker/],
    ["rejects", 2, /refused by the broker/],
  ];
  for (const [behaviour, qos, fault] of rows) {
    test.concurrent(
      `${behaviour}, QoS ${qos}: ${fault === null ? "good" : "bad"}`,
      async () => {
        const fake = startFakeBroker(behaviour);
        try {
          const one = { publishers: 1, subscribers: 1, qos, rate: 1_000 };
          const { result, faults } = await load(fake.port, one);
          if (fault === null) expect(faults).toEqual([]);
          else expect(faults.join("; ")).toMatch(fault);
          if (behaviour === "loses") expect(result.lost).toBe(Math.floor(result.sent / 10));
          if (behaviour === "doubles") expect(result.duplicates).toBe(Math.floor(result.sent / 10));
        } finally {
          fake.stop();
        }
      },
      TOOL_TIMEOUT_MS,
    );
  }

  test(
    "refuses the subscription: there is no run",
    async () => {
      const fake = startFakeBroker("forbids");
      await expect(load(fake.port, { qos: 1 })).rejects.toThrow("the broker refuses the subscription");
      fake.stop();
    },
    TOOL_TIMEOUT_MS,
  );
});

describe("as a command", () => {
  const at = (port: number): string[] => [
    "-h",
    "127.0.0.1",
    "-p",
    `${port}`,
    "-d",
    "0.3",
    "--warm-up",
    "0.1",
  ];
  const bench = [...MILLRACE, "bench"];

  test(
    "tells people rates, times and a histogram, without colours where there is no terminal",
    async () => {
      const { status, stdout, stderr } = await runTool([
        ...bench,
        ...at(broker.port),
        "-n",
        "2",
        "-q",
        "1",
        "-r",
        "500",
      ]);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toStartWith(
        "fan-out: 1 publisher, 2 subscribers, MQTT 5, QoS 1, 64 bytes, 500 messages/s, 0.3 s\n",
      );
      for (const text of ["published", "delivered", "p99.9", "acknowledged", "from publish to delivery", "█"])
        expect(stdout).toContain(text);
      expect(stdout).toMatch(/\n\d+ received: 0 lost, 0 out of order, 0 twice\n/);
      expect(stdout).not.toContain("\x1b");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "tells programs one JSON document, and fails with 1",
    async () => {
      const fake = startFakeBroker("loses");
      const args = [...at(fake.port), "pairs", "-n", "1", "-q", "1", "-r", "1000", "--json", "-V", "3.1.1"];
      const { status, stdout, stderr } = await runTool([...bench, ...args]);
      fake.stop();
      expect([status, stderr]).toEqual([1, ""]);
      const document = JSON.parse(stdout) as Record<string, unknown>;
      expect(document).toMatchObject({
        scenario: "pairs",
        publishers: 1,
        subscribers: 1,
        mqtt_publish: "3.1.1",
        qos: 1,
        payload_bytes: 64,
        rate: 1000,
        ok: false,
        reordered: 0,
        delivery_ms: { count: expect.any(Number), p50: expect.any(Number), p999: expect.any(Number) },
      });
      expect(document["lost"]).toBeGreaterThan(0);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "connect counts connections",
    async () => {
      const { status, stdout } = await runTool([
        ...bench,
        "connect",
        ...at(broker.port),
        "-n",
        "4",
        "--json",
      ]);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ scenario: "connect", clients: 4, failed: 0, ok: true });
      expect((JSON.parse(stdout) as { connect_ms: { count: number } }).connect_ms.count).toBeGreaterThan(0);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "Ctrl-C ends the measuring early, reports, and ends with 130",
    async () => {
      const watcher = await connectAsync(`mqtt://127.0.0.1:${broker.port}`);
      const seen = Promise.withResolvers<void>();
      watcher.on("message", () => seen.resolve());
      await watcher.subscribeAsync("+/0");
      const tool = startTool([...bench, ...at(broker.port), "-d", "600", "-n", "1", "-r", "100"]);
      await seen.promise;
      tool.kill("SIGINT");
      const { status, stdout } = await tool.ended;
      await watcher.endAsync(true);
      expect(status).toBe(130);
      expect(stdout).toContain("0 lost, 0 out of order, 0 twice\ninterrupted: ");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "Ctrl-C ends connecting too",
    async () => {
      const came = Promise.withResolvers<void>();
      const silent = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => came.resolve(), error() {} },
      });
      const tool = startTool([...bench, ...at(silent.port), "-n", "2"]);
      await came.promise;
      tool.kill("SIGINT");
      const { status, stdout, stderr } = await tool.ended;
      silent.stop(true);
      expect([status, stdout]).toEqual([130, ""]);
      expect(stderr).toBe("millrace: interrupted while connecting\n");
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "Ctrl-C ends the waiting for the rest, and calls lost nothing that may yet come",
    async () => {
      const fake = startFakeBroker("loses");
      const terms = termsOf(fake.port, { publishers: 1, subscribers: 1, qos: 1, rate: 1_000 });
      const interrupts = { count: 0, first: new Promise<void>(() => {}) };
      const hooks = {
        progress: ({ phase }: Progress) => {
          if (phase === "waiting for the rest") interrupts.count = 1;
        },
      };
      const result = await runLoad(terms, new Clients(terms), hooks, interrupts);
      fake.stop();
      expect(result).toMatchObject({ isInterrupted: true, isWaitCutShort: true });
      expect(result.lost).toBeGreaterThan(0);
      expect(faultsOf(result, 1)).toEqual([]);
      expect(textReport(terms, result)).toContain(`${result.lost} not here yet, 0 out of order, 0 twice`);
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a broker that has no room for all says for how many it had",
    async () => {
      const small = await startTestBroker({ router: { connectionsMax: 3 } });
      await expect(load(small.port, { publishers: 3, subscribers: 3, connectRate: 100 })).rejects.toThrow(
        /Quota Exceeded .*; 3 of 6 clients were connected$/,
      );
      await small.stop();
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "what cannot be is one sentence: no broker, or more clients than there may be open files",
    async () => {
      for (const scenario of ["pairs", "connect"]) {
        const { status, stdout, stderr } = await runTool([...bench, scenario, ...at(1)]);
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toMatch(/^millrace: cannot connect to 127\.0\.0\.1:1: nothing listens there.*\n$/);
        const many = [...bench, scenario, ...at(broker.port), "-n", "5000"].join(" ");
        const limited = await runTool(["sh", "-c", `ulimit -n 256; exec ${many}`]);
        expect([limited.status, limited.stdout]).toEqual([1, ""]);
        expect(limited.stderr).toMatch(
          /^millrace: \d+ clients want more than the 256 open files .*: raise the limit with ulimit -n \d+\n$/,
        );
      }
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a rate that was not held is told",
    async () => {
      const args = ["pairs", "-n", "1", "-q", "2", "--window", "1", "--rate", "1000000"];
      const { stdout } = await runTool([...bench, ...at(broker.port), ...args]);
      expect(stdout).toMatch(
        /\n\d+ % of the rate that was asked for was published: the (broker|generator) took/,
      );
    },
    TOOL_TIMEOUT_MS,
  );

  test(
    "a terminal gets a live line and colours, unless NO_COLOR is set",
    async () => {
      if (Bun.which("script") === null) return;
      const command = [...bench, ...at(broker.port), "-n", "1", "-r", "200"].join(" ");
      const run = (env: Record<string, string>) => runTool(["script", "-qec", command, "/dev/null"], { env });
      const [coloured, plain] = await Promise.all([
        run({ TERM: "xterm" }),
        run({ TERM: "xterm", NO_COLOR: "1" }),
      ]);
      expect(coloured.stdout).toContain("published, ");
      expect(coloured.stdout).toContain("\x1b[1m");
      expect(plain.stdout).not.toContain("\x1b[1m");
    },
    TOOL_TIMEOUT_MS,
  );
});

describe("histogram", () => {
  test("percentiles are within 1 % of the sorted values", () => {
    const histogram = new Histogram();
    const values = Array.from({ length: 5_000 }, (_, at) => 0.01 * 1.003 ** ((at * 7919) % 5_000));
    for (const value of values) histogram.add(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const share of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = sorted[Math.ceil(share * sorted.length) - 1]!;
      expect(Math.abs(histogram.percentile(share)! / exact - 1)).toBeLessThan(0.01);
    }
    expect(histogram.percentile(1)).toBe(sorted.at(-1)!);
    expect(histogram.meanMs! / (values.reduce((sum, value) => sum + value, 0) / values.length)).toBeCloseTo(
      1,
      6,
    );
  });

  test("what is too small or too large is counted at the ends", () => {
    const histogram = new Histogram();
    for (const value of [-1, 0, 1e-9, 1e12]) histogram.add(value);
    expect(histogram.count).toBe(4);
    expect(histogram.percentile(0.75)!).toBeLessThan(0.001);
    expect(histogram.percentile(1)).toBe(1e12);
  });

  test("bins hold all values, whatever their spread, and every one that is not empty is drawn", () => {
    for (const values of [
      [],
      [1],
      [1, 1.0001],
      [0.001, 1_000],
      Array.from({ length: 300 }, (_, at) => at / 3),
    ]) {
      const histogram = new Histogram();
      for (const value of values) histogram.add(value);
      const bins = histogram.bins(16);
      expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
      const drawn = drawHistogram(histogram, 16);
      expect(drawn).toHaveLength(bins.length);
      for (const [at, { count }] of bins.entries()) expect(/[▏▎▍▌▋▊▉█]/.test(drawn[at]!)).toBe(count > 0);
    }
    const empty = new Histogram();
    expect([empty.percentile(0.5), empty.minMs, empty.meanMs]).toEqual([undefined, undefined, undefined]);
  });
});

describe("share check", () => {
  test("sees what is lost, twice, and out of order within a member", () => {
    const check = new ShareCheck();
    for (const [member, sequence] of [
      [0, 0],
      [1, 2],
      [0, 1],
      [1, 4],
      [0, 4],
      [1, 3],
      [0, 200_000],
    ] as const)
      check.came(member, sequence);
    expect([check.duplicates, check.reordered, check.lost(6)]).toEqual([1, 1, 0]);
    expect(check.lost(200_001)).toBe(200_001 - 6);
  });
});
