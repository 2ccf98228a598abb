// AclFile: mosquitto's acl_file. Lines before the first `user` are about anonymous clients, those behind one about that
// user, and `pattern` lines about everybody. A client's own lines go before patterns; among either, `deny` goes before
// all others and then the first that matches decides; what no line matches is denied.
//
// `read` is what a client may subscribe to and be sent. mosquitto itself grants every subscription and then leaves out
// what may not be read; "narrow" does the same, "refuse" turns a subscription away that is wider than what may be read.
// Other than mosquitto's, a `%c` or `%u` line grants nothing to a client whose name holds "/" (it would be in another's
// place), or begins the line's topic and is spelled like a $ topic.

import { type FilterTemplate, parsePlainPlaces, templateOf } from "../topic/filterTemplate.ts";
import type { AclAction, AclRule, AclRules, Who } from "./aclRule.ts";
import { FileError } from "./passwordFile.ts";

export const ACL_FILE_BYTES_MAX = 16 * 1024 * 1024;
/** Problems that are told of one file. */
const PROBLEMS_MAX = 10;

/** What becomes of subscriptions that are wider than what may be read. */
export type WideSubscriptions = "refuse" | "narrow";

const ACCESS: Readonly<Record<string, { readonly allow: boolean; readonly actions: readonly AclAction[] }>> =
  {
    read: { allow: true, actions: ["subscribe", "receive"] },
    write: { allow: true, actions: ["publish"] },
    readwrite: { allow: true, actions: ["publish", "subscribe", "receive"] },
    deny: { allow: false, actions: ["publish", "subscribe", "receive"] },
  };

interface Line {
  readonly isPattern: boolean;
  /** Of the section that it stands in; null for the one of anonymous clients. */
  readonly user: string | null;
  readonly allow: boolean;
  readonly actions: readonly AclAction[];
  readonly filter: FilterTemplate;
}

/** The rules of a text, in the order in which they are asked. `file` is how messages call it. Throws FileError. */
export function parseAclFile(text: string, file: string): AclRule[] {
  if (text.length > ACL_FILE_BYTES_MAX)
    throw new FileError([`${file}: larger than ${ACL_FILE_BYTES_MAX} bytes`]);
  const lines: Line[] = [];
  const problems: string[] = [];
  let user: string | null = null;
  text.split("\n").forEach((raw, index) => {
    const line = raw.trimEnd();
    if (line === "" || line.startsWith("#") || problems.length >= PROBLEMS_MAX) return;
    const [word, rest] = firstWord(line);
    const problem = (what: string): void => void problems.push(`${file}:${index + 1}: ${what}`);
    if (word === "user") {
      if (rest === "") problem("user names nobody");
      else user = rest;
    } else if (word === "topic" || word === "pattern") {
      const read = readRule(word === "pattern", user, rest);
      if (typeof read === "string") problem(read);
      else lines.push(read);
    } else problem(`'${word}' begins no line: there are user, topic and pattern`);
  });
  if (problems.length > 0) throw new FileError(problems);
  return inOrder(lines);
}

/** The file's rules behind those of the configuration, and nothing behind them. */
export function withAclFile(
  rules: AclRules,
  file: readonly AclRule[],
  wideSubscriptions: WideSubscriptions,
): AclRules {
  const isNarrowed = wideSubscriptions === "narrow";
  const behind = isNarrowed ? file.map(withoutSubscribe) : file;
  return {
    rules: [...rules.rules, ...behind],
    otherwise: { publish: false, subscribe: isNarrowed, receive: false },
  };
}

function withoutSubscribe(rule: AclRule): AclRule {
  return { ...rule, actions: rule.actions.filter((action) => action !== "subscribe") };
}

/** The word that a line begins with, and what is behind it. */
function firstWord(line: string): [word: string, rest: string] {
  const text = line.replace(/^ +/, "");
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space).trim()];
}

/** `[read|write|readwrite|deny] <topic>`; only with one of these words may the topic hold spaces. */
function readRule(isPattern: boolean, user: string | null, text: string): Line | string {
  if (text === "") return "the line names no topic";
  const [word, rest] = firstWord(text);
  const access = ACCESS[rest === "" ? "readwrite" : word];
  if (access === undefined) return `'${word}' is no access: there are read, write, readwrite and deny`;
  const topic = rest === "" ? word : rest;
  const filter = isPattern ? parsePlainPlaces(topic) : templateOf(topic, [topic]);
  return typeof filter === "string" ? filter : { isPattern, user, filter, ...access };
}

function inOrder(lines: readonly Line[]): AclRule[] {
  const denyFirst = (some: readonly Line[]): AclRule[] => {
    return [...some.filter(({ allow }) => !allow), ...some.filter(({ allow }) => allow)].map(ruleOf);
  };
  return [
    ...denyFirst(lines.filter(({ isPattern }) => !isPattern)),
    ...denyFirst(lines.filter(({ isPattern }) => isPattern)),
  ];
}

function ruleOf({ isPattern, user, allow, actions, filter }: Line): AclRule {
  let who: Who = user === null ? { anonymous: true } : { users: [user] };
  // As in mosquitto, no pattern is about a client that could be taken for a wildcard.
  if (isPattern) who = { hasPlainNames: true, ...(filter.places.includes("u") ? { anonymous: false } : {}) };
  return { who, actions, allow, filters: [filter] };
}
