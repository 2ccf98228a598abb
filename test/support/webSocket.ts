// WebSocket by the book: what a client sends and how it reads what comes back, written as plainly as RFC 6455 says
// it, and the layer under test between a fake socket and a fake connection.

import { createHash } from "node:crypto";
import { Budget } from "../../src/base/budget.ts";
import type { Closed } from "../../src/net/closeCause.ts";
import type { Socket } from "../../src/net/connection.ts";
import { Residues } from "../../src/net/residues.ts";
import { type Upper, WebSocketLayer } from "../../src/net/webSocket.ts";
import { ANY, type WebSocketSettings } from "../../src/net/webSocketSettings.ts";

const MIB = 1024 * 1024;

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

export const ACCEPT = createHash("sha1")
  .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest("base64");

/** Fields of a request that is upgraded; in `changes`, null leaves a field out and a list repeats it. */
export function request(
  changes: Readonly<Record<string, string | readonly string[] | null>> = {},
  line = "GET /mqtt HTTP/1.1",
): Buffer {
  const fields: Record<string, string | readonly string[] | null> = {
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "mqtt",
    ...changes,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) => {
    if (value === null) return [];
    return (typeof value === "string" ? [value] : value).map((one) => `${name}: ${one}`);
  });
  return Buffer.from(`${[line, ...lines].join("\r\n")}\r\n\r\n`, "latin1");
}

export interface ClientFrame {
  readonly opcode?: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  /** RSV1, RSV2, RSV3 as 4, 2, 1. */
  readonly rsv?: number;
  /** Null leaves the frame unmasked. */
  readonly key?: readonly [number, number, number, number] | null;
  /** Bytes of the extended length, whatever the payload needs. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** What the header says, where that is not the payload's length. */
  readonly saidLength?: number | bigint;
}

/** One frame, §5.2. */
export function clientFrame(frame: ClientFrame): Buffer {
  const { opcode = 2, fin = true, rsv = 0, key = [0x37, 0xfa, 0x21, 0x3d] } = frame;
  const payload = Buffer.from(frame.payload ?? "");
  const length = frame.saidLength ?? payload.length;
  const lengthBytes = frame.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const header = Buffer.alloc(2 + lengthBytes);
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  header[1] =
    (key === null ? 0 : 0x80) | (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) header.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) header.writeBigUInt64BE(BigInt(length), 2);
  if (key === null) return Buffer.concat([header, payload]);
  const masked = payload.map((byte, i) => byte ^ key[i % 4]!);
  return Buffer.concat([header, Buffer.from(key), masked]);
}

export interface ServerFrame {
  readonly opcode: number;
  readonly rsv: number;
  readonly payload: Buffer;
}

