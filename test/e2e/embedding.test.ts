// The broker as a library, as another program uses it.

import { afterEach, describe, expect, test } from "bun:test";
import { Broker, type BrokerOptions, ConfigError, type Message } from "millrace";
import mqtt from "mqtt";
import { WireClient } from "../support/wireClient.ts";

const LISTENER = '[v5.1]\nlisten = "127.0.0.1:0"\n';
const open: Broker[] = [];
afterEach(async () => {
  for (const broker of open.splice(0)) await broker.stop();
});

async function start(options: BrokerOptions = {}) {
  const broker = await Broker.start({ config: LISTENER, ...options });
  open.push(broker);
  return { broker, port: broker.listeners[0]!.port };
}

/** The next `count` messages of the filter. */
function next(broker: Broker, filter: string, count: number, options = {}): Promise<Message[]> {
  const messages: Message[] = [];
  return new Promise((resolve) => {
    const subscribed = broker.subscribe(
      filter,
      (message) => {
        if (messages.push(message) < count) return;
        subscribed.close();
        resolve(messages);
      },
      options,
    );
  });
}

describe("a broker within a program", () => {
  test("publishes to clients and subscribes to what they publish", async () => {
    const { broker, port } = await start();
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
    await client.subscribeAsync("down/#", { qos: 1 });
    const down = new Promise<[string, string, unknown]>((resolve) =>
      client.once("message", (topic, payload, { properties }) =>
        resolve([topic, payload.toString(), properties]),
      ),
    );
    const properties = { contentType: "text/plain", userProperties: [["a", "b"]] as [string, string][] };
    expect(broker.publish("down/1", "hello", { qos: 1, properties })).toBe(true);
    expect(await down).toEqual([
      "down/1",
      "hello",
      { contentType: "text/plain", userProperties: { a: "b" } },
    ]);

    const up = next(broker, "up/+", 2, { qos: 1 });
    await client.publishAsync("up/1", "x", { qos: 1, properties: { responseTopic: "answers" } });
    await client.publishAsync("up/2", "y", { qos: 0 });
    const [first, second] = await up;
    expect(first).toMatchObject({
      topic: "up/1",
      qos: 1,
      retain: false,
      properties: { responseTopic: "answers" },
    });
    expect(second).toMatchObject({ topic: "up/2", qos: 0 });
    expect([first!.text(), second!.text()]).toEqual(["x", "y"]);
    await client.endAsync();
  });

  test("keeps retained messages and gives them to whoever asks", async () => {
    const { broker } = await start();
    broker.publish("state", "on", { retain: true });
    expect((await next(broker, "state", 1))[0]).toMatchObject({ retain: true });
    const fresh = next(broker, "state", 1, { retained: false });
    broker.publish("state", "off");
    expect((await fresh)[0]!.text()).toBe("off");
  });

  test("throws for what is no Topic Name and no Topic Filter", async () => {
    const { broker } = await start();
    for (const topic of ["", "a/+", "a\0", "x".repeat(65_536)]) {
      expect(() => broker.publish(topic, "")).toThrow("no Topic Name");
    }
    expect(() => broker.subscribe("a/#/b", () => {})).toThrow("Reason Code");
  });

  test("hooks: who may connect, publish and subscribe", async () => {
    const asked: string[] = [];
    const { port } = await start({
      hooks: {
        async connect({ clientIdentifier, password }) {
          if (clientIdentifier === "fault") throw new Error("no");
          return Buffer.from(password ?? []).equals(Buffer.from("right"));
        },
        publish({ userName }, topic) {
          asked.push(`${userName} ${topic}`);
          return topic !== "secret";
        },
        subscribe: (_, filter) => filter !== "#",
      },
    });
    const refused = async (clientId: string, password: string, reason: string): Promise<void> => {
      const options = {
        protocolVersion: 5,
        clientId,
        username: "ann",
        password,
        reconnectPeriod: 0,
      } as const;
      await expect(mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options)).rejects.toThrow(reason);
    };
    await refused("c", "wrong", "Not authorized");
    await refused("fault", "right", "Server unavailable");
    const client = await WireClient.open(port, 5);
    await client.connect({ clientId: "c", username: "ann", password: "right" });
    expect(await client.subscribe(["a/#", "#", "$share/g/#"])).toEqual([0, 0x87, 0x87]);
    const program = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 5,
      clientId: "d",
      username: "ann",
      password: "right",
    });
    for (let i = 0; i < 5; i++) await program.publishAsync("a/1", "x", { qos: 1 });
    await expect(program.publishAsync("secret", "x", { qos: 1 })).rejects.toThrow("Not authorized");
    expect(asked.filter((one) => one === "ann a/1")).toHaveLength(1);
    await program.endAsync();
    client.cut();
  });

  test("ends a client's connection; refuses a wrong configuration", async () => {
    const { broker, port } = await start();
    const client = await WireClient.open(port, 5);
    await client.connect({ clientId: "gone" });
    expect(broker.disconnect("gone")).toBe(true);
    await client.expectDisconnected(0x98);
    expect(broker.disconnect("gone")).toBe(false);
    await expect(Broker.start({ config: "[v5.1]\nlisten = 1\n" })).rejects.toThrow(ConfigError);
  });
});
