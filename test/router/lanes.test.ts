// Every lane against the reference renderer, byte for byte: raw, gathered, rendered and shared, large frames,
// redelivery, retained replay, share groups, over sockets that cut anywhere.

import { describe, expect, test } from "bun:test";
import { filterMatchesTopic } from "../../src/topic/topicFilter.ts";
import { type Random, seeds, withSeed } from "../sim/random.ts";
import type { SocketShape } from "../sim/socket.ts";
import { MIB, type WorldShape } from "../sim/world.ts";
import { Peer, type PeerShape } from "./peer.ts";
import {
  bodyOf,
  deliveredQos,
  encodePublish,
  identifierAt,
  learn,
  type Property,
  PropertyId,
  type PublishedMessage,
  type ReferenceAliases,
  type ReferenceVersion,
  render,
  u16,
  u32,
  utf8,
} from "./reference.ts";
import { Stage } from "./stage.ts";

const KIB = 1024;

class LaneStage extends Stage {
  readonly random: Random;
  readonly messages: PublishedMessage[] = [];

  constructor(random: Random, shape: WorldShape = {}) {
    super(random, { auditEvery: 20, ...shape });
    this.random = random;
  }

  publish(
    from: Peer,
    message: Omit<PublishedMessage, "publisher">,
    alias?: { number: number; known: boolean },
  ): void {
    const { version, clientIdentifier } = from.shape;
    const full: PublishedMessage = { ...message, publisher: clientIdentifier };
    const properties = [...message.properties];
    if (alias !== undefined) {
      const property = { identifier: PropertyId.topicAlias, value: u16(alias.number) };
      properties.splice(this.random.below(properties.length + 1), 0, property);
    }
    const first = 0x30 | (message.qos << 1) | (message.retain ? 1 : 0);
    const identifier = message.qos > 0 ? from.identifier() : 0;
    const topic = alias?.known === true ? "" : message.topic;
    from.send(encodePublish(version, first, topic, identifier, properties, message.payload));
    this.messages.push(full);
  }
}

/** What `peer` must have got of `messages`, with `ages` in seconds at which a message may have been written. */
function compare(peer: Peer, messages: readonly PublishedMessage[], ageMax: number, from = 0): void {
  let identifier = 0;
  let at = from;
  const aliases: ReferenceAliases = new Map();
  const isAliased = peer.shape.version === 5 && peer.shape.topicAliasMaximum !== undefined;
  const told = isAliased ? { aliases } : {};
  const name = `${peer.shape.clientIdentifier} (v${peer.shape.version})`;
  messages.forEach((message, index) => {
    const qos = deliveredQos(message, peer.shape);
    const packetIdentifier = qos > 0 ? identifier + 1 : 0;
    const actual = peer.published[at];
    // Whether it comes at all does not hang on its age: no mix expires anything.
    if (render(message, peer.shape, { packetIdentifier, age: 0, ...told }) === null) return;
    const age = actual === undefined ? 0 : ageOf(actual, peer.shape.version, message);
    if (age < 0 || age > ageMax)
      throw new Error(`${name}: message ${index} came with an expiry that is ${age} s older`);
    const expected = render(message, peer.shape, { packetIdentifier, age, ...told });
    if (expected === null) throw new Error(`${name}: message ${index} is not to come`);
    if (isAliased) learn(message, peer.shape, aliases);
    if (qos > 0) identifier++;
    at++;
    if (actual === undefined) throw new Error(`${name}: message ${index} of ${messages.length} did not come`);
    if (sortedIdentifiers(actual, peer.shape, message).equals(expected)) return;
    const differs = expected.findIndex((byte, i) => byte !== actual[i]);
    const shown = (frame: Buffer): string => frame.subarray(0, 60).toString("hex");
    throw new Error(
      `${name}: message ${index} at ${message.qos} → ${qos}, ${expected.length} bytes expected, ${actual.length} came, ` +
        `byte ${differs} differs:\n  ${shown(expected)}\n  ${shown(actual)}`,
    );
  });
  expect(peer.published.length).toBe(at);
}

