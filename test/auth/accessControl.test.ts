// The chain of authenticators as a listener sees it: who decides, what it costs, what is said and what is not.

import { describe, expect, test } from "bun:test";
import { type AuthListener, type AuthParts, createAuthentication } from "../../src/auth/create.ts";
import { FileError } from "../../src/auth/passwordFile.ts";
import { hashPassword } from "../../src/auth/passwordHash.ts";
import { HASHES_RUNNING_MAX, HASHES_WAITING_MAX } from "../../src/auth/passwords.ts";
import type { ConnectAttempt, Grant, PeerCertificate, Step, Verdict } from "../../src/net/access.ts";
import { type AuthSettings, NO_AUTH } from "../../src/net/authSettings.ts";
import { errors } from "../../src/packet/error.ts";
import type { Rights } from "../../src/session/rights.ts";
import { attemptOf } from "../support/attempt.ts";
import { manualClock } from "../support/clock.ts";
import { recorder } from "../support/recorder.ts";
import { ScramClient } from "../support/scramClient.ts";

const LISTENER: AuthListener = {
  section: "v4.1",
  users: null,
  authChain: null,
  allowAnonymous: null,
  identity: null,
  tenantFromOrganization: false,
};

const YES = (): boolean => true;
const RIGHTS: Rights = { mayPublish: YES, maySubscribe: YES, mayReceive: YES, receiveRule: () => null };
const ITERATIONS = 500;

interface Given {
  readonly settings?: Partial<AuthSettings>;
  readonly listener?: Partial<AuthListener>;
  readonly parts?: Partial<AuthParts>;
  /** Of the password file. */
  readonly lines?: readonly string[];
}

async function made({ settings = {}, listener = {}, parts = {}, lines }: Given) {
  const clock = manualClock();
  const logger = recorder();
  const authentication = await createAuthentication(
    { ...NO_AUTH, ...(lines === undefined ? {} : { file: "users" }), ...settings },
    [{ ...LISTENER, ...listener }],
    { clock, logger, rightsOf: () => null, ...parts },
  );
  for (const file of authentication.files) await file.load((lines ?? []).join("\n"));
  const judge = async (attempt: Parameters<typeof attemptOf>[0] = {}): Promise<Verdict> =>
    await authentication.access.judge(attemptOf(attempt));
  return { ...authentication, clock, logger, judge };
}

/** "alice", "anonymous", or the reason code. */
function short(verdict: Verdict | Step): string {
  if (verdict.granted === "continue") return "continue";
  if (verdict.granted) return verdict.userName === "" ? "anonymous" : verdict.userName;
  return verdict.error.reason.toString(16);
}

const line = async (user: string, password: string): Promise<string> =>
  `${user}:${await hashPassword("pbkdf2-sha512", password, ITERATIONS)}`;

const CERTIFICATE: PeerCertificate = {
  commonName: "device-1",
  organization: "acme",
  alternativeNames: ["device-1.example.org", "10.0.0.1"],
  fingerprint: "00",
};

describe("anonymous clients", () => {
  test("come in where nobody is asked, whatever they claim; nobody has proved anything", async () => {
    const { judge } = await made({});
    expect(short(await judge())).toBe("anonymous");
    expect(short(await judge({ userName: "alice", password: "x" }))).toBe("anonymous");
  });

  test("stay outside where somebody is asked, unless the listener says so", async () => {
    const users = new Map([["alice", "secret"]]);
    const closed = await made({ listener: { users } });
    expect(short(await closed.judge())).toBe("87");
    expect(await closed.judge()).toMatchObject({ reason: expect.stringContaining("table: no User Name") });
    const open = await made({ listener: { users, allowAnonymous: true } });
    expect(short(await open.judge())).toBe("anonymous");
    expect(short(await open.judge({ userName: "alice", password: "secret" }))).toBe("alice");
    expect(short(await open.judge({ userName: "alice", password: "wrong" }))).toBe("86");
    expect(short(await open.judge({ userName: "eve" }))).toBe("86");
    expect(short(await open.judge({ password: "token" }))).toBe("86");
  });

  test("stay outside where the chain is empty by will, or allow_anonymous is false", async () => {
    expect(short(await (await made({ listener: { authChain: [] } })).judge())).toBe("87");
    expect(short(await (await made({ settings: { chain: ["function"] } })).judge())).toBe("87");
    const closed = await made({ listener: { allowAnonymous: false } });
    expect(short(await closed.judge())).toBe("87");
    expect(short(await closed.judge({ userName: "a", password: "b" }))).toBe("86");
  });
});

