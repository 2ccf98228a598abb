// Metrics text: the metrics in Prometheus's text format. prom-client is loaded when somebody asks for the first time,
// or soon after the start where somebody will; values are read when they are asked for.

import type { Metric, Registry } from "prom-client";
import type { Histogram } from "../base/histogram.ts";
import type { Host } from "../net/host.ts";
import { FiguresReader, turn } from "./figures.ts";
import { HISTOGRAM_ROWS, type HistogramRow, ROWS, type Row, type Source } from "./metricsRows.ts";
import type { Runtime } from "./metricsRuntime.ts";

type Library = typeof import("prom-client");

export class MetricsText {
  static readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  private readonly host: Host;
  private readonly runtime: Runtime;
  private readonly figures: FiguresReader;
  private registry: Promise<Registry> | null = null;
  private source: Source | null = null;
  /** Who asks while somebody else does gets the same text. */
  private reading: Promise<string> | null = null;

  constructor(host: Host, runtime: Runtime) {
    this.host = host;
    this.runtime = runtime;
    this.figures = new FiguresReader(host);
  }

  text(): Promise<string> {
    this.reading ??= this.read().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  /** Has the library at hand: loading it takes tens of milliseconds, which clients would wait for. */
  load(): Promise<Registry> {
    this.registry ??= import("prom-client").then((library) => this.fill(library));
    return this.registry;
  }

  private async read(): Promise<string> {
    const registry = await this.load();
    await turn(); // many who ask at one time hold the event loop no longer than one
    this.source = { host: this.host, figures: await this.figures.read(), runtime: this.runtime };
    return registry.metrics();
  }

  private fill(library: Library): Registry {
    const registry = new library.Registry();
    const source = (): Source => this.source!;
    for (const row of ROWS) add(library, registry, row, source);
    for (const row of HISTOGRAM_ROWS) {
      // The library's own histogram counts; ours has counted already.
      registry.registerMetric(exposed(row, source) as unknown as Metric);
    }
    return registry;
  }
}

function add(library: Library, registry: Registry, row: Row, source: () => Source): void {
  const { name, help, labels, read } = row;
  const settings = { name, help, labelNames: labels, registers: [registry] };
  if (row.type === "counter") {
    new library.Counter({
      ...settings,
      collect() {
        this.reset();
        each(row, read(source()), (labelled, value) => this.inc(labelled, value));
      },
    });
    return;
  }
  new library.Gauge({
    ...settings,
    collect() {
      this.reset();
      each(row, read(source()), (labelled, value) => this.set(labelled, value));
    },
  });
}

function each(
  { labels }: Row,
  values: ReturnType<Row["read"]>,
  tell: (labelled: Record<string, string>, value: number) => void,
): void {
  if (typeof values === "number") {
    tell({}, values);
    return;
  }
  for (const [texts, value] of values) {
    tell(Object.fromEntries(labels.map((label, i) => [label, texts[i] ?? ""])), value);
  }
}

function exposed({ name, help, read }: HistogramRow, source: () => Source) {
  return {
    name,
    type: "histogram",
    get: () => ({ name, help, type: "histogram", values: samples(name, read(source())) }),
  };
}

/** What the text says of a histogram: its classes, each with all below it, their sum and their number. */
function samples(name: string, { bounds, counts, sum, count }: Histogram) {
  let below = 0;
  const buckets = [...bounds].map((bound, i) => {
    below += counts[i]!;
    return { metricName: `${name}_bucket`, labels: { le: String(bound) }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { le: "+Inf" }, value: count },
    { metricName: `${name}_sum`, labels: {}, value: sum },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
}
