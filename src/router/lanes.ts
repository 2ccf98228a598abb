// Lanes: what one turn writes for one session. Runs that lie in the log as the client is to get them go out as they
// lie (raw lane), small scattered ones gathered into one write (gather lane); everything else is rendered in a batch
// that neighbours share, stamped with this session's identifiers (rendered lane). @hot

import type { Clock } from "../base/clock.ts";
import type { Offset } from "../base/brand.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { ENTRY_NEXT, ENTRY_STRIDE, NO_LINK, type Segment } from "../log/segment.ts";
import { InflightState } from "../session/inflight.ts";
import type { DeliveryPort } from "../session/ports.ts";
import { type Reader, ReaderState } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { BATCH_BYTES, Batch, BatchKind, RENDERED_FRAME_MAX } from "./batch.ts";
import { type Budgets, SHARED_BATCHES } from "./budgets.ts";
import type { Filters } from "./filters.ts";
import { keepCut } from "./cut.ts";
import { Fit } from "./fit.ts";
import { advanceTo, cutFrameEnd, earliest, park, toNextEntry } from "./position.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import { Renderer } from "./render.ts";
import { Sent } from "./sent.ts";
import type { Stats } from "./stats.ts";

/** A contiguous range of at least so many bytes is written from the segment itself. */
const GATHER_BELOW = 16 * 1024;
/** A range in place that is shorter, with more owed behind it, is not worth a write of its own. */
const SCATTERED_BELOW = 4096;
/** Writes of one reader in one turn. */
const WRITES_PER_TURN = 4;
/** How a write went. */
const Wrote = { All: 0, Part: 1, Gone: 2, NoWindow: 3 } as const;

export class Lanes {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly ready: ReadyQueue;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly batchMessagesMax: number;
  private readonly fit: Fit;
  readonly sent: Sent;
  readonly renderer: Renderer;
  private readonly batches: Batch[] = [];
  /** For what one session alone gets: redelivery, and its part of a share group's messages. */
  readonly single: Batch;
  private nextBatch = 0;
  /** Identifiers taken for the pieces of the write under way. */
  private readonly taken = new Uint16Array(2048);

  constructor(
    log: CommitLog,
    filters: Filters,
    ready: ReadyQueue,
    stats: Stats,
    clock: Clock,
    batchMessagesMax: number,
    budgets: Budgets,
  ) {
    this.log = log;
    this.filters = filters;
    this.ready = ready;
    this.stats = stats;
    this.clock = clock;
    this.batchMessagesMax = batchMessagesMax;
    this.fit = new Fit(clock);
    this.sent = new Sent(stats);
    this.renderer = new Renderer(log, budgets.sessions);
    for (let i = 0; i < SHARED_BATCHES; i++) this.batches.push(new Batch(budgets.render));
    this.single = new Batch(budgets.render);
  }

  /** What the port owes leaves first. False: the reader waits for the socket. */
  settlePort(session: Session, port: DeliveryPort): boolean {
    const { reader } = session;
    const sent = port.sentBytes;
    const settled = this.flushPort(session, port);
    if (port.sentBytes > sent) reader.progressed(this.clock.nowMs());
    if (!settled) reader.state = ReaderState.SocketFull;
    return settled;
  }

  private flushPort(session: Session, port: DeliveryPort): boolean {
    if (!port.flushRest()) return false;
    this.sent.finished(session);
    if (!port.owesControl) return true;
    return (!session.reader.cut || this.finishCut(session, port)) && port.flushControl();
  }

  /** Writes the rest of a frame that the raw lane cut. True when the reader stands at a frame's start. */
  private finishCut(session: Session, port: DeliveryPort): boolean {
    const { reader } = session;
    const subscription = earliest(reader);
    if (subscription === null) {
      reader.cut = false;
      return true;
    }
    const segment = subscription.segment!;
    const end = cutFrameEnd(segment, subscription.from);
    const rest = end - subscription.from;
    const wrote = rest === 0 ? 0 : port.write(segment.bytes, subscription.from, rest);
    if (wrote < 0) return false;
    this.sent.range(session, segment, subscription.from, subscription.from + wrote);
    this.moved(reader, segment, subscription.from + wrote);
    if (wrote < rest) return false;
    reader.cut = false;
    return true;
  }

