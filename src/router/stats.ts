// Counters of one router. Plain numbers that only grow; metrics and tests read them.

import { PacketType } from "../packet/frame.ts";

/** PUBLISH packets by QoS, and their bytes. */
export class PublishCount {
  readonly messages = new Float64Array(3);
  readonly bytes = new Float64Array(3);
}

export class Stats {
  /** PUBLISH packets that clients sent, whatever became of them, but for those that ended their connection. */
  publishesIn = 0;
  publishBytesIn = 0;
  /** Of these, those of QoS 1 and 2: each is answered. */
  qos1In = 0;
  qos1BytesIn = 0;
  qos2In = 0;
  qos2BytesIn = 0;
  /** PUBLISH packets of which clients were sent the last byte; and those of the broker's own links. */
  readonly sent = new PublishCount();
  readonly sentToLinks = new PublishCount();
  /** Other packets by type, the high four bits of the first byte. Answers to PUBLISH follow from qos1In and qos2In. */
  readonly packetsIn = new Float64Array(16);
  readonly packetsOut = new Float64Array(16);
  /** Bytes that came into the log. */
  appendedBytes = 0;
  /** Bytes that turns have written. */
  bytesOut = 0;
  /** Messages that no subscription matched. */
  unmatched = 0;
  /** Dropped for a client whose Maximum Packet Size they exceed. */
  droppedTooLarge = 0;
  droppedExpired = 0;
  /** QoS 0 messages that a lagging reader skipped. */
  gapMessages = 0;
  /** QoS 1 and 2 messages dropped because a session's quota was full. */
  quotaMessages = 0;
  /** QoS 0 messages published while a session with a QoS 1 or 2 subscription was offline. */
  offlineQos0 = 0;
  refusedPublishes = 0;
  /** Messages, Wills too, to topics that their clients may not publish to. */
  deniedPublishes = 0;
  /** Subscriptions that were refused, or ended, because their clients may not have them. */
  deniedSubscriptions = 0;
  /** Messages that were owed to clients which may not be sent them any more. */
  deniedDeliveries = 0;
  /** QoS 0 messages delivered but not retained: the retained budget was used up. */
  refusedRetained = 0;
  /** Clients that are connected; the broker's own links are none. */
  connections = 0;
  /** Sessions that ended because nobody came back to them in time. */
  expiredSessions = 0;

  /** One packet goes out that is neither PUBLISH nor an answer to one. */
  sends(type: number): void {
    this.packetsOut[type >>> 4]!++;
  }

  /** `count` PUBLISH packets of QoS 1 or 2 were taken; `qosBits` as in their first byte. Each has one answer. */
  answers(qosBits: number, count: number, bytes: number): void {
    if (qosBits === 2) {
      this.qos1In += count;
      this.qos1BytesIn += bytes;
    } else {
      this.qos2In += count;
      this.qos2BytesIn += bytes;
    }
  }

  get messagesOut(): number {
    const [qos0 = 0, qos1 = 0, qos2 = 0] = this.sent.messages;
    return qos0 + qos1 + qos2;
  }

  /** PUBLISH packets from clients by QoS. */
  received(): PublishCount {
    const count = new PublishCount();
    const { qos1In, qos2In, qos1BytesIn, qos2BytesIn } = this;
    count.messages.set([this.publishesIn - qos1In - qos2In, qos1In, qos2In]);
    count.bytes.set([this.publishBytesIn - qos1BytesIn - qos2BytesIn, qos1BytesIn, qos2BytesIn]);
    return count;
  }

  /** All packets that came, by the high four bits of their first byte. */
  allPacketsIn(): Float64Array {
    const counts = this.packetsIn.slice();
    counts[PacketType.Publish >>> 4] = this.publishesIn;
    return counts;
  }

  /** All packets that were sent. */
  allPacketsOut(): Float64Array {
    const counts = this.packetsOut.slice();
    counts[PacketType.Publish >>> 4] = this.messagesOut;
    counts[PacketType.Puback >>> 4] = this.qos1In;
    counts[PacketType.Pubrec >>> 4] = this.qos2In;
    return counts;
  }
}
