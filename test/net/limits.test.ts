// Limits of one client: identifiers, depths, tallies; and rates, on the simulation's clock: what comes too fast comes
// later, and nothing is lost.

import { describe, expect, test } from "bun:test";
import { generate, parser } from "mqtt-packet";
import { parseConfig } from "../../src/config/load.ts";
import {
  type ClientLimits,
  isIdentifierAllowed,
  isIdentifierOf,
  limitDepth,
  NO_LIMITS,
  Tally,
} from "../../src/net/limits.ts";
import { Rate, RateMemory } from "../../src/net/rate.ts";
import { Random } from "../sim/random.ts";
import type { SimSocket } from "../sim/socket.ts";
import { MIB, World } from "../sim/world.ts";
import { rightsUnder } from "../support/fakeAccess.ts";

function limitsOf(lines: string): ClientLimits {
  const text = `[v4.1]\nlisten = ":1883"\n[v4.1.connections]\n${lines}`;
  return parseConfig({ text, file: "test.toml" }).settings.listeners[0]!.limits;
}

describe("Client Identifiers", () => {
  const pattern = (characters: string): RegExp =>
    limitsOf(`client_id_characters = '${characters}'`).identifierPattern!;

  for (const [characters, yes, no] of [
    ["A-Za-z0-9_-", ["", "Abc-1_", "---"], ["a b", "a/b", "ä", "a\n", "\na"]],
    ["-ab", ["a-b"], ["c"]],
    ["a-c-", ["abc-"], ["d"]],
    ["]^[\\.*", ["]^[\\.*"], ["a", "/"]],
    ["α-ω😀", ["λ😀"], ["a", "😁"]],
    [" ", ["  "], ["a"]],
  ] as const) {
    test(`of the characters ${characters}`, () => {
      const allowed = (identifier: string): boolean => pattern(characters).test(identifier);
      expect(yes.filter((identifier) => !allowed(identifier))).toEqual([]);
      expect(no.filter(allowed)).toEqual([]);
    });
  }

  test("a range that runs backwards is told with its line", () => {
    expect(() => limitsOf('client_id_characters = "z-a"')).toThrow(
      'test.toml:4: [v4.1.connections] client_id_characters = "z-a": must be characters and ranges',
    );
  });

  test("are measured in bytes", () => {
    const limits = { ...NO_LIMITS, identifierBytes: 4 };
    for (const [identifier, allowed] of [
      ["abcd", true],
      ["abcde", false],
      ["ää", true],
      ["äää", false],
    ] as const) {
      expect(isIdentifierAllowed(identifier, limits)).toBe(allowed);
    }
    expect(isIdentifierAllowed("x".repeat(65_535), NO_LIMITS)).toBe(true);
  });

  for (const [userName, identifier, equal, prefix] of [
    ["ada", "ada", true, true],
    ["ada", "ada-1", false, true],
    ["ada", "ada/phone", false, true],
    ["ada", "adam", false, false],
    ["ada", "bob", false, false],
    ["ada", "ad", false, false],
    ["", "ada", false, false],
    ["", "", false, false],
  ] as const) {
    test(`'${identifier}' of the user '${userName}'`, () => {
      expect(isIdentifierOf(userName, identifier, "none")).toBe(true);
      expect(isIdentifierOf(userName, identifier, "equal")).toBe(equal);
      expect(isIdentifierOf(userName, identifier, "prefix")).toBe(prefix);
    });
  }
});

describe("depth", () => {
  test("is part of the rights, for topics and for filters", () => {
    const rights = limitDepth(rightsUnder("a"), 2)!;
    for (const [topic, allowed] of [
      ["a", true],
      ["a/b", true],
      ["a/", true],
      ["a/b/c", false],
      ["b", false],
    ] as const) {
      expect(rights.mayPublish(topic)).toBe(allowed);
      expect(rights.maySubscribe(topic)).toBe(allowed);
    }
    expect(limitDepth(null, 1)!.mayPublish("/")).toBe(false);
    expect(limitDepth(null, 1)!.receiveRule("#")).toBeNull();
  });

  test("is one object for the same rights, and the rights themselves without a limit", () => {
    const rights = rightsUnder("a");
    expect(limitDepth(rights, 2)).toBe(limitDepth(rights, 2)!);
    expect(limitDepth(null, 2)).toBe(limitDepth(null, 2)!);
    expect(limitDepth(rights, 2)).not.toBe(limitDepth(rights, 3)!);
    expect(limitDepth(rights, 2)).not.toBe(limitDepth(rightsUnder("a"), 2)!);
    expect(limitDepth(rights, Number.POSITIVE_INFINITY)).toBe(rights);
    expect(limitDepth(null, Number.POSITIVE_INFINITY)).toBeNull();
  });
});

