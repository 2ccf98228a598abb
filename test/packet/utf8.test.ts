import { describe, expect, test } from "bun:test";
import { errors } from "../../src/packet/error.ts";
import { copyBytes, decodeUtf8, utf8Error, validUtf8 } from "../../src/packet/utf8.ts";
import { packet, seeded } from "./support.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the platform's own strict decoder says, with U+0000 refused. */
function oracle(bytes: Uint8Array): string | null {
  try {
    const text = strict.decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

const rows: [name: string, bytes: Uint8Array, valid: boolean][] = [
  ["empty", packet(""), true],
  ["ASCII", packet("'a/b c~' 7f 01"), true],
  ["U+0080", packet("c2 80"), true],
  ["U+07FF", packet("df bf"), true],
  ["U+0800", packet("e0 a0 80"), true],
  ["U+D7FF", packet("ed 9f bf"), true],
  ["U+E000", packet("ee 80 80"), true],
  ["U+FFFF, a non-character", packet("ef bf bf"), true],
  ["U+10000", packet("f0 90 80 80"), true],
  ["U+10FFFF", packet("f4 8f bf bf"), true],
  ["[MQTT-1.5.4-3] a BOM", packet("ef bb bf 'a'"), true],
  ["[MQTT-1.5.4-2] U+0000", packet("00"), false],
  ["[MQTT-1.5.4-2] U+0000 as the eighth byte", packet("'abcdefg' 00"), false],
  ["[MQTT-1.5.4-1] U+D800", packet("ed a0 80"), false],
  ["[MQTT-1.5.4-1] U+DFFF", packet("ed bf bf"), false],
  ["[MQTT-1.5.4-1] surrogate pair", packet("ed a0 bd ed b8 80"), false],
  ["overlong U+0000", packet("c0 80"), false],
  ["overlong U+007F", packet("c1 bf"), false],
  ["overlong U+07FF", packet("e0 9f bf"), false],
  ["overlong U+FFFF", packet("f0 8f bf bf"), false],
  ["U+110000", packet("f4 90 80 80"), false],
  ["five bytes", packet("f8 88 80 80 80"), false],
  ["continuation alone", packet("80"), false],
  ["0xFF", packet("'abc' ff"), false],
  ["cut after one of two", packet("'a' c3"), false],
  ["cut after two of three", packet("e6 b0"), false],
  ["cut after three of four", packet("f0 9f 8c"), false],
  ["two of three, then ASCII", packet("e6 b0 'a'"), false],
];

describe("UTF-8", () => {
  test.each(rows)("%s", (_name, bytes, valid) => {
    expect(validUtf8(bytes, 0, bytes.length)).toBe(valid);
    expect(oracle(bytes) !== null).toBe(valid);
    const within = Uint8Array.from([0x80, ...bytes, 0x80, 0x80, 0x80]);
    expect(validUtf8(within, 1, 1 + bytes.length)).toBe(valid);
    if (valid) expect(decodeUtf8(within, 1, 1 + bytes.length)).toBe(strict.decode(bytes));
  });

  test("every first byte before every second and third that matters", () => {
    const edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (let first = 0; first < 256; first++) {
      for (const second of edges) {
        for (const third of edges) {
          const bytes = Uint8Array.of(first, second, third, 0x80);
          for (let length = 1; length <= 4; length++) {
            const text = oracle(bytes.subarray(0, length));
            if (validUtf8(bytes, 0, length) !== (text !== null)) throw new Error(`${bytes} ${length}`);
          }
        }
      }
    }
  });

  test(
    "random strings, one byte changed",
    seeded((random) => {
      for (let i = 0; i < 5_000; i++) {
        const bytes = new TextEncoder().encode(random.text(40));
        if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
        const text = oracle(bytes);
        expect(validUtf8(bytes, 0, bytes.length)).toBe(text !== null);
        if (text !== null) expect(decodeUtf8(bytes, 0, bytes.length)).toBe(text);
      }
    }),
  );

  test("[MQTT-1.5.4-3] decoding keeps every U+FEFF, short and long", () => {
    for (const text of ["\ufeff", "\ufeffa\ufeff", `\ufeff${"long ".repeat(100)}`]) {
      const bytes = Buffer.from(text);
      expect(decodeUtf8(bytes, 0, bytes.length)).toBe(text);
    }
  });

  test("utf8Error tells U+0000 from the rest", () => {
    expect(utf8Error(packet("'a' 00"), 0, 2)).toBe(errors.utf8Null);
    expect(utf8Error(packet("'a' ff 00"), 0, 2)).toBe(errors.utf8NotValid);
  });

  test("copyBytes has memory of its own, also from a Buffer", () => {
    const chunk = Buffer.from("abcdef");
    const copy = copyBytes(chunk, 1, 3);
    chunk.fill(0);
    expect(copy).toEqual(packet("'bc'"));
    expect(copy.buffer.byteLength).toBe(2);
  });
});
