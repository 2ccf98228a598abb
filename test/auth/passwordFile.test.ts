// Password files: the lines of mosquitto's own tool, of Bun.password and of this one; what is refused, and the edits.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  FileError,
  isFileUserName,
  parsePasswordFile,
  type Users,
  withoutUser,
  withUser,
} from "../../src/auth/passwordFile.ts";
import { HASH_NAMES, hashPassword, matches, parsePasswordHash } from "../../src/auth/passwordHash.ts";

/** Made by mosquitto_passwd 2.0.11: default, -H sha512, -I 1000. */
const MOSQUITTO = [
  "alice:$7$101$aQqWZlWJUgBM2etX$d9flOHccUgvGUXynnNw0yhGZzhovh8IfZMUrfuaJvsljhhc4kTg0UkT19pFYSZLAaCmdCYM9cD1PkMBsedYWuQ==",
  "bob:$6$c69i4f3/FiTh/fIS$rBXY5seBEbzFTp8F4huAm1cpPI3icBmeAlmoNlJbZA9JWmcNxrMN0JPKNFGWVrtiBA9FpWf6kiGe7QFffb8ndA==",
  "carl:$7$1000$ovojxn62RJRDdQoK$xKjstPv1GdJKl5FebqrtMlbjaRghbUbiEsCYMojjO/ZpKaDqMGwr+hqwUa6fHogX7sQWj1TAd11SKeZHYj4q7w==",
];

function problems(text: string): readonly string[] {
  try {
    parsePasswordFile(text, "users");
  } catch (error) {
    if (error instanceof FileError) return error.problems;
    throw error;
  }
  return [];
}

async function isPassword(users: Users, user: string, password: string): Promise<boolean> {
  const hash = users.get(user)?.password;
  return hash != null && (await matches(hash, Buffer.from(password)));
}

describe("mosquitto's formats", () => {
  test("lines of mosquitto_passwd 2.0.11", async () => {
    const users = parsePasswordFile(`# users\n\n${MOSQUITTO.join("\r\n")}\r\n`, "users");
    expect([...users.keys()]).toEqual(["alice", "bob", "carl"]);
    for (const [user, password] of [
      ["alice", "secret"],
      ["bob", "secret2"],
      ["carl", "x"],
    ] as const) {
      expect(await isPassword(users, user, password)).toBe(true);
      for (const wrong of ["", `${password} `, password.toUpperCase(), password.slice(0, -1)])
        expect(await isPassword(users, user, wrong)).toBe(false);
    }
  });

  const tool = Bun.which("mosquitto_passwd");
  test.skipIf(tool === null)("files that mosquitto_passwd makes here", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-passwd-"));
    try {
      const file = join(folder, "users");
      const make = (...args: string[]): void => {
        const { exitCode, stderr } = Bun.spawnSync([tool ?? "", ...args], { stderr: "pipe" });
        expect([exitCode, stderr.toString()]).toEqual([0, expect.any(String)]);
      };
      make("-c", "-b", file, "default", "pässword");
      make("-H", "sha512", "-b", file, "old", "with:colon and space");
      make("-H", "sha512-pbkdf2", "-b", file, "new", "$6$looks$like");
      const users = parsePasswordFile(readFileSync(file, "utf8"), file);
      expect(await isPassword(users, "default", "pässword")).toBe(true);
      expect(await isPassword(users, "old", "with:colon and space")).toBe(true);
      expect(await isPassword(users, "new", "$6$looks$like")).toBe(true);
      expect(await isPassword(users, "new", "pässword")).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const broker = ["mosquitto", "/usr/sbin/mosquitto"].map((name) => Bun.which(name)).find((path) => path);
  const publisher = Bun.which("mosquitto_pub");
  test.skipIf(!broker || publisher === null)("mosquitto itself reads ours", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-passwd-"));
    const file = join(folder, "users");
    const lines = [
      `a:${await hashPassword("sha512", "one")}`,
      `b:${await hashPassword("pbkdf2-sha512", "two", 1000)}`,
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const socket = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = socket;
    socket.stop(true);
    writeFileSync(
      join(folder, "conf"),
      `listener ${port} 127.0.0.1\npassword_file ${file}\nuser root\nallow_anonymous false\n`,
    );
    const child = Bun.spawn([broker ?? "", "-c", join(folder, "conf"), "-v"], {
      stderr: "pipe",
      stdout: "ignore",
    });
    try {
      let said = "";
      for await (const chunk of child.stderr) {
        said += Buffer.from(chunk).toString();
        if (said.includes(" running")) break;
      }
      const login = (user: string, password: string): number => {
        const args = ["-h", "127.0.0.1", "-p", `${port}`, "-u", user, "-P", password, "-t", "t", "-n"];
        return Bun.spawnSync([publisher ?? "", ...args], { stderr: "ignore" }).exitCode;
      };
      expect([login("a", "one"), login("b", "two")]).toEqual([0, 0]);
      expect(login("a", "two")).not.toBe(0);
      expect(login("b", "one")).not.toBe(0);
    } finally {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true });
    }
  });
});

