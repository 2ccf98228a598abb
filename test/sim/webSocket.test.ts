// WebSockets in the simulation: clients over them beside clients over TCP, with sockets that take what they like.

import { describe } from "bun:test";
import type { Random } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB, type WorldShape } from "./world.ts";

const SEEDS = [31, 32, 33];
const TOPICS = ["a", "a/b", "b"];
const FILTERS = ["a", "a/#", "+/b", "#", "b"];
const ROUNDS = 120;
/** The largest chunk that one poll delivers, bytes. */
const UPLINKS = [7, 50, 1_000, 500_000];
/** What such a client sends meanwhile comes in few chunks, once it may. */
const SLOW_UPLINKS = [1, 50, 1_000, 500_000];

/** Rests of cut frames have little room: some that do not read give way. */
const TIGHT: WorldShape = {
  router: { memoryBytes: 5 * MIB, paceDebtBytes: 128 * 1024, stallMs: 500 },
  listener: { packetBytesMax: MIB / 2, queueMessagesMax: 200 },
};

function mix(random: Random, shape: WorldShape = {}, comings = false, uplinks = UPLINKS): void {
  const scene = new Scene(random, shape);
  const clients = Array.from({ length: random.between(3, 12) }, (_, index) => {
    const client = scene.client({
      id: `client-${index}`,
      version: random.pick([4, 5]),
      persistent: random.chance(0.3),
      window: random.between(1, 30),
      socket: {
        webSocket: index % 4 !== 0,
        capacity: random.pick([300, 4_000, 64_000, 1_000_000]),
        cutChance: random.pick([0, 0.2, 0.7]),
        chunkMax: random.pick(uplinks),
      },
    });
    client.connect();
    return client;
  });
  scene.until(() => clients.every((client) => client.connected), "all are connected");
  let subscriptions = 0;
  for (const client of clients) {
    const filters = random.shuffle([...FILTERS]).slice(0, random.below(4));
    for (const filter of filters) client.subscribe(filter, random.pick([0, 1, 2] as const));
    subscriptions += filters.length;
  }
  const granted = () => clients.reduce((sum, { filters }) => sum + filters.size, 0);
  scene.until(() => granted() === subscriptions, "all subscriptions stand");
  for (let round = 0; round < ROUNDS; round++) {
    for (const client of clients) {
      if (!client.connected) {
        if (client.connection === null && random.chance(0.3)) client.connect();
        continue;
      }
      const dice = random.below(100);
      if (dice < 3) client.manners.readMax = random.pick([0, 100, 5_000, Number.POSITIVE_INFINITY]);
      else if (dice < 5) client.ping();
      else if (dice < 6 && comings) client.cut();
      else if (dice < 7 && comings) client.leave();
      else if (dice < 40) {
        const qos = random.pick([0, 0, 1, 2] as const);
        for (let burst = random.pick([1, 5, 30]); burst > 0 && client.mayPublish; burst--) {
          scene.publish(client, random.pick(TOPICS), qos, random.pick([4, 60, 500, 3_000, 20_000]));
        }
      }
    }
    scene.step(random.pick([0, 1, 10, 300]));
  }
  scene.settle();
  scene.end();
}

describe("over WebSockets", () => {
  scenario("clients that stay", (random) => mix(random), ...SEEDS);
  scenario("clients that come and go", (random) => mix(random, {}, true), ...SEEDS);
  scenario("clients in little memory", (random) => mix(random, TIGHT, true), ...SEEDS);
  // The log fills with what clients were sent whose acknowledgements lie behind what they publish.
  scenario("a byte at a time", (random) => mix(random, {}, false, SLOW_UPLINKS), 173);
  scenario("a byte at a time, coming", (random) => mix(random, {}, true, SLOW_UPLINKS), 119, 135, 294);
});
