// Ingest: from a chunk of a publisher's bytes to runs in the commit log. Frames are walked in place; neighbours that
// are canonical as they lie are copied in one piece, others are written canonically frame by frame. Nothing is
// allocated per message; only a topic that the caches do not know is decoded. @hot

import type { ByteWriter } from "../base/byteWriter.ts";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { errors } from "../packet/error.ts";
import {
  bodyAt,
  MALFORMED_LENGTH,
  NEED_MORE,
  PacketType,
  putVarint,
  remainingLength,
  varintBytes,
} from "../packet/frame.ts";
import { acknowledge, answer } from "./answer.ts";
import { type Filters, Route } from "./filters.ts";
import type { Latency } from "./latency.ts";
import type { Pacing } from "./pacing.ts";
import type { Publisher } from "./publisher.ts";
import { DUP, PublishFrame, RETAIN } from "./publishFrame.ts";
import type { ReadyQueue } from "./readyQueue.ts";
import type { Retained } from "./retained.ts";
import { CLASS_HOLE, CLASS_RETAIN, CLASS_V5, classQos } from "./runClass.ts";
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

/** Wait: it waits where it lies. Answerable: a v5 QoS 1 or 2 publish gets 0x97. All: QoS 0 is dropped too; counted. */
export const Refusal = { Wait: 0, Answerable: 1, All: 2 } as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

const SEND_QOS0 = 0x30;
const QOS = 6;
const QOS1 = 2;