test("a tally forgets names that are not in use", () => {
  const tally = new Tally();
  tally.add("a");
  tally.add("a");
  tally.remove("a");
  expect(tally.of("a")).toBe(1);
  tally.remove("a");
  expect([tally.of("a"), tally["counts"].size]).toEqual([0, 0]);
});

describe("a rate", () => {
  test("allows a second's worth at once, owes what is beyond it, and refills to no more than that", () => {
    const rate = new Rate(10, Number.POSITIVE_INFINITY, 1_000);
    rate.take(10, 1_000_000, 1_000);
    expect(rate.isOverdrawn(1_000)).toBe(false);
    rate.take(5, 0, 1_000);
    expect([1_000, 1_499, 1_500].map((now) => rate.isOverdrawn(now))).toEqual([true, true, false]);
    rate.take(11, 0, 60_000);
    expect([60_000, 60_100].map((now) => rate.isOverdrawn(now))).toEqual([true, false]);
  });

  test("a clock that does not move, or steps back, gives nothing", () => {
    const rate = new Rate(10, 10, 1_000);
    rate.take(11, 0, 900);
    expect([900, 500, 1_000].map((now) => rate.isOverdrawn(now))).toEqual([true, true, true]);
  });
});

test("a pause after each chunk is overdrawn until it is over, however little has come", () => {
  const rate = new Rate(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 200);
  expect(rate.isOverdrawn(0)).toBe(false);
  rate.take(0, 1, 1_000);
  rate.take(1, 0, 1_100);
  expect([1_100, 1_199, 1_200].map((now) => rate.isOverdrawn(now))).toEqual([true, true, false]);
});

describe("the rate of a client that comes again", () => {
  const limits = { messagesPerSecond: 10, bytesPerSecond: Number.POSITIVE_INFINITY, readPauseMs: 0 };

  test("goes on with what it owes", () => {
    const memory = new RateMemory();
    const first = memory.take("a", limits, 0);
    first.take(30, 1, 0);
    memory.keep("a", first, 0);
    expect(memory.take("b", limits, 0).isOverdrawn(0)).toBe(false);
    const again = memory.take("a", limits, 1_000);
    expect([1_000, 1_999, 2_000].map((now) => again.isOverdrawn(now))).toEqual([true, true, false]);
  });

  test("is fresh once it has refilled, or has other limits", () => {
    const memory = new RateMemory();
    const first = memory.take("a", limits, 0);
    first.take(5, 1, 0);
    expect([0, 499, 500].map((now) => first.isFresh(now))).toEqual([false, false, true]);
    memory.keep("a", first, 500);
    expect(memory.take("a", limits, 500)).not.toBe(first);
    first.take(30, 1, 500);
    memory.keep("a", first, 500);
    expect(memory.take("a", { ...limits, messagesPerSecond: 20 }, 500).isOverdrawn(500)).toBe(false);
  });

  test("is forgotten for the one that went first, when there are too many", () => {
    const memory = new RateMemory();
    for (let i = 0; i <= 10_000; i++) {
      const rate = memory.take(`c${i}`, limits, 0);
      rate.take(30, 1, 0);
      memory.keep(`c${i}`, rate, 0);
    }
    expect(memory.take("c0", limits, 0).isOverdrawn(0)).toBe(false);
    expect(memory.take("c1", limits, 0).isOverdrawn(0)).toBe(true);
  });
});

