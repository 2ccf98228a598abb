// `millrace bench`: a load generator for any MQTT broker. It checks every message and says what it saw.

import { readFileSync } from "node:fs";
import { Argument, type Command } from "commander";
import type { ProtocolLevel, QoS } from "../packet/protocol.ts";
import { Clients, type LoadTerms, SCENARIOS, type Scenario } from "./bench/clients.ts";
import { connectStorm } from "./bench/connectStorm.ts";
import { PAYLOAD_BYTES_MIN } from "./bench/payload.ts";
import { ProgressLine } from "./bench/progress.ts";
import { jsonReport, stormJson, stormReport, textReport } from "./bench/report.ts";
import { type Interrupts, runLoad } from "./bench/run.ts";
import { faultsOf } from "./bench/verdict.ts";
import {
  addConnectOptions,
  type ConnectFlags,
  connectTerms,
  qosOption,
  versionOption,
} from "./clientOptions.ts";
import { CommandError, EXIT_INTERRUPTED } from "./end.ts";
import { bytes, decimal, integer } from "./values.ts";

interface Flags extends ConnectFlags {
  readonly publishers?: number;
  readonly subscribers?: number;
  readonly clients?: number;
  readonly qos: QoS;
  readonly size: number;
  readonly rate?: number;
  readonly connectRate?: number;
  readonly duration: number;
  readonly warmUp: number;
  readonly window: number;
  readonly alias?: true;
  readonly protocolVersion?: ProtocolLevel;
  readonly subscriberVersion?: ProtocolLevel;
  readonly json?: true;
  readonly progress: boolean;
}

const STORM = "connect";
const CLIENTS = 10;
const CLIENTS_MAX = 1_000_000;
const RATE_MAX = 100_000_000;
const SECONDS_MAX = 86_400;
const SIZE = 64;
const VERSION = 5;
const SIZE_MAX = 16 << 20;
const WINDOW = 64;
/** Then it ends at once: nobody listens to what it has to say. */
const INTERRUPTS_MAX = 3;

const HELP = `
Scenarios:
  fan-out   one publisher, and subscribers that all get everything
  fan-in    publishers with a topic each, and one subscriber to all of them
  pairs     publishers with a topic each, and a subscriber for each topic
  shared    publishers, and subscribers that share the messages out among them
  connect   clients that connect and disconnect, again and again

Examples:
  millrace bench                                  as fast as it goes: 1 publisher, 10 subscribers
  millrace bench fan-out -n 1000                  the same with 1,000 subscribers
  millrace bench pairs -n 50 -q 1 --window 100    50 publishers, a subscriber each, QoS 1
  millrace bench pairs -n 100 --rate 5000 -q 1    at a rate that the broker holds: look at the times
  millrace bench fan-in -n 5000 --rate 5000 --size 200 --connect-rate 500
  millrace bench shared --publishers 4 --subscribers 8 -q 1 -d 60 --json > run.json
  millrace bench connect -n 100                   connections a second
  millrace bench -L wss://broker/mqtt             over WebSocket and TLS
  millrace bench --unix /run/millrace.sock        over a Unix socket

Times: flat out, one message of each write is measured, and what is measured is mostly how long
messages queue; with --rate each message is, from the moment at which it was due. Messages are
counted from the first to the last, times and rates behind the warm-up.

The generator is one process of one core. When that core was busy, or others had it, the report says
that the generator may have been the limit: run two of them, or elsewhere than the broker.

Ctrl-C ends the measuring early and reports what there is; a second one does not wait for the rest.

Exit status: 0 all is well; 1 a wrong option, no connection, or messages lost at QoS 1 or 2, out of
order, twice at QoS 0 or 2, refused, or clients cut off; 130 ended by Ctrl-C.
`;

