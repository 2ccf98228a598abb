// /api/v1 and rumqttd's paths over a broker with real clients.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Link } from "../../src/net/link.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import type { WireClient } from "../support/wireClient.ts";
import { consoleOf, deviceOf } from "./support.ts";

const PAYLOAD_MAX = 5000;

let one: TestBroker;
let ui: ReturnType<typeof consoleOf>;
let device: WireClient;

beforeAll(async () => {
  one = await startTestBroker({
    listener: { payloadBytesMax: PAYLOAD_MAX, packetBytesMax: PAYLOAD_MAX + 20 },
  });
  ui = consoleOf(one);
  device = await deviceOf(one, "dev-1", 100);
  await device.subscribe("plant/+", { qos: 1 });
  await device.subscribe("$share/g/jobs/#", { qos: 1 });
});
afterAll(async () => {
  device.cut();
  ui.close();
  await one.stop();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The next message of plant/+. */
async function heard(): Promise<string> {
  const packet = await device.receive();
  await device.acknowledge(packet);
  return `${packet.topic} ${packet.payload.toString()}`;
}

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
    expect(await heard()).toBe("plant/1 on");
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
    const batch = [1, 2, 3].map((n) => ({ topic: "plant/b", payload: String(n) }));
    expect((await ui.json("POST", "/api/v1/publish/batch", batch)).json).toEqual({ published: 3 });
    expect([await heard(), await heard(), await heard()]).toEqual(["plant/b 1", "plant/b 2", "plant/b 3"]);
    const { status } = await ui.json("POST", "/api/v1/publish/batch", [...batch, { topic: "a/#" }]);
    expect(status).toBe(400);
    await device.expectSilence();
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
    ["what is no base64", { topic: "a", encoding: "base64", payload: "/w*=" }],
  ];
  test.each(wrong)("publish refuses %s", async (_, body) => {
    const { status, json } = await ui.json("POST", "/api/v1/publish", body);
    expect(status).toBe(400);
    expect(typeof json["error"]).toBe("string");
  });

  const x = (bytes: number) => "x".repeat(bytes);
  const tooLarge: readonly (readonly [string, string, unknown, RegExp])[] = [
    [
      "a payload",
      "",
      { topic: "a", payload: x(PAYLOAD_MAX + 1) },
      /5001 bytes: no listener takes more than 5000/,
    ],
    [
      "a packet",
      "",
      { topic: x(30), payload: x(PAYLOAD_MAX) },
      /packet of \d+ bytes: no listener takes more than 5020/,
    ],
    [
      "a message of a batch",
      "/batch",
      [{ topic: "plant/b" }, { topic: "a", payload: x(PAYLOAD_MAX + 1) }],
      /no listener takes/,
    ],
    [
      "a batch",
      "/batch",
      Array.from({ length: 1001 }, () => ({ topic: "a" })),
      /1001 messages: at most 1000/,
    ],
    ["a body", "", x(8 * 1024 * 1024 + 1), /8388609 bytes: at most 8388608/],
  ];
  test.each(tooLarge)("publish refuses %s that is too large with 413", async (_, path, body, text) => {
    const { status, json } = await ui.json("POST", `/api/v1/publish${path}`, body);
    expect([status, json["error"]]).toEqual([413, expect.stringMatching(text)]);
    await device.expectSilence();
  });

  test("what the broker tells of itself is neither published nor cleared here", async () => {
    const topic = "$SYS/broker/version";
    one.broker.router.publish(topic, Buffer.from("x"), { qos: 0, retain: true });
    const own = "topics below $SYS are the broker's own";
    for (const [path, body] of [
      ["", { topic }],
      ["/batch", [{ topic: "a" }, { topic }]],
    ] as const) {
      const { status, json } = await ui.json("POST", `/api/v1/publish${path}`, body);
      expect([status, json["error"]]).toEqual([400, own]);
    }
    const { status, json } = await ui.json("DELETE", `/api/v1/retained/${encodeURIComponent(topic)}`);
    expect([status, json["error"]]).toEqual([400, own]);
    one.broker.router.retained.clear(topic);
  });

  test("publish takes what a listener takes", async () => {
    const message = { topic: "plant/l", payload: x(PAYLOAD_MAX) };
    expect((await ui.json("POST", "/api/v1/publish", message)).json).toEqual({ published: 1 });
    expect(await heard()).toHaveLength(PAYLOAD_MAX + 8);
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

  test("the log's messages by filter and by client", async () => {
    const publisher = await deviceOf(one, "publisher");
    const reader = await deviceOf(one, "reader", 1);
    await reader.subscribe(["held/#", "held/+"], { qos: 1 });
    for (let i = 0; i < 5; i++) await publisher.publish("held/1", "x".repeat(100), { qos: 1 });
    const shares = async (path: string) => (await ui.json("GET", `/api/v1${path}`)).json["items"] as object[];
    const held = { messages: 5, bytes: expect.any(Number) };
    expect(await shares("/log/filters?search=held")).toEqual([
      { filter: "held/#", ...held },
      { filter: "held/+", ...held },
    ]);
    const [share] = (await shares("/log/clients?search=publisher")) as { bytes: number }[];
    expect(share).toMatchObject({ client_id: "publisher", messages: 5 });
    expect(share!.bytes).toBeGreaterThan(500);
    expect(await shares("/log/clients")).toContainEqual(expect.objectContaining({ client_id: null }));
    const summary = (await ui.json("GET", "/api/v1/client?id=reader")).json;
    expect(summary).toMatchObject({ session_bytes: expect.any(Number), unsent_bytes: 0 });
    publisher.cut();
    reader.cut();
  });

  test("lag: what a subscription owes, and its cursor", async () => {
    const slow = await deviceOf(one, "slow", 1);
    await slow.subscribe("lag", { qos: 1 });
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
    slow.cut();
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
    const kicked = await deviceOf(one, "kicked");
    expect((await ui.json("DELETE", "/api/v1/clients/kicked?session=end")).json).toEqual({
      disconnected: true,
      session_ended: true,
    });
    await kicked.expect("disconnect", { reasonCode: 0x98 });
    expect((await ui.json("DELETE", "/api/v1/clients/kicked")).status).toBe(404);
  });

  test("an identifier that no path can hold", async () => {
    const dots = await deviceOf(one, "..");
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
    dots.cut();
  });

  const odd = [
    "..",
    ".",
    "a/../b",
    "../..",
    "/",
    "//",
    "/a",
    "a/",
    "a//b",
    "%2F",
    "a%2Fb",
    "%",
    "%zz",
    "a b",
    "a+b",
  ]
    .filter((name) => !name.includes("+"))
    .concat([
      "?",
      "a?b#c".replace("#", ""),
      "&=",
      "ü/ß",
      "مرحبا",
      "日本",
      "🏭/1",
      '"<b>',
      "\\",
      "a;b",
      "$x/y",
    ]);
  test.each(odd)("the retained topic %j is read and cleared by its name", async (topic) => {
    const named = `/api/v1/retained-message?topic=${encodeURIComponent(topic)}`;
    await ui.json("POST", "/api/v1/publish", { topic, payload: "kept", retain: true });
    expect(
      (await ui.json("GET", `/api/v1/retained?search=${encodeURIComponent(topic)}`)).json["items"],
    ).toContainEqual(expect.objectContaining({ topic }));
    expect((await ui.json("GET", named)).json).toMatchObject({ topic, payload: "kept" });
    const inPath = `/api/v1/retained/${encodeURIComponent(topic)}`;
    if (![".", ".."].includes(topic)) {
      expect([topic, (await ui.json("GET", inPath)).json]).toMatchObject([topic, { topic, payload: "kept" }]);
    }
    expect((await ui.json("DELETE", named)).json).toEqual({ cleared: topic });
    expect((await ui.json("GET", named)).status).toBe(404);
  });

  test.each(odd)("the identifier and filter %j are found, and the client is disconnected", async (name) => {
    const client = await deviceOf(one, name);
    await client.subscribe(name);
    const encoded = encodeURIComponent(name);
    const mine = [expect.objectContaining({ client_id: name, filter: name })];
    expect((await ui.json("GET", `/api/v1/subscriptions?filter=${encoded}`)).json).toMatchObject({
      total: 1,
      items: mine,
    });
    expect((await ui.json("GET", `/api/v1/waiters?filter=${encoded}`)).json["items"]).toEqual(mine);
    for (const path of ["/subscriptions", "/waiters"]) {
      expect(await (await ui.ask("GET", `${path}?filter=${encoded}`)).json()).toEqual(mine);
      if (![".", ".."].includes(name)) {
        expect(await (await ui.ask("GET", `${path}/${encoded}`)).json()).toEqual(mine);
      }
    }
    expect((await ui.json("GET", `/device?id=${encoded}`)).json).toMatchObject({ client_id: name });
    expect((await ui.json("DELETE", `/api/v1/client?id=${encoded}`)).json).toMatchObject({
      disconnected: true,
    });
    await client.expect("disconnect", { reasonCode: 0x98 });
  });

  test("a name that is missing is asked for", async () => {
    for (const [method, path] of [
      ["GET", "/api/v1/retained-message"],
      ["DELETE", "/api/v1/retained-message?topic="],
      ["GET", "/api/v1/waiters"],
    ] as const) {
      expect((await ui.json(method, path)).status).toBe(400);
    }
  });

  test("configuration, reload, filter of the log", async () => {
    expect((await ui.json("GET", "/api/v1/config")).json).toEqual({ router: { id: 7 } });
    expect((await ui.json("POST", "/api/v1/reload")).json).toEqual({
      applied: ["[router] memory"],
      needs_restart: ["[v4.1] listen"],
    });
    expect((await ui.json("POST", "/api/v1/logs/filter", "debug")).json).toEqual({ filter: "debug" });
    expect((await ui.json("POST", "/api/v1/logs/filter", "nonsense")).status).toBe(400);
    expect((await ui.json("POST", "/api/v1/logs/filter", "rumqttd::router=info")).json).toEqual({
      filter: "rumqttd::router=info",
      notices: ["modules are not told apart"],
    });
    await ui.json("POST", "/api/v1/logs/filter", "debug");
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

describe("lists are bounded, and say how much there is", () => {
  const COUNT = 1200;
  let many: WireClient;
  beforeAll(async () => {
    many = await deviceOf(one, "many", 1);
    for (let at = 0; at < COUNT; at += 200)
      await many.subscribe(
        Array.from({ length: 200 }, (_, i) => `many/${at + i}/#`),
        { qos: 1 },
      );
    for (let i = 0; i < 3; i++) await many.subscribe(`$share/g${i}/x`);
    for (let i = 0; i < 3; i++)
      one.broker.router.publish("many/7/x", Buffer.from("x"), { qos: 1, retain: true });
    await turn();
  });
  afterAll(() => many.cut());

  const rows = [
    ["/clients", 2],
    ["/subscriptions?search=many/", COUNT],
    ["/subscriptions?filter=many/1/%23", 1],
    ["/waiters?filter=many/1/%23", 1],
    ["/groups", 4],
    ["/lag", 1],
    ["/retained?search=many", 1],
  ] as const;
  test.each(rows)("GET %s", async (path, least) => {
    const ask = async (more: string) =>
      (await ui.json("GET", `/api/v1${path}${path.includes("?") ? "&" : "?"}${more}`)).json as {
        items: object[];
        total: number;
        offset: number;
      };
    const whole = await ask("limit=1000");
    expect(whole.total).toBeGreaterThanOrEqual(least);
    expect(whole.items).toHaveLength(Math.min(1000, whole.total));
    const second = await ask("limit=1&offset=1");
    expect(second).toMatchObject({ total: whole.total, offset: 1 });
    expect(second.items.length).toBe(whole.total > 1 ? 1 : 0);
  });

  test("one client's subscriptions, the log's segments, topics", async () => {
    const client = (await ui.json("GET", "/api/v1/client?id=many&limit=10&offset=5")).json;
    expect(client).toMatchObject({ subscriptions_total: COUNT + 3, subscriptions_offset: 5 });
    expect(client["subscriptions"]).toHaveLength(10);
    const log = (await ui.json("GET", "/api/v1/log?offset=1")).json;
    expect(log).toMatchObject({ oldest: 0, offset: 1 });
    expect(log["segments"]).toHaveLength((log["segments_total"] as number) - 1);
    expect(typeof (await ui.json("GET", "/api/v1/topics?limit=1")).json["total"]).toBe("number");
  });

  test.each(["/subscriptions", "/subscriptions/plant/+", "/waiters/plant/+", "/readyqueue"])(
    "rumqttd's %s says in its head what it leaves out",
    async (path) => {
      const seen: unknown[] = [];
      let next = `${path}?limit=700`;
      for (let part = 0; next !== "" && part < 5; part++) {
        const response = await ui.ask("GET", next);
        const body = (await response.json()) as object;
        seen.push(...(Array.isArray(body) ? body : Object.values(body).flat()));
        const total = Number(response.headers.get("x-total-count"));
        next = /^<(.*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1] ?? "";
        expect(response.headers.get("x-truncated")).toBe(String(next !== ""));
        if (next === "") expect(seen).toHaveLength(total);
      }
      expect(next).toBe("");
    },
  );

  test("rumqttd's lists have no more than 1,000 items", async () => {
    const response = await ui.ask("GET", "/subscriptions");
    expect(Object.values((await response.json()) as object).flat()).toHaveLength(1000);
    expect(response.headers.get("x-truncated")).toBe("true");
    expect((await ui.ask("GET", "/subscriptions?limit=1001")).status).toBe(400);
  });
});

describe("the broker's own links are no clients", () => {
  test("in no list, no figure, no limit", async () => {
    const small = await startTestBroker({ router: { connectionsMax: 1 } });
    const console = consoleOf(small);
    const get = async (path: string) => (await console.json("GET", path)).json;
    const links = ["$millrace/link/1", "$millrace/link/2"].map((name) => {
      const link = new Link(small.broker.router, name, 1, { onMessage: () => new Promise(() => {}) });
      link.subscribe("a/#", 1, false);
      link.subscribe("$share/g/b", 1, false);
      return link;
    });
    await get("/api/v1/topics"); // makes a link of its own
    for (let i = 0; i < 3; i++)
      small.broker.router.publish("a/b", Buffer.from("x"), { qos: 1, retain: false });
    await turn();
    for (const list of ["clients", "subscriptions", "groups", "lag"]) {
      expect([list, await get(`/api/v1/${list}`)]).toEqual([list, { items: [], total: 0, offset: 0 }]);
    }
    for (const path of ["/api/v1/client?id=$millrace/link/1", "/device?id=$millrace/link/1"]) {
      expect((await console.json("GET", path)).status).toBe(404);
    }
    expect((await console.json("DELETE", "/api/v1/client?id=$millrace/link/1&session=end")).status).toBe(404);
    expect(await get("/api/v1/counters")).toMatchObject({ connections: 0, sessions: 0, links: 3 });
    expect(await get("/api/v1/ready")).toMatchObject({ connections: 0 });
    expect(await get("/router")).toMatchObject({ total_connections: 0, total_subscriptions: 0 });
    expect(await get("/subscriptions")).toEqual({});
    expect(await (await console.ask("GET", "/readyqueue")).json()).toEqual([]);
    const metrics = await (await console.ask("GET", "/metrics")).text();
    for (const line of [
      "millrace_clients 0",
      'millrace_sessions{state="connected"} 0',
      "millrace_share_groups 0",
    ])
      expect(metrics.split("\n")).toContain(line);
    const client = await deviceOf(small, "the only one"); // there is a place: max_connections is 1
    expect(await get("/api/v1/clients")).toMatchObject({ total: 1 });
    client.cut();
    for (const link of links) link.close();
    console.close();
    expect(small.broker.router.sessions.links).toBe(0);
    await small.stop();
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
    const module = await ui.ask("POST", "/logs", "rumqttd::router=debug");
    expect([module.status, await module.text()]).toEqual([
      200,
      "rumqttd::router=debug\nmodules are not told apart\n",
    ]);
    expect((await ui.ask("POST", "/logs", "nonsense")).status).toBe(400);
    expect((await ui.ask("GET", "/device/nobody")).status).toBe(404);
    expect((await ui.ask("GET", "/nowhere")).status).toBe(404);
  });
});
