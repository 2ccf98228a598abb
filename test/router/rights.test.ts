// Rights in the router: what is shared, what is kept with routes, and what becomes of messages that were owed when
// rights changed, in each lane.

import { describe, expect, test } from "bun:test";
import type { ReceiveRule, Rights } from "../../src/session/rights.ts";
import type { Session } from "../../src/session/session.ts";
import { Random } from "../sim/random.ts";
import { World } from "../sim/world.ts";
import { Peer, type PeerShape } from "./peer.ts";
import { bodyOf, encodePublish } from "./reference.ts";

/** Permits topics that end otherwise. */
class NotEnding implements ReceiveRule {
  readonly end: string;

  constructor(end: string) {
    this.end = end;
  }

  permits(topicName: string): boolean {
    return !topicName.endsWith(this.end);
  }

  includes(other: ReceiveRule): boolean {
    return other instanceof NotEnding && this.end.endsWith(other.end);
  }
}

const rules = new Map<string, NotEnding>();

interface RightsShape {
  /** Publishing to topics that begin like this. */
  readonly publish?: string;
  /** Subscribing to filters that begin like this. */
  readonly subscribe?: string;
  /** Everything but topics that end like this. */
  readonly receiveNot?: string;
}

/** Equal rules are one object, as the port asks. */
function rightsFor({ publish = "", subscribe = "", receiveNot }: RightsShape): Rights {
  let rule: NotEnding | null = null;
  if (receiveNot !== undefined) {
    rule = rules.get(receiveNot) ?? new NotEnding(receiveNot);
    rules.set(receiveNot, rule);
  }
  return {
    mayPublish: (topic) => topic.startsWith(publish),
    maySubscribe: (filter) => filter.startsWith(subscribe),
    mayReceive: (topic) => topic.startsWith(subscribe) && (rule?.permits(topic) ?? true),
    receiveRule: () => rule,
  };
}

class Stage {
  readonly world = new World(new Random(1));
  readonly rights = new Map<string, Rights | null>();
  readonly peers: Peer[] = [];
  private sent = 0;

  constructor() {
    this.world.host.access = {
      judge: ({ clientIdentifier }) => this.grant(clientIdentifier),
      exchange: () => null,
      revise: (_grant, { clientIdentifier }) => this.grant(clientIdentifier),
    };
  }

  private grant(clientIdentifier: string) {
    const rights = this.rights.get(clientIdentifier) ?? null;
    const expiresWallMs = Number.POSITIVE_INFINITY;
    return {
      granted: true as const,
      userName: clientIdentifier,
      tenant: null,
      claims: {},
      rights,
      expiresWallMs,
    };
  }

  peer(clientIdentifier: string, shape: Partial<PeerShape> = {}, rights: Rights | null = null): Peer {
    this.rights.set(clientIdentifier, rights);
    const peer = new Peer(this.world, {
      clientIdentifier,
      version: 5,
      subscriptions: [],
      persistent: true,
      ...shape,
    });
    this.peers.push(peer);
    peer.connect();
    peer.subscribe();
    this.drain();
    return peer;
  }

  /** Other rights for a client, in force when this returns. */
  change(clientIdentifier: string, rights: Rights | null): void {
    this.rights.set(clientIdentifier, rights);
    void this.world.host.reauthorise(() => Promise.reject(new Error("there are few connections")));
  }

  session({ shape }: Peer): Session {
    return this.world.router.sessions.get(shape.clientIdentifier)!;
  }

  publish(from: Peer, topic: string, qos: 0 | 1 | 2 = 1, bytes = 64): void {
    const payload = Buffer.alloc(bytes);
    payload.writeUInt32BE(this.sent++);
    const identifier = qos === 0 ? 0 : from.identifier();
    from.send(encodePublish(from.shape.version, 0x30 | (qos << 1), topic, identifier, [], payload));
  }

  retain(from: Peer, topic: string, bytes = 64): void {
    from.send(encodePublish(from.shape.version, 0x31, topic, 0, [], Buffer.alloc(bytes, 1)));
  }

