// The program from outside, its broker replaced by a stub: arguments, messages, signals, exit statuses.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { SECTIONS } from "../../src/config/keys.ts";
import { logLines, PROGRAM_TIMEOUT_MS, run, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-cli-"));
const good = join(folder, "good.toml");
const bad = join(folder, "bad.toml");
writeFileSync(good, '[v4.1]\nlisten = "127.0.0.1:18830"\nname = "one"\n[persistence]\ndir = "x"\n');
writeFileSync(bad, '[v4.1]\nlisten = "here"\nlisen = ":1"\n');
afterAll(() => rmSync(folder, { recursive: true }));

const inFolder = { cwd: folder, stub: "" };

describe("answers at once", () => {
  test("--version", async () => {
    const { status, stdout } = await run(["--version"], inFolder);
    expect([status, stdout]).toEqual([0, `${packageJson.version}\n`]);
  });

  test("--help has examples, options and every key", async () => {
    const { status, stdout } = await run(["--help"], inFolder);
    expect(status).toBe(0);
    for (const text of ["Usage: millrace", "Examples:", "--log-format", "Exit status:"]) {
      expect(stdout).toContain(text);
    }
    for (const { keys } of SECTIONS) {
      for (const [name, key] of Object.entries(keys)) {
        if (key.effect === undefined) expect(stdout).toContain(`    ${name} `);
      }
    }
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  test("mistakes, with a hint", async () => {
    const rows: readonly (readonly [string[], string])[] = [
      [["--confg", "x"], "unknown option '--confg'"],
      [["--log-level", "loud"], "Allowed choices are all, trace, debug"],
      [["--config"], "argument missing"],
      [["-q", "-v"], "cannot be used with"],
      [["extra"], "unknown command 'extra'"],
      [["vesion"], "(Did you mean version?)"],
    ];
    for (const [args, text] of rows) {
      const { status, stderr } = await run(args, inFolder);
      expect(status).toBe(1);
      expect(stderr).toContain(text);
    }
  });
});

describe("a start that cannot succeed", () => {
  test("a configuration that is nowhere", async () => {
    const { status, stdout, stderr } = await run(["--config", "nowhere.toml"], inFolder);
    expect([status, stdout]).toEqual([1, expect.any(String)]);
    expect(stderr).toStartWith("millrace: --config nowhere.toml: no such file; tried ");
    expect(stderr).toContain(join(folder, "config/nowhere.toml"));
  });

  test("a wrong configuration", async () => {
    const { status, stderr } = await run(["--config", bad], inFolder);
    expect(status).toBe(1);
    expect(stderr).toStartWith("millrace: the configuration has 2 problems\n");
    expect(stderr).toContain(`${bad}:2: [v4.1] listen = "here": must be "host:port"`);
    expect(stderr).toContain(`${bad}:3: [v4.1] lisen: unknown key; did you mean listen?`);
  });

  const codes: readonly (readonly [string, string])[] = [
    ["EADDRINUSE", "the port is in use: stop what listens there"],
    ["EACCES", "not permitted: ports below 1024"],
    ["EADDRNOTAVAIL", "this machine has no such address"],
    ["ESTRANGE", "ESTRANGE"],
  ];
  for (const [code, advice] of codes) {
    test(`an address that gives ${code}`, async () => {
      const { status, stderr } = await run(["-c", good], { cwd: folder, stub: code });
      expect(status).toBe(1);
      expect(stderr).toStartWith(`millrace: one cannot listen on 127.0.0.1:18830: ${advice}`);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect(stderr).toContain("[v4.1] listen");
    });
  }

  test("anything else is a fault", async () => {
    const { status, stdout } = await run(["-c", good], { cwd: folder, stub: "refuse" });
    expect(status).toBe(70);
    expect(logLines(stdout).at(-1)).toMatchObject({ level: "fatal", err: { message: "out of luck" } });
  });
});

describe("a start", () => {
  test("says what listens where, under which configuration, and why", async () => {
    const program = start(["--config", "good.toml"], inFolder);
    await program.until("ready");
    program.kill("SIGTERM");
    const { status, stdout, stderr } = await program.outcome;
    expect([status, stderr]).toEqual([0, ""]);
    const lines = logLines(stdout);
    const messages = lines.map((line) => line["msg"]);
    expect(messages).toContainEqual(`configuration: ${good} (as --config says)`);
    expect(messages).toContainEqual(
      "listening on 127.0.0.1:18830 as one ([v4.1]) for MQTT 3.1, 3.1.1, 5 over TCP",
    );
    expect(lines.find((line) => line["level"] === "warn")?.["msg"]).toStartWith(
      `${good}:4: [persistence] is ignored`,
    );
    expect(messages.at(-1)).toBe("stopped");
  });

  test("without --config takes the demo", async () => {
    const program = start([], inFolder);
    await program.until("ready");
    program.kill("SIGINT");
    const { status, stdout } = await program.outcome;
    expect(status).toBe(0);
    expect(stdout).toContain("the demo.toml inside the program (no --config was given)");
    expect(stdout).toContain("0.0.0.0:1883");
    expect(stdout).toContain("0.0.0.0:1884");
  });

  test("-q logs warnings alone, -v more", async () => {
    for (const [args, has, hasNot] of [
      [["-q"], "warn", "info"],
      [["--log-level", "info", "-q"], "info", "debug"],
    ] as const) {
      const program = start(["-c", good, ...args], inFolder);
      await program.until(has);
      program.kill("SIGTERM");
      const { status, stdout } = await program.outcome;
      expect(status).toBe(0);
      expect(logLines(stdout).map((line) => line["level"])).not.toContain(hasNot);
    }
  });

  test("--log-format pretty is for people, without colours where there is no terminal", async () => {
    const program = start(["-c", good, "--log-format", "pretty"], inFolder);
    await program.until("ready");
    program.kill("SIGTERM");
    const { stdout } = await program.outcome;
    expect(stdout).toMatch(/^\[\d{4}-\d\d-\d\d [\d:.]+\] INFO \(\d+\): millrace /);
    expect(stdout).not.toContain("\u001b[");
  });
});

describe("signals and faults", () => {
  test("a second signal ends a stop that takes long", async () => {
    for (const [signal, expected] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const program = start(["-c", good], { cwd: folder, stub: "slow" });
      await program.until("ready");
      program.kill("SIGTERM");
      await program.until("stopping on SIGTERM");
      program.kill(signal); // at once: the same signal, sent by the terminal and by npm
      await Bun.sleep(600);
      program.kill(signal);
      expect((await program.outcome).status).toBe(expected);
    }
  });

  test("an uncaught exception is one fatal line and exit 70", async () => {
    const { status, stdout } = await run(["-c", good], { cwd: folder, stub: "fault" });
    expect(status).toBe(70);
    const fatal = logLines(stdout).filter((line) => line["level"] === "fatal");
    expect(fatal).toHaveLength(1);
    expect(fatal[0]).toMatchObject({ err: { message: "a wheel came off", stack: expect.any(String) } });
  });
});
