// API: /api/v1, what the console page and scripts use. Reading changes nothing; what changes something is POST or
// DELETE. openapi.ts describes it.

import { type Context, Hono } from "hono";
import { errors } from "../packet/error.ts";
import { validTopicName } from "../topic/topicName.ts";
import type { Host } from "../net/host.ts";
import { OPENAPI } from "./openapi.ts";
import type { Operations } from "./ports.ts";
import { Topics } from "./topics.ts";
import { type PageQuery, View } from "./view.ts";

const PAGE_LIMIT = 100;
const PAGE_LIMIT_MAX = 1000;
/** Messages of one batch. */
const BATCH_MAX = 1000;
const TOPIC_BYTES_MAX = 65_535;
const BODY_BYTES_MAX = 8 * 1024 * 1024;

interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** What the asker got wrong; becomes status 400. */
class RequestError extends Error {
  override readonly name = "RequestError";
}

export function api(host: Host, operations: Operations): { readonly app: Hono; close(): void } {
  const { router } = host;
  const view = new View(host);
  const topics = new Topics(router);
  const app = new Hono();

  app.onError((error, context) => {
    if (error instanceof RequestError) return context.json({ error: error.message }, 400);
    throw error;
  });

  app.get("/openapi.json", (c) => c.json(OPENAPI));
  app.get("/health", (c) => c.json({ status: "ok", version: operations.version }));
  app.get("/ready", (c) => c.json({ status: "ready", connections: router.stats.connections }));
  app.get("/counters", (c) => c.json({ at: Date.now(), ...view.counters() }));

  app.get("/clients", (c) => c.json(view.clients(pageOf(c))));
  const one = (c: Context, id: string) => {
    const client = view.client(id);
    return client === null ? c.json({ error: "no such client" }, 404) : c.json(client);
  };
  const disconnect = (c: Context, id: string) => {
    const session = router.sessions.get(id);
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

  app.get("/subscriptions", (c) => c.json(view.subscriptions(pageOf(c))));
  app.get("/groups", (c) => c.json({ items: view.groups() }));
  app.get("/lag", (c) => c.json({ items: view.lag(pageOf(c).limit) }));
  app.get("/log", (c) => c.json(view.log()));
  app.get("/topics", (c) => {
    const { search, limit } = pageOf(c);
    return c.json(topics.rates(search, limit));
  });

  app.get("/retained", (c) => c.json(view.retained(pageOf(c))));
  app.get("/retained/:topic{.+}", (c) => {
    const message = view.retainedMessage(c.req.param("topic"));
    return message === null ? c.json({ error: "nothing is retained there" }, 404) : c.json(message);
  });
  app.delete("/retained/:topic{.+}", (c) => {
    const topic = c.req.param("topic");
    if (router.retained.slotOf(topic) < 0) return c.json({ error: "nothing is retained there" }, 404);
    router.retained.clear(topic);
    return c.json({ cleared: topic });
  });

  app.post("/publish", async (c) => {
    const isTaken = publish(host, messageOf(await bodyOf(c)));
    return isTaken ? c.json({ published: 1 }) : c.json({ error: "the log has no room", published: 0 }, 503);
  });
  app.post("/publish/batch", async (c) => {
    const body = await bodyOf(c);
    if (!Array.isArray(body)) throw new RequestError("the body must be a list of messages");
    if (body.length > BATCH_MAX) throw new RequestError(`a batch holds at most ${BATCH_MAX} messages`);
    const messages = body.map((one) => messageOf(one)); // all are checked before the first is published
    const taken = messages.findIndex((message) => !publish(host, message));
    if (taken < 0) return c.json({ published: messages.length });
    return c.json({ error: "the log has no room", published: taken }, 503);
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
    try {
      operations.setLogFilter(text.trim());
    } catch (error) {
      throw new RequestError(messageText(error));
    }
    return c.json({ filter: operations.logFilter() });
  });

  return { app, close: () => topics.close() };
}

function isPublishable(topic: string): boolean {
  return validTopicName(topic) && Buffer.byteLength(topic) <= TOPIC_BYTES_MAX;
}

function messageText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function publish({ router }: Host, { topic, payload, qos, retain }: Message): boolean {
  return router.publish(topic, payload, { qos, retain });
}

/** `offset`, `limit` and `search` of the query. */
function pageOf(context: Context): PageQuery {
  return {
    offset: numberOf(context, "offset", 0, Number.MAX_SAFE_INTEGER, 0),
    limit: numberOf(context, "limit", 1, PAGE_LIMIT_MAX, PAGE_LIMIT),
    search: context.req.query("search") ?? "",
  };
}

function numberOf(context: Context, name: string, minimum: number, maximum: number, absent: number): number {
  const text = context.req.query(name);
  if (text === undefined) return absent;
  const value = Number(text);
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new RequestError(`${name} = ${text}: must be an integer in ${minimum}..${maximum}`);
}

async function bodyOf(context: Context): Promise<unknown> {
  const text = await context.req.text();
  if (text.length > BODY_BYTES_MAX) throw new RequestError(`the body is larger than ${BODY_BYTES_MAX} bytes`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RequestError("the body must be JSON");
  }
}

/** `payload` is text, or base64 with `"encoding": "base64"`. */
function messageOf(raw: unknown): Message {
  if (typeof raw !== "object" || raw === null) throw new RequestError("a message must be an object");
  const { topic, payload = "", encoding = "text", qos = 0, retain = false } = raw as Record<string, unknown>;
  if (typeof topic !== "string" || !isPublishable(topic)) {
    throw new RequestError("topic must be a Topic Name: 1..65,535 bytes without + # and U+0000");
  }
  if (typeof payload !== "string") throw new RequestError("payload must be a string");
  if (encoding !== "text" && encoding !== "base64") throw new RequestError("encoding must be text or base64");
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new RequestError("qos must be 0, 1 or 2");
  if (typeof retain !== "boolean") throw new RequestError("retain must be true or false");
  return { topic, payload: Buffer.from(payload, encoding === "text" ? "utf8" : "base64"), qos, retain };
}
