// Frames to a client: whatever a socket takes of a write, the client reads the bytes that were accepted, in whole
// messages, and control frames stand between frames.

import { describe, expect, test } from "bun:test";
import { FRAME_BYTES, FRAME_BYTES_SHORT, FrameEncoder } from "../../src/net/webSocketEncoder.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";
import { objectsMade } from "../support/objects.ts";
import { clientFrame, LowerSocket, serverFrames, WebSocketBench } from "../support/webSocket.ts";

const PING = clientFrame({ opcode: 9, payload: "ping" });

function bytesOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255));
}

const log = bytesOf(1_000_000);

describe("a write", () => {
  for (const length of [
    1,
    125,
    126,
    127,
    FRAME_BYTES - 1,
    FRAME_BYTES,
    FRAME_BYTES + 1,
    3 * FRAME_BYTES,
    400_000,
  ]) {
    test(`of ${length} bytes ends at a frame's end, in frames of at most ${FRAME_BYTES} bytes`, () => {
      for (const at of [0, 1, 4095, 4096, 70_001]) {
        const bench = WebSocketBench.open();
        expect(bench.layer.write(log, at, length)).toBe(length);
        const { frames, rest } = serverFrames(bench.lower.bytes);
        expect(rest.length).toBe(0);
        expect(frames.length).toBe(Math.ceil(length / FRAME_BYTES));
        expect(
          frames.every(
            ({ opcode, rsv, payload }) => opcode === 2 && rsv === 0 && payload.length <= FRAME_BYTES,
          ),
        ).toBe(true);
        const payload = Buffer.concat(frames.map((frame) => frame.payload));
        expect(payload.equals(log.subarray(at, at + length))).toBe(true);
      }
    });
  }

  test("is one write of the socket for many frames", () => {
    const bench = WebSocketBench.open();
    bench.lower.writes = 0;
    bench.layer.write(log, 0, 8 * FRAME_BYTES);
    expect(bench.lower.writes).toBe(1);
  });

  test("takes plain Uint8Arrays and views", () => {
    const bench = WebSocketBench.open();
    const view = new Uint8Array(log.buffer, log.byteOffset + 100, 5000);
    expect(bench.layer.write(view, 10, 4000)).toBe(4000);
    const { frames } = serverFrames(bench.lower.bytes);
    expect(Buffer.concat(frames.map(({ payload }) => payload)).equals(log.subarray(110, 4110))).toBe(true);
  });

  test("into a full socket takes nothing; into one that is gone, less", () => {
    const bench = WebSocketBench.open();
    bench.lower.room = 0;
    expect(bench.layer.write(log, 0, 1000)).toBe(0);
    bench.lower.room = 2000;
    expect(bench.layer.write(log, 0, 1000)).toBe(1000);
    bench.lower.ended = true;
    expect(bench.layer.write(log, 0, 1000)).toBeLessThan(0);
  });
});

