// World: the real Router and its Connections on a clock, a scheduler and sockets of the simulation's own. One step is
// one visit to the poll, in the order that Bun keeps: a data or drain callback, the microtasks behind it, the next
// callback, and when all sockets were read the turns that were put off.

import type { Clock } from "../../src/base/clock.ts";
import type { Closed } from "../../src/net/closeCause.ts";
import { Connection, type Socket } from "../../src/net/connection.ts";
import { Host, type HostListener, RELAX_MS, TICK_MS, TRICKLE_MS } from "../../src/net/host.ts";
import { NO_LIMITS } from "../../src/net/limits.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { WebSocketLayer } from "../../src/net/webSocket.ts";
import { ANY } from "../../src/net/webSocketSettings.ts";
import type { Scheduler } from "../../src/router/readyQueue.ts";
import { Router } from "../../src/router/router.ts";
import type { RouterSettings } from "../../src/router/settings.ts";
import { audit, auditQuotas } from "./audit.ts";
import type { Random } from "./random.ts";
import { SimSocket, type SocketShape } from "./socket.ts";
import { Tap } from "./tap.ts";

export const MIB = 1024 * 1024;

/** Turns that one callback may set off. */
const MICROTASKS_MAX = 1000;

export const routerSettings: RouterSettings = {
  id: 0,
  memoryBytes: 16 * MIB,
  connectionsMax: 10_000,
  batchMessagesMax: 200,
  retentionBytes: 64 * MIB,
  retentionByFilter: [],
  initializedFilters: [],
  sharedStrategy: "roundrobin",
  paceDebtBytes: MIB,
  stallMs: 5_000,
};

export const listenerSettings: ListenerSettings = {
  section: "v4.1",
  name: "simulation",
  host: "127.0.0.1",
  port: 0,
  transport: PLAIN_TCP,
  versions: [3, 4, 5],
  nextConnectionDelayMs: 0,
  connectTimeoutMs: 5_000,
  payloadBytesMax: 4 * MIB,
  packetBytesMax: 4 * MIB,
  inflightMax: 100,
  receiveMaximum: 1_000,
  topicAliasMaximum: 16,
  qosMax: 2,
  retainAvailable: true,
  wildcardAvailable: true,
  sharedAvailable: true,
  identifiersAvailable: true,
  keepAliveMax: 0,
  sessionExpiryMax: 0xffff_ffff,
  emptyClientIdentifier: true,
  queueMessagesMax: 100_000,
  queueBytesMax: 64 * MIB,
  limits: NO_LIMITS,
  users: null,
  authChain: null,
  allowAnonymous: null,
};

export class SimClock implements Clock {
  /** Not at zero: nothing may rely on that. */
  ms = 5_000_000;

  nowMs(): number {
    return this.ms;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.ms;
  }
}

export class SimScheduler implements Scheduler {
  private microtasks: (() => void)[] = [];
  private afterPoll: (() => void)[] = [];

  soon(turn: () => void): void {
    this.microtasks.push(turn);
  }

  later(turn: () => void): void {
    this.afterPoll.push(turn);
  }

  runMicrotasks(): void {
    for (let runs = 0; this.microtasks.length > 0; runs++) {
      if (runs > MICROTASKS_MAX) throw new Error("microtasks starve the poll");
      this.microtasks.shift()?.();
    }
  }

  runLater(): void {
    const turns = this.afterPoll;
    this.afterPoll = [];
    for (const turn of turns) {
      turn();
      this.runMicrotasks();
    }
  }

  get isIdle(): boolean {
    return this.microtasks.length === 0 && this.afterPoll.length === 0;
  }
}

interface Timer {
  readonly everyMs: number;
  dueMs: number;
  readonly run: () => void;
}

export interface WorldShape {
  readonly router?: Partial<RouterSettings>;
  readonly listener?: Partial<ListenerSettings>;
  /** Compares every budget with what its owners hold at every so many steps; 0 never. */
  readonly auditEvery?: number;
  /** Quotas hold behind every tick; false where that is more than one tick may do. */
  readonly quotasAtEveryTick?: boolean;
}

export class World implements HostListener {
  readonly random: Random;
  readonly clock = new SimClock();
  readonly scheduler = new SimScheduler();
  readonly router: Router;
  readonly listener: ListenerSettings;
  readonly host: Host;
  /** Why connections ended, oldest first. */
  readonly endings: Closed[] = [];
  /** What sockets took. */
  readonly tap = new Tap();
  readonly budgetBytes: number;
  private readonly sockets = new Set<SimSocket>();
  private readonly auditEvery: number;
  private readonly quotasAtEveryTick: boolean;
  private readonly timers: Timer[];
  private steps = 0;

