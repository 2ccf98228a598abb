// Share check: whether each of one publisher's messages came to one member of a group and no more. Each member has
// some of the numbers, in rising order; which, is the broker's choice.

const WORD_BITS = 32;
const WORDS_FIRST = 1 << 12;

export class ShareCheck {
  reordered = 0;
  duplicates = 0;
  private received = 0;
  /** A bit for each number that came. */
  private bits = new Uint32Array(WORDS_FIRST);
  /** The highest number that each member has had, plus 1. */
  private readonly next: number[] = [];

  lost(sent: number): number {
    return sent - this.received;
  }

  /** @hot */
  came(member: number, sequence: number): void {
    if (sequence < (this.next[member] ?? 0)) this.reordered++;
    else this.next[member] = sequence + 1;
    const word = sequence >>> 5;
    const bit = 1 << (sequence & (WORD_BITS - 1));
    if (word >= this.bits.length) this.grow(word);
    if ((this.bits[word]! & bit) !== 0) {
      this.duplicates++;
      return;
    }
    this.bits[word] = this.bits[word]! | bit;
    this.received++;
  }

  private grow(word: number): void {
    const larger = new Uint32Array(Math.max(2 * this.bits.length, word + 1));
    larger.set(this.bits);
    this.bits = larger;
  }
}
