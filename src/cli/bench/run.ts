// One run of the load generator: connect, warm up, measure a window, stop, wait for the rest, compare what came with
// what was sent.

import { CommandError, EXIT_INTERRUPTED } from "../end.ts";
import type { Clients, LoadTerms } from "./clients.ts";
import { type GeneratorLoad, type GeneratorTimes, generatorLoad, generatorTimes } from "./generatorLoad.ts";
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
  /** Set when somebody ended the run early; `isWaitCutShort` when that was while messages were still coming. */
  readonly isInterrupted: boolean;
  readonly isWaitCutShort: boolean;
  readonly generator: GeneratorLoad;
}

/** What a run tells while it goes on. */
export interface Progress {
  readonly phase: "connecting" | "warming up" | "measuring" | "waiting for the rest";
  readonly elapsedS: number;
  readonly connections: number;
  /** There will be so many. */
  readonly connectionsMax: number;
  readonly sent: number;
  readonly received: number;
}

/** How often somebody has asked for the end. The first time measuring ends, the next time waiting for the rest too. */
export interface Interrupts {
  readonly count: number;
  /** Resolves at the first time. */
  readonly first: Promise<void>;
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
  readonly generator: GeneratorTimes;
}

const NO_INTERRUPTS: Interrupts = { count: 0, first: new Promise(() => {}) };

/** Runs `terms` with `clients`, which it connects and closes. Throws CommandError when they cannot be connected. */
export async function runLoad(
  terms: LoadTerms,
  clients: Clients,
  hooks: RunHooks,
  interrupts: Interrupts = NO_INTERRUPTS,
): Promise<LoadResult> {
  let phase: Progress["phase"] = "connecting";
  const begun = performance.now();
  const tell = (): void =>
    hooks.progress({
      phase,
      elapsedS: (performance.now() - begun) / 1000,
      connections: clients.count,
      connectionsMax: terms.publishers + terms.subscribers,
      sent: clients.sent,
      received: clients.received,
    });
  const timers = [setInterval(tell, PROGRESS_MS), setInterval(() => clients.ping(), PING_MS)];
  try {
    await connected(terms, clients, interrupts);
    phase = "warming up";
    const stop = publish(terms, clients);
    await pass(terms.warmUpSeconds, clients, interrupts);
    clients.latencies.clear();
    clients.acknowledgements.clear();
    phase = "measuring";
    hooks.windowBegins?.();
    const before = snapshot(clients);
    await pass(terms.seconds, clients, interrupts);
    const after = snapshot(clients);
    hooks.windowEnds?.();
    stop();
    phase = "waiting for the rest";
    const isInterrupted = interrupts.count > 0;
    const isWaitCutShort = await settled(clients, interrupts);
    return {
      ...result(terms, clients, before, after),
      isInterrupted: isInterrupted || isWaitCutShort,
      isWaitCutShort,
    };
  } finally {
    for (const timer of timers) clearInterval(timer);
    clients.close();
  }
}

async function connected(terms: LoadTerms, clients: Clients, interrupts: Interrupts): Promise<void> {
  const interrupted = interrupts.first.then(() => {
    throw new CommandError("interrupted while connecting", EXIT_INTERRUPTED);
  });
  try {
    await Promise.race([clients.connect(), interrupted]);
  } catch (error) {
    if (!(error instanceof CommandError) || clients.count === 0) throw error;
    const { count } = clients;
    const all = terms.publishers + terms.subscribers;
    throw new CommandError(`${error.message}; ${count} of ${all} clients were connected`, error.status);
  }
}

/** Waits `seconds`, less when it is interrupted or nobody is left to wait for. */
async function pass(seconds: number, clients: Clients, interrupts: Interrupts): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  for (let leftMs = 1000 * seconds; leftMs > 0; leftMs = end - performance.now()) {
    if (interrupts.count > 0 || clients.failures.length >= clients.count) return;
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

/** Waits until everything that was sent has come, or nothing comes any more. True when it was interrupted. */
async function settled(clients: Clients, interrupts: Interrupts): Promise<boolean> {
  const { count } = interrupts;
  let last = -1;
  let lastMs = performance.now();
  while (clients.lost > 0) {
    const { received } = clients;
    const now = performance.now();
    if (received !== last) lastMs = now;
    else if (now - lastMs > QUIET_MS) return false;
    if (interrupts.count > count) return true;
    last = received;
    await Bun.sleep(POLL_MS);
  }
  return false;
}

function snapshot({ sent, received }: Clients): Snapshot {
  return { atMs: performance.now(), sent, received, generator: generatorTimes() };
}

function result(
  terms: LoadTerms,
  clients: Clients,
  before: Snapshot,
  after: Snapshot,
): Omit<LoadResult, "isInterrupted" | "isWaitCutShort"> {
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
    generator: generatorLoad(before.generator, after.generator, seconds),
  };
}