  /**
   * Takes the reader to the end of a frame that the raw lane cut: the port keeps the frame's rest; without a port it
   * counts as sent.
   */
  endCut(reader: Reader): void {
    if (!reader.cut) return;
    reader.cut = false;
    const first = earliest(reader);
    if (first === null) return;
    const segment = first.segment!;
    const end = cutFrameEnd(segment, first.from);
    if (end === first.from) return;
    const session = reader.session!; // a share group's reader has no cut frame
    const { port } = session;
    const rest = end - first.from;
    if (port !== null) {
      this.sent.begun(session, 0, rest);
      if (rest > RENDERED_FRAME_MAX || !port.mayKeep(rest)) port.keepTail(segment, first.from, end);
      else port.keepRest(segment.bytes, first.from, rest);
    }
    this.moved(reader, segment, end);
  }

  /** Writes for a session's reader until it waits for something or its share of the turn is used. Returns bytes. */
  serve(reader: Reader): number {
    const session = reader.session!;
    const port = session.port;
    if (port === null) {
      reader.state = ReaderState.Offline;
      return 0;
    }
    const before = this.stats.bytesOut;
    if (port.owes && !this.settlePort(session, port)) return this.stats.bytesOut - before;
    for (let writes = 0; writes < WRITES_PER_TURN; writes++) {
      if (reader.pending.length === 0) return this.caughtUp(reader, before);
      const wrote = this.write(reader, session, port);
      if (session.port !== port) return this.stats.bytesOut - before; // closed within the write: offline by now
      if (wrote === Wrote.All) continue;
      reader.state =
        wrote === Wrote.Part
          ? ReaderState.SocketFull
          : wrote === Wrote.NoWindow
            ? ReaderState.WindowFull
            : ReaderState.Offline;
      return this.stats.bytesOut - before;
    }
    if (reader.pending.length === 0) return this.caughtUp(reader, before);
    this.ready.push(reader);
    return this.stats.bytesOut - before;
  }

  private caughtUp(reader: Reader, bytesBefore: number): number {
    reader.state = ReaderState.CaughtUp;
    reader.isLeftBehind = false;
    return this.stats.bytesOut - bytesBefore;
  }

  private write(reader: Reader, session: Session, port: DeliveryPort): number {
    const subscription = earliest(reader)!;
    const segment = subscription.segment!;
    const raw = this.fit.isRaw(reader, session, subscription, segment, subscription.entry);
    if (reader.cut && !raw) return this.finishCut(session, port) ? Wrote.All : Wrote.Part;
    if (raw) {
      const from = subscription.from;
      const end = segment.entryEnd(subscription.entry);
      if (reader.cut || end - from >= GATHER_BELOW || this.isLast(reader, subscription, segment)) {
        return this.writeRaw(session, port, segment, from, end);
      }
      return this.writeGathered(reader, session, port);
    }
    const batch = this.batchInPlace(reader, session, subscription) ?? this.batchRendered(reader, session);
    const wrote = this.writeBatch(batch, reader, session, port);
    batch.shrink();
    return wrote;
  }

  /** Nothing else is owed behind the subscription's present entry. */
  private isLast(reader: Reader, subscription: Subscription, segment: Segment): boolean {
    return (
      reader.pending.length === 1 &&
      segment.entries[subscription.entry * ENTRY_STRIDE + ENTRY_NEXT] === NO_LINK
    );
  }