export function register(command: Command): void {
  command
    .usage("[scenario] [options]")
    .addArgument(new Argument("[scenario]", "see below").choices([...SCENARIOS, STORM]).default("fan-out"))
    .optionsGroup("Load:")
    .option(
      "-n, --clients <n>",
      `clients on the side that has many (default: ${CLIENTS})`,
      integer(1, CLIENTS_MAX),
    )
    .option("--publishers <n>", "publishers, when not as the scenario has it", integer(1, CLIENTS_MAX))
    .option("--subscribers <n>", "subscribers, likewise", integer(1, CLIENTS_MAX))
    .addOption(qosOption("-q, --qos <qos>", "Quality of Service"))
    .option("-s, --size <bytes>", "payload of a message", bytes(PAYLOAD_BYTES_MIN, SIZE_MAX), SIZE)
    .option(
      "-r, --rate <n>",
      "messages a second of all publishers (default: flat out)",
      decimal(0.001, RATE_MAX),
    )
    .option("--connect-rate <n>", "new connections a second (default: flat out)", decimal(0.001, RATE_MAX))
    .option("-d, --duration <s>", "seconds to measure", decimal(0.1, SECONDS_MAX), 10)
    .option("--warm-up <s>", "seconds before", decimal(0, SECONDS_MAX), 1)
    .option("--window <n>", "unacknowledged messages of one publisher", integer(1, 65_535), WINDOW)
    .option("--alias", "topic by alias (MQTT 5)")
    .addOption(versionOption("-V, --protocol-version <version>", "MQTT version (default: 5)"))
    .addOption(versionOption("--subscriber-version <version>", "of the subscribers, when another"))
    .optionsGroup("Output:")
    .option("--json", "one JSON document")
    .option("--no-progress", "no live line on a terminal");
  addConnectOptions(command).addHelpText("after", HELP).action(bench);
}

async function bench(scenario: Scenario | typeof STORM, flags: Flags): Promise<void> {
  const interrupts = listenForInterrupts();
  const prefix = `millrace-bench-${crypto.randomUUID().slice(0, 8)}`;
  if (scenario === STORM) await storm(flags, prefix, interrupts);
  else await load(termsOf(scenario, flags, prefix), flags, interrupts);
}

/** Files beside its connections that a process has open. */
const OTHER_FILES = 32;

/** Throws CommandError when the system will not let so many connect. */
function checkOpenFiles(clients: number): void {
  const files = openFilesMax();
  if (clients + OTHER_FILES <= files) return;
  const text = `${clients} clients want more than the ${files} open files that this process may have`;
  throw new CommandError(`${text}: raise the limit with ulimit -n ${clients + OTHER_FILES}`);
}

async function load(terms: LoadTerms, flags: Flags, interrupts: Interrupts): Promise<void> {
  checkOpenFiles(terms.publishers + terms.subscribers);
  const line = new ProgressLine(flags.progress);
  const clients = new Clients(terms);
  try {
    const result = await runLoad(terms, clients, { progress: (progress) => line.show(progress) }, interrupts);
    line.clear();
    process.stdout.write(flags.json ? jsonReport(terms, result) : textReport(terms, result));
    process.exitCode = statusOf(result, faultsOf(result, terms.qos).length > 0);
  } finally {
    line.clear();
  }
}

function statusOf({ isInterrupted }: { readonly isInterrupted: boolean }, isFailed: boolean): number {
  return isInterrupted ? EXIT_INTERRUPTED : isFailed ? 1 : 0;
}

async function storm(flags: Flags, prefix: string, interrupts: Interrupts): Promise<void> {
  const line = new ProgressLine(flags.progress);
  const terms = {
    connect: connectTerms(flags),
    level: flags.protocolVersion ?? VERSION,
    clients: flags.clients ?? CLIENTS,
    seconds: flags.duration,
    prefix,
  };
  checkOpenFiles(terms.clients);
  const tell = (connects: number, elapsedS: number): void => line.connects(connects, elapsedS);
  const result = await connectStorm(terms, interrupts, tell).finally(() => line.clear());
  process.stdout.write(flags.json ? stormJson(terms, result) : stormReport(terms, result));
  process.exitCode = statusOf(result, result.failed > 0);
}

function termsOf(scenario: Scenario, flags: Flags, prefix: string): LoadTerms {
  const many = flags.clients ?? CLIENTS;
  const version = flags.protocolVersion ?? VERSION;
  const publishers = flags.publishers ?? (scenario === "fan-out" ? 1 : many);
  return {
    connect: connectTerms(flags),
    scenario,
    publishers,
    subscribers:
      scenario === "pairs" ? publishers : (flags.subscribers ?? (scenario === "fan-in" ? 1 : many)),
    publishLevel: version,
    subscribeLevel: flags.subscriberVersion ?? version,
    qos: flags.qos,
    payloadBytes: flags.size,
    alias: flags.alias === true && version === 5,
    window: flags.window,
    rate: flags.rate,
    connectRate: flags.connectRate,
    seconds: flags.duration,
    warmUpSeconds: flags.warmUp,
    prefix,
  };
}

/** Infinity where the system does not say. */
function openFilesMax(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function listenForInterrupts(): Interrupts {
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const interrupts = { count: 0, first };
  process.on("SIGINT", () => {
    interrupts.count++;
    resolve();
    if (interrupts.count >= INTERRUPTS_MAX) process.exit(EXIT_INTERRUPTED);
  });
  return interrupts;
}
