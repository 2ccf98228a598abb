// Outliers: readers that are much slower than the others of the traffic that they share, and those that are not.

import { describe, expect } from "bun:test";
import type { SimClient } from "./client.ts";
import type { Random } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB } from "./world.ts";

const STALL_MS = 100;
const STEP_MS = 10;
const MESSAGE_BYTES = 2_000;
/** Messages that one publisher has to send in one step: 5 MB/s. */
const BURST = 25;

/** Messages kept for one session. */
const QUOTA = 2_000;

interface Stage {
  readonly scene: Scene;
  /** Steps until everybody in `readers` had everything; each begins with `eachStep`. */
  run(
    messages: number,
    readers: readonly SimClient[],
    qos?: 0 | 1,
    eachStep?: (step: number) => void,
  ): number;
}

function stage(random: Random, count: number, memoryBytes = 32 * MIB): Stage {
  const scene = new Scene(random, {
    router: { memoryBytes, paceDebtBytes: 256 * 1024, stallMs: STALL_MS },
    listener: { queueMessagesMax: QUOTA },
    auditEvery: 20,
  });
  const publishers = Array.from({ length: count }, (_, i) => {
    const version = random.pick([4, 5] as const);
    return scene.publisher({ id: `publisher-${i}`, version, window: 500, socket: { chunkMax: 100_000 } });
  });
  return {
    scene,
    run(messages, readers, qos = 0, eachStep = () => {}) {
      let sent = 0;
      let steps = 0;
      scene.until(
        () => {
          eachStep(++steps);
          // What the kernel's buffers would hold: a publisher that is held back does not write on.
          for (let i = 0; i < BURST && sent < messages; i++, sent++) {
            if (!publishers.every((publisher) => publisher.unread < MIB && publisher.mayPublish)) break;
            for (const [k, publisher] of publishers.entries())
              scene.publish(publisher, `a/${k}`, qos, MESSAGE_BYTES);
          }
          return sent === messages && readers.every(({ owed }) => owed.size === 0);
        },
        "the readers have everything",
        20_000,
      );
      return steps;
    },
  };
}

/** Bytes a second that the client reads. */
function pace(client: SimClient, bytesPerSecond: number): void {
  client.manners.readMax = (bytesPerSecond * STEP_MS) / 1000;
}

describe("a steady reader of # beside fast readers of a/+", () => {
  for (const qos of [0, 1] as const) {
    scenario(
      `that is much slower at QoS ${qos} paces them for no longer than the stall timeout; what it misses is counted`,
      (random) => {
        const { scene, run } = stage(random, 2);
        const shape = { id: "slow", version: random.pick([4, 5] as const), persistent: true };
        const slow = scene.subscriber({ ...shape, socket: { capacity: 50_000 } }, { "#": qos });
        const fast = [0, 1].map((i) =>
          scene.subscriber({ id: `fast-${i}`, socket: { capacity: 4 * MIB } }, { "a/+": qos }),
        );
        pace(slow, 200_000);
        // 20 MB: at the slow reader's pace it would take 10,000 steps.
        const steps = run(5_000, fast, qos);
        expect(steps).toBeLessThan(600);
        for (const reader of fast) expect(reader.taken.length).toBe(10_000);
        scene.settle();
        const { gapMessages, quotaMessages } = scene.world.router.stats;
        expect(slow.missing().length).toBeGreaterThan(1_000);
        expect(slow.missing().length).toBe(qos === 0 ? gapMessages : quotaMessages);
        scene.end();
      },
      1,
      2,
    );
  }

  scenario(
    "that is a little slower sets the pace and loses nothing",
    (random) => {
      const { scene, run } = stage(random, 2);
      const slow = scene.subscriber({ id: "slow", socket: { capacity: 400_000 } }, { "#": 0 });
      const fast = scene.subscriber({ id: "fast", socket: { capacity: 4 * MIB } }, { "a/+": 0 });
      pace(slow, 8_000_000);
      run(5_000, [fast, slow]);
      expect(scene.world.router.stats.gapMessages).toBe(0);
      scene.settle();
      scene.end();
    },
    1,
    2,
  );
});

