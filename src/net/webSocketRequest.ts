// Upgrade request: the head of one HTTP/1.1 request, from bytes to the few fields that an upgrade looks at. It is
// bounded in bytes, in fields and in what it keeps; anything that could be read in two ways is refused.

import type { Room } from "../base/budget.ts";

/** Of the whole head, its empty line included. */
export const HEAD_BYTES_MAX = 8 * 1024;
export const HEADERS_MAX = 64;
/** What is taken first for a head that does not come in one piece; then twice as much each time. */
const HELD_BYTES_MIN = 256;
const HEAD_END = "\r\n\r\n";

export const HeadStatus = { NeedMore: 0, Whole: 1, TooLarge: 2, NotHttp: 3, NoMemory: 4 } as const;
export type HeadStatus = (typeof HeadStatus)[keyof typeof HeadStatus];

/** Collects the head of a request that comes in any number of chunks. */
export class HeadReader {
  private readonly budget: Room;
  private held: Buffer | null = null;
  private heldBytes = 0;
  /** The head without its empty line, once it is whole. */
  head = "";
  /** How much of the last chunk belongs to the head. */
  taken = 0;

  constructor(budget: Room) {
    this.budget = budget;
  }

  /** Takes the next chunk and keeps a copy of what it needs. */
  add(chunk: Buffer): HeadStatus {
    if (chunk.length === 0) return HeadStatus.NeedMore;
    if (this.heldBytes === 0 && !isUpperCase(chunk[0]!)) return HeadStatus.NotHttp;
    if (this.held === null) {
      const found = chunk.subarray(0, HEAD_BYTES_MAX).indexOf(HEAD_END);
      if (found >= 0) return this.whole(chunk, found, 0);
    }
    const before = this.heldBytes;
    const length = Math.min(chunk.length, HEAD_BYTES_MAX - before);
    if (!this.hold(chunk, length)) return HeadStatus.NoMemory;
    const held = this.held!.subarray(0, this.heldBytes);
    const found = held.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1));
    if (found >= 0) return this.whole(held, found, before);
    return this.heldBytes < HEAD_BYTES_MAX ? HeadStatus.NeedMore : HeadStatus.TooLarge;
  }

  private whole(bytes: Buffer, end: number, before: number): HeadStatus {
    this.head = bytes.toString("latin1", 0, end);
    this.taken = end + HEAD_END.length - before;
    return HeadStatus.Whole;
  }

  private hold(chunk: Buffer, length: number): boolean {
    const needed = this.heldBytes + length;
    if (this.held === null || this.held.length < needed) {
      let capacity = this.held?.length ?? HELD_BYTES_MIN;
      while (capacity < needed) capacity *= 2;
      if (!this.budget.take(capacity)) return false;
      const grown = Buffer.allocUnsafeSlow(capacity);
      if (this.held !== null) {
        this.held.copy(grown, 0, 0, this.heldBytes);
        this.budget.give(this.held.length);
      }
      this.held = grown;
    }
    chunk.copy(this.held, this.heldBytes, 0, length);
    this.heldBytes = needed;
    return true;
  }

  /** Gives its memory back. */
  close(): void {
    if (this.held !== null) this.budget.give(this.held.length);
    this.held = null;
    this.heldBytes = 0;
  }
}

/** Every method of HTTP begins with a capital; neither MQTT nor TLS does. */
function isUpperCase(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

export interface UpgradeRequest {
  readonly method: string;
  /** "1.1". */
  readonly version: string;
  /** Without the query. */
  readonly path: string;
  /** Lower-case name → value, for the names in FIELDS. */
  readonly fields: ReadonlyMap<string, string>;
}

/** The fields that are looked at; true for those that may come several times and then are one list, RFC 9110 §5.3. */
const FIELDS: ReadonlyMap<string, boolean> = new Map([
  ["host", false],
  ["connection", true],
  ["upgrade", true],
  ["origin", false],
  ["content-length", false],
  ["transfer-encoding", true],
  ["sec-websocket-key", false],
  ["sec-websocket-version", true],
  ["sec-websocket-protocol", true],
  ["sec-websocket-extensions", true],
]);

const REQUEST_LINE = /^([!#$%&'*+.^_`|~\w-]+) ([!-~]+) HTTP\/(\d\.\d)$/;
/** Origin form or absolute form, RFC 9112 §3.2. */
const TARGET = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]+(?=[/?]|$))?(\/[^?#]*)?(?:\?[^#]*)?$/i;
const FIELD_LINE = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/;

/** Reads `head`, or says what is wrong with it. */
export function parseRequest(head: string): UpgradeRequest | string {
  const lines = head.split("\r\n");
  const [, method, target, version] = REQUEST_LINE.exec(lines[0] ?? "") ?? [];
  if (method === undefined || target === undefined || version === undefined)
    return "the request line is malformed";
  const form = TARGET.exec(target);
  if (form === null) return "the request target is malformed";
  if (lines.length - 1 > HEADERS_MAX) return `there are more than ${HEADERS_MAX} header fields`;
  const fields = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const [, name, value] = FIELD_LINE.exec(lines[i]!) ?? [];
    if (name === undefined || value === undefined) return "a header field is malformed";
    const key = name.toLowerCase();
    const isList = FIELDS.get(key);
    if (isList === undefined) continue;
    const earlier = fields.get(key);
    if (earlier !== undefined && !isList) return `there is more than one ${name}`;
    fields.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return { method, version, path: form[1] ?? "/", fields };
}

/** The members of a comma-separated list, RFC 9110 §5.6.1; empty ones do not count. */
export function listOf(value: string | undefined): string[] {
  if (value === undefined) return [];
  return value
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
}