describe("a socket that takes a part", () => {
  const length = 3 * FRAME_BYTES + 50;
  const wire = length + 3 * 4 + 2;

  test("at every position: the begun frame is accepted whole, what is behind it is not", () => {
    const positions = new Set<number>();
    for (let frame = 0; frame <= 3; frame++) {
      for (let near = -8; near <= 8; near++) positions.add(frame * (FRAME_BYTES + 4) + near);
      positions.add(frame * (FRAME_BYTES + 4) + 5000);
    }
    for (const room of positions) {
      if (room < 0 || room > wire) continue;
      const bench = WebSocketBench.open();
      bench.lower.room = room;
      const accepted = bench.layer.write(log, 0, length);
      expect(accepted).toBe(Math.min(length, Math.ceil(room / (FRAME_BYTES + 4)) * FRAME_BYTES));
      const kept = bench.residue.used;
      expect(kept).toBeLessThan(FRAME_BYTES + 4);
      expect(kept > 0).toBe(room % (FRAME_BYTES + 4) !== 0 && room < wire);
      if (kept > 0) expect(bench.layer.write(log, accepted, 10)).toBe(0);
      bench.lower.room = Number.POSITIVE_INFINITY;
      bench.layer.drain();
      expect([bench.residue.used, bench.upper.drains]).toEqual([0, 1]);
      const { frames, rest } = serverFrames(bench.lower.bytes);
      expect(rest.length).toBe(0);
      const payload = Buffer.concat(frames.map((frame) => frame.payload));
      expect(payload.equals(log.subarray(0, accepted))).toBe(true);
    }
  });

  test("drain() is not passed on before the rest has left", () => {
    const bench = WebSocketBench.open();
    bench.lower.room = 10;
    expect(bench.layer.write(log, 0, 100)).toBe(100);
    bench.layer.drain();
    bench.lower.room = 91;
    bench.layer.drain();
    expect(bench.upper.drains).toBe(0);
    bench.lower.room = 1;
    bench.layer.drain();
    expect(bench.upper.drains).toBe(1);
  });

  test("no memory for the rest: the connection ends, and why", async () => {
    const bench = WebSocketBench.open({ residueBytes: 50 });
    bench.lower.room = 10;
    bench.layer.write(log, 0, 100);
    expect([bench.upper.cause, bench.lower.ended]).toEqual([null, false]); // not within the write
    bench.feed(PING);
    bench.layer.drain();
    expect(bench.layer.write(log, 0, 100)).toBe(0);
    await Promise.resolve();
    expect(bench.upper.cause?.cause).toBe("no_memory");
    expect([bench.lower.ended, bench.lower.bytes.length, bench.residue.used]).toEqual([true, 10, 0]);
  });

  test("who makes no progress gives way to others", async () => {
    const bench = WebSocketBench.open({ residueBytes: 1_000 });
    bench.lower.room = 10;
    bench.layer.write(log, 0, 100);
    expect(bench.residue.used).toBe(92);
    bench.nowMs += 1_000;
    expect(bench.residue.take(990)).toBe(true);
    expect(bench.layer.write(log, 0, 100)).toBe(0);
    bench.lower.room = 1_000;
    bench.layer.drain();
    bench.residues.closeAbandoned();
    expect(bench.upper.cause?.cause).toBe("no_memory");
    expect([bench.lower.ended, bench.lower.bytes.length, bench.residue.used]).toEqual([true, 10, 990]);
  });

  test("frames become short while little of the memory for rests is left", () => {
    const bench = WebSocketBench.open();
    bench.residue.take(bench.residue.bytesMax - 100_000);
    const used = bench.residue.used;
    bench.lower.room = 10_000;
    const accepted = bench.layer.write(log, 0, 100_000);
    expect(accepted).toBeLessThanOrEqual(10_000);
    expect(bench.residue.used - used).toBeLessThan(FRAME_BYTES_SHORT);
    bench.lower.room = Number.POSITIVE_INFINITY;
    bench.layer.drain();
    const { frames } = serverFrames(bench.lower.bytes);
    expect(Buffer.concat(frames.map(({ payload }) => payload)).equals(log.subarray(0, accepted))).toBe(true);
  });

  test("the rest is given up with the socket, and with the connection", () => {
    for (const end of ["end", "closed"] as const) {
      const bench = WebSocketBench.open();
      bench.lower.room = 10;
      bench.layer.write(log, 0, 100);
      bench.layer[end]();
      expect(bench.residue.used).toBe(0);
      // A close frame has no place within the cut one.
      expect(bench.lower.bytes.length).toBe(10);
    }
  });

  test("a response that is taken in parts", () => {
    const whole = new WebSocketBench();
    const request =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    whole.feed(Buffer.from(request));
    const bench = new WebSocketBench();
    bench.lower.room = 20;
    bench.feed(Buffer.from(request));
    expect(bench.layer.write(log, 0, 10)).toBe(0);
    bench.lower.room = Number.POSITIVE_INFINITY;
    bench.layer.drain();
    expect(bench.layer.write(log, 0, 10)).toBe(10);
    const response = whole.lower.bytes.toString("latin1");
    expect(bench.lower.bytes.toString("latin1")).toStartWith(response);
    expect(bench.lower.bytes.length).toBe(response.length + 12);
  });
});

