// Ingest: from a chunk of a publisher's bytes to runs in the commit log. Frames are walked in place; neighbours that
// are canonical as they lie are copied in one piece, others are written canonically frame by frame. Nothing is
// allocated per message; only a topic that the caches do not know is decoded. @hot

import type { ByteWriter } from "../base/byteWriter.ts";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { errors } from "../packet/error.ts";
import { bodyAt, MALFORMED_LENGTH, NEED_MORE, PacketType, putVarint, remainingLength, varintBytes } from "../packet/frame.ts";
import { newPublishSpans, scanPublishProperties } from "../packet/publishProperties.ts";
import type { Filters, Route } from "./filters.ts";
import type { Pacing } from "./pacing.ts";
import type { Publisher } from "./publisher.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import type { Retained } from "./retained.ts";
import { CLASS_EXPIRY, CLASS_QOS_SHIFT, CLASS_RETAIN, CLASS_V5 } from "./runClass.ts";
import type { Stats } from "./stats.ts";

/** Why ingest() stopped where it did. Negative results below these are error codes (packet/error). */
export const IngestStatus = {
  /** The frame at the returned position is no PUBLISH. */
  Other: 0,
  /** Every whole frame is taken; the rest of the chunk is the beginning of one. */
  NeedMore: 1,
  /** The log has no room for the frame at the returned position. */
  NoRoom: 2,
} as const;

const SEND_QOS0 = 0x30;
const RETAIN = 1;
const DUP = 8;

export class Ingest {
  /** Why the last ingest() stopped: an IngestStatus, or the negative code of an error. */
  status: number = IngestStatus.Other;
  /** Nothing may wait: a message that the log has no room for is refused (QoS 0: dropped) and counted. */
  refusing = false;

  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly pacing: Pacing;
  private readonly retained: Retained;
  private readonly ready: ReadyQueue;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly spans = newPublishSpans();

  // The run that is being staged behind the active segment's end.
  private route: Route;
  private runClass = 0;
  private count = 0;
  private frameMax = 0;
  /** Bytes written behind the end. */
  private staged = 0;
  /** Bytes of the chunk that belong behind the staged ones and are still to be copied. */
  private copyFrom = 0;
  private copyTo = 0;
  /** The last frame was staged as it lies; so many bytes at its front make a neighbour the same. 0: it was not. */
  private repeatable = 0;
  private repeatMatched = false;
  private readonly noRoute: Route;

  constructor(
    log: CommitLog,
    filters: Filters,
    pacing: Pacing,
    retained: Retained,
    ready: ReadyQueue,
    stats: Stats,
    clock: Clock,
  ) {
    this.ready = ready;
    this.log = log;
    this.filters = filters;
    this.pacing = pacing;
    this.retained = retained;
    this.stats = stats;
    this.clock = clock;
    this.noRoute = { id: -3, filters: [] };
    this.route = this.noRoute;
  }

  /**
   * Takes the PUBLISH frames of `chunk[at..end)` up to the first other frame. Returns the position behind the last
   * frame taken and says in `status` why it stopped there. Acknowledgements are appended to `out`.
   */
  ingest(publisher: Publisher, chunk: Buffer, view: DataView, at: number, end: number, out: ByteWriter): number {
    let position = at;
    this.status = IngestStatus.NeedMore;
    while (position < end) {
      const first = chunk[position]!;
      if ((first & 0xf0) !== PacketType.Publish) {
        this.status = IngestStatus.Other;
        break;
      }
      let body = position + 2;
      let length = position + 1 < end ? chunk[position + 1]! : 128;
      if (length >= 128) {
        body = bodyAt(chunk, position, end);
        if (body === NEED_MORE) break;
        if (body === MALFORMED_LENGTH) {
          this.status = errors.remainingLengthTooLong.code;
          break;
        }
        length = remainingLength(chunk, position, body);
      }
      const frameEnd = body + length;
      if (frameEnd - position > publisher.packetBytesMax) {
        this.status = errors.packetTooLarge.code;
        break;
      }
      if (frameEnd > end) break;
      this.repeatable = 0;
      const status = this.frame(publisher, chunk, view, first, position, body, frameEnd, out);
      if (status !== 0) {
        this.status = status;
        break;
      }
      position = this.repeatable === 0 ? frameEnd : this.repeats(view, position, frameEnd, end);
    }
    this.commit(publisher, chunk);
    return position;
  }

