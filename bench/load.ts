// The load run, `bun run bench:load`: this repository's broker in a child process, real sockets, every message
// checked. Needs nothing but Bun. Exits with 1 when a message was lost, came twice or out of order.

import { parseArgs } from "node:util";
import { BrokerProcess } from "./load/brokerProcess.ts";
import {
  isGood,
  PAYLOAD_BYTES,
  type Result,
  runScenario,
  type Scenario,
  scenarios,
} from "./load/scenarios.ts";

const SECONDS = 2;
const SECONDS_MAX = 600;

const HELP = `bun run bench:load [options]

Starts the broker of this repository, drives it from one process and prints what it delivered.
Messages carry ${PAYLOAD_BYTES} bytes of payload; one driver parses them all, so look at the driver's share of its core.

  --seconds <n>    how long each scenario is measured (default ${SECONDS}), behind a short warm-up
  --only <names>   these scenarios alone, separated by commas; fan100 stands for all whose name holds it
  --json           one JSON document in place of the table
  --profile <dir>  a CPU profile of the broker for each scenario
  --help           this

Scenarios:
${scenarios.map(({ name, summary }) => `  ${name.padEnd(16)} ${summary}`).join("\n")}

Columns: del/s messages delivered; MB/s their payload; ns/del CPU time of the broker per delivery; broker, driver
share of a core; RSS and its peak, MiB; p50, p99 from publish to delivery, ms (paced scenarios); lost, ooo out of
order, dup twice.
`;

const COLUMNS = [
  "del/s",
  "MB/s",
  "ns/del",
  "broker",
  "driver",
  "RSS",
  "peak",
  "p50",
  "p99",
  "lost",
  "ooo",
  "dup",
];
const NAME_WIDTH = 16;
const COLUMN_WIDTH = 9;

interface Options {
  readonly seconds: number;
  readonly chosen: readonly Scenario[];
  readonly json: boolean;
  readonly profile: string | undefined;
}

/** What is asked for; a string is what to say in place of running, an Error what is wrong with it. */
function optionsOf(args: string[]): Options | string | Error {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seconds: { type: "string", default: String(SECONDS) },
        only: { type: "string" },
        json: { type: "boolean", default: false },
        profile: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return HELP;
    const seconds = Number(values.seconds);
    if (!(seconds > 0 && seconds <= SECONDS_MAX)) return new Error(`--seconds takes 0..${SECONDS_MAX}`);
    const chosen = chosenBy(values.only);
    if (chosen.length === 0) return new Error(`no scenario is named like ${values.only}`);
    return { seconds, chosen, json: values.json, profile: values.profile };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** A name that is one scenario's chooses that one, another all that hold it. */
function chosenBy(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return scenarios;
  const names = only.split(",");
  const exact = new Set(scenarios.map(({ name }) => name));
  return scenarios.filter(({ name }) =>
    names.some((n) => (exact.has(n) ? n === name : n !== "" && name.includes(n))),
  );
}

async function runAll({ seconds, chosen, json, profile }: Options): Promise<Result[]> {
  const results: Result[] = [];
  if (!json) console.log(row("scenario", COLUMNS));
  for (const scenario of chosen) {
    // A broker of its own, so that one scenario's memory is not another's.
    const broker = await BrokerProcess.start(profile && `${profile}/${scenario.name}`);
    try {
      const result = await runScenario(scenario, broker, seconds, progressLine(scenario));
      clearProgress();
      results.push(result);
      if (!json) console.log(tableRow(result));
    } finally {
      await broker.stop();
    }
  }
  if (json) console.log(JSON.stringify({ seconds, payload_bytes: PAYLOAD_BYTES, results }, null, 2));
  return results;
}

function progressLine({ name }: Scenario): (deliveries: number, elapsedS: number) => void {
  if (!process.stderr.isTTY) return () => {};
  return (deliveries, elapsedS) => {
    const rate = (deliveries / elapsedS / 1e6).toFixed(2);
    process.stderr.write(`\r\x1b[K${name}: ${elapsedS.toFixed(1)} s, ${rate} M deliveries/s`);
  };
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

function tableRow(result: Result): string {
  return row(result.name, [
    grouped(result.deliveriesPerS),
    figure(result.megabytesPerS),
    figure(result.brokerNsPerDelivery),
    figure(result.brokerCores),
    figure(result.driverCores),
    mebibytes(result.rssBytes),
    mebibytes(result.rssPeakBytes),
    figure(result.p50Ms),
    figure(result.p99Ms),
    String(result.lost),
    String(result.reordered),
    String(result.duplicates),
  ]);
}

function row(name: string, columns: readonly string[]): string {
  const [rate = "", ...others] = columns;
  return (
    name.padEnd(NAME_WIDTH) + rate.padStart(12) + others.map((text) => text.padStart(COLUMN_WIDTH)).join("")
  );
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function figure(value: number | undefined): string {
  if (value === undefined) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? "-" : (bytes / (1 << 20)).toFixed(0);
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args);
  if (options instanceof Error) {
    console.error(`${options.message}\n\n${HELP}`);
    return 2;
  }
  if (typeof options === "string") {
    console.log(options);
    return 0;
  }
  const results = await runAll(options);
  const bad = results.filter((result) => !isGood(result));
  for (const { name, lost, reordered, duplicates, disconnected } of bad) {
    const what = `${lost} lost, ${reordered} out of order, ${duplicates} twice, ${disconnected} clients cut off`;
    console.error(`${name} failed: ${what}`);
  }
  return bad.length === 0 ? 0 : 1;
}

// The broker ends with the driver, however that ends.
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.on(signal, () => process.exit(status));

process.exit(await main(process.argv.slice(2)));
