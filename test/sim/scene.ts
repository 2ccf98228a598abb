// Scene: a world with its clients, stepped together, and the checks that close every scenario.

import { type ClientShape, SimClient } from "./client.ts";
import { Ledger, type Sent } from "./ledger.ts";
import type { Random } from "./random.ts";
import { World, type WorldShape } from "./world.ts";

/** Virtual time within which everything owed must have been delivered. */
const SETTLE_STEPS_MAX = 6_000;
const STEP_MS = 10;

export class Scene {
  readonly world: World;
  readonly ledger = new Ledger();
  readonly clients: SimClient[] = [];
  readonly random: Random;

  constructor(random: Random, shape: WorldShape = {}) {
    this.random = random;
    this.world = new World(random, shape);
  }

  client(shape: ClientShape): SimClient {
    const client = new SimClient(this.world, this.ledger, shape);
    this.clients.push(client);
    return client;
  }

  /** A client that stands connected with these filters. */
  subscriber(shape: ClientShape, filters: Record<string, 0 | 1 | 2>): SimClient {
    const client = this.client(shape);
    client.connect();
    for (const [filter, qos] of Object.entries(filters)) client.subscribe(filter, qos);
    this.until(
      () => client.connected && client.filters.size === Object.keys(filters).length,
      "the subscriptions stand",
    );
    return client;
  }

  publisher(shape: ClientShape): SimClient {
    const client = this.client(shape);
    client.connect();
    this.until(() => client.connected, `${shape.id} is connected`);
    return client;
  }

  step(ms = STEP_MS): void {
    for (const client of this.clients) client.act();
    this.world.step(ms);
  }

  steps(count: number, ms = STEP_MS): void {
    for (let i = 0; i < count; i++) this.step(ms);
  }

  until(done: () => boolean, what: string, stepsMax = 2_000): void {
    for (let i = 0; i < stepsMax; i++) {
      if (done()) return;
      this.step();
    }
    if (done()) return;
    const states = this.clients.map((client) => `\n  ${client.describe()}`).join("");
    throw new Error(`never happened: ${what}${states}\n  paused: ${this.world.paused.size}`);
  }

  publish(from: SimClient, topic: string, qos: 0 | 1 | 2, size: number): Sent {
    return from.publish(topic, qos, size, this.clients);
  }

  /**
   * Everybody comes back, reads and acknowledges: what is owed must arrive and nobody may stay held back. Messages
   * that are missing then must be as many as the router counted: QoS 0 as gaps, QoS 1 and 2 as beyond a quota.
   */
  settle(): void {
    const { stats } = this.world.router;
    for (const client of this.clients) if (!client.connected) client.connect();
    const isDone = () => {
      // The broker may have closed one that asked for too much.
      for (const client of this.clients) {
        if (client.isAway) client.connect();
        client.hurry();
      }
      return this.isQuiet() && this.isCounted(false);
    };
    this.until(isDone, "everything owed is delivered", SETTLE_STEPS_MAX);
    this.steps(120);
    if (this.world.paused.size > 0) throw new Error(`${this.world.paused.size} connections stay paused`);
    if (this.isCounted(true)) return;
    const { qos0, qos12 } = this.missing();
    const states = this.clients.map((client) => `\n  ${client.describe()}`).join("");
    const counted = `${stats.gapMessages} and ${stats.quotaMessages} were counted`;
    throw new Error(`${qos0} QoS 0 and ${qos12} other messages did not arrive, ${counted}${states}`);
  }

  /**
   * What is missing is what was counted. Where connections ended or publishes were refused, some of what was counted
   * was nobody's any more: then it is not more than that.
   */
  private isCounted(exactly: boolean): boolean {
    const { stats } = this.world.router;
    const { qos0, qos12 } = this.missing();
    const counted = stats.gapMessages + stats.quotaMessages;
    if (this.world.endings.length > 0 || stats.refusedPublishes > 0) {
      return qos0 + qos12 <= counted + stats.refusedPublishes * this.clients.length;
    }
    if (!exactly) return qos0 + qos12 === counted;
    return qos0 === stats.gapMessages && qos12 === stats.quotaMessages;
  }

  private isQuiet(): boolean {
    for (const client of this.clients) {
      if (!client.connected || client.unacknowledged > 0 || client.isBusy) return false;
    }
    return this.world.scheduler.isIdle;
  }

  private missing(): { qos0: number; qos12: number } {
    let qos0 = 0;
    let qos12 = 0;
    for (const client of this.clients) {
      for (const message of client.missing()) {
        if (client.owed.get(message.index) === 0) qos0++;
        else qos12++;
      }
    }
    return { qos0, qos12 };
  }

  /** Every session ends: every budget must be back at its idle value. */
  end(): void {
    for (const client of this.clients) {
      if (!client.connected || (client.shape.persistent === true && client.version === 4))
        client.connect(true);
    }
    this.until(() => this.clients.every((client) => client.connected), "everybody is connected");
    for (const client of this.clients) {
      client.hurry(); // its last words may go a byte at a time
      client.endSession();
    }
    this.steps(20);
    const { router } = this.world;
    router.log.release();
    const { budgets } = router;
    const left: string[] = [];
    for (const budget of [
      budgets.partial,
      budgets.parked,
      budgets.strangers,
      budgets.residue,
      budgets.sessions,
    ]) {
      if (budget.used !== 0) left.push(`${budget.name} ${budget.used}`);
    }
    // v3 clean sessions end with their connection; the log keeps its active segment and a small pool.
    if (router.sessions.count !== 0) left.push(`sessions ${router.sessions.count}`);
    if (router.groups.count !== 0) left.push(`share groups ${router.groups.count}`);
    if (router.log.liveSegments !== 1) left.push(`live segments ${router.log.liveSegments}`);
    if (router.stats.connections !== 0) left.push(`connections ${router.stats.connections}`);
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  }
}