  /**
   * The frame at[..frameEnd) was staged as it lies: takes the frames behind it that begin with the same bytes up to
   * the payload, and so have its length, topic and flags. Returns the position behind them.
   */
  private repeats(view: DataView, at: number, frameEnd: number, end: number): number {
    const bytes = frameEnd - at;
    const prefix = this.repeatable;
    const active = this.log.active;
    const room = active.bytes.length - active.used - this.staged - (this.copyTo - this.copyFrom);
    const last = Math.min(end, this.repeatMatched ? frameEnd + room : end) - bytes;
    let position = frameEnd;
    while (position <= last && samePrefix(view, at, position, prefix)) position += bytes;
    const count = (position - frameEnd) / bytes;
    this.stats.publishesIn += count;
    if (!this.repeatMatched) this.stats.unmatched += count;
    else {
      this.count += count;
      this.copyTo += position - frameEnd;
    }
    return position;
  }

  /** One whole PUBLISH. 0 when it is taken, else why not. */
  private frame(
    publisher: Publisher,
    chunk: Buffer,
    view: DataView,
    first: number,
    at: number,
    body: number,
    end: number,
    out: ByteWriter,
  ): number {
    const topicLength = body + 2 <= end ? (chunk[body]! << 8) | chunk[body + 1]! : 65_535;
    const topicEnd = body + 2 + topicLength;
    if (topicEnd > end) return errors.truncated.code;
    let route: Route | null;
    if (topicLength !== 0 && publisher.lastRoute !== null && publisher.isLastTopic(view, body + 2, topicLength)) {
      route = publisher.lastEpoch === this.filters.currentEpoch ? publisher.lastRoute : null;
    } else route = null;
    if (first === SEND_QOS0 && route !== null && (!publisher.v5 || chunk[topicEnd] === 0)) {
      // The most frequent frame: QoS 0, the topic of the last one, nothing that the canonical form would change.
      if (publisher.v5 && topicEnd >= end) return errors.truncated.code;
      if (end - topicEnd > publisher.payloadBytesMax) return errors.packetTooLarge.code;
      const status = this.stageAsIs(publisher, chunk, route, publisher.v5 ? CLASS_V5 : 0, at, end);
      if (status === 0) {
        this.repeatable = topicEnd - at + (publisher.v5 ? 1 : 0);
        this.repeatMatched = route.filters.length > 0;
      } else if (this.refusing) {
        this.stats.refusedPublishes++;
        return 0;
      }
      return status;
    }
    return this.frameWithCare(publisher, chunk, view, first, at, body, topicEnd, end, out);
  }

