// What lines about packets cost: nothing while nobody wants them or somebody wants another client's, and much for the
// client that is looked at.

import type { LineFilter, Logger } from "../src/base/logger.ts";
import { LogFilter } from "../src/config/logFilter.ts";
import { PacketLog } from "../src/net/packetLog.ts";
import { LOG_RANKS } from "../src/base/logger.ts";
import { Fixture } from "./fixture.ts";
import { publishFrame } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

const MESSAGES = 800;
const TOPIC = "bench/topic";
const PAYLOAD = Buffer.alloc(64, 0x6d);

const nowhere: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  isEnabled: () => false,
};

function frames(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => {
      return publishFrame({ level: 4, topic: TOPIC, payload: PAYLOAD, identifier: i + 1 });
    }),
  );
}

/** A publisher of chunks of so many messages while the log's filter is `text`. */
function filterCase(name: string, text: string, count: number): Case {
  const fixture = new Fixture({ counting: false, initializedFilters: [TOPIC] });
  const publisher = fixture.connect(4);
  const parsed = new LogFilter(text);
  const filter: LineFilter = {
    least: parsed.least,
    rankOf: (fields) => parsed.rankOf(fields),
    rankOfAnyTopic: (fields) => parsed.rankOfAnyTopic(fields),
    watch() {},
  };
  const { connection } = publisher;
  const isWanted = parsed.rankOfAnyTopic(connection.logFields()) <= LOG_RANKS.debug;
  connection.show(isWanted ? new PacketLog(nowhere, filter, connection) : null);
  const chunk = frames(count);
  return { group: "packet lines, per message", name, units: count, call: () => publisher.send(chunk) };
}

function cases(): Case[] {
  const another = "info,[{client_id=another}]=debug";
  return [
    filterCase("info, one message a chunk", "info", 1),
    filterCase("another client at debug, one message a chunk", another, 1),
    filterCase("info, 800 messages a chunk", "info", MESSAGES),
    filterCase("another client at debug, 800 messages a chunk", another, MESSAGES),
    filterCase("this client at debug, 800 messages a chunk", "debug", MESSAGES),
  ];
}

export async function run(quick: boolean): Promise<void> {
  await runCases(cases(), quick);
}

if (import.meta.main) await run(false);