describe("the table of a listener", () => {
  test("takes plain passwords with a warning, and hashes without", async () => {
    const hash = (await hashPassword("argon2id", "hashed")) ?? "";
    const users = new Map([
      ["plain", "sëcret"],
      ["hashed", hash],
      ["dollar", "$6"],
    ]);
    const { judge, logger } = await made({ listener: { users } });
    expect(logger.records).toHaveLength(1);
    expect(logger.records[0]).toMatchObject({ level: "warn", fields: { listener: "v4.1", users: 2 } });
    expect(logger.text()).not.toContain("sëcret");
    expect(short(await judge({ userName: "plain", password: "sëcret" }))).toBe("plain");
    expect(short(await judge({ userName: "hashed", password: "hashed" }))).toBe("hashed");
    expect(short(await judge({ userName: "dollar", password: "$6" }))).toBe("dollar");
    for (const password of [hash, "", "sëcret "])
      expect(short(await judge({ userName: "hashed", password }))).toBe("86");
    expect(short(await judge({ userName: "plain" }))).toBe("86");
    const onlyHashes = await made({ listener: { users: new Map([["hashed", hash]]) } });
    expect(onlyHashes.logger.records).toEqual([]);
  });

  test("with a broken hash is refused, and the hash is not shown", async () => {
    const users = new Map([["bob", "$6$broken$hunter2"]]);
    await expect(made({ listener: { users } })).rejects.toThrow(FileError);
    await expect(made({ listener: { users } })).rejects.toThrow(
      '[v4.1.connections] auth: user "bob" has a hash that cannot be read',
    );
  });
});

describe("a chain", () => {
  test("goes on until somebody knows the user, and a wrong password ends it", async () => {
    const lines = [await line("bob", "two"), await line("both", "file")];
    const users = new Map([
      ["alice", "one"],
      ["both", "table"],
    ]);
    const { judge } = await made({ listener: { users }, lines });
    expect(short(await judge({ userName: "alice", password: "one" }))).toBe("alice");
    expect(short(await judge({ userName: "bob", password: "two" }))).toBe("bob");
    expect(short(await judge({ userName: "both", password: "table" }))).toBe("both");
    expect(short(await judge({ userName: "both", password: "file" }))).toBe("86");
    const other = await made({ listener: { users, authChain: ["file", "table"] }, lines });
    expect(short(await other.judge({ userName: "both", password: "file" }))).toBe("both");
    const one = await made({ listener: { users, authChain: ["table"] }, lines });
    expect(short(await one.judge({ userName: "bob", password: "two" }))).toBe("86");
  });

  test("says who refused and why, and never a password", async () => {
    const lines = [await line("bob", "two")];
    const { judge, logger } = await made({ listener: { users: new Map([["alice", "one"]]) }, lines });
    const reasons: string[] = [];
    for (const [userName, password] of [
      ["alice", "hunter2"],
      ["bob", "hunter2"],
      ["e\nve".padEnd(300, "x"), "hunter2"],
    ] as const) {
      const verdict = await judge({ userName, password });
      if (!verdict.granted) reasons.push(verdict.reason);
    }
    expect(reasons[0]).toBe('table: wrong password for user "alice"');
    expect(reasons[1]).toBe('file: wrong password for user "bob"');
    expect(reasons[2]).toMatch(
      /^table: no user "e\\nvex{60}…"; file: no user "e\\nvex{60}…"$|no Authentication/,
    );
    await judge({ userName: "bob", password: "two" });
    expect(logger.records.at(-1)).toMatchObject({
      level: "debug",
      fields: { username: "bob", authenticator: "file" },
      message: 'let in as user "bob" by file',
    });
    expect(logger.text() + reasons.join()).not.toContain("hunter2");
  });
});

