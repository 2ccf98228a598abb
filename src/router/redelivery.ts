// Redelivery: what was in flight when the last connection ended goes out again, first and in the order in which it
// was sent: PUBLISH with DUP and its old identifier, PUBREL where the client has the message. [MQTT-4.4.0-1, 4.6.0-1]

import { ByteWriter } from "../base/byteWriter.ts";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { InflightState } from "../session/inflight.ts";
import { ReaderState } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Acknowledge } from "./acknowledge.ts";
import { type Batch, BatchKind } from "./batch.ts";
import type { Lanes } from "./lanes.ts";
import { renderSingle } from "./single.ts";
import type { Stats } from "./stats.ts";

export class Redelivery {
  private readonly log: CommitLog;
  private readonly lanes: Lanes;
  private readonly acknowledgements: Acknowledge;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly control = new ByteWriter();

  constructor(log: CommitLog, lanes: Lanes, acknowledgements: Acknowledge, stats: Stats, clock: Clock) {
    this.log = log;
    this.lanes = lanes;
    this.acknowledgements = acknowledgements;
    this.stats = stats;
    this.clock = clock;
  }

  /** Sends on. True when everything has left; false when the session waits for its socket. */
  serve(session: Session, lanes: Lanes): boolean {
    const port = session.port!;
    while (session.redelivered < session.redelivery.length) {
      if (port.owes && !lanes.settlePort(session, port)) return false;
      const message = session.redelivery[session.redelivered]!;
      const state = session.inflight.stateOf(message.identifier);
      if (state !== InflightState.Released && session.resent >= session.window) {
        session.reader.state = ReaderState.WindowFull; // [MQTT-3.3.4-9]: the new connection's Receive Maximum
        return false;
      }
      session.redelivered++;
      if (state === InflightState.Free) continue;
      if (state === InflightState.Released) {
        this.control.reset();
        this.acknowledgements.release(this.control, message.identifier, 0);
        port.sendControl(this.control.bytes, 0, this.control.length);
      } else this.publish(session, message.identifier, message.offset, state);
    }
    session.redelivery = [];
    session.redelivered = 0;
    return true;
  }

  private publish(
    session: Session,
    identifier: number,
    offset: Session["redelivery"][0]["offset"],
    state: number,
  ): void {
    const { lanes } = this;
    const batch = lanes.single;
    const second = (this.clock.nowMs() / 1000) >>> 0;
    batch.begin(session.reader, session, second, this.log.head, BatchKind.Rendered, false);
    const resentAt = state === InflightState.Qos1 ? 1 : 2;
    if (!renderSingle(this.log, lanes.renderer, batch, session, offset, { resentAt }, second)) {
      session.inflight.settle(identifier);
      batch.countDropped(this.stats);
      return;
    }
    const hole = batch.hole[0]!;
    batch.bytes[hole] = identifier >>> 8;
    batch.bytes[hole + 1] = identifier;
    session.resent++;
    this.write(session, batch);
    batch.shrink();
  }

  private write(session: Session, batch: Batch): void {
    const { lanes } = this;
    const port = session.port!;
    const wrote = port.write(batch.bytes, 0, batch.length);
    lanes.renderer.introduced.length = 0; // the frame leaves: now, or as the rest that the port keeps
    if (wrote < 0) return;
    this.stats.bytesOut += wrote;
    if (wrote < batch.length) {
      lanes.keepCut(batch, session, port, 0, wrote);
      session.reader.state = ReaderState.SocketFull;
    } else if (!lanes.wroteWhole(batch, session, port, 1)) session.reader.state = ReaderState.SocketFull;
  }
}
