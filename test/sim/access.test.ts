// Clients that are judged, at once or much later: they come and go, take over and say things right behind their
// CONNECT meanwhile, and everything that holds for clients that are let in at once holds for them.

import { describe, expect } from "bun:test";
import type { Access, ConnectAttempt, Exchange, Grant, Verdict } from "../../src/net/access.ts";
import { grantTo } from "../support/fakeAccess.ts";
import type { SimClient } from "./client.ts";
import type { Random } from "./random.ts";
import { scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";
import { MIB, type World, type WorldShape } from "./world.ts";

const ROUNDS = 200;
const TOPICS = ["a", "a/b", "b", "c"];
const FILTERS = ["a", "a/#", "+", "b", "#"];
const SIZES = [4, 60, 3_000, 40_000];
/** Shorter than the time for CONNECT, however the steps fall. */
const DELAYS_MS = [0, 1, 30, 700, 3_000];

const TIGHT: WorldShape = {
  router: { memoryBytes: 6 * MIB, paceDebtBytes: 128 * 1024, stallMs: 500 },
  listener: { packetBytesMax: MIB / 2, queueMessagesMax: 200 },
};

/** Lets everybody in, some at once, most after a while on the world's clock. */
class SlowAccess implements Access {
  later = 0;
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  judge(_attempt: ConnectAttempt): Verdict | Promise<Verdict> {
    const { clock, scheduler, random } = this.world;
    if (random.chance(0.2)) return grantTo("");
    const dueMs = clock.ms + random.pick(DELAYS_MS);
    this.later++;
    const judged = (kept: (verdict: Verdict) => void): void => {
      if (clock.ms >= dueMs) kept(grantTo(""));
      else scheduler.later(() => judged(kept));
    };
    // biome-ignore lint/suspicious/noThenProperty: a promise that is kept on the world's clock
    return { then: (kept: (verdict: Verdict) => void) => judged(kept) } as unknown as Promise<Verdict>;
  }

  exchange(): Exchange | null {
    return null;
  }

  revise(grant: Grant): Verdict {
    return grant;
  }
}

function act(scene: Scene, client: SimClient): void {
  const { random } = scene;
  const dice = random.below(100);
  if (!client.connected) {
    // It may lose patience while it is judged, or say more behind its CONNECT.
    if (client.connection === null) {
      client.connect();
      for (const filter of random.shuffle([...FILTERS]).slice(0, random.below(3))) {
        client.subscribe(filter, random.pick([0, 1, 2] as const));
      }
    } else if (dice < 5) client.cut();
    return;
  }
  if (dice < 4) client.cut();
  else if (dice < 8) client.leave();
  else if (dice < 12) client.takeOver();
  else if (dice < 15) client.subscribe(random.pick(FILTERS), random.pick([0, 1, 2] as const));
  else if (dice < 50) {
    for (let burst = random.pick([1, 5, 30]); burst > 0 && client.mayPublish; burst--) {
      scene.publish(client, random.pick(TOPICS), random.pick([0, 1, 2] as const), random.pick(SIZES));
    }
  }
}

function mix(random: Random, shape: WorldShape): void {
  const scene = new Scene(random, shape);
  const access = new SlowAccess(scene.world);
  scene.world.host.access = access;
  const clients: SimClient[] = [];
  for (let i = 0; i < random.between(3, 8); i++) {
    clients.push(
      scene.client({
        id: `client-${i}`,
        version: random.pick([4, 5]),
        persistent: random.chance(0.5),
        socket: {
          capacity: random.pick([300, 64_000, 1_000_000]),
          cutChance: random.pick([0, 0.3]),
          chunkMax: random.pick([7, 1_000, 500_000]),
          lateChance: 0.5,
        },
      }),
    );
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const client of clients) act(scene, client);
    scene.step(random.pick([0, 1, 10, 100]));
  }
  scene.settle();
  expect(access.later).toBeGreaterThan(0);
  scene.end();
}

describe("clients that are judged slowly", () => {
  scenario("come, go and take over", (random) => mix(random, {}), 1, 2, 3, 4, 5, 6);
  scenario("come, go and take over in little memory", (random) => mix(random, TIGHT), 1, 2, 3, 4);
});
