// How large, and how many: limits that mosquitto counted in another way.

import type { MosquittoJob } from "./file.ts";
import type { Option } from "./options.ts";
import { integerOf, wasText } from "./values.ts";

export function addSizes(job: MosquittoJob): void {
  addPackets(job);
  addConnections(job);
}

/** Packets and payloads were not limited; here they are, by default too. */
function addPackets({ draft, listeners, broker }: MosquittoJob): void {
  const last = (name: string): Option | undefined => broker.findLast((option) => option.name === name);
  const packet = last("max_packet_size");
  const payload = last("message_size_limit");
  const packetBytes = packet === undefined ? undefined : integerOf(packet.text);
  const payloadBytes = payload === undefined ? undefined : integerOf(payload.text);
  const isUnlimited = !packetBytes && !payloadBytes;
  for (const { path, source } of listeners) {
    const section = draft.section([...path, "connections"]);
    if (packet !== undefined && packetBytes) {
      section.set("max_packet_size", packetBytes, { source: packet.source, was: wasText(packet) });
    }
    if (payload !== undefined && payloadBytes) {
      section.set("max_payload_size", payloadBytes, { source: payload.source, was: wasText(payload) });
    } else if (packet !== undefined && packetBytes) {
      const was = `was not limited but by ${packet.name} ${packet.text}`;
      section.set("max_payload_size", packetBytes, { source: packet.source, was });
    }
    if (isUnlimited) {
      section.note("max_payload_size was not limited; without this key it is 1 MiB.");
      const near = { ...(packet?.source ?? source), isNear: true } as const;
      draft.warn(payload?.source ?? near, UNLIMITED);
    }
  }
}

const UNLIMITED =
  "payloads were not limited by message_size_limit; here they are, by max_payload_size, to 1 MiB where it is not given";

/** Limits of listeners, which are one for all of them here. */
function addConnections({ draft, listeners }: MosquittoJob): void {
  const limits = listeners.map(({ options }) => options.findLast(({ name }) => name === "max_connections"));
  const counts = limits.map((option) => (option === undefined ? undefined : integerOf(option.text)));
  const [first] = limits.filter((option) => option !== undefined);
  if (first === undefined) return;
  for (const { source } of limits.filter((option) => option !== undefined)) draft.tell(source);
  const router = draft.section(["router"]);
  const isBounded = counts.every((count) => count !== undefined && count > 0n);
  if (!isBounded) {
    const why = "other listeners had no limit, and [router] max_connections is one for all";
    const isIdle = counts.every((count) => count === undefined || count <= 0n);
    router.gone("max_connections", isIdle ? "it set no limit" : why, { source: first.source, isIdle });
    return;
  }
  const sum = counts.reduce<bigint>((total, count) => total + (count ?? 0n), 0n);
  const was = `was max_connections ${counts.join(" + ")}, one for each listener`;
  router.set("max_connections", sum, { source: first.source, was });
  if (counts.length > 1) draft.warn(first.source, "max_connections is one limit for all listeners: added up");
}
