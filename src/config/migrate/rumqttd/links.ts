// rumqttd's sections beside the listeners: metrics, and links to other brokers.

import type { Path } from "../../problems.ts";
import { isTable } from "../../values.ts";
import type { Table } from "./oldToml.ts";
import { type Job, moveTable, plain, sectionText, unknown } from "./job.ts";
import { BRIDGE_CONNECTION_RULES, BRIDGE_RULES } from "./rules.ts";

/** `port` alone meant the loopback address. */
export function migratePrometheus(job: Job, at: Path, raw: unknown): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  const { port, ...table } = raw;
  moveTable(job, at, table, ["prometheus"], { listen: { key: "listen" }, interval: { key: "interval" } });
  if (port === undefined) return;
  const here = [...at, "port"];
  const section = job.draft.section(["prometheus"]);
  const source = job.old.sourceOf(here);
  if (table["listen"] === undefined) {
    const was = `was port = ${plain(port)}`;
    section.set("listen", `127.0.0.1:${plain(port)}`, { source, above: job.old.commentsOf(here), was });
  } else section.gone("port", "listen says it already", { source });
}

/** `[metrics.alerts]` and `[metrics.meters]`. */
export function migrateMetrics(job: Job, at: Path, raw: unknown): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  for (const [name, table] of Object.entries(raw)) {
    const rules = { push_interval: { key: "push_interval" } };
    moveTable(job, [...at, name], table, ["metrics", name], rules);
  }
}

/** `[bridge]`, or `[bridge.N]` as some 0.12 had it, of which the first is taken. */
export function migrateBridge(job: Job, at: Path, raw: unknown): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  const isList = Object.entries(raw).every(([name, value]) => isTable(value) && !BRIDGE_PARTS.has(name));
  const bridges: [Path, unknown][] = isList
    ? Object.entries(raw).map(([name, value]) => [[...at, name], value])
    : [[at, raw]];
  for (const [index, [path, table]] of bridges.entries()) {
    if (index === 0) migrateOneBridge(job, path, isTable(table) ? table : {});
    else {
      const source = job.old.sourceOf(path);
      job.draft.section(["bridge"]).gone(sectionText(path), "there is one bridge", { source });
    }
  }
}

const BRIDGE_PARTS: ReadonlySet<string> = new Set(["connections", "transport"]);

function migrateOneBridge(job: Job, at: Path, raw: Table): void {
  const { url, port, connections, transport, ...table } = raw;
  moveTable(job, at, table, ["bridge"], BRIDGE_RULES);
  const { draft, old } = job;
  if (table["addr"] === undefined && (url !== undefined || port !== undefined)) {
    const here = [...at, url === undefined ? "port" : "url"];
    const origin = { source: old.sourceOf(here), above: old.commentsOf(here) };
    const host = plain(url ?? "localhost");
    const isBare = host.includes(":") && !host.startsWith("[");
    const addr = `${isBare ? `[${host}]` : host}:${plain(port ?? 1883)}`;
    draft.section(["bridge"]).set("addr", addr, { ...origin, was: "was url and port" });
    if (port !== undefined) draft.tell(old.sourceOf([...at, "port"]));
  }
  if (connections !== undefined) {
    const path = ["bridge", "connections"];
    moveTable(job, [...at, "connections"], connections, path, BRIDGE_CONNECTION_RULES);
  }
  if (transport !== undefined) migrateTransport(job, [...at, "transport"], transport);
}

/** `"tcp"`, or a table `tls` with `ca` and `client_auth`. */
function migrateTransport(job: Job, at: Path, raw: unknown): void {
  const path = ["bridge", "transport"];
  const source = job.old.sourceOf(at);
  if (raw === "tcp") {
    job.draft.section(["bridge"]).set("transport", raw, { source });
    return;
  }
  const tls = isTable(raw) ? raw["tls"] : undefined;
  if (!isTable(tls)) return;
  const { client_auth: client, ...table } = tls;
  moveTable(job, [...at, "tls"], table, [...path, "tls"], { ca: { key: "ca" } });
  if (client === undefined) return;
  const rules = { certs: { key: "certs" }, key: { key: "key" } };
  moveTable(job, [...at, "tls", "client_auth"], client, [...path, "tls", "client_auth"], rules);
}

/**
 * `[cluster.<id>]` with an address each, up to 0.11: a node connected to those of higher numbers and waited for the
 * others. Today's `[cluster]` says the same of one node.
 */
export function migrateCluster(job: Job, at: Path, raw: unknown): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  const nodes = Object.entries(raw).filter(([, node]) => isTable(node)) as [string, Table][];
  if (nodes.length === 0) {
    const rules = { node_id: { key: "node_id" }, listen: { key: "listen" }, seniors: { key: "seniors" } };
    moveTable(job, at, raw, ["cluster"], rules);
    return;
  }
  const { old, draft } = job;
  const { id: topId } = old.root;
  const own = typeof topId === "bigint" ? topId : 0n;
  const was = nodes.map(([id]) => sectionText([...at, id])).join(", ");
  const section = draft.section(["cluster"], `was ${was}`);
  const at0 = [...at, String(own)];
  const near = (path: Path) => ({ ...old.sourceOf(path), isNear: true }) as const;
  section.set("node_id", own, { source: old.sourceOf(["id"]), was: "was the top-level id" });
  const self = nodes.find(([id]) => id === String(own))?.[1];
  if (self === undefined) draft.warn(near(at), `[cluster] has no node ${own}, which is this broker`);
  else section.set("listen", nodeAddress(self), { source: near(at0), was: `was [cluster.${own}]` });
  const seniors = nodes.filter(([id]) => /^\d+$/.test(id) && BigInt(id) > own);
  const list = seniors.map(([id, node]) => [BigInt(id), nodeAddress(node)]);
  section.set("seniors", list, { source: near(at), was: "was the nodes of higher numbers" });
  for (const [id, node] of nodes)
    for (const name of node["address"] === undefined ? ["host", "port"] : ["address"])
      if (node[name] !== undefined) draft.tell(old.sourceOf([...at, id, name]));
}

function nodeAddress(node: Table): string {
  const { address, host = "", port = "" } = node;
  return address === undefined ? `${plain(host)}:${plain(port)}` : plain(address);
}
