// Frames from a client, RFC 6455 §5: each rule whole and cut at every byte, and seeded streams against a decoder
// written down as plainly as the RFC puts it.

import { describe, expect, test } from "bun:test";
import { FrameDecoder, FrameEvent } from "../../src/net/webSocketDecoder.ts";
import { turned, unmask, wordsOf } from "../../src/net/webSocketMask.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";
import { objectsMade } from "../support/objects.ts";
import { type ClientFrame, clientFrame, copy, serverFrames, WebSocketBench } from "../support/webSocket.ts";

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

function frames(...list: readonly ClientFrame[]): Buffer {
  return Buffer.concat(list.map(clientFrame));
}

/** A close frame's payload. */
function closing(code: number, reason: string | Uint8Array = ""): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(reason)]);
}

/** What the connection got, and how it ended, for `bytes` cut at `cuts`. */
function outcome(bytes: Buffer, ...cuts: readonly number[]) {
  const bench = WebSocketBench.open();
  bench.feed(bytes, ...cuts);
  const { frames: sent, rest } = serverFrames(bench.lower.bytes);
  return {
    payload: bench.upper.bytes.toString("latin1"),
    pongs: sent.filter(({ opcode }) => opcode === PONG).map(({ payload }) => payload.toString("latin1")),
    code: bench.closeCode,
    statement: bench.upper.cause?.statement,
    ended: bench.lower.ended,
    rest: rest.length,
  };
}

const filler = "abcdefghijklmnopqrstuvwxyz".repeat(6);

describe("accepted", () => {
  const rows: readonly [string, Buffer, string][] = [
    ["RFC6455-5.6: a binary frame", frames({ payload: "hello" }), "hello"],
    [
      "RFC6455-5.2: 125, 126 and 65,535 bytes",
      frames(...[125, 126, 300].map((n) => ({ payload: filler.repeat(2).slice(0, n) }))),
      [125, 126, 300].map((n) => filler.repeat(2).slice(0, n)).join(""),
    ],
    [
      "v3.1.1 [MQTT-6.0.0-2] v5 [MQTT-6.0.0-2]: many frames are one stream",
      frames({ payload: "a" }, { payload: "bc" }, { payload: "" }, { payload: "def" }),
      "abcdef",
    ],
    [
      "RFC6455-5.4: a fragmented message",
      frames(
        { payload: "one", fin: false },
        { opcode: CONTINUATION, payload: "two", fin: false },
        { opcode: CONTINUATION, payload: "three" },
      ),
      "onetwothree",
    ],
    [
      "fragments of nothing",
      frames(
        { fin: false },
        { opcode: CONTINUATION, fin: false },
        { opcode: CONTINUATION, payload: "x" },
        { payload: "y" },
      ),
      "xy",
    ],
    [
      "RFC6455-5.4: control frames between fragments",
      frames(
        { payload: "one", fin: false },
        { opcode: PONG, payload: "p" },
        { opcode: CONTINUATION, payload: "two" },
      ),
      "onetwo",
    ],
    [
      "RFC6455-5.5.3: pongs that nobody asked for",
      frames({ opcode: PONG }, { payload: "x" }, { opcode: PONG, payload: filler.slice(0, 125) }),
      "x",
    ],
    [
      "RFC6455-5.3: a key of zeros",
      frames({ payload: filler, key: [0, 0, 0, 0] }, { payload: "x", key: [0, 0, 0, 0] }),
      `${filler}x`,
    ],
    ["keys with high bits", frames({ payload: filler, key: [0xff, 0x80, 0x00, 0xfe] }), filler],
  ];
  for (const [name, bytes, payload] of rows) {
    test(name, () => {
      const expected = { payload, pongs: [], code: undefined, statement: undefined, ended: false, rest: 0 };
      expect(outcome(bytes)).toEqual(expected);
      for (let cut = 1; cut < bytes.length; cut++) expect(outcome(bytes, cut)).toEqual(expected);
    });
  }

  test("RFC6455-5.2: lengths around those of each form", () => {
    for (const length of [0, 1, 31, 32, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000]) {
      const payload = Buffer.alloc(length, filler);
      const bytes = frames({ payload }, { payload: "end" });
      for (const cut of [1, 2, 3, 9, 13, 14, 15, 16, 17, bytes.length - 1]) {
        expect(outcome(bytes, Math.min(cut, bytes.length - 1)).payload).toBe(`${payload.toString()}end`);
      }
    }
  });

  test("small frames of one chunk go up in one piece, unmasked where they lay", () => {
    const bench = WebSocketBench.open();
    const bytes = copy(frames(...Array.from({ length: 1000 }, (_, i) => ({ payload: `message ${i},` }))));
    bench.layer.data(bytes);
    expect(bench.upper.parts.length).toBe(1);
    expect(bench.upper.bytes.toString()).toBe(
      Array.from({ length: 1000 }, (_, i) => `message ${i},`).join(""),
    );
  });
});

