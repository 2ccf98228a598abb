// Overview: rates, connections, memory and lag, once a second while it can be seen.

import type { Counters, List, SubscriptionRow } from "./answers.ts";
import { fillFacts, fillRows, find, make } from "./dom.ts";
import { bytes, count } from "./format.ts";
import { json } from "./http.ts";
import { clientHref } from "./tables.ts";
import { Plot, plotsPlace } from "./plots.ts";

const LAG_ROWS = 10;
const DROPPED: Readonly<Record<string, string>> = {
  gap: "QoS 0 skipped by slow readers",
  quota: "QoS 1/2 beyond a queue's quota",
  expired: "expired",
  too_large: "too large for the client",
  offline_qos0: "QoS 0 while offline",
  refused: "publishes refused",
  not_retained: "delivered but not retained",
};

interface Plots {
  readonly messages: Plot;
  readonly bytes: Plot;
  readonly connections: Plot;
  readonly memory: Plot;
  readonly behind: Plot;
}

let plots: Plots | null = null;
let last: Counters | null = null;

function begin(): Plots {
  const place = plotsPlace();
  const both = [
    { label: "in", color: "--in" },
    { label: "out", color: "--out" },
  ];
  return {
    messages: new Plot(place, "Messages a second", both, count),
    bytes: new Plot(place, "Bytes a second", both, bytes),
    connections: new Plot(place, "Connections", [{ label: "now", color: "--in" }], count),
    memory: new Plot(
      place,
      "Memory",
      [
        { label: "messages and sessions", color: "--in" },
        { label: "process", color: "--out" },
      ],
      bytes,
    ),
    behind: new Plot(place, "Furthest behind", [{ label: "messages", color: "--in" }], count),
  };
}

export async function showOverview(): Promise<void> {
  plots ??= begin();
  const [now, lag] = await Promise.all([
    json<Counters>("/counters"),
    json<List<SubscriptionRow>>(`/lag?limit=${LAG_ROWS}`),
  ]);
  const seconds = last === null ? 0 : (now.at - last.at) / 1000;
  const rate = (value: number, before: number): number =>
    seconds > 0 ? Math.max(0, value - before) / seconds : 0;
  const rates = {
    messagesIn: rate(now.publishes_in, last?.publishes_in ?? 0),
    messagesOut: rate(now.messages_out, last?.messages_out ?? 0),
    bytesIn: rate(now.publish_bytes_in, last?.publish_bytes_in ?? 0),
    bytesOut: rate(now.bytes_out, last?.bytes_out ?? 0),
  };
  const used = now.memory.reduce((sum, one) => sum + one.used, 0);
  if (last !== null) {
    const at = now.at / 1000;
    plots.messages.add(at, [rates.messagesIn, rates.messagesOut]);
    plots.bytes.add(at, [rates.bytesIn, rates.bytesOut]);
    plots.connections.add(at, [now.connections]);
    plots.memory.add(at, [used, now.rss]);
    plots.behind.add(at, [lag.items.reduce((most, one) => Math.max(most, one.lag_messages), 0)]);
  }
  last = now;
  fillFacts(find("#figures"), [
    ["Connections", count(now.connections)],
    ["Sessions", count(now.sessions)],
    ["Messages in/s", count(rates.messagesIn)],
    ["Messages out/s", count(rates.messagesOut)],
    ["Filters", count(now.filters)],
    ["Retained", count(now.retained)],
    ["Held back", count(now.paused)],
    ["Log head", count(now.head)],
  ]);
  fillFacts(
    find("#dropped"),
    Object.entries(now.dropped).map(([name, value]) => [DROPPED[name] ?? name, count(value)] as const),
  );
  fillRows(find("#memory"), now.memory.map(memoryRow), "");
  fillRows(
    find("#lag"),
    lag.items.map((one) => [
      { text: one.client_id, href: clientHref(one.client_id), name: true },
      { text: one.filter, name: true },
      { text: count(one.lag_messages), number: true },
      { text: bytes(one.lag_bytes), number: true },
    ]),
    "Nobody is behind.",
  );
  find("#lag-note").textContent =
    lag.total > lag.items.length ? `The first ${lag.items.length} of ${lag.total} subscriptions.` : "";
}

function memoryRow({ name, used, peak, max }: Counters["memory"][number]) {
  const share = `${((100 * used) / Math.max(1, max)).toFixed(0)} %`;
  const meter = make("meter", {
    min: "0",
    max: String(max),
    value: String(used),
    "aria-label": `${name}: ${share}`,
  });
  return [
    { text: name },
    meter,
    { text: bytes(used), number: true },
    { text: bytes(peak), number: true },
    { text: bytes(max), number: true },
  ];
}
