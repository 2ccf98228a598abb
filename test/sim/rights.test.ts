// Rights in the simulation: clients with random rules over sockets that cut anywhere, while rules change. Nobody gets
// or publishes what its rules forbid, whatever was queued before; those whose rules stay the same miss nothing.

import { describe, expect, test } from "bun:test";
import { Acl } from "../../src/auth/acl.ts";
import type { AclRule } from "../../src/auth/aclRule.ts";
import type { ConnectAttempt, Grant } from "../../src/net/access.ts";
import type { Rights } from "../../src/session/rights.ts";
import { filterMatchesTopic } from "../../src/topic/topicFilter.ts";
import { Peer, type PeerShape } from "../router/peer.ts";
import {
  bodyOf,
  encodePublish,
  type ReferenceSubscription,
  type ReferenceVersion,
} from "../router/reference.ts";
import { type Random, seeds, withSeed } from "./random.ts";
import { World } from "./world.ts";

const LEVELS = ["a", "b", "c"];
const FILTERS = ["#", "a/#", "+/b", "b/+", "a/b", "+/+", "c/#", "a", "+", "$x/#", "$x/a"];
const STEPS = 900;

interface Delivery {
  readonly topic: string;
  readonly id: number;
  readonly retain: boolean;
}

function randomTopic(random: Random): string {
  const topic = Array.from({ length: random.between(1, 2) }, () => random.pick(LEVELS)).join("/");
  return random.chance(0.1) ? `$x/${random.pick(LEVELS)}` : topic;
}

/** Rules for one client: everything may be subscribed to, some of it is not delivered; or both are alike. */
function randomRules(random: Random, clientIdentifier: string): AclRule[] {
  const who = { clientIdentifiers: [clientIdentifier] };
  const actions = random.chance(0.6) ? (["receive"] as const) : (["receive", "subscribe"] as const);
  const rules = Array.from({ length: random.between(0, 3) }, (): AclRule => {
    const text = random.pick(FILTERS);
    return { who, actions, allow: random.chance(0.4), filters: [{ text, parts: [text], places: [] }] };
  });
  const all = ["#", "$x/#"].map((text) => ({ text, parts: [text], places: [] }));
  return [...rules, { who, actions: ["receive", "subscribe"], allow: random.chance(0.8), filters: all }];
}

/** A subscriber, and what it may be sent while its present connection stands. */
class Reader {
  readonly peer: Peer;
  readonly name: string;
  /** Its rules never change. */
  readonly isSteady: boolean;
  rules: AclRule[];
  rights: Rights | null = null;
  seen = 0;
  readonly deliveries: Delivery[] = [];

  constructor(world: World, shape: PeerShape, isSteady: boolean, rules: AclRule[]) {
    this.peer = new Peer(world, shape);
    this.name = shape.clientIdentifier;
    this.isSteady = isSteady;
    this.rules = rules;
  }

  mayGet(topic: string): boolean {
    const rule = this.rights?.receiveRule(topic) ?? null;
    return rule === null || rule.permits(topic);
  }

  /** Reads, and checks every message against the rights of this connection. */
  read(): void {
    this.peer.act();
    for (; this.seen < this.peer.published.length; this.seen++) {
      const delivery = deliveryOf(this.peer.published[this.seen]!, this.peer.shape.version);
      this.deliveries.push(delivery);
      if (this.mayGet(delivery.topic)) continue;
      throw new Error(
        `${this.name} got ${delivery.topic} (message ${delivery.id}), which it may not be sent`,
      );
    }
  }
}

function deliveryOf(frame: Buffer, version: ReferenceVersion): Delivery {
  const body = bodyOf(frame);
  const length = frame.readUInt16BE(body);
  const topic = frame.toString("utf8", body + 2, body + 2 + length);
  let at = body + 2 + length + ((frame[0]! & 6) === 0 ? 0 : 2);
  if (version === 5) at += 1 + frame[at]!;
  return { topic, id: frame.readUInt32BE(at), retain: (frame[0]! & 1) !== 0 };
}

