// Pressure: readers slower than their publishers, in every way that the pacing, the retention and the budgets know.

import { describe, expect, test } from "bun:test";
import type { SimClient } from "./client.ts";
import { withSeed } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB } from "./world.ts";

const SMALL = {
  router: { memoryBytes: 11 * MIB, paceDebtBytes: 256 * 1024 },
  listener: { packetBytesMax: 2 * MIB },
};

/** Steps in which the client's connection stood paused. */
class PauseCounter {
  steps = 0;
  private readonly scene: Scene;
  private readonly client: SimClient;

  constructor(scene: Scene, client: SimClient) {
    this.scene = scene;
    this.client = client;
  }

  look(): void {
    const { connection } = this.client;
    if (connection !== null && this.scene.world.paused.has(connection)) this.steps++;
  }
}

describe("a quiet filter beside a flood", () => {
  scenario(
    "its slow reader is not overrun and holds nobody",
    (random) => {
      const scene = new Scene(random, SMALL);
      const slow = scene.subscriber(
        { id: "slow", version: random.pick([4, 5]), socket: { capacity: 300 } },
        { "quiet/#": 0 },
      );
      const healthy = scene.subscriber({ id: "healthy", socket: { capacity: MIB } }, { "flood/#": 0 });
      const quiet = scene.publisher({ id: "quiet" });
      const flood = scene.publisher({ id: "flood" });
      const pauses = new PauseCounter(scene, flood);
      slow.manners.readMax = 20;
      for (let step = 0; step < 200; step++) {
        if (step % 2 === 0) scene.publish(quiet, `quiet/${step % 3}`, 0, 100);
        for (let i = 0; i < 10; i++) scene.publish(flood, "flood/x", 0, 8_000);
        scene.step();
        pauses.look();
      }
      expect(slow.missing().length).toBeGreaterThan(30);
      expect(healthy.missing().length).toBeLessThan(100);
      expect(pauses.steps).toBe(0);
      scene.settle();
      expect(scene.world.router.stats.gapMessages).toBe(0);
      scene.end();
    },
    1,
    2,
    3,
  );
});

describe("a flood at QoS 1 for a client that acknowledges", () => {
  scenario(
    "waits for it rather than for its quota",
    (random) => {
      const scene = new Scene(random, {
        router: { memoryBytes: 64 * MIB, paceDebtBytes: 256 * 1024 },
        listener: { packetBytesMax: 2 * MIB, queueMessagesMax: 4_000, queueBytesMax: 4 * MIB },
      });
      const version = random.pick([4, 5] as const);
      const reader = scene.subscriber(
        { id: "reader", version, window: 8, socket: { capacity: MIB } },
        { "a/#": 1 },
      );
      reader.manners.readMax = 20_000;
      const flood = Array.from({ length: 8 }, (_, i) => scene.publisher({ id: `flood${i}`, window: 20 }));
      let left = 6_000;
      scene.until(
        () => {
          for (const [i, from] of flood.entries()) {
            for (let burst = 0; burst < 20 && left > 0 && from.mayPublish; burst++, left--) {
              scene.publish(from, `a/${i}`, 1, 1_000);
            }
          }
          return left === 0 && reader.owed.size === 0;
        },
        "all is delivered at the pace of the reader's window",
        20_000,
      );
      expect(scene.world.router.stats.quotaMessages).toBe(0);
      scene.end();
    },
    1,
    2,
  );
});

describe("two clients that publish to each other at QoS 1", () => {
  scenario(
    "never wait for each other for ever",
    (random) => {
      const scene = new Scene(random, SMALL);
      const version = random.pick([4, 5] as const);
      const socket = { capacity: 2_000, cutChance: 0.3, chunkMax: 50_000 };
      const a = scene.subscriber({ id: "a", version, window: 50, receiveMaximum: 10, socket }, { "to/a": 1 });
      const b = scene.subscriber({ id: "b", window: 50, socket }, { "to/b": 1 });
      for (const client of [a, b]) client.manners.readMax = 3_000;
      let left = 400;
      scene.until(
        () => {
          for (const [from, topic] of [
            [a, "to/b"],
            [b, "to/a"],
          ] as const) {
            while (left > 0 && from.mayPublish) {
              scene.publish(from, topic, 1, random.pick([10, 1_000, 8_000]));
              left--;
            }
          }
          return left === 0 && a.owed.size === 0 && b.owed.size === 0;
        },
        "all is delivered at the pace of slow readers",
        4_000,
      );
      expect(scene.world.router.stats.quotaMessages).toBe(0);
      scene.settle();
      scene.end();
    },
    1,
    2,
    3,
    4,
  );
});