  private frameWithCare(
    publisher: Publisher,
    chunk: Buffer,
    view: DataView,
    first: number,
    at: number,
    body: number,
    topicEnd: number,
    end: number,
    out: ByteWriter,
  ): number {
    const qos = (first >>> 1) & 3;
    if (qos === 3) return errors.qosOutOfRange.code; // [MQTT-3.3.1-4]
    if (qos === 0 && (first & DUP) !== 0) return errors.dupWithQos0.code; // [MQTT-3.3.1-2]
    if (qos > publisher.qosMax) return errors.qosNotSupported.code; // [MQTT-3.2.2-11]
    if ((first & RETAIN) !== 0 && !publisher.retainAvailable) return errors.retainNotSupported.code; // [MQTT-3.2.2-14]
    let position = topicEnd;
    let identifier = 0;
    if (qos !== 0) {
      if (position + 2 > end) return errors.truncated.code;
      identifier = (chunk[position]! << 8) | chunk[position + 1]!;
      if (identifier === 0) return errors.packetIdentifierZero.code; // [MQTT-2.2.1-3]
      position += 2;
    }
    const topicLength = topicEnd - body - 2;
    const spans = this.spans;
    let payload = position;
    let runClass = qos << CLASS_QOS_SHIFT;
    let aliasAt = -1;
    if (publisher.v5) {
      payload = scanPublishProperties(chunk, position, end, spans);
      if (payload < 0) return payload;
      runClass |= CLASS_V5;
      if (spans.expiryAt >= 0) runClass |= CLASS_EXPIRY;
      aliasAt = spans.aliasAt;
    }
    if (end - payload > publisher.payloadBytesMax) return errors.packetTooLarge.code;
    let topic = chunk;
    let topicAt = body + 2;
    let topicBytes = topicLength;
    let topicView = view;
    if (aliasAt >= 0) {
      if (spans.topicAlias === 0) return errors.topicAliasZero.code; // [MQTT-3.3.2-8]
      if (spans.topicAlias > publisher.topicAliasMaximum) return errors.topicAliasTooLarge.code; // [MQTT-3.3.2-9]
      if (topicLength === 0) {
        const known = publisher.aliasTopic(spans.topicAlias);
        if (known === null) return errors.topicAliasUnknown.code;
        topic = known.bytes;
        topicView = known.view;
        topicAt = 0;
        topicBytes = known.bytes.length;
      }
    } else if (topicLength === 0) return errors.topicEmpty.code; // [MQTT-3.3.2-1] and §4.7.3
    let route = publisher.routeOf(this.filters, topicView, topicAt, topicBytes);
    if (route === null) {
      route = this.filters.resolve(topicView, topic, topicAt, topicBytes);
      if (route === null) return this.filters.topicError(topic, topicAt, topicBytes);
      publisher.remember(topicView, topic, topicAt, topicBytes, route, this.filters.currentEpoch);
    }
    if (aliasAt >= 0 && topicLength !== 0 && !publisher.setAlias(spans.topicAlias, chunk, topicAt, topicBytes)) {
      return errors.quotaExceeded.code;
    }
    if (qos === 2 && publisher.received(identifier)) {
      acknowledge(out, PacketType.Pubrec, identifier); // [MQTT-4.3.3-10]: known, not delivered again
      return 0;
    }
    if (qos !== 0 && !publisher.mayReceive(qos)) return errors.receiveMaximumExceeded.code;
    if ((first & RETAIN) !== 0) {
      runClass |= CLASS_RETAIN;
      const number = publisher.number;
      const props = publisher.v5 ? position : payload;
      const stored = this.retained.publish(
        number, topic, topicAt, topicBytes, chunk, props, payload, end, runClass, aliasAt,
      );
      if (!stored) {
        this.stats.refusedPublishes++;
        if (qos === 0) return 0;
        acknowledgeWith(out, publisher.v5, qos, identifier, errors.quotaExceeded.reason);
        return publisher.v5 ? 0 : errors.quotaExceeded.code;
      }
    }
    let status = 0;
    if (qos === 0 && (first & RETAIN) === 0 && aliasAt < 0) status = this.stageAsIs(publisher, chunk, route, runClass, at, end);
    else {
      const props = publisher.v5 ? position : payload;
      status = this.stageCanonical(publisher, chunk, route, runClass, topic, topicAt, topicBytes, props, payload, end, aliasAt);
    }
    if (status === IngestStatus.NoRoom && (this.refusing || (qos !== 0 && publisher.v5))) {
      this.stats.refusedPublishes++;
      if (qos !== 0) acknowledgeWith(out, publisher.v5, qos, identifier, errors.quotaExceeded.reason);
      return qos === 0 || publisher.v5 ? 0 : errors.quotaExceeded.code;
    }
    if (status !== 0 || qos === 0) return status;
    if (qos === 1) acknowledge(out, PacketType.Puback, identifier);
    else {
      publisher.receive(identifier);
      acknowledge(out, PacketType.Pubrec, identifier);
    }
    return 0;
  }

  /** Adds chunk[at..end), which is canonical, to the run. */
  private stageAsIs(
    publisher: Publisher,
    chunk: Buffer,
    route: Route,
    runClass: number,
    at: number,
    end: number,
  ): number {
    const bytes = end - at;
    this.stats.publishesIn++;
    if (route.filters.length === 0) {
      this.stats.unmatched++;
      return 0;
    }
    if (route !== this.route || runClass !== this.runClass || !this.fits(bytes)) {
      const status = this.beginRun(publisher, chunk, route, runClass, bytes);
      if (status !== 0) return status;
    }
    if (this.copyTo !== at) {
      this.copyPending(chunk);
      this.copyFrom = at;
    }
    this.copyTo = end;
    this.count++;
    if (bytes > this.frameMax) this.frameMax = bytes;
    return 0;
  }

