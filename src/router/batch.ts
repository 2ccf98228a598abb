// Batch: frames rendered once for every reader that stands at the same place with the same view of it: the same
// filters, options and protocol. Packet Identifiers are holes that each reader stamps before its own write. @hot
//
// A gathered batch holds scattered runs as they lie: its pieces are byte ranges, and a cut within one is a position in
// the log. A rendered batch has one frame a piece; the rest of a cut frame is kept by the port. A batch in place has
// one frame a piece too, but they lie in the segment: each reader stamps it and writes before the next one does.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { Segment } from "../log/segment.ts";
import type { Reader } from "../session/reader.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Stats } from "./stats.ts";
import { Walk } from "./walk.ts";

export const BATCH_PIECES_MAX = 1024;
/** A batch ends behind the frame that reaches this. */
export const BATCH_BYTES = 64 * 1024;
/** A larger frame is not rendered: its payload is written from the log. */
export const RENDERED_FRAME_MAX = 64 * 1024;
/** A frame that is rendered may be longer than it lies in the log, by its Subscription Identifiers most of all. */
const CAPACITY = BATCH_BYTES + RENDERED_FRAME_MAX + 4096 + 64;
/** Budgeted bytes of one batch: its frames, and for each piece five numbers and a reference. */
export const BATCH_COST = CAPACITY + BATCH_PIECES_MAX * (4 + 8 + 4 + 4 + 1 + 8) + 4;
/** Readers with more pending filters than this render for themselves. */
const SHARED_FILTERS_MAX = 32;

export const BatchKind = { Rendered: 0, Gathered: 1, InPlace: 2 } as const;
export type BatchKind = (typeof BatchKind)[keyof typeof BatchKind];

export class Batch {
  private readonly scratch: Buffer = Buffer.from(new ArrayBuffer(CAPACITY));
  /** Where the pieces lie: the batch's own bytes, or a segment's when it was built in place. */
  bytes: Buffer = this.scratch;
  /** Position behind the last piece in `bytes`. */
  length = 0;
  pieces = 0;
  kind: BatchKind = BatchKind.Rendered;
  /** A batch that is to be smaller than it could: 1..BATCH_PIECES_MAX. */
  piecesMax = BATCH_PIECES_MAX;
  /** Start of each piece in `bytes`, and behind the last one the end. */
  readonly at = new Uint32Array(BATCH_PIECES_MAX + 1);
  /** Where each piece begins (gathered) or ends (others) in the log. */
  readonly source: (Segment | null)[] = new Array<Segment | null>(BATCH_PIECES_MAX).fill(null);
  readonly sourceByte = new Uint32Array(BATCH_PIECES_MAX);
  /** Position of the Packet Identifier in `bytes`, 0 for QoS 0. */
  readonly hole = new Uint32Array(BATCH_PIECES_MAX);
  /** Pieces with a hole. */
  holes = 0;
  readonly qos = new Uint8Array(BATCH_PIECES_MAX);
  /** 1, 2, 4 for pieces of QoS 0, 1, 2. */
  qosSeen = 0;
  /** Gathered: messages in all pieces. */
  messages = 0;
  readonly offset = new Float64Array(BATCH_PIECES_MAX);
  /** Messages passed over because the client cannot take them, because they expired, because nobody was there. */
  droppedTooLarge = 0;
  droppedExpired = 0;
  droppedOffline = 0;
  /** And because it may not be sent them any more. */
  droppedDenied = 0;

  /** The filters' positions: behind the last piece while the batch is built, and then where the whole batch ends. */
  readonly walk = new Walk();
  /** How far in the log the whole batch goes, messages passed over included. */
  endSegment: Segment | null = null;
  endByte = 0;
  /** The log's head when the batch was built: positions of parked filters hold only as long. */
  head = 0;

  // The view: who may share it.
  private shareable = false;
  private v5 = false;
  private frameMax = 0;
  private second = 0;
  private filters = 0;
  private readonly filter = new Uint32Array(SHARED_FILTERS_MAX);
  private readonly options = new Float64Array(SHARED_FILTERS_MAX);
  private readonly startSequence = new Float64Array(SHARED_FILTERS_MAX);
  private readonly startByte = new Uint32Array(SHARED_FILTERS_MAX);

  constructor(budget: Budget) {
    const taken = budget.take(BATCH_COST);
    assert(taken, "the budget holds every batch");
  }