  drain(): void {
    for (let quiet = 0, steps = 0; quiet < 10; steps++) {
      if (steps > 20_000) throw new Error("it never ends");
      for (const peer of this.peers) peer.act();
      this.world.step(1);
      const isDone = (peer: Peer): boolean => peer.isClosed || peer.isQuiet || peer.readMax === 0;
      const isQuiet = this.world.scheduler.isIdle && this.peers.every(isDone);
      quiet = isQuiet ? quiet + 1 : 0;
    }
  }
}

function topicsOf(peer: Peer): string[] {
  return peer.published.map((frame) => {
    const body = bodyOf(frame);
    return frame.toString("utf8", body + 2, body + 2 + frame.readUInt16BE(body));
  });
}

const to = (filter: string, qos: 0 | 1 | 2 = 1) => ({ subscriptions: [{ filter, qos }] });
/** Of a/#, MQTT 5. */
const UNSUBSCRIBE = Buffer.from([0xa2, 8, 0, 99, 0, 0, 3, 0x61, 0x2f, 0x23]);
const NOT_SECRET = rightsFor({ receiveNot: "secret" });

describe("readers that may not be sent everything", () => {
  test("share a part of the filter where their rules are equal, and no other reader notices", () => {
    const stage = new Stage();
    const { filters, log } = stage.world.router;
    const restricted = [1, 2, 3].map((i) =>
      stage.peer(`r${i}`, to("a/#"), rightsFor({ receiveNot: "secret" })),
    );
    const other = stage.peer("other", to("a/#"), rightsFor({ receiveNot: "key" }));
    const free = stage.peer("free", to("a/#"));
    const idOf = (peer: Peer): number => stage.session(peer).byText.get("a/#")!.filter;
    expect(new Set(restricted.map(idOf)).size).toBe(1);
    expect(new Set([...restricted, other, free].map(idOf)).size).toBe(3);
    const publisher = stage.peer("p");
    for (const topic of ["a/x", "a/secret", "a/key"]) stage.publish(publisher, topic);
    stage.drain();
    for (const peer of restricted) expect(topicsOf(peer)).toEqual(["a/x", "a/key"]);
    expect(topicsOf(other)).toEqual(["a/x", "a/secret"]);
    expect(topicsOf(free)).toEqual(["a/x", "a/secret", "a/key"]);
    expect(log.postings.count[idOf(free)]).toBe(3);
    expect(log.postings.count[idOf(other)]).toBe(2);
    expect(filters.textOf(filters.states[idOf(other)]!)).toBe("a/#");
  });

  test("a message that nobody may be sent is not kept", () => {
    const stage = new Stage();
    stage.peer("r", to("a/#"), NOT_SECRET);
    const publisher = stage.peer("p");
    stage.publish(publisher, "a/secret");
    stage.drain();
    expect(stage.world.router.stats.unmatched).toBe(1);
    expect(stage.world.router.log.head).toBe(0 as never);
  });

  test("readers that come and go are in routes that were known before", () => {
    const stage = new Stage();
    const { tree, states } = stage.world.router.filters;
    const publisher = stage.peer("p");
    const publish = (): void => {
      for (let i = 0; i < 3; i++) for (const topic of ["a/x", "a/secret"]) stage.publish(publisher, topic);
      stage.drain();
    };
    const restricted = stage.peer("r", to("a/#"), NOT_SECRET);
    publish();
    const free = stage.peer("free", to("a/#"));
    publish();
    expect([topicsOf(restricted).length, topicsOf(free).length]).toEqual([6, 6]);
    restricted.send(UNSUBSCRIBE);
    stage.drain();
    publish();
    expect([topicsOf(restricted).length, topicsOf(free).length]).toEqual([6, 12]);
    restricted.subscribe();
    stage.drain();
    publish();
    expect([topicsOf(restricted).length, topicsOf(free).length]).toEqual([9, 18]);
    free.send(UNSUBSCRIBE);
    stage.drain();
    publish();
    expect([topicsOf(restricted).length, topicsOf(free).length]).toEqual([12, 18]);
    expect(stage.world.router.stats.unmatched).toBe(6); // before the other reader came, and when it had gone
    restricted.send(UNSUBSCRIBE);
    stage.drain();
    expect([tree.count, states.filter((state) => state !== null).length]).toEqual([0, 0]);
  });

  test("a share group has only members that may be sent everything", () => {
    const stage = new Stage();
    const restricted = stage.peer("r", { prefix: "$share/g/", ...to("a/#") }, NOT_SECRET);
    const free = stage.peer("free", { prefix: "$share/g/", ...to("a/#") }, rightsFor({ subscribe: "a/" }));
    expect(restricted.other.at(-1)!.at(-1)).toBe(0x87);
    expect(free.other.at(-1)!.at(-1)).toBe(1);
    expect(stage.world.router.stats.deniedSubscriptions).toBe(1);
  });

  test("retained messages obey the rule", () => {
    const stage = new Stage();
    const publisher = stage.peer("p");
    for (const topic of ["a/x", "a/secret", "a/y"]) stage.retain(publisher, topic);
    stage.drain();
    expect(topicsOf(stage.peer("r", to("a/#"), NOT_SECRET))).toEqual(["a/x", "a/y"]);
    expect(topicsOf(stage.peer("s", to("a/secret"), NOT_SECRET))).toEqual([]);
    expect(topicsOf(stage.peer("free", to("a/#")))).toEqual(["a/x", "a/secret", "a/y"]);
  });
});