  private writeRaw(
    session: Session,
    port: DeliveryPort,
    segment: Segment,
    from: number,
    end: number,
  ): number {
    const { reader } = session;
    const wrote = port.write(segment.bytes, from, end - from);
    if (wrote < 0) return Wrote.Gone;
    this.stats.bytesOut += wrote;
    this.sent.range(session, segment, from, from + wrote);
    if (wrote > 0) reader.progressed(this.clock.nowMs());
    this.moved(reader, segment, from + wrote);
    reader.cut = wrote < end - from;
    return reader.cut ? Wrote.Part : Wrote.All;
  }

  /** Everything before byte `to` of `segment` has left. */
  private moved(reader: Reader, segment: Segment, to: number): void {
    const pending = reader.pending;
    const slots = this.log.segments;
    const only = pending[0]!;
    if (
      pending.length === 1 &&
      only.segment === segment &&
      only.from <= to &&
      to <= segment.entryEnd(only.entry)
    ) {
      if (to < segment.entryEnd(only.entry)) only.from = to;
      else toNextEntry(slots, only, this.filters.stateOf(only));
      return;
    }
    for (let i = pending.length - 1; i >= 0; i--) {
      const subscription = pending[i]!;
      advanceTo(slots, subscription, this.filters.stateOf(subscription), segment, to);
    }
  }

  private batchFor(reader: Reader, session: Session, second: number, kind: BatchKind): Batch | null {
    if (!this.mayShare(session)) return null;
    for (let i = 0; i < SHARED_BATCHES; i++) {
      const batch = this.batches[i]!;
      if (batch.serves(reader, session, second, kind)) return batch;
    }
    return null;
  }

  /** Positions have moved: no batch may be shared any more. */
  forgetBatches(): void {
    for (const batch of this.batches) batch.invalidate();
    this.sent.forget();
  }

  /** Nothing of the session's own shows in its frames. */
  private mayShare(session: Session): boolean {
    const oldest = this.log.oldest.baseOffset;
    return session.qos0From <= oldest && session.judgedBelow <= oldest && session.aliasMax === 0;
  }

  private freshBatch(): Batch {
    this.nextBatch = (this.nextBatch + 1) % SHARED_BATCHES;
    return this.batches[this.nextBatch]!;
  }

  private writeGathered(reader: Reader, session: Session, port: DeliveryPort): number {
    const second = this.fit.second();
    let batch = this.batchFor(reader, session, second, BatchKind.Gathered);
    if (batch === null) {
      batch = this.freshBatch();
      this.gather(batch, reader, session, second);
    }
    const wrote = port.write(batch.bytes, 0, batch.length);
    if (wrote < 0) return Wrote.Gone;
    this.stats.bytesOut += wrote;
    this.sent.gathered(session, batch, wrote);
    if (wrote > 0) reader.progressed(this.clock.nowMs());
    if (wrote === batch.length) {
      this.applyEnd(batch, reader);
      return Wrote.All;
    }
    const piece = batch.pieceAt(wrote);
    this.moved(reader, batch.source[piece]!, batch.sourceByte[piece]! + wrote - batch.at[piece]!);
    reader.cut = true;
    return Wrote.Part;
  }

  /** Copies scattered runs, as they lie, behind each other. */
  private gather(batch: Batch, reader: Reader, session: Session, second: number): void {
    batch.begin(reader, session, second, this.log.head, BatchKind.Gathered, this.mayShare(session));
    const pending = reader.pending;
    const { walk } = batch;
    while (batch.length < BATCH_BYTES) {
      const first = walk.earliest(pending.length);
      if (first < 0) break;
      const segment = walk.segment[first]!;
      const entry = walk.entry[first]!;
      const from = walk.from[first]!;
      const end = segment.entryEnd(entry);
      if (!batch.fits(end - from) || !this.fit.isRaw(reader, session, pending[first]!, segment, entry)) break;
      if (batch.pieces > 0 && end - from >= GATHER_BELOW) break;
      (segment.bytes as Buffer).copy(batch.bytes, batch.length, from, end);
      batch.messages += this.sent.framesOfEntry(segment, entry, from);
      batch.addPiece(end - from, segment, from, 0, 0, 0);
      walk.advance(this.log.segments, pending.length, segment, end);
      batch.endSegment = segment;
      batch.endByte = end;
    }
  }

