// Harness: cases that report time per message. A case's call does the same work every time and leaves what it found,
// so that it can be repeated for as long as the clock wants; `quick` calls each a few times and checks what it did.

import { measure } from "mitata";

export interface Case {
  readonly group: string;
  readonly name: string;
  /** What one call handles: the figure is per one of these. */
  readonly units: number;
  readonly call: () => void;
  /** Messages that clients have got so far; `delivered` more with every call. Counted in quick runs only. */
  readonly deliveries?: () => number;
  readonly delivered?: number;
}

const QUICK_CALLS = 3;
/** CPU time spent on one case, ns. */
const CASE_CPU_NS = 250e6;
const NAME_WIDTH = 58;
const FIGURE_WIDTH = 11;

/** Runs cases in order. Throws when a quick call delivered other than it should. */
export async function runCases(cases: readonly Case[], quick: boolean): Promise<void> {
  if (quick) {
    for (const one of cases) callAndCheck(one);
    return;
  }
  let group = "";
  for (const one of cases) {
    if (one.group !== group) {
      group = one.group;
      console.log(`\n${row(group, ["ns median", "ns mean", "ns p99", "M/s"])}`);
    }
    const stats = await measure(one.call, { min_cpu_time: CASE_CPU_NS });
    const perUnit = [stats.p50, stats.avg, stats.p99].map((ns) => figure(ns / one.units));
    console.log(row(`  ${one.name}`, [...perUnit, figure((one.units / stats.p50) * 1e3)]));
  }
}

function callAndCheck(one: Case): void {
  for (let turn = 0; turn < QUICK_CALLS; turn++) {
    const before = one.deliveries?.() ?? 0;
    one.call();
    const delivered = (one.deliveries?.() ?? 0) - before;
    if (delivered !== (one.delivered ?? 0)) {
      throw new Error(`${one.group}, ${one.name}: ${delivered} deliveries in place of ${one.delivered ?? 0}`);
    }
  }
}

function row(name: string, figures: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + figures.map((text) => text.padStart(FIGURE_WIDTH)).join("");
}

/** Three digits are as many as a measurement holds. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
