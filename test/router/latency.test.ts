// Latency: one sample for what one turn took, when the last reader that waited by then has been served.

import { expect, test } from "bun:test";
import { Histogram } from "../../src/base/histogram.ts";
import { Latency } from "../../src/router/latency.ts";
import type { ReadyQueue } from "../../src/router/readyQueue.ts";
import { Random } from "../sim/random.ts";
import { World } from "../sim/world.ts";
import { Peer } from "./peer.ts";
import { encodePublish } from "./reference.ts";

test("a histogram's bounds are within their classes", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 100]) histogram.add(value);
  expect([...histogram.counts]).toEqual([2, 2, 1, 2]);
  expect([histogram.count, histogram.sum]).toEqual([7, 114.6]);
});

function setUp() {
  const time = { nowMs: 1000, wallMs: 0 };
  const latency = new Latency({ nowMs: () => time.nowMs, wallMs: () => 0 });
  const queue = { pushed: 0, length: 0 };
  return {
    time,
    queue,
    latency,
    turned: () => latency.turned(queue as unknown as ReadyQueue),
    samples: () => [latency.seconds.count, Math.round(latency.seconds.sum * 1000)],
  };
}

test("a turn that serves everybody is one sample, from its first append", () => {
  const { time, latency, turned, samples } = setUp();
  latency.appended(1000);
  latency.appended(1003);
  time.nowMs = 1005;
  turned();
  expect(samples()).toEqual([1, 5]);
  time.nowMs = 2000;
  turned();
  expect(samples()).toEqual([1, 5]);
});

test("who was not served in the turn is waited for; what comes meanwhile is a sample of its own", () => {
  const { time, queue, latency, turned, samples } = setUp();
  Object.assign(queue, { pushed: 5, length: 3 });
  latency.appended(1000);
  time.nowMs = 1001;
  turned();
  expect(samples()).toEqual([0, 0]);
  latency.appended(1002);
  Object.assign(queue, { pushed: 7, length: 2 }); // those five have been served
  time.nowMs = 1010;
  turned();
  expect(samples()).toEqual([1, 10]);
  Object.assign(queue, { pushed: 7, length: 0 });
  time.nowMs = 1012;
  turned();
  expect(samples()).toEqual([2, 20]);
});

test("messages for readers that are away or full are not measured by when these come back", () => {
  const world = new World(new Random(1));
  const { seconds } = world.router.latency;
  const peers = ["away", "from"].map(
    (clientIdentifier) =>
      new Peer(world, {
        clientIdentifier,
        version: 5,
        persistent: true,
        subscriptions: clientIdentifier === "away" ? [{ filter: "a", qos: 1 }] : [],
      }),
  );
  const steps = (count: number): void => {
    for (let i = 0; i < count; i++) {
      for (const peer of peers) peer.act();
      world.step(1);
    }
  };
  for (const peer of peers) {
    peer.connect();
    peer.subscribe();
  }
  steps(5);
  const [away, from] = peers as [Peer, Peer];
  away.cut();
  steps(5);
  const before = seconds.count;
  from.send(encodePublish(5, 0x32, "a", 1, [], Buffer.from("x")));
  steps(1_000);
  away.connect();
  steps(5);
  expect(away.published).toHaveLength(1);
  expect(seconds.count).toBe(before);
  from.send(encodePublish(5, 0x32, "a", 2, [], Buffer.from("x")));
  steps(5);
  expect(seconds.count).toBe(before + 1);
  expect(seconds.sum).toBeLessThan(0.01);
});