  /** The reader has taken the whole batch. */
  private applyEnd(batch: Batch, reader: Reader): void {
    const pending = reader.pending;
    const slots = this.log.segments;
    batch.countDropped(this.stats);
    const fresh = batch.head === this.log.head;
    for (let i = pending.length - 1; i >= 0; i--) {
      const subscription = pending[i]!;
      const segment = batch.walk.segment[i]!;
      const state = this.filters.stateOf(subscription);
      if (segment === null) {
        if (fresh) park(subscription, state);
        else advanceTo(slots, subscription, state, batch.endSegment!, batch.endByte);
        continue;
      }
      subscription.segment = segment;
      subscription.entry = batch.walk.entry[i]!;
      subscription.from = batch.walk.from[i]!;
    }
  }

  /** A range of the log to stamp in place; null when what is owed must be rendered, or lies too scattered. */
  private batchInPlace(reader: Reader, session: Session, first: Subscription): Batch | null {
    if (!this.fit.isInPlace(reader, session, first, first.segment!, first.entry)) return null;
    const second = this.fit.second();
    const known = this.batchFor(reader, session, second, BatchKind.InPlace);
    if (known !== null) {
      this.renderer.begin();
      return known;
    }
    const batch = this.freshBatch();
    batch.begin(reader, session, second, this.log.head, BatchKind.InPlace, this.mayShare(session));
    this.fitReader = reader;
    this.fitSession = session;
    this.renderer.buildInPlace(batch, reader, this.batchMessagesMax, this.isFit);
    const isScattered = batch.pieces < this.batchMessagesMax && batch.length - batch.at[0]! < SCATTERED_BELOW;
    if (isScattered && batch.walk.earliest(reader.pending.length) >= 0) {
      batch.invalidate();
      return null;
    }
    return batch;
  }

  private fitReader: Reader | null = null;
  private fitSession: Session | null = null;
  /** Bound once: building a batch allocates nothing. */
  private readonly isFit = (segment: Segment, entry: number, subscription: Subscription): boolean =>
    this.fit.isInPlace(this.fitReader!, this.fitSession!, subscription, segment, entry);

  private batchRendered(reader: Reader, session: Session): Batch {
    const second = this.fit.second();
    const known = this.batchFor(reader, session, second, BatchKind.Rendered);
    if (known !== null) {
      this.renderer.begin();
      return known;
    }
    const batch = this.freshBatch();
    batch.begin(reader, session, second, this.log.head, BatchKind.Rendered, this.mayShare(session));
    this.renderer.build(batch, reader, session, second, this.batchMessagesMax);
    return batch;
  }

  private writeBatch(batch: Batch, reader: Reader, session: Session, port: DeliveryPort): number {
    const whole = batch.pieces;
    const pieces = this.stamp(batch, session, 0);
    if (pieces < whole) this.renderer.forgetAliases(session, pieces);
    if (pieces === 0 && whole > 0) return Wrote.NoWindow;
    const start = batch.at[0]!;
    const length = whole === 0 ? 0 : batch.at[pieces]! - start;
    const wrote = whole === 0 ? 0 : port.write(batch.bytes, start, length);
    if (wrote < 0) {
      this.keepCutPieces(batch, session, port, pieces, 0);
      return Wrote.Gone;
    }
    this.stats.bytesOut += wrote;
    if (wrote > 0) reader.progressed(this.clock.nowMs());
    if (wrote === length) {
      if (pieces === whole) this.applyEnd(batch, reader);
      else this.moved(reader, batch.source[pieces - 1]!, batch.sourceByte[pieces - 1]!);
      if (!this.wroteWhole(batch, session, port, pieces)) return Wrote.Part;
      return pieces === whole ? Wrote.All : Wrote.NoWindow;
    }
    const gone = this.keepCutPieces(batch, session, port, pieces, wrote);
    if (gone > 0) this.moved(reader, batch.source[gone - 1]!, batch.sourceByte[gone - 1]!);
    return Wrote.Part;
  }

