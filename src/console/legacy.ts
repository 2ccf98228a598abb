// Legacy: the paths of rumqttd's console, answered as its scripts expect: JSON, nothing changed by looking. `/logs`
// takes a filter of the log as text.

import { Hono } from "hono";
import type { Host } from "../net/host.ts";
import type { Operations } from "./ports.ts";
import { View } from "./view.ts";

const SHOWN_MAX = 1000;

export function legacy(host: Host, operations: Operations): Hono {
  const { router } = host;
  const view = new View(host);
  const app = new Hono();
  const everything = { offset: 0, limit: SHOWN_MAX, search: "" };

  app.get("/config", (c) => c.json(operations.configuration() as object));
  app.get("/router", (c) => {
    const { connections, publishes_in, messages_out } = view.counters();
    return c.json({
      router_id: router.settings.id,
      total_connections: connections,
      total_subscriptions: view.subscriptions({ ...everything, limit: 1 }).total,
      total_publishes: publishes_in,
      messages_out,
      failed_publishes: router.stats.refusedPublishes,
      log: view.log(),
    });
  });
  app.get("/device/:id", (c) => {
    const client = view.client(c.req.param("id"));
    return client === null ? c.json({ error: "no such device" }, 404) : c.json(client);
  });
  app.get("/subscriptions", (c) => {
    const byFilter = new Map<string, string[]>();
    for (const { filter, client_id: client } of view.subscriptions(everything).items) {
      const clients = byFilter.get(filter);
      if (clients === undefined) byFilter.set(filter, [client]);
      else clients.push(client);
    }
    return c.json(Object.fromEntries(byFilter));
  });
  app.get("/subscriptions/:filter{.+}", (c) => c.json(view.subscribersOf(c.req.param("filter"))));
  app.get("/waiters/:filter{.+}", (c) => c.json(view.waiters(c.req.param("filter"))));
  app.get("/readyqueue", (c) => c.json(view.readyQueue(SHOWN_MAX)));
  app.get("/logs", (c) => c.text(`${operations.logFilter()}\n`));
  app.post("/logs", async (c) => {
    try {
      operations.setLogFilter((await c.req.text()).trim());
    } catch (error) {
      return c.text(`${error instanceof Error ? error.message : String(error)}\n`, 400);
    }
    return c.text(`${operations.logFilter()}\n`);
  });
  return app;
}