describe("a paced publisher", () => {
  for (const chunkMax of [20_000, 512 * 1024]) {
    scenario(
      `keeps its connection past its Keep Alive and loses nothing, chunks of ${chunkMax} bytes`,
      (random) => {
        const scene = new Scene(random, SMALL);
        const reader = scene.subscriber({ id: "reader", socket: { capacity: 20_000 } }, { t: 0 });
        const version = random.pick([4, 5] as const);
        const publisher = scene.publisher({ id: "publisher", keepalive: 2, version, socket: { chunkMax } });
        const pauses = new PauseCounter(scene, publisher);
        reader.manners.readMax = 4_000;
        for (let i = 0; i < 3_000; i++) scene.publish(publisher, "t", 0, 2_000);
        for (let step = 0; step < 1_200; step++) {
          if (step % 100 === 0) publisher.ping();
          scene.step();
          pauses.look();
        }
        expect(publisher.connected).toBe(true);
        expect(scene.world.endings).toEqual([]);
        expect(pauses.steps).toBeGreaterThan(300);
        scene.settle();
        expect(scene.world.router.stats.gapMessages).toBe(0);
        scene.end();
      },
      1,
      2,
    );
  }

  test("a client that is silent past one and a half Keep Alives is closed", () => {
    withSeed(1, (random) => {
      const scene = new Scene(random, SMALL);
      const silent = scene.publisher({ id: "silent", keepalive: 2 });
      scene.steps(280);
      expect(silent.connected).toBe(true);
      scene.steps(150);
      expect(silent.connected).toBe(false);
    });
  });

  scenario(
    "is let go when its only reader has stalled",
    (random) => {
      const scene = new Scene(random, { ...SMALL, router: { ...SMALL.router, stallMs: 1_000 } });
      const reader = scene.subscriber({ id: "reader", socket: { capacity: 20_000 } }, { t: 0 });
      const publisher = scene.publisher({ id: "publisher", socket: { chunkMax: 20_000 } });
      reader.manners.readMax = 0;
      for (let i = 0; i < 1_000; i++) scene.publish(publisher, "t", 0, 2_000);
      scene.steps(300);
      expect(publisher.isFlushed).toBe(true);
      expect(scene.world.paused.size).toBe(0);
      scene.settle();
      scene.end();
    },
    1,
    2,
  );
});

describe("a packet as large as allowed", () => {
  for (const [from, to] of [
    [4, 4],
    [4, 5],
    [5, 4],
    [5, 5],
  ] as const) {
    scenario(
      `v${from} → v${to} at every QoS`,
      (random) => {
        const scene = new Scene(random, { auditEvery: 5 });
        const socket = { capacity: 100_000, cutChance: 0.2 };
        const readers = ([0, 1, 2] as const).map((qos) =>
          scene.subscriber({ id: `reader-${qos}`, version: to, socket }, { "large/#": qos }),
        );
        const publisher = scene.publisher({ id: "publisher", version: from, socket: { chunkMax: 300_000 } });
        const topic = "large/topic";
        for (const qos of [0, 1, 2] as const) {
          const overhead = 1 + 4 + 2 + topic.length + (qos > 0 ? 2 : 0) + (from === 5 ? 1 : 0);
          scene.publish(publisher, topic, qos, 4 * MIB - overhead);
          scene.publish(publisher, topic, qos, 10);
          scene.steps(20);
        }
        scene.settle();
        expect(publisher.connections).toBe(1);
        expect(publisher.refused).toBe(0);
        expect(readers.map((reader) => reader.taken.length)).toEqual([6, 6, 6]);
        scene.end();
      },
      1,
    );
  }
});

describe("100 publishers whose chunks arrive in one poll", () => {
  const kinds = [
    { title: "large chunks, none behind a pause", socket: { lateChance: 0 }, messages: 32, bytes: 8_000 },
    {
      title: "chunks of which some come behind a pause",
      socket: { chunkMax: 32_768 },
      messages: 16,
      bytes: 8_000,
    },
    { title: "small messages", socket: { lateChance: 0 }, messages: 100, bytes: 64 },
  ];
  for (const { title, socket, messages, bytes } of kinds) {
    scenario(
      `${title}: nothing is lost`,
      (random) => {
        const scene = new Scene(random, { auditEvery: 5 });
        const reader = scene.subscriber({ id: "reader", socket: { capacity: 2 * MIB } }, { "fan/#": 0 });
        const publishers: SimClient[] = [];
        for (let i = 0; i < 100; i++) {
          const publisher = scene.client({ id: `publisher-${i}`, version: random.pick([4, 5]), socket });
          publisher.connect();
          publishers.push(publisher);
        }
        scene.until(
          () => publishers.every((publisher) => publisher.connected),
          "the publishers are connected",
        );
        for (const publisher of publishers) {
          for (let i = 0; i < messages; i++) scene.publish(publisher, `fan/${publisher.shape.id}`, 0, bytes);
        }
        scene.until(() => reader.taken.length === 100 * messages, "everything has come", 3_000);
        scene.settle();
        expect(scene.world.endings).toEqual([]);
        scene.end();
      },
      1,
      2,
    );
  }
});

