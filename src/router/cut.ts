// Cut: what becomes of the rest of a frame that the socket took a part of. It leaves before anything else: as a copy,
// or, when it is long and there is no room for that, from where its payload lies in the log.

import { frameBody } from "../packet/frame.ts";
import type { DeliveryPort } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import { type Batch, BatchKind, RENDERED_FRAME_MAX } from "./batch.ts";
import type { LargeFrame } from "./render.ts";

/** Shorter payloads are copied in any case: a segment of the log is worth more than that. */
const COPIED_MAX = 1024;

/** Keeps the rest of the piece that the socket cut at byte `at` of the batch. It is the head of `large`, if any. */
export function keepCut(
  batch: Batch,
  session: Session,
  port: DeliveryPort,
  piece: number,
  at: number,
  large: LargeFrame | null,
): void {
  const end = batch.at[piece + 1]!;
  if (large !== null) {
    port.keepRest(batch.bytes, at, end - at);
    port.keepTail(large.segment, large.payloadAt, large.payloadEnd);
    return;
  }
  // The next reader stamps a frame in place too: what lies before its payload is this reader's own.
  const payload = Math.max(at, payloadOf(batch, session, piece));
  const isTooLong = batch.kind === BatchKind.InPlace && end - at > RENDERED_FRAME_MAX;
  if (isTooLong || (end - payload > COPIED_MAX && !port.mayKeep(end - at))) {
    port.keepRest(batch.bytes, at, payload - at);
    const to = batch.sourceByte[piece]!;
    port.keepTail(batch.source[piece]!, to - (end - payload), to);
  } else port.keepRest(batch.bytes, at, end - at);
}

/** Where, in the batch's bytes, what the piece has in common with its frame in the log begins. */
function payloadOf(batch: Batch, session: Session, piece: number): number {
  const { bytes } = batch;
  const hole = batch.hole[piece]!;
  if (batch.kind === BatchKind.InPlace) return hole + 2;
  const body = frameBody(bytes, batch.at[piece]!);
  let at = hole > 0 ? hole + 2 : body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
  if (!session.v5) return at;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    length += (byte & 127) << shift;
    if (byte < 128) return at + length;
  }
}
