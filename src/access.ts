// Who may connect and what each may do, put together from the configuration: authenticators, rules, and the files of
// both, which are loaded at the start and whenever they change.

import { readFileSync } from "node:fs";
import type { AccessControl } from "./auth/accessControl.ts";
import { Acl } from "./auth/acl.ts";
import { parseAclFile, withAclFile } from "./auth/aclFile.ts";
import type { AclRule } from "./auth/aclRule.ts";
import {
  type AuthFile,
  type Authentication,
  type AuthListener,
  createAuthentication,
} from "./auth/create.ts";
import type { Authenticate } from "./auth/embedded.ts";
import { FileError } from "./auth/passwordFile.ts";
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/logger.ts";
import { unreadableText } from "./base/unreadable.ts";
import type { AuthorizationSettings } from "./config/aclSettings.ts";
import { asksNobody } from "./config/authSettings.ts";
import { fileProblem, type PlaceOf, placeOfKey } from "./config/filePlace.ts";
import type { FileWatch } from "./config/fileWatch.ts";
import type { Environment } from "./config/environment.ts";
import type { Found } from "./config/find.ts";
import { sectionPath } from "./config/listeners.ts";
import { type ReadConfig, tryConfig } from "./config/load.ts";
import { ConfigError } from "./config/problems.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { ListenerSettings } from "./net/settings.ts";

export interface BrokerAccess {
  readonly access: AccessControl;
  readonly authentication: Authentication;
  /**
   * Loads each file anew when it has changed; `changed` is called when what it says is in force. `placeOf` says where
   * the configuration in force names it.
   */
  watch(files: FileWatch, changed: () => void, placeOf?: PlaceOf): () => void;
  /** Other rules of the configuration are in force from now on; the file of rules stays the one that it is. */
  authorize(settings: AuthorizationSettings): void;
}

export interface AccessParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the program that the broker is part of. */
  readonly authenticate?: Authenticate | undefined;
}

