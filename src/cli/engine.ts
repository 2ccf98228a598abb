// Engine: what a broker wants of JavaScriptCore, which takes its options from the environment when the process begins.
// So the process begins again, as itself: same number, same files, other environment.

import { BUN_VERSION } from "../base/version.ts";

/**
 * The last optimizing compiler takes longer over what runs once per connection than it saves in the first minutes:
 * half of the work of a broker that thousands of clients come back to after its start was compiling. Loops over bytes
 * and messages get there within a second all the same.
 */
const OPTIONS: Readonly<Record<string, string>> = {
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000",
};

/** What the bundle's files are called in a compiled program. */
const COMPILED = /^(?:\/\$bunfs\/|B:[/\\]~BUN)/;

/** The part of `process` that is needed. */
export interface EngineProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly execPath: string;
  readonly versions: { readonly bun?: string };
  readonly execve?: (path: string, args: readonly string[], env: NodeJS.ProcessEnv) => void;
}

/** These arguments are not those of a broker: it takes nothing but options. */
export function namesCommand([first = "--"]: readonly string[]): boolean {
  return !first.startsWith("-") || ["-h", "--help", "-V", "--version"].includes(first);
}

/**
 * Begins the process anew with the options. Returns where the environment has one of them, from here or from somebody
 * who knows better, and where it cannot be done.
 */
export function beginTuned(process: EngineProcess): void {
  const { env, argv0, argv, execArgv, execPath, execve, versions } = process;
  if (execve === undefined) return;
  if (versions.bun !== BUN_VERSION) return; // it may not know an option's name, and then it would not start
  if (Object.keys(OPTIONS).some((name) => env[name] !== undefined)) return;
  const script = argv[1] ?? "";
  const args = COMPILED.test(script) ? argv.slice(2) : [...execArgv, ...argv.slice(1)];
  try {
    execve.call(process, execPath, [argv0, ...args], { ...env, ...OPTIONS });
  } catch {
    // without them it is slower for a while
  }
}
