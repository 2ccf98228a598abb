// Allocation budgets: what a chunk may cost in objects, however many frames it holds. Counted by the engine itself,
// before and after 10,000 frames, warmed up first; nothing is collected in between.

import { describe, expect, test } from "bun:test";
import type { Rights } from "../../src/session/rights.ts";
import { encodePublish, PropertyId, type ReferenceSubscription, u16, utf8 } from "./reference.ts";
import { Random } from "../sim/random.ts";
import type { SimSocket } from "../sim/socket.ts";
import { World } from "../sim/world.ts";
import { objectsMade } from "../support/objects.ts";

const FRAMES = 10_000;
const FRAMES_PER_CHUNK = 250;
const CHUNKS = FRAMES / FRAMES_PER_CHUNK;
/** Objects that one chunk and its turn may leave behind: the DataView on the chunk, the entries of the two queues. */
const OBJECTS_PER_CHUNK = 6;

/** Objects that `work` leaves behind per call, garbage included, beside what the counting itself leaves. */
function objectsPer(calls: number, work: (call: number) => void): number {
  for (let call = 0; call < 2 * calls; call++) work(call);
  const counted = (body: (call: number) => void): number =>
    objectsMade(() => {
      for (let call = 0; call < calls; call++) body(call);
    });
  counted(() => {});
  const idle = counted(() => {});
  return (counted(work) - idle) / calls;
}

interface Endpoint {
  readonly socket: SimSocket;
  readonly deliver: (chunk: Buffer) => void;
}

class Bench {
  readonly world = new World(new Random(1), { auditEvery: 0, router: { memoryBytes: 64 << 20 } });
  bytes = 0;
  writes = 0;

  endpoint(
    clientIdentifier: string,
    version: 4 | 5,
    subscriptions: readonly ReferenceSubscription[],
  ): Endpoint {
    const socket = this.world.connect();
    // A sink that takes everything and keeps nothing.
    socket.write = (_bytes, _at, length) => {
      this.bytes += length;
      this.writes++;
      return length;
    };
    const { connection } = socket;
    const deliver = (chunk: Buffer): void => {
      connection!.data(chunk);
      this.world.scheduler.runMicrotasks();
      this.world.scheduler.runLater();
    };
    const none = version === 5 ? Buffer.of(0) : Buffer.alloc(0);
    deliver(packet(0x10, utf8("MQTT"), Buffer.of(version, 2, 0, 0), none, utf8(clientIdentifier)));
    subscriptions.forEach(({ filter, qos, identifier }, i) => {
      const properties = identifier === undefined ? none : Buffer.of(2, 0x0b, identifier);
      deliver(packet(0x82, u16(i + 1), properties, utf8(filter), Buffer.of(qos)));
    });
    return { socket, deliver };
  }
}

function packet(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(first, body.length), body]);
}

function chunkOf(frame: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: FRAMES_PER_CHUNK }, (_, index) => frame(index)));
}

interface Case {
  readonly title: string;
  readonly version: 4 | 5;
  readonly readers: readonly { version: 4 | 5; subscription: ReferenceSubscription }[];
  readonly frame: (index: number) => Buffer;
}

const payload = Buffer.alloc(64, "x");
const plain = (version: 4 | 5, qos: 0 | 1) => (index: number) =>
  encodePublish(version, 0x30 | (qos << 1), "a/b", index + 1, [], payload);
const topics = (version: 4 | 5) => (index: number) =>
  encodePublish(version, 0x30, `a/${index % 50}`, 0, [], payload);
const withProperties = (index: number): Buffer => {
  const properties = [
    { identifier: PropertyId.contentType, value: utf8("text/plain") },
    { identifier: PropertyId.userProperty, value: Buffer.concat([utf8("k"), utf8("v")]) },
  ];
  return encodePublish(5, 0x30, "a/b", index, properties, payload);
};
const to = (version: 4 | 5, qos: 0 | 1 | 2, identifier?: number) => ({
  version,
  subscription: { filter: "a/#", qos, ...(identifier === undefined ? {} : { identifier }) },
});

