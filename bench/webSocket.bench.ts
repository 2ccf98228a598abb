// MQTT over WebSocket beside plain TCP: what unmasking, framing and an upgrade cost.

import { do_not_optimize } from "mitata";
import { Budget } from "../src/base/budget.ts";
import { Residues } from "../src/net/residues.ts";
import { FrameDecoder, FrameEvent } from "../src/net/webSocketDecoder.ts";
import { FrameEncoder } from "../src/net/webSocketEncoder.ts";
import { parseRequest } from "../src/net/webSocketRequest.ts";
import { ANY } from "../src/net/webSocketSettings.ts";
import { answer } from "../src/net/webSocketUpgrade.ts";
import { type Case, runCases } from "./harness.ts";

const CHUNK_BYTES = 64 * 1024;
const PACKET_BYTES = 80;
const KEY = [0x12, 0x84, 0x56, 0xf8];

/** A client's binary frames of `payload` bytes each, about CHUNK_BYTES of them. */
function clientFrames(payload: number): { chunk: Buffer; frames: number } {
  const long = payload > 125;
  const header = Buffer.from([
    0x82,
    0x80 | (long ? 126 : payload),
    ...(long ? [payload >> 8, payload & 255] : []),
  ]);
  const frame = Buffer.concat([header, Buffer.from(KEY), Buffer.alloc(payload, 0x6d)]);
  const frames = Math.ceil(CHUNK_BYTES / frame.length);
  return { chunk: Buffer.concat(new Array<Buffer>(frames).fill(frame)), frames };
}

/** A chunk is copied first, as unmasking changes it: the copy alone is the first case. */
function decodeCase(name: string, payload: number): Case {
  const { chunk, frames } = clientFrames(payload);
  const own = Buffer.allocUnsafeSlow(chunk.length);
  const decoder = new FrameDecoder(false);
  const call = (): void => {
    chunk.copy(own);
    decoder.begin(own);
    if (decoder.next() !== FrameEvent.More) throw new Error("the frames are wrong");
    if (decoder.to - decoder.from !== frames * payload) throw new Error("bytes are missing");
    decoder.end();
  };
  const units = Math.floor((frames * payload) / PACKET_BYTES);
  return { group: `from the client, per ${PACKET_BYTES} bytes`, name, units, call };
}

function copyCase(): Case {
  const { chunk } = clientFrames(PACKET_BYTES);
  const own = Buffer.allocUnsafeSlow(chunk.length);
  const call = (): void => void chunk.copy(own);
  const units = Math.floor(chunk.length / PACKET_BYTES);
  return {
    group: `from the client, per ${PACKET_BYTES} bytes`,
    name: "a copy of the chunk alone",
    units,
    call,
  };
}

function encodeCase(bytes: number): Case {
  const log = Buffer.alloc(1024 * 1024, 0x6d);
  const sink = { write: (_bytes: Uint8Array, _at: number, length: number): number => length };
  const clock = { nowMs: () => 0, wallMs: () => 0 };
  const residues = new Residues(new Budget("residues", log.length), clock, () => {});
  const encoder = new FrameEncoder(sink, residues, { close() {} }, 0);
  let at = 0;
  const call = (): void => {
    if (encoder.write(log, at, bytes) !== bytes) throw new Error("bytes are missing");
    at = (at + bytes + 1) % (log.length - bytes);
  };
  const name = `a write of ${bytes} bytes`;
  return { group: `to the client, per ${PACKET_BYTES} bytes`, name, units: bytes / PACKET_BYTES, call };
}

function upgradeCase(): Case {
  const settings = { path: ANY, origins: [ANY], compression: false };
  const head =
    "GET /mqtt HTTP/1.1\r\nHost: broker.example:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
  const call = (): void => {
    const request = parseRequest(head);
    if (typeof request === "string") throw new Error(request);
    do_not_optimize(answer(request, settings));
  };
  return { group: "upgrade, per connection", name: "request and response", units: 1, call };
}

export async function run(quick: boolean): Promise<void> {
  const cases = [
    copyCase(),
    decodeCase("a frame each", PACKET_BYTES),
    decodeCase("frames of 4 KiB", 4096),
    decodeCase("frames of 32 KiB", 32 * 1024),
    encodeCase(PACKET_BYTES),
    encodeCase(4000),
    encodeCase(64_000),
    encodeCase(400_000),
    upgradeCase(),
  ];
  await runCases(cases, quick);
}
