// Links to other brokers: read and checked, so that a file is right on the day that they exist; until then each is told
// to be without effect.

import {
  BRIDGE_CLIENT_KEYS,
  BRIDGE_CONNECTION_KEYS,
  BRIDGE_KEYS,
  BRIDGE_TLS_KEYS,
  CLUSTER_KEYS,
} from "./linkKeys.ts";
import { keyText, valueText } from "./problems.ts";
import { type Document, problem, readSection, tableAt, unknownKey, warning } from "./section.ts";
import { isPlainFilter } from "./values.ts";

export const LINK_SECTIONS: readonly string[] = ["bridge", "cluster"];

/** Checks `[bridge]` and `[cluster]`. */
export function checkLinks(document: Document, root: Readonly<Record<string, unknown>>): void {
  if (root["bridge"] !== undefined) checkBridge(document, root["bridge"]);
  if (root["cluster"] !== undefined) checkCluster(document, root["cluster"]);
}

function checkBridge(document: Document, raw: unknown): void {
  const at = ["bridge"];
  const table = tableAt(document, at, raw);
  if (table === undefined) return;
  const { sub_path } = readSection(document, at, table, BRIDGE_KEYS, ["connections", "transport"]);
  if (sub_path !== null && !isPlainFilter(sub_path)) {
    const path = [...at, "sub_path"];
    problem(document, path, `${keyText(path)} = ${valueText(sub_path)}: must be a topic filter`);
  }
  const below = [...at, "connections"];
  const connections = tableAt(document, below, table["connections"]);
  if (connections !== undefined) readSection(document, below, connections, BRIDGE_CONNECTION_KEYS);
  checkTransport(document, table["transport"]);
  const text = "bridges are not there yet: no message goes to or comes from the other broker";
  warning(document, at, `[bridge] is ignored: ${text}`);
}

/** `transport = "tcp"`, `[bridge.transport.tcp]` or `[bridge.transport.tls]`. */
function checkTransport(document: Document, raw: unknown): void {
  const at = ["bridge", "transport"];
  if (raw === "tcp") return;
  const transport = tableAt(document, at, raw);
  for (const [name, value] of Object.entries(transport ?? {})) {
    const path = [...at, name];
    const table = tableAt(document, path, value);
    if (name === "tls" && table !== undefined) checkTls(document, path, table);
    else if (name !== "tcp" && name !== "tls") unknownKey(document, path, {}, ["tcp", "tls"]);
  }
}

function checkTls(
  document: Document,
  path: readonly string[],
  table: Readonly<Record<string, unknown>>,
): void {
  readSection(document, path, table, BRIDGE_TLS_KEYS, ["client_auth"]);
  const below = [...path, "client_auth"];
  const client = table["client_auth"];
  const clientTable = client === undefined ? undefined : tableAt(document, below, client);
  if (clientTable !== undefined) readSection(document, below, clientTable, BRIDGE_CLIENT_KEYS);
}

function checkCluster(document: Document, raw: unknown): void {
  const at = ["cluster"];
  const table = tableAt(document, at, raw);
  if (table === undefined) return;
  readSection(document, at, table, CLUSTER_KEYS);
  warning(document, at, "[cluster] is ignored: clusters are not there yet: this broker stands alone");
}
