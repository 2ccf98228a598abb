// Fixture: a real router with real connections over sockets that take everything, a clock that stands still and turns
// that run when the bench says so. What a bench measures is thus the broker without the kernel.

import { ByteWriter } from "../src/base/byteWriter.ts";
import { Connection, type ConnectionHost, type Socket } from "../src/net/connection.ts";
import { ConnectionStats } from "../src/net/connectionStats.ts";
import { NO_LIMITS, Tally } from "../src/net/limits.ts";
import { RateMemory } from "../src/net/rate.ts";
import { Residues } from "../src/net/residues.ts";
import { Strangers } from "../src/net/strangers.ts";
import type { ListenerSettings } from "../src/net/settings.ts";
import { PLAIN_TCP } from "../src/net/transport.ts";
import { frameBytes, PacketType } from "../src/packet/frame.ts";
import { Router } from "../src/router/router.ts";
import type { RouterSettings } from "../src/router/settings.ts";
import { connectFrame, type Level, PUBACK_BYTES, type QoS, stampPubacks, subscribeFrame } from "./frames.ts";

const MIB = 1 << 20;
const NOW_MS = 1_000_000;
/** A bench that is not quiet after so many turns goes round in circles. */
const TURNS_MAX = 1_000_000;
const SEED = 20_24;

const ROUTER: RouterSettings = {
  id: 0,
  memoryBytes: 64 * MIB,
  connectionsMax: 10_000,
  batchMessagesMax: 200,
  retentionBytes: 1000 * MIB,
  retentionByFilter: [],
  initializedFilters: [],
  sharedStrategy: "roundrobin",
  paceDebtBytes: 2 * MIB,
  stallMs: 1_000,
};

const LISTENER: ListenerSettings = {
  section: "v4.1",
  name: "bench",
  host: "127.0.0.1",
  port: 0,
  transport: PLAIN_TCP,
  versions: [3, 4, 5],
  nextConnectionDelayMs: 0,
  connectTimeoutMs: 5_000,
  payloadBytesMax: MIB,
  packetBytesMax: 2 * MIB,
  inflightMax: 100,
  receiveMaximum: 1_024,
  topicAliasMaximum: 64,
  qosMax: 2,
  retainAvailable: true,
  wildcardAvailable: true,
  sharedAvailable: true,
  identifiersAvailable: true,
  keepAliveMax: 0,
  sessionExpiryMax: 0xffff_ffff,
  emptyClientIdentifier: true,
  queueMessagesMax: 100_000,
  queueBytesMax: 16 * MIB,
  limits: NO_LIMITS,
  users: null,
  authChain: null,
  allowAnonymous: null,
};

/** Turns that the router asked for, run by settle(). */
class Turns {
  private readonly waiting: (() => void)[] = [];

  readonly scheduler = {
    soon: (turn: () => void): void => void this.waiting.push(turn),
    later: (turn: () => void): void => void this.waiting.push(turn),
  };

  settle(): void {
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      const turn = this.waiting.pop();
      if (turn === undefined) return;
      turn();
    }
    throw new Error("the router's turns do not end");
  }
}

/**
 * Takes every byte. Notes what is to be acknowledged, taking it that the QoS 1 messages of one write have one size
 * and neighbouring identifiers; in quick runs it counts messages.
 */
class BenchSocket implements Socket {
  private readonly counting: boolean;
  messages = 0;
  bytes = 0;
  /** Packet Identifier of the first message to acknowledge, and how many there are. */
  identifier = 0;
  unacknowledged = 0;

  constructor(counting: boolean) {
    this.counting = counting;
  }

  write(bytes: Uint8Array, at: number, length: number): number {
    this.bytes += length;
    const first = bytes[at]!;
    if ((first & 0xf0) === PacketType.Publish && (first & 6) !== 0) {
      if (this.unacknowledged === 0) this.identifier = identifierOf(bytes, at);
      this.unacknowledged += length / frameBytes(bytes, at);
    }
    if (this.counting) this.count(bytes, at, at + length);
    return length;
  }

