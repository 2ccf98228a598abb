// Generation: which of rumqttd's syntaxes a file is in.
//
//   G0  [[broker.servers]] or [[servers]], everything flat in it          the first releases, and rumq
//   G1  [servers.N] with a port, certificates among the connections
//   G2  [servers.N] with listen, and [servers.N.cert]                     up to 0.11
//   G3  [v4.N] and [v5.N], with keys that are gone today                  0.12 to 0.15
//   G4  [v4.N], [v5.N] and [ws.N]                                         0.16 on, and today's

import { isTable } from "../../values.ts";

export type Generation = "G0" | "G1" | "G2" | "G3" | "G4";

export const GENERATION_NAMES: Readonly<Record<Generation, string>> = {
  G0: "the first rumqttd's, with [[broker.servers]] and flat keys",
  G1: "rumqttd's with [servers.N] and ports",
  G2: "rumqttd's up to 0.11, with [servers.N] and addresses",
  G3: "rumqttd's from 0.12 to 0.15, with [v4.N] and [v5.N]",
  G4: "rumqttd's from 0.16 on, which is today's",
};

/** Keys of G3 that G4 has no more, wherever they stand. */
const G3_KEYS: ReadonlySet<string> = new Set([
  "instant_ack",
  "max_read_len",
  "max_segments",
  "timeout_ms",
  "url",
]);

/** The generation of a parsed file; undefined when it is none of rumqttd's. */
export function generationOf(root: Readonly<Record<string, unknown>>): Generation | undefined {
  const { servers, router } = root;
  if (isTable(root["broker"]) || Array.isArray(servers)) return "G0";
  if (isTable(servers)) return holds(servers, new Set(["listen"])) ? "G2" : "G1";
  const isLater = ["v4", "v5", "ws"].some((section) => isTable(root[section]));
  if (!isLater && !isTable(router)) return undefined;
  const { prometheus, ...rest } = root;
  const isG3 = holds(rest, G3_KEYS) || (isTable(prometheus) && prometheus["port"] !== undefined);
  return isG3 ? "G3" : "G4";
}

/** Whether one of `names` is a key of `table` or of a table in it. */
function holds(table: Readonly<Record<string, unknown>>, names: ReadonlySet<string>): boolean {
  return Object.entries(table).some(
    ([name, value]) => names.has(name) || (isTable(value) && holds(value, names)),
  );
}
