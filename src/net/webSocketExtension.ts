// permessage-deflate, RFC 7692: what is agreed on in the upgrade, and messages that come packed. Neither side keeps a
// dictionary from one message to the next, so that a connection holds no memory for it while idle.

import type { Room } from "../base/budget.ts";
import { type Unpacked, unpack, UnpackStatus } from "./webSocketDeflate.ts";

export interface DeflateTerms {
  /** The value of Sec-WebSocket-Extensions in the response. */
  readonly response: string;
  /** Largest window that the broker may use for what it sends, as a power of two: 9..15. */
  readonly windowBits: number;
}

const NAME = "permessage-deflate";
const WINDOW_BITS_MAX = 15;
/** zlib has no raw deflate with 8. */
const WINDOW_BITS_MIN = 9;
/** Offers beyond these are not looked at. */
const OFFERS_MAX = 8;

/** One member of the list: a name and its parameters, quoted values too. */
const OFFER =
  /\s*([!#$%&'*+.^_`|~\w-]+)((?:\s*;\s*[!#$%&'*+.^_`|~\w-]+(?:\s*=\s*(?:"[^"]*"|[^\s;,"]+))?)*)\s*(,|$)/y;
const PARAMETER = /;\s*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s;,"]+)))?/g;

/** Takes the first offer that can be kept, §5.1; null without one. */
export function negotiate(offers: string | undefined): DeflateTerms | null {
  if (offers === undefined) return null;
  OFFER.lastIndex = 0;
  for (let count = 0; count < OFFERS_MAX && OFFER.lastIndex < offers.length; count++) {
    const [, name, parameters] = OFFER.exec(offers) ?? [];
    if (name === undefined) return null;
    const terms = name === NAME ? termsOf(parameters ?? "") : null;
    if (terms !== null) return terms;
  }
  return null;
}

/** §7.1: an unknown, repeated or invalid parameter makes an offer that cannot be taken. */
function termsOf(parameters: string): DeflateTerms | null {
  const seen = new Set<string>();
  let windowBits = WINDOW_BITS_MAX;
  let response = `${NAME}; server_no_context_takeover; client_no_context_takeover`;
  for (const [, name = "", quoted, plain] of parameters.matchAll(PARAMETER)) {
    const value = quoted ?? plain;
    if (seen.has(name)) return null;
    seen.add(name);
    if (name === "server_no_context_takeover" || name === "client_no_context_takeover") {
      if (value !== undefined) return null;
    } else if (name === "client_max_window_bits") {
      if (value !== undefined && !/^(?:[89]|1[0-5])$/.test(value)) return null; // 15 serves all of them
    } else if (name === "server_max_window_bits") {
      if (!/^(?:9|1[0-5])$/.test(value ?? "")) return null;
      windowBits = Math.max(WINDOW_BITS_MIN, Number(value));
      response += `; server_max_window_bits=${windowBits}`;
    } else return null;
  }
  return { response, windowBits };
}

/** Collects one packed message and unpacks it; a message that comes in one piece is not even collected. */
export class Unpacker {
  private readonly bytesMax: number;
  private budget: Room | null = null;
  private held: Buffer | null = null;
  private length = 0;

  /** Neither the packed nor the unpacked message may have more than `bytesMax` bytes. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Keeps a copy of chunk[at, end), which is not the last piece; the first says whose `budget` all of it takes. */
  add(chunk: Buffer, at: number, end: number, budget: Room): UnpackStatus {
    if (this.held === null) this.budget = budget;
    const needed = this.length + end - at;
    if (needed > this.bytesMax) return UnpackStatus.TooLarge;
    if (this.held === null || this.held.length < needed) {
      const capacity = Math.max(2 * this.length, needed);
      if (!this.budget!.take(capacity)) return UnpackStatus.NoMemory;
      const grown = Buffer.allocUnsafeSlow(capacity);
      if (this.held !== null) {
        this.held.copy(grown, 0, 0, this.length);
        this.budget!.give(this.held.length);
      }
      this.held = grown;
    }
    chunk.copy(this.held, this.length, at, end);
    this.length = needed;
    return UnpackStatus.Fine;
  }

  /** chunk[at, end) is the last piece: `taker` gets the message, and it is forgotten. */
  last(chunk: Buffer, at: number, end: number, budget: Room, taker: Unpacked): UnpackStatus {
    if (this.held === null) {
      if (end - at > this.bytesMax) return UnpackStatus.TooLarge;
      return unpack(chunk, at, end, this.bytesMax, taker);
    }
    const status = this.add(chunk, at, end, budget);
    if (status !== UnpackStatus.Fine) return status;
    try {
      return unpack(this.held, 0, this.length, this.bytesMax, taker);
    } finally {
      this.close();
    }
  }

  /** Gives its memory back. */
  close(): void {
    if (this.held !== null) this.budget!.give(this.held.length);
    this.held = null;
    this.length = 0;
  }
}