/** By how much the frame's Message Expiry Interval is smaller than the message's; 0 without one. */
function ageOf(frame: Buffer, version: ReferenceVersion, message: PublishedMessage): number {
  const expiry = message.properties.find((property) => property.identifier === PropertyId.messageExpiry);
  if (expiry === undefined || version !== 5) return 0;
  const before = message.properties.slice(0, message.properties.indexOf(expiry));
  const skipped = before.reduce((sum, property) => sum + 1 + property.value.length, 0);
  const at = propertiesAt(frame).from + skipped + 1;
  return at + 4 > frame.length ? 0 : expiry.value.readUInt32BE() - frame.readUInt32BE(at);
}

function propertiesAt(frame: Buffer): { from: number; to: number } {
  const body = bodyOf(frame);
  let at = body + 2 + frame.readUInt16BE(body) + ((frame[0]! & 6) !== 0 ? 2 : 0);
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = frame[at++]!;
    length += (byte & 127) << shift;
    if (byte < 128) break;
  }
  return { from: at, to: at + length };
}

/** Subscription Identifiers stand last; their order among themselves is free, so they are put in the reference's. */
function sortedIdentifiers(frame: Buffer, session: PeerShape, message: PublishedMessage): Buffer {
  const matching = session.subscriptions.filter(({ filter }) => filterMatchesTopic(filter, message.topic));
  const count = matching.filter(({ identifier }) => identifier !== undefined).length;
  if (session.version !== 5 || count < 2) return frame;
  // Where there are several, the tests use identifiers of one byte.
  const { to } = propertiesAt(frame);
  const first = to - 2 * count;
  const identifiers = Array.from({ length: count }, (_, i) =>
    frame.subarray(first + 2 * i, first + 2 * i + 2),
  );
  identifiers.sort((a, b) => a[1]! - b[1]!);
  return Buffer.concat([frame.subarray(0, first), ...identifiers, frame.subarray(to)]);
}

function randomProperties(random: Random, expiring: boolean): Property[] {
  const list: Property[] = [];
  if (random.chance(0.3)) list.push({ identifier: PropertyId.payloadFormat, value: Buffer.of(1) });
  if (expiring && random.chance(0.5))
    list.push({ identifier: PropertyId.messageExpiry, value: u32(random.between(1_000, 9_000)) });
  if (random.chance(0.3)) list.push({ identifier: PropertyId.contentType, value: utf8("text/plain") });
  if (random.chance(0.3)) list.push({ identifier: PropertyId.responseTopic, value: utf8("answer/here") });
  if (random.chance(0.3))
    list.push({ identifier: PropertyId.correlationData, value: utf8("x".repeat(random.below(200))) });
  for (let i = random.pick([0, 0, 1, 3]); i > 0; i--) {
    list.push({
      identifier: PropertyId.userProperty,
      value: Buffer.concat([utf8(`k${i}`), utf8("v".repeat(i))]),
    });
  }
  return random.shuffle(list);
}

function payloadOf(random: Random, sizes: readonly number[], index: number): Buffer {
  const size = random.pick(sizes);
  return Buffer.alloc(size, `${index}.`);
}

const SMALL_SIZES = [0, 1, 5, 64, 64, 64, 120, 128, 300];
const MIXED_SIZES = [0, 10, 64, 500, 2_000, 16_000, 17_000, 40_000];
const LARGE_SIZES = [10, 64 * KIB - 20, 64 * KIB, 65 * KIB, 200 * KIB];

interface Mix {
  readonly title: string;
  readonly topics: readonly string[];
  readonly sizes: readonly number[];
  readonly qos: readonly (0 | 1 | 2)[];
  readonly versions: readonly ReferenceVersion[];
  readonly count: number;
  readonly expiring?: boolean;
  readonly properties?: boolean;
}

const MANY_TOPICS = Array.from({ length: 40 }, (_, i) => `t/${i % 8}/${i}`);

