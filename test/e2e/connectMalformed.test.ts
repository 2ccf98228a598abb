// CONNECT packets that break a rule: CONNACK with the right code for v5, a close without CONNACK before that.

import { binary, bytes, hex, Property, properties, rawConnect, u16, u32, utf8 } from "../support/bytes.ts";
import { expectRefusal } from "../support/refusal.ts";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Version } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();

interface Malformed {
  readonly what: string;
  readonly levels: readonly Version[];
  readonly packet: (level: Version) => Uint8Array;
  /** CONNACK codes of MQTT 5 that fit. */
  readonly codes: readonly number[];
}

const noProperties = (level: Version): Uint8Array => (level === 5 ? properties() : bytes());
const illFormed = [
  hex("c3 28"),
  hex("ed a0 80"),
  hex("f8 88 80 80 80"),
  hex("c0 80"),
  hex("f4 90 80 80"),
  hex("80"),
];
const nul = Uint8Array.of(0x61, 0x00, 0x62);

const malformed: readonly Malformed[] = [
  {
    what: "v3.1.1 [MQTT-3.1.2-3] [MQTT-3.1.4-1] [MQTT-3.2.2-6] v5 [MQTT-3.1.2-3] [MQTT-3.1.4-1]: reserved connect flag",
    levels: versions.filter((version) => version > 3),
    packet: (level) => rawConnect({ level, flags: 0x03, payload: utf8("n") }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-14] v5 [MQTT-3.1.2-12]: Will QoS 3",
    levels: versions,
    packet: (level) =>
      rawConnect({
        level,
        flags: 0x1e,
        payload: bytes(utf8("n"), noProperties(level), utf8("t"), binary("p")),
      }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-13] v5 [MQTT-3.1.2-11]: Will QoS without Will Flag",
    levels: [4, 5],
    packet: (level) => rawConnect({ level, flags: 0x0a, payload: utf8("n") }),
    codes: [0x81, 0x82],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-15] v5 [MQTT-3.1.2-13]: Will Retain without Will Flag",
    levels: [4, 5],
    packet: (level) => rawConnect({ level, flags: 0x22, payload: utf8("n") }),
    codes: [0x81, 0x82],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-22]: Password without User Name",
    levels: [4],
    packet: (level) => rawConnect({ level, flags: 0x42, payload: bytes(utf8("n"), binary("p")) }),
    codes: [],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-18] [MQTT-3.1.2-20] v5 [MQTT-3.1.2-16] [MQTT-3.1.2-18]: fields that no flag announces",
    levels: [4, 5],
    packet: (level) =>
      rawConnect({ level, flags: 0x02, payload: bytes(utf8("n"), utf8("user"), binary("pass")) }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-19] v5 [MQTT-3.1.2-17]: User Name announced but missing",
    levels: [4, 5],
    packet: (level) => rawConnect({ level, flags: 0x82, payload: utf8("n") }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-21] v5 [MQTT-3.1.2-19]: Password announced but missing",
    levels: [4, 5],
    packet: (level) => rawConnect({ level, flags: 0xc2, payload: bytes(utf8("n"), utf8("u")) }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.2-9] v5 [MQTT-3.1.2-9]: Will announced but missing",
    levels: versions,
    packet: (level) => rawConnect({ level, flags: 0x06, payload: utf8("n") }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-3.1.3-3] v5 [MQTT-3.1.3-3]: no Client Identifier at all",
    levels: versions,
    packet: (level) => rawConnect({ level, payload: bytes() }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-4.8.0-1] v5 [MQTT-4.13.1-1]: a Client Identifier longer than the packet",
    levels: versions,
    packet: (level) => rawConnect({ level, payload: bytes(u16(50), utf8("n")) }),
    codes: [0x81],
  },
  {
    what: "v3.1.1 [MQTT-1.5.3-2] v5 [MQTT-1.5.4-2]: U+0000 in the Client Identifier",
    levels: versions,
    packet: (level) => rawConnect({ level, payload: utf8(nul) }),
    codes: [0x81, 0x85],
  },
  {
    what: "v3.1.1 [MQTT-4.7.3-2] v5 [MQTT-4.7.3-2]: U+0000 in the Will Topic",
    levels: versions,
    packet: (level) =>
      rawConnect({
        level,
        flags: 0x06,
        payload: bytes(utf8("n"), noProperties(level), utf8(nul), binary("p")),
      }),
    codes: [0x81, 0x90],
  },
  {
    what: "v3.1.1 [MQTT-4.7.1-1] v5 [MQTT-4.7.0-1]: wildcard in the Will Topic",
    levels: versions,
    packet: (level) =>
      rawConnect({
        level,
        flags: 0x06,
        payload: bytes(utf8("n"), noProperties(level), utf8("a/#"), binary("p")),
      }),
    codes: [0x81, 0x82, 0x90],
  },
  {
    what: "v3.1.1 [MQTT-4.7.3-1] v5 [MQTT-4.7.3-1]: empty Will Topic",
    levels: versions,
    packet: (level) =>
      rawConnect({
        level,
        flags: 0x06,
        payload: bytes(utf8("n"), noProperties(level), utf8(""), binary("p")),
      }),
    codes: [0x81, 0x82, 0x90],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: an unknown property",
    levels: [5],
    packet: (level) => rawConnect({ level, properties: properties(0x7f, 1), payload: utf8("n") }),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a property of another packet",
    levels: [5],
    packet: (level) =>
      rawConnect({ level, properties: properties(Property.topicAlias, u16(1)), payload: utf8("n") }),
    codes: [0x81, 0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Session Expiry Interval twice",
    levels: [5],
    packet: (level) =>
      rawConnect({
        level,
        properties: properties(Property.sessionExpiry, u32(1), Property.sessionExpiry, u32(2)),
        payload: utf8("n"),
      }),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Receive Maximum 0",
    levels: [5],
    packet: (level) =>
      rawConnect({ level, properties: properties(Property.receiveMaximum, u16(0)), payload: utf8("n") }),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Maximum Packet Size 0",
    levels: [5],
    packet: (level) =>
      rawConnect({ level, properties: properties(Property.maximumPacketSize, u32(0)), payload: utf8("n") }),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Request Problem Information 2",
    levels: [5],
    packet: (level) =>
      rawConnect({ level, properties: properties(Property.requestProblem, 2), payload: utf8("n") }),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Authentication Data without a method",
    levels: [5],
    packet: (level) =>
      rawConnect({
        level,
        properties: properties(Property.authenticationData, binary("x")),
        payload: utf8("n"),
      }),
    codes: [0x82],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a Property Length beyond the packet",
    levels: [5],
    packet: (level) => rawConnect({ level, properties: bytes(100), payload: utf8("n") }),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: a property cut by the Property Length",
    levels: [5],
    packet: (level) =>
      rawConnect({ level, properties: properties(Property.sessionExpiry, 0, 0), payload: utf8("n") }),
    codes: [0x81],
  },
  {
    what: "v5 [MQTT-4.13.1-1]: Will Delay Interval twice",
    levels: [5],
    packet: (level) =>
      rawConnect({
        level,
        flags: 0x06,
        payload: bytes(
          utf8("n"),
          properties(Property.willDelay, u32(1), Property.willDelay, u32(1)),
          utf8("t"),
          binary("p"),
        ),
      }),
    codes: [0x82],
  },
  ...illFormed.flatMap((text): Malformed[] => {
    const shown = Buffer.from(text).toString("hex");
    return [
      {
        what: `v3.1.1 [MQTT-1.5.3-1] [MQTT-3.1.3-4] v5 [MQTT-1.5.4-1] [MQTT-3.1.3-4]: Client Identifier ${shown}`,
        levels: versions,
        packet: (level) => rawConnect({ level, payload: utf8(text) }),
        codes: [0x81],
      },
      {
        what: `v3.1.1 [MQTT-3.1.3-10] v5 [MQTT-3.1.3-11]: Will Topic ${shown}`,
        levels: versions,
        packet: (level) =>
          rawConnect({
            level,
            flags: 0x06,
            payload: bytes(utf8("n"), noProperties(level), utf8(text), binary("p")),
          }),
        codes: [0x81],
      },
      {
        what: `v3.1.1 [MQTT-3.1.3-11] v5 [MQTT-3.1.3-12]: User Name ${shown}`,
        levels: [4, 5],
        packet: (level) => rawConnect({ level, flags: 0x82, payload: bytes(utf8("n"), utf8(text)) }),
        codes: [0x81],
      },
      {
        what: `v5 [MQTT-1.5.7-1]: User Property ${shown}`,
        levels: [5],
        packet: (level) =>
          rawConnect({
            level,
            properties: properties(Property.userProperty, utf8("key"), utf8(text)),
            payload: utf8("n"),
          }),
        codes: [0x81],
      },
    ];
  }),
];

for (const { what, levels, packet, codes } of malformed) {
  for (const level of levels) {
    for (const split of [false, true]) {
      wire(`${what}: refused (${versionName[level]}${split ? ", byte by byte" : ""})`, async ({ open }) => {
        const client = await open(level);
        client.split = split;
        await client.send(packet(level));
        if (level === 5) await expectRefusal(client, ...codes);
        else await client.expectClosed();
      });
    }
  }
}

wire(
  "v3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2] v5 [MQTT-2.1.3-1]: CONNECT with fixed header flags is closed",
  async ({ open }) => {
    for (const version of versions) {
      const client = await open(version);
      const packet = rawConnect({ level: version, payload: utf8("n") });
      packet[0] = 0x11;
      await client.send(packet);
      await client.expectClosed(undefined, version === 5 ? ["connack"] : []);
    }
  },
);
