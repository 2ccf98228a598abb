// AclRule: one rule of who may do what, as configuration and ACL files state it, and the client that rules are asked
// about. Rules stand in a list; of those that name the client and the action, the first whose filter matches decides.

import type { FilterTemplate } from "../topic/filterTemplate.ts";

export type AclAction = "publish" | "subscribe" | "receive";

/** Whom a rule is about: everything that is given must hold, and of a list any one. Empty: everybody. */
export interface Who {
  readonly users?: readonly string[];
  /** `*` stands for any characters. A client chooses its identifier: name a user too where that matters. */
  readonly clientIdentifiers?: readonly string[];
  readonly tenants?: readonly string[];
  /** Sections, such as "v4.1". */
  readonly listeners?: readonly string[];
  /** True: only clients without a user name. False: only those with one. */
  readonly anonymous?: boolean;
  /** Claims of the token, each with the value that it must have. */
  readonly claims?: ReadonlyMap<string, string>;
  /** Only clients whose user name and Client Identifier hold neither "+" nor "#". */
  readonly hasPlainNames?: true;
}

export interface AclRule {
  readonly who: Who;
  readonly actions: readonly AclAction[];
  readonly allow: boolean;
  readonly filters: readonly FilterTemplate[];
}

export interface AclRules {
  readonly rules: readonly AclRule[];
  /** What holds where no rule matches. */
  readonly otherwise: Readonly<Record<AclAction, boolean>>;
}

/** Nothing is configured: everybody may do everything. */
export const OPEN_RULES: AclRules = Object.freeze({
  rules: [],
  otherwise: { publish: true, subscribe: true, receive: true },
});

/** A client as far as rules go. */
export interface Subject {
  /** As proved; "" for an anonymous client. */
  readonly userName: string;
  readonly clientIdentifier: string;
  /** Its organisation; null for none. */
  readonly tenant: string | null;
  readonly claims: Readonly<Record<string, string>>;
  /** Section of its listener. */
  readonly listener: string;
}

/** The rule is about the client. */
export function isAbout(who: Who, subject: Subject): boolean {
  const { userName, clientIdentifier, tenant, listener } = subject;
  if (who.anonymous !== undefined && who.anonymous !== (userName === "")) return false;
  if (who.users !== undefined && (userName === "" || !who.users.includes(userName))) return false;
  if (who.tenants !== undefined && (tenant === null || !who.tenants.includes(tenant))) return false;
  if (who.listeners !== undefined && !who.listeners.includes(listener)) return false;
  if (who.hasPlainNames && (/[+#]/.test(userName) || /[+#]/.test(clientIdentifier))) return false;
  if (who.clientIdentifiers?.some((pattern) => isLike(pattern, clientIdentifier)) === false) return false;
  for (const [name, value] of who.claims ?? []) if (claimOf(subject, name) !== value) return false;
  return true;
}

/** The claim's value; "" when the client has no such claim. */
export function claimOf({ claims }: Subject, name: string): string {
  return Object.hasOwn(claims, name) ? (claims[name] ?? "") : "";
}

/** `text` is spelled like `pattern`, whose every `*` stands for any characters, also none. */
function isLike(pattern: string, text: string): boolean {
  const pieces = pattern.split("*");
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  if (pieces.length === 1) return text === pattern;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = text.indexOf(piece, from);
    if (at < 0 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return true;
}
