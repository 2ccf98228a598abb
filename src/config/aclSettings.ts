// From `[authorization]` and each `[[acl]]` to rules. Whether an ACL file holds what it should is said when it is read.

import { type FilterTemplate, parseTemplate } from "../topic/filterTemplate.ts";
import { ACL_KEYS, AUTHORIZATION_KEYS } from "./aclKeys.ts";
import type { ValuesOf } from "./key.ts";
import { keyText, type Path, valueText } from "./problems.ts";
import { type Document, problem, readSection, tableAt } from "./section.ts";
import { isTable } from "./values.ts";

type Table = Readonly<Record<string, unknown>>;

type AclAction = "publish" | "subscribe" | "receive";

/** One `[[acl]]`. */
export interface AclRuleSettings {
  readonly who: {
    readonly users?: readonly string[];
    readonly clientIdentifiers?: readonly string[];
    readonly tenants?: readonly string[];
    readonly listeners?: readonly string[];
    readonly anonymous?: boolean;
    readonly claims?: ReadonlyMap<string, string>;
  };
  readonly actions: readonly AclAction[];
  readonly allow: boolean;
  readonly filters: readonly FilterTemplate[];
}

export interface AuthorizationSettings {
  readonly rules: readonly AclRuleSettings[];
  /** What holds where no rule matches. */
  readonly otherwise: Readonly<Record<AclAction, boolean>>;
  /** Path of a file in mosquitto's format; null for none. */
  readonly aclFile: string | null;
  readonly wideSubscriptions: "refuse" | "narrow";
  readonly refusedPublish: "drop" | "disconnect";
}

/** Everybody may do everything. */
export const NO_AUTHORIZATION: AuthorizationSettings = Object.freeze({
  rules: [],
  otherwise: { publish: true, subscribe: true, receive: true },
  aclFile: null,
  wideSubscriptions: "refuse",
  refusedPublish: "drop",
});

/** `[[acl]]` sections; every connection looks at those that name no user. */
const RULES_MAX = 10_000;

export const AUTHORIZATION_SECTIONS = ["authorization", "acl"];

export function readAuthorization(document: Document, root: Table): AuthorizationSettings {
  const table = tableAt(document, ["authorization"], root["authorization"]) ?? {};
  const values = readSection(document, ["authorization"], table, AUTHORIZATION_KEYS);
  const rules = readRules(document, root);
  const otherwise = (values.default ?? (root["acl"] === undefined ? "allow" : "deny")) === "allow";
  return {
    rules,
    otherwise: { publish: otherwise, subscribe: otherwise, receive: values.default_receive === "allow" },
    aclFile: values.acl_file,
    wideSubscriptions: values.acl_file_subscriptions === "narrow" ? "narrow" : "refuse",
    refusedPublish: values.on_refused_publish === "disconnect" ? "disconnect" : "drop",
  };
}

function readRules(document: Document, root: Table): AclRuleSettings[] {
  const raw = root["acl"] ?? [];
  if (!Array.isArray(raw)) {
    problem(document, ["acl"], "[acl]: rules are a list, each of them headed [[acl]]");
    return [];
  }
  if (raw.length > RULES_MAX) {
    problem(document, ["acl", RULES_MAX], `[[acl]]: there are more than ${RULES_MAX} rules`);
    return [];
  }
  return raw.flatMap((table: unknown, index) => {
    if (isTable(table)) return [readRule(document, ["acl", index], table, root)];
    problem(document, ["acl", index], `[[acl]] = ${valueText(table)}: must be a section`);
    return [];
  });
}

function readRule(document: Document, path: Path, table: Table, root: Table): AclRuleSettings {
  const values = readSection(document, path, table, ACL_KEYS);
  const { allow, deny, filters } = values;
  if ((table["allow"] === undefined) === (table["deny"] === undefined)) {
    problem(document, path, "[[acl]] needs either allow or deny: a list of publish, subscribe and receive");
  }
  for (const [name, value] of Object.entries(values)) {
    if (!Array.isArray(value) || value.length > 0 || table[name] === undefined) continue;
    problem(document, [...path, name], `${keyText([...path, name])} is empty: the rule would never match`);
  }
  for (const listener of values.listeners ?? []) {
    if (!hasListener(root, listener))
      problem(
        document,
        [...path, "listeners"],
        `${keyText([...path, "listeners"])}: there is no [${listener}]`,
      );
  }
  return {
    who: whoOf(values, claimsOf(document, [...path, "claims"], values.claims)),
    actions: (allow ?? deny ?? []) as readonly AclAction[],
    allow: allow !== null,
    filters: (filters ?? []).flatMap((filter) => {
      const template = parseTemplate(filter);
      if (typeof template !== "string") return [template];
      const at = [...path, "filters"];
      problem(document, at, `${keyText(at)} = ${valueText(filter)}: ${template}`);
      return [];
    }),
  };
}

function whoOf(
  { users, client_ids, tenants, listeners, anonymous }: ValuesOf<typeof ACL_KEYS>,
  claims: ReadonlyMap<string, string> | null,
): AclRuleSettings["who"] {
  return {
    ...(users === null ? {} : { users }),
    ...(client_ids === null ? {} : { clientIdentifiers: client_ids }),
    ...(tenants === null ? {} : { tenants }),
    ...(listeners === null ? {} : { listeners }),
    ...(anonymous === null ? {} : { anonymous }),
    ...(claims === null ? {} : { claims }),
  };
}

function claimsOf(
  document: Document,
  path: Path,
  texts: readonly string[] | null,
): ReadonlyMap<string, string> | null {
  if (texts === null) return null;
  const claims = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    const name = text.slice(0, equals);
    if (equals < 1 || equals === text.length - 1)
      problem(document, path, `${keyText(path)} = ${valueText(text)}: must be "name=value"`);
    else if (claims.has(name)) problem(document, path, `${keyText(path)}: ${name} is there twice`);
    claims.set(name, text.slice(equals + 1));
  }
  return claims;
}

/** The file has a section of that name: "v4.1" is [v4.1]. */
function hasListener(root: Table, name: string): boolean {
  const dot = name.indexOf(".");
  const sections = root[name.slice(0, dot)];
  return dot > 0 && isTable(sections) && isTable(sections[name.slice(dot + 1)]);
}
