// `millrace passwd` from outside: files, modes, exit statuses, and nothing secret in what it prints.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePasswordFile } from "../../src/auth/passwordFile.ts";
import { matches } from "../../src/auth/passwordHash.ts";
import { PROGRAM_TIMEOUT_MS, ROOT } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

let folder = "";
let serial = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-passwd-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function newFile(text?: string): string {
  const file = join(folder, `users${serial++}`);
  if (text !== undefined) writeFileSync(file, text);
  return file;
}

async function passwd(args: readonly string[], input = ""): Promise<{ status: number; said: string }> {
  const child = Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), "passwd", ...args], {
    cwd: folder,
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { status: await child.exited, said: out + error };
}

async function isPassword(file: string, user: string, password: string): Promise<boolean> {
  const hash = parsePasswordFile(readFileSync(file, "utf8"), file).get(user)?.password;
  return hash != null && (await matches(hash, Buffer.from(password)));
}

describe("millrace passwd", () => {
  test("makes a file for its owner alone, adds, changes and deletes users", async () => {
    const file = newFile();
    expect(await passwd(["-c", "-b", "one", "--hash", "sha512", file, "alice"])).toEqual({
      status: 0,
      said: "",
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await passwd(["--hash", "bcrypt", file, "bob"], "twö\nmore\n")).toEqual({ status: 0, said: "" });
    expect(await isPassword(file, "alice", "one")).toBe(true);
    expect(await isPassword(file, "bob", "twö")).toBe(true);
    expect((await passwd(["--hash", "sha512", file, "alice"], "three\r\n")).status).toBe(0);
    expect(await isPassword(file, "alice", "three")).toBe(true);
    expect(await isPassword(file, "alice", "one")).toBe(false);
    expect((await passwd(["-D", file, "alice"])).status).toBe(0);
    expect([...parsePasswordFile(readFileSync(file, "utf8"), file).keys()]).toEqual(["bob"]);
  });

  test("takes argon2id unless told otherwise, and several hashes side by side", async () => {
    const file = newFile("# mine\n");
    expect((await passwd([file, "alice"], "secret")).status).toBe(0);
    expect(readFileSync(file, "utf8")).toMatch(/^# mine\nalice:\$argon2id\$/);
    const hashes = "sha512,scram-sha-256,scram-sha-512";
    expect((await passwd(["--hash", hashes, "--iterations", "5000", file, "alice"], "secret")).status).toBe(
      0,
    );
    expect(readFileSync(file, "utf8")).toMatch(
      /^# mine\nalice:\$6\$.*\nalice:SCRAM-SHA-256\$5000:.*\nalice:SCRAM-SHA-512\$5000:.*\n$/,
    );
    expect((await passwd(["-D", file, "alice"])).status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("# mine\n");
  });

  test("keeps the mode, and the link that leads to the file", async () => {
    const file = newFile("");
    chmodSync(file, 0o640);
    const link = newFile();
    symlinkSync(file, link);
    expect((await passwd(["--hash", "sha512", link, "alice"], "secret")).status).toBe(0);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(await isPassword(file, "alice", "secret")).toBe(true);
  });

  test("refuses what cannot be done, and changes nothing", async () => {
    const file = newFile("# untouched\n");
    const locked = newFile("# locked\n");
    writeFileSync(join(folder, `.${locked.slice(folder.length + 1)}.new`), "");
    const rows: readonly (readonly [readonly string[], string])[] = [
      [["-c", file, "alice"], "is there already"],
      [[`${file}x`, "alice"], "is not there; --create makes it"],
      [["-D", file, "alice"], 'has no user "alice"'],
      [["-D", `${file}x`, "alice"], "is not there"],
      [["-D", "-b", "secret", file, "alice"], "--delete goes with neither"],
      [[file, "a:b"], "has no colon"],
      [[file, ""], "has no colon"],
      [["--hash", "md5", file, "alice"], "Allowed choices are argon2id"],
      [["--hash", "argon2id,bcrypt", file, "alice"], "one hash beside those for SCRAM"],
      [["--hash", "scram-sha-256", "--iterations", "100", file, "alice"], "at least 4096"],
      [["--iterations", "0", file, "alice"], "from 1 to"],
      [["-b", "", file, "alice"], "must not be empty"],
      [[file], "missing required argument 'user'"],
      [["-b", "secret", "--hash", "sha512", locked, "alice"], "another process is changing the file"],
    ];
    for (const [args, text] of rows) {
      const { status, said } = await passwd(args, "hunter2");
      expect([args, status, said]).toEqual([args, 1, expect.stringContaining(text)]);
      expect(said).not.toContain("hunter2");
    }
    expect((await passwd([file, "alice"], "")).said).toContain("must not be empty");
    expect(readFileSync(file, "utf8")).toBe("# untouched\n");
    expect(readFileSync(locked, "utf8")).toBe("# locked\n");
    expect(existsSync(`${file}x`)).toBe(false);
  });

  test("says when the broker will not take the file, and leaves nothing behind", async () => {
    const file = newFile("bob:hunter2\n");
    const { status, said } = await passwd(["--hash", "sha512", file, "alice"], "secret");
    expect(status).toBe(0);
    expect(said).toContain(`${file}:1: user "bob" has a password in plain text`);
    expect(said).not.toContain("hunter2");
    expect(readdirSync(folder).filter((name) => name.endsWith(".new")).length).toBeLessThanOrEqual(1);
  });

  const script = Bun.which("script");

  /** Runs it on a terminal, types each line when the next prompt is shown; what the terminal showed, and the status. */
  async function typed(file: string, lines: readonly string[]): Promise<{ shown: string; status: number }> {
    const command = [
      process.execPath,
      join(ROOT, "src/main.ts"),
      "passwd",
      "--hash",
      "sha512",
      file,
      "alice",
    ];
    const child = Bun.spawn([script ?? "", "-qec", command.join(" "), "/dev/null"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    const rest = [...lines];
    let shown = "";
    let prompts = 0;
    for await (const chunk of child.stdout) {
      shown += Buffer.from(chunk).toString();
      for (; prompts < shown.split(/alice(?:, again)?: /).length - 1; prompts++) {
        child.stdin.write(rest.shift() ?? "");
        await child.stdin.flush();
      }
    }
    return { shown, status: await child.exited };
  }

  const onTerminal = test.skipIf(script === null);
  onTerminal("asks twice on a terminal and shows nothing of it", async () => {
    const file = newFile("");
    const { shown, status } = await typed(file, ["secreX\u007ft\r", "secret\r"]);
    expect(status).toBe(0);
    expect(shown).toContain("Password of alice: ");
    expect(shown).toContain("Password of alice, again: ");
    expect(shown).not.toContain("secre");
    expect(await isPassword(file, "alice", "secret")).toBe(true);
  });

  onTerminal("takes what was typed ahead, two that differ for a mistake, and Ctrl-C for an end", async () => {
    const file = newFile("");
    expect((await typed(file, ["secret\rsecret\r"])).status).toBe(0);
    expect(await isPassword(file, "alice", "secret")).toBe(true);
    const differing = await typed(file, ["one\r", "other\r"]);
    expect([differing.status, differing.shown]).toEqual([1, expect.stringContaining("are not the same")]);
    const ended = await typed(file, ["one\r", "on\u0003"]);
    expect([ended.status, ended.shown]).toEqual([130, expect.stringContaining("interrupted; nothing was")]);
    expect(await isPassword(file, "alice", "secret")).toBe(true);
  });
});
