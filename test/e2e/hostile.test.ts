// Malformed and hostile input after CONNECT: the offender gets the right code and a close, nobody else notices.

import { expect } from "bun:test";
import { bytes, frame, hex, properties, u16, utf8 } from "../support/bytes.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();

interface Attack {
  readonly what: string;
  readonly packet: (version: Version) => Uint8Array;
  readonly codes: readonly number[];
  readonly versions?: readonly Version[];
}

const none = (version: Version): Uint8Array => (version === 5 ? properties() : bytes());
const option =
  (value: number) =>
  (version: Version): Uint8Array =>
    frame(0x82, u16(1), none(version), utf8("t"), value);

const malformed = [0x81];
const either = [0x81, 0x82];

const attacks: readonly Attack[] = [
  {
    what: "v3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-3.6.1-1] v5 [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-4.13.1-1]: PUBREL flags 0000",
    packet: () => frame(0x60, u16(1)),
    codes: malformed,
    versions: [4, 5],
  },
  {
    what: "v3.1.1 [MQTT-3.8.1-1] v5 [MQTT-3.8.1-1]: SUBSCRIBE flags 0000",
    packet: (version) => frame(0x80, u16(1), none(version), utf8("t"), 0),
    codes: malformed,
    versions: [4, 5],
  },
  {
    what: "v3.1.1 [MQTT-3.10.1-1] v5 [MQTT-3.10.1-1]: UNSUBSCRIBE flags 0000",
    packet: (version) => frame(0xa0, u16(1), none(version), utf8("t")),
    codes: malformed,
    versions: [4, 5],
  },
  ...[0x41, 0x51, 0x71, 0xc1, 0xc8].map(
    (first): Attack => ({
      what: `v3.1.1 [MQTT-2.2.2-2] v5 [MQTT-2.1.3-1]: first byte 0x${first.toString(16)}`,
      packet: () => ((first & 0xf0) === 0xc0 ? frame(first) : frame(first, u16(1))),
      codes: malformed,
      versions: [4, 5],
    }),
  ),
  {
    what: "v3.1.1 [MQTT-3.14.1-1] v5 [MQTT-3.14.1-1]: DISCONNECT flags 0001",
    packet: () => hex("e100"),
    codes: malformed,
    versions: [4, 5],
  },
  ...[0x00, 0x0f].map(
    (first): Attack => ({
      what: `v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: reserved packet type 0x0${first.toString(16)}`,
      packet: () => frame(first),
      codes: either,
    }),
  ),
  {
    what: "v3.1.1 [MQTT-4.8.0-1]: AUTH to a 3.1.1 listener",
    packet: () => frame(0xf0, 0, properties()),
    codes: either,
    versions: [3, 4],
  },
  ...[0x20, 0x90, 0xb0, 0xd0].map(
    (first): Attack => ({
      what: `v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: a server's packet, first byte 0x${first.toString(16)}`,
      packet: (version) => (first === 0xd0 ? frame(first) : frame(first, u16(1), none(version), 0)),
      codes: either,
    }),
  ),
  {
    what: "v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: a Remaining Length of five bytes",
    packet: () => hex("30 ff ff ff ff 01"),
    codes: malformed,
  },
  {
    what: "v5 [MQTT-1.5.5-1]: a Remaining Length with a needless byte",
    packet: () => hex("c0 80 00"),
    codes: malformed,
    versions: [5],
  },
  {
    what: "v3.1.1 [MQTT-3.3.2-1] [MQTT-1.5.3-1] v5 [MQTT-3.3.2-1] [MQTT-1.5.4-1]: ill-formed Topic Name",
    packet: (version) => frame(0x30, utf8(hex("61 ed a0 80")), none(version), 0x78),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-4.7.3-2] [MQTT-1.5.3-2] v5 [MQTT-4.7.3-2] [MQTT-1.5.4-2]: U+0000 in the Topic Name",
    packet: (version) => frame(0x30, utf8(hex("61 00 62")), none(version), 0x78),
    codes: [0x81, 0x90],
  },
  ...["a/+", "#", "a+b", "a/#/b"].map(
    (topic): Attack => ({
      what: `v3.1.1 [MQTT-3.3.2-2] [MQTT-4.7.1-1] v5 [MQTT-3.3.2-2] [MQTT-4.7.0-1]: PUBLISH to ${topic}`,
      packet: (version) => frame(0x30, utf8(topic), none(version), 0x78),
      codes: [0x81, 0x82, 0x90],
    }),
  ),
  {
    what: "v3.1.1 [MQTT-4.7.3-1] v5 [MQTT-4.7.3-1]: an empty Topic Name",
    packet: (version) => frame(0x30, utf8(""), none(version), 0x78),
    codes: [0x81, 0x82, 0x90],
  },
  {
    what: "v3.1.1 [MQTT-3.3.2-1] v5 [MQTT-3.3.2-1]: a PUBLISH that ends within its Topic Name",
    packet: () => frame(0x30, u16(9), 0x61),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.3.2-1] v5 [MQTT-3.3.2-1]: a PUBLISH of nothing",
    packet: () => frame(0x30),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-2.3.1-1] v5 [MQTT-2.2.1-3]: a PUBLISH that ends before its Packet Identifier",
    packet: () => frame(0x32, utf8("t"), 0x00),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.8.3-1] v5 [MQTT-3.8.3-1]: ill-formed Topic Filter in SUBSCRIBE",
    packet: (version) => frame(0x82, u16(1), none(version), utf8(hex("c3 28")), 0),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.8.3-3] v5 [MQTT-3.8.3-2]: SUBSCRIBE without a filter",
    packet: (version) => frame(0x82, u16(1), none(version)),
    codes: either,
  },
  {
    what: "v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: SUBSCRIBE that ends before its options",
    packet: (version) => frame(0x82, u16(1), none(version), utf8("t")),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.8.3-4] v5 [MQTT-3.8.3-5]: SUBSCRIBE with QoS 3",
    packet: option(0x03),
    codes: either,
  },
  {
    what: "v3.1.1 [MQTT-3.8.3-4] v5 [MQTT-3.8.3-5]: SUBSCRIBE with reserved bits",
    packet: option(0xc1),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.8.3-4]: SUBSCRIBE with options of MQTT 5",
    packet: option(0x04),
    codes: malformed,
    versions: [4],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Retain Handling 3",
    packet: option(0x30),
    codes: either,
    versions: [5],
  },
  {
    what: "v3.1.1 [MQTT-4.7.3-1] v5 [MQTT-4.7.3-1]: an empty Topic Filter is refused or disconnects",
    packet: (version) => frame(0x82, u16(1), none(version), utf8(""), 0),
    codes: [0x81, 0x82, 0x8f],
  },
  {
    what: "v3.1.1 [MQTT-3.10.3-1] v5 [MQTT-3.10.3-1]: ill-formed Topic Filter in UNSUBSCRIBE",
    packet: (version) => frame(0xa2, u16(1), none(version), utf8(hex("c3 28"))),
    codes: malformed,
  },
  {
    what: "v3.1.1 [MQTT-3.10.3-2] v5 [MQTT-3.10.3-2]: UNSUBSCRIBE without a filter",
    packet: (version) => frame(0xa2, u16(1), none(version)),
    codes: either,
  },
  ...[0x40, 0x50, 0x62, 0x70].map(
    (first): Attack => ({
      what: `v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: acknowledgement 0x${first.toString(16)} without an identifier`,
      packet: () => frame(first, 0x01),
      codes: malformed,
    }),
  ),
  ...[0x40, 0x50, 0x62, 0x70].map(
    (first): Attack => ({
      what: `v3.1.1 [MQTT-4.8.0-1]: acknowledgement 0x${first.toString(16)} that is too long`,
      packet: () => frame(first, u16(1), 0, 0, 0),
      codes: malformed,
      versions: [4],
    }),
  ),
  ...(
    [
      [0x40, 0x01],
      [0x50, 0x92],
      [0x62, 0x80],
      [0x70, 0x10],
    ] as const
  ).map(
    ([first, code]): Attack => ({
      what: `v5 [MQTT-4.13.1-1]: acknowledgement 0x${first.toString(16)} with reason code 0x${code.toString(16)}`,
      packet: () => frame(first, u16(1), code),
      codes: either,
      versions: [5],
    }),
  ),
  {
    what: "v5 [MQTT-3.14.2-1] [MQTT-4.13.1-1]: DISCONNECT with a code that is none",
    packet: () => frame(0xe0, 0x03),
    codes: either,
    versions: [5],
  },
  {
    what: "v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: PINGREQ with a body",
    packet: () => frame(0xc0, 0x00),
    codes: malformed,
  },
];

