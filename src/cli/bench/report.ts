// What a run of the load generator is told as: text with a histogram for people, one JSON document for programs.

import { styleText } from "node:util";
import type { LoadTerms } from "./clients.ts";
import type { StormResult, StormTerms } from "./connectStorm.ts";
import { drawHistogram } from "./draw.ts";
import { type GeneratorLoad, isBusy } from "./generatorLoad.ts";
import type { Histogram } from "./histogram.ts";
import type { LoadResult } from "./run.ts";
import { faultsOf } from "./verdict.ts";

type Style = Parameters<typeof styleText>[0];

const PERCENTILES = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
  ["p99.9", 0.999],
] as const;
const LABEL = 14;
const FIGURE = 12;
const COLUMN = 10;
const BINS = 16;
/** Of the rate that was asked for; below it, the rate was not held. */
const HELD_SHARE = 0.98;
/** Of a core's time; less is not worth a word. */
const WAITED_TOLD = 0.05;
const VERSIONS = { 3: "3.1", 4: "3.1.1", 5: "5" } as const;

export function textReport(terms: LoadTerms, result: LoadResult): string {
  const { latencies, acknowledgements, connects } = result;
  const lines = [
    bold(headline(terms)),
    "",
    rate("published", result.publishedPerS),
    `${rate("delivered", result.deliveredPerS)}   ${number(result.deliveredBytesPerS / 1e6)} MB/s`,
    `${rate("connected", result.connectsPerS)}   ${result.publishers + result.subscribers} clients`,
    "",
    headings(),
    timesLine("delivery", latencies),
  ];
  if (acknowledgements.count > 0) lines.push(timesLine("acknowledged", acknowledgements));
  lines.push(timesLine("connect", connects), "");
  if (latencies.count > 0)
    lines.push(`${"".padStart(LABEL)}  from publish to delivery`, ...drawHistogram(latencies, BINS), "");
  return `${[...lines, ...verdictLines(terms, result)].join("\n")}\n`;
}

function headline(terms: LoadTerms): string {
  const { scenario, publishers, subscribers, publishLevel, subscribeLevel, qos, payloadBytes, seconds } =
    terms;
  const from = VERSIONS[publishLevel];
  const versions = publishLevel === subscribeLevel ? from : `${from} to ${VERSIONS[subscribeLevel]}`;
  const pace = terms.rate === undefined ? "flat out" : `${terms.rate.toLocaleString("en-US")} messages/s`;
  const who = `${plural(publishers, "publisher")}, ${plural(subscribers, "subscriber")}`;
  return `${scenario}: ${who}, MQTT ${versions}, QoS ${qos}, ${payloadBytes} bytes, ${pace}, ${seconds} s`;
}

function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

function rate(label: string, perS: number): string {
  return `${label.padStart(LABEL)}${Math.round(perS).toLocaleString("en-US").padStart(FIGURE)} /s`;
}

function timesLine(label: string, times: Histogram): string {
  const values = [...PERCENTILES.map(([, share]) => times.percentile(share)), maximum(times)];
  const cells = values.map((ms) => (ms === undefined ? "-" : number(ms)).padStart(COLUMN));
  return `${label.padStart(LABEL)}${cells.join("")}   ${times.count.toLocaleString("en-US")} measured`;
}

function maximum(times: Histogram): number | undefined {
  return times.count === 0 ? undefined : times.maxMs;
}

/** Three digits that say something. */
function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function verdictLines(terms: LoadTerms, result: LoadResult): string[] {
  const { lost, reordered, duplicates, received, generator, isWaitCutShort } = result;
  const faults = faultsOf(result, terms.qos);
  const wrong = `${lost} ${isWaitCutShort ? "not here yet" : "lost"}, ${reordered} out of order, ${duplicates} twice`;
  const counts = `${received.toLocaleString("en-US")} received: ${wrong}`;
  const lines = [faults.length === 0 ? styled("green", counts) : counts];
  for (const fault of faults) lines.push(styled("red", `failed: ${fault}`));
  if (result.isInterrupted) lines.push(interruptedLine(result.seconds));
  return [...lines, ...rateLines(terms, result), generatorLine(generator)];
}

function interruptedLine(seconds: number): string {
  return styled("yellow", `interrupted: ${seconds.toFixed(1)} s were measured`);
}

