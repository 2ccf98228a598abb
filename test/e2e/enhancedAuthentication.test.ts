// Enhanced authentication, §4.12 and §3.15: exchanges of AUTH packets before CONNACK and, while traffic goes on, after it.

import { expect } from "bun:test";
import { AUTH_ROUNDS_MAX } from "../../src/net/authenticating.ts";
import { binary, bytes, frame, hex, Property, properties, utf8 } from "../support/bytes.ts";
import { FakeAccess, rightsUnder } from "../support/fakeAccess.ts";
import { expectRefusal } from "../support/refusal.ts";
import { type Wire, wireSuite } from "../support/suite.ts";
import type { ConnectOptions, Received, WireClient } from "../support/wireClient.ts";

const access = new FakeAccess();
const wire = wireSuite({ access });
const wireImpatient = wireSuite({ access: new FakeAccess(), listener: { connectTimeoutMs: 400 } });

const CONTINUE = 0x18;
const AGAIN = 0x19;
const METHODS = ["STEPS", "STEPS-LATER"] as const;

function withMethod(method: string, data: string | null, more: ConnectOptions = {}): ConnectOptions {
  return {
    ...more,
    properties: {
      ...more.properties,
      authenticationMethod: method,
      ...(data === null ? {} : { authenticationData: Buffer.from(data) }),
    },
  };
}

/** An AUTH packet as its bytes say. */
function auth(reason: number, method: string | null, data: string | null): Uint8Array {
  return frame(
    0xf0,
    reason,
    properties(
      method === null ? bytes() : bytes(Property.authenticationMethod, utf8(method)),
      data === null ? bytes() : bytes(Property.authenticationData, binary(data)),
    ),
  );
}

async function expectAuth(client: WireClient, reason: number, method: string, data: string): Promise<void> {
  const packet = await client.expect("auth", { reasonCode: reason });
  expect(packet.properties?.authenticationMethod).toBe(method);
  expect(packet.properties?.authenticationData?.toString() ?? "").toBe(data);
  expect(Object.keys(packet.properties ?? {}).sort()).toEqual(["authenticationData", "authenticationMethod"]);
}

/** A client that came in by `method` as `userName`. */
async function entered(
  { open, name }: Wire,
  method: string,
  userName: string,
  options: ConnectOptions = {},
): Promise<{ client: WireClient; connack: Received<"connack"> }> {
  const client = await open(5);
  await client.send(client.connectPacket(withMethod(method, userName, { clientId: name("e"), ...options })));
  await expectAuth(client, CONTINUE, method, `more than ${userName}`);
  await client.send(auth(CONTINUE, method, "done"));
  const connack = await client.expect("connack", { reasonCode: 0 });
  return { client, connack };
}

