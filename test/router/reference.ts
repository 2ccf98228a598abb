// The reference renderer: one message, one session, in the slowest and most obvious way. Whatever lane the router
// takes, these are the bytes that must come out.

import { filterMatchesTopic } from "../../src/topic/topicFilter.ts";

export interface PublishedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Client Identifier of who published it. */
  readonly publisher: string;
  /** In the publisher's order; empty for v3. Without Topic Alias. */
  readonly properties: readonly Property[];
}

export interface Property {
  readonly identifier: number;
  /** The value's bytes as they travel. */
  readonly value: Buffer;
}

export interface ReferenceSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly identifier?: number;
}

/** 3 is MQTT 3.1: its PUBLISH is that of 3.1.1. */
export type ReferenceVersion = 3 | 4 | 5;

export interface ReferenceSession {
  readonly clientIdentifier: string;
  readonly version: ReferenceVersion;
  readonly subscriptions: readonly ReferenceSubscription[];
  readonly maximumPacketSize?: number;
  readonly topicAliasMaximum?: number;
}

/** Topic → alias, of those that the client has been told. */
export type ReferenceAliases = Map<string, number>;

export interface Circumstances {
  /** Taken for a QoS 1 or 2 delivery. */
  readonly packetIdentifier: number;
  /** Whole seconds since the message came. */
  readonly age: number;
  readonly dup?: boolean;
  /** It answers a SUBSCRIBE: RETAIN is 1 whatever the options say. */
  readonly replayed?: boolean;
  /** Where the client permits aliases: those that it knows. A frame that tells a new one is followed by learn(). */
  readonly aliases?: ReferenceAliases;
}

export const PropertyId = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  topicAlias: 0x23,
  userProperty: 0x26,
} as const;

/** The QoS at which the session gets the message, -1 if it does not. */
export function deliveredQos(message: PublishedMessage, session: ReferenceSession): number {
  let granted = -1;
  for (const subscription of matching(message, session)) granted = Math.max(granted, subscription.qos);
  return granted < 0 ? -1 : Math.min(granted, message.qos);
}

function matching(message: PublishedMessage, session: ReferenceSession): ReferenceSubscription[] {
  return session.subscriptions.filter((subscription) => {
    if (!filterMatchesTopic(subscription.filter, message.topic)) return false;
    return !(subscription.noLocal === true && message.publisher === session.clientIdentifier);
  });
}

/** The PUBLISH that the session must get, null if it must get none. */
export function render(
  message: PublishedMessage,
  session: ReferenceSession,
  now: Circumstances,
): Buffer | null {
  const qos = deliveredQos(message, session);
  if (qos < 0) return null;
  const subscriptions = matching(message, session);
  const properties: Property[] = [];
  for (const property of message.properties) {
    if (property.identifier !== PropertyId.messageExpiry) {
      properties.push(property);
      continue;
    }
    const left = property.value.readUInt32BE() - now.age;
    if (left <= 0) return null;
    properties.push({ identifier: PropertyId.messageExpiry, value: u32(left) });
  }
  const alias = aliasOf(message, session, now);
  if (alias > 0) properties.push({ identifier: PropertyId.topicAlias, value: u16(alias) });
  const identifiers = subscriptions
    .map(({ identifier }) => identifier ?? 0)
    .filter((identifier) => identifier > 0);
  for (const identifier of identifiers.sort((a, b) => a - b)) {
    properties.push({ identifier: PropertyId.subscriptionIdentifier, value: varint(identifier) });
  }
  const asPublished = subscriptions.some(({ retainAsPublished }) => retainAsPublished === true);
  const retain = now.replayed === true || (asPublished && message.retain);
  const first = 0x30 | (now.dup === true ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const frame = encodePublish(
    session.version,
    first,
    now.aliases?.has(message.topic) === true ? "" : message.topic,
    now.packetIdentifier,
    properties,
    message.payload,
  );
  if (session.maximumPacketSize !== undefined && frame.length > session.maximumPacketSize) return null;
  return frame;
}

/** Aliases that the broker gives one client at most. */
const ALIASES_MAX = 64;

/** The alias that stands in the frame: the one that the client knows, or the next one; 0 for none. */
function aliasOf({ topic }: PublishedMessage, session: ReferenceSession, { aliases }: Circumstances): number {
  if (aliases === undefined) return 0;
  const known = aliases.get(topic);
  if (known !== undefined) return known;
  return aliases.size < Math.min(session.topicAliasMaximum ?? 0, ALIASES_MAX) ? aliases.size + 1 : 0;
}

/** The client got the message. */
export function learn(
  { topic }: PublishedMessage,
  session: ReferenceSession,
  aliases: ReferenceAliases,
): void {
  const alias = aliases.has(topic) ? 0 : Math.min(session.topicAliasMaximum ?? 0, ALIASES_MAX);
  if (aliases.size < alias) aliases.set(topic, aliases.size + 1);
}

export function encodePublish(
  version: ReferenceVersion,
  first: number,
  topic: string,
  packetIdentifier: number,
  properties: readonly Property[],
  payload: Buffer,
): Buffer {
  const name = Buffer.from(topic);
  const parts = [u16(name.length), name];
  if ((first & 6) !== 0) parts.push(u16(packetIdentifier));
  if (version === 5) {
    const block = Buffer.concat(
      properties.map(({ identifier, value }) => Buffer.concat([Buffer.of(identifier), value])),
    );
    parts.push(varint(block.length), block);
  }
  parts.push(payload);
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(first), varint(body.length), body]);
}

export function u16(value: number): Buffer {
  return Buffer.of(value >>> 8, value & 0xff);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function utf8(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Cuts a stream of packets into frames; a rest that is not whole is `rest`. */
export function frames(stream: Buffer): { whole: Buffer[]; rest: Buffer; restWhole: number } {
  const whole: Buffer[] = [];
  let at = 0;
  for (;;) {
    let length = 0;
    let shift = 0;
    let body = at + 1;
    for (; ; body++, shift += 7) {
      if (body >= stream.length) return { whole, rest: stream.subarray(at), restWhole: 0 };
      length += (stream[body]! & 127) << shift;
      if (stream[body]! < 128) break;
    }
    const end = body + 1 + length;
    if (end > stream.length) return { whole, rest: stream.subarray(at), restWhole: end - at };
    whole.push(stream.subarray(at, end));
    at = end;
  }
}

/** Where the variable header of a frame begins. */
export function bodyOf(frame: Buffer): number {
  let at = 1;
  while (frame[at]! > 127) at++;
  return at + 1;
}

/** Position of a PUBLISH's Packet Identifier. */
export function identifierAt(frame: Buffer): number {
  const body = bodyOf(frame);
  return body + 2 + frame.readUInt16BE(body);
}
