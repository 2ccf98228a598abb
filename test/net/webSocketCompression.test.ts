// permessage-deflate, RFC 7692: agreed on only where it is switched on, messages packed and unpacked one by one.

import { describe, expect, test } from "bun:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { UNPACKED_BYTES_PER_TURN } from "../../src/net/webSocket.ts";
import { negotiate } from "../../src/net/webSocketExtension.ts";
import {
  type BenchOptions,
  clientFrame,
  request,
  serverFrames,
  WebSocketBench,
} from "../support/webSocket.ts";

const NONE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const RSV1 = 4;
const TAIL = Buffer.of(0, 0, 0xff, 0xff);

function packed(text: string | Buffer): Buffer {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function open(options: BenchOptions = {}, offer = "permessage-deflate"): WebSocketBench {
  return WebSocketBench.open({ compression: true, ...options }, { "Sec-WebSocket-Extensions": offer });
}

describe("offers", () => {
  const rows: readonly [string, string, string | null][] = [
    ["plain", "permessage-deflate", NONE],
    ["a browser's", "permessage-deflate; client_max_window_bits", NONE],
    [
      "with takeover forbidden",
      "permessage-deflate; server_no_context_takeover ;client_no_context_takeover",
      NONE,
    ],
    ["a smaller window for the client", "permessage-deflate; client_max_window_bits=10", NONE],
    [
      "a smaller window for the broker",
      "permessage-deflate; server_max_window_bits=9",
      `${NONE}; server_max_window_bits=9`,
    ],
    [
      "a quoted value",
      'permessage-deflate; server_max_window_bits="12"',
      `${NONE}; server_max_window_bits=12`,
    ],
    ["a window that zlib does not have", "permessage-deflate; server_max_window_bits=8", null],
    [
      "that, and something to fall back on",
      "permessage-deflate; server_max_window_bits=8, permessage-deflate",
      NONE,
    ],
    ["another extension in front", 'x-other; a="b,c"; d, permessage-deflate', NONE],
    ["in two fields", "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", NONE],
    ["an unknown parameter", "permessage-deflate; level=9", null],
    ["a parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=9", null],
    ["a value where none may be", "permessage-deflate; server_no_context_takeover=1", null],
    ["no value where one must be", "permessage-deflate; server_max_window_bits", null],
    ["a window out of range", "permessage-deflate; client_max_window_bits=16", null],
    ["a leading zero", "permessage-deflate; server_max_window_bits=09", null],
    ["another extension alone", "permessage-bzip2", null],
    ["no list at all", ";;;", null],
    ["too many offers", "x, ".repeat(8) + "permessage-deflate", null],
  ];
  for (const [name, offer, response] of rows) {
    test(`RFC7692-7.1: ${name}`, () => {
      expect(negotiate(offer)?.response ?? null).toBe(response);
    });
  }

  test("the response carries what was agreed", () => {
    const bench = new WebSocketBench({ compression: true });
    bench.feed(request({ "Sec-WebSocket-Extensions": ["x-other", "permessage-deflate"] }));
    expect(bench.lower.bytes.toString()).toContain(`\r\nSec-WebSocket-Extensions: ${NONE}\r\n`);
  });

  test("off by default: nothing is agreed, and RSV1 is a fault", () => {
    const bench = new WebSocketBench();
    bench.feed(request({ "Sec-WebSocket-Extensions": "permessage-deflate" }));
    expect(bench.lower.take().toString()).not.toContain("Extensions");
    bench.feed(clientFrame({ payload: packed("hello"), rsv: RSV1 }));
    expect(bench.closeCode).toBe(1002);
  });
});

describe("from the client", () => {
  const text = "sensor/1 21.5 ".repeat(20);

  test("messages, packed and plain, in any fragments, cut at every byte", () => {
    const one = packed(text);
    const stream = Buffer.concat([
      clientFrame({ payload: "plain," }),
      clientFrame({ payload: one, rsv: RSV1 }),
      clientFrame({ payload: one.subarray(0, 5), rsv: RSV1, fin: false }),
      clientFrame({ opcode: 9, payload: "ping" }),
      clientFrame({ opcode: 0, payload: "", fin: false }),
      clientFrame({ opcode: 0, payload: one.subarray(5) }),
      clientFrame({ payload: packed("end"), rsv: RSV1, fin: false }),
      clientFrame({ opcode: 0, payload: "" }),
      clientFrame({ payload: ",plain" }),
    ]);
    for (let cut = 0; cut < stream.length; cut++) {
      const bench = open();
      bench.feed(stream, cut);
      expect(bench.upper.bytes.toString()).toBe(`plain,${text}${text}end,plain`);
      expect(bench.partial.used).toBe(0);
    }
  });

  test("RFC7692-7.2.3: the RFC's own vectors", () => {
    const vectors: readonly [string, string][] = [
      ["f248cdc9c90700", "Hello"],
      ["000500faff48656c6c6f00", "Hello"],
      ["f348cdc9c9070000", "Hello"],
      ["f24805000000ffffcac9c90700", "Hello"],
      ["00", ""],
    ];
    for (const [hex, plain] of vectors) {
      const bench = open();
      bench.feed(clientFrame({ payload: Buffer.from(hex, "hex"), rsv: RSV1 }));
      expect([bench.upper.bytes.toString(), bench.upper.cause]).toEqual([plain, null]);
    }
  });

  const faults: readonly [string, number, Buffer[], BenchOptions?][] = [
    ["RFC7692-7.2.2: no DEFLATE", 1007, [clientFrame({ payload: Buffer.alloc(6, 7), rsv: RSV1 })]],
    ["RFC7692-7.2.2: a packed text", 1003, [clientFrame({ opcode: 1, payload: packed("x"), rsv: RSV1 })]],
    [
      "RFC7692-6.1: RSV1 of a later fragment",
      1002,
      [clientFrame({ payload: packed("x"), rsv: RSV1, fin: false }), clientFrame({ opcode: 0, rsv: RSV1 })],
    ],
    ["RFC7692-6.1: RSV1 of a control frame", 1002, [clientFrame({ opcode: 9, rsv: RSV1 })]],
    ["a bomb", 1009, [clientFrame({ payload: packed(Buffer.alloc(50_000_000)), rsv: RSV1 })]],
    [
      "a message that never ends",
      1009,
      Array.from({ length: 40 }, (_, i) =>
        clientFrame({
          opcode: i === 0 ? 2 : 0,
          rsv: i === 0 ? RSV1 : 0,
          fin: false,
          payload: Buffer.alloc(2000),
        }),
      ),
    ],
    [
      "no memory to collect it in",
      1013,
      [clientFrame({ payload: packed(Buffer.from(text)), rsv: RSV1, fin: false })],
      { partialBytes: 20 },
    ],
  ];
  for (const [name, code, list, options] of faults) {
    test(`${code}: ${name}`, () => {
      const bench = open(options);
      bench.feed(
        Buffer.concat([clientFrame({ payload: "first" }), ...list, clientFrame({ payload: "behind" })]),
      );
      expect([bench.upper.bytes.toString(), bench.closeCode]).toEqual(["first", code]);
      expect([bench.lower.ended, bench.partial.used]).toEqual([true, 0]);
      expect(bench.upper.cause?.cause).toBe("websocket");
    });
  }

  test("what is collected goes with the socket", () => {
    const bench = open();
    bench.feed(clientFrame({ payload: packed(text), rsv: RSV1, fin: false }));
    expect(bench.partial.used).toBeGreaterThan(0);
    bench.layer.closed();
    expect(bench.partial.used).toBe(0);
  });

  test("what comes before CONNECT is the strangers' budget, to its message's end", () => {
    const bench = open();
    const message = packed(text);
    bench.upper.session = null;
    bench.feed(clientFrame({ payload: message.subarray(0, 5), rsv: RSV1, fin: false }));
    expect([bench.strangers.used > 0, bench.partial.used]).toEqual([true, 0]);
    bench.upper.session = {};
    bench.feed(clientFrame({ opcode: 0, payload: message.subarray(5, 9), fin: false }));
    expect([bench.strangers.used > 0, bench.partial.used]).toEqual([true, 0]);
    bench.feed(clientFrame({ opcode: 0, payload: message.subarray(9) }));
    expect([bench.strangers.used, bench.upper.bytes.toString()]).toEqual([0, text]);
  });

  describe("little that unpacks to much", () => {
    const half = Buffer.alloc(UNPACKED_BYTES_PER_TURN / 2, "zero ");
    const options = { messageBytesMax: half.length };
    const frames = (count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, () => clientFrame({ payload: packed(half), rsv: RSV1 })));

    function next(bench: WebSocketBench): void {
      const turns = bench.turns.splice(0);
      expect(turns.length).toBe(1);
      turns[0]!();
    }

    test("is taken in turns, and the socket is not read between them", () => {
      const bench = open(options);
      bench.feed(Buffer.concat([frames(5), clientFrame({ payload: "end" })]));
      expect([bench.upper.parts.length, bench.lower.isPaused]).toEqual([2, true]);
      expect(bench.partial.used).toBeGreaterThan(0);
      next(bench);
      expect([bench.upper.parts.length, bench.lower.isPaused]).toEqual([4, true]);
      next(bench);
      expect([bench.upper.parts.length, bench.lower.isPaused]).toEqual([6, false]);
      expect(
        bench.upper.bytes.equals(Buffer.concat([half, half, half, half, half, Buffer.from("end")])),
      ).toBe(true);
      expect([bench.partial.used, bench.turns.length]).toEqual([0, 0]);
    });

    test("stays in order with a chunk that comes meanwhile", () => {
      const bench = open(options);
      const stream = Buffer.concat([frames(4), clientFrame({ payload: "last" })]);
      bench.feed(stream, stream.length - 7);
      while (bench.turns.length > 0) next(bench);
      expect(bench.upper.bytes.equals(Buffer.concat([half, half, half, half, Buffer.from("last")]))).toBe(
        true,
      );
      expect(bench.partial.used).toBe(0);
    });

    test("waits while the connection wants nothing", () => {
      const bench = open(options);
      bench.upper.onData = () => bench.layer.pause();
      bench.feed(frames(3));
      for (const count of [1, 2]) {
        expect([bench.upper.parts.length, bench.turns.length]).toEqual([count, 0]);
        bench.layer.resume();
        expect(bench.lower.isPaused).toBe(true);
        next(bench);
      }
      expect([bench.upper.parts.length, bench.partial.used]).toEqual([3, 0]);
      bench.layer.resume();
      expect([bench.lower.isPaused, bench.turns.length]).toEqual([false, 0]);
    });

    test("goes with the socket, and with the connection", () => {
      for (const end of [
        (bench: WebSocketBench) => bench.layer.closed(),
        (bench: WebSocketBench) => bench.layer.end(),
      ]) {
        const bench = open(options);
        bench.feed(frames(4));
        end(bench);
        next(bench);
        expect([bench.upper.parts.length, bench.partial.used]).toEqual([2, 0]);
      }
    });

    test("has to find room", () => {
      const bench = open({ ...options, partialBytes: frames(2).length });
      bench.feed(frames(6));
      expect([bench.closeCode, bench.upper.cause?.cause, bench.partial.used]).toEqual([1013, "websocket", 0]);
    });
  });

  test("the connection ends within a message", () => {
    const bench = open();
    bench.upper.onData = () => bench.layer.end();
    bench.feed(
      Buffer.concat([clientFrame({ payload: packed(text), rsv: RSV1 }), clientFrame({ opcode: 1 })]),
    );
    expect(bench.closeCode).toBe(1000);
  });
});

