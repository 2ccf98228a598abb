// Messages: what the console is given to publish, checked as a client's would be. Nothing larger is published here
// than the broker's most generous listener would take from a client.

import type { Host } from "../net/host.ts";
import { varintBytes } from "../packet/frame.ts";
import { validTopicName } from "../topic/topicName.ts";
import { RequestError } from "./asked.ts";

/** Messages of one batch. */
export const BATCH_MAX = 1000;
const TOPIC_BYTES_MAX = 65_535;
/** The usual alphabet, padded or not. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** Publishes one message as the body of a request has it. False when the log has no room. */
export function publishOne(host: Host, raw: unknown): boolean {
  return publish(host, messageOf(host, raw));
}

/** Publishes them in their order, once all are checked; `published` is how many the log had room for. */
export function publishAll(host: Host, raw: unknown): { readonly published: number; readonly all: boolean } {
  if (!Array.isArray(raw)) throw new RequestError("the body must be a list of messages");
  if (raw.length > BATCH_MAX) {
    throw new RequestError(`the batch has ${raw.length} messages: at most ${BATCH_MAX}`, 413);
  }
  const messages = raw.map((one) => messageOf(host, one));
  const refused = messages.findIndex((message) => !publish(host, message));
  return { published: refused < 0 ? messages.length : refused, all: refused < 0 };
}

function publish({ router }: Host, { topic, payload, qos, retain }: Message): boolean {
  return router.publish(topic, payload, { qos, retain });
}

/** `payload` is text, or base64 with `"encoding": "base64"`. */
function messageOf(host: Host, raw: unknown): Message {
  if (typeof raw !== "object" || raw === null) throw new RequestError("a message must be an object");
  const { topic, payload = "", encoding = "text", qos = 0, retain = false } = raw as Record<string, unknown>;
  if (typeof topic !== "string" || !validTopicName(topic) || Buffer.byteLength(topic) > TOPIC_BYTES_MAX) {
    throw new RequestError("topic must be a Topic Name: 1..65,535 bytes without + # and U+0000");
  }
  checkOwner(host, topic);
  if (typeof payload !== "string") throw new RequestError("payload must be a string");
  if (encoding !== "text" && encoding !== "base64") throw new RequestError("encoding must be text or base64");
  if (encoding === "base64" && !BASE64.test(payload)) throw new RequestError("payload is no base64");
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new RequestError("qos must be 0, 1 or 2");
  if (typeof retain !== "boolean") throw new RequestError("retain must be true or false");
  const bytes = Buffer.from(payload, encoding === "text" ? "utf8" : "base64");
  checkSize(host, topic, bytes.length);
  return { topic, payload: bytes, qos, retain };
}

/** What the broker tells of itself is true, or it would not be believed. */
export function checkOwner({ router }: Host, topic: string): void {
  if (!router.filters.isReserved(topic)) return;
  throw new RequestError(`topics below ${topic.split("/", 1)[0]} are the broker's own`);
}

function checkSize({ payloadBytesMax, packetBytesMax }: Host, topic: string, payloadBytes: number): void {
  if (payloadBytes > payloadBytesMax) {
    const text = `the payload has ${payloadBytes} bytes: no listener takes more than ${payloadBytesMax}`;
    throw new RequestError(`${text} (max_payload_size)`, 413);
  }
  const remaining = 2 + Buffer.byteLength(topic) + 1 + payloadBytes; // no properties, but their length
  const packetBytes = 1 + varintBytes(remaining) + remaining;
  if (packetBytes > packetBytesMax) {
    const text = `the message makes a packet of ${packetBytes} bytes: no listener takes more than ${packetBytesMax}`;
    throw new RequestError(text, 413);
  }
}
