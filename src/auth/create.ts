// From settings to an access control: the authenticators that are configured, the chain of every listener, and the
// files that are read, now and whenever they change.

import type { Clock } from "../base/clock.ts";
import { type Logger, subjectFields } from "../base/logger.ts";
import type { AuthenticatorName, AuthSettings } from "../net/authSettings.ts";
import { AUTHENTICATOR_NAMES } from "../net/authSettings.ts";
import type { CertificateIdentity } from "../net/transport.ts";
import { AccessControl, type ListenerAccess, type RightsOf } from "./accessControl.ts";
import { Attempts } from "./attempts.ts";
import type { Authenticator } from "./authenticator.ts";
import { shown } from "./authenticator.ts";
import { CertificateAuthenticator } from "./certificate.ts";
import { type Authenticate, EmbeddedAuthenticator } from "./embedded.ts";
import { HttpAuthenticator } from "./http.ts";
import { parsePasswordFile } from "./passwordFile.ts";
import { Passwords } from "./passwords.ts";
import { ScramAuthenticator } from "./scramAuthenticator.ts";
import { Secret } from "./secret.ts";
import { readTable, UserList } from "./userList.ts";

/** What is to be known of a listener. */
export interface AuthListener {
  readonly section: string;
  /** User Name → password or hash; null where there is no table. */
  readonly users: ReadonlyMap<string, string> | null;
  /** Null: the broker's. */
  readonly authChain: readonly AuthenticatorName[] | null;
  /** Null: only where nobody can log in otherwise. */
  readonly allowAnonymous: boolean | null;
  /** Where clients may show certificates: what of one is a user's name. */
  readonly identity: CertificateIdentity | null;
  readonly tenantFromOrganization: boolean;
  /** How messages name a user's place in the table; by the section alone unless given. */
  readonly placeOfUser?: (user: string) => string;
}

/** A file that is read at the start and again when it changes. */
export interface AuthFile {
  readonly path: string;
  /** The key of the configuration that names it. */
  readonly key: readonly string[];
  /** What to do where there is none. */
  readonly advice: string;
  /** For messages: "the password file". */
  readonly what: string;
  /** Takes the text of the file. Rejects with FileError when it is not good, and then nothing changes. */
  load(text: string): Promise<void>;
}

export interface Authentication {
  readonly access: AccessControl;
  readonly files: readonly AuthFile[];
  readonly passwords: Passwords;
  /** Forgets every answer that was remembered: a reload was asked for. */
  forget(): void;
  stats(): AuthStats;
}

/** Counts since the start, and what is now. */
export interface AuthStats {
  readonly granted: number;
  readonly denied: number;
  /** Wrong secrets. */
  readonly failedAttempts: number;
  /** Attempts that were not looked at: banned addresses, guarded users. */
  readonly refusedAttempts: number;
  readonly bans: number;
  readonly bannedAddresses: number;
  /** Hashes that were computed, right passwords that needed none, and logins that found the line full. */
  readonly hashes: number;
  readonly rememberedPasswords: number;
  readonly busy: number;
  /** Logins in line for a hash. */
  readonly waiting: number;
}

export interface AuthParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rightsOf: RightsOf;
  readonly authenticate?: Authenticate | undefined;
}

