// check-config, generate-config and migrate-config as a user runs them: output, messages, exit statuses.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/load.ts";
import { sampleToml } from "../../src/config/reference.ts";
import { logLines, PROGRAM_TIMEOUT_MS, run, start } from "./program.ts";

/** Several programs one after the other, on a machine that does other things too. */
setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const good = write(
  "good.toml",
  '[router]\nmax_read_len = 1\n[v4.1]\nlisten = "127.0.0.1:0"\n[v4.1.connections]\nauth = { alice = "hush" }\n',
);
const bad = write("bad.toml", '[router]\nmemory = "1MiB"\nmax_conections = 5\n[v4.1]\nlisten = ":1"\n');

describe("check-config", () => {
  test("prints what is in force, warnings on stderr, exit 0", async () => {
    const { status, stdout, stderr } = await run(["check-config", "good.toml"], { cwd: folder });
    expect(status).toBe(0);
    expect(stdout).toContain('listen = "127.0.0.1:0"');
    expect(stdout).toContain("# line 4");
    expect(stderr).toBe(`millrace: warning: ${good}:2: [router] max_read_len is an old key without effect\n`);
    expect(stdout + stderr).not.toContain("hush");
  });

  test("takes --config too, and says what the environment changed", async () => {
    const env = { MILLRACE__ROUTER__MAX_CONNECTIONS: "77" };
    const { status, stdout } = await run(["--config", good, "check-config"], { env });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^max_connections = 77 +# MILLRACE__ROUTER__MAX_CONNECTIONS$/m);
  });

  test("is the start's own errors with exit 1", async () => {
    const env = { MILLRACE__V4__2__NAME: "x" };
    const checked = await run(["check-config", bad], { env });
    const started = await run(["--config", bad], { env });
    expect([checked.status, checked.stdout]).toEqual([1, ""]);
    expect(checked.stderr).toBe(started.stderr);
    expect(checked.stderr.split("\n")).toEqual([
      "millrace: the configuration has 3 problems",
      expect.stringContaining(`${bad}:2: [router] memory = "1MiB": must be`),
      `${bad}:3: [router] max_conections: unknown key; did you mean max_connections?`,
      "MILLRACE__V4__2__NAME: [v4.2] needs the key listen",
      "",
    ]);
  });

  test("names a file that is not there", async () => {
    const { status, stderr } = await run(["check-config", "nowhere.toml"], { cwd: folder });
    expect(status).toBe(1);
    expect(stderr).toContain("nowhere.toml: no such file");
  });
});

test("the start says which variables it went by", async () => {
  const env = { MILLRACE__ROUTER__MAX_CONNECTIONS: "77" };
  const program = start(["--config", good, "--log-format", "json"], { env, stub: "" });
  await program.until("ready");
  program.kill("SIGTERM");
  const { stdout } = await program.outcome;
  const messages = logLines(stdout).map((line) => line["msg"]);
  expect(messages).toContainEqual(
    expect.stringMatching(/^configuration: .*, with MILLRACE__ROUTER__MAX_CONNECTIONS of the environment$/),
  );
  expect(messages).toContainEqual(expect.stringContaining("up to 77 connections"));
});

