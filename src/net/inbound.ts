// Inbound: the receiving side of one Network Connection: chunks in, packets out to ingest and to commands, in order.
// What cannot be taken yet stays here, within budgets, and while anything does the socket is not read:
//
//   held back by                                    until
//   its CONNECT, or an AUTH before CONNACK          there is a verdict
//   its rate                                        the rate allows more
//   a reader that is behind, unread answers         they have moved; one chunk each 50 ms is let in meanwhile
//   the log, which has no room                      there is room; what waits is tried again each 50 ms
//
// The log may be full of what the same client was sent. Its acknowledgements, which make room, come behind what waits
// for room: after a while they are looked for there and taken before their turn.
//
// A paused socket does not tell that its client has died, and may still deliver one chunk. @hot

import type { Room } from "../base/budget.ts";
import type { ByteWriter } from "../base/byteWriter.ts";
import { decodeConnect } from "../packet/connect.ts";
import { errorOfCode, errors, isMqttError, type MqttError } from "../packet/error.ts";
import type { Session } from "../session/session.ts";
import { bodyAt, MALFORMED_LENGTH, NEED_MORE, PacketType, remainingLength } from "../packet/frame.ts";
import { IngestStatus, Refusal } from "../router/ingest.ts";
import { RELEASED_BYTES_MIN, release } from "./chunk.ts";
import { authenticate, introduce } from "./authenticating.ts";
import { command } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { ConnectionState } from "./connectionState.ts";
import { answerConnect, refuse } from "./handshake.ts";
import { takeAcknowledgements } from "./overtaking.ts";
import type { PacketLog } from "./packetLog.ts";
import { Partial, PartialStatus } from "./partial.ts";
import type { ClientLimits } from "./limits.ts";
import type { Rate } from "./rate.ts";

const CONNECT_BYTES_MAX = 256 * 1024;
const NO_CHUNK = Buffer.alloc(0);
/** So long without room, and the connection is closed: its client may have died. */
const WAIT_MS_MAX = 30_000;
/** So long without room, and acknowledgements are taken from what waits; a client that sends none has five seconds. */
const ACKNOWLEDGEMENTS_MS = 1000;
/** More is read to find them while no more than this waits here, */
const LOOK_THROUGH_BYTES = 512 * 1024;

/** Why the socket is not read. */
export const Hold = { None: 0, Paused: 1, Overdrawn: 2, Verdict: 3 } as const;
export type Hold = (typeof Hold)[keyof typeof Hold];

export class Inbound {
  private readonly connection: Connection;
  /** Made when the first packet comes in parts. */
  private partial: Partial | null = null;
  /** The partial packet is whole and waits for room in the log; later chunks are parked behind it. */
  private partialWaits = false;
  /** Bytes that came and wait. */
  private parked: Buffer | null = null;
  /** The log had no room for the packet at which packets() stopped. */
  private waits = false;
  /** Since when, ms; 0 while nothing does. */
  private waitsSinceMs = 0;
  /** Publishes too fast for a healthy reader. */
  private isPaced = false;
  /** There is no verdict on the client yet. */
  private awaitsVerdict = false;
  /** Null: it may send as fast as it likes. */
  private rate: Rate | null = null;
  private isOverdrawn = false;
  hold: Hold = Hold.None;
  /** Bytes of any kind that were taken from the client so far. */
  bytes = 0;
  /** PUBLISH packets, without those of the chunk that is being walked. */
  private walked = 0;
  /** What the broker had taken when the walk began; -1 outside of it. */
  private walkingSince = -1;
  /** Somebody wants to see the packets. */
  packetLog: PacketLog | null = null;
  /** The first packet is being taken: who begins to see packets now is given what has come behind it. */
  private isFirst = false;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The next byte to come begins a packet. */
  get isBetweenPackets(): boolean {
    return this.isFirst || ((this.partial?.length ?? 0) === 0 && this.parked === null);
  }

  /** PUBLISH packets that were taken from the client so far. */
  get messages(): number {
    const { publishesIn } = this.connection.host.router.stats;
    return this.walked + (this.walkingSince < 0 ? 0 : publishesIn - this.walkingSince);
  }