  constructor(random: Random, shape: WorldShape = {}) {
    this.random = random;
    const settings = { ...routerSettings, ...shape.router };
    this.listener = { ...listenerSettings, ...shape.listener };
    this.budgetBytes = settings.memoryBytes;
    this.auditEvery = shape.auditEvery ?? 1;
    this.quotasAtEveryTick = shape.quotasAtEveryTick ?? true;
    this.router = new Router(settings, { clock: this.clock, scheduler: this.scheduler, seed: random.next() });
    this.host = new Host(this.router, this, "assigned-");
    const { host, clock } = this;
    this.timers = [
      { everyMs: RELAX_MS, dueMs: clock.ms + RELAX_MS, run: () => host.relax() },
      { everyMs: TRICKLE_MS, dueMs: clock.ms + TRICKLE_MS, run: () => host.trickle() },
      { everyMs: TICK_MS, dueMs: clock.ms + TICK_MS, run: () => this.tick() },
    ];
  }

  get paused(): ReadonlySet<Connection> {
    return this.host.paused;
  }

  identified(): void {}

  connected(): void {}

  pressed(): void {}

  turnedAway(): void {}

  left(): void {}

  closed(_connection: Connection, closed: Closed): void {
    this.endings.push(closed);
  }

  /** A client's new socket, accepted. */
  connect(shape: SocketShape = {}): SimSocket {
    const socket = new SimSocket(this.random, shape);
    this.sockets.add(socket);
    if (socket.webSocket === null) {
      socket.layer = this.accept(socket, socket);
      return socket;
    }
    socket.layer = new WebSocketLayer(socket, {
      settings: { path: ANY, origins: [ANY], compression: false },
      messageBytesMax: this.listener.packetBytesMax,
      strangers: this.router.budgets.strangers,
      partial: this.router.budgets.partial,
      residues: this.host.residues,
      later: (turn) => this.host.lobby.later(turn),
      open: (upper) => this.accept(socket, upper),
      refused: (status) => {
        throw new Error(`the upgrade was answered with ${status}`);
      },
    });
    socket.layer.data(socket.webSocket.request);
    return socket;
  }

  /** A connection over `socket` that writes to `upper`, itself or a layer on it. */
  private accept(socket: SimSocket, upper: Socket): Connection {
    this.tap.on(upper);
    const number = this.host.nextConnectionNumber();
    const connection = new Connection(this.host, this.listener, upper, number, "10.0.0.1");
    socket.connection = connection;
    this.host.opened(connection);
    return connection;
  }

  /** One visit to the poll. */
  poll(): void {
    for (const socket of this.random.shuffle([...this.sockets])) {
      const layer = socket.layer!;
      if ((socket.clientGone || socket.brokerEnded) && !socket.closeTold) {
        socket.closeTold = true;
        this.sockets.delete(socket);
        layer.closed();
        this.scheduler.runMicrotasks();
        continue;
      }
      if (socket.isReadable) {
        layer.data(socket.takeChunk());
        this.scheduler.runMicrotasks();
      }
      if (socket.takeDrain()) {
        layer.drain();
        this.scheduler.runMicrotasks();
      }
    }
    this.scheduler.runLater();
  }

  /** Time passes; timers that fall due run. */
  advance(ms: number): void {
    const until = this.clock.ms + ms;
    for (;;) {
      let next = this.timers[0]!;
      for (const timer of this.timers) if (timer.dueMs < next.dueMs) next = timer;
      if (next.dueMs > until) break;
      this.clock.ms = next.dueMs;
      next.dueMs += next.everyMs;
      next.run();
      this.scheduler.runMicrotasks();
    }
    this.clock.ms = until;
  }

  private tick(): void {
    this.host.tick();
    if (this.quotasAtEveryTick) auditQuotas(this.router);
  }

  step(ms: number): void {
    this.poll();
    this.advance(ms);
    this.check();
  }

  /** What holds at every step. */
  check(): void {
    let bytesMax = 0;
    for (const budget of Object.values(this.router.budgets)) {
      bytesMax += budget.bytesMax;
      if (budget.used < 0 || budget.used > budget.bytesMax) {
        throw new Error(`budget ${budget.name}: ${budget.used} of ${budget.bytesMax} bytes`);
      }
    }
    if (bytesMax > this.budgetBytes) throw new Error("the budgets are more than the memory");
    this.steps++;
    if (this.auditEvery === 0 || this.steps % this.auditEvery !== 0) return;
    audit(this.router, this.host.open);
    this.tap.compare(this.router.stats);
  }
}