describe("refused", () => {
  const long = filler.slice(0, 126);
  const rows: readonly [string, number, Buffer][] = [
    [
      "v3.1.1 [MQTT-6.0.0-1] v5 [MQTT-6.0.0-1]: a text frame",
      1003,
      frames({ opcode: TEXT, payload: "text" }),
    ],
    ["MQTT-6.0.0-1: an empty text frame", 1003, frames({ opcode: TEXT })],
    ["RFC6455-5.1: a frame without a mask", 1002, frames({ payload: "x", key: null })],
    ["RFC6455-5.1: a ping without a mask", 1002, frames({ opcode: PING, key: null })],
    ["RFC6455-5.2: RSV1", 1002, frames({ payload: "x", rsv: 4 })],
    ["RFC6455-5.2: RSV2", 1002, frames({ payload: "x", rsv: 2 })],
    ["RFC6455-5.2: RSV3", 1002, frames({ payload: "x", rsv: 1 })],
    ["RFC6455-5.2: RSV1 of a control frame", 1002, frames({ opcode: PING, rsv: 4 })],
    ["RFC6455-5.2: RSV1 of a continuation", 1002, frames({ fin: false }, { opcode: CONTINUATION, rsv: 4 })],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, Buffer] => [
      `RFC6455-5.2: opcode ${opcode}`,
      1002,
      frames({ opcode, payload: "x" }),
    ]),
    [
      "RFC6455-5.2: a short length in two bytes",
      1002,
      frames({ payload: filler.slice(0, 125), lengthBytes: 2 }),
    ],
    ["RFC6455-5.2: a short length in eight bytes", 1002, frames({ payload: filler, lengthBytes: 8 })],
    [
      "RFC6455-10.4: the highest bit of a length",
      1009,
      frames({ payload: "x", lengthBytes: 8, saidLength: 2n ** 63n }),
    ],
    ["RFC6455-10.4: 4 GiB", 1009, frames({ payload: "x", lengthBytes: 8, saidLength: 2n ** 32n })],
    ["RFC6455-5.4: a continuation of nothing", 1002, frames({ opcode: CONTINUATION, payload: "x" })],
    [
      "RFC6455-5.4: a continuation behind a whole message",
      1002,
      frames({ payload: "" }, { opcode: CONTINUATION }),
    ],
    ["RFC6455-5.4: a message within a message", 1002, frames({ fin: false }, { payload: "x" })],
    ["RFC6455-5.5: a ping in fragments", 1002, frames({ opcode: PING, fin: false })],
    ["RFC6455-5.5: a ping of 126 bytes", 1002, frames({ opcode: PING, payload: long })],
    ["RFC6455-5.5: a pong of 126 bytes", 1002, frames({ opcode: PONG, payload: long })],
    [
      "RFC6455-5.5: a close of 126 bytes",
      1002,
      frames({ opcode: CLOSE, payload: closing(1000, long.slice(2)) }),
    ],
    ["RFC6455-5.5.1: a close of one byte", 1002, frames({ opcode: CLOSE, payload: "x" })],
    [
      "RFC6455-5.5.1: a reason that is not UTF-8",
      1007,
      frames({ opcode: CLOSE, payload: closing(1000, Buffer.of(0xc0, 0x80)) }),
    ],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, number, Buffer] => [
      `RFC6455-7.4: close code ${code}`,
      1002,
      frames({ opcode: CLOSE, payload: closing(code) }),
    ]),
  ];
  for (const [name, code, wrong] of rows) {
    test(`${code}: ${name}`, () => {
      // What came before is delivered, what comes behind is not.
      const first = frames({ payload: "first" });
      const bytes = Buffer.concat([first, wrong, frames({ payload: "behind" })]);
      const whole = outcome(bytes);
      expect(whole).toEqual({
        payload: "first",
        pongs: [],
        code,
        statement: whole.statement,
        ended: true,
        rest: 0,
      });
      expect(name).toContain(whole.statement ?? "a statement");
      for (let cut = 1; cut < bytes.length; cut++) expect(outcome(bytes, cut)).toEqual(whole);
    });
  }
});

