// Metrics meters: the broker's figures every so often, as one message of its own, in JSON, at QoS 0 and not retained.
// Nothing is added up while nobody subscribes.

import type { Host } from "../net/host.ts";
import { type Figures, FiguresReader } from "./figures.ts";

export interface MeterSettings {
  readonly topic: string;
  readonly intervalMs: number;
}

export class Meters {
  private readonly host: Host;
  private readonly topic: string;
  private readonly figures: FiguresReader;
  private readonly timer: Timer;
  private isRunning = true;

  constructor(host: Host, { topic, intervalMs }: MeterSettings) {
    this.host = host;
    this.topic = topic;
    this.figures = new FiguresReader(host);
    this.timer = setInterval(() => void this.publish(), intervalMs);
  }

  stop(): void {
    this.isRunning = false;
    clearInterval(this.timer);
  }

  private async publish(): Promise<void> {
    const { router } = this.host;
    if (router.filters.resolveTopic(this.topic).filters.length === 0) return;
    const text = JSON.stringify(this.told(await this.figures.read()));
    if (this.isRunning) router.publish(this.topic, Buffer.from(text), { qos: 0, retain: false });
  }

  private told(figures: Figures): object {
    const { router, stats, paused } = this.host;
    const { stats: messages, clock, budgets } = router;
    const { traffic } = figures;
    return {
      time: new Date(clock.wallMs()).toISOString(),
      clients: stats.clients,
      clients_peak: stats.clientsPeak,
      clients_accepted: stats.accepted,
      clients_paused: paused.size,
      sessions: figures.sessions,
      sessions_offline: figures.offlineSessions,
      subscriptions: figures.subscriptions,
      retained: router.retained.count,
      in_flight: figures.inflightOut,
      messages_in: messages.publishesIn,
      messages_out: messages.messagesOut,
      messages_unmatched: messages.unmatched,
      messages_gap: messages.gapMessages,
      messages_quota: messages.quotaMessages,
      messages_refused: messages.refusedPublishes + messages.deniedPublishes,
      bytes_in: traffic.bytesIn,
      bytes_out: traffic.bytesOut,
      log_segments: figures.liveSegments,
      log_bytes: figures.logBytes,
      memory_used: Object.values(budgets).reduce((sum: number, { used }) => sum + used, 0),
      rss: process.memoryUsage.rss(),
    };
  }
}