/** Empty filters may also be answered by a SUBACK of failure. */
async function expectEnd(odd: WireClient, codes: readonly number[], mayRefuse: boolean): Promise<void> {
  if (mayRefuse) {
    const packet = await odd.next().catch(() => null);
    if (packet?.cmd === "suback") expect(Number(packet.granted[0])).toBeGreaterThanOrEqual(0x80);
    else if (packet !== null)
      expect(codes).toContain(packet.cmd === "disconnect" ? (packet.reasonCode ?? 0) : -1);
    return;
  }
  await odd.expectDisconnected(codes);
}

for (const { what, packet, codes, versions: only = versions } of attacks) {
  for (const version of only) {
    for (const mode of ["alone", "byte by byte", "behind good packets"] as const) {
      wire(`${what} (${versionName[version]}, ${mode})`, async ({ client, name }) => {
        const bystander = await client(version);
        const topic = name("bystander");
        await bystander.subscribe(topic, { qos: 1 });
        const odd = await client(version);
        odd.split = mode === "byte by byte";
        if (mode === "behind good packets") {
          await odd.send(
            odd.publishPacket(topic, "before"),
            packet(version),
            odd.publishPacket(topic, "after"),
          );
        } else await odd.send(packet(version));
        await expectEnd(odd, codes, what.includes("is refused or disconnects"));
        if (mode === "behind good packets") await bystander.receive({ payload: "before" });
        const publisher = await client(version);
        await publisher.publish(topic, "still here", { qos: 1 });
        if (!what.includes("is refused or disconnects")) await bystander.receive({ payload: "still here" });
      });
    }
  }
}

