// $SYS is the broker's own: what clients publish there is refused as what they may not publish, whatever way they try.

import { describe, expect } from "bun:test";
import { versionName, wireSuite } from "../support/suite.ts";

const NOT_AUTHORIZED = 0x87;
const test = wireSuite();

const TOPICS = ["$SYS", "$SYS/", "$SYS/broker/uptime"];

describe("a client that publishes below $SYS", () => {
  for (const version of [3, 4, 5] as const) {
    test(`${versionName[version]}: is acknowledged, or told so, and nobody gets it`, async (wire) => {
      const reader = await wire.client(version);
      await reader.subscribe("$SYS/#");
      const client = await wire.client(version);
      for (const topic of TOPICS) {
        for (const retain of [false, true]) {
          await client.send(client.publishPacket(topic, "fake", { qos: 0, retain }));
          for (const qos of [1, 2] as const) {
            const publish = client.publishPacket(topic, "fake", { qos, retain });
            await client.send(publish);
            const answer = await client.expect(qos === 1 ? "puback" : "pubrec");
            if (version === 5) expect(answer.reasonCode).toBe(NOT_AUTHORIZED);
            else if (qos === 2) {
              await client.send({ cmd: "pubrel", messageId: publish.messageId! });
              await client.expect("pubcomp");
            }
          }
        }
      }
      await reader.expectSilence();
      const late = await wire.client(version);
      await late.subscribe("$SYS/#");
      await late.expectSilence();
    });
  }

  test("by a Topic Alias", async (wire) => {
    const client = await wire.client(5);
    for (const topic of ["$SYS/x", ""]) {
      const properties = { topicAlias: 3 };
      await client.send(client.publishPacket(topic, "fake", { qos: 1, properties }));
      expect((await client.expect("puback")).reasonCode).toBe(NOT_AUTHORIZED);
    }
  });

  test("by a Will: is not let in", async (wire) => {
    const client = await wire.open(5);
    const will = { topic: "$SYS/broker/x", payload: Buffer.from("fake"), qos: 0, retain: false } as const;
    await client.send(client.connectPacket({ clientId: wire.name("will"), will }));
    expect((await client.expect("connack")).reasonCode).toBe(NOT_AUTHORIZED);
    await client.expectClosed();
  });

  test("other topics with $ are free", async (wire) => {
    const reader = await wire.client(5);
    await reader.subscribe(["$SYSTEM/#", "$x"]);
    const client = await wire.client(5);
    for (const topic of ["$SYSTEM/a", "$x"]) {
      await client.publish(topic, "real");
      expect((await reader.receive()).topic).toBe(topic);
    }
  });
});