describe("hashes", () => {
  test("cost an unknown user what they cost a known one, and are computed once for a right password", async () => {
    const lines = [await line("alice", "right"), await line("bob", "right")];
    const { judge, passwords, clock } = await made({ lines });
    const cost = async (userName: string, password: string): Promise<number> => {
      const before = passwords.hashed;
      await judge({ userName, password });
      return passwords.hashed - before;
    };
    expect(await cost("alice", "wrong")).toBe(1);
    expect(await cost("nobody", "wrong")).toBe(1);
    expect(await cost("alice", "right")).toBe(1);
    expect(await cost("alice", "right")).toBe(0);
    expect(passwords.remembered).toBe(1);
    expect(await cost("alice", "wrong")).toBe(1);
    expect(await cost("bob", "right")).toBe(1);
    clock.pass(300_001);
    expect(await cost("alice", "right")).toBe(1);
  });

  test("of a new file hold at once", async () => {
    const { judge, files } = await made({ lines: [await line("alice", "old")] });
    expect(short(await judge({ userName: "alice", password: "old" }))).toBe("alice");
    await files[0]?.load(await line("alice", "new"));
    expect(short(await judge({ userName: "alice", password: "old" }))).toBe("86");
    expect(short(await judge({ userName: "alice", password: "new" }))).toBe("alice");
    await expect(files[0]?.load("alice:plain")).rejects.toThrow("plain text");
    expect(short(await judge({ userName: "alice", password: "new" }))).toBe("alice");
  });

  test("are computed a few at a time; who comes beyond the line is told that the server is busy", async () => {
    const { judge, passwords, access } = await made({
      lines: [await line("alice", "right")],
      settings: { limits: { ...NO_AUTH.limits, failuresPerAddress: 0, failuresPerUser: 0 } },
    });
    const count = HASHES_RUNNING_MAX + HASHES_WAITING_MAX + 100;
    const verdicts = await Promise.all(
      Array.from({ length: count }, (_, index) => judge({ userName: "alice", password: `wrong${index}` })),
    );
    expect(verdicts.filter((verdict) => short(verdict) === "89")).toHaveLength(100);
    expect(passwords.hashed).toBe(count - 100);
    expect(passwords.gate.turnedAway).toBe(100);
    expect(access.attempts.counts.failed).toBe(count - 100);
  });

  test("are not computed for a banned address, not even for those in line", async () => {
    const { judge, passwords, access, logger } = await made({ lines: [await line("alice", "right")] });
    const verdicts = await Promise.all(
      Array.from({ length: 200 }, (_, index) => judge({ userName: "alice", password: `wrong${index}` })),
    );
    const { failuresPerAddress } = NO_AUTH.limits;
    expect(passwords.hashed).toBeLessThanOrEqual(failuresPerAddress + HASHES_RUNNING_MAX);
    expect(verdicts.filter((verdict) => short(verdict) === "8a").length).toBeGreaterThan(150);
    expect(short(await judge({ userName: "alice", password: "right" }))).toBe("8a");
    expect(short(await judge({ userName: "alice", password: "right", remoteAddress: "192.0.2.9" }))).toBe(
      "alice",
    );
    expect(access.attempts.counts.bans).toBe(1);
    expect(logger.records.filter(({ level }) => level === "warn")).toHaveLength(1);
  });
});

