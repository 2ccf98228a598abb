// A strict reader of Prometheus's text format 0.0.4, which also holds the names to Prometheus's conventions: what
// promtool's check of metrics looks at, and that nothing is said twice.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y;
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/;
const TYPES = ["counter", "gauge", "histogram", "summary", "untyped"];
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ["_bucket", "_sum", "_count"] };
/** Units that are no base units, by promtool's list; and abbreviations. */
const FOREIGN_UNITS =
  /(?:^|_)(?:milliseconds?|microseconds?|nanoseconds?|minutes?|hours?|days?|kilobytes?|megabytes?|kibibytes?|mebibytes?|bits|kb|mb|ms|sec|secs|perc|percent)(?:_|$)/;

/** Throws with the line that is wrong. */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | null = null;
  let family: Family | null = null;
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  for (const line of text.slice(0, -1).split("\n")) {
    const wrong = (why: string): Error => new Error(`${why}: ${line}`);
    if (line === "") continue;
    if (line.startsWith("# HELP ")) {
      const [, , name = "", ...words] = line.split(" ");
      help = { name, text: words.join(" ") };
    } else if (line.startsWith("# TYPE ")) {
      const [, , name = "", type = ""] = line.split(" ");
      if (!NAME.test(name) || !TYPES.includes(type)) throw wrong("no type");
      if (help?.name !== name) throw wrong("a type without its help");
      if (families.has(name)) throw wrong("a second time");
      family = { name, help: help.text, type, samples: [] };
      families.set(name, family);
    } else {
      const sample = sampleOf(line);
      if (sample === null) throw wrong("no sample");
      const names = SUFFIXES[family?.type ?? ""]?.map((suffix) => family?.name + suffix) ?? [family?.name];
      if (!names.includes(sample.name)) throw wrong("a sample of another metric");
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(key)) throw wrong("a sample for the second time");
      seen.add(key);
      family?.samples.push(sample);
    }
  }
  return families;
}

function sampleOf(line: string): Sample | null {
  const match = SAMPLE.exec(line);
  if (match === null || !NUMBER.test(match[3]!)) return null;
  const labels: Record<string, string> = {};
  const text = match[2] ?? "";
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const label = LABEL.exec(text);
    if (label === null || label[1]! in labels) return null;
    labels[label[1]!] = label[2]!;
  }
  const value = match[3] === "+Inf" ? Number.POSITIVE_INFINITY : Number(match[3]);
  return { name: match[1]!, labels, value };
}

/** What is against the conventions, one sentence each. */
export function lint(families: ReadonlyMap<string, Family>): string[] {
  const found: string[] = [];
  for (const { name, help, type, samples } of families.values()) {
    const say = (what: string): void => void found.push(`${name}: ${what}`);
    if (help === "") say("no help");
    if (type === "counter" && !name.endsWith("_total")) say("a counter without _total");
    if (type !== "counter" && name.endsWith("_total")) say("_total, but no counter");
    if (/_(?:bucket|count|sum)$/.test(name)) say("a suffix that histograms have");
    if (FOREIGN_UNITS.test(name)) say("no base unit");
    if (/(?:^|_)(?:counter|gauge|histogram|summary)(?:_|$)/.test(name)) say("its type in its name");
    if (/[A-Z:]/.test(name)) say("capitals or colons");
    if (type === "counter" && samples.some(({ value }) => value < 0)) say("a counter below zero");
    if (samples.some(({ labels }) => "le" in labels) && type !== "histogram") say("the label le");
    if (type === "histogram") found.push(...histogramProblems(name, samples));
  }
  return found;
}

function histogramProblems(name: string, samples: readonly Sample[]): string[] {
  const found: string[] = [];
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => (labels["le"] === "+Inf" ? Infinity : Number(labels["le"])));
  const values = buckets.map(({ value }) => value);
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value;
  if (bounds.at(-1) !== Number.POSITIVE_INFINITY) found.push(`${name}: no last bucket`);
  if (bounds.some((bound, i) => i > 0 && !(bound > bounds[i - 1]!)))
    found.push(`${name}: bounds do not grow`);
  if (values.some((value, i) => i > 0 && value < values[i - 1]!))
    found.push(`${name}: buckets are not cumulative`);
  if (count !== values.at(-1)) found.push(`${name}: count is not the last bucket`);
  if (!samples.some((sample) => sample.name === `${name}_sum`)) found.push(`${name}: no sum`);
  return found;
}
