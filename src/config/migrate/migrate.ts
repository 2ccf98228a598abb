// Migrate: an old file in, a new one out, with everything that there is to say about it. The new file is read the way
// that the broker would read it, so that nobody is handed one that does not start without being told.

import type { Found } from "../find.ts";
import { PACKET_OVERHEAD_BYTES, type KindValue, MIB } from "../key.ts";
import { MEMORY_SHARE } from "../listeners.ts";
import { parseConfig } from "../load.ts";
import { keyAt } from "../places.ts";
import { ConfigError } from "../problems.ts";
import { readValue } from "../values.ts";
import { type Draft, sizeValue, type Source } from "./draft.ts";
import { migrateMosquitto } from "./mosquitto/file.ts";
import { migrateRumqttd } from "./rumqttd/file.ts";

export const ORIGINS = ["rumqttd", "mosquitto"] as const;
export type OriginName = (typeof ORIGINS)[number];

export interface Migrated {
  readonly text: string;
  /** What has no equivalent or needs a look, each with the line of the old file. */
  readonly warnings: readonly string[];
  /** What the broker would warn of, each with the line of the new file. */
  readonly startWarnings: readonly string[];
  /** Why the broker would not start with it, each with the line of the new file; empty when it would. */
  readonly problems: readonly string[];
}

/** `newFile` is how messages name the result. Throws ConfigError when the old file cannot be read at all. */
export function migrate(found: Pick<Found, "text" | "file">, from: OriginName, newFile: string): Migrated {
  const { draft } = draftOf(found, from);
  fitMemory(draft, { file: found.file, line: 1 });
  const { text, warnings } = draft;
  try {
    const startWarnings = parseConfig({ text, file: newFile }).warnings;
    return { text, warnings, startWarnings, problems: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { text, warnings, startWarnings: [], problems: error.problems };
  }
}

const migrateFrom: Readonly<Record<OriginName, (found: Pick<Found, "text" | "file">) => { draft: Draft }>> = {
  rumqttd: migrateRumqttd,
  mosquitto: migrateMosquitto,
};

/** A file in the other broker's syntax is refused with a word about it. */
function draftOf(found: Pick<Found, "text" | "file">, from: OriginName): { draft: Draft } {
  try {
    return migrateFrom[from](found);
  } catch (error) {
    const isMosquitto = /^\s*(?:listener|port|persistence|allow_anonymous)\s+[^=\s]/m.test(found.text);
    if (!(error instanceof ConfigError) || from === "mosquitto" || !isMosquitto) throw error;
    throw new ConfigError([...error.problems, "for a configuration of mosquitto there is --from mosquitto"]);
  }
}

/** A packet may take a quarter of the memory: where old limits ask for more, there is more memory. */
function fitMemory(draft: Draft, source: Source): void {
  let packetBytes = 0;
  for (const { path } of draft.sections) {
    if (path.length !== 3 || path[2] !== "connections") continue;
    const payload = bytesOf(draft, path, "max_payload_size") ?? MIB;
    const packet = bytesOf(draft, path, "max_packet_size") ?? payload + PACKET_OVERHEAD_BYTES;
    packetBytes = Math.max(packetBytes, packet);
  }
  const memory = bytesOf(draft, ["router"], "memory") ?? 0;
  if (packetBytes * MEMORY_SHARE <= memory) return;
  const bytes = Math.ceil((packetBytes * MEMORY_SHARE) / MIB) * MIB;
  const was = "was not limited; a packet may take a quarter of it, and the largest is allowed by a listener";
  draft.section(["router"]).set("memory", sizeValue(bytes), { source, was });
  draft.warn(
    source,
    `[router] memory is ${sizeValue(bytes)}, as the largest packets that the listeners allow need it`,
  );
}

/** What the draft, or else the key's default, says. */
function bytesOf(draft: Draft, path: readonly string[], name: string): number | undefined {
  const key = keyAt(path, name);
  const raw = draft.existing(path)?.get(name);
  if (key === undefined) return undefined;
  if (raw === undefined) return typeof key.default === "number" ? key.default : undefined;
  const reading = readValue(key, raw);
  return "value" in reading ? (reading.value as KindValue["size"]) : undefined;
}
