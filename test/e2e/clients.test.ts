// Real clients end to end: MQTT.js always; mosquitto's and paho's where this machine has them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { startTestBroker, type TestBroker } from "../support/broker.ts";

const TIMEOUT_MS = 20_000;

let broker: TestBroker;

beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(async () => {
  await broker.stop();
});

const hasMosquitto = Bun.which("mosquitto_pub") !== null && Bun.which("mosquitto_sub") !== null;
const python = Bun.which("python3");
const hasPaho =
  python !== null &&
  Bun.spawnSync([python, "-c", "import paho.mqtt.client"], { stderr: "ignore" }).exitCode === 0;

function testWhere(present: boolean, missing: string, title: string, body: () => Promise<void>): void {
  if (!present) test.skip(`${title} (skipped: ${missing} is not installed)`, body);
  else test(title, body, TIMEOUT_MS);
}

type Message = readonly [topic: string, payload: string, qos: number];

/** The next `count` messages of an MQTT.js client. */
function messages(client: MqttClient, count: number): Promise<Message[]> {
  const { promise, resolve } = Promise.withResolvers<Message[]>();
  const got: Message[] = [];
  client.on("message", (topic, payload, packet) => {
    got.push([topic, payload.toString(), packet.qos]);
    if (got.length === count) resolve(got);
  });
  return promise;
}

for (const protocolVersion of [3, 4, 5] as const) {
  const label = ["3.1", "3.1.1", "5"][protocolVersion - 3];
  const base: IClientOptions = {
    protocolVersion,
    ...(protocolVersion === 3 ? { protocolId: "MQIsdp" } : {}),
    reconnectPeriod: 0,
  };
  const url = (): string => `mqtt://127.0.0.1:${broker.port}`;

  describe(`MQTT.js, MQTT ${label}`, () => {
    testWhere(true, "", "publishes and receives at every QoS", async () => {
      const client = await connectAsync(url(), { ...base, clientId: `js${protocolVersion}` });
      const topic = `js/${protocolVersion}`;
      await client.subscribeAsync(`${topic}/+`, { qos: 2 });
      const received = messages(client, 3);
      for (const qos of [0, 1, 2] as const)
        await client.publishAsync(`${topic}/${qos}`, `at ${qos}`, { qos });
      expect((await received).toSorted()).toEqual([
        [`${topic}/0`, "at 0", 0],
        [`${topic}/1`, "at 1", 1],
        [`${topic}/2`, "at 2", 2],
      ]);
      await client.endAsync();
    });

    testWhere(true, "", "comes back to its Session", async () => {
      const options: IClientOptions = {
        ...base,
        clientId: `jsback${protocolVersion}`,
        clean: false,
        ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
      };
      const topic = `back/${protocolVersion}`;
      const first = await connectAsync(url(), options);
      await first.subscribeAsync(topic, { qos: 1 });
      await first.endAsync();
      const publisher = await connectAsync(url(), { ...base, clientId: `jspub${protocolVersion}` });
      for (let index = 0; index < 5; index++) await publisher.publishAsync(topic, `${index}`, { qos: 1 });
      await publisher.endAsync();
      const client = connect(url(), options);
      const received = messages(client, 5);
      expect((await received).map(([, payload]) => payload)).toEqual(["0", "1", "2", "3", "4"]);
      await client.endAsync();
    });

    testWhere(true, "", "sends a thousand messages in order", async () => {
      const client = await connectAsync(url(), { ...base, clientId: `jsmany${protocolVersion}` });
      const topic = `many/${protocolVersion}`;
      await client.subscribeAsync(topic, { qos: 1 });
      const received = messages(client, 1_000);
      const sent = Array.from({ length: 1_000 }, (_, index) => `${index}`);
      await Promise.all(sent.map((payload) => client.publishAsync(topic, payload, { qos: 1 })));
      expect((await received).map(([, payload]) => payload)).toEqual(sent);
      await client.endAsync();
    });

    testWhere(true, "", "leaves a retained Will", async () => {
      const topic = `will/${protocolVersion}`;
      const watcher = await connectAsync(url(), { ...base, clientId: `jswatch${protocolVersion}` });
      await watcher.subscribeAsync(topic, { qos: 1 });
      const received = messages(watcher, 1);
      const dying = await connectAsync(url(), {
        ...base,
        clientId: `jsdie${protocolVersion}`,
        will: { topic, payload: Buffer.from("gone"), qos: 1, retain: true },
      });
      dying.stream.destroy();
      expect(await received).toEqual([[topic, "gone", 1]]);
      await Promise.all([watcher.endAsync(), dying.endAsync(true)]);
    });
  });
}

