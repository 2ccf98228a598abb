// Masking, RFC 6455 §5.3: byte i of a payload is XORed with byte i mod 4 of the frame's key. A key is held as the
// little-endian integer of its bytes, which is the order of every machine that Bun runs on: so whole words can be
// unmasked at a time. @hot

/** Payloads below this are unmasked and moved byte by byte: the two steps of larger ones cost more than they save. */
const WORDS_FROM = 32;

/** The words of the memory that `bytes` lies in, for unmask(). */
export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >>> 2);
}

/** `key` as it is after `count` more bytes. */
export function turned(key: number, count: number): number {
  const bits = (count & 3) << 3;
  return (key >>> bits) | (key << (32 - bits));
}

/**
 * Unmasks bytes[from, from+length) and moves them to bytes[to, ...), which must not lie behind `from`. `words` are
 * those of `bytes`. Nothing outside the two ranges changes.
 */
export function unmask(
  bytes: Uint8Array,
  words: Int32Array,
  from: number,
  to: number,
  length: number,
  key: number,
): void {
  if (length < WORDS_FROM) {
    for (let i = 0; i < length; i++) {
      bytes[to + i] = bytes[from + i]! ^ key;
      key = (key >>> 8) | (key << 24);
    }
    return;
  }
  if (key !== 0) unmaskWords(bytes, words, from, from + length, key);
  if (to !== from) bytes.copyWithin(to, from, from + length);
}

/** Unmasks bytes[from, end) where they are. */
function unmaskWords(bytes: Uint8Array, words: Int32Array, from: number, end: number, key: number): void {
  const base = bytes.byteOffset;
  let at = from;
  while (((base + at) & 3) !== 0) {
    bytes[at] = bytes[at]! ^ key;
    key = (key >>> 8) | (key << 24);
    at++;
  }
  const firstWord = (base + at) >>> 2;
  const wordsEnd = (base + end) >>> 2;
  for (let word = firstWord; word < wordsEnd; word++) words[word] = words[word]! ^ key;
  at += (wordsEnd - firstWord) << 2;
  while (at < end) {
    bytes[at] = bytes[at]! ^ key;
    key = (key >>> 8) | (key << 24);
    at++;
  }
}
