// Retention: how much a filter's slow QoS 0 reader may owe, by the router's figure or by the filter's own.

import { describe, expect } from "bun:test";
import type { SimClient } from "./client.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB } from "./world.ts";

const TIGHT_BYTES = 200_000;

/** Payload bytes of what the client has taken. */
function takenBytes(client: SimClient): number {
  return client.taken.reduce((sum, { message }) => sum + message.payload.length, 0);
}

describe("a retention of one filter's own", () => {
  scenario(
    "lets its slow QoS 0 reader skip, the gap counted, and no other filter's",
    (random) => {
      const retentionByFilter = [{ filter: "tight/#", bytes: TIGHT_BYTES }];
      const scene = new Scene(random, { router: { stallMs: 500, retentionByFilter } });
      const version = random.pick([4, 5] as const);
      const socket = { capacity: 5_000 };
      const tight = scene.subscriber({ id: "tight", version, socket }, { "tight/#": 0 });
      const wide = scene.subscriber({ id: "wide", version, socket }, { "wide/#": 0 });
      const both = scene.subscriber({ id: "both", version, socket }, { "tight/#": 0, "wide/#": 0 });
      const healthy = scene.subscriber({ id: "healthy", socket: { capacity: MIB } }, { flood: 0 });
      const publisher = scene.publisher({ id: "publisher", version: random.pick([4, 5]) });
      for (const slow of [tight, wide, both]) slow.manners.readMax = 0;
      for (let i = 0; i < 1_000; i++) {
        for (const filter of ["tight", "wide"])
          scene.publish(publisher, `${filter}/${random.below(3)}`, 0, 1_000);
      }
      scene.until(() => publisher.isFlushed, "both filters have their messages");
      for (let i = 0; i < 1_000; i++) scene.publish(publisher, "flood", 0, 8_000);
      scene.until(() => healthy.owed.size === 0, "the log has rolled past its budget");
      for (const slow of [tight, wide, both]) slow.hurry();
      scene.until(() => !tight.isBusy && !wide.isBusy && !both.isBusy, "the slow readers have what is left");
      scene.settle();
      const { gapMessages } = scene.world.router.stats;
      expect(wide.missing()).toEqual([]);
      expect(wide.taken.length).toBe(1_000);
      expect(healthy.taken.length).toBe(1_000);
      expect(both.missing().every(({ topic }) => topic.startsWith("tight/"))).toBe(true);
      expect(tight.missing().length + both.missing().length).toBe(gapMessages);
      // Beside the retention: what the socket held, and the frame that it cut.
      expect(takenBytes(tight)).toBeWithin(TIGHT_BYTES / 2, TIGHT_BYTES + 10_000);
      expect(takenBytes(both) - takenBytes(wide)).toBeWithin(TIGHT_BYTES / 2, TIGHT_BYTES + 10_000);
      scene.end();
    },
    1,
    2,
    3,
  );
});