describe("every form of hash", () => {
  test.each(HASH_NAMES.map((name) => [name] as const))("%s", async (name) => {
    const text = await hashPassword(name, "pässword", 4096);
    const hash = parsePasswordHash(text ?? "");
    if (hash === null) throw new Error(`${text} cannot be read`);
    expect(await matches(hash, Buffer.from("pässword"))).toBe(true);
    expect(await matches(hash, Buffer.from("password"))).toBe(false);
    expect(await matches(hash, new Uint8Array(0))).toBe(false);
    expect(await hashPassword(name, "pässword", 4096)).not.toBe(text);
  });

  test("bcrypt of other programs", async () => {
    const text = (await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })).slice(4);
    for (const prefix of ["$2a$", "$2b$", "$2y$"]) {
      const hash = parsePasswordHash(prefix + text);
      expect(hash !== null && (await matches(hash, Buffer.from("secret")))).toBe(true);
    }
  });
});

describe("files that are refused", () => {
  const [alice = ""] = MOSQUITTO;
  const rows: readonly (readonly [string, string, string])[] = [
    ["a plain password", "bob:hunter2", 'users:1: user "bob" has a password in plain text'],
    ["no password", "bob:", 'users:1: user "bob" has no password'],
    ["no name", ":$6$a$b", "users:1: must be user:hash"],
    ["no colon", "bob", "users:1: must be user:hash"],
    ["a broken hash", "bob:$6$????$AAAA", 'users:1: user "bob" has a hash that cannot be read'],
    ["a cut hash", alice.slice(0, -4), 'users:1: user "alice" has a hash that cannot be read'],
    ["no iterations", alice.replace("$101$", "$0$"), 'users:1: user "alice" has a hash that cannot be read'],
    ["too many", alice.replace("$101$", "$99999999$"), 'users:1: user "alice" has a hash'],
    ["a user twice", `${alice}\n# x\n${alice}`, 'users:3: user "alice" is there twice, first on line 1'],
    ["broken argon2", "bob:$argon2id$v=19$m=1$x", 'users:1: user "bob" has a hash that cannot be read'],
  ];
  test.each(rows)("%s", (_, text, expected) => {
    expect(problems(text)).toHaveLength(1);
    expect(problems(text)[0]).toStartWith(expected);
  });

  test("no problem shows a secret, and only the first are told", () => {
    const lines = Array.from({ length: 50 }, (_, index) => `user${index}:hunter${index}secret`);
    const found = problems(lines.join("\n"));
    expect(found).toHaveLength(10);
    for (const line of found) expect(line).not.toContain("hunter");
  });
});

describe("edits", () => {
  test("a user is added, changed and deleted, other lines as they were", async () => {
    const before = `# head\n${MOSQUITTO[0]}\n\n${MOSQUITTO[1]}\n`;
    const hash = (await hashPassword("sha512", "new")) ?? "";
    const changed = withUser(before, "alice", hash);
    expect(changed).toBe(`# head\nalice:${hash}\n\n${MOSQUITTO[1]}\n`);
    const added = withUser(changed, "dora", hash);
    expect(added).toBe(`${changed}dora:${hash}\n`);
    expect(withoutUser(added, "alice")).toBe(`# head\n\n${MOSQUITTO[1]}\ndora:${hash}\n`);
    expect(withoutUser(added, "al")).toBeNull();
    expect(withUser("", "dora", hash)).toBe(`dora:${hash}\n`);
    expect(withoutUser(`dora:${hash}`, "dora")).toBe("");
  });

  test("credentials of one password stay together, those of an old one go", async () => {
    const scram = (await hashPassword("scram-sha-256", "p", 4096)) ?? "";
    const sha512 = (await hashPassword("sha512", "p")) ?? "";
    const both = withUser(withUser("", "a", sha512), "a", scram, true);
    expect(both).toBe(`a:${sha512}\na:${scram}\n`);
    expect([...(parsePasswordFile(both, "users").get("a")?.scram.keys() ?? [])]).toEqual(["SCRAM-SHA-256"]);
    const newer = (await hashPassword("sha512", "q")) ?? "";
    expect(withUser(both, "a", newer)).toBe(`a:${newer}\n`);
  });

  test("names that no file can hold", () => {
    for (const name of ["", "a:b", "a\nb", "#a", "a ", "a\u0000", "x".repeat(65_536)])
      expect(isFileUserName(name)).toBe(false);
    for (const name of ["alice", "a b", "ünïcode", "a#b"]) expect(isFileUserName(name)).toBe(true);
  });
});

test("a user with nothing but a SCRAM credential may send its password too", async () => {
  const users = parsePasswordFile(`a:${await hashPassword("scram-sha-512", "secret", 4096)}\n`, "users");
  expect(await isPassword(users, "a", "secret")).toBe(true);
  expect(await isPassword(users, "a", "secreT")).toBe(false);
});
