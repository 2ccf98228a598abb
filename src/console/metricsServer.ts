// Metrics server: /metrics for Prometheus, on an address of its own.

import { MetricsText } from "./metricsText.ts";
import { withHost } from "./withHost.ts";

export interface MetricsServer {
  readonly port: number;
  stop(): Promise<void>;
}

const IDLE_SECONDS = 60;

/** Listens at once; throws what Bun throws, with `code`, when it cannot. */
export function serveMetrics(host: string, port: number, metrics: MetricsText): MetricsServer {
  const server = Bun.serve({
    hostname: host,
    port,
    development: false,
    reusePort: false, // else Bun would share the port with another program that has it
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: 0,
    async fetch(request) {
      const { pathname } = new URL(withHost(request).url);
      if (request.method !== "GET" && request.method !== "HEAD")
        return new Response("only GET is answered\n", { status: 405, headers: { Allow: "GET, HEAD" } });
      if (pathname !== "/metrics") return new Response("metrics are at /metrics\n", { status: 404 });
      return metricsResponse(metrics);
    },
    error: () => new Response("the metrics cannot be read\n", { status: 500 }),
  });
  return { port: server.port ?? port, stop: () => server.stop(true) };
}

export async function metricsResponse(metrics: MetricsText): Promise<Response> {
  const headers = { "Content-Type": MetricsText.contentType, "Cache-Control": "no-store" };
  return new Response(await metrics.text(), { headers });
}
