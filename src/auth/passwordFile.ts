// Password file: a line for each credential, `user:hash`; empty lines and those that begin with # say nothing. A user
// may have a hash for passwords and, on further lines, a credential for each SCRAM method. A file with a wrong line is
// refused whole: nobody is let in or kept out by a slip.

import { looksLikeHash, type PasswordHash, parsePasswordHash } from "./passwordHash.ts";
import type { ScramCredential, ScramMethod } from "./scram.ts";

export const FILE_BYTES_MAX = 64 * 1024 * 1024;
/** Problems that are told of one file. */
const PROBLEMS_MAX = 10;

/** What a user can prove itself with. */
export interface Credentials {
  /** For a password that comes as it is. */
  readonly password: PasswordHash | null;
  readonly scram: ReadonlyMap<ScramMethod, ScramCredential>;
}

export type Users = ReadonlyMap<string, Credentials>;

/** Why a file is not taken: a line for each problem, none of them with a hash or a password in it. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

interface Draft {
  line: number;
  password: PasswordHash | null;
  readonly scram: Map<ScramMethod, ScramCredential>;
}

/** The users of a file's text. `file` is how messages call it. Throws FileError. */
export function parsePasswordFile(text: string, file: string): Users {
  if (text.length > FILE_BYTES_MAX) throw new FileError([`${file}: larger than ${FILE_BYTES_MAX} bytes`]);
  const users = new Map<string, Draft>();
  const problems: string[] = [];
  text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .forEach((raw, index) => {
      const line = raw.trimEnd();
      if (line === "" || line.startsWith("#") || problems.length >= PROBLEMS_MAX) return;
      const problem = readLine(line, index + 1, users);
      if (problem !== null) problems.push(`${file}:${index + 1}: ${problem}`);
    });
  if (problems.length > 0) throw new FileError(problems);
  for (const draft of users.values()) {
    // Who has but a SCRAM credential may still send a password.
    const [credential] = draft.scram.values();
    if (draft.password === null && credential !== undefined) draft.password = { kind: "scram", credential };
  }
  return users;
}

/** Adds what the line says to `users`; returns what is wrong with it. */
function readLine(line: string, number: number, users: Map<string, Draft>): string | null {
  const colon = line.indexOf(":");
  if (colon < 1) return "must be user:hash, as `millrace passwd` writes it";
  const user = line.slice(0, colon);
  const text = line.slice(colon + 1);
  const hash = parsePasswordHash(text);
  if (hash === null) return hashProblem(user, text);
  const draft = users.get(user) ?? { line: number, password: null, scram: new Map() };
  const isTwice = hash.kind === "scram" ? draft.scram.has(hash.credential.method) : draft.password !== null;
  if (isTwice) return `user ${JSON.stringify(user)} is there twice, first on line ${draft.line}`;
  if (hash.kind === "scram") draft.scram.set(hash.credential.method, hash.credential);
  else draft.password = hash;
  users.set(user, draft);
  return null;
}

function hashProblem(user: string, text: string): string {
  const who = `user ${JSON.stringify(user)}`;
  if (text === "") return `${who} has no password`;
  if (looksLikeHash(text)) return `${who} has a hash that cannot be read`;
  return `${who} has a password in plain text; \`millrace passwd FILE ${user}\` stores its hash`;
}

/** Whether a password file can hold this name. */
export function isFileUserName(user: string): boolean {
  return user !== "" && user.length <= 65_535 && user.trimEnd() === user && !/^#|[:\p{Cc}]/u.test(user);
}

/**
 * `text` with `hash` for `user`, in the place where the user had one of that kind, else at the end. Other lines stay as
 * they are. Without `keeps`, every other credential of the user goes: it is of the old password.
 */
export function withUser(text: string, user: string, hash: string, keeps = false): string {
  const lines = linesOf(text);
  const kind = kindOf(hash);
  const isSame = (line: string): boolean => {
    return line.startsWith(`${user}:`) && (!keeps || kindOf(line.slice(user.length + 1)) === kind);
  };
  const at = lines.findIndex(isSame);
  const kept = lines.filter((line, index) => index === at || !isSame(line));
  if (at < 0) kept.push(`${user}:${hash}`);
  else kept[at] = `${user}:${hash}`;
  return `${kept.join("\n")}\n`;
}

/** `text` without `user`; null when it is not there. */
export function withoutUser(text: string, user: string): string | null {
  const lines = linesOf(text);
  const kept = lines.filter((line) => !line.startsWith(`${user}:`));
  if (kept.length === lines.length) return null;
  return kept.length === 0 ? "" : `${kept.join("\n")}\n`;
}

function linesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Lines of one user and one kind replace each other. */
function kindOf(hash: string): string {
  return /^SCRAM-SHA-\d+/.exec(hash)?.[0] ?? "password";
}
