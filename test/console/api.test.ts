// /api/v1 and rumqttd's paths over a broker with real clients.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Link } from "../../src/net/link.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { consoleOf } from "./support.ts";

let one: TestBroker;
let ui: ReturnType<typeof consoleOf>;
let link: Link;
const heard: string[] = [];

beforeAll(async () => {
  one = await startTestBroker();
  ui = consoleOf(one);
  link = new Link(one.broker.router, "dev-1", 10, {
    onMessage: ({ topic, payload }) => void heard.push(`${topic} ${Buffer.from(payload).toString()}`),
  });
  link.subscribe("plant/+", 1, true);
  link.subscribe("$share/g/jobs/#", 1, false);
});
afterAll(async () => {
  link.close();
  ui.close();
  await one.stop();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("/api/v1", () => {
  test("clients: a page, a search, one, none", async () => {
    const page = await ui.json("GET", "/api/v1/clients?search=DEV");
    expect(page.json).toMatchObject({ total: 1, offset: 0 });
    const [client] = page.json["items"] as Record<string, unknown>[];
    expect(client).toMatchObject({
      client_id: "dev-1",
      connected: true,
      version: "5",
      subscription_count: 2,
    });
    expect((await ui.json("GET", "/api/v1/clients?search=nobody")).json).toMatchObject({
      total: 0,
      items: [],
    });
    const detail = await ui.json("GET", "/api/v1/clients/dev-1");
    expect(detail.json).toMatchObject({ client_id: "dev-1", in_flight: 0, lag_messages: 0 });
    expect((await ui.json("GET", "/api/v1/clients/nobody")).status).toBe(404);
  });

  test.each(["limit=0", "limit=1001", "limit=x", "offset=-1"])(
    "a wrong page is refused: %s",
    async (query) => {
      const { status, json } = await ui.json("GET", `/api/v1/clients?${query}`);
      expect(status).toBe(400);
      expect(json["error"]).toContain("must be an integer in");
    },
  );

  test("subscriptions and groups", async () => {
    const { json } = await ui.json("GET", "/api/v1/subscriptions?search=plant");
    expect(json).toMatchObject({ total: 1 });
    expect((json["items"] as object[])[0]).toMatchObject({ client_id: "dev-1", filter: "plant/+", qos: 1 });
    const groups = (await ui.json("GET", "/api/v1/groups")).json["items"] as Record<string, unknown>[];
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({ members: [{ client_id: "dev-1", qos: 1, connected: true }] });
  });

  test("publish, retained: list, one, clear", async () => {
    const message = { topic: "plant/1", payload: "on", qos: 1, retain: true };
    expect((await ui.json("POST", "/api/v1/publish", message)).json).toEqual({ published: 1 });
    await turn();
    expect(heard).toContain("plant/1 on");
    const page = await ui.json("GET", "/api/v1/retained?search=plant");
    expect(page.json).toMatchObject({ total: 1, items: [{ topic: "plant/1", qos: 1, payload_bytes: 2 }] });
    const found = await ui.json("GET", "/api/v1/retained/plant/1");
    expect(found.json).toMatchObject({ topic: "plant/1", payload: "on", payload_base64: "b24=" });
    expect((await ui.json("DELETE", "/api/v1/retained/plant/1")).json).toEqual({ cleared: "plant/1" });
    expect((await ui.json("GET", "/api/v1/retained/plant/1")).status).toBe(404);
    expect((await ui.json("DELETE", "/api/v1/retained/plant/1")).status).toBe(404);
  });

  test("publish as base64; a payload that is no text", async () => {
    const message = { topic: "raw", payload: "/wA=", encoding: "base64", retain: true };
    expect((await ui.json("POST", "/api/v1/publish", message)).status).toBe(200);
    expect((await ui.json("GET", "/api/v1/retained/raw")).json).toMatchObject({
      payload: null,
      payload_base64: "/wA=",
    });
  });

  test("a batch is published in its order, or not at all", async () => {
    heard.length = 0;
    const batch = [1, 2, 3].map((n) => ({ topic: "plant/b", payload: String(n) }));
    expect((await ui.json("POST", "/api/v1/publish/batch", batch)).json).toEqual({ published: 3 });
    await turn();
    expect(heard).toEqual(["plant/b 1", "plant/b 2", "plant/b 3"]);
    const { status } = await ui.json("POST", "/api/v1/publish/batch", [...batch, { topic: "a/#" }]);
    expect(status).toBe(400);
    await turn();
    expect(heard).toHaveLength(3);
  });

  const wrong: readonly (readonly [string, unknown])[] = [
    ["no JSON", "{"],
    ["no object", 7],
    ["no topic", {}],
    ["an empty topic", { topic: "" }],
    ["a wildcard", { topic: "a/+" }],
    ["U+0000", { topic: "a\0" }],
    ["a topic too long", { topic: "x".repeat(65_536) }],
    ["a payload that is no string", { topic: "a", payload: 1 }],
    ["an unknown encoding", { topic: "a", encoding: "hex" }],
    ["a wrong QoS", { topic: "a", qos: 3 }],
    ["a wrong retain", { topic: "a", retain: "yes" }],
  ];
  test.each(wrong)("publish refuses %s", async (_, body) => {
    const { status, json } = await ui.json("POST", "/api/v1/publish", body);
    expect(status).toBe(400);
    expect(typeof json["error"]).toBe("string");
  });

  test("the log and its memory", async () => {
    const { json } = await ui.json("GET", "/api/v1/log");
    expect(json["head"]).toBe(one.broker.router.log.head);
    expect((json["segments"] as Record<string, unknown>[]).at(-1)).toMatchObject({ active: true });
    const counters = (await ui.json("GET", "/api/v1/counters")).json;
    expect(
      (counters["memory"] as Record<string, number>[]).every(({ used = 0, max = 0 }) => used <= max),
    ).toBe(true);
  });

  test("lag: what a subscription owes, and its cursor", async () => {
    const slow = new Link(one.broker.router, "slow", 1, { onMessage: () => new Promise(() => {}) });
    slow.subscribe("lag", 1, false);
    for (let i = 0; i < 5; i++) one.broker.router.publish("lag", Buffer.from("x"), { qos: 1, retain: false });
    await turn();
    const { json } = await ui.json("GET", "/api/v1/lag");
    expect((json["items"] as object[])[0]).toMatchObject({
      client_id: "slow",
      filter: "lag",
      lag_messages: 4,
    });
    const client = (await ui.json("GET", "/api/v1/clients/slow")).json;
    expect(client).toMatchObject({ lag_messages: 4, in_flight: 1, state: "window_full" });
    expect((client["head"] as number) - (client["cursor"] as number)).toBe(4);
    slow.close();
  });

  test("topics: counting begins with the first question", async () => {
    expect((await ui.json("GET", "/api/v1/topics")).json).toMatchObject({ topics: [] });
    for (let i = 0; i < 3; i++)
      one.broker.router.publish("busy", Buffer.from("abc"), { qos: 0, retain: false });
    await turn();
    expect((await ui.json("GET", "/api/v1/topics?search=bus")).json["topics"]).toMatchObject([
      { topic: "busy", messages: 3, bytes: 9 },
    ]);
  });

  test("a client is disconnected, and its session ended when asked", async () => {
    const closed: string[] = [];
    new Link(one.broker.router, "kicked", 1, {
      onMessage() {},
      onClosed: ({ message }) => void closed.push(message),
    });
    expect((await ui.json("DELETE", "/api/v1/clients/kicked?session=end")).json).toEqual({
      disconnected: true,
      session_ended: true,
    });
    expect(closed).toEqual(["closed by an administrator"]);
    expect((await ui.json("DELETE", "/api/v1/clients/kicked")).status).toBe(404);
  });

  test("an identifier that no path can hold", async () => {
    const dots = new Link(one.broker.router, "..", 1, { onMessage() {} });
    expect((await ui.json("GET", "/api/v1/clients/%2e%2e")).status).toBe(404);
    expect((await ui.json("GET", "/api/v1/client?id=..")).json).toMatchObject({
      client_id: "..",
      connected: true,
    });
    expect((await ui.json("DELETE", "/api/v1/client?id=..&session=end")).json).toMatchObject({
      disconnected: true,
    });
    expect((await ui.json("GET", "/api/v1/client?id=..")).status).toBe(404);
    expect((await ui.json("GET", "/api/v1/client")).status).toBe(404);
    dots.close();
  });

  test("configuration, reload, filter of the log", async () => {
    expect((await ui.json("GET", "/api/v1/config")).json).toEqual({ router: { id: 7 } });
    expect((await ui.json("POST", "/api/v1/reload")).json).toEqual({
      applied: ["[router] memory"],
      needs_restart: ["[v4.1] listen"],
    });
    expect((await ui.json("POST", "/api/v1/logs/filter", "debug")).json).toEqual({ filter: "debug" });
    expect((await ui.json("POST", "/api/v1/logs/filter", "nonsense")).status).toBe(400);
    expect((await ui.json("GET", "/api/v1/logs/filter")).json).toEqual({ filter: "debug" });
  });

  test("the log's lines as they come, and the follower leaves nothing behind", async () => {
    const response = await ui.ask("GET", "/api/v1/logs/tail");
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const reader = response.body!.getReader();
    let text = "";
    while (!text.includes("ready")) text += Buffer.from((await reader.read()).value ?? []).toString();
    for (const follow of ui.operations.followers) follow('{"msg":"hello"}');
    while (!text.includes("hello")) text += Buffer.from((await reader.read()).value ?? []).toString();
    expect(text).toContain('event: line\ndata: {"msg":"hello"}');
    await reader.cancel(); // nothing has to be said before its place is free
    while (ui.operations.followers.size > 0) await turn();
  });

  test("every path is described, and every description has its path", async () => {
    const { json } = await ui.json("GET", "/api/v1/openapi.json");
    for (const [path, methods] of Object.entries(json["paths"] as Record<string, object>)) {
      for (const method of Object.keys(methods)) {
        if (path === "/logs/tail") continue;
        const asked = `/api/v1${path.replace(/\{.*?\}/, "nobody")}`;
        const response = await ui.ask(method.toUpperCase(), asked, method === "post" ? "{}" : undefined);
        const { error } = (await response.json()) as { error?: string };
        expect(`${path} ${error ?? ""}`).not.toContain("there is nothing here");
      }
    }
  });
});

describe("rumqttd's paths", () => {
  test.each([
    ["/", { name: "millrace" }],
    ["/config", { router: { id: 7 } }],
    ["/router", { router_id: 0 }],
    ["/device/dev-1", { client_id: "dev-1" }],
    ["/subscriptions", { "plant/+": ["dev-1"] }],
    ["/subscriptions/plant/+", [{ client_id: "dev-1" }]],
    ["/waiters/plant/+", [{ client_id: "dev-1" }]],
  ])("GET %s", async (path, expected) => {
    const response = await ui.ask("GET", path);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject(expected);
  });

  test("GET /readyqueue, POST /logs, an unknown device, an unknown path", async () => {
    expect(await (await ui.ask("GET", "/readyqueue")).json()).toEqual([]);
    const filter = "millrace=info,[{client_id=pub-001}]=debug";
    const set = await ui.ask("POST", "/logs", filter);
    expect(set.headers.get("content-type")).toStartWith("text/plain");
    expect(await set.text()).toBe(`${filter}\n`);
    expect((await ui.ask("POST", "/logs", "nonsense")).status).toBe(400);
    expect((await ui.ask("GET", "/device/nobody")).status).toBe(404);
    expect((await ui.ask("GET", "/nowhere")).status).toBe(404);
  });
});
