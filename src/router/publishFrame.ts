// PublishFrame: one PUBLISH of a client, taken apart and checked, §3.3. Reused; positions are in `chunk`, whose bytes
// it does not keep beyond the frame. @hot

import { errors } from "../packet/error.ts";
import { newPublishSpans, scanPublishProperties } from "../packet/publishProperties.ts";
import type { Publisher } from "./publisher.ts";
import { CLASS_EXPIRY, CLASS_QOS_SHIFT, CLASS_V5 } from "./runClass.ts";

export const RETAIN = 1;
export const DUP = 8;

const NOTHING = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

export class PublishFrame {
  chunk: Buffer = NOTHING;
  first = 0;
  /** The whole frame. */
  at = 0;
  end = 0;
  qos = 0;
  /** 1..65535, 0 at QoS 0. */
  identifier = 0;
  /** The Topic Name: in the chunk, or what its alias stands for. */
  topic: Buffer = NOTHING;
  topicView: DataView = NO_VIEW;
  topicAt = 0;
  topicBytes = 0;
  /** Of the Property Length; of the payload before MQTT 5. */
  propertiesAt = 0;
  payload = 0;
  /** Version, QoS and expiry; see router/runClass. */
  runClass = 0;
  /** Of the three bytes of a Topic Alias property, -1 for none. */
  aliasAt = -1;
  readonly spans = newPublishSpans();

  /**
   * Takes chunk[at..end) apart. `body` is behind the fixed header, `topicEnd` behind the topic. Returns 0, or the
   * code of the statement that the frame breaks. Whether the topic is a valid Topic Name is the route's to say.
   */
  parse(
    publisher: Publisher,
    chunk: Buffer,
    view: DataView,
    first: number,
    at: number,
    body: number,
    topicEnd: number,
    end: number,
  ): number {
    const qos = (first >>> 1) & 3;
    if (qos === 3) return errors.qosOutOfRange.code; // [MQTT-3.3.1-4]
    if (qos === 0 && (first & DUP) !== 0) return errors.dupWithQos0.code; // [MQTT-3.3.1-2]
    if (qos > publisher.qosMax) return errors.qosNotSupported.code; // [MQTT-3.2.2-11]
    if ((first & RETAIN) !== 0 && !publisher.retainAvailable) return errors.retainNotSupported.code; // [MQTT-3.2.2-14]
    this.chunk = chunk;
    this.first = first;
    this.at = at;
    this.end = end;
    this.qos = qos;
    this.topic = chunk;
    this.topicView = view;
    this.topicAt = body + 2;
    this.topicBytes = topicEnd - body - 2;
    this.identifier = 0;
    let position = topicEnd;
    if (qos !== 0) {
      if (position + 2 > end) return errors.truncated.code;
      this.identifier = (chunk[position]! << 8) | chunk[position + 1]!;
      if (this.identifier === 0) return errors.packetIdentifierZero.code; // [MQTT-2.2.1-3]
      position += 2;
    }
    this.propertiesAt = position;
    this.payload = position;
    this.runClass = qos << CLASS_QOS_SHIFT;
    this.aliasAt = -1;
    if (publisher.v5) {
      this.payload = scanPublishProperties(chunk, position, end, this.spans);
      if (this.payload < 0) return this.payload;
      this.runClass |= CLASS_V5;
      if (this.spans.expiryAt >= 0) this.runClass |= CLASS_EXPIRY;
      this.aliasAt = this.spans.aliasAt;
    }
    if (end - this.payload > publisher.payloadBytesMax) return errors.packetTooLarge.code;
    if (this.aliasAt >= 0) return this.resolveAlias(publisher);
    return this.topicBytes === 0 ? errors.topicEmpty.code : 0; // [MQTT-3.3.2-1] and §4.7.3
  }

  private resolveAlias(publisher: Publisher): number {
    const { topicAlias } = this.spans;
    if (topicAlias === 0) return errors.topicAliasZero.code; // [MQTT-3.3.2-8]
    if (topicAlias > publisher.topicAliasMaximum) return errors.topicAliasTooLarge.code; // [MQTT-3.3.2-9]
    if (this.topicBytes !== 0) return 0;
    const known = publisher.aliasTopic(topicAlias);
    if (known === null) return errors.topicAliasUnknown.code;
    this.topic = known.bytes;
    this.topicView = known.view;
    this.topicAt = 0;
    this.topicBytes = known.bytes.length;
    return 0;
  }

  /** The alias, if there is one, stands for the topic from now on. False when the budget has no room for it. */
  learnAlias(publisher: Publisher): boolean {
    if (this.aliasAt < 0 || this.topic !== this.chunk) return true;
    return publisher.setAlias(this.spans.topicAlias, this.topic, this.topicAt, this.topicBytes);
  }
}