for (const method of METHODS) {
  for (const split of [false, true]) {
    const label = `${method}, ${split ? "byte by byte" : "whole"}`;
    wire(
      `v5 [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.15.2-1] [MQTT-3.2.0-1]: an exchange to CONNACK, the method in every packet (${label})`,
      async ({ open, name }) => {
        const client = await open(5);
        client.split = split;
        await client.send(client.connectPacket(withMethod(method, "ada", { clientId: name("e") })));
        await expectAuth(client, CONTINUE, method, "more than ada");
        await client.send(auth(CONTINUE, method, "on"));
        await expectAuth(client, CONTINUE, method, "more than on");
        await client.send(auth(CONTINUE, method, "done"));
        const connack = await client.expect("connack", { reasonCode: 0 });
        expect(connack.properties?.authenticationMethod).toBe(method);
        expect(connack.properties?.authenticationData?.toString()).toBe("welcome");
        await client.expectSilence();
      },
    );

    wire(`all of an exchange in one write, and what comes behind it (${label})`, async ({ open, name }) => {
      const client = await open(5);
      client.split = split;
      const subscribe = client.subscribePacket(name("t"));
      await client.send(
        client.connectPacket(withMethod(method, "ada", { clientId: name("e") })),
        auth(CONTINUE, method, "done"),
        subscribe,
        hex("c000"),
      );
      await expectAuth(client, CONTINUE, method, "more than ada");
      await client.expect("connack", { reasonCode: 0 });
      await client.expect("suback", { messageId: subscribe.messageId });
      await client.expect("pingresp");
    });
  }

  wire(
    `v5 [MQTT-4.12.0-4]: an exchange that ends in a denial gets its code and a close (${method})`,
    async (context) => {
      const { open, name } = context;
      for (const first of ["wrong", "ada"]) {
        const client = await open(5);
        await client.send(client.connectPacket(withMethod(method, first, { clientId: name("e") })));
        if (first !== "wrong") {
          await client.expect("auth");
          await client.send(auth(CONTINUE, method, "wrong"));
        }
        await expectRefusal(client, 0x86);
      }
    },
  );

  wire(`an exchange that breaks lets nobody in (${method})`, async ({ open, name }) => {
    const client = await open(5);
    await client.send(client.connectPacket(withMethod(method, "break", { clientId: name("e") })));
    await expectRefusal(client, 0x88);
  });

  wire(
    `an exchange has an end: after ${AUTH_ROUNDS_MAX} rounds it is over (${method})`,
    async ({ open, name }) => {
      const client = await open(5);
      await client.send(client.connectPacket(withMethod(method, "ada", { clientId: name("e") })));
      for (let round = 0; round < AUTH_ROUNDS_MAX; round++) {
        await client.expect("auth", { reasonCode: CONTINUE });
        await client.send(auth(CONTINUE, method, "on"));
      }
      await expectRefusal(client, 0x87);
    },
  );

  wire(
    `v5 [MQTT-4.12.1-1] [MQTT-4.12.0-5] [MQTT-3.15.2-1]: re-authentication while traffic goes on (${method})`,
    async (context) => {
      const topic = context.name("traffic");
      const { client } = await entered(context, method, "ada");
      const subscribe = client.subscribePacket(topic, { qos: 1 });
      await client.send(
        auth(AGAIN, method, "ada"),
        subscribe,
        client.publishPacket(topic, "meanwhile", { qos: 1, messageId: 7 }),
        hex("c000"),
      );
      const got: string[] = [];
      for (let i = 0; i < 5; i++) {
        const packet = await client.next();
        got.push(packet.cmd);
        if (packet.cmd === "publish") await client.acknowledge(packet);
      }
      expect(got.sort()).toEqual(["auth", "pingresp", "puback", "publish", "suback"]);
      await client.send(auth(CONTINUE, method, "done"));
      await expectAuth(client, 0, method, "welcome");
      await client.expectSilence();
      await client.send(auth(AGAIN, method, "ada"));
      await expectAuth(client, CONTINUE, method, "more than ada");
      await client.send(auth(CONTINUE, method, "done"));
      await expectAuth(client, 0, method, "welcome");
    },
  );

  wire(
    `v5 [MQTT-4.12.1-2]: re-authentication that fails ends the connection (${method})`,
    async (context) => {
      const denied = await entered(context, method, "ada");
      await denied.client.send(auth(AGAIN, method, "wrong"));
      await denied.client.expectDisconnected(0x87);
      const other = await entered(context, method, "ada");
      await other.client.send(auth(AGAIN, method, "bob"));
      await other.client.expect("auth");
      await other.client.send(auth(CONTINUE, method, "done"));
      await other.client.expectDisconnected(0x87);
      const broken = await entered(context, method, "ada");
      await broken.client.send(auth(AGAIN, method, "break"));
      await broken.client.expectDisconnected(0x80);
    },
  );
}

wire("an exchange that the first data settle needs no AUTH", async ({ open, name }) => {
  const client = await open(5);
  await client.send(client.connectPacket(withMethod("ONCE", "ada", { clientId: name("e") })));
  const connack = await client.expect("connack", { reasonCode: 0 });
  expect(connack.properties?.authenticationMethod).toBe("ONCE");
  expect(connack.properties?.authenticationData?.toString()).toBe("bye");
});

wire("v5 [MQTT-4.12.0-1]: a method that is not offered is refused with 0x8C", async ({ open, name }) => {
  for (const data of [null, "data"]) {
    const client = await open(5);
    await client.send(client.connectPacket(withMethod("steps", data, { clientId: name("e") })), hex("c000"));
    await expectRefusal(client, 0x8c);
  }
  const broken = await open(5);
  await broken.send(broken.connectPacket(withMethod("BREAKS", null, { clientId: name("e") })));
  await expectRefusal(broken, 0x88);
});

/** What a client says after the server's first AUTH, and the code of the CONNACK that it gets for that. */
const beforeConnack: Readonly<Record<string, readonly [said: Uint8Array, code: number]>> = {
  "another method": [auth(CONTINUE, "ONCE", "done"), 0x82],
  "no method": [auth(CONTINUE, null, "done"), 0x82],
  "a re-authentication": [auth(AGAIN, "STEPS", "done"), 0x82],
  "success, which is the server's to say": [auth(0, "STEPS", "done"), 0x82],
  "an unknown code": [auth(0x42, "STEPS", "done"), 0x82],
  "an empty AUTH": [hex("f000"), 0x82],
  "AUTH with flags": [hex("f100"), 0x81],
  "AUTH with half a property": [hex("f00318 01 15"), 0x81],
  PINGREQ: [hex("c000"), 0x82],
  SUBSCRIBE: [hex("820700010000016100"), 0x82],
  PUBLISH: [hex("30050001610068"), 0x82],
  "a second CONNECT": [hex("10 0d 0004 4d515454 05 02 0000 00 0000"), 0x82],
};

