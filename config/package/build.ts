// `bun run build [TARGET…|all]`: the program as one file. Without a target, dist/millrace for this machine; a target's
// program goes to dist/<target>/millrace. The runtime of another target comes from the package registry: a target
// whose runtime cannot be had is named at the end, and the exit status is 1.

import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..", "..");
const TARGETS = [
  "linux-x64",
  "linux-x64-baseline",
  "linux-arm64",
  "linux-x64-musl",
  "linux-x64-musl-baseline",
  "linux-arm64-musl",
] as const;
/** The runtime of another target is a download of some 40 MB. */
const BUILD_MS_MAX = 300_000;
const MIB = 1024 * 1024;

/** Short name of the commit that is checked out, with a mark when files differ from it; undefined without git. */
function commit(): string | undefined {
  const git = Bun.spawnSync(["git", "describe", "--always", "--dirty", "--exclude=*"], {
    cwd: ROOT,
    stderr: "ignore",
  });
  return git.success ? git.stdout.toString().trim() : undefined;
}

/** Undefined when it is done, else what the compiler said. */
function build(target: string | undefined, outfile: string): string | undefined {
  mkdirSync(dirname(outfile), { recursive: true });
  const named = commit();
  const run = Bun.spawnSync(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify-syntax",
      // Compiled once, here, in place of at every start: a third of the time to the first connection.
      "--bytecode",
      "--format=esm",
      ...(target === undefined ? [] : [`--target=bun-${target}`]),
      ...(named === undefined ? [] : ["--define", `MILLRACE_COMMIT=${JSON.stringify(named)}`]),
      "src/main.ts",
      "--outfile",
      outfile,
    ],
    { cwd: ROOT, timeout: BUILD_MS_MAX },
  );
  if (run.success) return undefined;
  return run.stderr.toString().trim() || `it ended with ${String(run.signalCode ?? run.exitCode)}`;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => name !== "all" && !TARGETS.some((target) => target === name));
if (unknown.length > 0) {
  process.stderr.write(`unknown target ${unknown.join(", ")}; known: all, ${TARGETS.join(", ")}\n`);
  process.exit(1);
}
const targets: (string | undefined)[] = asked.includes("all") ? [undefined, ...TARGETS] : asked;
if (targets.length === 0) targets.push(undefined);

const failed: string[] = [];
for (const target of targets) {
  const outfile = join("dist", target ?? "", "millrace");
  const problem = build(target, outfile);
  if (problem === undefined) {
    const size = statSync(join(ROOT, outfile)).size / MIB;
    process.stdout.write(`${outfile}: ${size.toFixed(0)} MiB\n`);
  } else {
    failed.push(target ?? "this machine");
    process.stderr.write(`${target ?? "this machine"}: not built\n${problem}\n`);
  }
}
if (failed.length > 0) {
  process.stderr.write(`not built: ${failed.join(", ")}\n`);
  process.exit(1);
}
