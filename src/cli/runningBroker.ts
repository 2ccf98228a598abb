// Running broker: the process of this program beside this one that is a broker, and what it was started with, as /proc
// tells of processes of one's own user. In a container that is process 1, whatever its command line says.

import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { CommandError } from "./end.ts";

export interface StartedWith {
  /** Arguments behind the program's name. */
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** The process that others come from; in a container the program that it was started for. */
const FIRST_PROCESS = "1";

/**
 * Every other process of this program that this user may look at, process 1 alone if it is one; none where the system
 * does not tell.
 */
export function otherProcesses(): readonly StartedWith[] {
  const found = new Map<string, StartedWith>();
  for (const id of processes()) {
    if (id === String(process.pid)) continue;
    const started = startedWith(id);
    if (started !== undefined) found.set(id, started);
  }
  const first = found.get(FIRST_PROCESS);
  return first === undefined ? [...found.values()] : [first];
}

/** The one of `brokers`; undefined when there is none. */
export function onlyBroker<T>(brokers: readonly T[]): T | undefined {
  if (brokers.length > 1)
    throw new CommandError(
      `${brokers.length} brokers run here: name one with --config, or an address with --url or -p`,
    );
  return brokers[0];
}

function processes(): readonly string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function startedWith(id: string): StartedWith | undefined {
  try {
    if (readlinkSync(`/proc/${id}/exe`) !== readlinkSync("/proc/self/exe")) return undefined;
    const folder = readlinkSync(`/proc/${id}/cwd`);
    const args = argumentsOf(wordsOf(`/proc/${id}/cmdline`), folder);
    if (args === undefined) return undefined;
    const pairs = wordsOf(`/proc/${id}/environ`).map((word) => {
      const equals = word.indexOf("=");
      return [word.slice(0, equals), word.slice(equals + 1)] as const;
    });
    return { args, folder, environment: Object.fromEntries(pairs) };
  } catch {
    return undefined; // it has ended meanwhile, or is somebody else's
  }
}

/** Words that end in a zero byte each. */
function wordsOf(path: string): string[] {
  return readFileSync(path, "utf8").split("\u0000").slice(0, -1);
}

/** What stands behind the program's name; from source, that is behind this program's main file. */
function argumentsOf(words: readonly string[], folder: string): readonly string[] | undefined {
  const main = process.argv[1] ?? "";
  if (main.startsWith("/$bunfs/")) return words.slice(1);
  const at = words.findIndex((word, index) => index > 0 && isSame(resolve(folder, word), main));
  return at < 0 ? undefined : words.slice(at + 1);
}

function isSame(path: string, other: string): boolean {
  try {
    return realpathSync(path) === realpathSync(other);
  } catch {
    return false;
  }
}
