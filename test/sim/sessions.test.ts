// Sessions under the simulation: quotas of those that are away, takeovers, retained replays, wills, share groups whose
// members die.

import { describe, expect, test } from "bun:test";
import { PROMPT, type SimClient } from "./client.ts";
import type { Sent } from "./ledger.ts";
import { withSeed } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB } from "./world.ts";

const SMALL = {
  router: { memoryBytes: 11 * MIB, paceDebtBytes: 256 * 1024 },
  listener: { packetBytesMax: 2 * MIB },
};

/** Publishes `count` messages as its window allows. */
function publishAll(scene: Scene, from: SimClient, count: number, next: (i: number) => Sent): Sent[] {
  const sent: Sent[] = [];
  scene.until(
    () => {
      while (sent.length < count && from.mayPublish) sent.push(next(sent.length));
      return sent.length === count && from.unacknowledged === 0 && from.isFlushed;
    },
    `${from.shape.id} has published ${count} messages`,
    5_000,
  );
  return sent;
}

describe("an offline session", () => {
  for (const by of ["messages", "bytes"] as const) {
    scenario(
      `over its quota of ${by} loses the oldest, counted`,
      (random) => {
        const quota = by === "messages" ? { queueMessagesMax: 50 } : { queueBytesMax: 50 * 1_000 };
        const scene = new Scene(random, { listener: quota });
        const away = scene.subscriber(
          { id: "away", persistent: true, version: random.pick([4, 5]) },
          { "t/#": 1 },
        );
        const publisher = scene.publisher({ id: "publisher" });
        away.leave();
        scene.steps(5);
        const sent = publishAll(scene, publisher, 80, (i) => scene.publish(publisher, `t/${i % 3}`, 1, 980));
        scene.steps(200);
        const { quotaMessages } = scene.world.router.stats; // counted while it is away, though there is room
        scene.settle();
        expect(scene.world.router.stats.quotaMessages).toBe(quotaMessages);
        if (by === "messages") expect(quotaMessages).toBe(30);
        else expect(quotaMessages).toBeWithin(25, 36);
        expect(away.taken.map(({ message }) => message.index)).toEqual(
          sent.slice(quotaMessages).map((m) => m.index),
        );
        scene.end();
      },
      1,
      2,
    );
  }

  scenario(
    "among many that fill the log loses its oldest; who is there loses nothing",
    (random) => {
      const scene = new Scene(random, { ...SMALL, auditEvery: 3 });
      const away: SimClient[] = [];
      for (let i = 0; i < 30; i++) {
        const filters: Record<string, 0 | 1 | 2> = { [`own/${i}/#`]: 1 };
        if (i % 3 === 0) filters["all/#"] = 2;
        away.push(
          scene.subscriber({ id: `away-${i}`, persistent: true, version: random.pick([4, 5]) }, filters),
        );
      }
      for (const client of away) client.leave();
      const live = scene.subscriber({ id: "live" }, { "own/#": 1, "all/#": 1 });
      const publisher = scene.publisher({ id: "publisher", window: 50 });
      publishAll(scene, publisher, 3_000, () =>
        random.chance(0.1)
          ? scene.publish(publisher, "all/x", 2, random.pick([100, 3_000]))
          : scene.publish(publisher, `own/${random.below(30)}/x`, 1, random.pick([10, 1_000, 3_000])),
      );
      scene.until(() => live.owed.size === 0, "who is there has everything");
      scene.settle();
      expect(live.taken.length).toBe(3_000);
      scene.end();
    },
    1,
    2,
  );
});