const MIXES: readonly Mix[] = [
  {
    title: "one topic, v4, QoS 0, small",
    topics: ["t/0/0"],
    sizes: SMALL_SIZES,
    qos: [0],
    versions: [4],
    count: 600,
  },
  {
    title: "one topic, v5, QoS 0, small",
    topics: ["t/0/0"],
    sizes: SMALL_SIZES,
    qos: [0],
    versions: [5],
    count: 600,
  },
  {
    title: "many topics, both versions, QoS 0",
    topics: MANY_TOPICS,
    sizes: SMALL_SIZES,
    qos: [0],
    versions: [4, 5],
    count: 600,
  },
  {
    title: "many topics, mixed sizes, every QoS",
    topics: MANY_TOPICS,
    sizes: MIXED_SIZES,
    qos: [0, 1, 2],
    versions: [4, 5],
    count: 150,
  },
  {
    title: "many topics of different lengths, published at 3.1 and 5",
    topics: MANY_TOPICS.map((topic, i) => (i % 4 === 0 ? `${topic}/${"long".repeat(i)}` : topic)),
    sizes: SMALL_SIZES,
    qos: [0, 1, 2],
    versions: [3, 5],
    count: 400,
    properties: true,
  },
  {
    title: "properties and expiry",
    topics: MANY_TOPICS,
    sizes: SMALL_SIZES,
    qos: [0, 1, 2],
    versions: [5],
    count: 400,
    expiring: true,
    properties: true,
  },
  {
    title: "large frames",
    topics: ["t/0/0", "t/1/1"],
    sizes: LARGE_SIZES,
    qos: [0, 1, 2],
    versions: [4, 5],
    count: 12,
    properties: true,
  },
];

/** Reader kinds: together they take every lane. */
function readerShapes(random: Random): PeerShape[] {
  const socket = (): SocketShape => ({
    capacity: random.pick([700, 5_000, 60_000, MIB]),
    cutChance: random.pick([0, 0.3, 0.8]),
  });
  const shapes: PeerShape[] = [];
  for (const version of [4, 5] as const) {
    const add = (name: string, rest: Omit<PeerShape, "clientIdentifier" | "version" | "socket">): void => {
      shapes.push({ clientIdentifier: `${name}-${version}`, version, socket: socket(), ...rest });
    };
    add("plain", { subscriptions: [{ filter: "t/#", qos: 0 }] });
    add("plain-too", { subscriptions: [{ filter: "t/#", qos: 0 }] });
    add("part", {
      subscriptions: [
        { filter: "t/+/1", qos: 0 },
        { filter: "t/0/0", qos: 0 },
      ],
    });
    add("overlap", {
      subscriptions: [
        { filter: "t/#", qos: 0 },
        { filter: "t/0/+", qos: 0 },
        { filter: "+/0/0", qos: 0 },
      ],
    });
    add("qos1", { subscriptions: [{ filter: "t/#", qos: 1 }] });
    add("qos1-too", { subscriptions: [{ filter: "t/#", qos: 1 }] });
    add("qos2", { subscriptions: [{ filter: "t/#", qos: 2 }] });
    add("overlap-qos", {
      subscriptions: [
        { filter: "t/#", qos: 1 },
        { filter: "t/0/+", qos: 2 },
        { filter: "t/1/#", qos: 0 },
      ],
    });
  }
  const v5 = (name: string, rest: Omit<PeerShape, "clientIdentifier" | "version" | "socket">): void => {
    shapes.push({ clientIdentifier: name, version: 5, socket: socket(), ...rest });
  };
  v5("retain-as-published", { subscriptions: [{ filter: "t/#", qos: 0, retainAsPublished: true }] });
  v5("retain-as-published-1", { subscriptions: [{ filter: "t/#", qos: 1, retainAsPublished: true }] });
  v5("identifier", { subscriptions: [{ filter: "t/#", qos: 0, identifier: 77 }] });
  v5("large-identifier", { subscriptions: [{ filter: "t/#", qos: 2, identifier: 200_000_000 }] });
  v5("identifiers", {
    subscriptions: [
      { filter: "t/#", qos: 1, identifier: 1 },
      { filter: "t/0/#", qos: 0, identifier: 2 },
      { filter: "+/+/0", qos: 2, identifier: 3 },
    ],
  });
  v5("small-packets", { subscriptions: [{ filter: "t/#", qos: 0 }], maximumPacketSize: 140 });
  v5("small-packets-1", { subscriptions: [{ filter: "t/#", qos: 1 }], maximumPacketSize: 140 });
  v5("small-window", { subscriptions: [{ filter: "t/#", qos: 2 }], receiveMaximum: 3 });
  v5("window-of-one", { subscriptions: [{ filter: "t/#", qos: 1 }], receiveMaximum: 1 });
  const v3 = (name: string, subscriptions: PeerShape["subscriptions"]): void => {
    shapes.push({ clientIdentifier: name, version: 3, socket: socket(), subscriptions });
  };
  v3("plain-3", [{ filter: "t/#", qos: 0 }]);
  v3("qos1-3", [{ filter: "t/#", qos: 1 }]);
  v3("overlap-qos-3", [
    { filter: "t/#", qos: 0 },
    { filter: "t/0/+", qos: 2 },
  ]);
  v5("few-aliases", { subscriptions: [{ filter: "t/#", qos: 0 }], topicAliasMaximum: 3 });
  v5("one-alias", { subscriptions: [{ filter: "t/#", qos: 1 }], topicAliasMaximum: 1 });
  v5("aliases", { subscriptions: [{ filter: "t/#", qos: 2 }], topicAliasMaximum: 65_535 });
  v5("aliases-identifiers", {
    subscriptions: [
      { filter: "t/#", qos: 1, identifier: 1 },
      { filter: "t/0/#", qos: 0, identifier: 2, retainAsPublished: true },
    ],
    topicAliasMaximum: 20,
  });
  v5("aliases-small-packets", {
    subscriptions: [{ filter: "t/#", qos: 1 }],
    topicAliasMaximum: 20,
    maximumPacketSize: 140,
  });
  v5("aliases-window-of-one", {
    subscriptions: [{ filter: "t/#", qos: 1 }],
    topicAliasMaximum: 20,
    receiveMaximum: 1,
  });
  return shapes;
}

