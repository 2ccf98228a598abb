// Local publish: messages that no Network Connection brings: wills, and whatever the broker itself has to say.

import { ByteWriter } from "../base/byteWriter.ts";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { encodePublish } from "../packet/encode.ts";
import { putVarint, varintBytes } from "../packet/frame.ts";
import { newPublishSpans, scanPublishProperties } from "../packet/publishProperties.ts";
import type { Session } from "../session/session.ts";
import type { Filters } from "./filters.ts";
import type { Ingest } from "./ingest.ts";
import type { Retained, RetainedPublish } from "./retained.ts";
import { CLASS_EXPIRY, CLASS_QOS_SHIFT, CLASS_RETAIN, CLASS_V5 } from "./runClass.ts";

export class LocalPublish {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly ingest: Ingest;
  private readonly retained: Retained;
  private readonly clock: Clock;
  private readonly frame = new ByteWriter();
  private readonly spans = newPublishSpans();

  constructor(log: CommitLog, filters: Filters, ingest: Ingest, retained: Retained, clock: Clock) {
    this.log = log;
    this.filters = filters;
    this.ingest = ingest;
    this.retained = retained;
    this.clock = clock;
  }

  /**
   * Publishes to whoever subscribes, and retains if asked to. `topic` is a valid Topic Name, `properties` are
   * PUBLISH property bytes without their length, `session` is whose Will it is, if it is one. False when the log has
   * no room: nothing was done.
   */
  publish(
    topic: string,
    payload: Uint8Array,
    qos: 0 | 1 | 2,
    retain: boolean,
    properties: Uint8Array,
    session: Session | null,
  ): boolean {
    const number = session?.number ?? 0;
    const { frame } = this;
    frame.reset();
    encodePublish(frame, 5, {
      topic,
      payload,
      qos: 0,
      retain: false,
      dup: false,
      packetIdentifier: 0,
      properties,
    });
    const route = this.filters.resolveTopic(topic);
    if (route.filters.length > 0 && !this.log.prepare(frame.length, route.filters.length)) return false;
    let runClass = (qos << CLASS_QOS_SHIFT) | CLASS_V5;
    if (properties.length > 0) {
      const block = new Uint8Array(varintBytes(properties.length) + properties.length);
      block.set(properties, putVarint(block, 0, properties.length));
      if (scanPublishProperties(block, 0, block.length, this.spans) > 0 && this.spans.expiryAt >= 0) {
        runClass |= CLASS_EXPIRY;
      }
    }
    if (retain) {
      runClass |= CLASS_RETAIN;
      this.retain(topic, payload, properties, runClass, session);
    }
    if (route.filters.length === 0) return true;
    const { active } = this.log;
    active.bytes.set(frame.bytes.subarray(0, frame.length), active.used);
    const seconds = (this.clock.nowMs() / 1000) >>> 0;
    this.ingest.publishRun(route, frame.length, 1, frame.length, number, seconds, runClass, null);
    return true;
  }

  private retain(
    topic: string,
    payload: Uint8Array,
    properties: Uint8Array,
    runClass: number,
    session: Session | null,
  ): void {
    const name = Buffer.from(topic);
    const tail = new ByteWriter(properties.length + payload.length + 8);
    tail.varint(properties.length);
    tail.raw(properties);
    const payloadAt = tail.length;
    tail.raw(payload);
    const message: RetainedPublish = {
      topic: name,
      topicAt: 0,
      topicBytes: name.length,
      chunk: Buffer.from(tail.bytes.buffer),
      propertiesAt: 0,
      payload: payloadAt,
      end: tail.length,
      aliasAt: -1,
      spans: this.spans,
    };
    this.retained.publish(session?.number ?? 0, message, runClass, session?.retainedOwner);
  }
}
