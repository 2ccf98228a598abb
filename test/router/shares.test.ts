// Shares: whatever one client asks for, it is charged to its session, and one session has at most a quarter of what
// all have: others still come in.

import { describe, expect, test } from "bun:test";
import { Random } from "../sim/random.ts";
import { World } from "../sim/world.ts";
import { Peer, type PeerShape } from "./peer.ts";
import { encodePublish, PropertyId, u16, utf8, varint } from "./reference.ts";

const KIB = 1024;
const QUOTA_EXCEEDED = 0x97;

class Stage {
  readonly world = new World(new Random(1));
  readonly peers: Peer[] = [];

  peer(clientIdentifier: string, shape: Partial<PeerShape> = {}): Peer {
    const peer = new Peer(this.world, { version: 5, subscriptions: [], ...shape, clientIdentifier });
    this.peers.push(peer);
    peer.connect();
    peer.subscribe();
    this.settle();
    return peer;
  }

  settle(): void {
    for (let quiet = 0, steps = 0; quiet < 3; steps++) {
      if (steps > 5_000) throw new Error("it never ends");
      for (const peer of this.peers) peer.act();
      this.world.step(1);
      quiet = this.peers.every((peer) => peer.isClosed || peer.isQuiet) ? quiet + 1 : 0;
    }
  }

  /** A quarter is the most that the greedy one has, and somebody else comes in. */
  expectShare(greedy: Peer): void {
    const { budgets, sessions } = this.world.router;
    const share = budgets.sessions.bytesMax / 4;
    expect(sessions.get(greedy.shape.clientIdentifier)?.cost ?? 0).toBeLessThanOrEqual(share);
    expect(budgets.sessions.used).toBeLessThan(share + 10 * KIB);
    const other = this.peer("other", { subscriptions: [{ filter: "other", qos: 1 }] });
    expect(other.isClosed).toBe(false);
    greedy.cut();
    other.cut();
    this.settle();
    expect(budgets.sessions.used).toBe(0);
  }
}

function topicOf(i: number, bytes: number): string {
  return `t/${i}/`.padEnd(bytes, "x");
}

describe("one client's share", () => {
  for (const version of [4, 5] as const) {
    test(`is not exceeded by QoS 2 messages that it never releases, v${version}`, () => {
      const stage = new Stage();
      const greedy = stage.peer("greedy", { version, releases: false });
      for (let i = 1; i <= 20_000; i++) greedy.send(encodePublish(version, 0x34, "t", i, [], utf8("")));
      stage.settle();
      stage.expectShare(greedy);
    });
  }

  test("is not exceeded by Topic Aliases that it sets", () => {
    const stage = new Stage();
    const greedy = stage.peer("greedy");
    for (let alias = 1; alias <= 16; alias++) {
      const properties = [{ identifier: PropertyId.topicAlias, value: u16(alias) }];
      greedy.send(encodePublish(5, 0x30, topicOf(alias, 60 * KIB), 0, properties, utf8("")));
    }
    stage.settle();
    stage.expectShare(greedy);
  });

  test("is not exceeded by Topic Aliases that it permits: topics are sent in full", () => {
    const stage = new Stage();
    const subscriptions = [{ filter: "t/#", qos: 0 }] as const;
    const greedy = stage.peer("greedy", { subscriptions, topicAliasMaximum: 65_535 });
    const publisher = stage.peer("publisher");
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 40; i++)
        publisher.send(encodePublish(5, 0x30, topicOf(i, 20 * KIB), 0, [], utf8("x")));
      stage.settle();
    }
    expect(greedy.published.length).toBe(80);
    const told = greedy.published.slice(40).filter((frame) => frame.length < KIB).length;
    expect(told).toBeWithin(24, 32);
    publisher.cut();
    stage.settle();
    stage.expectShare(greedy);
  });

  test("is not exceeded by claims to retained messages: SUBACK says 0x97", () => {
    const stage = new Stage();
    const publisher = stage.peer("publisher");
    // More than goes out at one time: the reader must acknowledge before there is more.
    for (let i = 0; i < 200; i++) publisher.send(encodePublish(5, 0x33, `r/${i}`, i + 1, [], utf8("x")));
    stage.settle();
    publisher.cut();
    const greedy = stage.peer("greedy", { receiveMaximum: 1 });
    greedy.acknowledges = false;
    for (let i = 1; i <= 2_000; i++) {
      const body = Buffer.concat([u16(i), Buffer.of(0), utf8("r/#"), Buffer.of(1)]);
      greedy.send(Buffer.concat([Buffer.of(0x82), varint(body.length), body]));
    }
    stage.settle();
    const codes = greedy.other.filter((frame) => frame[0] === 0x90).map((frame) => frame.at(-1));
    expect(codes.length).toBe(2_000);
    expect(codes.filter((code) => code === 1).length).toBeWithin(900, 1_500);
    expect(codes.slice(-500).every((code) => code === QUOTA_EXCEEDED)).toBe(true);
    stage.expectShare(greedy);
  });
});

test("v5 [MQTT-3.10.4-2]: retained messages that UNSUBSCRIBE finds still to be sent are not sent", () => {
  const stage = new Stage();
  const publisher = stage.peer("publisher");
  for (let i = 0; i < 2_000; i++)
    publisher.send(encodePublish(5, 0x33, `r/${i}`, (i % 500) + 1, [], utf8("x".repeat(200))));
  stage.settle();
  const reader = stage.peer("reader", { receiveMaximum: 1 });
  reader.acknowledges = false;
  const filter = utf8("r/#");
  reader.send(
    Buffer.concat([Buffer.of(0x82, 2 + 1 + filter.length + 1), u16(1), Buffer.of(0), filter, Buffer.of(1)]),
  );
  stage.settle();
  expect(stage.world.router.sessions.get("reader")!.replays.length).toBe(1);
  reader.send(Buffer.concat([Buffer.of(0xa2, 2 + 1 + filter.length), u16(2), Buffer.of(0), filter]));
  stage.settle();
  expect(stage.world.router.sessions.get("reader")!.replays).toEqual([]);
});