describe("publishers", () => {
  test("share what is known of topics when they share their rights, and only then", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("#", 0));
    const asked: string[] = [];
    const counting = (publish: string): Rights => ({
      ...rightsFor({ publish }),
      mayPublish: (topic) => {
        asked.push(topic);
        return topic.startsWith(publish);
      },
    });
    const shared = counting("a/");
    const [first, second, third] = [
      stage.peer("p1", {}, shared),
      stage.peer("p2", {}, shared),
      stage.peer("p3", {}, counting("b/")),
    ] as const;
    for (let round = 0; round < 5; round++) {
      for (const peer of [first, second, third])
        for (const topic of ["a/1", "b/1", "a/2"]) stage.publish(peer, topic, 0);
      stage.drain();
    }
    expect(asked.toSorted()).toEqual(["a/1", "a/1", "a/2", "a/2", "b/1", "b/1"]);
    expect(topicsOf(reader).toSorted()).toEqual([
      ...Array(10).fill("a/1"),
      ...Array(10).fill("a/2"),
      ...Array(5).fill("b/1"),
    ]);
    expect(stage.world.router.stats.deniedPublishes).toBe(20);
  });

  test("are held to other rights from the moment that they change, also on the topic of their last message", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("#", 0));
    const publisher = stage.peer("p", {}, rightsFor({ publish: "a/" }));
    const three = (): void => {
      for (let i = 0; i < 3; i++) stage.publish(publisher, "a/1", 0);
      stage.drain();
    };
    three();
    stage.change("p", rightsFor({ publish: "b/" }));
    three();
    expect(reader.published).toHaveLength(3);
    stage.change("p", rightsFor({ publish: "a/" }));
    three();
    expect(reader.published).toHaveLength(6);
    expect(publisher.isClosed).toBe(false);
  });

  test("topics that are denied take no place among those that all share", () => {
    const stage = new Stage();
    const publisher = stage.peer("p", {}, rightsFor({ publish: "a/" }));
    for (let i = 0; i < 100; i++) stage.publish(publisher, `b/${i}`, 0);
    stage.drain();
    expect(stage.world.router.filters["cache"].count).toBe(0);
    expect(stage.world.router.filters["restricted"]!.count).toBe(100);
  });

  test("topics that are none end the connection whatever the rights", () => {
    for (const topic of ["a/+", "a/#", ""]) {
      const stage = new Stage();
      const publisher = stage.peer("p", {}, rightsFor({ publish: "none" }));
      stage.publish(publisher, topic, 0);
      stage.drain();
      expect(publisher.isClosed).toBe(true);
    }
  });

  test("a topic too long for the caches is judged each time", () => {
    const stage = new Stage();
    const long = `/${"x".repeat(300)}`;
    const reader = stage.peer("r", to("#", 0));
    const publisher = stage.peer("p", {}, rightsFor({ publish: "a" }));
    for (let i = 0; i < 4; i++) for (const begin of ["a", "b"]) stage.publish(publisher, begin + long, 0);
    stage.drain();
    expect(topicsOf(reader)).toEqual(Array(4).fill(`a${long}`));
  });
});

