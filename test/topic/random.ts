// Seeded randomness for the tests of this folder: a failure prints its seed, and the seed replays it.

export type Random = (below: number) => number;

/** Integers 0..below-1. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    let h = Math.imul(state ^ (state >>> 16), 0x45d9f3b);
    h ^= h >>> 15;
    return (h >>> 0) % below;
  };
}

const LEVELS = ["", "a", "b", "ab", "$", "$a", "é"];

/** A valid Topic Name of a small alphabet, with empty levels and "$". */
export function randomTopic(random: Random): string {
  for (;;) {
    const levels: string[] = [];
    for (let left = 1 + random(5); left > 0; left--) levels.push(LEVELS[random(LEVELS.length)]!);
    const topic = levels.join("/");
    if (topic.length > 0) return topic;
  }
}

/** A valid Topic Filter over the same levels. */
export function randomFilter(random: Random): string {
  for (;;) {
    const levels: string[] = [];
    for (let left = 1 + random(5); left > 0; left--) {
      levels.push(random(3) === 0 ? "+" : LEVELS[random(LEVELS.length)]!);
    }
    if (random(4) === 0) levels[levels.length - 1] = "#";
    const filter = levels.join("/");
    if (filter.length > 0) return filter;
  }
}
