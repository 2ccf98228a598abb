// Masking, RFC 6455 §5.3: byte i of a payload is XORed with byte i mod 4 of the frame's key. A key is held as the
// little-endian integer of its bytes, which is the order of every machine that Bun runs on: so whole words can be
// unmasked at a time. @hot

/** Payloads below this are unmasked and moved byte by byte: views of words would cost more than they save. */
const WORDS_FROM = 32;
/** From here on two passes, word by word where it lies and then as a whole, are faster than one that moves words. */
const TWO_PASSES_FROM = 256;
/** A longer piece is moved over few bytes by an instruction that takes ten times as long at that. */
const MOVE_BYTES = 1024;

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
  const distance = from - to;
  const moves = distance !== 0 && ((distance & 3) !== 0 || length >= TWO_PASSES_FROM);
  const end = from + length;
  const by = moves ? 0 : distance;
  let at = from;
  while (((bytes.byteOffset + at) & 3) !== 0) {
    bytes[at - by] = bytes[at]! ^ key;
    key = (key >>> 8) | (key << 24);
    at++;
  }
  const word = (bytes.byteOffset + at) >>> 2;
  const count = (end - at) >>> 2;
  if (by === 0) unmaskWords(words, word, word + count, key);
  else unmaskWordsOver(words, word, word + count, by >>> 2, key);
  at += count << 2;
  while (at < end) {
    bytes[at - by] = bytes[at]! ^ key;
    key = (key >>> 8) | (key << 24);
    at++;
  }
  if (!moves) return;
  for (let piece = from; piece < end; piece += MOVE_BYTES) {
    bytes.copyWithin(piece - distance, piece, Math.min(end, piece + MOVE_BYTES));
  }
}

function unmaskWords(words: Int32Array, from: number, end: number, key: number): void {
  const fours = end - 3;
  let word = from;
  for (; word < fours; word += 4) {
    words[word] = words[word]! ^ key;
    words[word + 1] = words[word + 1]! ^ key;
    words[word + 2] = words[word + 2]! ^ key;
    words[word + 3] = words[word + 3]! ^ key;
  }
  for (; word < end; word++) words[word] = words[word]! ^ key;
}

/** unmaskWords() that moves them down by `distance` words. */
function unmaskWordsOver(words: Int32Array, from: number, end: number, distance: number, key: number): void {
  for (let word = from; word < end; word++) words[word - distance] = words[word]! ^ key;
}
