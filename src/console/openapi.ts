// OPENAPI: the description of /api/v1 that it serves at /api/v1/openapi.json.

import { BODY_BYTES_MAX, LIST_DEFAULT, LIST_MAX } from "./asked.ts";
import { BATCH_MAX } from "./messages.ts";

interface Parameter {
  readonly name: string;
  readonly in: "query" | "path";
  readonly description: string;
  readonly required?: true;
  readonly schema: object;
}

const text = { type: "string" };
const count = { type: "integer", minimum: 0 };
const json = (schema: object) => ({ "application/json": { schema } });
const answer = (description: string, schema: object = { type: "object" }) => ({
  description,
  content: json(schema),
});
const problem = (description: string) => answer(description, { $ref: "#/components/schemas/Problem" });
const list = (item: string) => ({
  type: "object",
  required: ["items", "total", "offset"],
  properties: {
    items: { type: "array", maxItems: LIST_MAX, items: { type: "object", description: item } },
    total: { ...count, description: "All that there are; more than offset and items together: ask on" },
    offset: count,
  },
});

const path = (name: string, description: string): Parameter => ({
  name,
  in: "path",
  description,
  required: true,
  schema: text,
});
const query = (name: string, description: string, schema: object): Parameter => ({
  name,
  in: "query",
  description,
  schema,
});
const search = query("search", "Part of the name, in any case", text);
const limitOf = (absent: number) =>
  query("limit", "Most items of the answer", {
    type: "integer",
    minimum: 1,
    maximum: LIST_MAX,
    default: absent,
  });
const limit = limitOf(LIST_DEFAULT);
const offset = query("offset", "Items to leave out before the first", count);
const page = [search, offset, limit];
/** Of a list within an answer. */
const within = [offset, limitOf(LIST_MAX)];
const filter = (description: string): Parameter => query("filter", description, text);

const read = (summary: string, parameters: readonly Parameter[], schema?: object) => ({
  get: {
    summary,
    parameters,
    responses: { 200: answer(summary, schema), 400: problem("A wrong parameter") },
  },
});

const oneClient = (id: Parameter) => ({
  ...read("One client: its connection, session, subscriptions (a part of subscriptions_total) and cursor", [
    id,
    ...within,
  ]),
  delete: {
    summary: "Disconnects the client, with 0x98 where it speaks MQTT 5",
    parameters: [id, query("session", "`end` forgets its session too", { enum: ["end"] })],
    responses: { 200: answer("What was done"), 404: problem("No such client") },
  },
});

const oneMessage = (topic: Parameter) => ({
  ...read("One retained message with its payload", [topic]),
  delete: {
    summary: "Clears a retained message; nobody is told",
    parameters: [topic],
    responses: { 200: answer("Cleared"), 404: problem("Nothing is retained there") },
  },
});

const tooLarge = problem(
  `Larger than every listener takes (max_payload_size, packets); or a body of more than ${BODY_BYTES_MAX} bytes`,
);

export const OPENAPI = {
  openapi: "3.1.0",
  info: {
    title: "Millrace",
    version: "1",
    description:
      "What the broker is doing, and the few things that one may do to it. Reading changes nothing. Clients are " +
      "those of listeners: links of the program that the broker runs in, and its own, are in no list. A list has at " +
      `most ${LIST_MAX} items in one answer, and says by total how many there are.`,
  },
  servers: [{ url: "/api/v1" }],
  security: [{ token: [] }, { user: [] }, {}],
  components: {
    securitySchemes: {
      token: { type: "http", scheme: "bearer" },
      user: { type: "http", scheme: "basic" },
    },
    schemas: {
      Problem: { type: "object", required: ["error"], properties: { error: text } },
      Message: {
        type: "object",
        required: ["topic"],
        properties: {
          topic: { ...text, description: "A Topic Name: no wildcards" },
          payload: { ...text, default: "" },
          encoding: { enum: ["text", "base64"], default: "text" },
          qos: { enum: [0, 1, 2], default: 0 },
          retain: { type: "boolean", default: false },
        },
      },
    },
  },
  paths: {
    "/health": read("The process answers", []),
    "/ready": read("Clients can connect", []),
    "/counters": read("Counters since the start, and the memory by owner", []),
    "/clients": read("Sessions, connected or not", page, list("A client")),
    "/clients/{id}": oneClient(path("id", "Client Identifier")),
    "/client": oneClient(query("id", "Client Identifier; here also . and .., which no path can hold", text)),
    "/subscriptions": read(
      "Subscriptions, with their cursor and lag",
      [filter("Only those to exactly this Topic Filter, with its $share/group/ if it has one"), ...page],
      list("A subscription"),
    ),
    "/waiters": read(
      "Subscriptions to exactly this Topic Filter that owe nothing",
      [{ ...filter("Topic Filter"), required: true }, ...page],
      list("A subscription"),
    ),
    "/groups": read(
      "Shared subscriptions and the first 1,000 of their members_total",
      page,
      list("A share group"),
    ),
    "/lag": read(
      "Subscriptions that owe something, the furthest behind first",
      page,
      list("A subscription that owes something"),
    ),
    "/log": read("The commit log, and its segments from the oldest on (a part of segments_total)", within),
    "/log/filters": read(
      "Messages and bytes that the log holds by the Topic Filters they matched, most first",
      page,
      list("A Topic Filter; a message that several matched counts for each"),
    ),
    "/log/clients": read(
      "Messages and bytes that the log holds by the clients that published them, most first",
      page,
      list("A client; without client_id what the broker itself, or sessions that have ended, have published"),
    ),
    "/topics": read("The busiest topics, of total; counting begins with the first question", [search, limit]),
    "/retained": read("Retained messages without their payloads", page, list("A retained message")),
    "/retained/{topic}": oneMessage(path("topic", "Topic Name, its / written as they are or as %2F")),
    "/retained-message": oneMessage(
      query("topic", "Topic Name; here also . and .., which no path can hold", text),
    ),
    "/publish": {
      post: {
        summary: "Publishes one message",
        requestBody: { required: true, content: json({ $ref: "#/components/schemas/Message" }) },
        responses: {
          200: answer("Published"),
          400: problem("No message"),
          413: tooLarge,
          503: problem("The log has no room"),
        },
      },
    },
    "/publish/batch": {
      post: {
        summary:
          "Publishes up to 1,000 messages in their order; all are checked before the first is published",
        requestBody: {
          required: true,
          content: json({
            type: "array",
            maxItems: BATCH_MAX,
            items: { $ref: "#/components/schemas/Message" },
          }),
        },
        responses: {
          200: answer("All are published"),
          400: problem("One of them is no message"),
          413: tooLarge,
          503: problem("The log had room for the first `published` of them"),
        },
      },
    },
    "/config": read("The configuration in force, without secrets", []),
    "/reload": {
      post: {
        summary: "Reads the configuration again and applies what is different",
        responses: {
          200: answer("What was applied and what needs a restart"),
          409: problem("It is wrong: nothing changed"),
        },
      },
    },
    "/logs/filter": {
      ...read("The filter of the log", []),
      post: {
        summary: "Sets the filter of the log, such as millrace=info,[{client_id=pub-001}]=debug",
        requestBody: { required: true, content: { "text/plain": { schema: text } } },
        responses: { 200: answer("The filter in force"), 400: problem("No filter: nothing changed") },
      },
    },
    "/logs/tail": {
      get: {
        summary: "Lines of the log as they come (server-sent events)",
        responses: {
          200: { description: "A stream of lines", content: { "text/event-stream": { schema: text } } },
        },
      },
    },
  },
} as const;
