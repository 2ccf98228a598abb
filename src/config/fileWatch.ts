// File watch: files that are read anew when somebody has replaced them: certificates, lists of users, rules. It looks
// at them when it is told to, by their time, size and inode, so that links that are turned to another folder count.

import { assert } from "../base/assert.ts";
import { statSync } from "node:fs";

/** How often to look. */
export const WATCH_MS = 2000;
/** Files that a configuration can name. */
export const WATCHED_FILES_MAX = 4096;

/** Files that are loaded together. */
interface Group {
  readonly files: readonly string[];
  readonly reload: () => void;
  /** As they were loaded. */
  loaded: string;
  /** As they were at the last look. */
  seen: string;
}

export class FileWatch {
  private readonly groups: Group[] = [];
  private count = 0;

  /**
   * Calls `reload` when one of `files` has changed, and none of them since the look before: a certificate and its key
   * are two files, and one is written after the other. `reload` tells by itself of what it cannot load, and keeps what
   * it has. The returned function ends it.
   */
  watch(files: readonly string[], reload: () => void): () => void {
    this.count += files.length;
    assert(this.count <= WATCHED_FILES_MAX, "a configuration names only so many files");
    const state = stateOf(files);
    const group = { files, reload, loaded: state, seen: state };
    this.groups.push(group);
    return () => {
      const index = this.groups.indexOf(group);
      if (index < 0) return;
      this.groups.splice(index, 1);
      this.count -= files.length;
    };
  }

  /** Looks at every file. */
  look(): void {
    for (const group of [...this.groups]) {
      const state = stateOf(group.files);
      const isSettled = state === group.seen;
      group.seen = state;
      if (!isSettled || state === group.loaded) continue;
      group.loaded = state;
      group.reload();
    }
  }

  /** Loads everything, changed or not. */
  reloadAll(): void {
    for (const group of [...this.groups]) {
      group.seen = stateOf(group.files);
      group.loaded = group.seen;
      group.reload();
    }
  }
}

function stateOf(files: readonly string[]): string {
  return files.map(fileState).join("\n");
}

function fileState(path: string): string {
  try {
    const file = statSync(path, { throwIfNoEntry: false });
    return file === undefined ? "" : `${file.mtimeMs} ${file.ctimeMs} ${file.size} ${file.ino} ${file.dev}`;
  } catch {
    return "unreadable";
  }
}