export class Ingest {
  /** Why the last ingest() stopped: an IngestStatus, or the negative code of an error. */
  status: number = IngestStatus.Other;
  /** What becomes of a message that the log has no room for. */
  refusal: Refusal = Refusal.Wait;
  /** A client that publishes what it may not is closed where no packet can tell it. */
  cutsDenied = false;

  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly pacing: Pacing;
  private readonly retained: Retained;
  private readonly ready: ReadyQueue;
  private readonly latency: Latency;
  private readonly stats: Stats;
  private readonly clock: Clock;
  private readonly parsed = new PublishFrame();

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
    latency: Latency,
    stats: Stats,
    clock: Clock,
  ) {
    this.ready = ready;
    this.latency = latency;
    this.log = log;
    this.filters = filters;
    this.pacing = pacing;
    this.retained = retained;
    this.stats = stats;
    this.clock = clock;
    this.noRoute = new Route(-3, []);
    this.route = this.noRoute;
  }

  /**
   * Takes the PUBLISH frames of `chunk[at..end)` up to the first other frame. Returns the position behind the last
   * frame taken and says in `status` why it stopped there. Acknowledgements are appended to `out`.
   */
  ingest(
    publisher: Publisher,
    chunk: Buffer,
    view: DataView,
    at: number,
    end: number,
    out: ByteWriter,
  ): number {
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
      this.stats.publishesIn++;
      if ((first & QOS) !== 0) this.stats.answers(first & QOS, 1, frameEnd - position);
      if (this.repeatable === 0) position = frameEnd;
      else if ((first & QOS) === 0) position = this.repeats(view, position, frameEnd, end);
      else position = this.repeatsQos1(publisher, chunk, view, position, frameEnd, end, out);
    }
    this.stats.publishBytesIn += position - at;
    this.commit(publisher, chunk);
    return position;
  }

  /**
   * The QoS 0 frame at[..frameEnd) was staged as it lies: takes the frames behind it that begin with the same bytes
   * up to the payload, and so have its length, topic and flags. Returns the position behind them.
   */
  private repeats(view: DataView, at: number, frameEnd: number, end: number): number {
    const bytes = frameEnd - at;
    const prefix = this.repeatable;
    const last = this.repeatsEnd(frameEnd, end) - bytes;
    let position = frameEnd;
    while (position <= last && samePrefix(view, at, position, prefix)) position += bytes;
    this.repeated((position - frameEnd) / bytes, position - frameEnd);
    return position;
  }

  /** The same for a QoS 1 frame, whose neighbours differ in their Packet Identifier: each is acknowledged. */
  private repeatsQos1(
    publisher: Publisher,
    chunk: Buffer,
    view: DataView,
    at: number,
    frameEnd: number,
    end: number,
    out: ByteWriter,
  ): number {
    const bytes = frameEnd - at;
    const prefix = this.repeatable;
    const last = this.repeatsEnd(frameEnd, end) - bytes;
    out.reserve(4 * (Math.max(0, last - frameEnd) / bytes + 2));
    const answers = out.bytes;
    let answer = out.length;
    let position = frameEnd;
    while (position <= last && samePrefix(view, at, position, prefix)) {
      const high = chunk[position + prefix]!;
      const low = chunk[position + prefix + 1]!;
      if ((high | low) === 0 || (publisher.v5 && chunk[position + prefix + 2] !== 0)) break;
      answers[answer] = PacketType.Puback;
      answers[answer + 1] = 2;
      answers[answer + 2] = high;
      answers[answer + 3] = low;
      answer += 4;
      position += bytes;
    }
    out.length = answer;
    const count = (position - frameEnd) / bytes;
    this.stats.answers(QOS1, count, position - frameEnd);
    this.repeated(count, position - frameEnd);
    return position;
  }

  /** Repeats of the last frame may be taken up to here: the chunk's end, or the segment's. */
  private repeatsEnd(frameEnd: number, end: number): number {
    if (!this.repeatMatched) return end;
    const active = this.log.active;
    return Math.min(
      end,
      frameEnd + active.bytes.length - active.used - this.staged - (this.copyTo - this.copyFrom),
    );
  }

  private repeated(count: number, bytes: number): void {
    this.stats.publishesIn += count;
    if (!this.repeatMatched) this.stats.unmatched += count;
    else {
      this.count += count;
      this.copyTo += bytes;
    }
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
    if (
      topicLength !== 0 &&
      publisher.lastRoute !== null &&
      publisher.isLastTopic(view, body + 2, topicLength)
    ) {
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
      } else if (this.refusal === Refusal.All) {
        this.stats.refusedPublishes++;
        return 0;
      }
      return status;
    }
    const broken = this.parsed.parse(publisher, chunk, view, first, at, body, topicEnd, end);
    return broken !== 0 ? broken : this.frameWithCare(publisher, this.parsed, topicEnd, out);
  }

  private frameWithCare(
    publisher: Publisher,
    frame: PublishFrame,
    topicEnd: number,
    out: ByteWriter,
  ): number {
    const { topicView, topic, topicAt, topicBytes, qos, identifier } = frame;
    let route = publisher.routeOf(this.filters, topicView, topicAt, topicBytes);
    if (route === null) {
      const { rights } = publisher.session;
      if (rights === null) route = this.filters.resolve(topicView, topic, topicAt, topicBytes);
      else route = this.filters.resolveFor(rights, topicView, topic, topicAt, topicBytes);
      if (route === null) return this.filters.topicError(topic, topicAt, topicBytes);
      // A denied topic is never the last one: the most frequent frames need not look whether they are.
      if (route !== this.filters.denied)
        publisher.remember(topicView, topic, topicAt, topicBytes, route, this.filters.currentEpoch);
    }
    if (!frame.learnAlias(publisher)) return errors.quotaExceeded.code;
    if (qos === 2 && publisher.received(identifier)) {
      acknowledge(out, PacketType.Pubrec, identifier); // [MQTT-4.3.3-10]: known, not delivered again
      return 0;
    }
    if (route === this.filters.denied) return this.deny(publisher, frame, out);
    if (!publisher.mayReceive(qos)) return errors.receiveMaximumExceeded.code;
    let runClass = frame.runClass;
    if ((frame.first & RETAIN) !== 0) {
      runClass |= CLASS_RETAIN;
      if (!this.retained.publish(publisher.number, frame, runClass, publisher.session.retainedOwner)) {
        if (qos !== 0) return this.refuse(publisher, frame, out);
        this.stats.refusedRetained++; // QoS 0 promises nothing: it is delivered, not retained
      }
    }
    if (qos !== 0) runClass |= CLASS_HOLE;
    const status = this.stage(publisher, frame, route, runClass, topicEnd);
    if (status === IngestStatus.NoRoom && this.mayRefuse(publisher, qos)) {
      return this.refuse(publisher, frame, out);
    }
    if (status !== 0 || qos === 0) return status;
    if (qos === 2) publisher.receive(identifier);
    acknowledge(out, qos === 1 ? PacketType.Puback : PacketType.Pubrec, identifier);
    return 0;
  }

  /** The message cannot be stored: the publisher is told where a packet can say it, else the message is dropped. */
  private refuse(publisher: Publisher, frame: PublishFrame, out: ByteWriter): number {
    this.stats.refusedPublishes++;
    if (frame.qos === 0) return 0;
    if (!publisher.v5) return errors.quotaExceeded.code;
    answer(out, frame.qos, frame.identifier, errors.quotaExceeded.reason);
    return 0;
  }

  /**
   * The client may not publish to the topic. PUBACK and PUBREC of MQTT 5 say so; where no packet can, the message is
   * dropped, at QoS 1 and 2 behind an acknowledgement, or the connection ends. [3.1.1:MQTT-3.3.5-2]
   */
  private deny(publisher: Publisher, frame: PublishFrame, out: ByteWriter): number {
    this.stats.deniedPublishes++;
    const { qos, identifier } = frame;
    const { code, reason } = errors.publishNotAuthorized;
    const isTold = publisher.v5 && qos !== 0;
    if (!isTold && this.cutsDenied) return code;
    if (qos !== 0) answer(out, qos, identifier, isTold ? reason : 0);
    return 0;
  }

  private mayRefuse(publisher: Publisher, qos: number): boolean {
    if (this.refusal === Refusal.Wait) return false;
    return this.refusal === Refusal.All || (qos !== 0 && publisher.v5);
  }

  private stage(
    publisher: Publisher,
    frame: PublishFrame,
    route: Route,
    runClass: number,
    topicEnd: number,
  ): number {
    const { chunk, first, at, end, qos } = frame;
    if ((first & (RETAIN | DUP)) !== 0 || frame.aliasAt >= 0) {
      return this.stageCanonical(publisher, frame, route, runClass);
    }
    const status = this.stageAsIs(publisher, chunk, route, runClass, at, end);
    if (status === 0 && qos === 1 && frame.payload - frame.propertiesAt < 2) {
      this.repeatable = topicEnd - at;
      this.repeatMatched = route.filters.length > 0;
    }
    return status;
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

  /** Writes the canonical form of a frame behind the run: alias resolved, DUP and RETAIN clear. */
  private stageCanonical(publisher: Publisher, frame: PublishFrame, route: Route, runClass: number): number {
    if (route.filters.length === 0) {
      this.stats.unmatched++;
      return 0;
    }
    const { chunk, topic, topicAt, topicBytes, propertiesAt, payload, end, aliasAt, spans } = frame;
    const hole = (runClass & CLASS_HOLE) === 0 ? 0 : 2;
    let properties = payload - propertiesAt;
    let propertyLength = 0;
    if (aliasAt >= 0) {
      propertyLength = spans.propertiesEnd - spans.propertiesAt - 3;
      properties = varintBytes(propertyLength) + propertyLength;
    }
    const remaining = 2 + topicBytes + hole + properties + end - payload;
    const bytes = 1 + varintBytes(remaining) + remaining;
    if (route !== this.route || runClass !== this.runClass || !this.fits(bytes)) {
      const status = this.beginRun(publisher, chunk, route, runClass, bytes);
      if (status !== 0) return status;
    }
    this.copyPending(chunk);
    const target = this.log.active.bytes;
    let to = this.log.active.used + this.staged;
    target[to++] = SEND_QOS0 | (hole === 0 ? 0 : classQos(runClass) << 1);
    to = putVarint(target, to, remaining);
    target[to++] = topicBytes >>> 8;
    target[to++] = topicBytes;
    topic.copy(target, to, topicAt, topicAt + topicBytes);
    to += topicBytes + hole;
    if (aliasAt >= 0) {
      to = putVarint(target, to, propertyLength);
      chunk.copy(target, to, spans.propertiesAt, aliasAt);
      to += aliasAt - spans.propertiesAt;
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

  private beginRun(
    publisher: Publisher,
    chunk: Buffer,
    route: Route,
    runClass: number,
    bytes: number,
  ): number {
    this.commit(publisher, chunk);
    if (!this.log.prepare(bytes, route.filters.length)) return IngestStatus.NoRoom;
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
      const nowMs = this.clock.nowMs();
      const seconds = (nowMs / 1000) >>> 0;
      const { route, staged, count, frameMax, runClass } = this;
      this.publishRun(route, staged, count, frameMax, publisher.number, seconds, runClass, publisher);
      if (this.ready.length > 0) this.latency.appended(nowMs);
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
      this.pacing.appended(filter, route, publisher);
    }
    this.stats.appendedBytes += bytes;
    this.ready.appended(bytes);
  }
}

/** The `length` bytes, at least 4, at `a` and at `b` are the same. */
function samePrefix(view: DataView, a: number, b: number, length: number): boolean {
  const last = length - 4;
  for (let i = 0; i < last; i += 4) if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  return view.getInt32(a + last) === view.getInt32(b + last);
}