describe("client certificates", () => {
  const rows = [
    ["cn", "device-1"],
    ["o", "acme"],
    ["san", "device-1.example.org"],
  ] as const;
  test.each(rows)("prove the name that the listener takes from them: %s", async (identity, name) => {
    const { judge } = await made({ listener: { identity } });
    for (const userName of [undefined, "", name])
      expect(short(await judge({ certificate: CERTIFICATE, userName }))).toBe(name);
    // Nobody looks at passwords here: what is claimed makes no difference.
    expect(short(await judge({ certificate: CERTIFICATE, userName: "root", password: "x" }))).toBe(name);
    expect(short(await judge())).toBe("87");
    expect(short(await judge({ userName: name, password: "x" }))).toBe("86");
  });

  test("without a usable name prove nothing", async () => {
    const { judge } = await made({ listener: { identity: "cn" } });
    for (const commonName of ["", "a\u0000b", "x".repeat(300)])
      expect(short(await judge({ certificate: { ...CERTIFICATE, commonName } }))).toBe("87");
  });

  test("leave the decision to passwords where the client says another name", async () => {
    const { judge } = await made({ listener: { identity: "cn", users: new Map([["alice", "one"]]) } });
    expect(short(await judge({ certificate: CERTIFICATE, userName: "alice", password: "one" }))).toBe(
      "alice",
    );
    expect(short(await judge({ certificate: CERTIFICATE, userName: "alice", password: "two" }))).toBe("86");
  });

  test("confine to the tenant that O names, whoever let the client in; without one it stays outside", async () => {
    const { judge } = await made({
      listener: { identity: "cn", tenantFromOrganization: true, users: new Map([["alice", "one"]]) },
    });
    expect(await judge({ certificate: CERTIFICATE })).toMatchObject({ granted: true, tenant: "acme" });
    const alice = { certificate: CERTIFICATE, userName: "alice", password: "one" };
    expect(await judge(alice)).toMatchObject({ userName: "alice", tenant: "acme" });
    for (const organization of ["", "a/b", "+", "#", "x\n"])
      expect(short(await judge({ certificate: { ...CERTIFICATE, organization } }))).toBe("87");
    expect(short(await judge({ userName: "alice", password: "one" }))).toBe("87");
  });
});

describe("a function of the embedding program", () => {
  const grant: Grant = {
    granted: true,
    userName: "fun",
    tenant: null,
    claims: { a: "b" },
    rights: RIGHTS,
    expiresWallMs: 5,
  };

  test("decides before all others, with rights of its own, or leaves it to them", async () => {
    const authenticate = (attempt: ConnectAttempt): Verdict | null =>
      attempt.userName === "fun" ? grant : null;
    const { judge } = await made({
      parts: { authenticate },
      listener: { users: new Map([["alice", "one"]]) },
    });
    expect(await judge({ userName: "fun" })).toEqual(grant);
    expect(short(await judge({ userName: "alice", password: "one" }))).toBe("alice");
    expect(short(await judge({ userName: "bob", password: "one" }))).toBe("86");
    expect(short(await judge())).toBe("87");
  });

  test("that throws or rejects lets nobody in, and takes nobody with it", async () => {
    const failures = [
      () => {
        throw new Error("database is away");
      },
      () => Promise.reject(new Error("database is away")),
    ];
    for (const authenticate of failures) {
      const { judge } = await made({ parts: { authenticate } });
      const verdict = await judge({ userName: "alice", password: "one" });
      expect(verdict).toMatchObject({
        granted: false,
        error: errors.serverUnavailable,
        reason: 'function: failed with "Error: database is away"',
      });
    }
  });

  test("counts as a failed attempt when it says that the password is wrong", async () => {
    const denial = { granted: false, error: errors.badUserNameOrPassword, reason: "no" } as const;
    const { judge, access } = await made({ parts: { authenticate: async () => denial } });
    for (let i = 0; i < 10; i++) expect(short(await judge({ userName: "a", password: `${i}` }))).toBe("86");
    expect(short(await judge({ userName: "a", password: "x" }))).toBe("8a");
    expect(access.attempts.counts).toMatchObject({ failed: 10, bans: 1, refused: 1 });
  });
});