describe("100 publishers at QoS 1 that fill the log for one client", () => {
  scenario(
    "wait, and its acknowledgements, which make room, do not",
    (random) => {
      const scene = new Scene(random, SMALL);
      const socket = { capacity: MIB };
      const reader = scene.subscriber(
        { id: "reader", receiveMaximum: 20, version: 5, socket },
        { "fan/#": 1 },
      );
      const publishers = Array.from({ length: 100 }, (_, i) =>
        scene.publisher({ id: `publisher-${i}`, window: 64, socket: { lateChance: 0 } }),
      );
      const held = new PauseCounter(scene, reader);
      let fullest = 1;
      let left = 8_000;
      scene.until(
        () => {
          for (const publisher of publishers) {
            for (let burst = 0; burst < 64 && left > 0 && publisher.mayPublish; burst++, left--)
              scene.publish(publisher, `fan/${publisher.shape.id}`, 1, 4_000);
          }
          held.look();
          const { log, budgets } = scene.world.router;
          fullest = Math.min(fullest, log.freeBytes / budgets.log.bytesMax);
          return left === 0 && reader.owed.size === 0;
        },
        "all is delivered at the pace of the reader's window",
        20_000,
      );
      expect(fullest).toBeLessThan(0.4);
      expect(held.steps).toBe(0);
      expect(scene.world.router.stats.quotaMessages).toBe(0);
      scene.end();
    },
    1,
    2,
  );
});

describe("many filters whose small debts fill the log together", () => {
  scenario(
    "hold all publishers: none is closed and nothing is dropped",
    (random) => {
      const scene = new Scene(random, SMALL);
      const topics = Array.from({ length: 50 }, (_, i) => `fan/${i}`);
      const filters = Object.fromEntries(topics.map((topic) => [topic, 1 as const]));
      const readers = [4, 5].map((version) =>
        scene.subscriber(
          { id: `reader-${version}`, version: version as 4 | 5, socket: { capacity: MIB } },
          filters,
        ),
      );
      for (const reader of readers) reader.manners.readMax = 60_000;
      const publishers = topics.map((_, i) =>
        scene.publisher({ id: `publisher-${i}`, window: 64, socket: { lateChance: 0 } }),
      );
      let left = 6_000;
      scene.until(
        () => {
          for (const [i, publisher] of publishers.entries()) {
            for (let burst = 0; burst < 64 && left > 0 && publisher.mayPublish; burst++, left--)
              scene.publish(publisher, topics[i]!, 1, 2_000);
          }
          return left === 0 && readers.every(({ owed }) => owed.size === 0);
        },
        "all is delivered at the pace of the readers",
        20_000,
      );
      const { stats } = scene.world.router;
      expect([scene.world.endings.length, stats.quotaMessages, stats.refusedPublishes]).toEqual([0, 0, 0]);
      scene.end();
    },
    1,
    2,
    3,
  );
});

describe("a subscriber that never reads", () => {
  for (const qos of [0, 1] as const) {
    scenario(
      `at QoS ${qos} costs nobody else anything, and its gap is counted`,
      (random) => {
        const scene = new Scene(random, { ...SMALL, router: { ...SMALL.router, stallMs: 500 } });
        const socket = { capacity: random.pick([100, 5_000, 60_000]) };
        const deaf = scene.subscriber({ id: "deaf", version: random.pick([4, 5]), socket }, { "t/#": qos });
        const healthy = scene.subscriber({ id: "healthy", socket: { capacity: MIB } }, { "t/#": qos });
        const publisher = scene.publisher({ id: "publisher", window: 100 });
        deaf.manners.readMax = 0;
        let left = 4_000;
        scene.until(
          () => {
            for (let i = 0; i < 20 && left > 0 && publisher.mayPublish; i++, left--) {
              scene.publish(publisher, `t/${random.below(3)}`, qos, random.pick([100, 2_000, 4_000]));
            }
            return left === 0 && healthy.owed.size === 0;
          },
          "the healthy reader has everything",
          3_000,
        );
        expect(healthy.taken.length).toBe(4_000);
        expect(deaf.missing().length).toBeGreaterThan(3_000);
        scene.settle();
        const { stats } = scene.world.router;
        expect(qos === 0 ? stats.gapMessages : stats.quotaMessages).toBeGreaterThan(0);
        scene.end();
      },
      1,
      2,
      3,
    );
  }
});

