// Legacy: the paths of rumqttd's console, answered as its scripts expect: JSON, nothing changed by looking. `/logs`
// takes a filter of the log as text. Lists are as long as LIST_MAX at most; their shape has no place to say so, the
// head of the answer has: X-Total-Count, X-Truncated, and where the next part is. Filters and identifiers that no path
// can hold come as ?filter= and ?id=.

import { type Context, Hono } from "hono";
import type { Host } from "../net/host.ts";
import { LIST_MAX, pageOf, RequestError } from "./asked.ts";
import type { Operations } from "./ports.ts";
import { type Page, View } from "./view.ts";

export function legacy(host: Host, operations: Operations): Hono {
  const { router } = host;
  const view = new View(host);
  const app = new Hono();
  app.onError((error, c) => {
    if (error instanceof RequestError) return c.json({ error: error.message }, error.status);
    throw error;
  });
  const partOf = (c: Context) => pageOf(c, LIST_MAX);
  const filterOf = (c: Context): string => c.req.param("filter") ?? c.req.query("filter") ?? "";

  app.get("/config", (c) => c.json(operations.configuration() as object));
  app.get("/router", (c) => {
    const { connections, publishes_in, messages_out } = view.counters();
    return c.json({
      router_id: router.settings.id,
      total_connections: connections,
      total_subscriptions: view.subscriptions({ offset: 0, limit: 1, search: "" }).total,
      total_publishes: publishes_in,
      messages_out,
      failed_publishes: router.stats.refusedPublishes,
      log: view.log(partOf(c)),
    });
  });
  const device = (c: Context) => {
    const client = view.client(c.req.param("id") ?? c.req.query("id") ?? "", partOf(c));
    return client === null ? c.json({ error: "no such device" }, 404) : c.json(client);
  };
  app.get("/device", device);
  app.get("/device/:id", device);
  app.get("/subscriptions", (c) => {
    if (c.req.query("filter") !== undefined) return listed(c, view.subscribersOf(filterOf(c), partOf(c)));
    const part = view.subscriptions(partOf(c));
    const byFilter = new Map<string, string[]>();
    for (const { filter, client_id: client } of part.items) {
      const clients = byFilter.get(filter);
      if (clients === undefined) byFilter.set(filter, [client]);
      else clients.push(client);
    }
    return listed(c, part, Object.fromEntries(byFilter));
  });
  app.get("/subscriptions/:filter{.+}", (c) => listed(c, view.subscribersOf(filterOf(c), partOf(c))));
  app.get("/waiters", (c) => listed(c, view.waiters(filterOf(c), partOf(c))));
  app.get("/waiters/:filter{.+}", (c) => listed(c, view.waiters(filterOf(c), partOf(c))));
  app.get("/readyqueue", (c) => listed(c, view.readyQueue(partOf(c))));
  app.get("/logs", (c) => c.text(`${operations.logFilter()}\n`));
  app.post("/logs", async (c) => {
    let notices: readonly string[] = [];
    try {
      notices = operations.setLogFilter((await c.req.text()).trim());
    } catch (error) {
      return c.text(`${error instanceof Error ? error.message : String(error)}\n`, 400);
    }
    return c.text([operations.logFilter(), ...notices].map((line) => `${line}\n`).join(""));
  });
  return app;
}

/** Says in the answer's head how much of the list it is. */
function listed(c: Context, { items, total, offset }: Page<object>, body: object = items): Response {
  const next = offset + items.length;
  const isTruncated = next < total;
  c.header("X-Total-Count", String(total));
  c.header("X-Truncated", String(isTruncated));
  if (isTruncated) {
    const url = new URL(c.req.url);
    url.searchParams.set("offset", String(next));
    c.header("Link", `<${url.pathname}${url.search}>; rel="next"`);
  }
  return c.json(body);
}
