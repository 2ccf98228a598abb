// Connect storm: clients that connect, are accepted and disconnect, again and again, to see how many a second the
// broker takes.

import type { ProtocolLevel } from "../../packet/protocol.ts";
import type { ConnectTerms } from "../clientOptions.ts";
import { LoadConnection } from "./connection.ts";
import { type GeneratorLoad, generatorLoad, generatorTimes } from "./generatorLoad.ts";
import { Histogram } from "./histogram.ts";
import type { Interrupts } from "./run.ts";

export interface StormTerms {
  readonly connect: ConnectTerms;
  readonly level: ProtocolLevel;
  /** Clients at one time. */
  readonly clients: number;
  readonly seconds: number;
  readonly prefix: string;
}

export interface StormResult {
  readonly clients: number;
  readonly seconds: number;
  readonly connects: Histogram;
  readonly failed: number;
  readonly failure: string | undefined;
  readonly isInterrupted: boolean;
  readonly generator: GeneratorLoad;
}

const silent = { frame(): void {}, chunkDone(): void {}, drained(): void {} };

/** Ends early when it is interrupted. Throws CommandError when no connection comes about at all. */
export async function connectStorm(
  terms: StormTerms,
  interrupts: Interrupts,
  progress: (connects: number, elapsedS: number) => void,
): Promise<StormResult> {
  const connects = new Histogram();
  const failures: Error[] = [];
  const from = performance.now();
  const before = generatorTimes();
  const elapsedS = (): number => (performance.now() - from) / 1000;
  const ticker = setInterval(() => progress(connects.count, elapsedS()), PROGRESS_MS);
  const one = async (number: number): Promise<void> => {
    while (elapsedS() < terms.seconds && interrupts.count === 0 && failures.length <= FAILURES_MAX) {
      const beganMs = performance.now();
      try {
        const { connection } = await LoadConnection.open(
          terms.connect,
          terms.level,
          `${terms.prefix}-${number}`,
          silent,
        );
        connects.add(performance.now() - beganMs);
        await connection.closed();
      } catch (error) {
        failures.push(error as Error);
      }
    }
  };
  await Promise.all(Array.from({ length: terms.clients }, (_, number) => one(number)));
  clearInterval(ticker);
  const seconds = elapsedS();
  if (connects.count === 0 && failures.length > 0) throw failures[0];
  return {
    clients: terms.clients,
    seconds,
    connects,
    failed: failures.length,
    failure: failures[0]?.message,
    isInterrupted: interrupts.count > 0,
    generator: generatorLoad(before, generatorTimes(), seconds),
  };
}

const PROGRESS_MS = 200;
/** More need not be seen. */
const FAILURES_MAX = 100;
