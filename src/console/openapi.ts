// OPENAPI: the description of /api/v1 that it serves at /api/v1/openapi.json.

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
  properties: {
    items: { type: "array", items: { type: "object", description: item } },
    total: count,
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
const limit = query("limit", "Most items of the answer", {
  type: "integer",
  minimum: 1,
  maximum: 1000,
  default: 100,
});
const offset = query("offset", "Items to leave out before the first", count);
const page = [search, offset, limit];

const read = (summary: string, parameters: readonly Parameter[], schema?: object) => ({
  get: {
    summary,
    parameters,
    responses: { 200: answer(summary, schema), 400: problem("A wrong parameter") },
  },
});

const oneClient = (id: Parameter) => ({
  ...read("One client: its connection, session, subscriptions and cursor", [id]),
  delete: {
    summary: "Disconnects the client, with 0x98 where it speaks MQTT 5",
    parameters: [id, query("session", "`end` forgets its session too", { enum: ["end"] })],
    responses: { 200: answer("What was done"), 404: problem("No such client") },
  },
});

export const OPENAPI = {
  openapi: "3.1.0",
  info: {
    title: "Millrace",
    version: "1",
    description:
      "What the broker is doing, and the few things that one may do to it. Reading changes nothing.",
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
    "/subscriptions": read("Subscriptions, with their cursor and lag", page, list("A subscription")),
    "/groups": read("Shared subscriptions and their members", []),
    "/lag": read("Subscriptions that owe something, the furthest behind first", [limit]),
    "/log": read("The commit log's segments", []),
    "/topics": read("The busiest topics; counting begins with the first question", [search, limit]),
    "/retained": read("Retained messages without their payloads", page, list("A retained message")),
    "/retained/{topic}": {
      ...read("One retained message with its payload", [path("topic", "Topic Name")]),
      delete: {
        summary: "Clears a retained message; nobody is told",
        parameters: [path("topic", "Topic Name")],
        responses: { 200: answer("Cleared"), 404: problem("Nothing is retained there") },
      },
    },
    "/publish": {
      post: {
        summary: "Publishes one message",
        requestBody: { required: true, content: json({ $ref: "#/components/schemas/Message" }) },
        responses: {
          200: answer("Published"),
          400: problem("No message"),
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
          content: json({ type: "array", maxItems: 1000, items: { $ref: "#/components/schemas/Message" } }),
        },
        responses: {
          200: answer("All are published"),
          400: problem("One of them is no message"),
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