/** Null when everybody may connect and do everything: nothing is asked then. Throws ConfigError for wrong files. */
export async function openAccess(settings: BrokerSettings, parts: AccessParts): Promise<BrokerAccess | null> {
  const { auth, authorization, listeners, placeOf } = settings;
  const isOpen = listeners.every((listener) => asksNobody(listener, auth) && !isTenantRuled(listener));
  if (isOpen && !hasRules(authorization) && parts.authenticate === undefined) return null;
  const rules = new Rules(authorization);
  const rightsOf: Parameters<typeof createAuthentication>[2]["rightsOf"] = (identity, attempt) => {
    const { userName, tenant, claims } = identity;
    const { clientIdentifier, listener } = attempt;
    return rules.acl.rightsOf({ userName, tenant, claims, clientIdentifier, listener });
  };
  const listenerOf = (listener: ListenerSettings): AuthListener => {
    const isFree = asksNobody(listener, auth) && parts.authenticate === undefined;
    const path = [...sectionPath(listener), "connections", "auth"];
    return {
      ...authListener(listener, listener.allowAnonymous ?? isFree),
      placeOfUser: (user) => placeOfKey(placeOf, [...path, user]),
    };
  };
  const problems: string[] = [];
  const authentication = await attempted(problems, () =>
    createAuthentication(auth, listeners.map(listenerOf), { ...parts, rightsOf }),
  );
  if (authentication === undefined) throw new ConfigError(problems);
  const all = [...authentication.files, ...rules.files];
  for (const file of all) problems.push(...(await load(file, placeOf)));
  if (problems.length > 0) throw new ConfigError(problems);
  const { logger } = parts;
  return {
    access: authentication.access,
    authentication,
    authorize: (settings) => rules.replace(settings),
    watch(files, changed, placeOf) {
      const ends = all.map((file) =>
        files.watch([file.path], () => {
          void reloaded(file, logger, placeOf).then((isLoaded) => {
            if (!isLoaded) return;
            authentication.forget();
            changed();
          });
        }),
      );
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, isEnabled: () => false };
const NO_CLOCK: Clock = { nowMs: () => 0, wallMs: () => 0 };

/**
 * As readConfig, and looks into the files of users and rules as well: always with `always`, else where files of TLS
 * alone stand in the way, so that all files are told of at once. Asks nobody over the network.
 */
export async function readWithFiles(
  found: Pick<Found, "text" | "file">,
  environment: Environment,
  always = false,
): Promise<ReadConfig> {
  const { read, problems, isOfFiles } = tryConfig(found, environment);
  const others = isOfFiles && (always || problems.length > 0) ? await accessProblems(read.settings) : [];
  if (problems.length + others.length > 0) throw new ConfigError([...problems, ...others]);
  return read;
}

async function accessProblems(settings: BrokerSettings): Promise<readonly string[]> {
  try {
    await openAccess(settings, { clock: NO_CLOCK, logger: SILENT });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export function hasRules({ rules, otherwise, aclFile }: AuthorizationSettings): boolean {
  return rules.length > 0 || aclFile !== null || Object.values(otherwise).includes(false);
}

function isTenantRuled({ transport }: ListenerSettings): boolean {
  return transport.tls?.isTenantRuled ?? false;
}

function authListener(listener: ListenerSettings, allowAnonymous: boolean): AuthListener {
  const { section, users, authChain, transport } = listener;
  const { tls, trustedProxies } = transport;
  // A trusted proxy may tell of the certificate that it has verified.
  const mayShow = trustedProxies !== null || (tls !== null && tls.clientCertificate !== "none");
  return {
    section,
    users,
    authChain,
    allowAnonymous,
    identity: mayShow ? (tls?.identity ?? "cn") : null,
    tenantFromOrganization: isTenantRuled(listener),
  };
}

/** The rules in force: those of the configuration, and behind them those of the file that it names. */
class Rules {
  readonly acl: Acl;
  readonly files: readonly AuthFile[];
  private settings: AuthorizationSettings;
  private fromFile: readonly AclRule[] | null = null;

  constructor(settings: AuthorizationSettings) {
    this.settings = settings;
    this.acl = new Acl(settings);
    const { aclFile: path } = settings;
    this.files = path === null ? [] : [this.fileAt(path)];
  }

  private fileAt(path: string): AuthFile {
    return {
      path,
      key: ["authorization", "acl_file"],
      what: "the file of rules",
      advice: "make it, or leave the key out",
      load: async (text) => {
        this.fromFile = parseAclFile(text, path);
        this.replace(this.settings);
      },
    };
  }

  replace(settings: AuthorizationSettings): void {
    this.settings = settings;
    const { fromFile } = this;
    const { wideSubscriptions } = settings;
    this.acl.replace(fromFile === null ? settings : withAclFile(settings, fromFile, wideSubscriptions));
  }
}

/** What is wrong with the file; nothing when it is in force now. */
async function load(
  file: AuthFile,
  placeOf: PlaceOf | undefined,
  isAgain = false,
): Promise<readonly string[]> {
  const told = (problem: string): string => fileProblem(placeOf, file.key, file.path, problem);
  try {
    const text = readFileSync(file.path, "utf8");
    if (isAgain && text === "") return [told("it is empty, as while it is being written")];
    await file.load(text);
    return [];
  } catch (error) {
    return problemsOf(error, file).map(told);
  }
}

/** Says what became of the file; what was loaded before stays when it is not good. */
async function reloaded(file: AuthFile, logger: Logger, placeOf: PlaceOf | undefined): Promise<boolean> {
  const problems = await load(file, placeOf, true);
  const { path, what } = file;
  if (problems.length === 0) logger.info({ path }, `${what} is loaded anew: ${path}`);
  for (const problem of problems)
    logger.error({ path }, `${what} is not taken, what was loaded before stays: ${problem}`);
  return problems.length === 0;
}

async function attempted<T>(problems: string[], make: () => Promise<T>): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

function problemsOf(error: unknown, { path, advice }: AuthFile): readonly string[] {
  if (error instanceof FileError) return error.problems;
  const text = unreadableText(error, path);
  if (text === undefined) throw error;
  return [(error as { code?: unknown }).code === "ENOENT" ? `${text}; ${advice}` : text];
}
