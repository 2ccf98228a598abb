// Frames: the bytes that a client sends, for benches and the load run. Made before the clock starts, so written for
// clearness; they stand apart from src so that a bench does not ask the broker's encoder what a client would say.

export type Level = 4 | 5;
export type QoS = 0 | 1 | 2;

export interface PublishOptions {
  readonly level: Level;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos?: QoS;
  readonly retain?: boolean;
  /** 1..65535, for QoS 1 and 2. */
  readonly identifier?: number;
  /** MQTT 5: Topic Alias, 0 for none. */
  readonly alias?: number;
}

const TOPIC_ALIAS = 0x23;

export function connectFrame(level: Level, clientIdentifier: string): Buffer {
  const CLEAN_START = 2;
  const properties = level === 5 ? [0] : [];
  return packet(0x10, [text("MQTT"), [level, CLEAN_START, 0, 0], properties, text(clientIdentifier)]);
}

/** A CONNECT with everything that it can have: will, user name and password. */
export function fullConnectFrame(level: Level, clientIdentifier: string): Buffer {
  const FLAGS = 0b1100_1110; // user name, password, will at QoS 1, clean start
  // Session Expiry 60 s, Receive Maximum 100, Maximum Packet Size 1 MiB.
  const properties = [13, 0x11, 0, 0, 0, 60, 0x21, 0, 100, 0x27, 0, 16, 0, 0];
  const will = [level === 5 ? [5, 0x18, 0, 0, 0, 5] : [], text(`state/${clientIdentifier}`), text("gone")];
  return packet(0x10, [
    text("MQTT"),
    [level, FLAGS, 0, 60],
    level === 5 ? properties : [],
    text(clientIdentifier),
    ...will,
    text("bench"),
    text("secret"),
  ]);
}

export function subscribeFrame(level: Level, filters: readonly string[], qos: QoS): Buffer {
  const entries = filters.flatMap((filter) => [text(filter), [qos]]);
  return packet(0x82, [[0, 1], level === 5 ? [0] : [], ...entries]);
}

export function unsubscribeFrame(level: Level, filters: readonly string[]): Buffer {
  return packet(0xa2, [[0, 2], level === 5 ? [0] : [], ...filters.map(text)]);
}

export function publishFrame(options: PublishOptions): Buffer {
  const { level, topic, payload, qos = 0, retain = false, identifier = 1, alias = 0 } = options;
  const properties = alias === 0 ? [0] : [3, TOPIC_ALIAS, alias >>> 8, alias & 255];
  return packet(0x30 | (qos << 1) | (retain ? 1 : 0), [
    text(topic),
    qos > 0 ? [identifier >>> 8, identifier & 255] : [],
    level === 5 ? properties : [],
    payload,
  ]);
}

/** PUBACKs of `count` neighbouring identifiers from 1 on. */
export function pubackChunk(count: number): Buffer {
  const chunk = Buffer.alloc(count * PUBACK_BYTES);
  stampPubacks(chunk, 1);
  return chunk;
}

export const PUBACK_BYTES = 4;
const IDENTIFIER_MAX = 65_535;

/** Fills `chunk` with PUBACKs of the identifiers from `first` on, 65,535 followed by 1. */
export function stampPubacks(chunk: Buffer, first: number): void {
  let identifier = first;
  for (let at = 0; at < chunk.length; at += PUBACK_BYTES) {
    chunk[at] = 0x40;
    chunk[at + 1] = 2;
    chunk[at + 2] = identifier >>> 8;
    chunk[at + 3] = identifier & 255;
    identifier = identifier === IDENTIFIER_MAX ? 1 : identifier + 1;
  }
}

export const DISCONNECT = Buffer.from([0xe0, 0]);

function packet(first: number, parts: readonly (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  return Buffer.concat([Uint8Array.from([first, ...varint(body.length)]), body]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([Uint8Array.from([bytes.length >>> 8, bytes.length & 255]), bytes]);
}