describe("takeover storms", () => {
  for (const qos of [0, 1, 2] as const) {
    scenario(
      `at QoS ${qos}: every frame is whole, nothing owed is lost`,
      (random) => {
        const scene = new Scene(random);
        const socket = { capacity: 3_000, cutChance: 0.5 };
        const version = random.pick([4, 5] as const);
        const victim = scene.subscriber({ id: "victim", version, persistent: true, socket }, { "t/#": qos });
        const publisher = scene.publisher({ id: "publisher", window: 50 });
        for (let round = 0; round < 300; round++) {
          if (round % 5 === 0) victim.manners.readMax = random.pick([0, 50, 500, 5_000]);
          while (publisher.mayPublish && random.chance(0.8)) {
            scene.publish(
              publisher,
              `t/${random.below(2)}`,
              random.pick([0, qos]),
              random.pick([10, 300, 2_000]),
            );
          }
          if (random.chance(0.2)) victim.takeOver();
          scene.step();
        }
        scene.settle();
        if (version === 5) expect(victim.ghostReasons.every((reason) => reason === 0x8e)).toBe(true);
        scene.end();
      },
      1,
      2,
      3,
      5,
    );
  }
});

describe("retained replay", () => {
  scenario(
    "to slow readers delivers every match once, paced by their windows, beside live messages",
    (random) => {
      const scene = new Scene(random, { auditEvery: 3 });
      const publisher = scene.publisher({ id: "publisher", version: random.pick([4, 5]), window: 50 });
      const kept = publishAll(scene, publisher, 700, (i) =>
        publisher.publish(
          `r/${i}`,
          random.pick([0, 1, 2]),
          random.pick([10, 200, 4_000]),
          scene.clients,
          true,
        ),
      );
      const readers = ([0, 1, 2] as const).map((qos) => {
        const socket = { capacity: random.pick([500, 5_000]), cutChance: 0.3 };
        const shape = {
          id: `reader-${qos}`,
          version: random.pick([4, 5] as const),
          receiveMaximum: 7,
          socket,
        };
        const reader = scene.client(shape);
        reader.connect();
        reader.manners.readMax = random.pick([2_000, 20_000]);
        reader.manners.ackChance = 0.7;
        reader.subscribe("r/#", qos);
        return reader;
      });
      scene.steps(20);
      publishAll(scene, publisher, 100, (i) => scene.publish(publisher, `r/live/${i % 4}`, 1, 100));
      const isDone = () => readers.every((reader) => reader.retained.length >= kept.length);
      scene.until(isDone, "every retained message came", 6_000);
      scene.settle();
      for (const reader of readers) {
        const indexes = reader.retained.map(({ message }) => message.index);
        expect(new Set(indexes).size).toBe(kept.length);
        expect(indexes.length).toBe(kept.length);
      }
      scene.end();
    },
    1,
    2,
    3,
  );
});

describe("retained replays to many at once", () => {
  scenario(
    "wait for each other's room: every match is delivered once, and nothing else gives way",
    (random) => {
      const scene = new Scene(random, { ...SMALL, auditEvery: 5 });
      const publisher = scene.publisher({ id: "publisher", window: 50 });
      const kept = publishAll(scene, publisher, 1_500, (i) =>
        publisher.publish(`r/${i}`, 1, 300, scene.clients, true),
      );
      const readers = Array.from({ length: 40 }, (_, i) => {
        const reader = scene.client({ id: `reader-${i}`, version: random.pick([4, 5] as const) });
        reader.connect();
        reader.manners.readMax = random.pick([5_000, 20_000, 100_000]);
        reader.manners.ackChance = random.pick([0.3, 1]);
        reader.subscribe("r/#", 1);
        return reader;
      });
      const isDone = () => readers.every((reader) => reader.retained.length >= kept.length);
      scene.until(isDone, "every retained message came", 6_000);
      for (const reader of readers) {
        const indexes = reader.retained.map(({ message }) => message.index);
        expect(new Set(indexes).size).toBe(kept.length);
      }
      const { quotaMessages, gapMessages } = scene.world.router.stats;
      expect([quotaMessages, gapMessages]).toEqual([0, 0]);
      scene.settle();
      scene.end();
    },
    1,
    2,
  );
});