function run(random: Random, mix: Mix): void {
  const stage = new LaneStage(random, { router: { memoryBytes: random.pick([16, 32]) * MIB } });
  const readers = readerShapes(random).map((shape) => stage.peer(shape));
  const publishers = mix.versions.map((version) =>
    stage.peer({
      clientIdentifier: `publisher-${version}`,
      version,
      // It gets nothing of its own: No Local.
      subscriptions: version === 5 ? [{ filter: "t/#", qos: 1, noLocal: true }] : [],
      socket: { chunkMax: random.pick([500, 5_000, 500_000]) },
    }),
  );
  const startMs = stage.world.clock.ms;
  const aliases = new Map<string, number>();
  for (const reader of readers) reader.readMax = random.pick([1_000, 20_000, Number.POSITIVE_INFINITY]);
  for (let i = 0; i < mix.count; i++) {
    const from = random.pick(publishers);
    // The publishers' chunks must reach the log in the order of this list.
    while (!publishers.every((publisher) => publisher === from || publisher.isQuiet)) stage.step();
    const v5 = from.shape.version === 5;
    const message = {
      topic: random.pick(mix.topics),
      payload: payloadOf(random, mix.sizes, i),
      qos: random.pick(mix.qos),
      retain: random.chance(0.1),
      properties: v5 && mix.properties === true ? randomProperties(random, mix.expiring === true) : [],
    };
    const number = (mix.topics.indexOf(message.topic) % 16) + 1;
    const known =
      aliases.get(`${from.shape.clientIdentifier} ${number}`) === mix.topics.indexOf(message.topic);
    if (v5 && random.chance(0.3)) {
      stage.publish(from, message, { number, known });
      aliases.set(`${from.shape.clientIdentifier} ${number}`, mix.topics.indexOf(message.topic));
    } else stage.publish(from, message);
    if (random.chance(0.2)) while (!from.isQuiet) stage.step();
    if (random.chance(0.05)) stage.step(random.pick([1, 400, 1_700]));
  }
  for (const reader of readers) reader.readMax = Number.POSITIVE_INFINITY;
  stage.drain(1);
  const ageMax = Math.ceil((stage.world.clock.ms - startMs) / 1000) + 1;
  for (const reader of readers) compare(reader, stage.messages, ageMax);
  for (const publisher of publishers) compare(publisher, stage.messages, ageMax);
}

describe("lanes equal the reference", () => {
  for (const mix of MIXES) {
    for (const seed of seeds(1, 2)) {
      test(`${mix.title}, seed ${seed}`, () => withSeed(seed, (random) => run(random, mix)), 20_000);
    }
  }
});

