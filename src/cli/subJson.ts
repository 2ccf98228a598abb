// A message as one JSON object, with mosquitto_sub's names: what `%j` and `%J` stand for.
//
// It is always valid JSON: a payload that is no UTF-8 becomes `"payload":null` and `"payload_base64"`, and several
// values of one user property become an array.

import type { Message } from "./mqtt/client.ts";
import { type Moment, strftime } from "./strftime.ts";

export interface JsonOptions {
  /** The payload is JSON itself and goes in as it is. */
  readonly asJson: boolean;
  readonly pretty: boolean;
}

const INDENT = 2;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Null when the payload has to be JSON and is not. */
export function jsonLine(message: Message, moment: Moment, { asJson, pretty }: JsonOptions): string | null {
  const { topic, qos, retain, messageId, properties } = message;
  const payload = Buffer.from(message.payload);
  const text = decoded(payload);
  const fields: Record<string, unknown> = {
    tst: `${strftime("%Y-%m-%dT%H:%M:%S", moment)}.${strftime("%N", moment).slice(0, 6)}${strftime("%z", moment)}`,
    topic,
    qos,
    retain: retain ? 1 : 0,
    payloadlen: payload.length,
  };
  if (qos > 0) fields["mid"] = messageId;
  if (properties !== undefined && Object.keys(properties).length > 0)
    fields["properties"] = named(properties);
  if (payload.length === 0) return written({ ...fields, payload: null }, pretty);
  if (asJson) return text === null ? null : withJson(fields, text, pretty);
  if (text !== null) return written({ ...fields, payload: text }, pretty);
  return written({ ...fields, payload: null, payload_base64: payload.toString("base64") }, pretty);
}

function decoded(payload: Buffer): string | null {
  try {
    return utf8.decode(payload);
  } catch {
    return null;
  }
}

/** The payload's own text, so that no digit of a number is lost; laid out anew when it is to be pretty. */
function withJson(fields: Record<string, unknown>, text: string, pretty: boolean): string | null {
  try {
    const payload: unknown = JSON.parse(text);
    return pretty
      ? written({ ...fields, payload }, true)
      : `${written(fields, false).slice(0, -1)},"payload":${text}}`;
  } catch {
    return null;
  }
}

function written(fields: object, pretty: boolean): string {
  return JSON.stringify(fields, null, pretty ? INDENT : 0);
}

/** `content-type` for contentType, and values as they are on the wire. */
function named(properties: NonNullable<Message["properties"]>): Record<string, unknown> {
  const entries = Object.entries(properties).map(([name, value]) => {
    const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (typeof value === "boolean") return [dashed, value ? 1 : 0];
    if (Buffer.isBuffer(value)) return [dashed, decoded(value) ?? value.toString("base64")];
    return [dashed, value];
  });
  return Object.fromEntries(entries);
}