describe("rests of cut frames beyond their budget", () => {
  scenario(
    "lie in the log: nobody is closed, nothing owed is lost and nothing is left behind",
    (random) => {
      const scene = new Scene(random, {
        router: { memoryBytes: 8 * MIB },
        listener: { packetBytesMax: 2 * MIB, queueMessagesMax: 100_000 },
      });
      const readers: SimClient[] = [];
      for (let i = 0; i < 20; i++) {
        const shape = {
          id: `reader-${i}`,
          version: 5,
          persistent: true,
          socket: { capacity: 30_000 },
        } as const;
        const reader = scene.subscriber(shape, { "t/#": random.pick([1, 2]) });
        reader.manners.readMax = 0;
        readers.push(reader);
      }
      const publisher = scene.publisher({ id: "publisher" });
      for (let i = 0; i < 12; i++) scene.publish(publisher, `t/${i % 2}`, random.pick([0, 1, 2]), 60_000);
      scene.steps(50);
      const { residue } = scene.world.router.budgets;
      expect(residue.used).toBeWithin(residue.bytesMax / 4, residue.bytesMax);
      expect(scene.world.endings).toEqual([]);
      for (const reader of readers) if (random.chance(0.3)) reader.unsubscribe("t/#");
      scene.steps(50);
      for (const reader of readers) {
        if (random.chance(0.5)) reader.cut();
        else reader.manners.readMax = 10_000;
      }
      scene.steps(100);
      for (let i = 0; i < 10; i++) scene.publish(publisher, `t/${i % 2}`, random.pick([0, 1, 2]), 5_000);
      scene.settle();
      scene.end();
    },
    1,
    2,
    3,
  );
});

describe("a subscriber that reads but never acknowledges", () => {
  scenario(
    "does not stop the others, though what it was sent fills the log",
    (random) => {
      const scene = new Scene(random, { router: { stallMs: 500 } });
      const greedy = scene.subscriber(
        { id: "greedy", version: 5, socket: { capacity: MIB } },
        { "big/#": 1 },
      );
      const modest = scene.subscriber({ id: "modest", socket: { capacity: MIB } }, { "small/#": 1 });
      const big = scene.publisher({ id: "big", version: random.pick([4, 5]), window: 10 });
      const small = scene.publisher({ id: "small", window: 10 });
      greedy.manners.ackChance = 0;
      for (let i = 0; i < 40; i++) scene.publish(big, "big/x", 1, 300_000);
      scene.steps(50);
      let left = 50;
      scene.until(
        () => {
          // A publisher whose messages find no room may be closed: it comes back and sends them again.
          if (small.isAway) small.connect();
          for (; left > 0 && small.mayPublish; left--) scene.publish(small, "small/x", 1, 20_000);
          return left === 0 && modest.owed.size === 0;
        },
        "the others' messages are delivered",
        3_000,
      );
      expect(new Set(modest.taken.map(({ message }) => message.index)).size).toBe(50);
    },
    1,
    2,
    3,
    4,
  );
});

describe("subscribers that stop reading within large frames", () => {
  scenario(
    "do not hold the log for ever",
    (random) => {
      const scene = new Scene(random, { router: { stallMs: 500 } });
      const healthy = scene.subscriber({ id: "healthy", socket: { capacity: MIB } }, { flood: 0 });
      const publisher = scene.publisher({ id: "publisher", version: 4, socket: { chunkMax: 100_000 } });
      const deaf: SimClient[] = [];
      for (let i = 0; i < 30; i++) {
        // Rendered, because of the version: what the socket did not take of it lies in the log.
        const shape = { id: `deaf-${i}`, version: 5, socket: { capacity: 1_000 } } as const;
        deaf.push(scene.subscriber(shape, { [`large/${i}`]: 0 }));
        deaf[i]!.manners.readMax = 0;
        scene.publish(publisher, `large/${i}`, 0, 100_000);
        for (let k = 0; k < 5; k++) scene.publish(publisher, "flood", 0, 50_000);
        scene.steps(5);
      }
      for (let i = 0; i < 100; i++) scene.publish(publisher, "flood", 0, 50_000);
      scene.until(() => healthy.owed.size === 0, "the healthy reader has everything", 3_000);
      expect(healthy.taken.length).toBe(250);
      for (const client of deaf) if (client.connected) client.cut();
    },
    1,
    2,
  );
});
