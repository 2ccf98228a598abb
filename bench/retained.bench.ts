// Retained messages: storing them, and replaying them to a new subscription.

import { Fixture } from "./fixture.ts";
import { publishFrame, subscribeFrame, unsubscribeFrame } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

const PAYLOAD = Buffer.alloc(64, 0x6d);
const STORED_PER_CALL = 1000;

function topicAt(i: number): string {
  return `plant/${i % 10}/device/${i}`;
}

function storeChunk(from: number, count: number): Buffer {
  const frames = Array.from({ length: count }, (_, i) => {
    return publishFrame({ level: 4, topic: topicAt(from + i), payload: PAYLOAD, retain: true });
  });
  return Buffer.concat(frames);
}

function stored(messages: number, counting: boolean): Fixture {
  const fixture = new Fixture({ counting });
  const publisher = fixture.connect(4);
  for (let from = 0; from < messages; from += STORED_PER_CALL) {
    publisher.send(storeChunk(from, Math.min(STORED_PER_CALL, messages - from)));
  }
  fixture.settle();
  return fixture;
}

function storeCase(messages: number): Case {
  const fixture = stored(messages, false);
  const publisher = fixture.connect(4);
  const count = Math.min(STORED_PER_CALL, messages);
  const chunk = storeChunk(0, count);
  const call = (): void => publisher.send(chunk);
  return { group: "retained, per message stored", name: `replaced, ${messages} held`, units: count, call };
}

/** A client subscribes, gets what matches and unsubscribes. */
function replayCase(messages: number, filter: string, matching: number, counting: boolean): Case {
  const fixture = stored(messages, counting);
  const client = fixture.connect(4);
  const subscribe = subscribeFrame(4, [filter], 0);
  const unsubscribe = unsubscribeFrame(4, [filter]);
  const call = (): void => {
    client.send(subscribe);
    fixture.settle();
    client.send(unsubscribe);
    fixture.settle();
  };
  return {
    group: "retained, per message replayed",
    name: `${filter}: ${matching} of ${messages}`,
    units: matching,
    call,
    deliveries: fixture.deliveries,
    delivered: matching,
  };
}

export async function run(quick: boolean): Promise<void> {
  const messages = quick ? 100 : 20_000;
  const cases = [
    storeCase(messages),
    replayCase(messages, "#", messages, quick),
    replayCase(messages, "plant/3/#", messages / 10, quick),
    replayCase(messages, topicAt(7), 1, quick),
  ];
  await runCases(cases, quick);
}

if (import.meta.main) await run(false);
