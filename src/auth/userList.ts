// UserList: users with their passwords, from the configuration's table or from a password file.

import type { ConnectAttempt } from "../net/access.ts";
import { errors } from "../packet/error.ts";
import type { Refused } from "./attempts.ts";
import { type Authenticator, denied, granted, notMine, type Outcome, shown, wrong } from "./authenticator.ts";
import { BUSY } from "./gate.ts";
import { type Credentials, FileError, type Users } from "./passwordFile.ts";
import { looksLikeHash, type PasswordHash, parsePasswordHash } from "./passwordHash.ts";
import type { Checked, Passwords } from "./passwords.ts";
import type { ScramCredential, ScramMethod } from "./scram.ts";
import type { Secret } from "./secret.ts";

/** Whether an attempt has lost its right to be looked at meanwhile. */
export type RefusalOf = (attempt: ConnectAttempt) => Refused | null;

export class UserList implements Authenticator {
  readonly name: string;
  private readonly passwords: Passwords;
  private readonly secret: Secret;
  private readonly refusalOf: RefusalOf;
  private users: Users = new Map();
  /** Of all users. An unknown one is checked against one of them. */
  private hashes: readonly PasswordHash[] = [];
  private scrams: ReadonlyMap<ScramMethod, readonly ScramCredential[]> = new Map();

  constructor(name: string, passwords: Passwords, secret: Secret, refusalOf: RefusalOf) {
    this.name = name;
    this.passwords = passwords;
    this.secret = secret;
    this.refusalOf = refusalOf;
  }

  get size(): number {
    return this.users.size;
  }

  /** From now on these are the users. */
  replace(users: Users): void {
    this.users = users;
    this.hashes = [...users.values()].flatMap(({ password }) => (password === null ? [] : [password]));
    const scrams = new Map<ScramMethod, ScramCredential[]>();
    for (const { scram } of users.values())
      for (const [method, credential] of scram) {
        const list = scrams.get(method);
        if (list === undefined) scrams.set(method, [credential]);
        else list.push(credential);
      }
    this.scrams = scrams;
    this.passwords.forget();
  }

  /** One of the SCRAM credentials that users have, `choose` saying which of how many. */
  someScram(method: ScramMethod, choose: (count: number) => number): ScramCredential | undefined {
    const all = this.scrams.get(method) ?? [];
    return all.length === 0 ? undefined : all[choose(all.length)];
  }

  credentials(userName: string): Credentials | undefined {
    return this.users.get(userName);
  }

  knows(userName: string): boolean {
    return this.users.has(userName);
  }

  judge(attempt: ConnectAttempt): Outcome | Promise<Outcome> {
    const { userName, password } = attempt;
    if (userName === undefined) return notMine("no User Name");
    const hash = this.users.get(userName)?.password;
    if (hash == null) return notMine(`no user ${shown(userName)}`, () => this.spend(attempt, userName));
    if (password === undefined) return wrong(`user ${shown(userName)} gave no password`);
    const checked = this.passwords.check(userName, hash, password, () => this.refusalOf(attempt));
    if (checked instanceof Promise) return checked.then((answer) => outcomeOf(answer, userName));
    return outcomeOf(checked, userName);
  }

  /** The work of a user that is known, always the same one for a name: names cannot be told by their time. */
  private async spend(attempt: ConnectAttempt, userName: string): Promise<void> {
    const { password } = attempt;
    if (password === undefined || this.hashes.length === 0) return;
    const hash = this.hashes[this.secret.choice(this.hashes.length, "decoy", userName)]!;
    await this.passwords.spend(hash, password, () => this.refusalOf(attempt));
  }
}

function outcomeOf(answer: Checked, userName: string): Outcome {
  if (answer === true) return granted(userName);
  if (answer === false) return wrong(`wrong password for user ${shown(userName)}`);
  if (answer === BUSY) return denied(errors.serverBusy, "too many logins wait for their hash");
  return denied(errors.banned, answer.reason);
}

export interface Table {
  readonly users: Users;
  /** How many passwords stand there in plain text. */
  readonly plain: number;
}

/**
 * The users of a configuration's table, user → password or hash; `placeOf` is how messages name a user's place in it.
 * Throws FileError for what was meant as a hash and is none.
 */
export function readTable(
  table: ReadonlyMap<string, string>,
  placeOf: (user: string) => string,
  secret: Secret,
): Table {
  const users = new Map<string, Credentials>();
  const problems: string[] = [];
  let plain = 0;
  for (const [user, text] of table) {
    let password = parsePasswordHash(text);
    if (password === null && looksLikeHash(text))
      problems.push(`${placeOf(user)}: user ${shown(user)} has a hash that cannot be read`);
    if (password === null) {
      plain++;
      password = { kind: "plain", digest: secret.digest(Buffer.from(text)), secret };
    }
    const scram = new Map(
      password.kind === "scram" ? [[password.credential.method, password.credential] as const] : [],
    );
    users.set(user, { password, scram });
  }
  if (problems.length > 0) throw new FileError(problems);
  return { users, plain };
}