const CASES: readonly Case[] = [
  { title: "QoS 0 v4 to nobody", version: 4, readers: [], frame: plain(4, 0) },
  { title: "QoS 0 v4, raw", version: 4, readers: [to(4, 0)], frame: plain(4, 0) },
  { title: "QoS 0 v5, raw", version: 5, readers: [to(5, 0)], frame: plain(5, 0) },
  { title: "QoS 0 v5 with properties, raw", version: 5, readers: [to(5, 0)], frame: withProperties },
  { title: "QoS 0 over 50 topics, gathered", version: 4, readers: [to(4, 0)], frame: topics(4) },
  { title: "QoS 1 v4 to QoS 0", version: 4, readers: [to(4, 0)], frame: plain(4, 1) },
  { title: "QoS 0 v4 to v5, rendered", version: 4, readers: [to(5, 0)], frame: plain(4, 0) },
  { title: "QoS 0 v5 to v4, rendered", version: 5, readers: [to(4, 0)], frame: withProperties },
  {
    title: "QoS 0 v5 with an identifier, rendered and shared",
    version: 5,
    readers: [to(5, 0, 3), to(5, 0, 3)],
    frame: plain(5, 0),
  },
];

const EVERYTHING: Rights = {
  mayPublish: () => true,
  maySubscribe: () => true,
  mayReceive: () => true,
  receiveRule: () => null,
};

test("the measure sees every object", () => {
  const kept: object[] = [];
  const perCall = objectsPer(100, (call) => {
    for (let i = 0; i < 50; i++) kept[i] = { call };
  });
  expect(perCall).toBeWithin(49, 52);
});

describe("10,000 frames leave hardly an object behind", () => {
  for (const { title, version, readers, frame } of CASES) {
    test(title, () => {
      const bench = new Bench();
      for (const [i, reader] of readers.entries())
        bench.endpoint(`reader-${i}`, reader.version, [reader.subscription]);
      const publisher = bench.endpoint("publisher", version, []);
      const chunk = chunkOf(frame);
      const sent = bench.bytes;
      const perChunk = objectsPer(CHUNKS, () => publisher.deliver(chunk));
      expect(bench.bytes - sent).toBeGreaterThanOrEqual(readers.length * 3 * FRAMES * 64);
      expect(perChunk).toBeLessThan(OBJECTS_PER_CHUNK);
    });
  }

  for (const [title, mayPublish] of [
    ["over 50 topics with rights", () => true],
    ["over 50 topics, half of them denied", (topic: string) => topic.charCodeAt(topic.length - 1) % 2 === 0],
    ["over 50 topics, all denied", () => false],
  ] as const) {
    test(`QoS 0 v4 ${title}, to a reader that may not be sent some`, () => {
      const bench = new Bench();
      const publisher = bench.endpoint("publisher", 4, []);
      const reader = bench.endpoint("reader", 4, []);
      const rule = { permits: (topic: string) => topic !== "a/7", includes: () => false };
      publisher.socket.connection!.session!.rights = { ...EVERYTHING, mayPublish };
      reader.socket.connection!.session!.rights = { ...EVERYTHING, receiveRule: () => rule };
      reader.deliver(packet(0x82, u16(1), utf8("a/#"), Buffer.of(0)));
      const chunk = chunkOf(topics(4));
      const sent = bench.bytes;
      const perChunk = objectsPer(CHUNKS, () => publisher.deliver(chunk));
      expect(bench.bytes > sent).toBe(mayPublish("a/8"));
      expect(perChunk).toBeLessThan(OBJECTS_PER_CHUNK);
    });
  }

  test("QoS 1 to a reader that acknowledges in batches: delivery and PUBACK parse", () => {
    const bench = new Bench();
    const reader = bench.endpoint("reader", 4, [{ filter: "a/#", qos: 1 }]);
    const publisher = bench.endpoint("publisher", 4, []);
    // 50 at a time stay within the window; identifiers go round 1..65535, and the batches with them.
    const chunk = Buffer.concat(Array.from({ length: 50 }, (_, index) => plain(4, 1)(index)));
    const acks = Buffer.alloc(50 * 4);
    let next = 1;
    const perBatch = objectsPer(FRAMES / 50, () => {
      publisher.deliver(chunk);
      for (let i = 0; i < 50; i++) {
        acks.writeUInt32BE(0x40020000 + next, i * 4);
        next = next === 65_535 ? 1 : next + 1;
      }
      reader.deliver(acks);
    });
    const session = bench.world.router.sessions.get("reader")!;
    expect(session.inflight.count).toBe(0);
    expect(perBatch).toBeLessThan(OBJECTS_PER_CHUNK);
  });
});
