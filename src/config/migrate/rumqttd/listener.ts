// One listener of rumqttd: its keys go to today's sections, whichever table they stood in.

import { keyAt } from "../../places.ts";
import type { Path } from "../../problems.ts";
import { tomlValue } from "../../toml.ts";
import { isTable } from "../../values.ts";
import type { DraftSection, Origin, Part } from "../draft.ts";
import type { Table } from "./oldToml.ts";
import { type Job, plain, sectionText, unknown, wasSection } from "./job.ts";
import { LISTENER_RULES, OLD_PARTS } from "./rules.ts";

/** A key where it stood. */
interface Old {
  readonly job: Job;
  /** Path of the key. */
  readonly at: Path;
  readonly name: string;
  readonly value: unknown;
  /** What the table that it stood in was of. */
  readonly part: Part;
  /** Path of the new listener. */
  readonly listener: readonly string[];
}

/** Moves the listener at `at` to the section at `listener`, such as ["v4", "1"]. */
export function migrateListener(job: Job, at: Path, table: Table, listener: readonly string[]): void {
  job.draft.section(listener, wasSection(at, listener), job.old.commentsOf(at));
  moveKeys(job, at, table, "", listener);
  keepNames(job, at, listener);
}

/** A certificate let its client in and said nothing of its name; here it would be the client's name. */
function keepNames(job: Job, at: Path, listener: readonly string[]): void {
  const { draft, old } = job;
  if (draft.existing(partPath(listener, "tls"))?.get("verify_client_cert") !== true) return;
  const connections = draft.section(partPath(listener, "connections"));
  if (connections.get("auth_chain") !== undefined) return;
  const source = { ...old.sourceOf(at), isNear: true } as const;
  if (connections.get("auth") !== undefined) {
    const was = "was so: users by their passwords, whatever name the certificate has";
    connections.set("auth_chain", ["table"], { source, was });
    return;
  }
  const was = "was so: whoever showed a certificate could connect, under any name";
  connections.set("auth_chain", [], { source, was });
  connections.set("allow_anonymous", true, { source, was });
}

function moveKeys(job: Job, at: Path, table: Table, part: Part, listener: readonly string[]): void {
  for (const [name, value] of Object.entries(table)) {
    const here = [...at, name];
    const inner = Object.hasOwn(OLD_PARTS, name) ? OLD_PARTS[name] : undefined;
    if (inner !== undefined && isTable(value)) {
      const path = partPath(listener, inner);
      job.draft.section(path, wasSection(here, path), job.old.commentsOf(here));
      moveKeys(job, here, value, inner, listener);
    } else moveKey({ job, at: here, name, value, part, listener });
  }
  moveUser(job, at, table, part, listener);
  movePkcs12(job, at, table, part, listener);
}

/** Keys that are handled with others of their table. */
const TOGETHER: ReadonlySet<string> = new Set([
  "username",
  "password",
  "pkcs12_path",
  "pkcs12_pass",
  "pkcs12path",
  "pkcs12pass",
]);

const SPECIAL: Readonly<Record<string, (old: Old) => void>> = {
  port: movePort,
  max_connections: moveMaxConnections,
  ca_path: moveAuthority,
  capath: moveAuthority,
  login_credentials: moveCredentials,
  throttle_delay_ms: moveThrottle,
};

function moveKey(old: Old): void {
  const { job, at, name, value, part, listener } = old;
  if (TOGETHER.has(name)) return;
  const special = Object.hasOwn(SPECIAL, name) ? SPECIAL[name] : undefined;
  if (special !== undefined) {
    special(old);
    return;
  }
  const rule = Object.hasOwn(LISTENER_RULES, name) ? LISTENER_RULES[name] : undefined;
  if (rule === undefined) {
    const path = partPath(listener, part);
    if (keyAt(path, name) === undefined) unknown(job, at, path, Object.keys(LISTENER_RULES));
    else job.draft.section(path).set(name, value, originOf(old, name, part));
  } else if ("gone" in rule) {
    const section = job.draft.section(partPath(listener, part));
    const { source, above = [] } = originOf(old, name, part);
    section.gone(name, rule.gone, { source, above, value });
  } else sectionOf(old, rule.part).set(rule.key, value, originOf(old, rule.key, rule.part));
}

function partPath(listener: readonly string[], part: Part): string[] {
  return part === "" ? [...listener] : [...listener, part];
}

function sectionOf({ job, listener }: Old, part: Part): DraftSection {
  return job.draft.section(partPath(listener, part));
}

/** Where a key comes from that is `key` in `part` now, its value unchanged. */
function originOf({ job, at, name, part }: Old, key: string, newPart: Part): Origin {
  const words = [name === key ? "" : name, part === newPart ? "" : `in ${sectionText(at.slice(0, -1))}`];
  const change = words.filter((word) => word !== "").join(" ");
  return {
    source: job.old.sourceOf(at),
    above: job.old.commentsOf(at),
    was: change === "" ? undefined : `was ${change}`,
  };
}

/** A port alone meant every IPv4 address. */
function movePort(old: Old): void {
  const origin = { ...originOf(old, "port", ""), was: `was port = ${tomlValue(old.value)}` };
  sectionOf(old, "").set("listen", `0.0.0.0:${plain(old.value)}`, origin);
}

