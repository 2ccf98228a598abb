// API: /api/v1, what the console page and scripts use. Reading changes nothing; what changes something is POST or
// DELETE. openapi.ts describes it.

import { type Context, Hono } from "hono";
import { errors } from "../packet/error.ts";
import type { Host } from "../net/host.ts";
import { bodyOf, LIST_MAX, nameOf, pageOf, RequestError } from "./asked.ts";
import { LogShares } from "./logShares.ts";
import { checkOwner, publishAll, publishOne } from "./messages.ts";
import { OPENAPI } from "./openapi.ts";
import type { Operations } from "./ports.ts";
import { Topics } from "./topics.ts";
import { page, View } from "./view.ts";

export function api(host: Host, operations: Operations): { readonly app: Hono; close(): void } {
  const { router } = host;
  const view = new View(host);
  const topics = new Topics(router);
  const shares = new LogShares(router);
  const app = new Hono();

  app.onError((error, context) => {
    if (error instanceof RequestError) return context.json({ error: error.message }, error.status);
    throw error;
  });

  app.get("/openapi.json", (c) => c.json(OPENAPI));
  app.get("/health", (c) => c.json({ status: "ok", version: operations.version }));
  app.get("/ready", (c) => c.json({ status: "ready", connections: host.stats.clients }));
  app.get("/counters", (c) => c.json({ at: Date.now(), ...view.counters() }));

  app.get("/clients", (c) => c.json(view.clients(pageOf(c))));
  const one = (c: Context, id: string) => {
    const client = view.client(id, pageOf(c, LIST_MAX));
    return client === null ? c.json({ error: "no such client" }, 404) : c.json(client);
  };
  const disconnect = (c: Context, id: string) => {
    const session = view.session(id);
    if (session === undefined) return c.json({ error: "no such client" }, 404);
    const wasConnected = session.port !== null;
    session.port?.disconnect(errors.administrativeAction);
    const ended = c.req.query("session") === "end";
    if (ended) router.sessions.end(session);
    return c.json({ disconnected: wasConnected, session_ended: ended });
  };
  app.get("/clients/:id", (c) => one(c, c.req.param("id")));
  app.delete("/clients/:id", (c) => disconnect(c, c.req.param("id")));
  // No path can hold the identifiers . and .., which anybody may choose.
  app.get("/client", (c) => one(c, c.req.query("id") ?? ""));
  app.delete("/client", (c) => disconnect(c, c.req.query("id") ?? ""));

  app.get("/subscriptions", (c) => {
    const filter = c.req.query("filter");
    return c.json(
      filter === undefined ? view.subscriptions(pageOf(c)) : view.subscribersOf(filter, pageOf(c)),
    );
  });
  app.get("/waiters", (c) => c.json(view.waiters(nameOf(c, "filter"), pageOf(c))));
  app.get("/groups", (c) => c.json(view.groups(pageOf(c))));
  app.get("/lag", (c) => c.json(view.lag(pageOf(c))));
  app.get("/log", (c) => c.json(view.log(pageOf(c, LIST_MAX))));
  app.get("/log/filters", async (c) => {
    const { filters } = await shares.read();
    return c.json(page(filters, pageOf(c), ({ filter }) => filter, asItIs));
  });
  app.get("/log/clients", async (c) => {
    const { clients } = await shares.read();
    return c.json(page(clients, pageOf(c), ({ client_id: client }) => client ?? "", asItIs));
  });
  app.get("/topics", (c) => {
    const { search, limit } = pageOf(c);
    return c.json(topics.rates(search, limit));
  });

  app.get("/retained", (c) => c.json(view.retained(pageOf(c))));
  const message = (c: Context, topic: string) => {
    const found = view.retainedMessage(topic);
    return found === null ? c.json({ error: "nothing is retained there" }, 404) : c.json(found);
  };
  const clear = (c: Context, topic: string) => {
    checkOwner(host, topic);
    if (router.retained.slotOf(topic) < 0) return c.json({ error: "nothing is retained there" }, 404);
    router.retained.clear(topic);
    return c.json({ cleared: topic });
  };
  app.get("/retained/:topic{.+}", (c) => message(c, c.req.param("topic")));
  app.delete("/retained/:topic{.+}", (c) => clear(c, c.req.param("topic")));
  // Nor topics with levels that are . or .., or empty ones at their ends.
  app.get("/retained-message", (c) => message(c, nameOf(c, "topic")));
  app.delete("/retained-message", (c) => clear(c, nameOf(c, "topic")));

  app.post("/publish", async (c) => {
    if (publishOne(host, await bodyOf(c))) return c.json({ published: 1 });
    return c.json({ error: "the log has no room", published: 0 }, 503);
  });
  app.post("/publish/batch", async (c) => {
    const { published, all } = publishAll(host, await bodyOf(c));
    return all ? c.json({ published }) : c.json({ error: "the log has no room", published }, 503);
  });

  app.get("/config", (c) => c.json(operations.configuration() as object));
  app.post("/reload", async (c) => {
    try {
      const { applied, needsRestart } = await operations.reload();
      return c.json({ applied, needs_restart: needsRestart });
    } catch (error) {
      return c.json({ error: messageText(error) }, 409);
    }
  });

  app.get("/logs/filter", (c) => c.json({ filter: operations.logFilter() }));
  app.post("/logs/filter", async (c) => {
    const text = await c.req.text();
    let notices: readonly string[] = [];
    try {
      notices = operations.setLogFilter(text.trim());
    } catch (error) {
      throw new RequestError(messageText(error));
    }
    return c.json({ filter: operations.logFilter(), ...(notices.length === 0 ? {} : { notices }) });
  });

  return { app, close: () => topics.close() };
}

function asItIs<T>(one: T): T {
  return one;
}

function messageText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
