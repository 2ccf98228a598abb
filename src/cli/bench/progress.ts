// A line on the terminal that says how a run goes, rewritten in place. Without a terminal there is none.

import type { Progress } from "./run.ts";

const CLEAR_LINE = "\r\x1b[K";

export class ProgressLine {
  private readonly isShown: boolean;
  private last: Progress | null = null;

  constructor(isWanted: boolean) {
    this.isShown = isWanted && process.stderr.isTTY === true;
  }

  show(progress: Progress): void {
    if (!this.isShown) return;
    const { phase, elapsedS, connections, connectionsMax, sent, received } = progress;
    const overS = elapsedS - (this.last?.elapsedS ?? 0);
    const figures =
      phase === "connecting"
        ? `${count(connections)} of ${count(connectionsMax)} clients`
        : [
            `${perS(sent - (this.last?.sent ?? 0), overS)} published`,
            `${perS(received - (this.last?.received ?? 0), overS)} delivered`,
          ].join(", ");
    this.last = progress;
    process.stderr.write(`${CLEAR_LINE}${elapsedS.toFixed(1).padStart(6)} s  ${phase}  ${figures}`);
  }

  connects(connects: number, elapsedS: number): void {
    if (!this.isShown) return;
    const rate = perS(connects, elapsedS);
    process.stderr.write(`${CLEAR_LINE}${elapsedS.toFixed(1).padStart(6)} s  connecting  ${rate}`);
  }

  clear(): void {
    if (this.isShown) process.stderr.write(CLEAR_LINE);
  }
}

function count(clients: number): string {
  return clients.toLocaleString("en-US");
}

function perS(count: number, seconds: number): string {
  const rate = seconds > 0 ? count / seconds : 0;
  return rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} M/s` : `${Math.round(rate).toLocaleString("en-US")}/s`;
}
