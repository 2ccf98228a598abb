// Old files with something wrong in them: whatever it is, there is a new file that can be read, or a clear refusal.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "smol-toml";
import { type Migrated, migrate, type OriginName } from "../../src/config/migrate/migrate.ts";
import { ConfigError } from "../../src/config/problems.ts";

const OLD = join(import.meta.dir, "old");
const ROUNDS = 40;

/** Numbers from 0 to 1, the same in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** What may stand where something else is expected. */
const ODD: readonly unknown[] = [
  1,
  -1,
  2 ** 40,
  1.5,
  true,
  "",
  "x:y:z",
  "a\nb # c",
  [],
  [1, "a"],
  [{ a: 1 }],
  {},
  { a: { b: 1 } },
  new Date(0),
];

/** One value somewhere in `node` is another one; `odds` are those of `node` itself. */
function spoilt(node: unknown, random: () => number, odds = 0.15): unknown {
  const isTable = typeof node === "object" && node !== null && !(node instanceof Date);
  if (!isTable || random() < odds) return ODD[Math.floor(random() * ODD.length)];
  const copy = (Array.isArray(node) ? [...node] : { ...node }) as Record<string, unknown>;
  const names = Object.keys(copy);
  const name = names[Math.floor(random() * names.length)];
  if (name !== undefined) copy[name] = spoilt(copy[name], random);
  return copy;
}

function attempt(text: string, from: OriginName, seed: number): Migrated | undefined {
  try {
    return migrate({ text, file: "old" }, from, "new.toml");
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw new Error(`seed ${seed}: ${(error as Error).stack}\n${text}`);
  }
}

for (const [index, file] of ["g0", "g0-rumq", "g1", "g2", "g3", "g4"].entries()) {
  test(`${file}.toml, spoilt`, () => {
    const root = parse(readFileSync(join(OLD, `${file}.toml`), "utf8"));
    for (let round = 0; round < ROUNDS; round++) {
      const seed = 1 + index * ROUNDS + round;
      const changed = spoilt(root, randomFrom(seed * 7919), 0);
      const result = attempt(stringify(changed as Record<string, unknown>), "rumqttd", seed);
      if (result !== undefined) expect(() => parse(result.text)).not.toThrow();
    }
  });
}

test("mosquitto.conf, with lines and words gone or moved", () => {
  const lines = readFileSync(join(OLD, "mosquitto.conf"), "utf8").split("\n");
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = randomFrom(seed * 7919);
    const text = lines
      .filter(() => random() > 0.3)
      .map((line) => (random() > 0.2 ? line : line.split(" ").slice(0, -1).join(" ")))
      .sort(() => (random() > 0.8 ? 1 : -1))
      .join("\n");
    const result = attempt(text, "mosquitto", seed);
    if (result !== undefined) expect(() => parse(result.text)).not.toThrow();
  }
});
