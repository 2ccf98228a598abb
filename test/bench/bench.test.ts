// Every bench still runs: each case is called a few times, and where a case says how many messages it delivers, it
// delivers them. What it costs is for `bun run bench` to say.

import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { benches } from "../../bench/all.ts";

const BENCH_TIMEOUT_MS = 30_000;

describe("benches", () => {
  test("every bench file is one of all", () => {
    const files = readdirSync(join(import.meta.dir, "../../bench")).filter((file) =>
      file.endsWith(".bench.ts"),
    );
    expect(files.map((file) => file.replace(".bench.ts", "")).sort()).toEqual(Object.keys(benches).sort());
  });

  for (const [name, run] of Object.entries(benches)) {
    test(`${name} runs`, () => run(true), BENCH_TIMEOUT_MS);
  }
});