describe("enhanced authentication", () => {
  async function exchanged(parts: Awaited<ReturnType<typeof made>>, password: string): Promise<Step> {
    const exchange = parts.access.exchange("SCRAM-SHA-256", attemptOf());
    if (exchange === null) throw new Error("no such method");
    const client = new ScramClient("SCRAM-SHA-256", "alice", password);
    const first = await exchange.next(Buffer.from(client.first));
    if (first.granted !== "continue") return first;
    const last = await exchange.next(Buffer.from(client.final(Buffer.from(first.data).toString())));
    if (last.granted === true) expect(client.accepts(Buffer.from(last.data ?? []).toString())).toBe(true);
    return last;
  }
  const scramLine = async (): Promise<string> =>
    `alice:${await hashPassword("scram-sha-256", "right", 4096)}`;

  test("by SCRAM is there wherever users are, and counts failed attempts", async () => {
    const parts = await made({ lines: [await scramLine()], parts: { rightsOf: () => RIGHTS } });
    expect(await exchanged(parts, "right")).toMatchObject({
      granted: true,
      userName: "alice",
      rights: RIGHTS,
    });
    for (let i = 0; i < 10; i++) expect(short(await exchanged(parts, "wrong"))).toBe("86");
    // From here alice is trusted; a stranger is not.
    expect(short(await exchanged(parts, "right"))).toBe("alice");
    expect(short(await parts.judge({ userName: "eve", password: "x" }))).toBe("8a");
    expect(parts.access.attempts.counts.failed).toBe(10);
    expect(parts.access.exchange("PLAIN", attemptOf())).toBeNull();
  });

  test("is not there without users, or where the chain leaves it out", async () => {
    expect((await made({})).access.exchange("SCRAM-SHA-256", attemptOf())).toBeNull();
    const without = await made({ lines: [await scramLine()], listener: { authChain: ["file"] } });
    expect(without.access.exchange("SCRAM-SHA-256", attemptOf())).toBeNull();
  });
});

describe("when users or rules have changed", () => {
  test("who is still known keeps its grant with new rights, who is not is denied", async () => {
    let rights: Rights | null = null;
    const lines = [await line("alice", "a"), await line("bob", "b")];
    const { judge, files, access } = await made({ lines, parts: { rightsOf: () => rights } });
    const alice = await judge({ userName: "alice", password: "a" });
    const bob = await judge({ userName: "bob", password: "b" });
    if (!alice.granted || !bob.granted) throw new Error("not granted");
    await files[0]?.load(await line("alice", "another"));
    rights = RIGHTS;
    const revised = access.revise(alice, attemptOf({ userName: "alice" }));
    expect(revised).toEqual({ ...alice, rights: RIGHTS });
    expect(access.revise(bob, attemptOf({ userName: "bob" }))).toMatchObject({
      granted: false,
      error: errors.notAuthorized,
      reason: 'file: no user "bob" any more',
    });
    // A revised grant can be revised again.
    await files[0]?.load("");
    expect(access.revise(revised as Grant, attemptOf({ userName: "alice" })).granted).toBe(false);
  });
});

describe("a configuration that was read anew", () => {
  const tenant: Partial<AuthListener> = { identity: "cn", tenantFromOrganization: true };

  test("judges whom an earlier one let in by whoever bears the name now", async () => {
    const before = await made({ listener: { users: new Map([["alice", "a"]]) } });
    const attempt = attemptOf({ userName: "alice", password: "a" });
    const grant = (await before.access.judge(attempt)) as Grant;
    const revised = async (listener: Partial<AuthListener>): Promise<string> =>
      short((await made({ listener })).access.revise(grant, attempt));
    expect(await revised({ users: new Map([["alice", "b"]]) })).toBe("alice");
    expect(await revised({ users: new Map([["bob", "b"]]) })).toBe("87");
    expect(await revised({})).toBe("87");
    expect(await revised({ section: "v4.2" })).toBe("alice");
  });

  test("leaves a tenant's client within its topics, also where its listener is gone", async () => {
    const asked: (string | null)[] = [];
    const rightsOf: AuthParts["rightsOf"] = (identity) => {
      asked.push(identity.tenant);
      return RIGHTS;
    };
    const attempt = attemptOf({ certificate: CERTIFICATE });
    const first = await made({ listener: tenant, parts: { rightsOf } });
    const grant = (await first.access.judge(attempt)) as Grant;
    for (const listener of [tenant, { section: "v4.2" }]) {
      const later = await made({ listener, parts: { rightsOf } });
      expect(later.access.revise(grant, attempt)).toMatchObject({ tenant: "acme", rights: RIGHTS });
    }
    expect(asked).toEqual(["acme", "acme", "acme"]);
  });
});
