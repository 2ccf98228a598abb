// What is counted beside what went over sockets: packets, messages and bytes, by type and QoS, whatever the lane and
// however sockets cut. (The simulation compares messages at every one of its steps; see test/sim/tap.ts.)

import { describe, expect, test } from "bun:test";
import { Link } from "../../src/net/link.ts";
import { Random, seeds, withSeed } from "../sim/random.ts";
import { MIB } from "../sim/world.ts";
import type { Peer, PeerShape } from "./peer.ts";
import { encodePublish } from "./reference.ts";
import { Stage } from "./stage.ts";

type QoS = 0 | 1 | 2;

const KIB = 1024;
const NAMES = [
  ...["", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp"],
  ...["subscribe", "suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth"],
];

class CountedStage extends Stage {
  readonly sent = { messages: [0, 0, 0], bytes: [0, 0, 0] };

  override drain(): void {
    super.drain(1);
  }

  publish(from: Peer, topic: string, qos: QoS, bytes: number): void {
    const { version } = from.shape;
    const identifier = qos === 0 ? 0 : from.identifier();
    const frame = encodePublish(version, 0x30 | (qos << 1), topic, identifier, [], Buffer.alloc(bytes, "x"));
    from.send(frame);
    this.sent.messages[qos]!++;
    this.sent.bytes[qos]! += frame.length;
  }

  /** The counters say what went over the sockets, to the byte. */
  compare(): void {
    const { router, tap } = this.world;
    const { stats } = router;
    const received = stats.received();
    expect([...received.messages]).toEqual(this.sent.messages);
    expect([...received.bytes]).toEqual(this.sent.bytes);
    expect([...stats.sent.messages]).toEqual([...tap.published.messages]);
    expect([...stats.sent.bytes]).toEqual([...tap.published.bytes]);
    expect([...stats.allPacketsOut()]).toEqual([...tap.packets]);
    for (const { shape, published } of this.peers) {
      const session = router.sessions.get(shape.clientIdentifier)!;
      expect(`${shape.clientIdentifier} ${session.messagesOut}`).toBe(
        `${shape.clientIdentifier} ${published.length}`,
      );
    }
  }
}

const to = (clientIdentifier: string, version: 3 | 4 | 5, filter: string, qos: QoS): PeerShape => ({
  clientIdentifier,
  version,
  subscriptions: [{ filter, qos }],
});

interface Mix {
  readonly title: string;
  readonly sizes: readonly number[];
  readonly count: number;
}

const MIXES: readonly Mix[] = [
  { title: "of one size", sizes: [64], count: 300 },
  { title: "of many sizes", sizes: [0, 1, 64, 130, 700, 9_000], count: 200 },
  { title: "some of them large", sizes: [10, 64 * KIB, 66 * KIB, 150 * KIB], count: 12 },
];

function mixed(random: Random, { sizes, count }: Mix, qos: readonly QoS[]): void {
  const stage = new CountedStage(random, { router: { memoryBytes: 32 * MIB }, auditEvery: 20 });
  for (const version of [3, 4, 5] as const) {
    for (const granted of [0, 1, 2] as const) {
      const socket = { capacity: random.pick([900, 5_000, MIB]), cutChance: random.pick([0, 0.5]) };
      const shape = to(`to-${version}-${granted}`, version, random.pick(["a", "#", "+"]), granted);
      stage.peer({ ...shape, socket, ...(version === 5 ? { receiveMaximum: random.between(1, 50) } : {}) });
    }
  }
  stage.peer({ ...to("share-1", 4, "a", 1), prefix: "$share/g/" });
  stage.peer({ ...to("share-2", 5, "a", 0), prefix: "$share/g/" });
  const socket = { chunkMax: random.pick([100, 500_000]) };
  const publishers = ([4, 5] as const).map((version) =>
    stage.peer({ clientIdentifier: `from-${version}`, version, subscriptions: [], socket }),
  );
  for (let i = 0; i < count; i++) {
    stage.publish(
      random.pick(publishers),
      random.pick(["a", "a", "a", "b"]),
      random.pick(qos),
      random.pick(sizes),
    );
    if (random.chance(0.2)) stage.step(random.pick([0, 1, 1_100]));
  }
  stage.drain();
  stage.compare();
}

describe("every packet is counted once", () => {
  for (const mix of MIXES) {
    for (const qos of [[0], [1], [0, 1, 2]] as const) {
      for (const seed of seeds(1, 2, 3)) {
        test(`messages ${mix.title} of QoS ${qos}, seed ${seed}`, () => {
          withSeed(seed, (random) => mixed(random, mix, qos));
        });
      }
    }
  }

  for (const seed of seeds(1, 2, 3)) {
    test(`in segments that the cleaner has written, seed ${seed}`, () => withSeed(seed, cleaned));
  }
});

/** Messages of a quiet topic wait for slow readers while a flood on another one fills the log. */
function cleaned(random: Random): void {
  const stage = new CountedStage(random, {
    auditEvery: 20,
    router: { memoryBytes: 8 * MIB, stallMs: 1e9 },
    listener: { packetBytesMax: MIB },
  });
  const slow = ([0, 1] as const).map((qos) =>
    stage.peer({ ...to(`slow-${qos}`, 4, "seldom", qos), socket: { capacity: 5_000 } }),
  );
  const fast = stage.peer(to("fast", 4, "often", 0));
  const [one, other] = ["one", "other"].map((id) => stage.peer(to(id, 4, "nothing", 0))) as [Peer, Peer];
  for (const peer of slow) peer.readMax = 0;
  let seldom = 0;
  const publishSeldom = (from: Peer): void => {
    for (let i = random.between(1, 3); i > 0; i--, seldom++)
      stage.publish(from, "seldom", 0, random.below(40));
    stage.step();
  };
  for (let round = 0; round < 2_000; round++) {
    publishSeldom(one);
    publishSeldom(other); // a run of its own, behind the other one
    stage.publish(one, "often", 0, 4_000);
    if (round % 10 === 0) stage.step(1);
  }
  while (!fast.isQuiet || !one.isQuiet) stage.step(1);
  expect(stage.world.router.log.oldest.cleaned).toBe(true);
  for (const peer of slow) peer.readMax = random.between(100, 5_000);
  stage.drain();
  expect(slow.map(({ published }) => published.length)).toEqual([seldom, seldom]);
  stage.compare();
}

test("packets of clients, by type", () => {
  const stage = new CountedStage(new Random(1));
  const reader = stage.peer({
    clientIdentifier: "reader",
    version: 5,
    subscriptions: [
      { filter: "a", qos: 1 },
      { filter: "b", qos: 2 },
    ],
  });
  const publisher = stage.peer({ clientIdentifier: "from", version: 4, subscriptions: [] });
  for (let i = 0; i < 20; i++) stage.publish(publisher, "a", 1, i);
  for (let i = 0; i < 7; i++) stage.publish(publisher, "b", 2, i);
  stage.publish(publisher, "nobody", 0, 1);
  stage.drain();
  publisher.send(Buffer.of(0xa2, 5, 0, 1, 0, 1, 0x78)); // UNSUBSCRIBE
  publisher.send(Buffer.of(0xc0, 0));
  stage.drain();
  reader.send(Buffer.of(0xe0, 0));
  stage.drain();
  const { stats } = stage.world.router;
  const counts = (packets: Float64Array): object =>
    Object.fromEntries([...packets].flatMap((count, type) => (count === 0 ? [] : [[NAMES[type], count]])));
  expect(counts(stats.allPacketsIn())).toEqual({
    ...{ connect: 2, publish: 28, subscribe: 2, unsubscribe: 1, pingreq: 1, disconnect: 1 },
    ...{ puback: 20, pubrec: 7, pubrel: 7, pubcomp: 7 },
  });
  expect(counts(stats.allPacketsOut())).toEqual({
    ...{ connack: 2, publish: 27, suback: 2, unsuback: 1, pingresp: 1 },
    ...{ puback: 20, pubrec: 7, pubrel: 7, pubcomp: 7 },
  });
});

test("what the broker's own links get is not counted as sent to clients", () => {
  const stage = new CountedStage(new Random(1));
  let heard = 0;
  const link = new Link(stage.world.router, "link", 10, { onMessage: () => void heard++ });
  link.subscribe("a", 0, false);
  stage.peer(to("reader", 4, "a", 0));
  const publisher = stage.peer({ clientIdentifier: "from", version: 4, subscriptions: [] });
  for (let i = 0; i < 5; i++) stage.publish(publisher, "a", 0, 10);
  stage.drain();
  const { stats } = stage.world.router;
  expect([heard, stats.messagesOut, stats.sentToLinks.messages[0]]).toEqual([5, 5, 5]);
  link.close();
});
