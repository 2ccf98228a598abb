// Builders for packets that no honest encoder would make. Everything returns fresh bytes.

const encoder = new TextEncoder();

export type Part = number | Uint8Array;

/** Joins bytes and byte arrays. */
export function bytes(...parts: readonly Part[]): Uint8Array {
  const chunks = parts.map((part) => (typeof part === "number" ? Uint8Array.of(part) : part));
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

/** "10 04 …", spaces ignored. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ""), "hex"));
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return bytes(u16(value >>> 16), u16(value & 0xffff));
}

export function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest > 127) {
    out.push((rest & 127) | 128);
    rest >>>= 7;
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** Two length bytes and the text, or the bytes as they are: ill-formed UTF-8 is the caller's wish. */
export function utf8(text: string | Uint8Array): Uint8Array {
  const body = typeof text === "string" ? encoder.encode(text) : text;
  return bytes(u16(body.length), body);
}

export const binary = utf8;

/** A whole packet: first byte, Remaining Length, body. */
export function frame(first: number, ...parts: readonly Part[]): Uint8Array {
  const body = bytes(...parts);
  return bytes(first, varint(body.length), body);
}

/** MQTT 5 properties with their length. */
export function properties(...parts: readonly Part[]): Uint8Array {
  const body = bytes(...parts);
  return bytes(varint(body.length), body);
}

/** Identifiers of MQTT 5 properties, §2.2.2.2. */
export const Property = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiry: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblem: 0x17,
  willDelay: 0x18,
  requestResponse: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardAvailable: 0x28,
  identifiersAvailable: 0x29,
  sharedAvailable: 0x2a,
} as const;

export interface RawConnect {
  readonly name?: string | Uint8Array;
  readonly level: number;
  /** Connect Flags as they go out; 0x02 is Clean Session. */
  readonly flags?: number;
  readonly keepAlive?: number;
  /** Encoded with their length; level 5 only. */
  readonly properties?: Uint8Array;
  /** Client Identifier and what follows, encoded. */
  readonly payload: Uint8Array;
}

export function rawConnect(fields: RawConnect): Uint8Array {
  return frame(
    0x10,
    utf8(fields.name ?? (fields.level === 3 ? "MQIsdp" : "MQTT")),
    fields.level,
    fields.flags ?? 0x02,
    u16(fields.keepAlive ?? 0),
    fields.level === 5 ? (fields.properties ?? properties()) : bytes(),
    fields.payload,
  );
}

/** The QoS 0 part of a PUBLISH is `first = 0x30`. */
export function rawPublish(
  version: number,
  first: number,
  topic: string | Uint8Array,
  identifier: number | null,
  props: Uint8Array,
  payload: string,
): Uint8Array {
  return frame(
    first,
    utf8(topic),
    identifier === null ? bytes() : u16(identifier),
    version === 5 ? props : bytes(),
    encoder.encode(payload),
  );
}