  /** Bytes came; the buffer is the connection's until this returns. */
  data(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.packetLog !== null) this.packetLog.received(chunk, 0, chunk.length);
    if (this.rate !== null) this.charge(0, chunk.length);
    if (this.isWaiting || this.awaitsVerdict) {
      this.park(chunk, 0, chunk.length);
      this.steer();
    } else this.receive(chunk);
  }

  private receive(chunk: Buffer): void {
    const { connection } = this;
    const { out, router } = connection.host;
    this.walkingSince = router.stats.publishesIn;
    out.reset();
    this.walk(chunk, out);
    const publishes = router.stats.publishesIn - this.walkingSince;
    this.walkingSince = -1;
    this.walked += publishes;
    if (this.rate !== null) this.charge(publishes, 0);
    if (out.length > 0 && connection.state === ConnectionState.Connected) {
      connection.sendControl(out.bytes, 0, out.length);
    }
    if (!this.isWaiting) this.waitsSinceMs = 0;
    this.steer();
  }

  private walk(chunk: Buffer, out: ByteWriter): void {
    let at = 0;
    const { partial } = this;
    const { connection } = this;
    const { state } = connection;
    if (partial !== null && partial.length > 0) {
      if (!this.partialWaits) {
        const status = partial.add(chunk, 0, chunk.length, this.packetBytesMax);
        if (status === PartialStatus.NeedMore) return;
        if (status !== PartialStatus.Whole) {
          connection.fail(partialError(status));
          return;
        }
        at = partial.taken;
      }
      const { bytes, length } = partial;
      this.partialWaits = false;
      const wasShown = this.packetLog !== null;
      const done = this.packets(bytes, 0, length, out);
      if (!wasShown && at < chunk.length) this.packetLog?.received(chunk, at, chunk.length);
      if (this.waits) {
        this.partialWaits = true;
        if (at < chunk.length) this.park(chunk, at, chunk.length);
        return;
      }
      partial.free();
      if (state < ConnectionState.Connected) this.partial = null; // its budget was the strangers'
      if (done < length) return;
    }
    const end = chunk.length;
    if (!this.awaitsVerdict) at = this.packets(chunk, at, end, out);
    if (at === end || connection.state >= ConnectionState.Closing) return;
    if (this.waits || this.awaitsVerdict) {
      this.park(chunk, at, end);
      return;
    }
    const { budgets } = connection.host.router;
    const isStranger = connection.state < ConnectionState.Connected;
    this.partial ??= new Partial(isStranger ? connection.strangers : budgets.partial);
    const status = this.partial.add(chunk, at, end, this.packetBytesMax);
    if (status !== PartialStatus.NeedMore) connection.fail(partialError(status));
  }

  private get packetBytesMax(): number {
    const { state, listener } = this.connection;
    return state === ConnectionState.Connected
      ? listener.packetBytesMax
      : Math.min(listener.packetBytesMax, CONNECT_BYTES_MAX);
  }

  /** Takes the whole packets of chunk[at..end). Returns the position behind them. */
  private packets(chunk: Buffer, at: number, end: number, out: ByteWriter): number {
    const { connection } = this;
    const { router } = connection.host;
    let position = at;
    let view: DataView | null = null;
    this.waits = false;
    while (position < end && connection.state < ConnectionState.Closing) {
      const first = chunk[position]!;
      if ((first & 0xf0) === PacketType.Publish && connection.publisher !== null) {
        if (view === null) view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
        const { ingest } = router;
        position = ingest.ingest(connection.publisher, chunk, view, position, end, out);
        if (ingest.status !== IngestStatus.Other) {
          this.afterIngest(ingest.status, out);
          return position;
        }
      } else if (isPuback(chunk, position, end) && connection.session !== null) {
        position = this.pubacks(connection.session, chunk, position, end);
      } else {
        const packetEnd = this.otherPacket(first, chunk, position, end, out);
        if (packetEnd < 0) return position;
        position = packetEnd;
        if (this.awaitsVerdict) return position;
      }
    }
    return position;
  }

  /** Takes PUBACKs of the usual form, up to the first other packet. Returns the position behind them. */
  private pubacks(session: Session, chunk: Buffer, at: number, end: number): number {
    const { connection } = this;
    const { acknowledgements, stats } = connection.host.router;
    let position = at;
    while (isPuback(chunk, position, end) && connection.state < ConnectionState.Closing) {
      const identifier = (chunk[position + 2]! << 8) | chunk[position + 3]!;
      if (identifier === 0) connection.fail(errors.ackIdentifierZero);
      else acknowledgements.puback(session, identifier);
      position += 4;
    }
    stats.packetsIn[PacketType.Puback >>> 4]! += (position - at) / 4;
    return position;
  }

  /** Ingest stopped within the chunk. */
  private afterIngest(status: number, out: ByteWriter): void {
    const { connection } = this;
    if (status === IngestStatus.NoRoom) {
      this.waits = true;
      connection.host.router.pacing.holdAll();
      if (this.waitsSinceMs === 0) this.waitsSinceMs = connection.host.router.clock.nowMs();
    } else if (status < 0) {
      connection.flush(out); // what was acknowledged before the error still is
      connection.fail(errorOfCode(status));
    }
  }

  /** Takes the packet at `position`. Returns the position behind it, -1 while it is not whole or cannot be. */
  private otherPacket(first: number, chunk: Buffer, position: number, end: number, out: ByteWriter): number {
    const { connection } = this;
    const body = bodyAt(chunk, position, end);
    if (body === NEED_MORE) return -1;
    if (body === MALFORMED_LENGTH) {
      connection.fail(errors.remainingLengthTooLong);
      return -1;
    }
    const packetEnd = body + remainingLength(chunk, position, body);
    if (packetEnd - position > this.packetBytesMax) {
      if (connection.state === ConnectionState.AwaitConnect) {
        answerConnect(connection, chunk, body, Math.min(packetEnd, end));
      }
      connection.fail(errors.packetTooLarge);
      return -1;
    }
    if (connection.state === ConnectionState.AwaitConnect) {
      if ((first & 0xf0) === PacketType.Connect && packetEnd > end) return -1;
      this.firstPacket(chunk, position, body, packetEnd, end);
      return packetEnd;
    }
    if (packetEnd > end) return -1;
    connection.host.router.stats.packetsIn[first >>> 4]!++;
    if (connection.session !== null) {
      command(connection, connection.session, first, chunk, body, packetEnd, out);
    } else connection.authentication?.packet(first, chunk, body, packetEnd);
    return packetEnd;
  }

  /** chunk[at..packetEnd) is the first packet, and whole if it is a CONNECT; chunk[..end) has come. */
  private firstPacket(chunk: Buffer, at: number, body: number, packetEnd: number, end: number): void {
    const { connection } = this;
    const first = chunk[at]!;
    const isConnect = (first & 0xf0) === PacketType.Connect;
    const isMeant = isConnect && (first & 15) === 0;
    const connect = isMeant ? decodeConnect(chunk, body, packetEnd) : null;
    if (isMeant) connection.host.router.stats.packetsIn[first >>> 4]!++;
    if (isMqttError(connect)) answerConnect(connection, chunk, body, packetEnd);
    else if (connect !== null) introduce(connection, connect);
    this.isFirst = true;
    connection.host.identified(connection);
    this.packetLog?.received(chunk, at, Math.min(packetEnd, end));
    if (connect === null)
      connection.fail(isConnect ? errors.reservedFlags : errors.firstNotConnect); // [MQTT-3.1.0-1]
    else if (isMqttError(connect)) refuse(connection, connect);
    else authenticate(connection, connect);
    this.isFirst = false;
    if (connection.state < ConnectionState.Closing) this.packetLog?.received(chunk, packetEnd, end);
  }

  // ---- pausing

  pace(paced: boolean): void {
    this.isPaced = paced;
    this.steer();
  }

  /** Nothing more is taken until release(): what comes meanwhile is kept, in its order. */
  awaitVerdict(): void {
    this.awaitsVerdict = true;
    this.steer();
  }

  /** There is a verdict: what has come meanwhile is taken. */
  release(): void {
    if (this.connection.state >= ConnectionState.Closing) return;
    const parked = this.unpark();
    this.awaitsVerdict = false;
    if (parked === null) this.steer();
    else this.receive(parked);
  }

  /** From now on so much may come in a second, with a pause after each chunk; Infinity sets no limit. */
  limitRate(limits: ClientLimits): void {
    const { messagesPerSecond, bytesPerSecond, readPauseMs } = limits;
    const isUnlimited = Math.min(messagesPerSecond, bytesPerSecond) === Number.POSITIVE_INFINITY;
    if (isUnlimited && readPauseMs === 0) return;
    const { host, clientIdentifier } = this.connection;
    this.rate = host.rates.take(clientIdentifier, limits, host.router.clock.nowMs());
  }

  private charge(messages: number, bytes: number): void {
    const { rate } = this;
    const now = this.connection.host.router.clock.nowMs();
    rate?.take(messages, bytes, now);
    this.isOverdrawn = rate?.isOverdrawn(now) ?? false;
  }

  /** Every 50 ms while overdrawn. */
  refill(): void {
    this.charge(0, 0);
    this.steer();
  }

  /** Reads the socket, or does not, as whatever holds the connection back says. */
  steer(): void {
    const { connection } = this;
    if (connection.state >= ConnectionState.Closing) return;
    const hold = this.heldBy();
    if (hold === Hold.None && this.hold === Hold.None) return;
    if (hold !== this.hold) this.move(hold);
    if (hold === Hold.None) this.resume();
    else connection.socket.pause();
  }

  private heldBy(): Hold {
    if (this.awaitsVerdict) return Hold.Verdict;
    if (this.isWaiting) return Hold.Paused;
    if (this.isOverdrawn) return Hold.Overdrawn;
    return this.isPaced || this.connection.outbound.isUnread ? Hold.Paused : Hold.None;
  }

  private move(hold: Hold): void {
    const { connection } = this;
    const { paused, overdrawn, stats } = connection.host;
    if (this.hold === Hold.Paused) paused.delete(connection);
    else if (this.hold === Hold.Overdrawn) overdrawn.delete(connection);
    this.hold = hold;
    if (hold === Hold.Paused) paused.add(connection);
    else if (hold === Hold.Overdrawn) {
      overdrawn.add(connection);
      stats.overdrawn++;
    } else return;
    connection.host.pressed();
  }

  private resume(): void {
    const { connection } = this;
    connection.lastSeenMs = connection.host.router.clock.nowMs();
    connection.socket.resume();
  }

  /** Something has come that waits for room. */
  get isWaiting(): boolean {
    return this.parked !== null || this.partialWaits;
  }

  /**
   * Every 50 ms while paused: what waits is tried again, or one more chunk is let in if there is room for it, or may be
   * acknowledgements in it, which make room. True when it may need room.
   */
  trickle(hasRoom: boolean): boolean {
    const { session, host } = this.connection;
    const { router } = host;
    if (!this.isWaiting) {
      const needsRoom = this.isPaced && (session?.inflight.count ?? 0) === 0;
      if (hasRoom || !needsRoom) this.resume();
      return hasRoom && needsRoom;
    }
    const parked = this.unpark();
    const { ingest, clock, settings } = router;
    const waited = clock.nowMs() - this.waitsSinceMs;
    if (waited > WAIT_MS_MAX) {
      this.connection.fail(errors.quotaExceeded);
      return false;
    }
    if (waited > settings.stallMs) ingest.refusal = Refusal.Answerable;
    this.receive(parked ?? NO_CHUNK);
    if (parked !== null && parked.length >= RELEASED_BYTES_MIN) release(parked);
    ingest.refusal = Refusal.Wait;
    if (waited > ACKNOWLEDGEMENTS_MS) this.lookForAcknowledgements();
    return false;
  }

  /** Takes the acknowledgements that wait behind what the log has no room for, and lets one more chunk in. */
  private lookForAcknowledgements(): void {
    const { connection } = this;
    const { session, host } = connection;
    if (session === null || session.inflight.count === 0 || this.hold !== Hold.Paused) return;
    const parked = this.unpark();
    if (parked !== null) {
      host.out.reset();
      const kept = takeAcknowledgements(connection, session, parked, host.out);
      if (connection.state >= ConnectionState.Closing) return;
      connection.flush(host.out);
      if (kept > 0) this.park(parked, 0, kept);
    }
    const { used, bytesMax } = host.router.budgets.parked;
    // and no more than half of the room, so that others may wait too.
    const mayRead = (this.parked?.length ?? 0) <= LOOK_THROUGH_BYTES && 2 * used <= bytesMax;
    if (mayRead) this.resume();
  }

  /** chunk[at..end) waits until the log has room; when too much waits already, what cannot be stored is refused. */
  private park(chunk: Buffer, at: number, end: number): void {
    const { connection, awaitsVerdict } = this;
    const { router } = connection.host;
    if (this.parkedBudget.take(end - at)) {
      const rest = chunk.subarray(at, end);
      this.parked = this.parked === null ? Buffer.from(rest) : Buffer.concat([this.parked, rest]);
      return;
    }
    const isRefusing = router.ingest.refusal !== Refusal.Wait;
    if (this.isWaiting || awaitsVerdict || isRefusing) {
      connection.fail(errors.quotaExceeded);
      return;
    }
    router.ingest.refusal = Refusal.All;
    this.walk(chunk.subarray(at, end), connection.host.out);
    router.ingest.refusal = Refusal.Wait;
  }

  /** What strangers send has a budget of its own, so that it takes no room from the others. */
  private get parkedBudget(): Room {
    const { connection } = this;
    return this.awaitsVerdict ? connection.strangers : connection.host.router.budgets.parked;
  }

  private unpark(): Buffer | null {
    const { parked } = this;
    this.parked = null;
    if (parked !== null) this.parkedBudget.give(parked.length);
    return parked;
  }

  /** The connection is gone. */
  close(): void {
    const { host, clientIdentifier } = this.connection;
    if (this.rate !== null) host.rates.keep(clientIdentifier, this.rate, host.router.clock.nowMs());
    this.rate = null;
    this.move(Hold.None);
    this.unpark();
    this.partial?.clear();
  }
}

/** A PUBACK without Reason Code lies at `at`. */
function isPuback(chunk: Buffer, at: number, end: number): boolean {
  return at + 4 <= end && chunk[at] === PacketType.Puback && chunk[at + 1] === 2;
}

function partialError(status: number): MqttError {
  if (status === PartialStatus.Malformed) return errors.remainingLengthTooLong;
  return status === PartialStatus.TooLarge ? errors.packetTooLarge : errors.quotaExceeded;
}
