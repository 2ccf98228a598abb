// Verdict: whether a run was good, and what speaks against it.

import type { QoS } from "../../packet/protocol.ts";
import type { LoadResult } from "./run.ts";

/** What the QoS and MQTT's order of messages do not allow, a sentence each; empty when all is well. */
export function faultsOf(result: LoadResult, qos: QoS): string[] {
  const { lost, reordered, duplicates, refused, disconnected, failure, sent, isWaitCutShort } = result;
  const faults: string[] = [];
  if (sent === 0) faults.push("nothing was published");
  // What nobody waited for is not lost.
  if (lost > 0 && qos > 0 && !isWaitCutShort)
    faults.push(`${count(lost)} lost, which QoS ${qos} does not allow`);
  if (reordered > 0) faults.push(`${count(reordered)} out of order`);
  if (duplicates > 0 && qos !== 1) faults.push(`${count(duplicates)} twice, which QoS ${qos} does not allow`);
  if (refused > 0) faults.push(`${count(refused)} refused by the broker`);
  if (disconnected > 0)
    faults.push(`${disconnected} connection${disconnected === 1 ? "" : "s"} lost: ${failure}`);
  return faults;
}

function count(messages: number): string {
  return `${messages.toLocaleString("en-US")} message${messages === 1 ? "" : "s"}`;
}
