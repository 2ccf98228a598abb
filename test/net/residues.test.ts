// Residues: who gives way when the room for what waits behind full sockets is used up, and who does not.

import { describe, expect, test } from "bun:test";
import { Budget } from "../../src/base/budget.ts";
import { type Holder, Residues } from "../../src/net/residues.ts";

const KIB = 1024;
const ROOM = 512 * KIB;

class Bench {
  ms = 1_000;
  pressed = 0;
  readonly budget = new Budget("residues", ROOM);
  readonly residues: Residues;
  readonly closed: string[] = [];

  constructor() {
    const clock = { nowMs: () => this.ms, wallMs: () => this.ms };
    this.residues = new Residues(this.budget, clock, () => this.pressed++);
  }

  holder(name: string): FakeHolder {
    return new FakeHolder(name, this);
  }
}

class FakeHolder implements Holder {
  heldBytes = 0;
  sentBytes = 0;
  readonly name: string;
  private readonly bench: Bench;

  constructor(name: string, bench: Bench) {
    this.name = name;
    this.bench = bench;
  }

  take(bytes: number): boolean {
    if (!this.bench.residues.take(this, bytes)) return false;
    this.heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.heldBytes -= bytes;
    this.sentBytes += bytes;
    this.bench.residues.give(this, bytes);
  }

  abandon(): void {
    const bytes = this.heldBytes;
    this.heldBytes = 0;
    this.bench.residues.give(this, bytes);
  }

  closeAbandoned(): void {
    this.bench.closed.push(this.name);
  }
}

/** Holders of so many KiB that fill the room together, and stand still. */
function filled(...sizes: readonly number[]): { bench: Bench; holders: FakeHolder[] } {
  const bench = new Bench();
  const holders = sizes.map((size, i) => {
    const holder = bench.holder(`${i}`);
    expect(holder.take(size * KIB)).toBe(true);
    return holder;
  });
  expect(bench.budget.used).toBe(ROOM);
  bench.ms += 1_000;
  return { bench, holders };
}

describe("when the room is used up", () => {
  test("the largest that makes no progress gives way, and is closed later", () => {
    const { bench } = filled(100, 200, 150, 62);
    const asking = bench.holder("asking");
    expect(asking.take(50 * KIB)).toBe(true);
    expect(bench.budget.used).toBe(ROOM - 150 * KIB);
    expect([bench.pressed, bench.residues.isPressed]).toEqual([1, true]);
    expect(bench.closed).toEqual([]);
    bench.residues.closeAbandoned();
    expect(bench.closed).toEqual(["1"]);
    expect(bench.residues.isPressed).toBe(false);
  });

  test("as many as it takes, and no more", () => {
    const { bench } = filled(60, 50, 40, 362);
    const moving = bench.holder("moving");
    bench.residues.closeAbandoned();
    expect(moving.take(400 * KIB)).toBe(true);
    bench.residues.closeAbandoned();
    expect(bench.closed).toEqual(["3", "0"]);
  });

  test("one whose socket takes what is kept for it stays, and so does one that has just begun", () => {
    const { bench, holders } = filled(300, 112, 100);
    holders[0]!.sentBytes += 300 * KIB;
    holders[1]!.give(112 * KIB);
    expect(holders[1]!.take(112 * KIB)).toBe(true);
    expect(bench.holder("asking").take(10 * KIB)).toBe(true);
    bench.residues.closeAbandoned();
    expect(bench.closed).toEqual(["2"]);
    // The other two had their chance.
    bench.ms += 1_000;
    expect(bench.holder("another").take(200 * KIB)).toBe(true);
    bench.residues.closeAbandoned();
    expect(bench.closed).toEqual(["2", "0"]);
  });

  test("who asks is not served where it is itself the largest, or all others make progress, or are too small", () => {
    const { holders } = filled(400, 112);
    expect(holders[0]!.take(KIB)).toBe(false);
    const { bench, holders: moving } = filled(256, 256);
    for (const holder of moving) holder.sentBytes += ROOM;
    expect(bench.holder("asking").take(KIB)).toBe(false);
    const { bench: small } = filled(...Array.from({ length: 256 }, () => 2));
    expect(small.holder("asking").take(60 * KIB)).toBe(false);
    expect(small.holder("asking").take(7 * KIB)).toBe(true);
  });

  test("another owner of the same budget is served in the same way", () => {
    const { bench } = filled(500, 12);
    expect(bench.budget.take(16 * KIB)).toBe(true);
    bench.residues.closeAbandoned();
    expect(bench.closed).toEqual(["0"]);
  });
});

test("the share of one client shrinks with what is left", () => {
  const bench = new Bench();
  expect(bench.residues.shareBytes).toBe(64 * KIB);
  bench.holder("one").take(ROOM / 2);
  expect(bench.residues.shareBytes).toBe(32 * KIB);
  bench.holder("two").take(ROOM / 2);
  expect(bench.residues.shareBytes).toBe(0);
});