interface Message {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** Its publisher might not publish there. */
  readonly isDenied: boolean;
}

class Scene {
  readonly random: Random;
  readonly world: World;
  readonly acl = new Acl({ rules: [], otherwise: { publish: true, subscribe: false, receive: true } });
  readonly readers: Reader[] = [];
  readonly publishers: { readonly peer: Peer; readonly rights: Rights | null }[] = [];
  readonly messages: Message[] = [];

  constructor(random: Random) {
    this.random = random;
    this.world = new World(random, { auditEvery: 25 });
    const { acl } = this;
    this.world.host.access = {
      judge: (attempt) => this.grant(attempt),
      exchange: () => null,
      revise: (_grant, attempt) => this.grant(attempt),
    };
    for (let i = 0; i < 6; i++) this.readers.push(this.reader(i));
    this.reload();
    for (let i = 0; i < 3; i++) {
      const peer = new Peer(this.world, {
        clientIdentifier: `p${i}`,
        version: i === 0 ? 5 : 4,
        subscriptions: [],
      });
      peer.connect();
      this.publishers.push({ peer, rights: acl.rightsOf(subjectOf(`p${i}`)) });
    }
    for (const reader of this.readers) this.connect(reader);
  }

  private grant({ clientIdentifier }: ConnectAttempt): Grant {
    const rights = this.acl.rightsOf(subjectOf(clientIdentifier));
    const more = {
      userName: clientIdentifier,
      tenant: null,
      claims: {},
      expiresWallMs: Number.POSITIVE_INFINITY,
    };
    return { granted: true, rights, ...more };
  }

  private reader(index: number): Reader {
    const { random } = this;
    const subscriptions = Array.from(
      { length: random.between(1, 4) },
      (): ReferenceSubscription => ({
        filter: random.pick(FILTERS),
        qos: random.pick([0, 1, 2]),
        ...(random.chance(0.2) ? { identifier: 1 + random.below(50) } : {}),
      }),
    );
    const clientIdentifier = `r${index}`;
    const version = random.pick([4, 5] as const);
    const byFilter = new Map(subscriptions.map((subscription) => [subscription.filter, subscription]));
    const socket = { capacity: random.pick([500, 4_000, 64_000]), cutChance: random.pick([0, 0.3]) };
    const shape = {
      clientIdentifier,
      version,
      subscriptions: [...byFilter.values()],
      persistent: true,
      socket,
    };
    const rules = random.chance(0.2) && index < 2 ? [] : randomRules(random, clientIdentifier);
    return new Reader(this.world, shape, index < 3, rules);
  }

  /** The rules of all, as they are now; clients that stand are judged anew. */
  reload(): void {
    const who = { clientIdentifiers: ["p1", "p2"] };
    const denied = { who, actions: ["publish"] as const, allow: false, filters: ["b/#", "$x/a"].map(plain) };
    const open = { who: {}, actions: ["subscribe"] as const, allow: true, filters: ["#", "$x/#"].map(plain) };
    const rules = [denied, ...this.readers.flatMap((reader) => reader.rules), open];
    this.acl.replace({ rules, otherwise: { publish: true, subscribe: false, receive: true } });
    void this.world.host.reauthorise(() => Promise.reject(new Error("there are few connections")));
    for (const reader of this.readers) if (!reader.peer.isClosed) reader.rights = this.rightsOf(reader);
  }

  private rightsOf({ name }: Reader): Rights | null {
    return this.acl.rightsOf(subjectOf(name));
  }

  connect(reader: Reader): void {
    reader.read();
    reader.peer.connect();
    reader.rights = this.rightsOf(reader);
    reader.peer.subscribe();
  }

  publish(): void {
    const { random } = this;
    const { peer, rights } = random.pick(this.publishers);
    const topic = randomTopic(random);
    const qos = random.pick([0, 1, 2] as const);
    const payload = Buffer.alloc(4 + random.below(400));
    payload.writeUInt32BE(this.messages.length);
    const retain = random.chance(0.1) ? 1 : 0;
    const identifier = qos === 0 ? 0 : peer.identifier();
    peer.send(encodePublish(peer.shape.version, 0x30 | (qos << 1) | retain, topic, identifier, [], payload));
    this.messages.push({ topic, qos, isDenied: rights !== null && !rights.mayPublish(topic) });
  }

