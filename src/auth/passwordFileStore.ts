// A password file on disk, changed in one step: whoever reads it sees the old text or the new one, and a crash in
// between leaves the old one.

import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** Who may read a new file: its owner. */
const NEW_MODE = 0o600;
const MODE_BITS = 0o7777;

/** Another process is changing the file, or one was killed while it did. */
export class FileLocked extends Error {
  override readonly name = "FileLocked";
}

/**
 * Puts what `change` makes of the file's text (null where there is no file) in its place; keeps mode and owner. The new
 * file beside the old one is the lock: two at one time cannot lose each other's change. What `change` throws leaves the
 * file as it was. Throws FileLocked, and what the system throws.
 */
export function changeFile(path: string, change: (text: string | null) => string): void {
  const target = resolved(path);
  const next = join(dirname(target), `.${basename(target)}.new`);
  let descriptor: number;
  try {
    descriptor = openSync(next, "wx", NEW_MODE);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    throw new FileLocked(
      `${next} is there: another process is changing the file, or one was killed and left it`,
    );
  }
  try {
    try {
      const old = statSync(target, { throwIfNoEntry: false });
      const text = change(old === undefined ? null : readFileSync(target, "utf8"));
      if (old !== undefined) {
        chmodSync(next, old.mode & MODE_BITS);
        keepOwner(next, old);
      }
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(next, target);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  syncFolder(dirname(target));
}

/** What a link leads to: the link itself stays. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Only root can; for others the file is their own already or stays so. */
function keepOwner(path: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
}

/** So that the rename outlasts a loss of power, where the system allows it. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch {
    // The file itself is safe.
  }
}
