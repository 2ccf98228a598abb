// scenario: one body, several seeds, one test each; those whose cause is known and open wait as todo.

import { test } from "bun:test";
import { openDefects } from "./openDefects.ts";
import { type Random, seeds, withSeed } from "./random.ts";

const TIMEOUT_MS = 20_000;

export function scenario(title: string, body: (random: Random) => void, ...given: readonly number[]): void {
  for (const seed of seeds(...given)) {
    const name = `${title}, seed ${seed}`;
    const run = (): void => withSeed(seed, body);
    const isOpen = openDefects.has(title) || openDefects.has(name);
    if (isOpen && process.env["MILLRACE_SEED"] === undefined) test.todo(name, run, TIMEOUT_MS);
    else test(name, run, TIMEOUT_MS);
  }
}
