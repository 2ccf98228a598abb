// Generator load: how much of a core the load generator took, and how long it had to wait for one. Together they say
// whether it was what limited a rate.

import { readFileSync } from "node:fs";

export interface GeneratorTimes {
  /** Processor time, all threads. */
  readonly cpuS: number;
  /** Ready to run while others ran; 0 where the system does not say. */
  readonly waitedS: number;
}

export interface GeneratorLoad {
  /** Of one core. */
  readonly cores: number;
  readonly waitedCores: number;
}

/** From here on the generator may be what limits a rate: little of its time is left. */
const BUSY_CORES = 0.9;
const NS = 1e9;

export function generatorTimes(): GeneratorTimes {
  const { user, system } = process.cpuUsage();
  return { cpuS: (user + system) / 1e6, waitedS: waitedS() };
}

/** Of the main thread, which does the work: time on a processor, time ready for one, in nanoseconds. */
function waitedS(): number {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / NS;
  } catch {
    return 0;
  }
}

export function generatorLoad(before: GeneratorTimes, after: GeneratorTimes, seconds: number): GeneratorLoad {
  return {
    cores: (after.cpuS - before.cpuS) / seconds,
    waitedCores: (after.waitedS - before.waitedS) / seconds,
  };
}

export function isBusy({ cores, waitedCores }: GeneratorLoad): boolean {
  return cores + waitedCores >= BUSY_CORES;
}
