// Log shares: whose messages the log holds, by the filters that matched them and by the clients that published them. A
// message that several filters matched is held once and counts for each. The event loop is held for one segment at a
// time; a segment that is given back meanwhile is left out.

import {
  ENTRY_FILTER,
  ENTRY_FIRST_RUN,
  ENTRY_LAST_RUN,
  ENTRY_STRIDE,
  RUN_BYTES,
  RUN_COUNT,
  RUN_PUBLISHER,
  RUN_STRIDE,
  type Segment,
} from "../log/segment.ts";
import type { Router } from "../router/router.ts";
import { turn } from "./figures.ts";

interface Held {
  messages: number;
  bytes: number;
}

export interface FilterShare extends Readonly<Held> {
  readonly filter: string;
}

export interface ClientShare extends Readonly<Held> {
  /** Null for what came from the broker itself, and from sessions that have ended. */
  readonly client_id: string | null;
}

export interface Shares {
  readonly filters: readonly FilterShare[];
  readonly clients: readonly ClientShare[];
}

export class LogShares {
  private readonly router: Router;
  private reading: Promise<Shares> | null = null;

  constructor(router: Router) {
    this.router = router;
  }

  /** Those that hold most come first. Who asks during a look gets what it finds. */
  read(): Promise<Shares> {
    this.reading ??= this.look().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  private async look(): Promise<Shares> {
    const { log, filters, sessions } = this.router;
    const byFilter = new Map<number, Held>();
    const byPublisher = new Map<number, Held>();
    const seen: (readonly [Segment, number])[] = [];
    for (let one: Segment | null = log.oldest; one !== null; one = one.newer) seen.push([one, one.sequence]);
    for (const [segment, sequence] of seen) {
      if (segment.sequence !== sequence) continue;
      addRuns(byPublisher, segment);
      addEntries(byFilter, segment);
      await turn();
    }
    const names = new Map<number, string>();
    for (const session of sessions.all()) {
      if (byPublisher.has(session.number)) names.set(session.number, session.clientIdentifier);
    }
    const byName = new Map<string | null, Held>();
    for (const [publisher, held] of byPublisher) {
      addTo(byName, names.get(publisher) ?? null, held.messages, held.bytes);
    }
    const texts = new Map<string, Held>();
    for (const [id, held] of byFilter) {
      const state = filters.states[id] ?? null;
      if (state !== null) addTo(texts, filters.textOf(state), held.messages, held.bytes); // parts add to their whole
    }
    return {
      filters: sorted([...texts].map(([filter, held]) => ({ filter, ...held }))),
      clients: sorted([...byName].map(([client, held]) => ({ client_id: client, ...held }))),
    };
  }
}

function addRuns(byPublisher: Map<number, Held>, { runs, runCount }: Segment): void {
  for (let run = 0; run < runCount; run++) {
    const at = run * RUN_STRIDE;
    addTo(byPublisher, runs[at + RUN_PUBLISHER]!, runs[at + RUN_COUNT]!, runs[at + RUN_BYTES]!);
  }
}

function addEntries(byFilter: Map<number, Held>, { entries, entryCount, runs }: Segment): void {
  for (let entry = 0; entry < entryCount; entry++) {
    const at = entry * ENTRY_STRIDE;
    let messages = 0;
    let bytes = 0;
    for (let run = entries[at + ENTRY_FIRST_RUN]!; run <= entries[at + ENTRY_LAST_RUN]!; run++) {
      messages += runs[run * RUN_STRIDE + RUN_COUNT]!;
      bytes += runs[run * RUN_STRIDE + RUN_BYTES]!;
    }
    addTo(byFilter, entries[at + ENTRY_FILTER]!, messages, bytes);
  }
}

function addTo<K>(sums: Map<K, Held>, key: K, messages: number, bytes: number): void {
  const sum = sums.get(key);
  if (sum === undefined) sums.set(key, { messages, bytes });
  else {
    sum.messages += messages;
    sum.bytes += bytes;
  }
}

function sorted<T extends Held>(shares: T[]): T[] {
  return shares.sort((a, b) => b.bytes - a.bytes);
}