/** Rejects with FileError for a wrong table. The files are yet to be loaded: until then they know nobody. */
export async function createAuthentication(
  settings: AuthSettings,
  listeners: readonly AuthListener[],
  parts: AuthParts,
): Promise<Authentication> {
  const { clock, logger } = parts;
  const secret = new Secret();
  const attempts = new Attempts(settings.limits, clock, attemptsLog(logger));
  const passwords = new Passwords(clock, secret, settings.verifiedMs);
  const refusalOf: ConstructorParameters<typeof UserList>[3] = ({ remoteAddress, userName }) =>
    attempts.refusal(remoteAddress, userName);
  const newList = (name: string): UserList => new UserList(name, passwords, secret, refusalOf);

  const files: AuthFile[] = [];
  const shared = new Map<AuthenticatorName, Authenticator>();
  const fileList = settings.file === null ? null : newList("file");
  if (settings.file !== null && fileList !== null) {
    const path = settings.file;
    const load = async (text: string): Promise<void> => fileList.replace(parsePasswordFile(text, path));
    const advice = `make it with \`millrace passwd -c ${path} USER\``;
    files.push({ path, key: ["auth", "file", "path"], what: "the password file", advice, load });
    shared.set("file", fileList);
  }
  if (settings.jwt !== null) {
    // Whoever uses no tokens need not load what reads them.
    const { createJwt } = await import("./createJwt.ts");
    const jwt = createJwt(settings.jwt, parts);
    files.push(...jwt.files);
    shared.set("jwt", jwt.authenticator);
  }
  const http = settings.http === null ? null : new HttpAuthenticator(settings.http, clock, secret, refusalOf);
  if (http !== null) {
    files.push(...http.authorities.files);
    shared.set("http", http);
  }
  if (parts.authenticate !== undefined) shared.set("function", new EmbeddedAuthenticator(parts.authenticate));
  const access = new Map<string, ListenerAccess>();
  for (const listener of listeners) {
    const own = new Map(shared);
    const table = tableOf(listener, newList, secret, logger);
    if (table !== null) own.set("table", table);
    const lists = [table, fileList].filter((list) => list !== null);
    if (lists.length > 0) own.set("scram", new ScramAuthenticator(lists, secret));
    const names = listener.authChain ?? settings.chain;
    if (listener.identity !== null) {
      const isAlone = chainOf(names, own).length === 0;
      own.set("certificate", new CertificateAuthenticator(listener.identity, isAlone));
    }
    const chain = chainOf(names, own);
    const { tenantFromOrganization } = listener;
    const allowAnonymous = listener.allowAnonymous ?? (chain.length === 0 && names === null);
    access.set(listener.section, { chain, allowAnonymous, tenantFromOrganization });
  }
  const control = new AccessControl(access, attempts, parts.rightsOf, logger);
  return {
    access: control,
    files,
    passwords,
    stats: () => ({
      ...control.counts,
      failedAttempts: attempts.counts.failed,
      refusedAttempts: attempts.counts.refused,
      bans: attempts.counts.bans,
      bannedAddresses: attempts.bannedAddresses,
      hashes: passwords.hashed,
      rememberedPasswords: passwords.remembered,
      busy: passwords.gate.turnedAway,
      waiting: passwords.gate.waiting,
    }),
    forget() {
      passwords.forget();
      http?.forget();
    },
  };
}

/** Those of `names` that are there. An embedded function that no list names is asked first. */
function chainOf(
  names: readonly AuthenticatorName[] | null,
  own: ReadonlyMap<AuthenticatorName, Authenticator>,
): Authenticator[] {
  const order = names ?? AUTHENTICATOR_NAMES;
  const isNamed = order.includes("function") && names !== null;
  const all: readonly AuthenticatorName[] = isNamed
    ? order
    : ["function", ...order.filter((name) => name !== "function")];
  return all.map((name) => own.get(name)).filter((authenticator) => authenticator !== undefined);
}

function tableOf(
  { section, users, placeOfUser }: AuthListener,
  newList: (name: string) => UserList,
  secret: Secret,
  logger: Logger,
): UserList | null {
  if (users === null) return null;
  const where = `[${section}.connections] auth`;
  const table = readTable(users, placeOfUser ?? (() => where), secret);
  if (table.plain > 0) {
    const advice = "a hash, as `millrace passwd` writes it, does as well";
    const text = `${table.plain} passwords stand in plain text in the configuration; ${advice}`;
    logger.warn({ listener: section, users: table.plain }, `${where}: ${text}`);
  }
  const list = newList("table");
  list.replace(table.users);
  return list;
}

function attemptsLog(logger: Logger): ConstructorParameters<typeof Attempts>[2] {
  return {
    addressBanned(address, failures, seconds, by) {
      logger.warn(
        { ...(by === null ? { remote: address } : subjectFields(by)), failures, seconds },
        `${address} is banned for ${seconds} s: failed attempts`,
      );
    },
    userGuarded(userName, failures, by) {
      const text =
        "is being guessed at: until it ends the user can log in only from where it has logged in before";
      const who = by === null ? { username: userName.slice(0, 64) } : subjectFields({ ...by, userName });
      logger.warn({ ...who, failures }, `user ${shown(userName)} ${text}`);
    },
  };
}