describe("what was owed when rights changed", () => {
  const MESSAGES = 150;

  /** A persistent reader with `count` messages to go, which go to another topic each second time. */
  function owing(shape: Partial<PeerShape>, topics: readonly string[], bytes = 64, count = MESSAGES) {
    const stage = new Stage();
    const readers = ["r1", "r2"].map((name) => stage.peer(name, shape));
    const publisher = stage.peer("p");
    for (const reader of readers) reader.cut();
    stage.drain();
    for (let i = 0; i < count; i++) stage.publish(publisher, topics[i % topics.length]!, 1, bytes);
    stage.drain();
    return { stage, publisher, changed: readers[0]!, same: readers[1]! };
  }

  const shapes: readonly (readonly [string, Partial<PeerShape>])[] = [
    ["in place", to("a/#", 1)],
    ["rendered", { subscriptions: [{ filter: "a/#", qos: 1, identifier: 7 }] }],
    ["for MQTT 3.1.1", { version: 4, ...to("a/#", 2) }],
    ["by several filters", { subscriptions: ["a/#", "a/+", "+/x"].map((filter) => ({ filter, qos: 1 })) }],
  ];
  for (const [title, shape] of shapes) {
    test(`${title}: what is forbidden now is left out, the rest comes, and a neighbour gets all of it`, () => {
      const { stage, changed, same } = owing(shape, ["a/x", "a/secret"]);
      stage.rights.set("r1", NOT_SECRET);
      same.connect();
      changed.connect();
      stage.drain();
      expect(topicsOf(changed)).toEqual(Array(MESSAGES / 2).fill("a/x"));
      expect(topicsOf(same)).toHaveLength(MESSAGES);
      expect(stage.world.router.stats.deniedDeliveries).toBe(MESSAGES / 2);
      expect(stage.session(changed).hasStaleRules).toBe(false);
    });
  }

  test("large frames too", () => {
    const { stage, changed } = owing(to("a/#"), ["a/x", "a/secret"], 70_000, 20);
    stage.rights.set("r1", NOT_SECRET);
    changed.connect();
    stage.drain();
    expect(topicsOf(changed)).toEqual(Array(10).fill("a/x"));
  });

  test("a subscription that is lost takes all that it owed with it", () => {
    const { stage, changed, publisher } = owing(
      {
        subscriptions: [
          { filter: "a/#", qos: 1 },
          { filter: "b", qos: 1 },
        ],
      },
      ["a/x", "b"],
    );
    stage.rights.set("r1", rightsFor({ subscribe: "b" }));
    changed.connect();
    stage.drain();
    stage.publish(publisher, "a/x");
    stage.publish(publisher, "b");
    stage.drain();
    expect(topicsOf(changed)).toEqual(Array(MESSAGES / 2 + 1).fill("b"));
    expect([...stage.session(changed).byText.keys()]).toEqual(["b"]);
    expect(stage.session(changed).cost).toBeLessThan(stage.session(stage.peers[1]!).cost);
  });

  test("what is in flight is not sent again if it is forbidden, and its identifiers are free again", () => {
    for (const qos of [1, 2] as const) {
      const stage = new Stage();
      const reader = stage.peer("r", to("a/#", qos));
      reader.acknowledges = false;
      const publisher = stage.peer("p");
      for (const topic of ["a/x", "a/secret", "a/x", "a/secret"]) stage.publish(publisher, topic, qos);
      stage.drain();
      expect(topicsOf(reader)).toHaveLength(4);
      reader.cut();
      stage.drain();
      stage.rights.set("r", NOT_SECRET);
      reader.connect();
      stage.drain();
      expect(topicsOf(reader).slice(4)).toEqual(["a/x", "a/x"]);
      expect(stage.session(reader).inflight.count).toBe(2);
    }
  });

  test("what is in flight of a subscription that had ended is not sent again either", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("a/#"));
    reader.acknowledges = false;
    const publisher = stage.peer("p");
    for (const topic of ["a/x", "a/secret"]) stage.publish(publisher, topic);
    stage.drain();
    reader.send(UNSUBSCRIBE);
    stage.drain();
    reader.cut();
    stage.drain();
    stage.rights.set("r", NOT_SECRET);
    reader.connect();
    stage.drain();
    expect(topicsOf(reader)).toEqual(["a/x", "a/secret", "a/x"]);
  });

  test("a connected client is closed with 0x87 and finds the rest when it comes back", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("a/#"));
    const same = stage.peer("same", to("a/#"));
    reader.readMax = 0;
    const publisher = stage.peer("p");
    for (let i = 0; i < MESSAGES; i++) stage.publish(publisher, i % 2 === 0 ? "a/x" : "a/secret", 1, 4_000);
    stage.drain();
    stage.change("r", NOT_SECRET);
    expect(stage.world.endings.map(({ reason }) => reason)).toEqual([0x87]);
    reader.cut();
    const before = reader.published.length;
    reader.readMax = Number.POSITIVE_INFINITY;
    reader.connect();
    stage.drain();
    expect(new Set(topicsOf(reader).slice(before))).toEqual(new Set(["a/x"]));
    expect(topicsOf(reader)).toHaveLength(MESSAGES / 2);
    expect(topicsOf(same)).toHaveLength(MESSAGES);
    expect(same.isClosed).toBe(false);
  });

  test("one that is left connected gets no batch that others share", () => {
    const stage = new Stage();
    const shape = {
      subscriptions: [{ filter: "a/#", qos: 0 as const, identifier: 7 }],
      socket: { capacity: 3_000 },
    };
    const [changed, same] = [stage.peer("r1", shape), stage.peer("r2", shape)];
    for (const reader of [changed, same]) reader.readMax = 0;
    const publisher = stage.peer("p");
    for (let i = 0; i < MESSAGES; i++) stage.publish(publisher, i % 2 === 0 ? "a/x" : "a/secret", 0, 500);
    stage.drain();
    const before = { changed: topicsOf(changed).length, same: topicsOf(same).length };
    expect(before).toEqual({ changed: 0, same: 0 });
    stage.session(changed).rights = NOT_SECRET;
    expect(stage.world.router.rightsChanged(stage.session(changed))).toBe(true);
    for (const reader of [changed, same]) reader.readMax = Number.POSITIVE_INFINITY;
    stage.drain();
    expect(topicsOf(same)).toHaveLength(MESSAGES);
    const forbidden = topicsOf(changed).filter((topic) => topic === "a/secret");
    expect(forbidden.length).toBeLessThanOrEqual(4); // what the socket had taken
    expect(topicsOf(changed)).toHaveLength(MESSAGES / 2 + forbidden.length);
  });

  test("a client that gains stays, and gets what it gained once it has caught up", () => {
    const stage = new Stage();
    const reader = stage.peer("r", { socket: { capacity: 2_000 }, ...to("a/#") }, NOT_SECRET);
    const publisher = stage.peer("p");
    reader.readMax = 0;
    for (let i = 0; i < MESSAGES; i++) stage.publish(publisher, i % 2 === 0 ? "a/x" : "a/secret", 1, 500);
    stage.drain();
    stage.change("r", rightsFor({ subscribe: "a" }));
    expect(stage.session(reader).hasStaleRules).toBe(true);
    reader.readMax = Number.POSITIVE_INFINITY;
    stage.drain();
    expect(stage.session(reader).hasStaleRules).toBe(false);
    stage.publish(publisher, "a/secret");
    stage.drain();
    expect(reader.isClosed).toBe(false);
    expect(topicsOf(reader)).toEqual([...Array(MESSAGES / 2).fill("a/x"), "a/secret"]);
  });

  test("retained messages that were promised are judged by the new rights", () => {
    const stage = new Stage();
    const publisher = stage.peer("p");
    for (let i = 0; i < 1_500; i++) stage.retain(publisher, `a/${i}/${i % 2 === 0 ? "x" : "secret"}`, 500);
    stage.drain();
    for (const rights of [NOT_SECRET, rightsFor({ subscribe: "b" })]) {
      const name = `r${stage.peers.length}`;
      stage.rights.set(name, null);
      const reader = new Peer(stage.world, {
        clientIdentifier: name,
        version: 5,
        persistent: true,
        socket: { capacity: 4_000 },
        ...to("a/#"),
      });
      stage.peers.push(reader);
      reader.readMax = 0;
      reader.connect();
      reader.subscribe();
      stage.drain();
      expect(stage.session(reader).replays).toHaveLength(1);
      stage.change(name, rights);
      reader.cut();
      stage.drain();
      reader.readMax = Number.POSITIVE_INFINITY;
      reader.connect();
      stage.drain();
      expect(topicsOf(reader).filter((topic) => topic.endsWith("secret"))).toEqual([]);
      expect(stage.session(reader).replays).toHaveLength(0);
    }
  });

  test("a share group's member leaves, and what it had not acknowledged goes to another", () => {
    const stage = new Stage();
    const shape = { prefix: "$share/g/", ...to("a/#") };
    const [one, two] = [stage.peer("m1", shape), stage.peer("m2", shape)];
    one.acknowledges = false;
    const publisher = stage.peer("p");
    for (let i = 0; i < 20; i++) stage.publish(publisher, "a/x");
    stage.drain();
    expect(topicsOf(two).length).toBeLessThan(20);
    stage.change("m1", NOT_SECRET);
    stage.drain();
    expect(one.isClosed).toBe(true);
    stage.publish(publisher, "a/secret");
    stage.drain();
    expect(topicsOf(two)).toHaveLength(21);
    expect(stage.session(one).byText.size).toBe(0);
  });

  test("equal rights are no change, and a clean session has nothing to judge", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("a/#"), NOT_SECRET);
    const { epoch } = stage.world.router.filters.tree;
    stage.change("r", NOT_SECRET);
    expect(stage.world.router.filters.tree.epoch).toBe(epoch);
    stage.change("r", rightsFor({ receiveNot: "secret" }));
    expect([reader.isClosed, stage.session(reader).judgedBelow]).toEqual([false, 0]);
  });
});