describe("close", () => {
  const rows: readonly [string, Buffer, number][] = [
    ["without a code", Buffer.alloc(0), 0],
    ["normal", closing(1000), 1000],
    ["going away, with a reason", closing(1001, "tab closed"), 1001],
    ["the longest reason", closing(1003, "é".repeat(61)), 1003],
    ["a reason with a zero byte", closing(1000, "a\0b"), 1000],
    ...[1007, 1014, 3000, 4999].map((code): [string, Buffer, number] => [
      `code ${code}`,
      closing(code),
      code,
    ]),
  ];
  for (const [name, payload, code] of rows) {
    test(`RFC6455-5.5.1: ${name}: the code comes back, the connection is told`, () => {
      const bytes = frames({ payload: "first" }, { opcode: CLOSE, payload }, { payload: "behind" });
      for (let cut = 0; cut < bytes.length; cut++) {
        const bench = WebSocketBench.open();
        bench.feed(bytes, cut);
        expect(bench.upper.bytes.toString()).toBe("first");
        expect(bench.closeCode).toBe(code);
        expect(bench.lower.ended).toBe(true);
        expect([bench.upper.closedTold, bench.upper.cause]).toEqual([1, null]);
        bench.layer.closed();
        expect(bench.upper.closedTold).toBe(1);
        expect(bench.layer.write(Buffer.from("x"), 0, 1)).toBeLessThan(0);
      }
    });
  }

  test("the connection ends: one close frame, 1000, and nothing is taken or written after it", () => {
    const bench = WebSocketBench.open();
    bench.layer.end();
    bench.layer.end();
    bench.feed(frames({ payload: "late" }, { opcode: PING }));
    expect(bench.closeCode).toBe(1000);
    expect(serverFrames(bench.lower.bytes).frames.length).toBe(1);
    expect(bench.upper.parts).toEqual([]);
    expect(bench.layer.write(Buffer.from("x"), 0, 1)).toBeLessThan(0);
    bench.layer.drain();
    expect(bench.upper.drains).toBe(0);
    bench.layer.closed();
    expect(bench.upper.closedTold).toBe(1);
  });

  test("the connection ends on what it reads: the chunk's rest is not looked at", () => {
    const bench = WebSocketBench.open();
    bench.upper.onData = () => bench.layer.end();
    bench.feed(frames({ payload: "bye" }, { opcode: TEXT }));
    expect(bench.closeCode).toBe(1000);
    expect(bench.upper.cause).toBe(null);
  });

  test("a socket that closes within end(): the connection is told once, and why", () => {
    for (const [bytes, statement] of [
      [frames({ opcode: CLOSE }), undefined],
      [frames({ opcode: TEXT }), "MQTT-6.0.0-1"],
    ] as const) {
      const bench = WebSocketBench.open();
      bench.lower.onEnd = () => bench.layer.closed();
      bench.feed(bytes);
      expect(bench.upper.closedTold).toBe(1);
      expect(bench.upper.cause?.statement).toBe(statement);
    }
  });

  test("the socket goes: the connection is told once", () => {
    const bench = WebSocketBench.open();
    bench.layer.closed();
    expect(bench.upper.closedTold).toBe(1);
    expect(bench.layer.write(Buffer.from("x"), 0, 1)).toBeLessThan(0);
  });
});

describe("ping", () => {
  for (const length of [0, 1, 4, 124, 125]) {
    test(`RFC6455-5.5.3: ${length} bytes come back`, () => {
      const payload = filler.slice(0, length);
      const bytes = frames({ payload: "a" }, { opcode: PING, payload }, { payload: "b" });
      for (let cut = 0; cut < bytes.length; cut++) {
        const seen = outcome(bytes, cut);
        expect([seen.payload, seen.pongs, seen.ended]).toEqual(["ab", [payload], false]);
      }
    });
  }

  test("RFC6455-5.5.3: of a chunk's pings the last is answered", () => {
    const pings = Array.from({ length: 500 }, (_, i) => ({ opcode: PING, payload: `${i}` }));
    expect(outcome(frames(...pings)).pongs).toEqual(["499"]);
  });

  test("within a message", () => {
    const bytes = frames(
      { payload: "one", fin: false },
      { opcode: PING, payload: "p" },
      { opcode: CONTINUATION, payload: "two" },
    );
    expect([outcome(bytes).payload, outcome(bytes).pongs]).toEqual(["onetwo", ["p"]]);
  });

  test("in front of a close the ping needs no answer", () => {
    const seen = outcome(frames({ opcode: PING, payload: "p" }, { opcode: CLOSE, payload: closing(1000) }));
    expect([seen.pongs, seen.code]).toEqual([[], 1000]);
  });
});

