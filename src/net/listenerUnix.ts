// Listener on a Unix socket: its file. What a process left that is gone is replaced; where somebody answers, or where
// the file is something else, there is no listening.

import { lstatSync, rmSync } from "node:fs";
import type { UnixSettings } from "./transport.ts";

const PERMISSIONS = 0o777;

/** Listens with `listen`, so that the socket never has more than its mode. Rejects with the system's error, `code`. */
export async function listenOnUnix<T>({ path, mode }: UnixSettings, listen: (path: string) => T): Promise<T> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file !== undefined) {
    if (!file.isSocket()) throw failure("EEXIST", `${path} is there and is no socket`);
    if (await isAnswered(path)) throw failure("EADDRINUSE", `somebody listens on ${path}`);
    rmSync(path, { force: true });
  }
  const mask = process.umask(PERMISSIONS & ~mode);
  try {
    return listen(path);
  } finally {
    process.umask(mask);
  }
}

async function isAnswered(unix: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    throw failure(code ?? "EADDRINUSE", `whether somebody listens on ${unix} cannot be told`);
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
