// Metrics: what the broker tells of itself, as far as the configuration asks for it: /metrics for Prometheus, $SYS,
// events and meters. The console asks for the same text (server.ts). Where nothing is asked for there is no timer, and
// prom-client is not loaded before somebody asks.

import type { Host } from "../net/host.ts";
import { Events, type EventSettings } from "./metricsEvents.ts";
import { Meters, type MeterSettings } from "./metricsMeters.ts";
import { Runtime } from "./metricsRuntime.ts";
import { type MetricsServer, serveMetrics } from "./metricsServer.ts";
import { Sys } from "./metricsSys.ts";
import { MetricsText } from "./metricsText.ts";

export interface MetricsSettings {
  /** Where Prometheus asks; null: nowhere. */
  readonly prometheus: {
    readonly host: string;
    readonly port: number;
    readonly lagIntervalMs: number;
  } | null;
  /** 0: $SYS is not published. */
  readonly sysIntervalMs: number;
  readonly alerts: EventSettings | null;
  readonly meters: MeterSettings | null;
}

/** Other settings, ready to be in force. One of the two is called. */
export interface PreparedMetrics {
  commit(): Promise<void>;
  undo(): Promise<void>;
}

interface Part {
  stop(): void;
}

const NOTHING: MetricsSettings = { prometheus: null, sysIntervalMs: 0, alerts: null, meters: null };
const LAG_INTERVAL_MS = 1000;
/** Those who wait for the program to start are served first; who scrapes comes later. */
const LOAD_MS = 500;

export class Metrics {
  private readonly host: Host;
  private settings = NOTHING;
  private server: MetricsServer | null = null;
  private text: MetricsText | null = null;
  private runtime: Runtime | null = null;
  private loading: Timer | null = null;
  private sys: Sys | null = null;
  /** On the router's clock. */
  private readonly startedMs: number;
  private events: Part | null = null;
  private meters: Part | null = null;

  constructor(host: Host) {
    this.host = host;
    this.startedMs = host.router.clock.nowMs();
  }

  /** Where /metrics is served; null where it is not. */
  get port(): number | null {
    return this.server?.port ?? null;
  }

  /** Rejects with what Bun throws, with `code`, when the address cannot be had; then all stays as it is. */
  async prepare(next: MetricsSettings): Promise<PreparedMetrics> {
    const before = this.settings;
    const old = this.server;
    const isElsewhere = !isSamePlace(before.prometheus, next.prometheus);
    const isSamePort = isElsewhere && old !== null && old.port === next.prometheus?.port;
    if (isSamePort) await old.stop(); // two cannot have it
    const again = (): void => {
      if (isSamePort) this.server = this.listen(before, old.port);
      else if (before.prometheus === null) this.forget();
    };
    let server = old;
    try {
      if (isElsewhere) server = this.listen(next);
    } catch (error) {
      again();
      throw error;
    }
    return {
      commit: async () => {
        this.server = server;
        this.run(next);
        if (isElsewhere && !isSamePort) await old?.stop();
      },
      undo: async () => {
        if (isElsewhere) await server?.stop();
        again();
      },
    };
  }

  /** $SYS is cleared, the address given up. */
  async stop(): Promise<void> {
    await (await this.prepare(NOTHING)).commit();
  }

  private listen({ prometheus }: MetricsSettings, port = prometheus?.port ?? 0): MetricsServer | null {
    if (prometheus === null) return null;
    this.runtime ??= new Runtime(prometheus.lagIntervalMs);
    this.text ??= new MetricsText(this.host, this.runtime);
    const server = serveMetrics(prometheus.host, port, this.text);
    this.loading ??= setTimeout(() => void this.text?.load(), LOAD_MS);
    return server;
  }

  private forget(): void {
    if (this.loading !== null) clearTimeout(this.loading);
    this.loading = null;
    this.runtime?.stop();
    this.runtime = null;
    this.text = null;
  }

  /** Puts the rest in force; what is as before goes on. */
  private run(next: MetricsSettings): void {
    const { host, settings } = this;
    const { prometheus, sysIntervalMs, alerts, meters } = next;
    if (prometheus === null) this.forget();
    else this.runtime?.look(prometheus.lagIntervalMs);
    if (alerts?.topic !== settings.alerts?.topic || meters?.topic !== settings.meters?.topic)
      host.router.filters.reserve([...firstLevels(alerts), ...firstLevels(meters)]);
    if (sysIntervalMs === 0) {
      this.sys?.stop();
      this.sys = null;
    } else if (sysIntervalMs !== settings.sysIntervalMs) {
      this.sys ??= new Sys(host, this.startedMs);
      this.sys.every(sysIntervalMs);
    }
    if (!Bun.deepEquals(alerts, settings.alerts)) {
      this.events?.stop();
      this.events = alerts === null ? null : new Events(host, alerts);
    }
    if (!Bun.deepEquals(meters, settings.meters)) {
      this.meters?.stop();
      this.meters = meters === null ? null : new Meters(host, meters);
    }
    this.settings = next;
  }
}

/** Starts what `settings` ask for. Rejects as Metrics.prepare does. */
export async function startMetrics(settings: MetricsSettings, host: Host): Promise<Metrics> {
  const metrics = new Metrics(host);
  try {
    await (await metrics.prepare(settings)).commit();
  } catch (error) {
    await metrics.stop();
    throw error;
  }
  return metrics;
}

/** Metrics for a console, in place of an address of their own. */
export function metricsForConsole(host: Host): { readonly text: MetricsText; stop(): void } {
  const runtime = new Runtime(LAG_INTERVAL_MS);
  return { text: new MetricsText(host, runtime), stop: () => runtime.stop() };
}

function isSamePlace(a: MetricsSettings["prometheus"], b: MetricsSettings["prometheus"]): boolean {
  return a?.host === b?.host && a?.port === b?.port;
}

/** Clients cannot make up what the broker says, where it says it below a topic with $. */
function firstLevels(one: { readonly topic: string } | null): string[] {
  return one?.topic.startsWith("$") ? [one.topic.split("/", 1)[0]!] : [];
}