describe("wills", () => {
  scenario(
    "go out once when the connection is lost, never after DISCONNECT",
    (random) => {
      const scene = new Scene(random);
      const reader = scene.subscriber({ id: "reader", socket: { cutChance: 0.5 } }, { "will/#": 2 });
      const expected: string[] = [];
      for (let i = 0; i < 30; i++) {
        const qos = random.pick([0, 1, 2] as const);
        const topic = `will/${i}`;
        const dying = scene.client({
          id: `dying-${i}`,
          version: random.pick([4, 5]),
          will: { topic, qos, size: 50 },
        });
        dying.connect();
        scene.until(() => dying.connected, "it is connected");
        if (random.chance(0.5)) {
          dying.cut();
          expected.push(topic);
        } else dying.leave();
        scene.steps(random.below(4));
        scene.clients.pop();
      }
      scene.settle();
      expect(reader.taken.map(({ message }) => message.topic).sort()).toEqual(expected.sort());
      scene.end();
    },
    1,
    2,
  );

  test("a delayed will goes out when its delay is over, and not when the client came back", () => {
    withSeed(1, (random) => {
      const scene = new Scene(random);
      const reader = scene.subscriber({ id: "reader" }, { "will/#": 1 });
      const make = (id: string) => {
        const will = { topic: `will/${id}`, qos: 1, size: 20, delay: 5 } as const;
        const client = scene.client({ id, version: 5, persistent: true, will });
        client.connect();
        scene.until(() => client.connected, "it is connected");
        return client;
      };
      const back = make("back");
      const gone = make("gone");
      back.cut();
      gone.cut();
      scene.steps(300);
      expect(reader.taken.length).toBe(0);
      back.connect();
      scene.steps(400);
      expect(reader.taken.map(({ message }) => message.topic)).toEqual(["will/gone"]);
    });
  });
});

describe("share group members that die", () => {
  for (const small of [false, true]) {
    scenario(
      small ? "while the log rolls past what they held" : "hand QoS 1 on, keep QoS 2",
      (random) => {
        const scene = new Scene(random, small ? { ...SMALL, auditEvery: 5 } : {});
        const members = [0, 1, 2, 3].map((i) =>
          scene.subscriber(
            {
              id: `member-${i}`,
              version: random.pick([4, 5]),
              persistent: i % 2 === 0,
              isMember: true,
              socket: { capacity: random.pick([2_000, 100_000]), cutChance: 0.3 },
            },
            { "$share/g/t/#": 2 },
          ),
        );
        const flooded = scene.subscriber({ id: "flooded", socket: { capacity: MIB } }, { flood: 0 });
        for (const member of members) Object.assign(member.manners, { ackChance: 0.3, ackShuffled: true });
        const publisher = scene.publisher({ id: "publisher", window: 20 });
        const flood = scene.publisher({ id: "flood" });
        const sent: Sent[] = [];
        for (let round = 0; round < 200; round++) {
          for (let burst = random.below(4); burst > 0 && publisher.mayPublish; burst--) {
            sent.push(
              scene.publish(
                publisher,
                `t/${burst}`,
                random.pick([1, 2]),
                random.pick([10, 300, small && random.chance(0.2) ? 70_000 : 3_000]),
              ),
            );
          }
          if (small) for (let i = 0; i < 10; i++) scene.publish(flood, "flood", 0, 7_000);
          const member = random.pick(members);
          if (random.chance(0.1)) {
            if (member.connected) member.cut();
            else if (member.connection === null) {
              member.connect();
              member.subscribe("$share/g/t/#", 2);
            }
          }
          scene.step();
        }
        for (const member of members) {
          Object.assign(member.manners, PROMPT);
          if (member.connected) continue;
          member.connect();
          member.subscribe("$share/g/t/#", 2);
        }
        const holders = new Map<number, number>();
        const isDone = () => {
          holders.clear();
          for (const { taken } of members) {
            for (const { message } of taken)
              holders.set(message.index, (holders.get(message.index) ?? 0) + 1);
          }
          return sent.every((message) => message.qos === 2 || holders.has(message.index));
        };
        scene.until(isDone, "all QoS 1 messages were delivered", 3_000);
        scene.steps(100);
        isDone();
        // A QoS 2 message may die with the session that it was sent to, but nobody else gets it. [MQTT-4.8.2-5]
        for (const { index, qos } of sent) if (qos === 2) expect(holders.get(index) ?? 0).toBeLessThan(2);
        scene.settle();
        expect(flooded.missing()).toEqual([]);
        scene.end();
      },
      1,
      2,
      3,
    );
  }
});
