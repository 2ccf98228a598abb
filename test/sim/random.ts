// Seeded randomness of the simulation. MILLRACE_SEED replays one seed instead of those that a scenario names.

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed ^ 0x9e3779b9) | 0;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** 0..2^32-1 */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let z = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** 0..below-1 */
  below(below: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * below);
  }

  /** from..to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.next() / 0x1_0000_0000 < probability;
  }

  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const item = list[i] as T;
      list[i] = list[j] as T;
      list[j] = item;
    }
    return list;
  }
}

/** The seeds to run: the one that MILLRACE_SEED names, else those given. */
export function seeds(...given: readonly number[]): readonly number[] {
  const wanted = process.env["MILLRACE_SEED"];
  return wanted === undefined ? given : [Number(wanted)];
}

/** Runs `body`; what it throws names the seed that replays it. */
export function withSeed(seed: number, body: (random: Random) => void): void {
  try {
    body(new Random(seed));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed} (replay: MILLRACE_SEED=${seed}): ${message}`, { cause: error });
  }
}