wire("MQTT 3.1: DUP is allowed on PUBREL, SUBSCRIBE and UNSUBSCRIBE", async ({ client, name }) => {
  const old = await client(3);
  const topic = name("dup");
  await old.send(frame(0x8a, u16(1), utf8(topic), 1));
  await old.expect("suback", { messageId: 1, granted: [1] });
  await old.send(frame(0xaa, u16(2), utf8(topic)));
  await old.expect("unsuback", { messageId: 2 });
  await old.send(old.publishPacket(topic, "x", { qos: 2, messageId: 3 }));
  await old.expect("pubrec", { messageId: 3 });
  await old.send(frame(0x6a, u16(3)));
  await old.expect("pubcomp", { messageId: 3 });
});

for (const version of versions) {
  const label = versionName[version];

  wire(
    `v3.1.1 [MQTT-3.14.4-2] v5 [MQTT-3.14.4-1]: what follows DISCONNECT is not processed (${label})`,
    async ({ client, name }) => {
      const topic = name("late");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const leaving = await client(version);
      await leaving.send(hex("e000"), leaving.publishPacket(topic, "too late"));
      await leaving.expectClosed();
      const publisher = await client(version);
      await publisher.publish(topic, "in time", { qos: 1 });
      await watcher.receive({ payload: "in time" });
    },
  );

  wire(`a topic of 10,000 levels harms nobody (${label})`, async ({ client, name }) => {
    const stem = name("deep");
    const deep = `${stem}${"/x".repeat(10_000)}`;
    const watcher = await client(version);
    await watcher.subscribe(`${stem}/#`, { qos: 1 });
    const publisher = await client(version);
    await publisher.send(publisher.publishPacket(deep, "deep", { qos: 1, messageId: 1 }));
    const answer = await publisher.next().catch(() => null);
    if (answer?.cmd === "puback" && (answer.reasonCode ?? 0) < 0x80) {
      await watcher.receive({ topic: deep, payload: "deep" });
    }
    const filters = await client(version);
    await filters.send(filters.subscribePacket([`${"+/".repeat(10_000)}#`, "a/".repeat(20_000)], { qos: 1 }));
    await filters.next().catch(() => null);
    const other = await client(version);
    await other.publish(`${stem}/plain`, "plain", { qos: 1 });
    await watcher.receive({ payload: "plain" });
  });

  wire(`256 MiB announced and never sent cost nothing (${label})`, async ({ client }) => {
    const bystander = await client(version);
    const before = process.memoryUsage().rss;
    for (let index = 0; index < 20; index++) {
      const odd = await client(version);
      await odd.send(bytes(0x30, 0xff, 0xff, 0xff, 0x7f, new Uint8Array(1_000)));
      await odd.expectDisconnected(0x95);
    }
    await bystander.expectSilence();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
  });

  wire(
    `seeded garbage ends its connection or is understood, and bystanders stay (${label})`,
    async ({ open, client, name }) => {
      const seed = 0x5eed + version;
      let state = seed;
      const random = (): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state;
      };
      const bystander = await client(version);
      const topic = name("garbage");
      await bystander.subscribe(topic, { qos: 1 });
      const publisher = await client(version);
      for (let round = 0; round < 150; round++) {
        const odd = await open(version);
        if (round % 3 !== 0) await odd.connect({ clientId: name("odd") });
        const garbage = Uint8Array.from({ length: 1 + (random() % 200) }, () => random() >>> 24);
        await odd.send(garbage);
        odd.end();
        if (round % 25 === 0) {
          await publisher.publish(topic, `seed ${seed} round ${round}`, { qos: 1 });
          await bystander.acknowledge(await bystander.receive({ payload: `seed ${seed} round ${round}` }));
        }
      }
      await bystander.expectSilence();
    },
  );
}
