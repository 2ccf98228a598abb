// Render: from canonical frames of the log to the frames of one view: QoS, RETAIN, Subscription Identifiers, expiry
// and protocol version. Filters are merged by position, so that a message that several of a session's filters match
// goes out once, in log order, at the highest granted QoS and with every identifier. @hot

import type { Budget } from "../base/budget.ts";
import type { CommitLog } from "../log/commitLog.ts";
import {
  RUN_BYTES,
  RUN_BYTE_AT,
  RUN_CLASS,
  RUN_COUNT,
  RUN_FIRST,
  RUN_FRAME_MAX,
  RUN_PUBLISHER,
  RUN_STRIDE,
  RUN_TIME,
  type Segment,
} from "../log/segment.ts";
import { frameBytes, putVarint, varintBytes } from "../packet/frame.ts";
import { newPublishSpans, scanPublishProperties } from "../packet/publishProperties.ts";
import type { Reader } from "../session/reader.ts";
import { ALIAS_COST, type Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { BATCH_BYTES, type Batch, RENDERED_FRAME_MAX } from "./batch.ts";
import { mayStillGet } from "./mayStillGet.ts";
import { CLASS_EXPIRY, CLASS_HOLE, CLASS_INBOX, CLASS_RETAIN, CLASS_V5, classQos } from "./runClass.ts";
import type { Walk } from "./walk.ts";

const SUBSCRIPTION_IDENTIFIER = 0x0b;
const TOPIC_ALIAS = 0x23;
const TOPIC_ALIAS_BYTES = 3;
/** Subscription Identifiers of one message, bytes; a session's matching filters beyond it are not named. */
const IDENTIFIER_BYTES_MAX = 4096;

/** How the records of one stretch of the log look to one session. */
export class View {
  /** -1: the stretch is not delivered. */
  qos = 0;
  retain = false;
  /** Subscription Identifier properties, ready to copy. */
  readonly identifiers = Buffer.alloc(IDENTIFIER_BYTES_MAX);
  identifierBytes = 0;

  addIdentifier(identifier: number): void {
    if (identifier === 0 || this.identifierBytes + 5 > IDENTIFIER_BYTES_MAX) return;
    this.identifiers[this.identifierBytes] = SUBSCRIPTION_IDENTIFIER;
    this.identifierBytes = putVarint(this.identifiers, this.identifierBytes + 1, identifier);
  }
}

export interface IntroducedAlias {
  readonly piece: number;
  readonly topic: string;
}

/** A frame too large to render: its head is, its payload is written from the log. */
export interface LargeFrame {
  segment: Segment;
  payloadAt: number;
  payloadEnd: number;
}

export class Renderer {
  private readonly log: CommitLog;
  /** Of the sessions: their Topic Aliases are charged. */
  private readonly budget: Budget;
  readonly view = new View();
  private readonly spans = newPublishSpans();
  /** Topic Aliases that pieces of the batch tell the client for the first time. */
  readonly introduced: IntroducedAlias[] = [];
  /** QoS 0 messages below this Offset were published while the session's client was away. */
  private offlineBelow = 0;
  /** Messages below this Offset may be such that the client may not be sent any more. */
  private judgedBelow = 0;
  /** Set by build() when the batch is one large frame's head. */
  large: LargeFrame | null = null;

  constructor(log: CommitLog, budget: Budget) {
    this.log = log;
    this.budget = budget;
  }

  /**
   * Renders into `batch`, which was begun for `reader`, up to `messagesMax` QoS 1 and 2 messages, BATCH_BYTES or the
   * end of what the reader owes. `second` is now on the log's clock.
   */
  build(batch: Batch, reader: Reader, session: Session, second: number, messagesMax: number): void {
    this.begin();
    this.offlineBelow = reader.session === null ? 0 : session.qos0From;
    this.judgedBelow = reader.session === null ? 0 : session.judgedBelow;
    const { walk } = batch;
    let messages = messagesMax;
    while (batch.length < BATCH_BYTES && batch.pieces < batch.piecesMax) {
      const first = walk.earliest(reader.pending.length);
      if (first < 0) break;
      const segment = walk.segment[first]!;
      const from = walk.from[first]!;
      const stop = this.stretch(walk, reader, session.number, segment, from);
      const done = this.records(batch, session, segment, from, stop, second, messages);
      walk.advance(this.log.segments, reader.pending.length, segment, done);
      batch.endSegment = segment;
      batch.endByte = done;
      if (this.large !== null || done < stop) break;
      messages = messagesMax - batch.holes;
      if (messages <= 0) break;
    }
  }

  /**
   * Makes `batch` of frames that lie in the log as their readers get them but for the Packet Identifier: the batch is
   * a range of the segment, its holes are stamped there. `isFit` says so of an entry; the range ends where the next
   * owed byte is not its neighbour.
   */
  buildInPlace(
    batch: Batch,
    reader: Reader,
    messagesMax: number,
    isFit: (segment: Segment, entry: number, subscription: Subscription) => boolean,
  ): void {
    this.begin();
    const { walk } = batch;
    const count = reader.pending.length;
    let end = -1;
    let segment: Segment | null = null;
    while (batch.pieces < messagesMax) {
      const first = walk.earliest(count);
      if (first < 0) return;
      const at = walk.segment[first]!;
      const from = walk.from[first]!;
      if (segment === null) {
        segment = at;
        batch.bytes = at.bytes as Buffer;
        batch.length = from;
        batch.at[0] = from;
      } else if (at !== segment || from !== end) return;
      if (!isFit(at, walk.entry[first]!, reader.pending[first]!)) return;
      end = this.framesInPlace(batch, at, from, at.entryEnd(walk.entry[first]!), messagesMax);
      walk.advance(this.log.segments, count, at, end);
      batch.endSegment = at;
      batch.endByte = end;
    }
  }

  private framesInPlace(
    batch: Batch,
    segment: Segment,
    from: number,
    stop: number,
    messagesMax: number,
  ): number {
    const { bytes } = segment;
    let run = segment.runAtByte(from);
    let offset =
      segment.baseOffset + segment.runs[run * RUN_STRIDE + RUN_FIRST]! + recordsBefore(segment, run, from);
    let runEnd = segment.runEnd(run);
    let at = from;
    while (at < stop && batch.pieces < messagesMax) {
      if (at === runEnd) {
        run++;
        offset = segment.baseOffset + segment.runs[run * RUN_STRIDE + RUN_FIRST]!;
        runEnd = segment.runEnd(run);
      }
      const length = frameBytes(bytes, at);
      const body = at + length - bodyLength(length);
      const hole = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
      batch.addPiece(length, segment, at + length, hole, (bytes[at]! >>> 1) & 3, offset);
      at += length;
      offset++;
    }
    return at;
  }

  /**
   * From `from` on, how far the same filters match: within one run, one entry of each. Fills the view with what
   * they say together. Overlaps: highest QoS; RETAIN is kept if any of them asked Retain As Published; No Local
   * excludes only the filters that carry it. `session` is the session's number.
   */
  stretch(walk: Walk, reader: Reader, session: number, segment: Segment, from: number): number {
    const run = segment.runAtByte(from);
    const runAt = run * RUN_STRIDE;
    let stop = segment.runEnd(run);
    const runClass = segment.runs[runAt + RUN_CLASS]!;
    const publisher = segment.runs[runAt + RUN_PUBLISHER]!;
    const view = this.view;
    view.identifierBytes = 0;
    const pending = reader.pending;
    if ((runClass & CLASS_INBOX) !== 0) {
      view.qos = classQos(runClass);
      view.retain = true; // [MQTT-3.3.1-8]
      view.addIdentifier(publisher);
      return stop;
    }
    const published = classQos(runClass);
    let granted = -1;
    let asPublished = false;
    for (let i = 0; i < pending.length; i++) {
      if (walk.segment[i] !== segment) continue;
      const at = walk.from[i]!;
      if (at > from) {
        if (at < stop) stop = at;
        continue;
      }
      const subscription = pending[i]!;
      if (subscription.noLocal && publisher === session) continue; // [MQTT-3.8.3-3]
      if (subscription.qos > granted) granted = subscription.qos; // [MQTT-3.3.4-2]
      if (subscription.retainAsPublished) asPublished = true;
      view.addIdentifier(subscription.identifier); // [MQTT-3.3.4-3, -4]
    }
    view.qos = granted < 0 ? -1 : Math.min(published, granted);
    view.retain = asPublished && (runClass & CLASS_RETAIN) !== 0; // [MQTT-3.3.1-12, -13]
    return stop;
  }

  /** Renders the records of segment.bytes[from..stop), which have one view. Returns how far it got. */
  private records(
    batch: Batch,
    session: Session,
    segment: Segment,
    from: number,
    stop: number,
    second: number,
    messagesMax: number,
  ): number {
    const view = this.view;
    if (view.qos < 0) return stop;
    const runs = segment.runs;
    const run = segment.runAtByte(from);
    const runAt = run * RUN_STRIDE;
    const runClass = runs[runAt + RUN_CLASS]!;
    const age = second - runs[runAt + RUN_TIME]!;
    let relative = runs[runAt + RUN_FIRST]! + recordsBefore(segment, run, from);
    let at = from;
    let messages = 0;
    while (at < stop) {
      if (batch.pieces >= batch.piecesMax || batch.length >= BATCH_BYTES || messages >= messagesMax)
        return at;
      const length = frameBytes(segment.bytes, at);
      const offset = segment.baseOffset + relative;
      if (offset < this.offlineBelow && classQos(runClass) === 0) batch.droppedOffline++;
      else if (offset < this.judgedBelow && !mayStillGet(session, segment.bytes, at)) batch.droppedDenied++;
      else if (length > RENDERED_FRAME_MAX) {
        if (batch.pieces > 0) return at;
        if (this.largeHead(batch, session, segment, at, length, runClass, age, offset)) return at + length;
      } else if (this.one(batch, session, segment, at, length, runClass, age, offset, 0) && view.qos > 0)
        messages++;
      at += length;
      relative++;
    }
    return at;
  }

  /** Renders one record as a piece; false when it is passed over. `dup` is 8 for a frame that is sent again. */
  one(
    batch: Batch,
    session: Session,
    segment: Segment,
    at: number,
    length: number,
    runClass: number,
    age: number,
    offset: number,
    dup: number,
  ): boolean {
    const bytes = segment.bytes as Buffer;
    const head = this.head(batch, session, bytes, at, length, runClass, age, dup);
    if (head < 0) return false;
    const payloadAt = this.payloadAt;
    const payload = at + length - payloadAt;
    bytes.copy(batch.bytes, batch.length + head, payloadAt, at + length);
    batch.addPiece(head + payload, segment, at + length, this.hole, this.view.qos, offset);
    return true;
  }

  private payloadAt = 0;
  private hole = 0;

  /**
   * Writes everything before the payload at the batch's end. Returns its bytes, -1 if the message is passed over
   * (counted in the batch). Sets payloadAt and hole.
   */
  private head(
    batch: Batch,
    session: Session,
    bytes: Buffer,
    at: number,
    length: number,
    runClass: number,
    age: number,
    dup: number,
  ): number {
    const view = this.view;
    const spans = this.spans;
    const end = at + length;
    const body = end - bodyLength(length);
    const topicEnd = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
    let payloadAt = (runClass & CLASS_HOLE) === 0 ? topicEnd : topicEnd + 2;
    let forwarded = 0;
    if ((runClass & CLASS_V5) !== 0) {
      payloadAt = scanPublishProperties(bytes, payloadAt, end, spans);
      forwarded = spans.propertiesEnd - spans.propertiesAt;
      // [MQTT-4.3.2-3] [MQTT-4.3.3-7]: what has been sent once does not expire any more.
      if ((runClass & CLASS_EXPIRY) !== 0 && spans.expirySeconds <= age && dup === 0) {
        batch.droppedExpired++; // [MQTT-3.3.2-5]
        return -1;
      }
    }
    const v5 = session.v5;
    const aliased = v5 && session.aliasMax > 0;
    const alias = aliased ? this.aliasOf(session, bytes, body + 2, topicEnd) : 0;
    const topicFrom = alias > 0 ? topicEnd : body + 2;
    const propertyLength = v5 ? forwarded + view.identifierBytes + (alias !== 0 ? TOPIC_ALIAS_BYTES : 0) : 0;
    const identifier = view.qos > 0 ? 2 : 0;
    const properties = v5 ? varintBytes(propertyLength) + propertyLength : 0;
    const remaining = 2 + topicEnd - topicFrom + identifier + properties + end - payloadAt;
    if (1 + varintBytes(remaining) + remaining > session.frameMax) {
      batch.droppedTooLarge++; // [MQTT-3.1.2-24, -25]
      return -1;
    }
    batch.reserve(10 + remaining - (end - payloadAt > RENDERED_FRAME_MAX ? end - payloadAt : 0));
    const out = batch.bytes;
    const start = batch.length;
    let to = start;
    out[to++] = 0x30 | dup | (view.qos << 1) | (view.retain ? 1 : 0);
    to = putVarint(out, to, remaining);
    out[to++] = alias > 0 ? 0 : bytes[body]!;
    out[to++] = alias > 0 ? 0 : bytes[body + 1]!;
    bytes.copy(out, to, topicFrom, topicEnd);
    to += topicEnd - topicFrom;
    this.hole = 0;
    if (identifier !== 0) {
      this.hole = to;
      to += 2;
    }
    if (v5) {
      to = putVarint(out, to, propertyLength);
      if (forwarded > 0) {
        bytes.copy(out, to, spans.propertiesAt, spans.propertiesEnd);
        if ((runClass & CLASS_EXPIRY) !== 0) {
          const expiryAt = to + spans.expiryAt - spans.propertiesAt;
          out.writeUInt32BE(Math.max(0, spans.expirySeconds - age), expiryAt); // [MQTT-3.3.2-6]
        }
        to += forwarded;
      }
      if (alias !== 0) to = this.putAlias(batch, session, alias, to, bytes, body + 2, topicEnd);
      if (view.identifierBytes > 0) {
        view.identifiers.copy(out, to, 0, view.identifierBytes);
        to += view.identifierBytes;
      }
    }
    this.payloadAt = payloadAt;
    return to - start;
  }

  /** The topic's alias if the client knows it; negative: it may be told this one now; 0: there is none to give. */
  private aliasOf(session: Session, bytes: Buffer, at: number, end: number): number {
    const known = session.aliases?.get(bytes.toString("latin1", at, end));
    if (known !== undefined) return known;
    const given = session.aliases?.size ?? 0;
    const isPermitted = given < session.aliasMax && session.mayCharge(this.budget, ALIAS_COST + end - at);
    return isPermitted ? -(given + 1) : 0; // [MQTT-3.1.2-26]
  }

  private putAlias(
    batch: Batch,
    session: Session,
    alias: number,
    at: number,
    bytes: Buffer,
    topicAt: number,
    topicEnd: number,
  ): number {
    batch.bytes[at] = TOPIC_ALIAS;
    batch.bytes.writeUInt16BE(Math.abs(alias), at + 1);
    if (alias < 0) {
      const topic = bytes.toString("latin1", topicAt, topicEnd);
      session.tellAlias(this.budget, topic, -alias);
      this.introduced.push({ piece: batch.pieces, topic });
    }
    return at + TOPIC_ALIAS_BYTES;
  }

  /** Pieces from `gone` on do not leave: the client is not told their aliases. Fewer may leave in the end. */
  forgetAliases(session: Session, gone: number): void {
    const { introduced } = this;
    while (introduced.length > 0 && introduced[introduced.length - 1]!.piece >= gone) {
      session.forgetAlias(this.budget, introduced.pop()!.topic);
    }
  }

  /** Forgets what the last batch left to be done. */
  begin(): void {
    this.large = null;
    this.introduced.length = 0;
  }

  /** The head of a large frame as the batch's only piece; the payload stays in the log. */
  largeHead(
    batch: Batch,
    session: Session,
    segment: Segment,
    at: number,
    length: number,
    runClass: number,
    age: number,
    offset: number,
    dup = 0,
  ): boolean {
    const head = this.head(batch, session, segment.bytes as Buffer, at, length, runClass, age, dup);
    if (head < 0) return false;
    batch.addPiece(head, segment, at + length, this.hole, this.view.qos, offset);
    batch.invalidate();
    this.large = { segment, payloadAt: this.payloadAt, payloadEnd: at + length };
    return true;
  }
}

/** Records of `run` that lie before byte `to`. */
export function recordsBefore(segment: Segment, run: number, to: number): number {
  const runAt = run * RUN_STRIDE;
  const start = segment.runs[runAt + RUN_BYTE_AT]!;
  if (to === start) return 0;
  const frameMax = segment.runs[runAt + RUN_FRAME_MAX]!;
  if (segment.runs[runAt + RUN_COUNT]! * frameMax === segment.runs[runAt + RUN_BYTES]!) {
    return Math.floor((to - start) / frameMax);
  }
  let records = 0;
  for (let at = start; at < to; at += frameBytes(segment.bytes, at)) {
    if (at + frameBytes(segment.bytes, at) > to) break;
    records++;
  }
  return records;
}

/** Remaining Length of a frame of `length` bytes. */
function bodyLength(length: number): number {
  const body = length - 2;
  if (body < 128) return body;
  if (body - 1 < 16_384) return body - 1;
  return body - 2 < 2_097_152 ? body - 2 : body - 3;
}
