// CONNECT and CONNACK, §3.1 and §3.2: what is accepted, what is refused and with which code, and takeover.

import { expect } from "bun:test";
import { binary, bytes, hex, Property, properties, rawConnect, u16, u32, utf8 } from "../support/bytes.ts";
import { expectRefusal } from "../support/refusal.ts";
import { versionName, type Wire, wireSuite } from "../support/suite.ts";
import type { Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();
const wireV4Only = wireSuite({ listener: { versions: [4] } });
const wireV5Only = wireSuite({ listener: { versions: [5] } });
const wireStrictNames = wireSuite({ listener: { emptyClientIdentifier: false } });
const wireImpatient = wireSuite({ listener: { connectTimeoutMs: 400 } });
const wireUsers = wireSuite({ listener: { users: new Map([["ada", "engine"]]) } });

for (const version of versions) {
  const label = versionName[version];

  wire(
    `v3.1.1 [MQTT-3.1.4-3] [MQTT-3.1.4-4] [MQTT-3.2.0-1] [MQTT-7.0.0-2] [MQTT-7.1.1-1] v5 [MQTT-3.1.4-4] [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT-3.2.2-1] [MQTT-4.2-1]: CONNECT gets one CONNACK with code 0 (${label})`,
    async ({ open, name }) => {
      const client = await open(version);
      const connack = await client.connect({ clientId: name("plain") });
      expect(connack.sessionPresent).toBe(false);
      expect((connack.raw[2] ?? 0) & 0xfe).toBe(0);
      await client.expectSilence();
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.0-1] v5 [MQTT-3.1.0-1] [MQTT-3.14.0-1]: any other first packet is closed without an answer (${label})`,
    async ({ open }) => {
      const first = [
        "c000", // PINGREQ
        version === 5 ? "3006000161006869" : "3005000161 6869", // PUBLISH
        version === 5 ? "820700010000016100" : "8206000100016100", // SUBSCRIBE
        "40020001", // PUBACK
        "e000", // DISCONNECT
        "f000", // AUTH
        "20020000", // CONNACK
        "0000",
      ];
      for (const text of first) {
        const client = await open(version);
        await client.send(hex(text));
        await client.expectClosed();
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.0-2] v5 [MQTT-3.1.0-2]: a second CONNECT disconnects (${label})`,
    async ({ client, name }) => {
      const twice = await client(version);
      await twice.send(twice.connectPacket({ clientId: name("second") }));
      await twice.expectDisconnected(0x82);
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.3-5] v5 [MQTT-3.1.3-5]: Client Identifiers of 1 to 23 letters and digits (${label})`,
    async ({ open }) => {
      for (const clientId of [
        "A",
        "abcdefghijklmnopqrstuvw",
        "xyzABCDEFGHIJKLMNOPQRST",
        "UVWXYZ0123456789",
      ]) {
        const client = await open(version);
        await client.connect({ clientId });
        await client.disconnect();
      }
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.2-9] [MQTT-3.1.2-19] [MQTT-3.1.2-21] [MQTT-3.1.3-1] [MQTT-3.1.3-3] v5 [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19] [MQTT-3.1.3-1] [MQTT-3.1.3-3]: a CONNECT with every field in order (${label})`,
    async ({ open, client, name }) => {
      const topic = name("will");
      const watcher = await client(version);
      await watcher.subscribe(topic, { qos: 1 });
      const full = await open(version);
      await full.send(
        rawConnect({
          level: version,
          flags: 0x80 | 0x40 | 0x08 | 0x04 | 0x02,
          payload: bytes(
            utf8(name("full")),
            version === 5 ? properties(Property.payloadFormat, 1) : bytes(),
            utf8(topic),
            binary("gone"),
            utf8("somebody"),
            binary("secret"),
          ),
        }),
      );
      await full.expect("connack");
      full.end();
      await watcher.receive({ topic, payload: "gone", qos: 1 });
    },
  );

  wire(
    `v3.1.1 [MQTT-3.1.4-2] [MQTT-3.1.3-2] v5 [MQTT-3.1.4-3] [MQTT-3.1.3-2] [MQTT-4.13.2-1] [MQTT-3.14.4-2]: the same Client Identifier takes the connection over (${label})`,
    async ({ client, name }) => {
      const clientId = name("taken");
      for (const successor of versions) {
        const old = await client(version, { clientId });
        const bystander = await client(version);
        const young = await client(successor, { clientId });
        await old.expectDisconnected(0x8e);
        await young.expectSilence();
        await bystander.expectSilence();
        await young.disconnect();
      }
    },
  );

  wire(`packets right behind CONNECT in the same write are processed (${label})`, async ({ open, name }) => {
    const client = await open(version);
    const topic = name("eager");
    const subscribe = client.subscribePacket(topic, { qos: 1 });
    await client.send(
      client.connectPacket({ clientId: name("eager") }),
      subscribe,
      client.publishPacket(topic, "early", { qos: 1, messageId: 9 }),
      hex("c000"),
    );
    await client.expect("connack");
    await client.expect("suback", { messageId: subscribe.messageId });
    const rest = [await client.next(), await client.next(), await client.next()];
    expect(rest.map((packet) => packet.cmd).sort()).toEqual(["pingresp", "puback", "publish"]);
  });
}

wire("v3.1.1 [MQTT-3.1.2-1] v5 [MQTT-3.1.2-1]: a wrong protocol name is closed", async ({ open }) => {
  for (const protocol of ["MQTX", "mqtt", "", "MQIsdq", "MQTTT", "MQT"]) {
    for (const level of [4, 5]) {
      const client = await open(level === 5 ? 5 : 4);
      await client.send(rawConnect({ name: protocol, level, payload: utf8("n") }));
      await client.expectClosed(undefined, ["connack"]);
    }
  }
});

for (const [protocol, level] of [
  ["MQTT", 0],
  ["MQTT", 1],
  ["MQTT", 2],
  ["MQTT", 3],
  ["MQIsdp", 4],
] as const) {
  wire(
    `v3.1.1 [MQTT-3.1.2-2] [MQTT-3.2.2-4] [MQTT-3.2.2-5]: ${protocol} at level ${level} gets 0x01`,
    async ({ open }) => {
      const client = await open(4);
      await client.send(rawConnect({ name: protocol, level, payload: utf8("n") }));
      await expectRefusal(client, 0x01);
    },
  );
}

wire(
  "v5 [MQTT-3.1.2-2]: a level above 5 gets a refusal in a form that its client may read",
  async ({ open }) => {
    for (const level of [6, 7, 127]) {
      const client = await open(5);
      await client.send(rawConnect({ name: "MQTT", level, payload: bytes(0, utf8("n")) }));
      const connack = await client.next();
      expect(["20030084 00", "20020001"].map((text) => text.replace(" ", ""))).toContain(
        Buffer.from(connack.raw).toString("hex"),
      );
      await client.expectClosed();
    }
  },
);

wireV4Only(
  "v3.1.1 [MQTT-3.1.2-2] v5 [MQTT-3.1.2-2] [MQTT-3.2.2-7]: a listener for 3.1.1 refuses others by their own code",
  async ({ open }) => {
    const v5 = await open(5);
    await v5.send(v5.connectPacket({ clientId: "a" }));
    await expectRefusal(v5, 0x84);
    const v31 = await open(3);
    await v31.send(v31.connectPacket({ clientId: "b" }));
    await expectRefusal(v31, 0x01);
    const v311 = await open(4);
    await v311.connect({ clientId: "c" });
  },
);

wireV5Only("v3.1.1 [MQTT-3.1.2-2]: a listener for 5 refuses 3.1 and 3.1.1 with 0x01", async ({ open }) => {
  for (const version of [3, 4] as const) {
    const old = await open(version);
    await old.send(old.connectPacket({ clientId: "a" }));
    await expectRefusal(old, 0x01);
  }
  const v5 = await open(5);
  await v5.connect({ clientId: "c" });
});

wire(
  "v3.1.1 [MQTT-3.1.3-6] [MQTT-3.1.3-7]: an empty Client Identifier with CleanSession 1 is a Session of its own",
  async ({ open, client, name }) => {
    const topic = name("anonymous");
    const one = await open(4);
    const two = await open(4);
    await one.connect();
    await two.connect();
    await one.subscribe(topic);
    await two.subscribe(topic);
    const publisher = await client(4);
    await publisher.publish(topic, "both");
    for (const subscriber of [one, two]) {
      await subscriber.receive({ payload: "both" });
      await subscriber.expectSilence();
    }
  },
);

wire(
  "v3.1.1 [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4] [MQTT-3.2.2-5]: an empty Client Identifier with CleanSession 0 gets 0x02",
  async ({ open }) => {
    const client = await open(4);
    await client.send(rawConnect({ level: 4, flags: 0x00, payload: utf8("") }));
    await expectRefusal(client, 0x02);
  },
);

wire("MQTT 3.1: an empty Client Identifier gets 0x02", async ({ open }) => {
  const client = await open(3);
  await client.send(rawConnect({ level: 3, payload: utf8("") }));
  await expectRefusal(client, 0x02);
});

wire(
  "v5 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]: an Assigned Client Identifier is unique and names the Session",
  async ({ open }) => {
    const assigned: string[] = [];
    for (const clean of [true, false, true]) {
      const client = await open(5);
      await client.send(
        rawConnect({
          level: 5,
          flags: clean ? 0x02 : 0x00,
          properties: properties(Property.sessionExpiry, u32(60)),
          payload: utf8(""),
        }),
      );
      const connack = await client.expect("connack", { reasonCode: 0, sessionPresent: false });
      assigned.push(connack.properties?.assignedClientIdentifier ?? "");
      await client.disconnect();
    }
    expect(assigned).not.toContain("");
    expect(new Set(assigned).size).toBe(3);
    const again = await open(5);
    const connack = await again.connect({ clientId: assigned[1] ?? "", clean: false });
    expect(connack.sessionPresent).toBe(true);
    expect(connack.properties?.assignedClientIdentifier).toBeUndefined();
  },
);

wire("MQTT 3.1: User Name and Password flags without their fields are allowed", async ({ open, name }) => {
  for (const flags of [0x82, 0xc2]) {
    const client = await open(3);
    await client.send(rawConnect({ level: 3, flags, payload: utf8(name("v3")) }));
    await client.expect("connack", { returnCode: 0 });
  }
});

wireStrictNames(
  "v3.1.1 [MQTT-3.1.3-9] v5 [MQTT-3.1.3-8]: where empty Client Identifiers are not wanted they are rejected",
  async ({ open }) => {
    const v4 = await open(4);
    await v4.send(v4.connectPacket());
    await expectRefusal(v4, 0x02);
    const v5 = await open(5);
    await v5.send(v5.connectPacket());
    await expectRefusal(v5, 0x85);
  },
);

wireUsers(
  "v3.1.1 [MQTT-3.2.2-4] [MQTT-3.2.2-5] v5 [MQTT-3.1.4-2] [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8] [MQTT-4.13.2-1]: wrong credentials are refused",
  async ({ open }) => {
    const wrong = [
      {},
      { username: "ada" },
      { username: "ada", password: "wrong" },
      { username: "eve", password: "engine" },
    ];
    for (const version of versions) {
      for (const credentials of wrong) {
        const client = await open(version);
        await client.send(client.connectPacket({ clientId: "c", ...credentials }));
        await expectRefusal(client, ...(version === 5 ? [0x86, 0x87] : [0x04, 0x05]));
      }
      const right = await open(version);
      await right.connect({ clientId: "c", username: "ada", password: "engine" });
      await right.disconnect();
    }
  },
);

async function overhears(
  { open, client, name }: Wire,
  version: Version,
  refused: (speaker: WireClient) => Uint8Array,
): Promise<void> {
  const topic = name("refused");
  const watcher = await client(version);
  await watcher.subscribe(topic);
  const speaker = await open(version);
  await speaker.send(refused(speaker), speaker.publishPacket(topic, "never"));
  await speaker.expectClosed(undefined, ["connack"]);
  const publisher = await client(version);
  await publisher.publish(topic, "heard");
  await watcher.receive({ payload: "heard" });
}

wire("v3.1.1 [MQTT-3.1.4-5]: what follows a refused CONNECT is not processed", async (context) => {
  await overhears(context, 4, () => rawConnect({ level: 4, flags: 0x00, payload: utf8("") }));
});

wire("v5 [MQTT-3.1.4-6]: what follows a refused CONNECT is not processed", async (context) => {
  await overhears(context, 5, () =>
    rawConnect({ level: 5, properties: properties(Property.receiveMaximum, u16(0)), payload: utf8("n") }),
  );
});

wireImpatient.together(
  "a connection without a whole CONNECT is closed after the timeout",
  async ({ open }) => {
    const mute = await open(4);
    const slow = await open(5);
    await slow.send(rawConnect({ level: 5, payload: utf8("never-whole") }).subarray(0, 9));
    await Promise.all([mute.expectClosed(), slow.expectClosed()]);
  },
);

wireImpatient.together("a connected client outlives the CONNECT timeout", async ({ open, client, name }) => {
  const steady = await client(4, { clientId: name("steady") });
  const mute = await open(4);
  await mute.expectClosed();
  await steady.expectSilence();
});

wire("v5 [MQTT-4.12.0-1] [MQTT-4.12.0-4]: an unknown Authentication Method is refused", async ({ open }) => {
  const client = await open(5);
  await client.send(
    client.connectPacket({ clientId: "m", properties: { authenticationMethod: "SCRAM-SHA-9000" } }),
  );
  await expectRefusal(client, 0x8c, 0x87);
});

wire(
  "v5 [MQTT-4.12.0-6] [MQTT-4.12.0-7] [MQTT-4.13.1-1]: without a method CONNACK names none and AUTH is a Protocol Error",
  async ({ open, name }) => {
    const client = await open(5);
    const connack = await client.connect({ clientId: name("noauth") });
    expect(connack.properties?.authenticationMethod).toBeUndefined();
    await client.send(hex("f000"));
    await client.expectDisconnected(0x82);
  },
);

wire("v5 [MQTT-3.15.1-1]: AUTH with fixed header flags is malformed", async ({ client }) => {
  const odd = await client(5);
  await odd.send(hex("f100"));
  await odd.expectDisconnected([0x81, 0x82]);
});

wire("v5 [MQTT-3.1.2-28]: Response Information only on request", async ({ open, name }) => {
  for (const requestResponseInformation of [false, undefined]) {
    const client = await open(5);
    const connack = await client.connect({
      clientId: name("info"),
      ...(requestResponseInformation === undefined ? {} : { properties: { requestResponseInformation } }),
    });
    expect(connack.properties?.responseInformation).toBeUndefined();
  }
});
