// $SYS: mosquitto's names, retained, published again only when they say something else, gone when it stops.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Metrics, startMetrics } from "../../src/console/metrics.ts";
import { Link } from "../../src/net/link.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { WireClient } from "../support/wireClient.ts";

const INTERVAL_MS = 20;
const SYS = { prometheus: null, sysIntervalMs: INTERVAL_MS, alerts: null, meters: null };

const COUNT = /^\d+$/;
/** Names of mosquitto 2.0, below $SYS/broker/. */
const NAMES: Readonly<Record<string, RegExp>> = {
  version: /^millrace version \d/,
  uptime: /^\d+ seconds$/,
  ...Object.fromEntries(
    [
      "bytes/received",
      "bytes/sent",
      "clients/active",
      "clients/connected",
      "clients/disconnected",
      "clients/expired",
      "clients/inactive",
      "clients/maximum",
      "clients/total",
      "heap/current",
      "heap/maximum",
      "messages/received",
      "messages/sent",
      "messages/stored",
      "publish/bytes/received",
      "publish/bytes/sent",
      "publish/messages/dropped",
      "publish/messages/received",
      "publish/messages/sent",
      "retained messages/count",
      "shared_subscriptions/count",
      "store/messages/bytes",
      "store/messages/count",
      "subscriptions/count",
    ].map((name) => [name, COUNT]),
  ),
  ...Object.fromEntries(
    [
      "bytes/received",
      "bytes/sent",
      "connections",
      "messages/received",
      "messages/sent",
      "publish/dropped",
      "publish/received",
      "publish/sent",
      "sockets",
    ].flatMap((name) => [1, 5, 15].map((minutes) => [`load/${name}/${minutes}min`, /^\d+\.\d\d$/])),
  ),
};

interface Heard {
  /** What came last, by its name. */
  readonly last: Map<string, string>;
  /** Names of all messages, in order. */
  readonly names: string[];
  until(done: () => boolean): Promise<void>;
  close(): void;
}

function listen({ broker }: TestBroker, retained: boolean): Heard {
  const last = new Map<string, string>();
  const names: string[] = [];
  let wake = (): void => {};
  const link = new Link(broker.router, `sys-${Math.random()}`, 10, {
    onMessage: ({ topic, payload }) => {
      const name = topic.slice("$SYS/broker/".length);
      last.set(name, Buffer.from(payload).toString());
      names.push(name);
      wake();
    },
  });
  link.subscribe("$SYS/#", 0, retained);
  return {
    last,
    names,
    async until(done) {
      while (!done()) await new Promise<void>((resolve) => (wake = resolve));
    },
    close: () => link.close(),
  };
}

let one: TestBroker;
let metrics: Metrics;

beforeAll(async () => {
  one = await startTestBroker();
  metrics = await startMetrics(SYS, one.broker.host);
});
afterAll(() => one.stop());

describe("$SYS", () => {
  test("has mosquitto's names, retained", async () => {
    const client = await WireClient.open(one.port, 4);
    await client.connect({ clientId: "reader" });
    await client.subscribe(["$SYS/#"], { qos: 2 });
    const found = new Map<string, string>();
    while (found.size < Object.keys(NAMES).length) {
      const { topic, payload, qos } = await client.receive();
      found.set(topic.slice("$SYS/broker/".length), payload.toString());
      expect(qos).toBe(0);
    }
    expect([...found.keys()].sort()).toEqual(Object.keys(NAMES).sort());
    for (const [name, text] of found) expect(`${name}: ${NAMES[name]!.test(text)}`).toBe(`${name}: true`);
    client.cut();
  });

  test("is not what # asks for", async () => {
    const client = await WireClient.open(one.port, 4);
    await client.connect({ clientId: "everything" });
    await client.subscribe(["#", "+/broker/uptime"]);
    await client.expectSilence();
    client.cut();
  });

  test("follows what clients do", async () => {
    const heard = listen(one, true);
    const client = await WireClient.open(one.port, 5);
    await client.connect({ clientId: "someone", properties: { sessionExpiryInterval: 100 } });
    await client.subscribe(["a", "b", "$share/g/c"]);
    for (let i = 0; i < 3; i++) {
      await client.send(client.publishPacket("a", "x"));
      await client.receive();
    }
    const { last } = heard;
    await heard.until(() => last.get("clients/connected") === "1" && last.get("subscriptions/count") === "3");
    expect(last.get("shared_subscriptions/count")).toBe("1");
    await heard.until(() => last.get("publish/messages/received") === "3");
    await heard.until(() => Number(last.get("load/publish/received/1min")) > 0);
    await client.disconnect();
    await heard.until(() => last.get("clients/disconnected") === "1");
    expect(last.get("clients/total")).toBe("1");
    heard.close();
  });

  test("says nothing twice", async () => {
    const heard = listen(one, false);
    const client = await WireClient.open(one.port, 4);
    await client.connect({ clientId: "busy" });
    const told = new Map<string, string>();
    for (let round = 0; round < 5; round++) {
      const { length } = heard.names;
      await client.expectSilence(); // PINGREQ: bytes and messages that came are more now
      await heard.until(() => heard.names.length > length && heard.names.includes("bytes/received", length));
      for (const name of heard.names.slice(length)) {
        if (told.get(name) === heard.last.get(name)) throw new Error(`${name} came again: ${told.get(name)}`);
      }
      for (const [name, text] of heard.last) told.set(name, text);
    }
    expect(heard.names).not.toContain("version");
    client.cut();
    heard.close();
  });

  test("is gone when it stops", async () => {
    await metrics.stop();
    const heard = listen(one, true);
    expect(one.broker.router.retained.count).toBe(0);
    heard.close();
  });
});