  /** Writes the canonical form of a frame behind the run: no identifier, alias resolved, DUP and RETAIN clear. */
  private stageCanonical(
    publisher: Publisher,
    chunk: Buffer,
    route: Route,
    runClass: number,
    topic: Buffer,
    topicAt: number,
    topicBytes: number,
    propertiesAt: number,
    payload: number,
    end: number,
    aliasAt: number,
  ): number {
    this.stats.publishesIn++;
    if (route.filters.length === 0) {
      this.stats.unmatched++;
      return 0;
    }
    let properties = payload - propertiesAt;
    let propertyLength = 0;
    if (aliasAt >= 0) {
      propertyLength = this.spans.propertiesEnd - this.spans.propertiesAt - 3;
      properties = varintBytes(propertyLength) + propertyLength;
    }
    const remaining = 2 + topicBytes + properties + end - payload;
    const bytes = 1 + varintBytes(remaining) + remaining;
    if (route !== this.route || runClass !== this.runClass || !this.fits(bytes)) {
      const status = this.beginRun(publisher, chunk, route, runClass, bytes);
      if (status !== 0) return status;
    }
    this.copyPending(chunk);
    const target = this.log.active.bytes;
    let to = this.log.active.used + this.staged;
    target[to++] = SEND_QOS0;
    to = putVarint(target, to, remaining);
    target[to++] = topicBytes >>> 8;
    target[to++] = topicBytes;
    topic.copy(target, to, topicAt, topicAt + topicBytes);
    to += topicBytes;
    if (aliasAt >= 0) {
      to = putVarint(target, to, propertyLength);
      chunk.copy(target, to, this.spans.propertiesAt, aliasAt);
      to += aliasAt - this.spans.propertiesAt;
      chunk.copy(target, to, aliasAt + 3, end);
    } else chunk.copy(target, to, propertiesAt, end);
    this.staged += bytes;
    this.count++;
    if (bytes > this.frameMax) this.frameMax = bytes;
    return 0;
  }

  private fits(bytes: number): boolean {
    const active = this.log.active;
    return this.staged + this.copyTo - this.copyFrom + bytes <= active.bytes.length - active.used;
  }

  private beginRun(publisher: Publisher, chunk: Buffer, route: Route, runClass: number, bytes: number): number {
    this.commit(publisher, chunk);
    if (!this.log.prepare(bytes, route.filters.length)) {
      this.stats.publishesIn--;
      return IngestStatus.NoRoom;
    }
    this.route = route;
    this.runClass = runClass;
    return 0;
  }

  private copyPending(chunk: Buffer): void {
    const bytes = this.copyTo - this.copyFrom;
    if (bytes > 0) {
      const active = this.log.active;
      chunk.copy(active.bytes, active.used + this.staged, this.copyFrom, this.copyTo);
      this.staged += bytes;
    }
    this.copyFrom = 0;
    this.copyTo = 0;
  }

  /** Ends the run: it becomes part of the log and its filters' readers are woken. */
  private commit(publisher: Publisher, chunk: Buffer): void {
    if (this.count > 0) {
      this.copyPending(chunk);
      const now = (this.clock.nowMs() / 1000) >>> 0;
      const { route, staged, count, frameMax, runClass } = this;
      this.publishRun(route, staged, count, frameMax, publisher.number, now, runClass, publisher);
    }
    this.count = 0;
    this.frameMax = 0;
    this.staged = 0;
    this.route = this.noRoute;
  }

  /** Commits bytes that lie staged behind the active segment's end, posts them and wakes readers. */
  publishRun(
    route: Route,
    bytes: number,
    count: number,
    frameMax: number,
    number: number,
    seconds: number,
    runClass: number,
    publisher: Publisher | null,
  ): void {
    const segment = this.log.active;
    const from = segment.used;
    const run = this.log.commit(bytes, count, frameMax, number, route.id, seconds, runClass);
    const filters = route.filters;
    for (let i = 0; i < filters.length; i++) {
      const filter = filters[i]!;
      const entry = this.log.post(filter.id, run, count, bytes, runClass, frameMax);
      if (filter.armed) this.filters.wake(filter, segment, entry, from);
      this.pacing.appended(filter, publisher);
    }
    this.stats.publishBytesIn += bytes;
    this.ready.appended(bytes);
  }
}

/** The `length` bytes, at least 4, at `a` and at `b` are the same. */
function samePrefix(view: DataView, a: number, b: number, length: number): boolean {
  const last = length - 4;
  for (let i = 0; i < last; i += 4) if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  return view.getInt32(a + last) === view.getInt32(b + last);
}

function acknowledge(out: ByteWriter, type: number, identifier: number): void {
  out.reserve(4);
  const bytes = out.bytes;
  const at = out.length;
  bytes[at] = type;
  bytes[at + 1] = 2;
  bytes[at + 2] = identifier >>> 8;
  bytes[at + 3] = identifier;
  out.length = at + 4;
}

function acknowledgeWith(out: ByteWriter, v5: boolean, qos: number, identifier: number, reason: number): void {
  if (!v5) return;
  out.u8(qos === 1 ? PacketType.Puback : PacketType.Pubrec);
  out.u8(3);
  out.u16(identifier);
  out.u8(reason);
}