/** A world with one subscriber and one publisher at the given rate. */
class Bench {
  readonly world: World;
  readonly subscriber: SimSocket;
  readonly publisher: SimSocket;
  received = 0;
  private readonly reader = parser({ protocolVersion: 4 });

  constructor(limits: Partial<ClientLimits>) {
    this.world = new World(new Random(1), { listener: { limits: { ...NO_LIMITS, ...limits } } });
    this.reader.on("packet", (packet) => {
      if (packet.cmd === "publish") this.received++;
    });
    this.subscriber = this.world.connect({ capacity: 8 * MIB });
    this.publisher = this.world.connect({ capacity: 8 * MIB });
    this.connect(this.subscriber, "subscriber");
    this.connect(this.publisher, "publisher", 10);
    const subscriptions = [{ topic: "t", qos: 0 as const }];
    this.subscriber.send(generate({ cmd: "subscribe", messageId: 1, subscriptions }));
    this.world.step(10_000);
  }

  private connect(socket: SimSocket, clientId: string, keepalive = 0): void {
    socket.send(
      generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId, clean: true, keepalive }),
    );
  }

  publish(count: number, bytes: number): void {
    const payload = Buffer.alloc(bytes);
    const packet = generate({ cmd: "publish", topic: "t", payload, qos: 0, dup: false, retain: false });
    this.publisher.send(Buffer.concat(Array.from({ length: count }, () => packet)));
  }

  /** Milliseconds until so many have come. */
  until(count: number): number {
    const from = this.world.clock.ms;
    while (this.received < count) {
      this.world.step(10);
      this.reader.parse(this.subscriber.read(8 * MIB));
      if (this.world.clock.ms - from > 600_000) throw new Error(`${this.received} of ${count} came`);
    }
    return this.world.clock.ms - from;
  }
}

describe("a client that is too fast", () => {
  test("by messages is paced: everything comes, at the rate, in whatever chunks", () => {
    const bench = new Bench({ messagesPerSecond: 100 });
    for (let i = 0; i < 10; i++) {
      bench.publisher.chunkMax = 50 * (i + 1);
      bench.publish(100, 10);
    }
    expect(bench.until(1_000)).toBeWithin(8_500, 10_500);
    expect(bench.world.host.stats.overdrawn).toBeGreaterThan(0);
    bench.world.step(20_000);
    expect([bench.world.host.overdrawn.size, bench.publisher.isPaused]).toEqual([0, false]);
  });

  test("by bytes is paced, and its Keep Alive clock stands meanwhile", () => {
    const bench = new Bench({ bytesPerSecond: 10_000 });
    bench.publish(1, 300_000);
    bench.until(1);
    expect([bench.world.host.overdrawn.size, bench.publisher.isPaused]).toEqual([1, true]);
    bench.publish(1, 10);
    expect(bench.until(2)).toBeWithin(28_000, 30_500);
    expect(bench.world.endings).toEqual([]);
  });

  test("is read with a pause after each chunk: everything comes, a chunk at a time", () => {
    const bench = new Bench({ readPauseMs: 200 });
    bench.publisher.chunkMax = 1_000;
    bench.publish(100, 93);
    expect(bench.until(100)).toBeWithin(1_500, 3_000);
    expect(bench.world.endings).toEqual([]);
  });

  test("does not slow others down, nor take the turns of those that wait for room", () => {
    const bench = new Bench({ messagesPerSecond: 10 });
    bench.publish(1_000, 10);
    bench.until(1_000);
    expect([bench.world.host.overdrawn.size, bench.world.host.paused.size]).toEqual([1, 0]);
    expect(bench.subscriber.isPaused).toBe(false);
    bench.publisher.cut();
    bench.world.step(10);
    expect([bench.world.host.overdrawn.size, bench.world.host.isPressed]).toEqual([0, false]);
  });

  test("is not noticed within its rate", () => {
    const bench = new Bench({ messagesPerSecond: 1_000, bytesPerSecond: 100_000 });
    for (let i = 0; i < 20; i++) {
      bench.publish(10, 10);
      bench.world.step(50);
    }
    bench.until(200);
    expect(bench.world.host.stats.overdrawn).toBe(0);
  });
});
