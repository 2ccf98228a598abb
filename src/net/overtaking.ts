// Overtaking: acknowledgements that are taken before what the same client sent ahead of them and the log has no room
// for. They make room; what waits stays in its order. Called by Inbound.

import type { ByteWriter } from "../base/byteWriter.ts";
import { bodyAt, PacketType, remainingLength } from "../packet/frame.ts";
import type { Session } from "../session/session.ts";
import { command } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { ConnectionState } from "./connectionState.ts";

/**
 * Takes the acknowledgements among the whole packets of `parked` and closes the gaps that they leave: answers go to
 * `out`. None of them has to do with what the client publishes. Returns how many bytes are left.
 */
export function takeAcknowledgements(
  connection: Connection,
  session: Session,
  parked: Buffer,
  out: ByteWriter,
): number {
  const { stats } = connection.host.router;
  let kept = 0;
  let at = 0;
  while (at < parked.length && connection.state < ConnectionState.Closing) {
    const first = parked[at]!;
    const body = bodyAt(parked, at, parked.length);
    const end = body < 0 ? Number.POSITIVE_INFINITY : body + remainingLength(parked, at, body);
    if (end > parked.length) break;
    if (isAcknowledgement(first & 0xf0)) {
      stats.packetsIn[first >>> 4]!++;
      command(connection, session, first, parked, body, end, out);
    } else {
      parked.copyWithin(kept, at, end);
      kept += end - at;
    }
    at = end;
  }
  parked.copyWithin(kept, at);
  return kept + parked.length - at;
}

/** Of what the broker sent. */
function isAcknowledgement(type: number): boolean {
  return type === PacketType.Puback || type === PacketType.Pubrec || type === PacketType.Pubcomp;
}
