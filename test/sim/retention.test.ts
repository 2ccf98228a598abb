// Retention: how much a filter's slow QoS 0 reader may owe, by the router's figure or by the filter's own.

import { describe, expect } from "bun:test";
import { auditQuotas } from "./audit.ts";
import type { SimClient } from "./client.ts";
import type { Sent } from "./ledger.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB } from "./world.ts";

const TIGHT_BYTES = 200_000;

/** Payload bytes of what the client has taken. */
function takenBytes(client: SimClient): number {
  return client.taken.reduce((sum, { message }) => sum + message.payload.length, 0);
}

describe("while there is room", () => {
  scenario(
    "a slow QoS 0 reader owes no more than the retention for long",
    (random) => {
      const scene = new Scene(random, { router: { stallMs: 500, retentionBytes: TIGHT_BYTES } });
      const version = random.pick([4, 5] as const);
      const slow = scene.subscriber({ id: "slow", version, socket: { capacity: 5_000 } }, { "t/#": 0 });
      const publisher = scene.publisher({ id: "publisher", version: random.pick([4, 5]) });
      slow.manners.readMax = 0;
      for (let i = 0; i < 1_000; i++) scene.publish(publisher, `t/${random.below(3)}`, 0, 1_000);
      scene.until(() => publisher.isFlushed, "the messages lie in the log");
      scene.steps(200);
      const { gapMessages } = scene.world.router.stats;
      expect(gapMessages).toBeWithin(790, 830);
      scene.settle();
      expect(slow.missing().length).toBe(gapMessages);
      expect(scene.world.router.stats.gapMessages).toBe(gapMessages);
      scene.end();
    },
    1,
    2,
  );

  scenario(
    "a client that does not acknowledge is owed no more than its quota for long",
    (random) => {
      const scene = new Scene(random, { listener: { queueMessagesMax: 50 } });
      const shape = { id: "silent", version: random.pick([4, 5] as const), persistent: true };
      const silent = scene.subscriber(shape, { "t/#": 1, "t/0": 2 });
      const publisher = scene.publisher({ id: "publisher", window: 50 });
      silent.manners.ackChance = 0;
      const sent: Sent[] = [];
      scene.until(() => {
        while (sent.length < 400 && publisher.mayPublish)
          sent.push(scene.publish(publisher, `t/${random.below(3)}`, random.pick([1, 2]), 100));
        return sent.length === 400 && publisher.unacknowledged === 0;
      }, "the messages lie in the log");
      scene.steps(200);
      // It holds a window of 100 messages; 50 wait; the ones between are gone.
      expect(scene.world.router.stats.quotaMessages).toBe(250);
      scene.settle();
      expect(scene.world.router.stats.quotaMessages).toBe(250);
      const came = new Set(silent.taken.map(({ message }) => message.index));
      expect(sent.map(({ index }) => came.has(index))).toEqual(sent.map((_, i) => i < 100 || i >= 350));
      scene.end();
    },
    1,
    2,
  );

  scenario(
    "quotas of more sessions than one tick can count hold after some",
    (random) => {
      const listener = { queueMessagesMax: 900 };
      const scene = new Scene(random, { listener, quotasAtEveryTick: false, auditEvery: 50 });
      const away: SimClient[] = [];
      for (let i = 0; i < 50; i++) {
        away.push(scene.subscriber({ id: `away-${i}`, version: 5, persistent: true }, { "t/#": 1 }));
      }
      scene.subscriber({ id: "other", socket: { capacity: MIB } }, { other: 0 });
      const publisher = scene.publisher({ id: "publisher", window: 50 });
      for (const client of away) client.leave();
      scene.steps(5);
      let sent = 0;
      scene.until(() => {
        for (; sent < 1_000 && publisher.mayPublish; sent++) {
          scene.publish(publisher, "t/0", 1, 100);
          scene.publish(publisher, "other", 0, 100); // so that no two messages lie in one run
        }
        return sent === 1_000 && publisher.unacknowledged === 0;
      }, "the messages lie in the log");
      scene.steps(100);
      expect(() => auditQuotas(scene.world.router)).toThrow("of 900 messages");
      scene.steps(500);
      auditQuotas(scene.world.router);
      expect(scene.world.router.stats.quotaMessages).toBe(50 * 100);
      scene.settle();
      scene.end();
    },
    1,
  );

  scenario(
    "QoS 0 messages that nobody will get keep no segment",
    (random) => {
      const scene = new Scene(random);
      const shape = { id: "away", version: random.pick([4, 5] as const), persistent: true };
      const away = scene.subscriber(shape, { "t/#": 1 });
      const publisher = scene.publisher({ id: "publisher" });
      away.leave();
      scene.steps(5);
      for (let i = 0; i < 3_000; i++) scene.publish(publisher, "t/0", 0, 1_000);
      const last = scene.publish(publisher, "t/0", 1, 1_000);
      scene.until(() => publisher.isFlushed && publisher.unacknowledged === 0, "the messages lie in the log");
      expect(scene.world.router.log.liveSegments).toBeGreaterThan(5);
      scene.steps(200);
      expect(scene.world.router.log.liveSegments).toBeLessThan(3);
      expect(scene.world.router.stats.offlineQos0).toBe(3_000);
      scene.settle();
      expect(away.taken.map(({ message }) => message.index)).toEqual([last.index]);
      expect(scene.world.router.stats.gapMessages).toBe(0);
      scene.end();
    },
    1,
    2,
  );
});

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
