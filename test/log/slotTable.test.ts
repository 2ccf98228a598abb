// SlotTable against a Map, with hashes of which many meet in one place.

import { describe, expect, test } from "bun:test";
import { SlotTable } from "../../src/router/slotTable.ts";
import { seeds, withSeed } from "../sim/random.ts";

function slotsOf(table: SlotTable, hash: number): number[] {
  const found: number[] = [];
  for (let place = table.first(hash); table.at(place) >= 0; place = table.next(place))
    if (table.hasHash(table.at(place), hash)) found.push(table.at(place));
  return found.sort((a, b) => a - b);
}

describe("slot table", () => {
  for (const seed of seeds(1, 2, 3)) {
    test(`agrees with a Map, seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const table = new SlotTable(seed);
        const model = new Map<number, number>();
        let slots = 0;
        for (let step = 0; step < 20_000; step++) {
          if (model.size < 50 || random.chance(0.52)) {
            let slot = random.below(slots + 1);
            while (model.has(slot)) slot++;
            if (slot >= slots) {
              slots += Math.max(16, slots >> 1);
              table.grow(slots);
            }
            // Neighbours and the last places, which go round, are crowded.
            const hash = random.chance(0.5) ? random.below(40) : 0xffff_ffff - random.below(40);
            model.set(slot, hash >>> 0);
            table.add(slot, hash >>> 0);
          } else {
            const slot = random.pick([...model.keys()]);
            model.delete(slot);
            table.remove(slot);
          }
          expect(table.count).toBe(model.size);
          if (step % 500 !== 0) continue;
          for (const hash of new Set([...model.values(), 12, 0xffff_fff0])) {
            const expected = [...model].filter(([, other]) => other === hash).map(([slot]) => slot);
            expect(slotsOf(table, hash)).toEqual(expected.sort((a, b) => a - b));
          }
        }
      });
    });
  }

  test("hashes of different topics differ, and of one topic under another seed", () => {
    const bytes = Buffer.from("plant/1/device/22");
    const [one, other] = [new SlotTable(1), new SlotTable(2)];
    const hashes = [
      one.hash(bytes, 0, 16),
      one.hash(bytes, 0, 17),
      one.hash(bytes, 1, 16),
      other.hash(bytes, 0, 17),
    ];
    expect(new Set(hashes).size).toBe(4);
    expect(one.hash(Buffer.from("x/plant/1/device/22"), 2, 17)).toBe(hashes[1]!);
  });
});
