// Where the configuration comes from: the file as given, else in `config/`, else the demo inside the program.

import { readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import demoToml from "../../config/demo.toml" with { type: "text" };
import { ConfigError } from "./problems.ts";

const DEMO_NAME = "demo.toml";
export const DEMO_TEXT: string = demoToml;

export interface Found {
  readonly text: string;
  /** How messages name the file: its path, or what it is. */
  readonly file: string;
  /** For the start-up log: which file, and why this one. */
  readonly source: string;
  /** Null for the demo inside the program. */
  readonly path: string | null;
}

/** The folders that are searched; tests give their own. */
export interface Folders {
  readonly current: string;
  /** The compiled program's folder, or the project's when run from source. */
  readonly program: string;
}

/** A compiled program sees its own modules under a virtual root. */
function isCompiled(): boolean {
  return import.meta.dir.startsWith("/$bunfs/") || /^[A-Z]:[\\/]~BUN/i.test(import.meta.dir);
}

export function defaultFolders(): Folders {
  const program = isCompiled() ? dirname(process.execPath) : resolve(import.meta.dir, "../..");
  return { current: process.cwd(), program };
}

/** Reads what `--config` names; undefined stands for no `--config`. Throws ConfigError if it is nowhere. */
export function findConfig(path: string | undefined, folders: Folders = defaultFolders()): Found {
  if (path === undefined) return embeddedDemo("no --config was given");
  const tried = candidates(path, folders);
  for (const [index, candidate] of tried.entries()) {
    if (!exists(candidate)) continue;
    const option = process.env["MILLRACE_CONFIG"] === path ? "MILLRACE_CONFIG" : "--config";
    const why = index === 0 ? `as ${option} says` : `${option} ${path} was found in ${dirname(candidate)}`;
    return { text: read(candidate), file: candidate, source: `${candidate} (${why})`, path: candidate };
  }
  // An absolute path names one file and no other.
  if (basename(path) === DEMO_NAME && !isAbsolute(path)) {
    return embeddedDemo(
      `--config ${path} is neither here nor in ${tried.slice(1).map(dirname).join(" nor in ")}`,
    );
  }
  throw new ConfigError([`--config ${path}: no such file; tried ${tried.join(", ")}`]);
}

function candidates(path: string, folders: Folders): string[] {
  const asGiven = resolve(folders.current, path);
  if (isAbsolute(path)) return [asGiven];
  const inConfig = [folders.current, folders.program].map((folder) => join(folder, "config", path));
  return [...new Set([asGiven, ...inConfig])];
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`${path}: cannot be read: ${reason}`]);
  }
}

function embeddedDemo(why: string): Found {
  return {
    text: DEMO_TEXT,
    file: DEMO_NAME,
    source: `the demo.toml inside the program (${why})`,
    path: null,
  };
}