  /** Notes whose view the batch is going to be; pieces follow. */
  begin(
    reader: Reader,
    session: Session,
    second: number,
    head: number,
    kind: BatchKind,
    shareable: boolean,
  ): void {
    this.bytes = this.scratch;
    this.length = 0;
    this.pieces = 0;
    this.holes = 0;
    this.qosSeen = 0;
    this.messages = 0;
    this.piecesMax = BATCH_PIECES_MAX;
    this.kind = kind;
    this.at[0] = 0;
    this.droppedTooLarge = 0;
    this.droppedExpired = 0;
    this.droppedOffline = 0;
    this.droppedDenied = 0;
    this.head = head;
    this.walk.begin(reader);
    const pending = reader.pending;
    this.shareable = shareable && pending.length <= SHARED_FILTERS_MAX && !pending.some(hasNoLocal);
    if (!this.shareable) return;
    this.v5 = session.v5;
    this.frameMax = session.frameMax;
    this.second = second;
    this.filters = pending.length;
    for (let i = 0; i < pending.length; i++) {
      const subscription = pending[i]!;
      this.filter[i] = subscription.filter;
      this.options[i] = optionsOf(subscription);
      this.startSequence[i] = subscription.segment!.sequence;
      this.startByte[i] = subscription.from;
    }
  }

  /** The reader stands where this batch begins and would render the same bytes. */
  serves(reader: Reader, session: Session, second: number, kind: BatchKind): boolean {
    const pending = reader.pending;
    if (!this.shareable || this.kind !== kind || this.filters !== pending.length || this.pieces === 0)
      return false;
    if (this.v5 !== session.v5 || this.frameMax !== session.frameMax || this.second !== second) return false;
    for (let i = 0; i < pending.length; i++) {
      const subscription = pending[i]!;
      if (
        this.filter[i] !== subscription.filter ||
        this.startSequence[i] !== subscription.segment!.sequence ||
        this.startByte[i] !== subscription.from ||
        this.options[i] !== optionsOf(subscription)
      ) {
        return false;
      }
    }
    return true;
  }

  /** Adds what was passed over to the counters. */
  countDropped(stats: Stats): void {
    stats.droppedTooLarge += this.droppedTooLarge;
    stats.droppedExpired += this.droppedExpired;
    stats.offlineQos0 += this.droppedOffline;
    stats.deniedDeliveries += this.droppedDenied;
  }

  /** Nothing may share it any more. */
  invalidate(): void {
    this.shareable = false;
  }

  /** Room for another piece of `bytes` bytes. */
  fits(bytes: number): boolean {
    return this.pieces < BATCH_PIECES_MAX && this.length + bytes <= CAPACITY;
  }

  /**
   * Makes room for a piece of `bytes` bytes. One that a batch never has (properties of a large frame) gets a buffer
   * of its own, as large as a packet may be; call shrink() when it has left.
   */
  reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(this.length + bytes);
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Gives back what reserve() took beside the batch's own bytes: such a frame is alone in it and not shared. */
  shrink(): void {
    if (this.kind === BatchKind.InPlace || this.bytes === this.scratch) return;
    this.bytes = this.scratch;
    this.shareable = false;
  }

  /** Ends a piece of `bytes` bytes that was written at `length`. */
  addPiece(bytes: number, segment: Segment, byte: number, hole: number, qos: number, offset: number): void {
    const piece = this.pieces++;
    assert(piece < BATCH_PIECES_MAX, "a batch has room for its pieces");
    this.at[piece] = this.length;
    this.length += bytes;
    this.at[piece + 1] = this.length;
    this.source[piece] = segment;
    this.sourceByte[piece] = byte;
    this.hole[piece] = hole;
    if (hole !== 0) this.holes++;
    this.qos[piece] = qos;
    this.qosSeen |= 1 << qos;
    this.offset[piece] = offset;
  }

  /** The piece that holds byte `at`; `pieces` when it is behind all. */
  pieceAt(at: number): number {
    let low = 0;
    let high = this.pieces;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.at[middle + 1]! <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whose messages are left out differs from reader to reader. */
function hasNoLocal(subscription: Subscription): boolean {
  return subscription.noLocal;
}

/** The options that change frames, in one number. */
function optionsOf(subscription: Subscription): number {
  return (
    subscription.identifier * 16 +
    (subscription.retainAsPublished ? 8 : 0) +
    (subscription.noLocal ? 4 : 0) +
    subscription.qos
  );
}
