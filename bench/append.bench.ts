// Appends to the commit log and the posting of each run to the filters that it matched, without the protocol.

import type { FilterId } from "../src/base/brand.ts";
import { Budget } from "../src/base/budget.ts";
import { CommitLog } from "../src/log/commitLog.ts";
import { segmentShape } from "../src/router/budgets.ts";
import { type Case, runCases } from "./harness.ts";

const LOG_BYTES = 28 << 20;
const RUNS = 1000;
const FILTERS_PER_RUN = [1, 16, 191] as const;
const SECOND = 1000;

function newLog(): CommitLog {
  const owner = { floorOf: () => null, makeRoom: () => false, rolled: () => {} };
  return new CommitLog(segmentShape(LOG_BYTES), new Budget("log", LOG_BYTES), owner);
}

/** Runs of `bytes` bytes, routes taken in turn from `routes`: with one route they join, with several they do not. */
function appendCase(group: string, name: string, bytes: number, routes: readonly FilterId[][]): Case {
  const log = newLog();
  for (const filters of routes) for (const filter of filters) log.postings.ensure(filter);
  const call = (): void => {
    for (let i = 0; i < RUNS; i++) {
      const route = i % routes.length;
      const filters = routes[route]!;
      if (!log.prepare(bytes, filters.length)) throw new Error("a log that nobody reads has room");
      const run = log.commit(bytes, 1, bytes, 1, route, SECOND, 0);
      for (let k = 0; k < filters.length; k++) log.post(filters[k]!, run, 1, bytes, 0, bytes);
    }
  };
  return { group, name, units: RUNS, call };
}

/** `count` sets of `size` filters that have none in common. */
function filterSets(count: number, size: number): FilterId[][] {
  return Array.from({ length: count }, (_, set) => {
    return Array.from({ length: size }, (_none, i) => (set * size + i) as FilterId);
  });
}

function cases(): Case[] {
  const group = "append, per run of 80 B (bytes not copied)";
  const all: Case[] = [appendCase(group, "one route: runs join", 80, filterSets(1, 1))];
  for (const k of FILTERS_PER_RUN) {
    const name = `posted to ${k} filter${k === 1 ? "" : "s"}`;
    all.push(appendCase(group, `${name}, other ones than the last run's`, 80, filterSets(2, k)));
    const shared = filterSets(1, k)[0]!;
    all.push(appendCase(group, `${name}, the same: entries extended`, 80, [shared, [...shared]]));
  }
  return all;
}

export async function run(quick: boolean): Promise<void> {
  await runCases(cases(), quick);
}

if (import.meta.main) await run(false);
