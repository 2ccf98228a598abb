// From any of rumqttd's generations to today's configuration.

import type { Found } from "../../find.ts";
import { ConfigError, type Path } from "../../problems.ts";
import { tomlPath } from "../../toml.ts";
import { isTable } from "../../values.ts";
import { Draft } from "../draft.ts";
import { GENERATION_NAMES, generationOf } from "./generation.ts";
import { type Job, moveTable, unknown } from "./job.ts";
import { migrateBridge, migrateCluster, migrateMetrics, migratePrometheus } from "./links.ts";
import { migrateListener } from "./listener.ts";
import { GONE_SECTIONS, ROUTER_RULES } from "./rules.ts";
import { addUntold } from "./untold.ts";
import { OldToml, type Table } from "./oldToml.ts";

/** Sections in the order in which the new file has them. */
const SECTIONS: Readonly<Record<string, (job: Job, at: Path, raw: unknown) => void>> = {
  router: migrateRouter,
  servers: migrateServers,
  v4: migrateServers,
  v5: migrateServers,
  mqtt: migrateServers,
  ws: migrateServers,
  console: (job, at, raw) => moveTable(job, at, raw, ["console"], { listen: { key: "listen" } }),
  prometheus: migratePrometheus,
  bridge: migrateBridge,
  cluster: migrateCluster,
  metrics: migrateMetrics,
};

/** Throws ConfigError when `found` is no TOML or none of rumqttd's files. */
export function migrateRumqttd(found: Pick<Found, "text" | "file">): Job {
  const old = new OldToml(found);
  const generation = generationOf(old.root);
  if (generation === undefined) {
    const known = "[v4.N], [servers.N], [[servers]] or [[broker.servers]]";
    throw new ConfigError([`${found.file}:1: no configuration of rumqttd: it has none of ${known}`]);
  }
  const draft = new Draft([
    `Written by millrace migrate-config. The syntax was ${GENERATION_NAMES[generation]}.`,
    'Comments that begin with "was" or "gone" say what has changed.',
  ]);
  const job: Job = { old, draft, generation };
  const broker = isTable(old.root["broker"]) ? old.root["broker"] : {};
  // A limit of listeners may go there: then it should still stand first.
  if (old.root["router"] === undefined && broker["router"] === undefined) draft.section(["router"]);
  migrateRoot(job, [], old.root);
  migrateRoot(job, ["broker"], broker);
  addUntold(job);
  return job;
}

function migrateRoot(job: Job, base: Path, root: Table): void {
  const { old, draft } = job;
  for (const [name, raw] of Object.entries(root)) {
    const at = [...base, name];
    if (name === "id" && !isTable(raw)) {
      draft.section([]).set("id", raw, { source: old.sourceOf(at), above: old.commentsOf(at) });
    } else if (Object.hasOwn(GONE_SECTIONS, name)) {
      const header = isTable(raw) ? `[${tomlPath(at.map(String))}]` : name;
      draft.section([]).gone(header, GONE_SECTIONS[name] ?? "", { source: old.sourceOf(at) });
      const keys = isTable(raw) ? Object.keys(raw) : [];
      if (keys.length > 0) draft.section([]).note(`  with its ${keys.join(", ")}`);
    } else if (!Object.hasOwn(SECTIONS, name) && name !== "broker") {
      unknown(job, at, [], Object.keys(SECTIONS));
    }
  }
  for (const [name, migrate] of Object.entries(SECTIONS)) {
    if (root[name] !== undefined) migrate(job, [...base, name], root[name]);
  }
}

function migrateRouter(job: Job, at: Path, raw: unknown): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  const { custom_segment: segments, ...table } = raw;
  moveTable(job, at, table, ["router"], ROUTER_RULES);
  for (const [filter, segment] of Object.entries(isTable(segments) ? segments : {})) {
    const path = ["router", "custom_segment", filter];
    const keys = ["max_segment_size", "max_segment_count"].map((key) => [key, { key }] as const);
    moveTable(job, [...at, "custom_segment", filter], segment, path, Object.fromEntries(keys));
  }
}

/** `[servers.N]`, `[[servers]]` and today's `[v4.N]`, `[v5.N]`, `[ws.N]`. */
function migrateServers(job: Job, at: Path, raw: unknown): void {
  const section = at.at(-1) === "servers" ? "v4" : String(at.at(-1));
  const servers: [string | number, unknown][] = Array.isArray(raw)
    ? [...raw.entries()]
    : Object.entries(isTable(raw) ? raw : {});
  for (const [name, server] of servers) {
    const path = [...at, name];
    const newName = typeof name === "number" ? `${name + 1}` : name;
    if (isTable(server)) migrateListener(job, path, server, [section, newName]);
    else unknown(job, path, [], []);
  }
  if (servers.length > 0) return;
  const { draft, old } = job;
  const why = "there is no listener in it";
  draft.section([]).gone(`[${tomlPath(at.map(String))}]`, why, { source: old.sourceOf(at), isIdle: true });
}
