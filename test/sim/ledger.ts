// Ledger: every message that a simulated publisher ever sent, with the bytes that its payload must have. The payload
// begins with the message's number, so whoever receives it can look it up, and is filled with one value, so that a
// frame that another one was written into shows.

import type { QoS } from "mqtt-packet";

export interface Sent {
  readonly index: number;
  readonly publisher: string;
  readonly topic: string;
  readonly qos: QoS;
  readonly payload: Buffer;
  /** It was sent again after a reconnect: it may be in the log twice (QoS 1). */
  again: boolean;
  /** Its connection or session ended before it was known to have arrived: it need not be delivered. */
  uncertain: boolean;
}

const INDEX_BYTES = 4;

export class Ledger {
  readonly sent: Sent[] = [];

  add(publisher: string, topic: string, qos: QoS, size: number): Sent {
    const index = this.sent.length;
    const payload = Buffer.alloc(Math.max(INDEX_BYTES, size), index & 0xff);
    payload.writeUInt32BE(index);
    const message: Sent = { index, publisher, topic, qos, payload, again: false, uncertain: false };
    this.sent.push(message);
    return message;
  }

  /** The message with this topic and payload; throws when there never was one. */
  find(topic: string, payload: Buffer): Sent {
    const message = payload.length < INDEX_BYTES ? undefined : this.sent[payload.readUInt32BE()];
    if (message?.topic === topic && message.payload.equals(payload)) return message;
    const begin = payload.subarray(0, 16).toString("hex");
    let meant = "";
    if (message !== undefined) {
      const differs = payload.findIndex((byte, i) => byte !== message.payload[i]);
      const there = payload.subarray(differs, differs + 24).toString("hex");
      meant = `; message ${message.index} is ${message.payload.length} bytes on ${message.topic}, byte ${differs}: ${there}`;
    }
    throw new Error(`nobody published what came on ${topic}: ${begin}… of ${payload.length} bytes${meant}`);
  }
}

/** §4.7 in its plainest form. */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}
