// Why a file cannot be read, for people: what the system's error code means, and where the file was looked for.

import { isAbsolute, resolve } from "node:path";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such folder",
  EACCES: "this process may not; give its user the right to",
  EPERM: "this process may not; give its user the right to",
  EISDIR: "it is a folder",
};

/** Undefined when `error` is none of the system's. A relative path is told with where it led. */
export function unreadableText(error: unknown, path: string): string | undefined {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code !== "string") return undefined;
  const reason = REASONS[code] ?? String(message ?? code);
  const isMissing = code === "ENOENT" || code === "ENOTDIR";
  const tried = isMissing && !isAbsolute(path) ? `; looked for ${resolve(path)}` : "";
  return `it cannot be read: ${reason}${tried}`;
}
