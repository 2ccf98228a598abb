// MayStillGet: a message that a session was owed under other rights, judged by its topic. See router/revision.

import { frameBody } from "../packet/frame.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import type { Session } from "../session/session.ts";

/** The session's client may be sent the frame at bytes[at] by its present rights. */
export function mayStillGet({ rights }: Session, bytes: Uint8Array, at: number): boolean {
  if (rights === null) return true;
  const body = frameBody(bytes, at);
  const length = (bytes[body]! << 8) | bytes[body + 1]!;
  return rights.mayReceive(decodeUtf8(bytes, body + 2, body + 2 + length));
}
