// One run of the load generator: connect, warm up, measure a window, stop, wait for the rest, compare what came with
// what was sent.

import type { Clients, LoadTerms } from "./clients.ts";
import type { Histogram } from "./histogram.ts";

export interface LoadResult {
  readonly publishers: number;
  readonly subscribers: number;
  /** How long the window was. */
  readonly seconds: number;
  readonly publishedPerS: number;
  readonly deliveredPerS: number;
  /** Of payload. */
  readonly deliveredBytesPerS: number;
  readonly connectsPerS: number;
  /** From publish to delivery, in the window. */
  readonly latencies: Histogram;
  /** From publish to the last acknowledgement, in the window; none at QoS 0. */
  readonly acknowledgements: Histogram;
  readonly connects: Histogram;
  /** Of the whole run. */
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Connections that were lost, and why the first was. */
  readonly disconnected: number;
  readonly failure: string | undefined;
  /** Share of one core that the generator itself took; near 1 it was the limit. */
  readonly generatorCores: number;
}

/** What a run tells while it goes on. */
export interface Progress {
  readonly phase: "connecting" | "warming up" | "measuring" | "waiting for the rest";
  readonly elapsedS: number;
  readonly connections: number;
  readonly sent: number;
  readonly received: number;
}

export interface RunHooks {
  progress(progress: Progress): void;
  /** At both ends of the window. */
  windowBegins?(): void;
  windowEnds?(): void;
}

const PROGRESS_MS = 200;
const PING_MS = 20_000;
/** Nothing came for so long: nothing more will. */
const QUIET_MS = 2_000;
const POLL_MS = 10;
const TICK_MS = 1;

interface Snapshot {
  readonly atMs: number;
  readonly sent: number;
  readonly received: number;
  readonly cpuS: number;
}

/**
 * Runs `terms` with `clients`, which it connects and closes. When `signal` says so, the window ends early. Throws
 * CommandError when they cannot be connected.
 */
export async function runLoad(
  terms: LoadTerms,
  clients: Clients,
  hooks: RunHooks,
  signal?: AbortSignal,
): Promise<LoadResult> {
  let phase: Progress["phase"] = "connecting";
  const begun = performance.now();
  const tell = (): void =>
    hooks.progress({
      phase,
      elapsedS: (performance.now() - begun) / 1000,
      connections: clients.count,
      sent: clients.sent,
      received: clients.received,
    });
  const timers = [setInterval(tell, PROGRESS_MS), setInterval(() => clients.ping(), PING_MS)];
  try {
    await clients.connect();
    phase = "warming up";
    const stop = publish(terms, clients);
    await pass(terms.warmUpSeconds, clients, signal);
    clients.latencies.clear();
    clients.acknowledgements.clear();
    phase = "measuring";
    hooks.windowBegins?.();
    const before = snapshot(clients);
    await pass(terms.seconds, clients, signal);
    const after = snapshot(clients);
    hooks.windowEnds?.();
    stop();
    phase = "waiting for the rest";
    await settled(clients);
    return result(terms, clients, before, after);
  } finally {
    for (const timer of timers) clearInterval(timer);
    clients.close();
  }
}

/** Waits `seconds`, less when `signal` says so or nobody is left to wait for. */
async function pass(seconds: number, clients: Clients, signal: AbortSignal | undefined): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  for (let leftMs = 1000 * seconds; leftMs > 0; leftMs = end - performance.now()) {
    if (signal?.aborted === true || clients.failures.length >= clients.count) return;
    await Bun.sleep(Math.min(POLL_MS, leftMs));
  }
}

/** Returns what ends the publishing. */
function publish({ rate }: LoadTerms, { publishers }: Clients): () => void {
  const stop = (): void => {
    for (const publisher of publishers) publisher.stop();
  };
  if (rate === undefined) {
    for (const publisher of publishers) publisher.flood();
    return stop;
  }
  const { length: count } = publishers;
  const begunMs = performance.now();
  const apartMs = 1000 / rate;
  for (const [number, publisher] of publishers.entries())
    publisher.pace(begunMs + number * apartMs, count * apartMs);
  let due = 0;
  const tick = (): void => {
    const more = Math.floor((performance.now() - begunMs) / apartMs) - due;
    // Message n of all is the next one of publisher n % count.
    for (let i = 0; i < Math.min(more, count); i++)
      publishers[(due + i) % count]!.want(Math.floor((more - i - 1) / count) + 1);
    due += Math.max(0, more);
  };
  const timer = setInterval(tick, TICK_MS);
  return () => {
    clearInterval(timer);
    stop();
  };
}

/** Waits until everything that was sent has come, or nothing comes any more. */
async function settled(clients: Clients): Promise<void> {
  let last = -1;
  let lastMs = performance.now();
  while (clients.lost > 0) {
    const { received } = clients;
    const now = performance.now();
    if (received !== last) lastMs = now;
    else if (now - lastMs > QUIET_MS) return;
    last = received;
    await Bun.sleep(POLL_MS);
  }
}

function snapshot({ sent, received }: Clients): Snapshot {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), sent, received, cpuS: (user + system) / 1e6 };
}

function result(terms: LoadTerms, clients: Clients, before: Snapshot, after: Snapshot): LoadResult {
  const seconds = (after.atMs - before.atMs) / 1000;
  const deliveredPerS = (after.received - before.received) / seconds;
  const { latencies, acknowledgements, connects, failures } = clients;
  return {
    publishers: clients.publishers.length,
    subscribers: clients.subscribers.length,
    seconds,
    publishedPerS: (after.sent - before.sent) / seconds,
    deliveredPerS,
    deliveredBytesPerS: deliveredPerS * terms.payloadBytes,
    connectsPerS: clients.count / clients.connectSeconds,
    latencies,
    acknowledgements,
    connects,
    sent: clients.sent,
    received: clients.received,
    lost: clients.lost,
    reordered: clients.reordered,
    duplicates: clients.duplicates,
    refused: clients.refused,
    disconnected: failures.length,
    failure: failures[0]?.message,
    generatorCores: (after.cpuS - before.cpuS) / seconds,
  };
}
