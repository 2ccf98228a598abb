// Keep Alive, §3.1.2.10: one and a half times the interval, whose interval it is, and what counts.

import { expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";
import type { Version, WireClient } from "../support/wireClient.ts";

const versions: readonly Version[] = [3, 4, 5];

const wire = wireSuite();
const wireCapped = wireSuite({ listener: { keepAliveMax: 1 } });

const PING = Uint8Array.of(0xc0, 0x00);
/** Timers may be coarse, but never early; late is a matter of taste up to here. */
const LATEST_MS = 4_000;

async function expectTimeout(client: WireClient, earliestMs: number): Promise<void> {
  const from = performance.now();
  if (client.version === 5) await client.expect("disconnect", { reasonCode: 0x8d }, 8_000);
  await client.expectClosed(8_000);
  const waited = performance.now() - from;
  expect(waited).toBeGreaterThanOrEqual(earliestMs);
  expect(waited).toBeLessThanOrEqual(LATEST_MS);
}

for (const version of versions) {
  const label = versionName[version];

  wire.together(
    `v3.1.1 [MQTT-3.1.2-24] v5 [MQTT-3.1.2-22] [MQTT-3.2.2-22]: silence for 1.5 intervals ends the connection (${label})`,
    async ({ client }) => {
      const silent = await client(version, { keepalive: 1 });
      await expectTimeout(silent, 1_400);
    },
  );

  wire.together(`what the broker sends does not count (${label})`, async ({ client, name }) => {
    const topic = name("listen");
    const silent = await client(version, { keepalive: 1 });
    await silent.subscribe(topic);
    const publisher = await client(version);
    const from = performance.now();
    let last: string = "publish";
    while (last === "publish") {
      await publisher.publish(topic, "you there");
      const packet = await silent.next(8_000).catch(() => null);
      last = packet === null ? "closed" : packet.cmd;
    }
    expect(last).toBe(version === 5 ? "disconnect" : "closed");
    expect(performance.now() - from).toBeLessThanOrEqual(LATEST_MS);
  });

  wire.together(`any packet counts, PINGREQ and others (${label})`, async ({ client, name, timePasses }) => {
    const pinging = await client(version, { keepalive: 3 });
    const publishing = await client(version, { keepalive: 3 });
    const topic = name("alive");
    for (let round = 0; round < 3; round++) {
      await timePasses();
      await pinging.expectSilence();
      await publishing.send(publishing.publishPacket(topic, "x"));
    }
    await pinging.expectSilence();
    await publishing.expectSilence();
  });

  wire.together(`Keep Alive 0 never times out (${label})`, async ({ client, timePasses }) => {
    const quiet = await client(version, { keepalive: 0 });
    await timePasses();
    await timePasses();
    await quiet.expectSilence();
  });

  wire.together(`half a packet is no packet (${label})`, async ({ client }) => {
    const slow = await client(version, { keepalive: 1 });
    await slow.send(PING.subarray(0, 1));
    await slow.expectClosed(8_000, ["disconnect"]);
  });
}

wireCapped.together(
  "v5 [MQTT-3.1.2-21] [MQTT-3.2.2-21]: Server Keep Alive is told and counts",
  async ({ open, name }) => {
    const clients = await Promise.all(
      [0, 60].map(async (keepalive) => {
        const client = await open(5);
        const connack = await client.connect({ clientId: name("capped"), keepalive });
        expect(connack.properties?.serverKeepAlive).toBe(1);
        return client;
      }),
    );
    await Promise.all(clients.map((client) => expectTimeout(client, 1_400)));
  },
);

wireCapped.together(
  "v5 [MQTT-3.2.2-22]: a Keep Alive within the limit stands and nothing is told",
  async ({ open, name }) => {
    const client = await open(5);
    const connack = await client.connect({ clientId: name("within"), keepalive: 1 });
    expect(connack.properties?.serverKeepAlive ?? 1).toBe(1);
    await expectTimeout(client, 1_400);
  },
);

wireCapped.together(
  "v3.1.1 [MQTT-3.1.2-24]: a 3.1.1 client cannot be told, so its own value stands",
  async ({ client, timePasses }) => {
    const own = await client(4, { keepalive: 60 });
    const none = await client(3, { keepalive: 0 });
    await timePasses();
    await own.expectSilence();
    await none.expectSilence();
  },
);