  private count(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if ((bytes[at]! & 0xf0) === PacketType.Publish) this.messages++;
      at += frameBytes(bytes, at);
    }
    if (at !== to) throw new Error("a write to a socket that takes everything ends within a frame");
  }

  pause(): void {
    throw new Error("a bench publishes more than the router takes");
  }

  resume(): void {}

  end(): void {}
}

function identifierOf(bytes: Uint8Array, at: number): number {
  let body = at + 1;
  while (bytes[body]! > 127) body++;
  const identifier = body + 3 + ((bytes[body + 1]! << 8) | bytes[body + 2]!);
  return (bytes[identifier]! << 8) | bytes[identifier + 1]!;
}

export class BenchClient {
  readonly connection: Connection;
  readonly socket: BenchSocket;
  private readonly level: Level;

  constructor(connection: Connection, socket: BenchSocket, level: Level) {
    this.connection = connection;
    this.socket = socket;
    this.level = level;
  }

  send(chunk: Buffer): void {
    this.connection.data(chunk);
  }

  subscribe(qos: QoS, ...filters: string[]): void {
    this.send(subscribeFrame(this.level, filters, qos));
  }

  /** Answers every QoS 1 message that came; `chunk` has room for the PUBACKs. */
  acknowledge(chunk: Buffer): void {
    const { socket } = this;
    const count = socket.unacknowledged;
    if (count === 0) return;
    socket.unacknowledged = 0;
    const bytes = count * PUBACK_BYTES;
    if (bytes > chunk.length) throw new Error("the chunk has room for every PUBACK");
    const part = bytes === chunk.length ? chunk : chunk.subarray(0, bytes);
    stampPubacks(part, socket.identifier);
    this.send(part);
  }
}

export function ackChunk(messages: number): Buffer {
  return Buffer.alloc(messages * PUBACK_BYTES);
}

export interface FixtureOptions {
  /** Count delivered messages, which costs time. */
  readonly counting: boolean;
  readonly initializedFilters?: readonly string[];
}

export class Fixture {
  readonly router: Router;
  readonly clients: BenchClient[] = [];
  private readonly host: ConnectionHost;
  private readonly turns = new Turns();
  private readonly counting: boolean;
  private connections = 0;

  constructor({ counting, initializedFilters = [] }: FixtureOptions) {
    this.counting = counting;
    this.router = new Router(
      { ...ROUTER, initializedFilters: [...initializedFilters] },
      { clock: { nowMs: () => NOW_MS, wallMs: () => NOW_MS }, scheduler: this.turns.scheduler, seed: SEED },
    );
    this.host = {
      router: this.router,
      residues: new Residues(this.router.budgets.residue, this.router.clock, () => {}),
      strangers: new Strangers(this.router.budgets.strangers),
      out: new ByteWriter(64 * 1024),
      paused: new Set<Connection>(),
      overdrawn: new Set<Connection>(),
      connectionsMax: ROUTER.connectionsMax,
      access: null,
      revision: 0,
      users: new Tally(),
      rates: new RateMemory(),
      stats: new ConnectionStats(),
      observer: null,
      assignIdentifier: () => `assigned-${this.connections}`,
      isAssigned: () => false,
      count: () => true,
      identified: () => {},
      connected: () => {},
      closed: () => {},
      pressed: () => {},
    };
  }

  /** A Network Connection before its CONNECT. */
  open(): { connection: Connection; socket: BenchSocket } {
    const socket = new BenchSocket(this.counting);
    const connection = new Connection(this.host, LISTENER, socket, ++this.connections, "127.0.0.1");
    return { connection, socket };
  }

  connect(level: Level): BenchClient {
    const { connection, socket } = this.open();
    connection.data(connectFrame(level, `bench-${this.connections}`));
    const client = new BenchClient(connection, socket, level);
    this.clients.push(client);
    return client;
  }

  connectMany(count: number, level: Level): BenchClient[] {
    return Array.from({ length: count }, () => this.connect(level));
  }

  /** Runs turns until the router has nothing more to do. */
  settle(): void {
    this.turns.settle();
  }

  /** Messages that all clients got. */
  readonly deliveries = (): number => this.clients.reduce((sum, { socket }) => sum + socket.messages, 0);
}