  /** The in-flight budget was used up for these readers: somebody else's acknowledgement makes room for them. */
  readonly starved = new Set<Reader>();

  /** Identifiers were given back: readers that starved may try again. */
  feed(): void {
    for (const reader of this.starved) if (reader.state === ReaderState.WindowFull) this.ready.push(reader);
    this.starved.clear();
  }

  /** Stamps identifiers into as many pieces as the session's window takes. Returns how many pieces may leave. */
  stamp(batch: Batch, session: Session, origin: number): number {
    if (batch.holes === 0) return batch.pieces;
    const inflight = session.inflight;
    const bytes = batch.bytes;
    let room = session.window - inflight.count;
    for (let piece = 0; piece < batch.pieces; piece++) {
      const hole = batch.hole[piece]!;
      if (hole === 0) continue;
      if (room <= 0) return piece;
      const state = batch.qos[piece] === 1 ? InflightState.Qos1 : InflightState.Qos2;
      const identifier = inflight.take(batch.offset[piece]! as Offset, state, origin);
      if (identifier === 0) {
        this.starved.add(session.reader);
        return piece;
      }
      room--;
      this.taken[piece] = identifier;
      bytes[hole] = identifier >>> 8;
      bytes[hole + 1] = identifier;
    }
    return batch.pieces;
  }

  /**
   * The socket took `wrote` bytes of `pieces` pieces: the port keeps the rest of the cut frame, later ones give their
   * identifiers back. Returns how many pieces have left or are kept to leave.
   */
  keepCutPieces(batch: Batch, session: Session, port: DeliveryPort, pieces: number, wrote: number): number {
    const at = batch.at[0]! + wrote;
    const cut = batch.pieceAt(at);
    const begun = at > batch.at[cut]!;
    const gone = begun ? cut + 1 : cut;
    this.renderer.forgetAliases(session, gone);
    for (let piece = pieces - 1; piece >= gone; piece--) {
      if (batch.hole[piece] !== 0) session.inflight.untake(this.taken[piece]!);
    }
    this.sent.pieces(session, batch, cut);
    if (begun) this.keepCut(batch, session, port, cut, at);
    return gone;
  }

  /** Keeps the rest of the piece that the socket cut at byte `at` of the batch. */
  keepCut(batch: Batch, session: Session, port: DeliveryPort, piece: number, at: number): void {
    const bytes = batch.at[piece + 1]! - batch.at[piece]! + this.largeBytes;
    this.sent.begun(session, batch.qos[piece]!, bytes);
    keepCut(batch, session, port, piece, at, this.renderer.large);
  }

  /** Bytes of the large frame's payload, which the batch does not hold. */
  private get largeBytes(): number {
    const { large } = this.renderer;
    return large === null ? 0 : large.payloadEnd - large.payloadAt;
  }

  /**
   * The first `pieces` pieces have left. If that is a large frame's head, now its payload follows, from the log. True
   * when all of it has left too.
   */
  wroteWhole(batch: Batch, session: Session, port: DeliveryPort, pieces: number): boolean {
    const { large } = this.renderer;
    if (large === null) {
      this.sent.pieces(session, batch, pieces);
      return true;
    }
    const { segment, payloadAt, payloadEnd } = large;
    this.sent.begun(session, batch.qos[0]!, batch.length + this.largeBytes);
    const wrote = port.write(segment.bytes, payloadAt, payloadEnd - payloadAt);
    if (wrote < 0) return true;
    this.stats.bytesOut += wrote;
    if (wrote < payloadEnd - payloadAt) {
      port.keepTail(segment, payloadAt + wrote, payloadEnd);
      return false;
    }
    this.sent.finished(session);
    return true;
  }
}
