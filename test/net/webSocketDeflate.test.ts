// One inflater and a few deflaters for all: each message begins anew, whatever became of the one before.

import { expect, test } from "bun:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { pack, PIECE_BYTES, TAIL, unpack, UnpackStatus } from "../../src/net/webSocketDeflate.ts";

const BYTES_MAX = 3 * PIECE_BYTES;
const { Fine, TooLarge, Malformed } = UnpackStatus;

function packed(bytes: Buffer): Buffer {
  return deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL.length);
}

function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255));
}

function unpacked(message: Buffer, piecesMax = 100): { status: number; bytes: Buffer; pieces: number[] } {
  const all: Buffer[] = [];
  const taker = {
    unpacked: (piece: Buffer): boolean => {
      all.push(Buffer.from(piece));
      return all.length < piecesMax;
    },
  };
  // It lies within something larger.
  const around = Buffer.concat([noise(5), message, noise(7)]);
  const status = unpack(around, 5, 5 + message.length, BYTES_MAX, taker);
  return { status, bytes: Buffer.concat(all), pieces: all.map(({ length }) => length) };
}

test("messages of every length around a piece's", () => {
  for (const length of [0, 1, 125, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, BYTES_MAX - 1, BYTES_MAX]) {
    for (const bytes of [Buffer.alloc(length, "even "), noise(length)]) {
      const result = unpacked(packed(bytes));
      expect([result.status, result.bytes.equals(bytes)]).toEqual([Fine, true]);
      expect(result.pieces).toHaveLength(Math.ceil(length / PIECE_BYTES));
    }
  }
});

test("nobody gets anything of a message that is too long or breaks off in nonsense", () => {
  const long = packed(noise(BYTES_MAX + 1));
  const broken = Buffer.concat([packed(noise(2 * PIECE_BYTES)), TAIL, Buffer.alloc(6, 7)]);
  for (const [message, status] of [
    [long, TooLarge],
    [packed(Buffer.alloc(100_000_000)), TooLarge],
    [broken, Malformed],
    [Buffer.alloc(6, 7), Malformed],
  ] as const) {
    const result = unpacked(message);
    expect([result.status, result.bytes.length]).toEqual([status, 0]);
    expect(unpacked(packed(Buffer.from("next"))).bytes.toString()).toBe("next");
  }
});

test("a taker that wants no more gets no more", () => {
  const result = unpacked(packed(noise(BYTES_MAX)), 2);
  expect([result.status, result.pieces]).toEqual([Fine, [PIECE_BYTES, PIECE_BYTES]]);
});

test("a final block ends a message; what follows it is not looked at", () => {
  for (const behind of ["", "00", "ffff"]) {
    const message = Buffer.concat([deflateRawSync(Buffer.from("final")), Buffer.from(behind, "hex")]);
    expect(unpacked(message).bytes.toString()).toBe("final");
  }
});

test("what is packed with any window unpacks, and what would not shrink is not packed", () => {
  const output = Buffer.alloc(70_000, 0xee);
  for (const windowBits of [9, 10, 11, 12, 13, 14, 15, 9]) {
    for (const bytes of [Buffer.alloc(16_384, "current "), noise(40), noise(16_384), Buffer.alloc(64, 1)]) {
      const length = pack(bytes, 0, bytes.length, windowBits, output, 10);
      if (bytes[0] !== noise(1)[0]) expect(length).toBeGreaterThan(0);
      if (length === 0) continue;
      const message = Buffer.concat([output.subarray(10, 10 + length), TAIL]);
      const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits };
      expect(inflateRawSync(message, options).equals(bytes)).toBe(true);
      expect(length).toBeLessThan(bytes.length);
    }
  }
  expect(output.subarray(0, 10).equals(Buffer.alloc(10, 0xee))).toBe(true);
});

test("messages leave no memory behind", () => {
  const message = packed(Buffer.alloc(PIECE_BYTES / 2, "even "));
  const taker = { unpacked: () => true };
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) unpack(message, 0, message.length, BYTES_MAX, taker);
  };
  run(10);
  const before = process.memoryUsage().arrayBuffers;
  run(1_000);
  // A copy of each would be 128 MiB.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
});
