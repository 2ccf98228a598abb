// Sequence check: whether one publisher's messages came each once and in order, by their sequence numbers from 0 on.

/** Missing numbers that are remembered, so that a late one is told from a second one. */
const MISSING_MAX = 100_000;

export class SequenceCheck {
  /** The number that is next when all is well. */
  expected = 0;
  reordered = 0;
  duplicates = 0;
  private skipped = 0;
  private readonly missing = new Set<number>();

  /** Of `sent` messages, those that did not come. */
  lost(sent: number): number {
    return sent - this.expected + this.skipped;
  }

  /** @hot */
  came(sequence: number): void {
    if (sequence === this.expected) this.expected++;
    else this.outOfLine(sequence);
  }

  private outOfLine(sequence: number): void {
    if (sequence < this.expected) {
      if (this.missing.delete(sequence)) {
        this.reordered++;
        this.skipped--;
      } else this.duplicates++;
      return;
    }
    this.skipped += sequence - this.expected;
    for (let lost = this.expected; lost < sequence && this.missing.size < MISSING_MAX; lost++)
      this.missing.add(lost);
    this.expected = sequence + 1;
  }
}