describe("a pong", () => {
  test("waits for the rest of a cut frame; of several only the last is kept", () => {
    const bench = WebSocketBench.open();
    bench.lower.room = 10;
    bench.layer.write(log, 0, 100);
    for (let i = 0; i < 50; i++) bench.feed(clientFrame({ opcode: 9, payload: `ping ${i}` }));
    bench.lower.room = Number.POSITIVE_INFINITY;
    bench.layer.drain();
    const { frames } = serverFrames(bench.lower.bytes);
    expect(frames.map(({ opcode }) => opcode)).toEqual([2, 10]);
    expect(frames[1]!.payload.toString()).toBe("ping 49");
  });

  test("that is cut is a rest like any other", () => {
    const bench = WebSocketBench.open();
    bench.lower.room = 3;
    bench.feed(PING);
    expect(bench.layer.write(log, 0, 5)).toBe(0);
    bench.feed(PING);
    bench.lower.room = 5;
    bench.layer.drain();
    expect(bench.upper.drains).toBe(0);
    bench.lower.room = Number.POSITIVE_INFINITY;
    bench.layer.drain();
    expect(bench.upper.drains).toBe(1);
    const { frames, rest } = serverFrames(bench.lower.bytes);
    expect([frames.map(({ payload }) => payload.toString()), rest.length]).toEqual([["ping", "ping"], 0]);
  });

  test("without memory for its rest ends the connection", async () => {
    const bench = WebSocketBench.open({ residueBytes: 2 });
    bench.lower.room = 1;
    bench.feed(PING);
    await Promise.resolve();
    expect(bench.upper.cause?.cause).toBe("no_memory");
    expect([bench.lower.ended, bench.residue.used]).toEqual([true, 0]);
  });
});

/** What one connection does with a socket that takes what it likes. */
function play(random: Random): void {
  const bench = WebSocketBench.open({ residueBytes: random.pick([260_000, 1_000_000]) });
  const { lower, layer, upper } = bench;
  const most = random.pick([1, 3, 130, 5_000, 40_000, 400_000]);
  lower.mostPerWrite = () => (random.chance(0.2) ? 0 : random.between(0, most));
  const accepted: Buffer[] = [];
  let pings = 0;
  let at = 0;
  for (let step = 0; step < 120; step++) {
    const kind = random.below(10);
    if (kind < 6) {
      const length = random.between(1, random.pick([2, 100, 200, 3 * FRAME_BYTES, 300_000]));
      if (at + length > log.length) at = 0;
      const took = layer.write(log, at, length);
      if (took < 0 || took > length) throw new Error(`accepted ${took} of ${length} bytes`);
      accepted.push(log.subarray(at, at + took));
      at += took;
    } else if (kind < 8) {
      layer.drain();
    } else {
      layer.data(clientFrame({ opcode: 9, payload: `p${pings++}` }));
    }
  }
  lower.mostPerWrite = () => Number.POSITIVE_INFINITY;
  const drains = upper.drains;
  layer.drain();
  expect(upper.drains).toBe(drains + 1);
  const { frames, rest } = serverFrames(lower.bytes); // throws where a control frame cut a frame
  expect(rest.length).toBe(0);
  const received = Buffer.concat(frames.filter(({ opcode }) => opcode === 2).map(({ payload }) => payload));
  expect(received.equals(Buffer.concat(accepted))).toBe(true);
  const pongs = frames.filter(({ opcode }) => opcode === 10).map(({ payload }) => payload.toString());
  expect(pongs.length).toBeLessThanOrEqual(pings);
  if (pings > 0) expect(pongs.at(-1)).toBe(`p${pings - 1}`);
  expect(pongs).toEqual(pongs.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))));
  expect(bench.residue.used).toBe(0);
}

describe("seeded sockets: the client reads what was accepted, frames are never cut by others", () => {
  for (const seed of seeds(21, 22, 23, 24)) {
    test(`seed ${seed}`, () => {
      withSeed(seed, (random) => {
        for (let round = 0; round < 25; round++) play(random);
      });
    });
  }
});

test("writing allocates nothing", () => {
  const { residues } = new WebSocketBench();
  const encoder = new FrameEncoder({ write: (_bytes, _at, length) => length }, residues, { close() {} }, 0);
  const work = (): void => {
    for (let i = 0; i < 2000; i++) encoder.write(log, i, 100_000);
  };
  work();
  objectsMade(() => {});
  const idle = objectsMade(() => {});
  expect(objectsMade(work) - idle).toBeLessThanOrEqual(5);
});

test("a lower socket of the tests refuses what is out of range", () => {
  expect(() => new LowerSocket().write(log, log.length, 1)).toThrow("not there");
});
