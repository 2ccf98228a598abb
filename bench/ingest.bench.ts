// From a publisher's chunk to the log: the walk over frames, and ingest by kind of frame and by number of topics.

import { do_not_optimize } from "mitata";
import { Acl } from "../src/auth/acl.ts";
import { assert } from "../src/base/assert.ts";
import { frameBytes } from "../src/packet/frame.ts";
import type { Rights } from "../src/session/rights.ts";
import { type FilterTemplate, parseTemplate } from "../src/topic/filterTemplate.ts";
import { Fixture } from "./fixture.ts";
import { type Level, type PublishOptions, publishFrame } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

/** As many frames as a chunk of 64 KiB holds about. */
const MESSAGES = 800;
const TOPICS = 1000;
const PAYLOAD = Buffer.alloc(64, 0x6d);
const TOPIC = "bench/topic";

/** Rights of a list of rules as long as many are, of which none but the last is about the topics here. */
function rightsOf(allow: boolean): Rights {
  const filter = (text: string): FilterTemplate => parseTemplate(text) as FilterTemplate;
  const actions = ["publish", "subscribe", "receive"] as const;
  const rules = Array.from({ length: 20 }, (_, i) => {
    return { who: {}, actions, allow: true, filters: [filter(`plant/${i}/#`)] };
  });
  const all = { who: {}, actions, allow, filters: [filter("#")] };
  const otherwise = { publish: false, subscribe: false, receive: false };
  const subject = { userName: "", clientIdentifier: "bench", tenant: null, claims: {}, listener: "v4.1" };
  const rights = new Acl({ rules: [...rules, all], otherwise }).rightsOf(subject);
  assert(rights !== null, "the rules do not allow everything");
  return rights;
}

const ALLOWED = rightsOf(true);
const DENIED = rightsOf(false);

type Shape = Omit<PublishOptions, "payload" | "topic">;

function chunkOf(messages: number, shape: Shape, topicOf: (i: number) => string): Buffer {
  const frames = Array.from({ length: messages }, (_, i) => {
    return publishFrame({ ...shape, topic: topicOf(i), payload: PAYLOAD, identifier: i + 1 });
  });
  return Buffer.concat(frames);
}

function walkCase(): Case {
  const chunk = chunkOf(MESSAGES, { level: 4 }, () => TOPIC);
  const call = (): void => {
    let at = 0;
    while (at < chunk.length) at += frameBytes(chunk, at);
    do_not_optimize(at);
  };
  return { group: "frame walk, per message of 64 B", name: "lengths alone", units: MESSAGES, call };
}

/** One publisher, one filter that nobody reads, so that every message is kept and none delivered. */
function ingestCase(
  name: string,
  chunk: Buffer,
  messages: number,
  filters: string[],
  level: Level,
  rights: Rights | null = null,
): Case {
  const fixture = new Fixture({ counting: false, initializedFilters: filters });
  const publisher = fixture.connect(level);
  publisher.connection.session!.rights = rights;
  const call = (): void => publisher.send(chunk);
  return { group: "ingest, per message of 64 B", name, units: messages, call };
}

function aliasCase(): Case {
  const shape = { level: 5, alias: 1 } as const;
  const fixture = new Fixture({ counting: false, initializedFilters: [TOPIC] });
  const publisher = fixture.connect(5);
  publisher.send(chunkOf(1, shape, () => TOPIC));
  const chunk = chunkOf(MESSAGES, shape, () => "");
  const name = "QoS 0, MQTT 5, one topic by its alias";
  return { group: "ingest, per message of 64 B", name, units: MESSAGES, call: () => publisher.send(chunk) };
}

function cases(): Case[] {
  const one = (): string => TOPIC;
  const many = (i: number): string => `device/${String(i).padStart(5, "0")}/telemetry/temp`;
  const devices = Array.from({ length: TOPICS }, (_, i) => many(i));
  const v4 = chunkOf(MESSAGES, { level: 4 }, one);
  const manyTopics = chunkOf(TOPICS, { level: 4 }, many);
  return [
    walkCase(),
    ingestCase("QoS 0, 3.1.1, one topic", v4, MESSAGES, [TOPIC], 4),
    ingestCase("QoS 0, MQTT 5, one topic", chunkOf(MESSAGES, { level: 5 }, one), MESSAGES, [TOPIC], 5),
    aliasCase(),
    ingestCase("QoS 1, 3.1.1", chunkOf(MESSAGES, { level: 4, qos: 1 }, one), MESSAGES, [TOPIC], 4),
    ingestCase("QoS 1, MQTT 5", chunkOf(MESSAGES, { level: 5, qos: 1 }, one), MESSAGES, [TOPIC], 5),
    ingestCase("QoS 0, 1,000 topics, one filter", manyTopics, TOPICS, ["#"], 4),
    ingestCase("QoS 0, 1,000 topics, 1,000 filters", manyTopics, TOPICS, devices, 4),
    ingestCase("QoS 0, one topic, no filter", v4, MESSAGES, [], 4),
    ingestCase("QoS 0, 1,000 topics, no filter", manyTopics, TOPICS, [], 4),
    ingestCase("QoS 0, 3.1.1, one topic, with rights", v4, MESSAGES, [TOPIC], 4, ALLOWED),
    ingestCase("QoS 0, 1,000 topics, one filter, with rights", manyTopics, TOPICS, ["#"], 4, ALLOWED),
    ingestCase("QoS 0, one topic, denied", v4, MESSAGES, [TOPIC], 4, DENIED),
    ingestCase("QoS 0, 1,000 topics, denied", manyTopics, TOPICS, ["#"], 4, DENIED),
    ingestCase("QoS 0, one message a chunk", chunkOf(1, { level: 4 }, one), 1, [TOPIC], 4),
  ];
}

export async function run(quick: boolean): Promise<void> {
  await runCases(cases(), quick);
}

if (import.meta.main) await run(false);
