// The random mix: clients of every kind that come and go, subscribe and change their minds, read slowly or not at all,
// acknowledge late and out of order, over sockets that take what they like.

import { describe } from "bun:test";
import type { SimClient } from "./client.ts";
import type { Random } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB, type WorldShape } from "./world.ts";

const ROUNDS = 150;
const TIGHT_SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 23, 52];
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 21, 79, 89];
const TOPICS = ["a", "a/b", "a/b/c", "b", "b/c", "c"];
const FILTERS = ["a", "a/#", "a/+", "a/b", "+/b", "b/#", "#", "c", "+"];
const SIZES = [4, 10, 60, 130, 500, 3_000, 20_000];

/** A log of little more than a megabyte: readers that lag are cut short, those that are away lose their oldest. */
const TIGHT: WorldShape = {
  router: { memoryBytes: 5 * MIB, paceDebtBytes: 128 * 1024, stallMs: 500 },
  listener: { packetBytesMax: MIB / 2, queueMessagesMax: 200 },
};

function qosOf(random: Random): 0 | 1 | 2 {
  return random.pick([0, 1, 2] as const);
}

function newClient(scene: Scene, index: number, steady: boolean): SimClient {
  const { random } = scene;
  const client = scene.client({
    id: `client-${index}`,
    version: random.pick([4, 5]),
    persistent: random.chance(0.5),
    window: random.between(1, 30),
    receiveMaximum: random.pick([1, 3, 20, 1_000]),
    ...(!steady && random.chance(0.3) ? { maximumPacketSize: random.pick([200, 2_000]) } : {}),
    socket: {
      capacity: random.pick([300, 4_000, 64_000, 1_000_000]),
      cutChance: random.pick([0, 0.2, 0.7]),
      chunkMax: random.pick(steady ? [1_000, 500_000] : [1, 50, 1_000, 500_000]),
    },
  });
  client.connect();
  return client;
}

function changeManners(random: Random, client: SimClient): void {
  client.manners.readMax = random.pick([0, 100, 5_000, Number.POSITIVE_INFINITY]);
  client.manners.ackChance = random.pick([0, 0.1, 0.5, 1]);
  client.manners.ackShuffled = random.chance(0.5);
}

function doSomething(scene: Scene, client: SimClient, comings: boolean, steady: boolean): void {
  const { random } = scene;
  if (!client.connected) {
    if (comings && client.connection === null && random.chance(0.3)) client.connect();
    return;
  }
  const dice = steady ? random.between(4, 99) : random.below(100);
  if (dice < 3) client.subscribe(random.pick(FILTERS), qosOf(random), { noLocal: random.chance(0.2) });
  else if (dice < 4) {
    const filters = [...client.filters.keys()];
    if (filters.length > 0) client.unsubscribe(random.pick(filters));
  } else if (dice < 7) changeManners(random, client);
  else if (dice < 8 && comings) client.cut();
  else if (dice < 9 && comings) client.leave();
  else if (dice < 10) client.ping();
  else if (dice < 40) {
    for (let burst = random.pick([1, 1, 5, 30]); burst > 0 && client.mayPublish; burst--) {
      scene.publish(client, random.pick(TOPICS), qosOf(random), random.pick(SIZES));
    }
  }
}

/** `steady`: who subscribes to what does not change, so that what is skipped can be counted. */
function mix(random: Random, comings: boolean, shape: WorldShape = {}, steady = false): void {
  const scene = new Scene(random, shape);
  const clients: SimClient[] = [];
  for (let i = 0; i < random.between(3, 10); i++) clients.push(newClient(scene, i, steady));
  if (steady) {
    scene.until(() => clients.every((client) => client.connected), "all are connected");
    for (const client of clients) {
      for (const filter of random.shuffle([...FILTERS]).slice(0, random.below(4)))
        client.subscribe(filter, qosOf(random));
    }
    scene.steps(30);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const client of clients) doSomething(scene, client, comings, steady);
    scene.step(random.pick([0, 1, 10, 300]));
  }
  scene.settle();
  scene.end();
}

describe("random mix", () => {
  scenario("of clients that stay", (random) => mix(random, false), ...SEEDS);
  scenario("of clients that come and go", (random) => mix(random, true), ...SEEDS);
  scenario("in little memory", (random) => mix(random, false, TIGHT, true), ...TIGHT_SEEDS);
  scenario(
    "in little memory, of clients that come and go",
    (random) => mix(random, true, TIGHT, true),
    ...SEEDS,
  );
});
