// The load run still runs, and its check of sequence numbers sees what it is there to see.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SequenceCheck } from "../../src/cli/bench/sequence.ts";

const LOAD = join(import.meta.dir, "../../bench/load.ts");
const LOAD_TIMEOUT_MS = 30_000;

function verdict(
  sent: number,
  came: readonly number[],
): { lost: number; reordered: number; duplicates: number } {
  const check = new SequenceCheck();
  for (const sequence of came) check.came(sequence);
  const { reordered, duplicates } = check;
  return { lost: check.lost(sent), reordered, duplicates };
}

describe("sequence check", () => {
  const rows: [
    name: string,
    sent: number,
    came: number[],
    lost: number,
    reordered: number,
    duplicates: number,
  ][] = [
    ["all in order", 4, [0, 1, 2, 3], 0, 0, 0],
    ["nothing came", 4, [], 4, 0, 0],
    ["the first is lost", 4, [1, 2, 3], 1, 0, 0],
    ["one in the middle is lost", 4, [0, 1, 3], 1, 0, 0],
    ["the last is lost", 4, [0, 1, 2], 1, 0, 0],
    ["two changed places", 4, [0, 2, 1, 3], 0, 1, 0],
    ["one came twice", 4, [0, 1, 1, 2, 3], 0, 0, 1],
    ["one came twice, the second time late", 4, [0, 1, 2, 1, 3], 0, 0, 1],
    ["one late and twice, one lost", 5, [0, 2, 1, 1, 4], 1, 1, 1],
  ];
  test.each(rows)("%s", (_name, sent, came, lost, reordered, duplicates) => {
    expect(verdict(sent, came)).toEqual({ lost, reordered, duplicates });
  });
});

describe("load run", () => {
  async function load(...args: string[]): Promise<{ status: number; output: string }> {
    const child = Bun.spawn([process.execPath, LOAD, ...args], { stdout: "pipe", stderr: "pipe" });
    const [output] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, output };
  }

  test(
    "delivers everything once and in order, and says so",
    async () => {
      const { status, output } = await load("--seconds", "0.2", "--only", "q0-fan10,q1-pairs50", "--json");
      expect(status).toBe(0);
      const report: { results: { name: string; sent: number; lost: number }[] } = JSON.parse(output);
      expect(report.results.map(({ name, lost }) => [name, lost])).toEqual([
        ["q0-fan10", 0],
        ["q1-pairs50", 0],
      ]);
      for (const { sent } of report.results) expect(sent).toBeGreaterThan(0);
    },
    LOAD_TIMEOUT_MS,
  );

  test("refuses a scenario that is none", async () => {
    expect((await load("--only", "nothing")).status).toBe(2);
  });
});
