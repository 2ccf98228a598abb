// From a parsed document to the settings of every part. Nothing here knows where the document came from.

import type { AuthSettings } from "../net/authSettings.ts";
import type { ListenerSettings } from "../net/settings.ts";
import type { FilterRetention, RouterSettings } from "../router/settings.ts";
import { AUTHORIZATION_SECTIONS, type AuthorizationSettings, readAuthorization } from "./aclSettings.ts";
import { AUTH_SECTION, checkListenerAuth, readAuth } from "./authSettings.ts";
import type { PlaceOf } from "./filePlace.ts";
import type { ValuesOf } from "./key.ts";
import { ROUTER_KEYS, SEGMENT_KEYS, TOP_KEYS } from "./keys.ts";
import { LATER_SECTIONS, warnOfLaterSection } from "./later.ts";
import { checkLinks, LINK_SECTIONS } from "./links.ts";
import { checkAddresses, LISTENER_SECTIONS, MEMORY_SHARE, readListeners } from "./listeners.ts";
import { keyText, nearest } from "./problems.ts";
import type { Document } from "./section.ts";
import { headText, problem, readSection, tableAt } from "./section.ts";
import { readServices, SERVICE_SECTIONS, type ServiceSettings } from "./serviceSettings.ts";
import { isPlainFilter, isTable, sizeText } from "./values.ts";

export interface BrokerSettings {
  readonly router: RouterSettings;
  readonly listeners: readonly ListenerSettings[];
  readonly auth: AuthSettings;
  readonly authorization: AuthorizationSettings;
  readonly services: ServiceSettings;
  /** TLS handshakes at one time; the host's own limit unless given. */
  readonly handshakesMax?: number;
  /** For messages; absent where the settings were read from nowhere. */
  readonly placeOf?: PlaceOf;
}

type Table = Readonly<Record<string, unknown>>;

/** Reads `root`; problems and warnings go to `document`, and the result counts only when there are no problems. */
export function readSettings(document: Document, root: Table): BrokerSettings {
  const sections = [
    "router",
    ...LISTENER_SECTIONS,
    AUTH_SECTION,
    ...AUTHORIZATION_SECTIONS,
    ...SERVICE_SECTIONS,
    ...LINK_SECTIONS,
    ...LATER_SECTIONS,
  ];
  const top = readSection(document, [], withoutSections(document, root, sections), TOP_KEYS);
  const table = tableAt(document, ["router"], root["router"]) ?? {};
  const values = readSection(document, ["router"], table, ROUTER_KEYS, ["custom_segment"]);
  const router = readRouter(document, table, values, top.id, root);
  const listeners = LISTENER_SECTIONS.flatMap((section) => readListeners(document, section, root, router));
  checkAddresses(document, listeners);
  const auth = readAuth(document, root);
  for (const listener of listeners) checkListenerAuth(document, listener, auth);
  const authorization = readAuthorization(document, root);
  const services = readServices(document, root);
  checkLinks(document, root);
  for (const name of LATER_SECTIONS) warnOfLaterSection(document, name, root[name]);
  if (listeners.length === 0 && document.problems.length === 0) {
    problem(
      document,
      [],
      'no listener is left to start: add a section such as [v4.1] with listen = "0.0.0.0:1883"',
    );
  }
  return {
    router,
    listeners,
    auth,
    authorization,
    services,
    handshakesMax: values.max_handshakes,
    placeOf: (path) => headText(document, path),
  };
}

/** The top-level keys alone; an unknown section is reported here, with the one that was probably meant. */
function withoutSections(document: Document, root: Table, sections: readonly string[]): Table {
  const keys: Record<string, unknown> = {};
  for (const [name, raw] of Object.entries(root)) {
    if (sections.includes(name)) continue;
    if (Object.hasOwn(TOP_KEYS, name) || (!isTable(raw) && !Array.isArray(raw))) {
      keys[name] = raw;
      continue;
    }
    const meant = nearest(name, sections);
    const old =
      name === "servers" || name === "broker" ? "; listeners are called [v4.1] or [v5.1] today" : "";
    const hint =
      old || (meant === undefined ? `; known: ${sections.join(", ")}` : `; did you mean [${meant}]?`);
    problem(document, [name], `[${name}]: unknown section${hint}`);
  }
  return keys;
}

function readRouter(
  document: Document,
  table: Table,
  values: ValuesOf<typeof ROUTER_KEYS>,
  id: number,
  root: Table,
): RouterSettings {
  const share = Math.floor(values.memory / MEMORY_SHARE);
  if (values.pace_debt > share) {
    const allowed = `must be at most a quarter of [router] memory, ${sizeText(share)}`;
    problem(document, ["router", "pace_debt"], `[router] pace_debt = ${values.pace_debt}: ${allowed}`);
  }
  return {
    id: root["id"] === undefined ? (values.id ?? id) : id,
    memoryBytes: values.memory,
    connectionsMax: values.max_connections,
    batchMessagesMax: values.max_outgoing_packet_count,
    retentionBytes: values.max_segment_size * values.max_segment_count,
    retentionByFilter: readSegments(document, table["custom_segment"], values),
    initializedFilters: values.initialized_filters,
    sharedStrategy: values.shared_subscriptions_strategy,
    paceDebtBytes: values.pace_debt,
    stallMs: values.stall_timeout_ms,
  };
}

function readSegments(
  document: Document,
  raw: unknown,
  router: ValuesOf<typeof ROUTER_KEYS>,
): FilterRetention[] {
  const path = ["router", "custom_segment"];
  const retention: FilterRetention[] = [];
  for (const [filter, segment] of Object.entries(tableAt(document, path, raw) ?? {})) {
    const at = [...path, filter];
    if (!isPlainFilter(filter)) problem(document, at, `${keyText(at)}: '${filter}' is not a topic filter`);
    const table = tableAt(document, at, segment);
    if (table === undefined) continue;
    const values = readSection(document, at, table, SEGMENT_KEYS);
    const size = values.max_segment_size ?? router.max_segment_size;
    const count = values.max_segment_count ?? router.max_segment_count;
    retention.push({ filter, bytes: size * count });
  }
  return retention;
}
