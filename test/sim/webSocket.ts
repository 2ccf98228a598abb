// SimWebSocket: the client's end of a WebSocket in the simulation. What the client sends is cut into frames and
// fragments as chance will have it, with pings between them; what it reads must be whole frames and the pings' pongs.

import { clientFrame, request, serverFrames } from "../support/webSocket.ts";
import type { Random } from "./random.ts";

const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const HEAD_END = "\r\n\r\n";

export class SimWebSocket {
  private readonly random: Random;
  private raw: Buffer = Buffer.alloc(0);
  private isOpen = false;
  private isClosed = false;
  private pings = 0;
  private pongs = 0;

  constructor(random: Random) {
    this.random = random;
  }

  get request(): Buffer {
    return request();
  }

  /** The frames that carry `bytes`. */
  frames(bytes: Buffer): Buffer {
    const { random } = this;
    const frames: Buffer[] = [];
    let isFragment = false;
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + random.between(1, random.pick([10, 200, 70_000])));
      const fin = end === bytes.length || random.chance(0.7);
      const key = [0, 0, 0, 0].map(() => random.below(256)) as [number, number, number, number];
      frames.push(
        clientFrame({
          opcode: isFragment ? CONTINUATION : BINARY,
          payload: bytes.subarray(at, end),
          fin,
          key,
        }),
      );
      if (random.chance(0.05)) frames.push(clientFrame({ opcode: PING, payload: `${++this.pings}` }));
      isFragment = !fin;
      at = end;
    }
    return Buffer.concat(frames);
  }

  /** What `bytes` carry, as far as frames are whole. */
  payload(bytes: Buffer): Buffer {
    this.raw = Buffer.concat([this.raw, bytes]);
    if (!this.isOpen) {
      const end = this.raw.indexOf(HEAD_END);
      if (end < 0) return Buffer.alloc(0);
      if (!this.raw.toString("latin1").startsWith("HTTP/1.1 101 "))
        throw new Error("the upgrade was refused");
      this.raw = this.raw.subarray(end + HEAD_END.length);
      this.isOpen = true;
    }
    const { frames, rest } = serverFrames(this.raw);
    this.raw = rest;
    const parts: Buffer[] = [];
    for (const { opcode, payload } of frames) {
      if (this.isClosed) throw new Error("a frame came behind the close frame");
      if (opcode === BINARY) parts.push(payload);
      else if (opcode === PONG) this.pong(Number(payload.toString()));
      else if (opcode === CLOSE) this.isClosed = true;
      else throw new Error(`a frame of opcode ${opcode}`);
    }
    return Buffer.concat(parts);
  }

  private pong(number: number): void {
    if (number <= this.pongs || number > this.pings) throw new Error(`pong ${number} of ping ${this.pings}`);
    this.pongs = number;
  }
}