describe("a Will", () => {
  const will = (delayInterval: number) => {
    const payload = Buffer.from("x");
    return {
      topic: "a/will",
      payload,
      qos: 0 as const,
      retain: true,
      properties: Buffer.alloc(0),
      delayInterval,
    };
  };

  test("is judged by the rights that hold when it is published", () => {
    const stage = new Stage();
    const reader = stage.peer("r", to("a/#", 0));
    const { router } = stage.world;
    const publisher = stage.peer("p", {}, rightsFor({ publish: "a" }));
    const session = stage.session(publisher);
    session.will = will(0);
    session.rights = rightsFor({ publish: "b" });
    publisher.cut();
    stage.drain();
    expect([topicsOf(reader), router.stats.deniedPublishes, router.retained.count]).toEqual([[], 1, 0]);
  });

  for (const [title, change, expected] of [
    ["that waits for its delay is judged by the rules of then", rightsFor({ publish: "b" }), []],
    ["that waits for its delay comes when nothing has changed", rightsFor({ publish: "a" }), ["a/will"]],
  ] as const) {
    test(title, () => {
      const stage = new Stage();
      const reader = stage.peer("r", to("a/#", 0));
      const publisher = stage.peer("p", {}, rightsFor({ publish: "a" }));
      stage.session(publisher).will = will(5);
      publisher.cut();
      stage.drain();
      stage.change("p", change);
      for (let second = 0; second < 7; second++) stage.world.step(1_000);
      stage.drain();
      expect(topicsOf(reader)).toEqual([...expected]);
      expect(stage.world.router.stats.deniedPublishes).toBe(1 - expected.length);
    });
  }
});