  step(ms = 1): void {
    for (const { peer } of this.publishers) peer.act();
    for (const reader of this.readers) reader.read();
    this.world.step(ms);
  }

  drain(): void {
    for (const { peer } of this.readers) peer.readMax = Number.POSITIVE_INFINITY;
    const peers = [...this.publishers, ...this.readers].map(({ peer }) => peer);
    for (let quiet = 0, steps = 0; quiet < 20; steps++) {
      if (steps > 20_000) throw new Error("it never ends");
      this.step(5);
      const { scheduler, paused } = this.world;
      const isQuiet =
        scheduler.isIdle && paused.size === 0 && peers.every((peer) => peer.isClosed || peer.isQuiet);
      quiet = isQuiet ? quiet + 1 : 0;
    }
  }
}

function subjectOf(clientIdentifier: string) {
  return { userName: clientIdentifier, clientIdentifier, tenant: null, claims: {}, listener: "v4.1" };
}

const plain = (text: string) => ({ text, parts: [text], places: [] });

/** The subscriptions of a reader that its rules let it have match the topic, and it may be sent. */
function wants(reader: Reader, topic: string): boolean {
  const { subscriptions } = reader.peer.shape;
  const held = subscriptions.filter(({ filter }) => reader.rights?.maySubscribe(filter) ?? true);
  return reader.mayGet(topic) && held.some(({ filter }) => filterMatchesTopic(filter, topic));
}

describe("rights under random change", () => {
  for (const seed of seeds(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)) {
    test(`seed ${seed}`, () => {
      withSeed(seed, (random) => {
        const scene = new Scene(random);
        scene.drain();
        const first = scene.messages.length;
        for (let i = 0; i < STEPS; i++) {
          for (let burst = random.below(4); burst > 0; burst--) scene.publish();
          const reader = random.pick(scene.readers);
          if (random.chance(0.03)) reader.peer.readMax = random.chance(0.5) ? 0 : Number.POSITIVE_INFINITY;
          if (!reader.isSteady) {
            if (random.chance(0.01)) reader.peer.cut();
            if (random.chance(0.1) && reader.peer.isClosed) scene.connect(reader);
            if (random.chance(0.02)) {
              reader.rules = randomRules(random, reader.name);
              scene.reload();
            }
          }
          scene.step();
        }
        scene.drain();
        for (const reader of scene.readers) {
          if (reader.peer.isClosed) scene.connect(reader);
          else reader.peer.subscribe(); // what was refused once may be granted now
        }
        scene.drain();
        const changed = scene.messages.length;
        for (let i = 0; i < 300; i++) {
          scene.publish();
          scene.step();
        }
        scene.drain();
        check(scene, first, changed);
      });
    }, 60_000);
  }
});

function check(scene: Scene, first: number, changed: number): void {
  const { messages, readers } = scene;
  for (const reader of readers) {
    const { name, isSteady, peer, deliveries } = reader;
    expect(`${name} ${peer.isClosed}`).toBe(`${name} false`);
    const counts = new Map<number, number>();
    for (const { id } of deliveries) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const { id, topic } of deliveries) {
      if (messages[id]!.isDenied)
        throw new Error(`${name} got message ${id} on ${topic}: nobody may publish that`);
    }
    messages.forEach(({ topic, isDenied }, id) => {
      const isDue = id >= (isSteady ? first : changed) && !isDenied && wants(reader, topic);
      if (isDue && !counts.has(id)) throw new Error(`${name} never got message ${id} on ${topic}`);
    });
    const live = deliveries.filter(({ retain }) => !retain).map(({ id }) => id);
    if (isSteady) expect(live).toHaveLength(new Set(live).size);
  }
  expect(scene.world.router.stats.deniedPublishes).toBe(messages.filter(({ isDenied }) => isDenied).length);
}
