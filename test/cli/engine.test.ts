// The broker's process begins again with what it wants of the engine, and with all that it was started with.

import { describe, expect, test } from "bun:test";
import { beginTuned, type EngineProcess, namesCommand } from "../../src/cli/engine.ts";
import packageJson from "../../package.json" with { type: "json" };

const OPTION = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const BUN = packageJson.dependencies.bun;

interface Begun {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

function begin(changes: Partial<EngineProcess> = {}): Begun[] {
  const begun: Begun[] = [];
  beginTuned({
    env: { HOME: "/home/anna" },
    argv0: "bun",
    argv: ["/usr/bin/bun", "/srv/src/main.ts", "--config", "a b.toml"],
    execArgv: ["--smol"],
    execPath: "/usr/bin/bun",
    versions: { bun: BUN },
    execve: (path, args, env) => void begun.push({ path, args, env }),
    ...changes,
  });
  return begun;
}

describe("the process", () => {
  test("begins again from source, with its options, arguments and environment", () => {
    expect(begin()).toEqual([
      {
        path: "/usr/bin/bun",
        args: ["bun", "--smol", "/srv/src/main.ts", "--config", "a b.toml"],
        env: { HOME: "/home/anna", [OPTION]: "1000000" },
      },
    ]);
  });

  for (const script of ["/$bunfs/root/millrace", "B:\\~BUN\\root\\millrace.exe"]) {
    test(`begins again as the program that it is: ${script}`, () => {
      const [begun] = begin({
        argv0: "millrace",
        argv: ["bun", script, "-q"],
        execArgv: [],
        execPath: "/usr/bin/millrace",
      });
      expect(begun).toMatchObject({ path: "/usr/bin/millrace", args: ["millrace", "-q"] });
    });
  }

  test("goes on as it is where it has begun again, or somebody else has said what the engine is to do", () => {
    expect(begin({ env: { [OPTION]: "1000000" } })).toEqual([]);
    expect(begin({ env: { [OPTION]: "5" } })).toEqual([]);
  });

  test("goes on as it is under another Bun, and where it cannot begin again", () => {
    expect(begin({ versions: { bun: "1.4.4" } })).toEqual([]);
    expect(begin({ versions: {} })).toEqual([]);
    const fails = (): never => {
      throw new Error("EACCES");
    };
    expect(() => begin({ execve: fails })).not.toThrow();
  });

  test("of a command, or one that only tells something, stays as it is", () => {
    for (const args of [["pub", "-t", "a"], ["check-config"], ["-h"], ["--help"], ["-V"], ["--version"]])
      expect(namesCommand(args)).toBe(true);
    for (const args of [[], ["--config", "a.toml"], ["-q"]]) expect(namesCommand(args)).toBe(false);
  });

  test("is one that this Bun can be", () => {
    const { exitCode } = Bun.spawnSync([process.execPath, "-e", "0"], {
      env: { ...process.env, [OPTION]: "1000000" },
    });
    expect(exitCode).toBe(0);
  });
});
