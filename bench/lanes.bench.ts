// Each lane from publish to write: a publisher's chunk, the turns that it sets off, and for QoS 1 the readers'
// acknowledgements. Per delivery, so with many readers the publisher's part vanishes.

import { ackChunk, Fixture } from "./fixture.ts";
import { type Level, publishFrame, type QoS } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

const MESSAGES = 64;
const PAYLOAD = Buffer.alloc(64, 0x6d);
const TOPIC = "bench/topic";
const OTHER_TOPIC = "bench/other";

/** Room for the PUBACKs of one reader. */
const acks = ackChunk(MESSAGES);

interface Setting {
  readonly name: string;
  readonly group: string;
  readonly readers: number;
  readonly from: Level;
  readonly to: Level;
  readonly qos: QoS;
  /** A second topic lies between each two messages. */
  readonly scattered?: boolean;
  /** All readers are members of one share group. */
  readonly shared?: boolean;
}

function chunkOf({ from, qos, scattered = false }: Setting): Buffer {
  const frames: Buffer[] = [];
  for (let i = 0; i < MESSAGES; i++) {
    frames.push(publishFrame({ level: from, topic: TOPIC, payload: PAYLOAD, qos, identifier: i + 1 }));
    if (scattered) frames.push(publishFrame({ level: from, topic: OTHER_TOPIC, payload: PAYLOAD }));
  }
  return Buffer.concat(frames);
}

function laneCase(setting: Setting, counting: boolean): Case {
  const { name, group, readers: count, from, to, qos, shared = false } = setting;
  const fixture = new Fixture({ counting, initializedFilters: [OTHER_TOPIC] });
  const readers = fixture.connectMany(count, to);
  for (const reader of readers) reader.subscribe(qos, shared ? `$share/g/${TOPIC}` : TOPIC);
  const publisher = fixture.connect(from);
  const chunk = chunkOf(setting);
  const delivered = shared ? MESSAGES : MESSAGES * count;
  const call = (): void => {
    publisher.send(chunk);
    fixture.settle();
    if (qos === 0) return;
    for (const reader of readers) reader.acknowledge(acks);
    fixture.settle();
  };
  return { group, name, units: delivered, call, deliveries: fixture.deliveries, delivered };
}

/** A share group of eight: 64 messages give each member as many. */
const MEMBERS = 8;

function settings(): Setting[] {
  const all: Setting[] = [];
  for (const readers of [1, 100]) {
    const group = `lanes, ${MESSAGES} messages to ${readers} reader${readers === 1 ? "" : "s"}, per delivery`;
    const v4 = { group, readers, from: 4, to: 4, qos: 0 } as const;
    all.push(
      { ...v4, name: "raw, 3.1.1" },
      { ...v4, name: "raw, MQTT 5", from: 5, to: 5 },
      { ...v4, name: "gathered: another topic between each two", scattered: true },
      { ...v4, name: "rendered, 3.1.1 to MQTT 5", to: 5 },
      { ...v4, name: "rendered, MQTT 5 to 3.1.1", from: 5 },
      { ...v4, name: "rendered QoS 1, stamped and acknowledged, 3.1.1", qos: 1 },
      { ...v4, name: "rendered QoS 1, stamped and acknowledged, MQTT 5", qos: 1, from: 5, to: 5 },
    );
  }
  const group = `share group of ${MEMBERS}, per delivery`;
  const member = { group, readers: MEMBERS, from: 4, to: 4, shared: true } as const;
  all.push({ ...member, name: "QoS 0", qos: 0 }, { ...member, name: "QoS 1, acknowledged", qos: 1 });
  return all;
}

export async function run(quick: boolean): Promise<void> {
  await runCases(
    settings().map((setting) => laneCase(setting, quick)),
    quick,
  );
}

if (import.meta.main) await run(false);