test("pausing goes through", () => {
  const bench = WebSocketBench.open();
  bench.layer.pause();
  expect(bench.lower.isPaused).toBe(true);
  bench.layer.resume();
  expect(bench.lower.isPaused).toBe(false);
});

// ---- masks

test("unmask and move: every alignment, length and distance", () => {
  withSeed(1, (random) => {
    for (let round = 0; round < 4000; round++) {
      const offset = random.below(9);
      const memory = Buffer.from(Array.from({ length: 400 }, () => random.below(256)));
      const bytes = Buffer.from(copy(memory).buffer as ArrayBuffer, offset, 380);
      const from = random.below(100);
      const to = random.chance(0.3) ? from : random.below(from + 1);
      const length = random.chance(0.5) ? random.below(70) : random.below(250);
      const key = [1, 2, 3, 4].map(() => random.below(random.chance(0.5) ? 256 : 2));
      const expected = Buffer.from(bytes);
      for (let i = 0; i < length; i++) expected[to + i] = bytes[from + i]! ^ key[i % 4]!;
      const before = Buffer.from(bytes);
      unmask(bytes, wordsOf(bytes), from, to, length, Buffer.from(key).readInt32LE());
      expect(bytes.subarray(to, to + length).equals(expected.subarray(to, to + length))).toBe(true);
      // Between the two ranges the old bytes may be left or unmasked; everything else stays.
      expect(bytes.subarray(0, to).equals(before.subarray(0, to))).toBe(true);
      if (to + length < from) {
        const gap = [to + length, from] as const;
        expect(bytes.subarray(...gap).equals(before.subarray(...gap))).toBe(true);
      }
      const end = from + length;
      expect(bytes.subarray(end).equals(before.subarray(end))).toBe(true);
    }
  });
});

test("a key turned by any count", () => {
  const key = Buffer.of(0xf1, 2, 3, 0x84).readInt32LE();
  for (const count of [0, 1, 2, 3, 4, 5, 70_001]) {
    const expected = [0xf1, 2, 3, 0x84].map((_, i, all) => all[(i + count) % 4]!);
    expect(turned(key, count) | 0).toBe(Buffer.from(expected).readInt32LE());
  }
});

// ---- against a plain decoder

interface Plain {
  payload: Buffer;
  pings: number;
  end: "open" | "close" | "fault";
}

/** Reads a whole stream of client frames without caring for chunks, memory or speed. */
function plainly(bytes: Buffer): Plain {
  const parts: Buffer[] = [];
  let pings = 0;
  let isOpenMessage = false;
  let at = 0;
  const done = (end: Plain["end"]): Plain => ({ payload: Buffer.concat(parts), pings, end });
  for (;;) {
    if (bytes.length - at < 2) return done("open");
    const [first = 0, second = 0] = bytes.subarray(at, at + 2);
    if (second < 128) return done("fault");
    const short = second & 127;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const head = 2 + lengthBytes + 4;
    if (bytes.length - at < head) return done("open");
    let length = BigInt(short);
    if (lengthBytes > 0) length = BigInt(`0x${bytes.toString("hex", at + 2, at + 2 + lengthBytes)}`);
    if (lengthBytes === 2 && length < 126n) return done("fault");
    if (lengthBytes === 8 && (length < 65_536n || length >= 2n ** 32n)) return done("fault");
    const opcode = first & 15;
    const isFinal = first >= 128;
    if ((first & 0x70) !== 0) return done("fault");
    if (opcode >= 8) {
      if (opcode > 10 || !isFinal || length > 125n) return done("fault");
    } else if (opcode > 2 || opcode === 1) return done("fault");
    else if ((opcode === 0) !== isOpenMessage) return done("fault");
    const key = bytes.subarray(at + head - 4, at + head);
    const end = Math.min(bytes.length, at + head + Number(length));
    const payload = Buffer.from(bytes.subarray(at + head, end).map((byte, i) => byte ^ key[i % 4]!));
    if (opcode < 8) {
      parts.push(payload);
      isOpenMessage = !isFinal;
    }
    if (end < at + head + Number(length)) return done("open");
    at = end;
    if (opcode === 9) pings++;
    if (opcode === 8) return done(isClose(payload) ? "close" : "fault");
  }
}

