// Stage: clients around a world, stepped until nobody has anything more to say.

import type { Random } from "../sim/random.ts";
import { World, type WorldShape } from "../sim/world.ts";
import { Peer, type PeerShape } from "./peer.ts";

const STEPS_MAX = 20_000;

export class Stage {
  readonly world: World;
  readonly peers: Peer[] = [];

  constructor(random: Random, shape: WorldShape = {}) {
    this.world = new World(random, shape);
  }

  peer(shape: PeerShape, acknowledges = true): Peer {
    const peer = new Peer(this.world, shape);
    peer.acknowledges = acknowledges;
    this.peers.push(peer);
    peer.connect();
    peer.subscribe();
    this.drain();
    return peer;
  }

  step(ms = 0): void {
    for (const peer of this.peers) peer.act();
    this.world.step(ms);
  }

  /** The clock goes on by `ms` at every step. */
  drain(ms = 0): void {
    for (let quiet = 0, steps = 0; quiet < 5; steps++) {
      if (steps > STEPS_MAX) throw new Error("it never ends");
      this.step(ms);
      quiet = this.peers.every((peer) => peer.isQuiet) && this.world.scheduler.isIdle ? quiet + 1 : 0;
    }
  }
}