/** A rate that was not held, and whose fault that may be. */
function rateLines({ rate: wanted }: LoadTerms, { publishedPerS, generator }: LoadResult): string[] {
  if (wanted === undefined || publishedPerS >= HELD_SHARE * wanted) return [];
  const share = `${((100 * publishedPerS) / wanted).toFixed(0)} % of the rate that was asked for was published`;
  return [styled("yellow", `${share}: ${isBusy(generator) ? "the generator" : "the broker"} took no more`)];
}

function generatorLine(generator: GeneratorLoad): string {
  const { cores, waitedCores } = generator;
  const waited = waitedCores >= WAITED_TOLD ? `, and waited ${waitedCores.toFixed(2)} for one` : "";
  const share = `the generator took ${cores.toFixed(2)} of a core${waited}`;
  return isBusy(generator) ? styled("yellow", `${share}: it may have been the limit`) : share;
}

function headings(): string {
  const names = [...PERCENTILES.map(([name]) => name), "max"];
  return `${"ms".padStart(LABEL)}${names.map((name) => name.padStart(COLUMN)).join("")}`;
}

function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

function bold(text: string): string {
  return styled("bold", text);
}

export function jsonReport(terms: LoadTerms, result: LoadResult): string {
  const faults = faultsOf(result, terms.qos);
  const document = {
    scenario: terms.scenario,
    publishers: result.publishers,
    subscribers: result.subscribers,
    mqtt_publish: VERSIONS[terms.publishLevel],
    mqtt_subscribe: VERSIONS[terms.subscribeLevel],
    qos: terms.qos,
    payload_bytes: terms.payloadBytes,
    rate: terms.rate ?? null,
    window: terms.window,
    seconds: result.seconds,
    published_per_s: result.publishedPerS,
    delivered_per_s: result.deliveredPerS,
    delivered_bytes_per_s: result.deliveredBytesPerS,
    connects_per_s: result.connectsPerS,
    delivery_ms: timesJson(result.latencies),
    acknowledgement_ms: timesJson(result.acknowledgements),
    connect_ms: timesJson(result.connects),
    sent: result.sent,
    received: result.received,
    lost: result.lost,
    reordered: result.reordered,
    duplicates: result.duplicates,
    refused: result.refused,
    disconnected: result.disconnected,
    interrupted: result.isInterrupted,
    generator_cores: result.generator.cores,
    generator_waited_cores: result.generator.waitedCores,
    generator_busy: isBusy(result.generator),
    ok: faults.length === 0,
    faults,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Bounds of buckets need no more digits than the buckets have. */
function short(ms: number): number {
  return Number(ms.toPrecision(4));
}

function timesJson(times: Histogram): object | null {
  if (times.count === 0) return null;
  const percentiles = PERCENTILES.map(([name, share]) => [name.replace(".", ""), times.percentile(share)]);
  const buckets = times
    .bins(BINS)
    .map(({ fromMs, toMs, count }) => ({ from: short(fromMs), to: short(toMs), count }));
  return {
    count: times.count,
    min: times.minMs,
    mean: times.meanMs,
    ...Object.fromEntries(percentiles),
    max: times.maxMs,
    buckets,
  };
}

export function stormReport(terms: StormTerms, result: StormResult): string {
  const { connects, seconds, failed, failure } = result;
  const who = plural(terms.clients, "client");
  const lines = [
    bold(`connect: ${who} at one time, MQTT ${VERSIONS[terms.level]}, ${terms.seconds} s`),
    "",
    rate("connected", connects.count / seconds),
    "",
    headings(),
    timesLine("connect", connects),
    "",
    ...drawHistogram(connects, BINS),
    "",
  ];
  if (failed > 0) lines.push(styled("red", `failed: ${failed} connections: ${failure}`));
  if (result.isInterrupted) lines.push(interruptedLine(seconds));
  return `${[...lines, generatorLine(result.generator)].join("\n")}\n`;
}

export function stormJson(terms: StormTerms, result: StormResult): string {
  const document = {
    scenario: "connect",
    clients: terms.clients,
    mqtt: VERSIONS[terms.level],
    seconds: result.seconds,
    connects_per_s: result.connects.count / result.seconds,
    connect_ms: timesJson(result.connects),
    failed: result.failed,
    interrupted: result.isInterrupted,
    generator_cores: result.generator.cores,
    generator_waited_cores: result.generator.waitedCores,
    generator_busy: isBusy(result.generator),
    ok: result.failed === 0,
    faults: result.failure === undefined ? [] : [result.failure],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
