// Seeded conversations against a slow, obvious model: who should get what, how often, in which order. A failing
// seed is in the test's name.

import { expect } from "bun:test";
import { type Wire, wireSuite } from "../support/suite.ts";
import { minQos, type Qos, type Version, type WireClient } from "../support/wireClient.ts";

/** Payload bytes: within a batch, beyond it, beyond a socket's buffer. */
const SIZES = [1, 10, 100, 2_000, 70_000, 600_000];
const SEEDS = [1, 2, 3, 4, 5, 6];

const MIB = 1024 * 1024;

/** Room for everything that a subscriber that is away may be owed: nothing here is about quotas. */
const wire = wireSuite({
  router: { memoryBytes: 256 * MIB },
  listener: { queueBytesMax: 64 * MIB },
});

class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2_654_435_761;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** §4.7 in its plainest form. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  for (const [index, level] of wanted.entries()) {
    if (level === "#") return true;
    if (index >= levels.length) return false;
    if (level !== "+" && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

const LEAVES = ["a", "b", "a/b", "a/c", "b/c/d", "", "a/", "/b"];
const FILTERS = ["#", "+", "a", "a/#", "+/b", "a/+", "b/+/d", "b/c/d", "+/+", "/+", "a/b"];

interface Subscription {
  readonly qos: Qos;
  readonly nl: boolean;
  readonly identifier: number | undefined;
}

interface Member {
  readonly client: WireClient;
  readonly rap: boolean;
  readonly filters: Map<string, Subscription>;
  /** The broker's Topic Aliases on this connection. */
  readonly aliases: Map<number, string>;
}

async function join(context: Wire, random: Random, stem: string): Promise<Member> {
  const version: Version = random.pick([3, 4, 5]);
  const alias = version === 5 && random.chance(50) ? { properties: { topicAliasMaximum: 3 } } : {};
  const member: Member = {
    client: await context.client(version, alias),
    rap: version === 5 && random.chance(50),
    filters: new Map(),
    aliases: new Map(),
  };
  for (let count = 1 + random.below(4); count > 0; count--) await subscribe(member, random, stem);
  return member;
}

async function subscribe(member: Member, random: Random, stem: string): Promise<void> {
  const { client, rap, filters } = member;
  const filter = `${stem}/${random.pick(FILTERS)}`;
  const v5 = client.version === 5;
  const subscription: Subscription = {
    qos: random.pick([0, 1, 2]),
    nl: v5 && random.chance(30),
    identifier: v5 && random.chance(50) ? 1 + random.below(100_000) : undefined,
  };
  const { qos, nl, identifier } = subscription;
  await client.subscribe(
    filter,
    v5 ? { qos, nl, rap, rh: 2, ...(identifier ? { identifier } : {}) } : { qos },
  );
  filters.set(filter, subscription);
  // Before MQTT 5 nobody can decline the retained messages.
  if (!v5) await collect(member, 0);
}

/** What `member` should get of one message, as text, or null. */
function expectation(
  member: Member,
  from: WireClient,
  topic: string,
  payload: string,
  qos: Qos,
  retain: boolean,
): string | null {
  const hits = [...member.filters]
    .filter(([filter, { nl }]) => matches(filter, topic) && !(nl && from === member.client))
    .map(([, subscription]) => subscription);
  if (hits.length === 0) return null;
  const granted: Qos = hits.some((hit) => hit.qos === 2) ? 2 : hits.some((hit) => hit.qos === 1) ? 1 : 0;
  const identifiers = hits.flatMap(({ identifier }) => identifier ?? []).sort((left, right) => left - right);
  return [topic, payload, minQos(qos, granted), retain && member.rap, identifiers.join()].join(" | ");
}

/** Takes what has arrived until `count` deliveries are there, acknowledging on the way. */
async function collect(member: Member, count: number): Promise<string[]> {
  const { aliases } = member;
  const got: string[] = [];
  let rounds = 0;
  await member.client.send(Uint8Array.of(0xc0, 0x00));
  while (rounds < 2) {
    const packet = await member.client.next();
    if (packet.cmd === "pubrel") {
      await member.client.send({ cmd: "pubcomp", messageId: packet.messageId ?? 0 });
    } else if (packet.cmd === "pingresp") {
      if (got.length >= count) rounds += 1;
      await member.client.send(Uint8Array.of(0xc0, 0x00));
    } else if (packet.cmd === "publish") {
      expect(packet.dup).toBe(false);
      const alias = packet.properties?.topicAlias;
      if (alias !== undefined && packet.topic !== "") aliases.set(alias, packet.topic);
      const topic = alias === undefined ? packet.topic : (aliases.get(alias) ?? "?");
      const identifiers = [packet.properties?.subscriptionIdentifier ?? []].flat();
      identifiers.sort((left, right) => left - right);
      got.push([topic, packet.payload.toString(), packet.qos, packet.retain, identifiers.join()].join(" | "));
      if (packet.qos > 0) {
        await member.client.send({
          cmd: packet.qos === 1 ? "puback" : "pubrec",
          messageId: packet.messageId ?? 0,
        });
      }
    } else if (!["puback", "pubrec", "pubcomp"].includes(packet.cmd)) throw new Error(`got ${packet.cmd}`);
  }
  await member.client.expect("pingresp");
  return got;
}

for (const seed of SEEDS) {
  wire(`overlapping subscriptions of every version, seed ${seed}`, async (context) => {
    const random = new Random(seed);
    const stem = context.name("model");
    const members: Member[] = [];
    for (let count = 0; count < 7; count++) members.push(await join(context, random, stem));
    const speakers = [
      await context.client(4),
      await context.client(5),
      ...members.map(({ client }) => client),
    ];
    let serial = 0;
    for (let round = 0; round < 25; round++) {
      const speaker = random.pick(speakers);
      const burst = 1 + random.below(30);
      const wanted = members.map((): string[] => []);
      const packets = [];
      for (let index = 0; index < burst; index++) {
        serial += 1;
        const topic = `${stem}/${random.pick(LEAVES)}`;
        const payload = `${serial}${"x".repeat(random.pick([0, 10, 100, 3_000]))}`;
        // Members publish at QoS 0, so that their own handshakes do not mix with their deliveries.
        const qos: Qos = members.some(({ client }) => client === speaker) ? 0 : random.pick([0, 0, 1, 2]);
        const retain = random.chance(10);
        packets.push(speaker.publishPacket(topic, payload, { qos, retain }));
        for (const [at, member] of members.entries()) {
          const one = expectation(member, speaker, topic, payload, qos, retain);
          if (one !== null) wanted[at]?.push(one);
        }
      }
      await speaker.send(...packets);
      for (const packet of packets) {
        if (packet.qos === 1) await speaker.expect("puback");
        if (packet.qos === 2) await speaker.expect("pubrec");
      }
      for (const { qos, messageId = 0 } of packets) {
        if (qos !== 2) continue;
        await speaker.send({ cmd: "pubrel", messageId });
        await speaker.expect("pubcomp", { messageId });
      }
      for (const [at, member] of members.entries()) {
        const expected = wanted[at] ?? [];
        expect(await collect(member, expected.length)).toEqual(expected);
      }
      const changing = random.pick(members);
      if (random.chance(50)) await subscribe(changing, random, stem);
      const [first] = changing.filters.keys();
      if (random.chance(20) && first !== undefined) {
        await changing.client.unsubscribe(first);
        changing.filters.delete(first);
      }
    }
  });

  wire(
    `a subscriber that fails and returns gets QoS 1 at least once and QoS 2 exactly once, seed ${seed}`,
    async (context) => {
      const random = new Random(seed);
      const version: Version = random.pick([3, 4, 5]);
      const topic = context.name("returning");
      const clientId = context.name("mortal");
      const durable = {
        clientId,
        clean: false,
        ...(version === 5
          ? { properties: { sessionExpiryInterval: 600, receiveMaximum: 1 + random.below(20) } }
          : {}),
      };
      const publisher = await context.client(random.pick([4, 5]));
      let client = await context.open(version);
      await client.connect(durable);
      await client.subscribe(topic, { qos: 2 });
      const total = 200;
      const once: string[] = [];
      const atLeast: string[] = [];
      /** QoS 2 identifiers received but not completed: the client's part of the Session. */
      const halfway = new Set<number>();
      let sent = 0;
      for (let quiet = 0; quiet < 2; ) {
        for (let burst = random.below(25); burst > 0 && sent < total; burst--) {
          await publisher.publish(topic, `${sent} `.padEnd(random.pick(SIZES)), {
            qos: sent % 2 === 0 ? 1 : 2,
          });
          sent += 1;
        }
        let steps = random.below(40);
        let idle = false;
        await client.send(Uint8Array.of(0xc0, 0x00));
        while (!idle && (steps > 0 || sent === total)) {
          steps -= 1;
          const packet = await client.next();
          const messageId = packet.messageId ?? 0;
          if (packet.cmd === "pingresp") idle = true;
          else if (packet.cmd === "publish" && packet.qos === 1) {
            atLeast.push(packet.payload.toString().trim());
            if (random.chance(90)) await client.send({ cmd: "puback", messageId });
          } else if (packet.cmd === "publish") {
            if (!halfway.has(messageId)) once.push(packet.payload.toString().trim());
            halfway.add(messageId);
            if (random.chance(90)) await client.send({ cmd: "pubrec", messageId });
          } else if (packet.cmd === "pubrel") {
            halfway.delete(messageId);
            if (random.chance(90)) await client.send({ cmd: "pubcomp", messageId });
          } else throw new Error(`got ${packet.cmd}`);
        }
        const complete = new Set([...once, ...atLeast]).size === total;
        if (sent === total && complete) quiet += 1;
        if (random.chance(50)) client.cut();
        else client.end();
        client = await context.open(version);
        expect((await client.connect(durable)).sessionPresent).toBe(version !== 3);
      }
      client.cut();
      await context.client(version, { clientId, clean: true });
      const numbers = Array.from({ length: total }, (_, index) => `${index}`);
      expect(once).toEqual(numbers.filter((_, index) => index % 2 === 1));
      expect([...new Set(atLeast)]).toEqual(numbers.filter((_, index) => index % 2 === 0));
    },
  );

  wire(`retained messages are those of the model, seed ${seed}`, async (context) => {
    const random = new Random(seed);
    const stem = context.name("store");
    const store = new Map<string, string>();
    const publisher = await context.client(random.pick([4, 5]));
    for (let round = 0; round < 6; round++) {
      const packets = [];
      for (let index = 0; index < 60; index++) {
        const topic = `${stem}/${random.pick(LEAVES)}${random.chance(50) ? "" : `/${random.below(12)}`}`;
        const payload = random.chance(25) ? "" : `${round}.${index}${"r".repeat(random.below(900))}`;
        const retain = random.chance(80);
        packets.push(publisher.publishPacket(topic, payload, { retain }));
        if (!retain) continue;
        if (payload === "") store.delete(topic);
        else store.set(topic, payload);
      }
      await publisher.send(...packets);
      await publisher.expectSilence();
      for (const filter of ["#", random.pick(FILTERS), random.pick(FILTERS)]) {
        const member: Member = {
          client: await context.client(random.pick([3, 4, 5])),
          rap: false,
          filters: new Map(),
          aliases: new Map(),
        };
        await member.client.subscribe(`${stem}/${filter}`, { qos: random.pick([0, 1]) });
        const wanted = [...store].filter(([topic]) => matches(`${stem}/${filter}`, topic));
        const got = await collect(member, wanted.length);
        expect(got.map((text) => text.split(" | ").slice(0, 2)).sort()).toEqual(wanted.sort());
      }
    }
  });
}

wire("queued and live messages stay in one order while a window drains", async (context) => {
  for (const version of [4, 5] as const) {
    const topic = context.name("drain");
    const durable = {
      clientId: context.name("drainer"),
      clean: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 600, receiveMaximum: 7 } } : {}),
    };
    const before = await context.open(version);
    await before.connect(durable);
    await before.subscribe(topic, { qos: 1 });
    before.cut();
    const publisher = await context.client(version);
    for (let index = 0; index < 300; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    const back = await context.open(version);
    await back.connect(durable);
    for (let index = 0; index < 500; index++) {
      if (index < 200) await publisher.publish(topic, `${300 + index}`, { qos: 1 });
      await back.acknowledge(await back.receive({ payload: `${index}` }));
    }
    await back.expectSilence();
  }
});
