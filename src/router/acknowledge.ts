// Acknowledge: what a client's PUBACK, PUBREC and PUBCOMP settle, and redelivery when a session is resumed. @hot

import type { ByteWriter } from "../base/byteWriter.ts";
import type { Clock } from "../base/clock.ts";
import { PacketType } from "../packet/frame.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { InflightState } from "../session/inflight.ts";
import { ReaderState } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Lanes } from "./lanes.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import type { Stats } from "./stats.ts";

/** Reason Codes from here on refuse. */
const REFUSED = 0x80;

export class Acknowledge {
  private readonly ready: ReadyQueue;
  /** Tells share groups that a member may take more. */
  private readonly windowOpened: (session: Session) => void;
  private readonly lanes: Lanes;
  private readonly stats: Stats;
  private readonly clock: Clock;
  /** The time of the last tick, ms: near enough, and read for free. */
  private secondMs: number;

  constructor(
    ready: ReadyQueue,
    lanes: Lanes,
    stats: Stats,
    clock: Clock,
    windowOpened: (session: Session) => void,
  ) {
    this.ready = ready;
    this.stats = stats;
    this.clock = clock;
    this.secondMs = clock.nowMs();
    this.lanes = lanes;
    this.windowOpened = windowOpened;
  }

  /** Once a second. */
  tick(): void {
    this.secondMs = this.clock.nowMs();
  }

  /** PUBACK, whatever its Reason Code: the delivery is over. [MQTT-4.3.2-4, -5] */
  puback(session: Session, identifier: number): void {
    if (session.inflight.stateOf(identifier) !== InflightState.Qos1) return;
    session.inflight.settle(identifier);
    this.opened(session);
  }

  /** PUBREC: the message itself is settled; PUBREL follows. A refusal ends the delivery. [MQTT-4.3.3-3..-6] */
  pubrec(session: Session, identifier: number, reason: number, out: ByteWriter): void {
    const state = session.inflight.stateOf(identifier);
    if (state === InflightState.Qos2) {
      if (reason >= REFUSED) {
        session.inflight.settle(identifier);
        this.opened(session);
        return;
      }
      session.inflight.release(identifier);
    } else if (state !== InflightState.Released) {
      if (reason >= REFUSED) return;
      if (session.v5) {
        this.release(out, identifier, ReasonCode.PacketIdentifierNotFound);
        return;
      }
    }
    this.release(out, identifier, ReasonCode.Success);
  }

  /** Appends a PUBREL. */
  release(out: ByteWriter, identifier: number, reason: number): void {
    this.stats.sends(PacketType.Pubrel);
    pubrel(out, identifier, reason);
  }

  pubcomp(session: Session, identifier: number): void {
    if (session.inflight.stateOf(identifier) !== InflightState.Released) return;
    session.inflight.settle(identifier);
    this.opened(session);
  }

  private opened(session: Session): void {
    session.acknowledgedMs = this.secondMs;
    if (session.resent > 0) session.resent--;
    if (session.reader.state === ReaderState.WindowFull) this.ready.push(session.reader);
    if (session.groups.length > 0) this.windowOpened(session);
    if (this.lanes.starved.size > 0) this.lanes.feed();
  }
}

function pubrel(out: ByteWriter, identifier: number, reason: number): void {
  out.reserve(5);
  const bytes = out.bytes;
  let at = out.length;
  bytes[at++] = PacketType.Pubrel | 2; // [MQTT-3.6.1-1]
  bytes[at++] = reason === 0 ? 2 : 3;
  bytes[at++] = identifier >>> 8;
  bytes[at++] = identifier;
  if (reason !== 0) bytes[at++] = reason;
  out.length = at;
}