describe("to the client", () => {
  function unpacked(bytes: Buffer, windowBits = 15): Buffer {
    const { frames, rest } = serverFrames(bytes);
    expect(rest.length).toBe(0);
    const parts = frames.map(({ rsv, payload }) =>
      rsv === 0
        ? payload
        : inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH, windowBits }),
    );
    return Buffer.concat(parts);
  }

  const noise = Buffer.from(
    Array.from({ length: 40_000 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255),
  );
  const even = Buffer.alloc(100_000, "current ");

  test("what shrinks is packed, the rest goes as it is", () => {
    for (const [bytes, offer, windowBits] of [
      [even, "permessage-deflate", 15],
      [even, "permessage-deflate; server_max_window_bits=9", 9],
      [noise, "permessage-deflate", 15],
      [even.subarray(0, 20), "permessage-deflate", 15],
    ] as const) {
      const bench = open({}, offer);
      expect(bench.layer.write(bytes, 0, bytes.length)).toBe(bytes.length);
      const wire = bench.lower.bytes;
      expect(unpacked(wire, windowBits).equals(bytes)).toBe(true);
      expect(wire.length < bytes.length / 10).toBe(bytes.length === even.length);
    }
  });

  test("into a socket that takes a part, at every byte", () => {
    const bytes = Buffer.concat([even.subarray(0, 1000), noise.subarray(0, 200)]);
    const all = open();
    all.layer.write(bytes, 0, bytes.length);
    for (let room = 0; room < all.lower.bytes.length; room++) {
      const bench = open();
      bench.lower.room = room;
      const accepted = bench.layer.write(bytes, 0, bytes.length);
      bench.lower.room = Number.POSITIVE_INFINITY;
      bench.layer.drain();
      expect(unpacked(bench.lower.bytes).equals(bytes.subarray(0, accepted))).toBe(true);
      expect(bench.residue.used).toBe(0);
    }
  });
});
