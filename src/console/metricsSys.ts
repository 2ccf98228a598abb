// $SYS: figures of the broker as retained messages, under the names that mosquitto gives them. Every interval, what has
// changed is published; when it stops, what it published is cleared. Nobody else may publish there (router/filters).

import { VERSION } from "../base/version.ts";
import type { Host } from "../net/host.ts";
import { type Figures, FiguresReader } from "./figures.ts";

const ROOT = "$SYS/broker/";
const MINUTE_MS = 60_000;
/** Those who wait for the program to start are served first. */
const FIRST_MS = 100;
/** Averages over so many minutes. */
const LOAD_MINUTES = [1, 5, 15];

/** What the averages are taken of: sums since the start. */
type Totals = Readonly<Record<(typeof LOADS)[number], number>>;

const LOADS = [
  "messages/received",
  "messages/sent",
  "publish/dropped",
  "publish/received",
  "publish/sent",
  "bytes/received",
  "bytes/sent",
  "sockets",
  "connections",
] as const;

export class Sys {
  private readonly host: Host;
  private readonly startedMs: number;
  private readonly figures: FiguresReader;
  private timer: Timer | null = null;
  private first: Timer | null = null;
  /** Topics, without the root, with what was last published there. */
  private readonly published = new Map<string, string>();
  private readonly loads = new Map<string, number>();
  /** At the last interval; null before the first one. */
  private before: Totals | null = null;
  private beforeMs = 0;
  private heapPeak = 0;
  private isRunning = true;

  /** `startedMs` is when the broker began, on the router's clock. */
  constructor(host: Host, startedMs: number) {
    this.host = host;
    this.startedMs = startedMs;
    this.figures = new FiguresReader(host);
  }

  /** Publishes at this interval from now on, for the first time soon. */
  every(intervalMs: number): void {
    this.clearTimers();
    this.timer = setInterval(() => void this.publish(), intervalMs);
    this.first = setTimeout(() => void this.publish(), Math.min(FIRST_MS, intervalMs));
  }

  private clearTimers(): void {
    if (this.timer !== null) clearInterval(this.timer);
    if (this.first !== null) clearTimeout(this.first);
  }

  stop(): void {
    this.clearTimers();
    this.isRunning = false;
    for (const topic of this.published.keys()) this.host.router.retained.clear(ROOT + topic);
    this.published.clear();
  }

  private async publish(): Promise<void> {
    const figures = await this.figures.read();
    if (!this.isRunning) return;
    for (const [topic, value] of Object.entries(this.values(figures))) this.tell(topic, String(value));
    this.tellLoads(this.totals(figures), this.host.router.clock.nowMs());
  }

  /** Exponential moving averages, per minute. */
  private tellLoads(totals: Totals, nowMs: number): void {
    const { before, beforeMs } = this;
    if (before !== null && nowMs === beforeMs) return;
    for (const name of LOADS) {
      const perMinute =
        before === null ? 0 : ((totals[name] - before[name]) * MINUTE_MS) / (nowMs - beforeMs);
      for (const minutes of LOAD_MINUTES) {
        const topic = `load/${name}/${minutes}min`;
        const weight = Math.exp((beforeMs - nowMs) / (minutes * MINUTE_MS));
        const load = perMinute + weight * ((this.loads.get(topic) ?? 0) - perMinute);
        this.loads.set(topic, load);
        this.tell(topic, load.toFixed(2));
      }
    }
    this.before = totals;
    this.beforeMs = nowMs;
  }

  private tell(topic: string, text: string): void {
    if (this.published.get(topic) === text) return;
    // Without room nothing is told, and it is tried again when the next interval is over.
    const isTold = this.host.router.publish(ROOT + topic, Buffer.from(text), { qos: 0, retain: true });
    if (isTold) this.published.set(topic, text);
  }

  private values(figures: Figures): Readonly<Record<string, string | number>> {
    const { router, stats } = this.host;
    const { heapUsed } = process.memoryUsage();
    this.heapPeak = Math.max(this.heapPeak, heapUsed);
    const { sessions, offlineSessions, traffic } = figures;
    const totals = this.totals(figures);
    const stored = figures.logMessages + router.retained.count;
    return {
      version: `millrace version ${VERSION}`,
      uptime: `${Math.floor((router.clock.nowMs() - this.startedMs) / 1000)} seconds`,
      "clients/connected": stats.clients,
      "clients/active": stats.clients,
      "clients/disconnected": offlineSessions,
      "clients/inactive": offlineSessions,
      "clients/total": sessions,
      "clients/maximum": stats.clientsPeak,
      "clients/expired": router.stats.expiredSessions,
      "messages/received": totals["messages/received"],
      "messages/sent": totals["messages/sent"],
      "messages/stored": stored,
      "store/messages/count": stored,
      "store/messages/bytes": figures.logBytes + router.budgets.retained.used,
      "publish/messages/received": totals["publish/received"],
      "publish/messages/sent": totals["publish/sent"],
      "publish/messages/dropped": totals["publish/dropped"],
      "publish/bytes/received": router.stats.publishBytesIn,
      "publish/bytes/sent": sum(router.stats.sent.bytes),
      "bytes/received": traffic.bytesIn,
      "bytes/sent": traffic.bytesOut,
      "subscriptions/count": figures.subscriptions,
      "shared_subscriptions/count": figures.sharedSubscriptions,
      "retained messages/count": router.retained.count,
      "heap/current": heapUsed,
      "heap/maximum": this.heapPeak,
    };
  }

  private totals({ traffic }: Figures): Totals {
    const { router, stats } = this.host;
    const { gapMessages, quotaMessages, refusedPublishes } = router.stats;
    return {
      "messages/received": sum(router.stats.allPacketsIn()),
      "messages/sent": sum(router.stats.allPacketsOut()),
      "publish/dropped": gapMessages + quotaMessages + refusedPublishes,
      "publish/received": router.stats.publishesIn,
      "publish/sent": router.stats.messagesOut,
      "bytes/received": traffic.bytesIn,
      "bytes/sent": traffic.bytesOut,
      sockets: stats.sockets,
      connections: stats.accepted,
    };
  }
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}