/** The whole frames at the head of `bytes` and what is left; throws where a client must fail the connection. */
export function serverFrames(bytes: Buffer): { frames: ServerFrame[]; rest: Buffer } {
  const frames: ServerFrame[] = [];
  let at = 0;
  for (;;) {
    const left = bytes.length - at;
    if (left < 2) break;
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    if ((second & 0x80) !== 0) throw new Error("a server frame is masked");
    if ((first & 0x80) === 0) throw new Error("a server frame is a fragment");
    const lengthBytes = second === 126 ? 2 : second === 127 ? 8 : 0;
    if (left < 2 + lengthBytes) break;
    const length =
      lengthBytes === 0
        ? second
        : lengthBytes === 2
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    const opcode = first & 15;
    if (opcode >= 8 && length > 125) throw new Error("a control frame is too long");
    if (![2, 8, 9, 10].includes(opcode)) throw new Error(`a frame of opcode ${opcode}`);
    const from = at + 2 + lengthBytes;
    if (bytes.length < from + length) break;
    frames.push({ opcode, rsv: (first >> 4) & 7, payload: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A socket that takes what `room` lets it and keeps it. */
export class LowerSocket implements Socket {
  room = Number.POSITIVE_INFINITY;
  /** The most that one write takes; asked anew for each. */
  mostPerWrite: () => number = () => Number.POSITIVE_INFINITY;
  writes = 0;
  ended = false;
  /** Called by end(), as a socket that closes at once does. */
  onEnd: () => void = () => {};
  isPaused = false;
  private readonly parts: Buffer[] = [];

  write(bytes: Uint8Array, at: number, length: number): number {
    if (this.ended) return -1;
    if (at < 0 || length <= 0 || at + length > bytes.length) throw new Error("a write of what is not there");
    this.writes++;
    const taken = Math.min(length, this.room, this.mostPerWrite());
    this.room -= taken;
    this.parts.push(Buffer.from(bytes.slice(at, at + taken)));
    return taken;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.onEnd();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  /** What was written, forgotten here. */
  take(): Buffer {
    const bytes = this.bytes;
    this.parts.length = 0;
    return bytes;
  }
}

/** A connection that keeps what comes. */
export class UpperSpy implements Upper {
  readonly socket: Socket;
  session: object | null = {};
  readonly parts: Buffer[] = [];
  drains = 0;
  closedTold = 0;
  cause: Closed | null = null;
  onData: (chunk: Buffer) => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
  }

  data(chunk: Buffer): void {
    this.parts.push(Buffer.from(chunk));
    this.onData(chunk);
  }

  drain(): void {
    this.drains++;
  }

  closed(): void {
    this.closedTold++;
  }

  close(cause: Closed): void {
    this.cause = cause;
    this.socket.end();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

export interface BenchOptions extends Partial<WebSocketSettings> {
  readonly messageBytesMax?: number;
  readonly partialBytes?: number;
  readonly strangersBytes?: number;
  readonly residueBytes?: number;
  /** No connection is made of the upgrade. */
  readonly turnAway?: boolean;
}

/** The layer between its two neighbours. */
export class WebSocketBench {
  readonly lower = new LowerSocket();
  readonly partial: Budget;
  readonly strangers: Budget;
  readonly residue: Budget;
  readonly residues: Residues;
  nowMs = 1_000;
  readonly layer: WebSocketLayer;
  readonly uppers: UpperSpy[] = [];
  readonly refusals: [status: number, message: string][] = [];
  /** What is to be called after other work. */
  readonly turns: (() => void)[] = [];

  constructor(options: BenchOptions = {}) {
    const { path = ANY, origins = [ANY], compression = false } = options;
    this.partial = new Budget("partial", options.partialBytes ?? MIB);
    this.strangers = new Budget("strangers", options.strangersBytes ?? MIB);
    this.residue = new Budget("residue", options.residueBytes ?? MIB);
    const clock = { nowMs: () => this.nowMs, wallMs: () => 0 };
    this.residues = new Residues(this.residue, clock, () => {});
    this.layer = new WebSocketLayer(this.lower, {
      settings: { path, origins, compression },
      messageBytesMax: options.messageBytesMax ?? 64 * 1024,
      strangers: this.strangers,
      partial: this.partial,
      residues: this.residues,
      later: (turn) => void this.turns.push(turn),
      open: (socket) => {
        if (options.turnAway) return null;
        const upper = new UpperSpy(socket);
        this.uppers.push(upper);
        return upper;
      },
      refused: (status, message) => this.refusals.push([status, message]),
    });
  }

  /** One that is upgraded already; the response is taken. */
  static open(options: BenchOptions = {}, changes: Parameters<typeof request>[0] = {}): WebSocketBench {
    const bench = new WebSocketBench(options);
    bench.layer.data(request(changes));
    const response = bench.lower.take().toString("latin1");
    if (!response.startsWith("HTTP/1.1 101 ")) throw new Error(`no upgrade: ${response}`);
    return bench;
  }

  get upper(): UpperSpy {
    const [upper] = this.uppers;
    if (upper === undefined) throw new Error("there was no upgrade");
    return upper;
  }

  /** Feeds `bytes` in chunks of their own memory, cut at `cuts`. */
  feed(bytes: Buffer, ...cuts: readonly number[]): void {
    const ends = [...cuts, bytes.length];
    let from = 0;
    for (const end of ends) {
      if (end === from) continue;
      this.layer.data(copy(bytes.subarray(from, end)));
      from = end;
    }
  }

  /** The code of the close frame that was sent last, undefined without one, 0 without a code. */
  get closeCode(): number | undefined {
    const last = serverFrames(this.lower.bytes).frames.at(-1);
    if (last?.opcode !== 8) return undefined;
    return last.payload.length < 2 ? 0 : last.payload.readUInt16BE(0);
  }
}

/** A Buffer of its own memory, as a socket hands one out. */
export function copy(bytes: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}
