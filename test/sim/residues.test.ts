// Residues: what is kept for clients whose sockets are full has one budget, and those that do not read at all must not
// hold all of it.

import { describe, expect } from "bun:test";
import type { SimClient } from "./client.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";

/** A PINGRESP takes two bytes. */
const PINGS = 30_000;

/** A client that asked for nearly as many answers as are kept for it, and reads none. */
function hog(scene: Scene, index: number): SimClient {
  const client = scene.publisher({ id: `hog-${index}`, version: scene.random.pick([4, 5]) });
  client.manners.readMax = 0;
  client.shrink(0);
  for (let i = 0; i < PINGS; i++) client.ping();
  return client;
}

describe("clients that stop reading just below what is kept for one", () => {
  scenario(
    "do not take the room of a client whose frames are cut and who reads on",
    (random) => {
      const scene = new Scene(random, { auditEvery: 5 });
      const hogs = Array.from({ length: 30 }, (_, i) => hog(scene, i));
      scene.steps(100);
      const { residue } = scene.world.router.budgets;
      expect(residue.used).toBeGreaterThan(0.8 * residue.bytesMax);
      const closedBefore = scene.world.endings.length;
      const good = scene.subscriber({ id: "good", version: 5, socket: { capacity: 20_000 } }, { t: 0 });
      const publisher = scene.publisher({ id: "publisher", version: 4 });
      good.manners.readMax = 7_000;
      for (let i = 0; i < 200; i++) {
        scene.publish(publisher, "t", 0, random.pick([50_000, 60_000, 65_000]));
        scene.steps(10);
      }
      scene.until(() => good.owed.size === 0, "everything has come");
      expect(good.connections).toBe(1);
      expect(good.taken.length).toBe(200);
      // Those that had to go were hogs, and no more of them than was needed.
      const closed = hogs.filter(({ connected }) => !connected).length;
      expect(scene.world.endings.length).toBe(closed);
      expect(closed - closedBefore).toBeLessThan(5);
      expect(residue.used).toBeGreaterThan(residue.bytesMax / 2);
      for (const client of hogs) client.cut();
      scene.steps(5);
    },
    1,
    2,
    3,
  );

  scenario(
    "are read on when they read on",
    (random) => {
      const scene = new Scene(random, { auditEvery: 5 });
      const hogs = Array.from({ length: 6 }, (_, i) => hog(scene, i));
      scene.steps(100);
      for (const client of hogs) {
        client.manners.readMax = 5_000;
        client.shrink(10_000);
      }
      scene.until(() => hogs.every((client) => client.answers === PINGS), "every PINGREQ is answered");
      expect(scene.world.endings).toEqual([]);
      expect(scene.world.router.budgets.residue.used).toBe(0);
      expect(scene.world.paused.size).toBe(0);
    },
    1,
    2,
  );
});

describe("many readers whose frames are cut at one time", () => {
  for (const qos of [0, 1] as const) {
    scenario(
      `at QoS ${qos} all stay, though the rests of their frames are more than there is room for`,
      (random) => {
        const scene = new Scene(random, { auditEvery: 20 });
        const readers = Array.from({ length: 40 }, (_, i) => {
          const version = random.pick([4, 5] as const);
          const reader = scene.subscriber(
            { id: `reader-${i}`, version, socket: { capacity: 20_000, cutChance: 0.3 } },
            { t: qos },
          );
          reader.manners.readMax = random.pick([5_000, 10_000]);
          return reader;
        });
        const publishers = ([4, 5] as const).map((version) =>
          scene.publisher({ id: `publisher-${version}`, version, window: 5 }),
        );
        let left = 20;
        scene.until(
          () => {
            const publisher = random.pick(publishers);
            if (left > 0 && publisher.mayPublish) {
              scene.publish(publisher, "t", qos, random.pick([40_000, 60_000, 64_000]));
              left--;
            }
            return left === 0 && readers.every((reader) => reader.owed.size === 0);
          },
          "everybody has everything",
          5_000,
        );
        expect(scene.world.endings).toEqual([]);
        scene.settle();
        expect(scene.world.router.stats.gapMessages).toBe(0);
        scene.end();
      },
      1,
      2,
    );
  }
});