describe("generate-config", () => {
  test("prints a file that loads", async () => {
    const { status, stdout } = await run(["generate-config"]);
    expect([status, stdout]).toEqual([0, sampleToml()]);
    expect(parseConfig({ text: stdout, file: "x" }).warnings).toEqual([]);
  });

  test("writes a file, and replaces one only when told to", async () => {
    const file = join(folder, "new.toml");
    expect((await run(["generate-config", "-o", file])).status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(sampleToml());
    writeFileSync(file, "mine");
    const refused = await run(["generate-config", "-o", file]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      `millrace: ${file} exists already; --force replaces it\n`,
    ]);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect((await run(["generate-config", "-o", file, "--force"])).status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(sampleToml());
    const unwritable = await run(["generate-config", "-o", join(folder, "no/such/folder")]);
    expect(unwritable.status).toBe(1);
    expect(unwritable.stderr).toContain("cannot be written");
  });
});

test("check-config looks into the files of users and rules that are named, as the broker does", async () => {
  const listener = '[v4.1]\nlisten = "127.0.0.1:0"\n';
  const wrong = write("users.wrong", "alice:$7$nonsense\n");
  const rows = [
    [
      `[auth.file]\npath = "/nowhere/users"\n`,
      `:4: [auth.file] path = "/nowhere/users": it cannot be read: there is no such file`,
    ],
    [`[auth.file]\npath = "${wrong}"\n`, wrong],
    [
      `[authorization]\nacl_file = "/nowhere/acl"\n`,
      `:4: [authorization] acl_file = "/nowhere/acl": it cannot be read`,
    ],
    [
      `[auth.jwt]\nsecret_file = "/nowhere/secret"\n`,
      `:4: [auth.jwt] secret_file = "/nowhere/secret": it cannot be read`,
    ],
  ] as const;
  for (const [text, expected] of rows) {
    const { status, stderr } = await run(["check-config", write("files.toml", listener + text)]);
    expect(stderr).toContain(expected);
    expect(status).toBe(1);
  }
});

describe("migrate-config", () => {
  const old = write(
    "old.conf",
    'id = 1\n[servers.1]\nlisten = "127.0.0.1:0"\ninstant_ack = true\n[servers.1.connections]\nusername = "a"\npassword = "hush"\n',
  );

  test("prints the new file, warnings on stderr, exit 0", async () => {
    const { status, stdout, stderr } = await run(["migrate-config", "old.conf"], { cwd: folder });
    expect(status).toBe(0);
    expect(parseConfig({ text: stdout, file: "new" }).settings.listeners[0]?.section).toBe("v4.1");
    expect(stdout).toContain('auth = { a = "hush" }  # was username and password\n');
    expect(stderr).toBe(
      "millrace: warning: old.conf:4: instant_ack: a message is acknowledged once it is in the log\n",
    );
  });

  test("writes a file with the old one's permissions, and replaces none unasked", async () => {
    const file = join(folder, "migrated.toml");
    chmodSync(old, 0o600);
    expect((await run(["migrate-config", old, "-o", file])).status).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await run(["check-config", file])).status).toBe(0);
    const refused = await run(["migrate-config", old, "-o", file]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      `millrace: ${file} exists already; --force replaces it\n`,
    ]);
    expect((await run(["migrate-config", old, "-o", file, "--force"])).status).toBe(0);
  });

  test("takes mosquitto's files", async () => {
    const conf = write(
      "mosquitto.conf",
      "listener 0 /run/plant.sock\nallow_anonymous true\nmax_packet_size 5000\n",
    );
    const { status, stdout, stderr } = await run(["migrate-config", "--from", "mosquitto", conf]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain('listen = "unix:/run/plant.sock"  # was listener 0 /run/plant.sock\n');
  });

  test("is exit 2 when the broker would not start with it, and writes it all the same", async () => {
    const twice = write("twice.toml", '[servers.1]\nlisten = ":1883"\n[servers.2]\nlisten = ":1883"\n');
    const file = join(folder, "twice-new.toml");
    const { status, stderr } = await run(["migrate-config", twice, "-o", file]);
    expect(status).toBe(2);
    expect(stderr.split("\n").slice(0, 2)).toEqual([
      "millrace: twice.toml is migrated, but the broker would not start with it here, for a problem:",
      `${file}:8: [v4.2] listen: port 1883 is taken by [v4.1] (line 5); every listener needs its own`,
    ]);
    expect(readFileSync(file, "utf8")).toContain("[v4.2]");
  });

  test("tells every file that the new one names and that is not there, each with what to do", async () => {
    const conf = write(
      "files.conf",
      "listener 18830 127.0.0.1\ncertfile /nowhere/cert.pem\nkeyfile /nowhere/key.pem\n" +
        "password_file /nowhere/users\nacl_file /nowhere/rules\n",
    );
    const file = join(folder, "files-new.toml");
    const { status, stderr } = await run(["migrate-config", "--from", "mosquitto", conf, "-o", file]);
    const lines = stderr.split("\n").filter((line) => !line.startsWith("millrace: warning: "));
    const lineOf = (text: string): number =>
      readFileSync(file, "utf8")
        .split("\n")
        .findIndex((line) => line.startsWith(text)) + 1;
    const missing = "it cannot be read: there is no such file";
    expect(lines).toEqual([
      "millrace: files.conf is migrated, but the broker would not start with it here, for 3 problems:",
      `${file}:${lineOf("certpath")}: [mqtt.1.tls] certpath = "/nowhere/cert.pem": ${missing}`,
      `${file}:${lineOf("path")}: [auth.file] path = "/nowhere/users": ${missing}; ` +
        "make it with `millrace passwd -c /nowhere/users USER`",
      `${file}:${lineOf("acl_file")}: [authorization] acl_file = "/nowhere/rules": ${missing}; make it, or leave the key out`,
      "",
    ]);
    expect(status).toBe(2);
    const checked = await run(["check-config", file]);
    expect(checked.stderr).toEndWith(lines.slice(1).join("\n"));
  });

  test("says what it cannot read", async () => {
    const rows: readonly (readonly [string[], string])[] = [
      [["nowhere.toml"], "millrace: nowhere.toml: no such file\n"],
      [["mosquitto.conf"], "for a configuration of mosquitto there is --from mosquitto"],
      [["--from", "mosquitto", "old.conf"], "millrace: old.conf:1: no configuration of mosquitto"],
      [["--from", "emqx", "old.conf"], "Allowed choices are rumqttd, mosquitto"],
      [[], "missing required argument"],
    ];
    const outcomes = rows.map(async ([args, text]) => {
      const { status, stderr } = await run(["migrate-config", ...args], { cwd: folder });
      expect([args, status, stderr.includes(text) ? "" : stderr]).toEqual([args, 1, ""]);
    });
    await Promise.all(outcomes);
  });
});
