// Links: clients of the broker within its own process.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Link, type LinkMessage } from "../../src/net/link.ts";
import { errors } from "../../src/packet/error.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";

interface Heard {
  topic: string;
  text: string;
  qos: number;
  retain: boolean;
}

let one: TestBroker;
beforeAll(async () => {
  one = await startTestBroker();
});
afterAll(() => one.stop());

/** A link whose messages can be awaited in their order. */
function listen(identifier: string, window = 10) {
  const heard: Heard[] = [];
  let wake = (): void => {};
  const link = new Link(one.broker.router, identifier, window, {
    onMessage(message: LinkMessage) {
      const { topic, qos, retain, payload } = message;
      heard.push({ topic, text: Buffer.from(payload).toString(), qos, retain });
      wake();
    },
  });
  return {
    link,
    heard,
    async until(count: number): Promise<void> {
      while (heard.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

function publish(topic: string, text: string, qos: 0 | 1 | 2 = 0, retain = false): void {
  expect(one.broker.router.publish(topic, Buffer.from(text), { qos, retain })).toBe(true);
}

describe("a link", () => {
  test("gets messages of its filters in order, at min(published, granted)", async () => {
    const { link, heard, until } = listen("order");
    expect(link.subscribe("order/+", 1, true)).toBe(1);
    for (let i = 0; i < 50; i++) publish("order/a", String(i), (i % 3) as 0 | 1 | 2);
    await until(50);
    expect(heard.map(({ text }) => Number(text))).toEqual([...Array(50).keys()]);
    expect(heard.slice(0, 3).map(({ qos }) => qos)).toEqual([0, 1, 1]);
    link.close();
  });

  test("gets a message whose head and payload are written apart", async () => {
    const { link, heard, until } = listen("large");
    link.subscribe("large", 1, false);
    const text = "x".repeat(900_000);
    publish("large", text, 1);
    publish("large", "small", 1);
    await until(2);
    expect(heard.map(({ text: { length } }) => length)).toEqual([900_000, 5]);
    link.close();
  });

  test("gets retained messages only if it asks for them", async () => {
    publish("kept/a", "1", 0, true);
    const asks = listen("asks");
    asks.link.subscribe("kept/#", 0, true);
    const not = listen("asks-not");
    not.link.subscribe("kept/#", 0, false);
    publish("kept/b", "2");
    await asks.until(2);
    await not.until(1);
    expect(asks.heard.filter(({ retain }) => retain).map(({ text }) => text)).toEqual(["1"]);
    expect(not.heard.map(({ text }) => text)).toEqual(["2"]);
    asks.link.close();
    not.link.close();
  });

  test("holds no more QoS 1 messages than its window while its promises are open", async () => {
    const waiting: (() => void)[] = [];
    const link = new Link(one.broker.router, "slow", 3, {
      onMessage: () => new Promise<void>((resolve) => void waiting.push(resolve)),
    });
    link.subscribe("slow", 1, false);
    for (let i = 0; i < 10; i++) publish("slow", String(i), 1);
    let settled = 0;
    while (settled < 10) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(waiting.length).toBeLessThanOrEqual(3);
      settled += waiting.length;
      for (const done of waiting.splice(0)) done();
    }
    link.close();
  });

  test("is told when its Client Identifier is taken over", () => {
    const told: unknown[] = [];
    const first = new Link(one.broker.router, "twice", 1, {
      onMessage() {},
      onClosed: (error) => void told.push(error),
    });
    const second = new Link(one.broker.router, "twice", 1, { onMessage() {} });
    expect(told).toEqual([errors.sessionTakenOver]);
    first.close();
    second.close();
    expect(one.broker.router.sessions.has("twice")).toBe(false);
  });

  test.each(["", "a/#/b", "$share/g"])("refuses the filter %p", (filter) => {
    const { link } = listen("refused");
    expect(() => link.subscribe(filter, 0, false)).toThrow(/Reason Code/);
    link.close();
  });
});
