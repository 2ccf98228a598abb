// From the sections of listeners to their settings.

import type { ListenerSettings } from "../net/settings.ts";
import type { RouterSettings } from "../router/settings.ts";
import { authenticatorNames } from "./authSettings.ts";
import { type Endpoint, PACKET_OVERHEAD_BYTES, type ValuesOf } from "./key.ts";
import { readLimits } from "./limits.ts";
import { CONNECTION_KEYS, LISTENER_KEYS, MQTT_LISTENER_KEYS, WS_LISTENER_KEYS } from "./listenerKeys.ts";
import { keyText } from "./problems.ts";
import type { Document } from "./section.ts";
import { placeText, problem, readSection, tableAt, warning } from "./section.ts";
import { readTransport, type SocketValues } from "./transport.ts";
import { isTable, sizeText } from "./values.ts";

type Table = Readonly<Record<string, unknown>>;

/** Largest share of `[router] memory` that one packet, or one filter's debt, may take. */
export const MEMORY_SHARE = 4;

export const LISTENER_SECTIONS = ["v4", "v5", "mqtt", "ws"];

/** Every `[v4.N]`, or of another kind, in the order of the file. */
export function readListeners(
  document: Document,
  section: string,
  root: Table,
  router: RouterSettings,
): ListenerSettings[] {
  const listeners: ListenerSettings[] = [];
  const servers = tableAt(document, [section], root[section]) ?? {};
  for (const [name, raw] of Object.entries(servers)) {
    const path = [section, name];
    if (!isTable(raw)) {
      problem(
        document,
        path,
        `${keyText(path)}: [${section}] holds listeners, each a section such as [${section}.1]`,
      );
      continue;
    }
    listeners.push(readListener(document, section, name, raw, router));
  }
  return listeners;
}

function readListener(
  document: Document,
  section: string,
  name: string,
  table: Table,
  router: RouterSettings,
): ListenerSettings {
  const path = [section, name];
  const values = readOwn(document, section, path, table);
  const below = [...path, "connections"];
  const connections = tableAt(document, below, table["connections"]) ?? {};
  const limits = readSection(document, below, connections, CONNECTION_KEYS);
  const address: Endpoint = values.listen ?? { host: "", port: 0, unix: null };
  if (limits.auth?.size === 0)
    warning(document, [...below, "auth"], `${keyText([...below, "auth"])} is empty: nobody can connect`);
  return {
    section: `${section}.${name}`,
    name: values.name ?? `${section}-${name}`,
    host: address.host,
    port: address.port,
    transport: readTransport(document, path, table, values),
    versions: values.versions,
    nextConnectionDelayMs: values.next_connection_delay_ms,
    connectTimeoutMs: limits.connection_timeout_ms,
    payloadBytesMax: limits.max_payload_size,
    packetBytesMax: packetBytesMax(document, below, limits, router),
    inflightMax: limits.max_inflight_count,
    receiveMaximum: limits.receive_maximum,
    topicAliasMaximum: limits.topic_alias_max,
    qosMax: limits.max_qos === 0 ? 0 : limits.max_qos === 1 ? 1 : 2,
    retainAvailable: limits.retain_available,
    wildcardAvailable: limits.wildcard_available,
    sharedAvailable: limits.shared_available,
    identifiersAvailable: limits.subscription_identifiers_available,
    keepAliveMax: limits.max_keep_alive,
    sessionExpiryMax: limits.max_session_expiry,
    emptyClientIdentifier: limits.allow_empty_client_id,
    queueMessagesMax: limits.max_queued_messages,
    queueBytesMax: limits.max_queued_bytes,
    limits: readLimits(document, below, limits),
    users: limits.auth,
    authChain: limits.auth_chain === null ? null : authenticatorNames(limits.auth_chain),
    allowAnonymous: limits.allow_anonymous,
  };
}

/** The keys of the section itself, which differ by the kind of listener. */
function readOwn(document: Document, section: string, path: readonly string[], table: Table) {
  const children = ["connections", "tls"];
  if (section === "ws") {
    const values = readSection(document, path, table, WS_LISTENER_KEYS, children);
    return { ...values, webSocket: values, sniff: false } satisfies SocketValues;
  }
  if (section === "mqtt") {
    const values = readSection(document, path, table, MQTT_LISTENER_KEYS, children);
    return { ...values, webSocket: values.sniff ? values : null } satisfies SocketValues;
  }
  const values = readSection(document, path, table, LISTENER_KEYS, children);
  return { ...values, webSocket: null, sniff: false } satisfies SocketValues;
}

/** One packet must fit the budget several times over: at most a quarter of it. */
function packetBytesMax(
  document: Document,
  path: readonly string[],
  limits: ValuesOf<typeof CONNECTION_KEYS>,
  router: RouterSettings,
): number {
  const share = Math.floor(router.memoryBytes / MEMORY_SHARE);
  const packet = limits.max_packet_size ?? limits.max_payload_size + PACKET_OVERHEAD_BYTES;
  if (packet <= share) return packet;
  const isGiven = limits.max_packet_size !== null;
  const at = [...path, isGiven ? "max_packet_size" : "max_payload_size"];
  const value = isGiven ? `${packet}` : `${limits.max_payload_size} makes packets of up to ${packet} bytes`;
  const text = `a packet must be at most a quarter of [router] memory, ${sizeText(share)}`;
  problem(document, at, `${keyText(at)} = ${value}: ${text}`);
  return packet;
}

/** Port 0 is any free port, and two specific hosts may share one. */
export function checkAddresses(document: Document, listeners: readonly ListenerSettings[]): void {
  listeners.forEach((listener, index) => {
    const { host, port, transport } = listener;
    if (transport.unix !== null) {
      checkPath(document, listeners, index, transport.unix.path);
      return;
    }
    const other = listeners
      .slice(0, index)
      .find((earlier) => earlier.port === port && overlaps(earlier.host, host));
    if (port === 0 || other === undefined || host === "") return;
    const at = [...sectionPath(listener), "listen"];
    const where = placeText(document, [...sectionPath(other), "listen"]);
    const text = `${keyText(at)}: port ${port} is taken by [${other.section}] (${where})`;
    problem(document, at, `${text}; every listener needs its own`);
  });
}

/** Two listeners cannot have one Unix socket. */
function checkPath(
  document: Document,
  listeners: readonly ListenerSettings[],
  index: number,
  path: string,
): void {
  const other = listeners.slice(0, index).find(({ transport }) => transport.unix?.path === path);
  if (other === undefined) return;
  const at = [...sectionPath(listeners[index]!), "listen"];
  const where = placeText(document, [...sectionPath(other), "listen"]);
  problem(document, at, `${keyText(at)}: ${path} is taken by [${other.section}] (${where})`);
}

/** `["v4", "1"]`: a listener's section as a path. */
export function sectionPath(listener: Pick<ListenerSettings, "section">): string[] {
  const dot = listener.section.indexOf(".");
  return [listener.section.slice(0, dot), listener.section.slice(dot + 1)];
}

function overlaps(a: string, b: string): boolean {
  const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";
  return a === b || isWildcard(a) || isWildcard(b);
}
