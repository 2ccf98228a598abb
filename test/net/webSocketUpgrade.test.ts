// The upgrade to a WebSocket, RFC 6455 §4.2: what is agreed to and what is refused, in one piece and in many.

import { describe, expect, test } from "bun:test";
import { HEAD_BYTES_MAX, HEADERS_MAX } from "../../src/net/webSocketRequest.ts";
import {
  ACCEPT,
  type BenchOptions,
  clientFrame,
  KEY,
  request,
  WebSocketBench,
} from "../support/webSocket.ts";

type Changes = NonNullable<Parameters<typeof request>[0]>;

function fieldsOf(response: string): Map<string, string> {
  const [head = ""] = response.split("\r\n\r\n");
  const lines = head.split("\r\n").slice(1);
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
}

/** The response to `bytes`, cut at `cuts`. */
function responseTo(bytes: Buffer, options: BenchOptions = {}, ...cuts: number[]): string {
  const bench = new WebSocketBench(options);
  bench.feed(bytes, ...cuts);
  return bench.lower.bytes.toString("latin1");
}

test("RFC6455-1.3: the accept value of the specification's example", () => {
  expect(KEY).toBe("dGhlIHNhbXBsZSBub25jZQ==");
  expect(ACCEPT).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

describe("agreed to", () => {
  const rows: readonly [string, Changes, string?, BenchOptions?][] = [
    ["a plain request", {}],
    ["names and tokens in other cases", { Upgrade: "WebSocket", Connection: "keep-alive, UPGRADE" }],
    ["tokens in several fields", { Connection: ["keep-alive", "Upgrade"] }],
    ["any path where none is asked for", {}, "GET / HTTP/1.1"],
    ["the path that is asked for", {}, "GET /mqtt HTTP/1.1", { path: "/mqtt" }],
    ["a query behind the path", {}, "GET /mqtt?token=1&a=/b HTTP/1.1", { path: "/mqtt" }],
    [
      "RFC9112-3.2.2: a target in absolute form",
      {},
      "GET http://broker:9001/mqtt HTTP/1.1",
      { path: "/mqtt" },
    ],
    ["an absolute form without a path", {}, "GET http://broker:9001 HTTP/1.1", { path: "/" }],
    ["no Origin: no browser", {}, "GET / HTTP/1.1", { origins: [] }],
    [
      "an Origin that is listed",
      { Origin: "https://a.example" },
      "GET /mqtt HTTP/1.1",
      { origins: ["https://a.example"] },
    ],
    ["any Origin where all may come", { Origin: "null" }],
    ["no body, said so", { "Content-Length": "0" }],
    ["optional spaces", { Upgrade: " \t websocket \t" }],
    ["fields that nobody looks at, twice", { Cookie: ["a=1", "b=2"], "X-Long": "é".repeat(500) }],
  ];
  for (const [name, changes, line, options] of rows) {
    test(name, () => {
      const response = responseTo(request(changes, line), options);
      expect(response).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
      expect(response).toEndWith("\r\n\r\n");
      expect(Object.fromEntries(fieldsOf(response))).toEqual({
        upgrade: "websocket",
        connection: "Upgrade",
        "sec-websocket-accept": ACCEPT,
        "sec-websocket-protocol": "mqtt",
      });
    });
  }

  const offers: readonly [string, string | string[] | null, string | undefined][] = [
    ["v3.1.1 [MQTT-6.0.0-4] v5 [MQTT-6.0.0-4]: mqtt", "mqtt", "mqtt"],
    ["the old name", "mqttv3.1", "mqttv3.1"],
    ["the client's first that is known", "chat, mqttv3.1, mqtt", "mqttv3.1"],
    ["in several fields", ["chat", "mqtt"], "mqtt"],
    ["none offered, none answered", null, undefined],
  ];
  for (const [name, offered, expected] of offers) {
    test(`subprotocol, ${name}`, () => {
      const response = responseTo(request({ "Sec-WebSocket-Protocol": offered }));
      expect(response).toStartWith("HTTP/1.1 101 ");
      expect(fieldsOf(response).get("sec-websocket-protocol")).toBe(expected);
    });
  }
});

describe("refused", () => {
  const many = Object.fromEntries(Array.from({ length: HEADERS_MAX }, (_, i) => [`X-${i}`, "1"]));
  const rows: readonly [string, number, Changes, string?, BenchOptions?][] = [
    ["RFC6455-4.1: another method", 405, {}, "POST /mqtt HTTP/1.1"],
    ["HTTP/1.0", 505, {}, "GET /mqtt HTTP/1.0"],
    ["HTTP/2", 505, {}, "GET /mqtt HTTP/2.0"],
    ["a malformed version", 400, {}, "GET /mqtt HTTP/1"],
    ["two spaces in the request line", 400, {}, "GET  /mqtt HTTP/1.1"],
    ["no version", 400, {}, "GET /mqtt"],
    ["a target that is no path", 400, {}, "GET mqtt HTTP/1.1"],
    ["a fragment in the target", 400, {}, "GET /mqtt#a HTTP/1.1"],
    ["another path", 404, {}, "GET /other HTTP/1.1", { path: "/mqtt" }],
    ["RFC9110-7.2: no Host", 400, { Host: null }],
    ["two Hosts", 400, { Host: ["a", "b"] }],
    ["RFC6455-4.2.1: no Upgrade", 426, { Upgrade: null }],
    ["another Upgrade", 426, { Upgrade: "h2c" }],
    ["no Connection", 400, { Connection: null }],
    ["a Connection that does not upgrade", 400, { Connection: "keep-alive" }],
    ["no version of WebSocket", 426, { "Sec-WebSocket-Version": null }],
    ["RFC6455-4.4: another version of WebSocket", 426, { "Sec-WebSocket-Version": "8" }],
    ["two versions of WebSocket", 426, { "Sec-WebSocket-Version": ["13", "8"] }],
    ["no key", 400, { "Sec-WebSocket-Key": null }],
    ["a key that is too short", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==" }],
    ["a key that is no base64", 400, { "Sec-WebSocket-Key": "*".repeat(24) }],
    ["a key with bits behind its end", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR==" }],
    ["two keys", 400, { "Sec-WebSocket-Key": [KEY, KEY] }],
    [
      "an Origin that is not listed",
      403,
      { Origin: "https://b.example" },
      "GET /mqtt HTTP/1.1",
      { origins: ["https://a.example"] },
    ],
    [
      "an Origin that only begins like one",
      403,
      { Origin: "https://a.example.b" },
      "GET /mqtt HTTP/1.1",
      { origins: ["https://a.example"] },
    ],
    ["an opaque Origin", 403, { Origin: "null" }, "GET /mqtt HTTP/1.1", { origins: ["https://a.example"] }],
    ["two Origins", 400, { Origin: ["https://a.example", "https://b.example"] }],
    [
      "v3.1.1 [MQTT-6.0.0-3] v5 [MQTT-6.0.0-3]: subprotocols without mqtt",
      400,
      { "Sec-WebSocket-Protocol": "chat, amqp" },
    ],
    ["the subprotocol in another case", 400, { "Sec-WebSocket-Protocol": "MQTT" }],
    ["an empty list of subprotocols", 400, { "Sec-WebSocket-Protocol": "" }],
    ["a body", 400, { "Content-Length": "3" }],
    ["a body in chunks", 400, { "Transfer-Encoding": "chunked" }],
    ["two lengths", 400, { "Content-Length": ["0", "0"] }],
    ["a space before the colon", 400, { "X ": "1" }],
    ["a field on two lines", 400, { "X-Folded": "1\r\n 2" }],
    ["a bare line feed", 400, { "X-Bare": "1\nX-Other: 2" }],
    ["a bare carriage return", 400, { "X-Bare": "1\r2" }],
    ["a zero byte", 400, { "X-Zero": "1\0" }],
    ["a field without a name", 400, { "": "1" }],
    ["too many fields", 400, many],
    ["too large a head", 431, { "X-Large": "x".repeat(HEAD_BYTES_MAX) }],
  ];
  for (const [name, status, changes, line, options] of rows) {
    test(`${status}: ${name}`, () => {
      const bytes = request(changes, line);
      const bench = new WebSocketBench(options);
      bench.feed(bytes);
      const response = bench.lower.bytes.toString("latin1");
      const fields = fieldsOf(response);
      const [, body = ""] = response.split("\r\n\r\n");
      expect(response.slice(0, response.indexOf("\r\n"))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`));
      expect(fields.get("connection")).toBe(status === 426 ? "Upgrade, close" : "close");
      expect(fields.get("content-type")).toStartWith("text/plain");
      expect(fields.get("content-length")).toBe(`${body.length}`);
      expect(fields.get("sec-websocket-version")).toBe(status === 426 ? "13" : undefined);
      expect(fields.get("allow")).toBe(status === 405 ? "GET" : undefined);
      expect(body).toMatch(/^.{10,60}\n$/);
      expect(bench.lower.ended).toBe(true);
      expect(bench.uppers).toEqual([]);
      expect(bench.refusals).toEqual([[status, body.trim()]]);
      expect(bench.strangers.used).toBe(0);
      bench.layer.data(request());
      bench.layer.drain();
      bench.layer.closed();
      expect(bench.lower.bytes.toString("latin1")).toBe(response);
    });
  }

  test("400 at the first byte: what is no HTTP", () => {
    for (const first of [0x10, 0x16, 0x00, 0x0d, 0x67, 0xff]) {
      expect(responseTo(Buffer.of(first))).toStartWith("HTTP/1.1 400 ");
    }
  });

  test("503: no memory for a head that comes in parts", () => {
    const bench = new WebSocketBench({ strangersBytes: 100 });
    bench.feed(request().subarray(0, 50));
    expect(bench.lower.bytes.toString("latin1")).toStartWith("HTTP/1.1 503 ");
    expect(bench.strangers.used).toBe(0);
  });

  test("nobody takes the connection: it ends", () => {
    const bench = new WebSocketBench({ turnAway: true });
    bench.feed(request());
    expect(bench.lower.ended).toBe(true);
    bench.layer.data(clientFrame({}));
    bench.layer.drain();
    bench.layer.closed();
  });
});

describe("in parts", () => {
  const good = request();
  const bad = request({ Upgrade: "h2c" });

  test("cut at every byte", () => {
    for (const bytes of [good, bad]) {
      const whole = responseTo(bytes);
      for (let cut = 1; cut < bytes.length; cut++) expect(responseTo(bytes, {}, cut)).toBe(whole);
    }
  });

  test("byte by byte", () => {
    const cuts = Array.from({ length: good.length - 1 }, (_, i) => i + 1);
    expect(responseTo(good, {}, ...cuts)).toBe(responseTo(good));
  });

  test("a head of exactly the largest size, byte by byte and whole", () => {
    const filler = HEAD_BYTES_MAX - request({ "X-Large": "" }).length;
    for (const [extra, status] of [
      [0, 101],
      [1, 431],
    ] as const) {
      const bytes = request({ "X-Large": "x".repeat(filler + extra) });
      const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
      expect(responseTo(bytes)).toStartWith(`HTTP/1.1 ${status} `);
      expect(responseTo(bytes, {}, ...cuts)).toStartWith(`HTTP/1.1 ${status} `);
    }
  });

  test("what is held is budgeted and given back", () => {
    const bench = new WebSocketBench();
    for (const byte of good.subarray(0, -1)) bench.layer.data(Buffer.of(byte));
    expect(bench.strangers.used).toBe(256);
    bench.layer.data(good.subarray(-1));
    expect(bench.strangers.used).toBe(0);
    const lost = new WebSocketBench();
    lost.feed(good.subarray(0, 20));
    lost.layer.closed();
    expect(lost.strangers.used).toBe(0);
  });

  test("frames in the chunk of the request are taken", () => {
    const bytes = Buffer.concat([good, clientFrame({ payload: "one" }), clientFrame({ payload: "two" })]);
    for (let cut = 1; cut < bytes.length; cut++) {
      const bench = new WebSocketBench();
      bench.feed(bytes, cut);
      expect(bench.upper.bytes.toString()).toBe("onetwo");
    }
  });
});