describe("one message at a time", () => {
  const message = (
    topic: string,
    text: string,
    more: Partial<PublishedMessage> = {},
  ): Omit<PublishedMessage, "publisher"> => ({
    topic,
    payload: Buffer.from(text),
    qos: 1,
    retain: false,
    properties: [],
    ...more,
  });

  /** Frames with identifier 0, in a fixed order: for lanes whose order or identifiers are free. */
  const bare = (list: readonly Buffer[]): string[] =>
    list
      .map((frame) => {
        const copy = Buffer.from(frame);
        if ((copy[0]! & 6) !== 0) copy.writeUInt16BE(0, identifierAt(copy));
        return copy.toString("hex");
      })
      .sort();

  // A batch is shared although the session decides what No Local leaves out.
  test("No Local readers of one filter share nothing that the other may not get", () => {
    withSeed(1, (random) => {
      const stage = new LaneStage(random);
      const shape = (clientIdentifier: string): PeerShape => ({
        clientIdentifier,
        version: 5,
        subscriptions: [{ filter: "t", qos: 1, noLocal: true }],
      });
      const [a, b] = [stage.peer(shape("a")), stage.peer(shape("b"))] as const;
      for (const from of [a, b]) {
        for (let i = 0; i < 20; i++) {
          stage.publish(from, message("t", `${from.shape.clientIdentifier}${i}`));
          stage.drain();
        }
      }
      for (const peer of [a, b]) compare(peer, stage.messages, 0);
    });
  });

  // As above.
  test("No Local readers that wait at the same place for both publishers", () => {
    withSeed(2, (random) => {
      const stage = new LaneStage(random);
      const shape = (clientIdentifier: string): PeerShape => ({
        clientIdentifier,
        version: 5,
        subscriptions: [{ filter: "t", qos: 1, noLocal: true }],
      });
      const [a, b, other] = [stage.peer(shape("a")), stage.peer(shape("b")), stage.peer(shape("c"))] as const;
      // All in one poll: whoever is served first renders for the others.
      for (let i = 0; i < 10; i++)
        for (const from of [a, b, other]) stage.publish(from, message("t", `${i}`));
      stage.drain();
      for (const [peer, own] of [
        [a, "a"],
        [b, "b"],
        [other, "c"],
      ] as const) {
        const wanted = stage.messages.filter(({ publisher }) => publisher !== own).length;
        expect(peer.published.length).toBe(wanted);
      }
    });
  });

  test("a v3 frame with a Remaining Length of more bytes than it needs is delivered as what it says", () => {
    withSeed(1, (random) => {
      const stage = new LaneStage(random);
      const readers = ([4, 5] as const).flatMap((version) =>
        ([0, 1] as const).map((qos) =>
          stage.peer({
            clientIdentifier: `reader-${version}-${qos}`,
            version,
            subscriptions: [{ filter: "t", qos }],
          }),
        ),
      );
      const publisher = stage.peer({ clientIdentifier: "publisher", version: 4, subscriptions: [] });
      publisher.send(Buffer.from("308500000174" + "6869", "hex"));
      const padded: PublishedMessage = { ...message("t", "hi", { qos: 0 }), publisher: "publisher" };
      stage.drain();
      if (publisher.isClosed) return;
      for (const reader of readers) compare(reader, [padded], 0);
    });
  });

  for (const version of [4, 5] as const) {
    // A large frame's head may be larger than the batch that it is rendered into.
    const testProperties = test;
    testProperties(`150 KiB of properties reach a v${version} reader at every QoS`, () => {
      withSeed(1, (random) => {
        const stage = new LaneStage(random);
        const readers = ([0, 1, 2] as const).map((qos) =>
          stage.peer({ clientIdentifier: `reader-${qos}`, version, subscriptions: [{ filter: "t", qos }] }),
        );
        const publisher = stage.peer({ clientIdentifier: "publisher", version: 5, subscriptions: [] });
        const value = Buffer.concat([utf8("key"), utf8("v".repeat(50 * KIB))]);
        const properties = [0, 1, 2].map(() => ({ identifier: PropertyId.userProperty, value }));
        for (const qos of [0, 1, 2] as const)
          stage.publish(publisher, message("t", "small", { qos, properties }));
        stage.drain();
        expect(publisher.isClosed).toBe(false);
        for (const reader of readers) compare(reader, stage.messages, 0);
      });
    });
  }

  test("a short Message Expiry Interval ends while the reader does not read", () => {
    withSeed(1, (random) => {
      const stage = new LaneStage(random);
      const shape: PeerShape = {
        clientIdentifier: "reader",
        version: 5,
        subscriptions: [{ filter: "t", qos: 1 }],
        receiveMaximum: 1,
      };
      const reader = stage.peer(shape);
      const publisher = stage.peer({ clientIdentifier: "publisher", version: 5, subscriptions: [] });
      const expiring = (seconds: number): Property[] => [
        { identifier: PropertyId.messageExpiry, value: u32(seconds) },
      ];
      reader.acknowledges = false;
      stage.publish(publisher, message("t", "first"));
      stage.publish(publisher, message("t", "short", { properties: expiring(5) }));
      stage.publish(publisher, message("t", "long", { properties: expiring(60) }));
      stage.drain();
      expect(reader.published.length).toBe(1);
      for (let i = 0; i < 10; i++) stage.step(1_000);
      reader.acknowledges = true;
      reader.send(Buffer.from("40020001", "hex"));
      stage.drain();
      const [, long] = reader.published;
      expect(reader.published.length).toBe(2);
      const age = ageOf(long!, 5, stage.messages[2]!);
      expect(age).toBeWithin(9, 12);
      expect(long).toEqual(render(stage.messages[2]!, shape, { packetIdentifier: 2, age })!);
    });
  });

  describe("redelivery", () => {
    const redelivered = (
      title: string,
      more: Partial<PeerShape>,
      how: "live" | "retained" = "live",
    ): void => {
      for (const version of [4, 5] as const) {
        if (version === 4 && title !== "plain") continue;
        const body = (random: Random): void => {
          const stage = new LaneStage(random);
          const shape: PeerShape = {
            clientIdentifier: "reader",
            version,
            persistent: true,
            subscriptions: [{ filter: "t/#", qos: 2 }],
            socket: { cutChance: 0.4 },
            ...more,
          };
          const publisher = stage.peer({ clientIdentifier: "publisher", version: 5, subscriptions: [] });
          const count = how === "retained" ? 5 : 20;
          const publish = (): void => {
            for (let i = 0; i < count; i++) {
              const size = random.pick([3, 300, how === "live" ? 70 * KIB : 500]);
              const qos = random.pick([1, 2] as const);
              const more = {
                qos,
                retain: how === "retained" || i % 3 === 0,
                properties: randomProperties(random, false),
              };
              stage.publish(publisher, message(`t/${i}`, `${i}`.repeat(size), more));
            }
            stage.drain();
          };
          if (how === "retained") publish();
          const reader = stage.peer(shape, false);
          if (how === "live") publish();
          stage.drain();
          expect(reader.published.length).toBe(count);
          const before = reader.published.splice(0);
          reader.connect();
          stage.drain();
          const again = before.map((frame) => Buffer.concat([Buffer.of(frame[0]! | 8), frame.subarray(1)]));
          expect(reader.published.map((frame) => frame.toString("hex"))).toEqual(
            again.map((frame) => frame.toString("hex")),
          );
        };
        // Redelivery forgets what the subscription said.
        const testIt = test;
        testIt(`${title}: the same frames with DUP, v${version}`, () => withSeed(1, body));
      }
    };

    redelivered("plain", {});
    redelivered("Subscription Identifier", { subscriptions: [{ filter: "t/#", qos: 2, identifier: 9 }] });
    redelivered("Retain As Published", {
      subscriptions: [{ filter: "t/#", qos: 1, retainAsPublished: true }],
    });
    redelivered("retained messages", {}, "retained");

    // Redelivery does not look at the window.
    test("waits for a window that is smaller than it was", () => {
      withSeed(1, (random) => {
        const stage = new LaneStage(random);
        const shape = {
          clientIdentifier: "reader",
          version: 5,
          persistent: true,
          subscriptions: [{ filter: "t", qos: 1 }],
        } as const;
        const reader = stage.peer(shape);
        const publisher = stage.peer({ clientIdentifier: "publisher", version: 5, subscriptions: [] });
        reader.acknowledges = false;
        for (let i = 0; i < 10; i++) stage.publish(publisher, message("t", `${i}`));
        stage.drain();
        reader.cut();
        const back = new Peer(stage.world, { ...shape, receiveMaximum: 3 });
        stage.peers.push(back);
        back.acknowledges = false;
        back.connect();
        stage.drain();
        expect(back.published.length).toBe(3);
      });
    });
  });

  test("retained replay, for each version, QoS and option", () => {
    withSeed(1, (random) => {
      const stage = new LaneStage(random, { router: { memoryBytes: 32 * MIB } });
      for (const version of [4, 5] as const) {
        const publisher = stage.peer({
          clientIdentifier: `publisher-${version}`,
          version,
          subscriptions: [],
        });
        for (let i = 0; i < 30; i++) {
          const properties = version === 5 ? randomProperties(random, false) : [];
          const text = "x".repeat(random.pick([1, 100, 20_000, 70 * KIB]));
          const qos = random.pick([0, 1, 2] as const);
          stage.publish(publisher, message(`r/${version}/${i}`, text, { qos, retain: true, properties }));
        }
        stage.drain();
      }
      for (const version of [4, 5] as const) {
        for (const qos of [0, 1, 2] as const) {
          const shape: PeerShape = {
            clientIdentifier: `reader-${version}-${qos}`,
            version,
            subscriptions: [{ filter: "r/#", qos, ...(version === 5 && qos > 0 ? { identifier: 5 } : {}) }],
            socket: { capacity: 3_000, cutChance: 0.5 },
          };
          const reader = stage.peer(shape);
          const expected = stage.messages.map(
            (m) => render(m, shape, { packetIdentifier: 0, age: 0, replayed: true })!,
          );
          expect(bare(reader.published)).toEqual(bare(expected));
        }
      }
    });
  });

  test("a share group's members get together what one subscriber would get", () => {
    withSeed(1, (random) => {
      for (const count of [1, 3]) {
        const stage = new LaneStage(random);
        const members = Array.from({ length: count }, (_, i) =>
          stage.peer({
            clientIdentifier: `member-${i}`,
            version: 5,
            prefix: "$share/g/",
            subscriptions: [{ filter: "t/#", qos: 2, identifier: 4, retainAsPublished: true }],
            socket: { capacity: random.pick([3_000, 100_000]), cutChance: 0.5 },
          }),
        );
        const publishers = ([4, 5] as const).map((version) =>
          stage.peer({ clientIdentifier: `publisher-${version}`, version, subscriptions: [] }),
        );
        for (let i = 0; i < 60; i++) {
          const text = "y".repeat(random.pick([1, 100, 5_000, 70 * KIB]));
          const qos = random.pick([0, 1, 2] as const);
          stage.publish(
            random.pick(publishers),
            message(`t/${i}`, text, { qos, retain: random.chance(0.3) }),
          );
          if (random.chance(0.3)) stage.step();
        }
        stage.drain();
        const shape = members[0]!.shape;
        const expected = stage.messages.map((m) => render(m, shape, { packetIdentifier: 0, age: 0 })!);
        expect(bare(members.flatMap((member) => member.published))).toEqual(bare(expected));
      }
    });
  });

  // RETAIN is set where Retain As Published is asked, whatever was published.
  test("what a share group's member gives back goes out as it was published", () => {
    withSeed(1, (random) => {
      const stage = new LaneStage(random);
      const shape = (clientIdentifier: string): PeerShape => ({
        clientIdentifier,
        version: 5,
        prefix: "$share/g/",
        subscriptions: [{ filter: "t/#", qos: 1, identifier: 4, retainAsPublished: true }],
      });
      const dying = stage.peer(shape("dying"));
      dying.acknowledges = false;
      const publisher = stage.peer({ clientIdentifier: "publisher", version: 5, subscriptions: [] });
      for (let i = 0; i < 20; i++)
        stage.publish(publisher, message(`t/${i}`, `${i}`, { retain: i % 2 === 0 }));
      stage.drain();
      expect(dying.published.length).toBe(20);
      const heir = stage.peer(shape("heir"));
      dying.cut();
      stage.drain();
      const expected = stage.messages.map((m) => render(m, heir.shape, { packetIdentifier: 0, age: 0 })!);
      expect(bare(heir.published)).toEqual(bare(expected));
    });
  });
});
