// What the packet tests share: annotated bytes, seeded randomness, and the oracle.

import { expect } from "bun:test";
import mqttPacket from "mqtt-packet";
import { isMqttError, type MqttError } from "../../src/packet/error.ts";
import type { ProtocolLevel } from "../../src/packet/protocol.ts";

/**
 * Bytes from pieces of hex pairs and 'text': packet("00 04 'MQTT'", "05"). Comments beside the pieces
 * annotate them.
 */
export function packet(...pieces: string[]): Uint8Array {
  const bytes: number[] = [];
  for (const token of pieces.join(" ").match(/'[^']*'|\S+/g) ?? []) {
    if (token.startsWith("'")) bytes.push(...new TextEncoder().encode(token.slice(1, -1)));
    else bytes.push(Number.parseInt(token, 16));
  }
  return Uint8Array.from(bytes);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export type Decode<T> = (bytes: Uint8Array, at: number, end: number) => T | MqttError;

/**
 * Bytes put around a body, so that a decoder that looks outside of [at, end) finds something to trip over.
 */
const SURROUND = [0xff, 0x00, 0x26];

/** Decodes `body` in the middle of other bytes and by itself: the results must be the same. */
export function decodeBoth<T>(decode: Decode<T>, body: Uint8Array): T | MqttError {
  const alone = decode(body, 0, body.length);
  const at = SURROUND.length;
  const within = decode(Uint8Array.from([...SURROUND, ...body, ...SURROUND]), at, at + body.length);
  expect(within).toEqual(alone);
  return alone;
}

export function expectError<T>(result: T | MqttError, error: MqttError): void {
  expect(isMqttError(result) ? result.message : result).toBe(error.message);
}

/** Every strict prefix of `body` is refused, except those whose length is in `whole`. */
export function expectTruncationsRefused<T>(decode: Decode<T>, body: Uint8Array, whole: number[] = []): void {
  const accepted: number[] = [];
  for (let length = 0; length < body.length; length++) {
    if (!isMqttError(decodeBoth(decode, body.slice(0, length)))) accepted.push(length);
  }
  expect(accepted).toEqual(whole);
}

export const levels: readonly ProtocolLevel[] = [3, 4, 5];

/** Seeded: mulberry32. Set MILLRACE_SEED to replay a run. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 0x1_0000_0000)) {
    this.seed = seed;
    this.#state = seed | 0;
  }

  /** 0..limit-1 */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * limit);
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(max: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(max + 1) }, () => this.below(256)));
  }

  /** ASCII mostly, now and then with two, three and four bytes a character, sometimes empty. */
  text(max: number): string {
    const letters = [..."abcdefghij/-_.ABC019 ", "é", "水", "🌊", "\ufeff"];
    return Array.from({ length: this.below(max + 1) }, () => this.pick(letters)).join("");
  }
}

/** Runs `body` and says the seed when it fails. */
export function seeded(body: (random: Random) => void): () => void {
  return () => {
    const random = new Random();
    try {
      body(random);
    } catch (error) {
      console.error(`replay with MILLRACE_SEED=${random.seed}`);
      throw error;
    }
  };
}

export type Fields = Record<string, unknown>;

/** The packet that mqtt-packet writes for `fields`. */
export function generated(level: ProtocolLevel, fields: Fields): Uint8Array {
  return mqttPacket.generate(fields as unknown as mqttPacket.Packet, { protocolVersion: level });
}

/** What mqtt-packet reads from one whole packet: its fields, or why it refuses. */
export function parsed(level: ProtocolLevel, bytes: Uint8Array): Fields | string {
  const parser = mqttPacket.parser({ protocolVersion: level });
  let result: Fields | string = "incomplete";
  parser.on("packet", (fields) => {
    if (typeof result !== "string" || result === "incomplete") result = fields as unknown as Fields;
  });
  parser.on("error", (error: Error) => {
    result = error.message;
  });
  try {
    parser.parse(Buffer.from(bytes));
  } catch (error) {
    return `threw ${String(error)}`;
  }
  return result;
}

/** Position of the body in a whole packet. */
export function bodyOf(bytes: Uint8Array): number {
  let at = 1;
  while (bytes[at]! > 127) at++;
  return at + 1;
}