/** Reads a process's output in two parts: up to a word, and the rest. */
function follow(stream: ReadableStream<Uint8Array>): {
  until(text: string): Promise<void>;
  rest(): Promise<string>;
} {
  const chunks = stream.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.read();
    if (value !== undefined) seen += decoder.decode(value);
    return !done;
  };
  return {
    until: async (text) => {
      while (!seen.includes(text)) {
        if (!(await more())) throw new Error(`the output ended without "${text}": ${seen}`);
      }
    },
    rest: async () => {
      while (await more());
      return seen;
    },
  };
}

describe("mosquitto_pub and mosquitto_sub", () => {
  for (const version of ["mqttv31", "mqttv311", "mqttv5"]) {
    for (const qos of ["0", "1", "2"]) {
      testWhere(hasMosquitto, "mosquitto_pub", `${version}, QoS ${qos}`, async () => {
        const topic = `mosquitto/${version}/${qos}`;
        const common = ["-h", "127.0.0.1", "-p", String(broker.port), "-V", version, "-q", qos, "-t", topic];
        const sub = Bun.spawn(["stdbuf", "-oL", "mosquitto_sub", ...common, "-C", "3", "-d"], {
          stdout: "pipe",
          stderr: "inherit",
        });
        const output = follow(sub.stdout);
        await output.until("Subscribed");
        const pub = Bun.spawn(["mosquitto_pub", ...common, "-l"], { stdin: "pipe", stderr: "inherit" });
        pub.stdin.write("one\ntwo\nthree\n");
        await pub.stdin.end();
        expect(await pub.exited).toBe(0);
        const rest = await output.rest();
        expect(await sub.exited).toBe(0);
        const payloads = rest.split("\n").filter((line) => ["one", "two", "three"].includes(line));
        expect(payloads).toEqual(["one", "two", "three"]);
      });
    }
  }
});

const PAHO = `
import sys, threading, paho.mqtt.client as mqtt
port, version, topic = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
got, done, ready = [], threading.Event(), threading.Event()
def on_message(client, userdata, message):
    got.append("%s/%d" % (message.payload.decode(), message.qos))
    if len(got) == 30: done.set()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho%d" % version, protocol=version)
client.on_message = on_message
client.on_subscribe = lambda *rest: ready.set()
client.connect("127.0.0.1", port)
client.loop_start()
client.subscribe(topic, qos=2)
assert ready.wait(10), "no SUBACK"
for index in range(30):
    client.publish(topic, str(index), qos=index % 3).wait_for_publish(10)
assert done.wait(10), "got only %s" % got
client.disconnect()
client.loop_stop()
print(" ".join(sorted(got, key=lambda text: int(text.split("/")[0]))))
`;

describe("paho-mqtt", () => {
  for (const [label, version] of [
    ["3.1", 3],
    ["3.1.1", 4],
    ["5", 5],
  ] as const) {
    testWhere(hasPaho, "paho-mqtt", `MQTT ${label}, every QoS`, async () => {
      const run = Bun.spawn(
        [python ?? "", "-c", PAHO, String(broker.port), String(version), `paho/${version}`],
        {
          stdout: "pipe",
          stderr: "inherit",
        },
      );
      const output = await new Response(run.stdout).text();
      expect(await run.exited).toBe(0);
      expect(output.trim()).toBe(Array.from({ length: 30 }, (_, index) => `${index}/${index % 3}`).join(" "));
    });
  }
});