describe("slow readers that are not the few", () => {
  scenario(
    "set the pace and lose nothing",
    (random) => {
      const { scene, run } = stage(random, 1);
      const slow = [0, 1, 2].map((i) =>
        scene.subscriber({ id: `slow-${i}`, socket: { capacity: 50_000 } }, { [i === 0 ? "#" : "a/+"]: 0 }),
      );
      const fast = scene.subscriber({ id: "fast", socket: { capacity: 4 * MIB } }, { "a/0": 0 });
      for (const reader of slow) pace(reader, 1_000_000);
      run(3_000, [...slow, fast]);
      expect(scene.world.router.stats.gapMessages).toBe(0);
      scene.settle();
      scene.end();
    },
    1,
    2,
  );
});

describe("many readers that move seldom", () => {
  /** Of so many each reads all that came at one step in a round, which grows to three stall timeouts. */
  const COUNT = 18;
  const ROUND_MAX = 30;

  function many(scene: Scene): SimClient[] {
    return Array.from({ length: COUNT }, (_, i) => {
      const shape = { id: `reader-${i}`, socket: { capacity: 200_000 } };
      return scene.subscriber(shape, { [["#", "a/+", "a/0"][i % 3]!]: 0 });
    });
  }

  const takeTurns = (readers: readonly SimClient[]) => (step: number) => {
    const round = Math.min(ROUND_MAX, 3 + step / 20);
    readers.forEach((reader, i) => {
      const isItsTurn = (step + (i / COUNT) * round) % round < 1;
      reader.manners.readMax = isItsTurn ? Number.POSITIVE_INFINITY : 0;
    });
  };

  scenario(
    "because there is too much for all of them lose nothing",
    (random) => {
      const { scene, run } = stage(random, 1, 16 * MIB);
      const readers = many(scene);
      run(5_000, readers, 0, takeTurns(readers));
      expect(scene.world.router.stats.gapMessages).toBe(0);
      for (const reader of readers) reader.manners.readMax = Number.POSITIVE_INFINITY;
      scene.settle();
      scene.end();
    },
    1,
    2,
  );

  scenario(
    "are waited for no longer than others when most of them never move",
    (random) => {
      const { scene, run } = stage(random, 1);
      const readers = many(scene);
      const dead = readers.filter((_, i) => i % 6 !== 0);
      const alive = readers.filter((_, i) => i % 6 === 0);
      for (const reader of dead) reader.manners.readMax = 0;
      const steps = run(3_000, alive);
      expect(steps).toBeLessThan(3_000 / BURST + (3 * STALL_MS) / STEP_MS);
      expect(alive.every((reader) => reader.missing().length === 0)).toBe(true);
      for (const reader of dead) reader.manners.readMax = Number.POSITIVE_INFINITY;
      scene.settle();
      scene.end();
    },
    1,
    2,
  );
});

scenario(
  "a share group that was left behind is waited for again when it has caught up",
  (random) => {
    const { scene, run } = stage(random, 1, 16 * MIB);
    const member = scene.subscriber({ id: "member", socket: { capacity: 50_000 } }, { "$share/g/a/+": 0 });
    const fast = scene.subscriber({ id: "fast", socket: { capacity: 4 * MIB } }, { "a/+": 0 });
    member.manners.readMax = 0;
    run(1_000, [fast]);
    const [group] = [...scene.world.router.groups.readers()];
    expect(group!.isLeftBehind).toBe(true);
    member.manners.readMax = Number.POSITIVE_INFINITY;
    scene.settle();
    expect(group!.isLeftBehind).toBe(false);
    scene.end();
  },
  1,
  2,
);