/** A limit per listener; where there is none today, all listeners' limits are added up in [router]. */
function moveMaxConnections(old: Old): void {
  const { job, at, value, part, listener } = old;
  if (keyAt(listener, "max_connections") !== undefined) {
    job.draft.section(listener).set("max_connections", value, originOf(old, "max_connections", ""));
    return;
  }
  if (typeof value !== "bigint") {
    unknown(job, at, partPath(listener, part), []);
    return;
  }
  const router = job.draft.section(["router"]);
  const sum = router.get("max_connections");
  const was = `was in ${sectionText(at.slice(0, -1))}, one for each listener, added up`;
  const total = value + (typeof sum === "bigint" ? sum : 0n);
  router.set("max_connections", total, { source: job.old.sourceOf(at), was });
}

/** No rumqttd has held to it; here it holds. */
function moveThrottle(old: Old): void {
  const { job, at, name, value } = old;
  sectionOf(old, "connections").set(name, value, originOf(old, name, "connections"));
  const text = "nothing was slowed down by it; here each client is read with that pause";
  if (value !== 0n) job.draft.warn(job.old.sourceOf(at), `${name}: ${text}`);
}

/** Up to 0.15, whoever named a CA required certificates of its clients. */
function moveAuthority(old: Old): void {
  const { job, name, at } = old;
  const tls = sectionOf(old, "tls");
  const origin = originOf(old, "capath", "tls");
  tls.set("capath", old.value, origin);
  if (job.generation !== "G4") {
    const was = `was implied by ${name}: clients must show a certificate of this CA`;
    tls.set("verify_client_cert", true, { source: origin.source, was });
    return;
  }
  tls.note("Up to 0.18 capath alone meant verify_client_cert = true; since then only in builds made for it.");
  const text = "add verify_client_cert = true if clients had to show a certificate of this CA";
  job.draft.warn(job.old.sourceOf(at), `${sectionText(at.slice(0, -1))} ${name}: ${text}`);
}

const PLAIN_NOTE = "Plain text, as before; `millrace passwd` makes hashes.";

/** `[[….login_credentials]]`: username and password each. */
function moveCredentials(old: Old): void {
  const { job, at, value } = old;
  const users: Record<string, string> = {};
  for (const [index, login] of (Array.isArray(value) ? value : []).entries()) {
    const { username, password, ...others }: Table = isTable(login) ? login : {};
    for (const name of Object.keys(others))
      unknown(job, [...at, index, name], partPath(old.listener, "connections"), ["username", "password"]);
    if (typeof username === "string" && typeof password === "string") users[username] = password;
    else {
      const what = `${sectionText([...at, index])} of user ${index + 1}`;
      const source = job.old.sourceOf([...at, index]);
      sectionOf(old, "connections").gone(what, "a user needs username and password, both of them texts", {
        source,
      });
    }
  }
  setUsers(job, old.listener, users, originOf(old, "auth", "connections"));
}

/** The flat `username` and `password` of the first generations. */
function moveUser(job: Job, at: Path, table: Table, part: Part, listener: readonly string[]): void {
  const { username, password } = table;
  if (username === undefined && password === undefined) return;
  const source = job.old.sourceOf([...at, username === undefined ? "password" : "username"]);
  job.draft.tell(job.old.sourceOf([...at, "password"]));
  if (typeof username === "string" && typeof password === "string") {
    const was = `was username and password${part === "connections" ? "" : ` in ${sectionText(at)}`}`;
    setUsers(job, listener, { [username]: password }, { source, was });
    return;
  }
  // Half of it let nobody in; so does a table without users.
  setUsers(job, listener, {}, { source, was: "was username or password without the other" });
  job.draft.warn(source, `${sectionText(at)} has only one of username and password: nobody can connect`);
}

function setUsers(job: Job, listener: readonly string[], users: Table, origin: Origin): void {
  const section = job.draft.section(partPath(listener, "connections"));
  const known = section.get("auth");
  const all = { ...(isTable(known) ? known : {}), ...users };
  section.set("auth", all, { ...origin, above: [...(origin.above ?? []), PLAIN_NOTE] });
}

/** A PKCS #12 file holds certificate and key in one, which are two files today. */
function movePkcs12(job: Job, at: Path, table: Table, part: Part, listener: readonly string[]): void {
  const name = ["pkcs12_path", "pkcs12path"].find((one) => table[one] !== undefined);
  if (name === undefined) return;
  const file = plain(table[name]);
  for (const pass of ["pkcs12_pass", "pkcs12pass"])
    if (table[pass] !== undefined) job.draft.tell(job.old.sourceOf([...at, pass]));
  const stem = file.replace(/\.(?:p12|pfx|pkcs12)$/i, "");
  const [cert, key] = [`${stem}.cert.pem`, `${stem}.key.pem`];
  const tls = job.draft.section(partPath(listener, "tls"));
  const source = job.old.sourceOf([...at, name]);
  const how = "certificate and key are two files today, which openssl makes of it once";
  tls.gone(`${name} and its password`, how, { source, above: job.old.commentsOf([...at, name]) });
  tls.note(`  openssl pkcs12 -in ${shellWord(file)} -nokeys -out ${shellWord(cert)}`);
  tls.note(`  openssl pkcs12 -in ${shellWord(file)} -nocerts -nodes -out ${shellWord(key)}`);
  const was = `was in ${name}${part === "tls" ? "" : ` in ${sectionText(at)}`}`;
  tls.set("certpath", cert, { source, was });
  tls.set("keypath", key, { source, was });
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