function isClose(payload: Buffer): boolean {
  if (payload.length === 0) return true;
  if (payload.length === 1) return false;
  const code = payload.readUInt16BE(0);
  const known = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  if (!known.includes(code) && (code < 3000 || code > 4999)) return false;
  return Buffer.from(payload.subarray(2).toString()).equals(payload.subarray(2));
}

function randomStream(random: Random): Buffer {
  const list: Buffer[] = [];
  let isOpenMessage = false;
  const count = random.between(1, 60);
  for (let i = 0; i < count; i++) {
    const length = random.pick([0, 1, 3, 20, 60, 125, 126, 300, 2000]);
    const payload = Buffer.from(Array.from({ length: random.between(0, length) }, () => random.below(256)));
    const key = [0, 0, 0, 0].map(() => random.below(256)) as unknown as [number, number, number, number];
    if (random.chance(0.1)) {
      list.push(clientFrame({ opcode: random.pick([PING, PONG]), payload: payload.subarray(0, 125), key }));
      continue;
    }
    const fin = random.chance(0.7);
    list.push(clientFrame({ opcode: isOpenMessage ? CONTINUATION : BINARY, payload, fin, key }));
    isOpenMessage = !fin;
  }
  if (random.chance(0.2))
    list.push(clientFrame({ opcode: CLOSE, payload: closing(random.between(990, 1020), "why") }));
  const stream = Buffer.concat(list);
  const mutations = random.chance(0.4) ? random.between(1, 3) : 0;
  for (let i = 0; i < mutations && stream.length > 0; i++)
    stream[random.below(stream.length)]! ^= 1 << random.below(8);
  return stream;
}

describe("seeded streams equal a plain decoder", () => {
  for (const seed of seeds(11, 12, 13, 14)) {
    test(`seed ${seed}`, () => {
      withSeed(seed, (random) => {
        for (let round = 0; round < 250; round++) {
          const stream = randomStream(random);
          const expected = plainly(stream);
          const bench = WebSocketBench.open();
          const most = random.pick([1, 7, 100, 5000]);
          let at = 0;
          while (at < stream.length) {
            const end = Math.min(stream.length, at + random.between(1, most));
            const chunk = random.chance(0.5)
              ? copy(stream.subarray(at, end))
              : Buffer.from(stream.subarray(at, end));
            bench.layer.data(chunk);
            at = end;
          }
          const { upper } = bench;
          expect(upper.bytes.equals(expected.payload)).toBe(true);
          const end = upper.cause !== null ? "fault" : upper.closedTold > 0 ? "close" : "open";
          expect(end).toBe(expected.end);
          const pongs = serverFrames(bench.lower.bytes).frames.filter(({ opcode }) => opcode === PONG);
          expect(pongs.length).toBeLessThanOrEqual(expected.pings);
          if (expected.pings > 0 && expected.end === "open") expect(pongs.length).toBeGreaterThan(0);
        }
      });
    });
  }
});

// ---- allocation

test("frames cost no objects", () => {
  const decoder = new FrameDecoder(false);
  const stream = frames(...Array.from({ length: 1000 }, () => ({ payload: filler.slice(0, 80) })));
  const chunk = copy(stream);
  const work = (): void => {
    for (let turn = 0; turn < 10; turn++) {
      stream.copy(chunk);
      decoder.begin(chunk);
      if (decoder.next() !== FrameEvent.More || decoder.to - decoder.from !== 80_000) throw new Error("lost");
      decoder.end();
    }
  };
  for (let warm = 0; warm < 20; warm++) work();
  objectsMade(() => {});
  const idle = objectsMade(() => {});
  // A view of the words for each of ten chunks of 1,000 frames, with its ArrayBuffer where there was none.
  expect(objectsMade(work) - idle).toBeLessThanOrEqual(30);
});
