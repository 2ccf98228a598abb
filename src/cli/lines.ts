// Standard input, as lines or as a whole. Lines are bytes: nothing is decoded.

import { CommandError } from "./end.ts";

const LINE_END = 0x0a;
/** What one message may hold in MQTT. */
export const PAYLOAD_BYTES_MAX = 268_435_455;

/** Lines without their ends, those of one read together; the last one may lack its end. */
export async function* stdinLines(): AsyncGenerator<Buffer[]> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  for await (const chunk of Bun.stdin.stream()) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Buffer[] = [];
    let at = 0;
    for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, at)) {
      const line = bytes.subarray(at, end);
      lines.push(parts.length === 0 ? line : Buffer.concat([...parts, line]));
      parts = [];
      partBytes = 0;
      at = end + 1;
    }
    if (lines.length > 0) yield lines;
    if (at === bytes.length) continue;
    parts.push(bytes.subarray(at));
    partBytes += bytes.length - at;
    if (partBytes > PAYLOAD_BYTES_MAX) throw tooLong("a line of standard input");
  }
  if (parts.length > 0) yield [Buffer.concat(parts)];
}

export async function wholeStdin(): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of Bun.stdin.stream()) {
    parts.push(chunk);
    total += chunk.length;
    if (total > PAYLOAD_BYTES_MAX) throw tooLong("standard input");
  }
  return Buffer.concat(parts);
}

export function tooLong(what: string): CommandError {
  return new CommandError(`${what} is too long: a message holds at most ${PAYLOAD_BYTES_MAX} bytes`);
}