for (const [what, [said, code]] of Object.entries(beforeConnack)) {
  wire(
    `v5 [MQTT-4.12.0-5] [MQTT-3.15.1-1] [MQTT-3.15.2-1] [MQTT-3.1.2-30] [MQTT-3.1.4-6]: ${what} before CONNACK is answered ${code.toString(16)}`,
    async ({ open, name }) => {
      for (const split of [false, true]) {
        const client = await open(5);
        await client.send(client.connectPacket(withMethod("STEPS", "ada", { clientId: name("e") })));
        await client.expect("auth");
        client.split = split;
        await client.send(said);
        await expectRefusal(client, code);
      }
    },
  );
}

wire("DISCONNECT before CONNACK just ends the connection", async ({ open, name }) => {
  for (const said of ["e000", "e00104", "e0020400"]) {
    const client = await open(5);
    await client.send(client.connectPacket(withMethod("STEPS", "ada", { clientId: name("e") })));
    await client.expect("auth");
    await client.send(hex(said));
    await client.expectClosed();
  }
});

/** What a connected client says that ends its connection. */
const afterConnack: Readonly<Record<string, readonly [said: readonly Uint8Array[], code: number]>> = {
  "another method": [[auth(AGAIN, "ONCE", "ada")], 0x82],
  "no method": [[auth(AGAIN, null, "ada")], 0x82],
  "a continuation of nothing": [[auth(CONTINUE, "STEPS", "done")], 0x82],
  "a second re-authentication within the first": [
    [auth(AGAIN, "STEPS", "a"), auth(AGAIN, "STEPS", "a")],
    0x82,
  ],
  "AUTH with flags": [[hex("f100")], 0x81],
};

for (const [what, [said, code]] of Object.entries(afterConnack)) {
  wire(
    `v5 [MQTT-4.12.0-5] [MQTT-4.12.1-1]: ${what} after CONNACK gets DISCONNECT ${code.toString(16)}`,
    async (context) => {
      const { client } = await entered(context, "STEPS", "ada");
      await client.send(...said);
      if (said.length > 1) await client.expect("auth");
      await client.expectDisconnected(code);
    },
  );
}

wire("AUTH while an answer of Access is awaited is a Protocol Error", async (context) => {
  const { client } = await entered(context, "STEPS-LATER", "ada");
  await client.send(auth(AGAIN, "STEPS-LATER", "ada"), auth(CONTINUE, "STEPS-LATER", "done"));
  await client.expectDisconnected(0x82);
});

wire(
  "v5 [MQTT-4.12.0-6] [MQTT-4.12.0-7]: without a method there is none, with Access too",
  async (context) => {
    const { open, name } = context;
    const client = await open(5);
    const connack = await client.connect({ clientId: name("plain"), username: "now.plain" });
    expect(connack.properties?.authenticationMethod).toBeUndefined();
    await client.send(auth(AGAIN, "STEPS", "ada"));
    await client.expectDisconnected(0x82);
  },
);

wire("re-authentication changes the rights", async (context) => {
  access.grants.set("eve", { rights: rightsUnder("first/") });
  const { client } = await entered(context, "STEPS", "eve");
  expect((await client.subscribe("second/a", { qos: 1 }))[0]).toBe(0x87);
  access.grants.set("eve", { rights: rightsUnder("second/") });
  await client.send(auth(AGAIN, "STEPS", "eve"));
  await client.expect("auth", { reasonCode: CONTINUE });
  await client.send(auth(CONTINUE, "STEPS", "done"));
  await client.expect("auth", { reasonCode: 0 });
  expect((await client.subscribe("second/a", { qos: 1 }))[0]).toBe(1);
});

wire("an AUTH that the client's Maximum Packet Size has no room for is not sent", async ({ open, name }) => {
  const client = await open(5);
  const options = withMethod("STEPS", "a long name for a small packet", { clientId: name("e") });
  await client.send(
    client.connectPacket({ ...options, properties: { ...options.properties, maximumPacketSize: 30 } }),
  );
  await expectRefusal(client, 0x95);
});

wireImpatient.together(
  "an exchange that its client does not go on with is closed in time",
  async ({ open, name }) => {
    const client = await open(5);
    await client.send(client.connectPacket(withMethod("STEPS", "ada", { clientId: name("e") })));
    await client.expect("auth");
    await client.expectClosed();
  },
);

wireImpatient.together(
  "a re-authentication that its client does not go on with ends in time",
  async (context) => {
    const { client } = await entered(context, "STEPS", "ada");
    await client.send(auth(AGAIN, "STEPS", "ada"));
    await client.expect("auth");
    await client.expectDisconnected(0x87);
  },
);
