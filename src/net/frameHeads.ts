// Frame heads: the beginnings of the packets in a stream of bytes, for log lines about them. It is fed what passes in
// one direction of a connection, in pieces of any size, and keeps no more than a head.

import { bodyAt, MALFORMED_LENGTH, NEED_MORE, remainingLength } from "../packet/frame.ts";

/** Bytes of one packet that a line may need: its topic, an identifier, a Reason Code, the first filters. */
const HEAD_BYTES_MAX = 2048;
/** A fixed header has at most so many. */
const HEADER_BYTES_MAX = 5;

/** head[0..length) are the first bytes of a packet of `total` bytes. */
export type OnHead = (head: Buffer, length: number, total: number) => void;

export class FrameHeads {
  private readonly head = Buffer.alloc(HEAD_BYTES_MAX);
  private length = 0;
  /** Of the present packet; 0 while its fixed header is not whole. */
  private total = 0;
  /** Of the present packet, bytes that have passed. */
  private passed = 0;
  private readonly onHead: OnHead;
  /** A malformed length: where the next packet begins is not known any more. */
  private isLost = false;

  constructor(onHead: OnHead) {
    this.onHead = onHead;
  }

  feed(bytes: Uint8Array, at: number, end: number): void {
    let position = at;
    while (position < end && !this.isLost) {
      const wanted = this.total === 0 ? HEADER_BYTES_MAX : Math.min(HEAD_BYTES_MAX, this.total);
      if (this.length < wanted) {
        const missing = this.total === 0 ? 1 : wanted - this.length;
        const taken = Math.min(missing, end - position);
        this.head.set(bytes.subarray(position, position + taken), this.length);
        this.length += taken;
        this.passed += taken;
        position += taken;
        if (this.total === 0) this.header();
      } else {
        const skipped = Math.min(this.total - this.passed, end - position);
        this.passed += skipped;
        position += skipped;
      }
      if (this.total > 0 && this.passed === this.total) this.packet();
    }
  }

  private header(): void {
    if (this.length < 2) return;
    const body = bodyAt(this.head, 0, this.length);
    if (body === NEED_MORE) return;
    this.isLost = body === MALFORMED_LENGTH;
    if (!this.isLost) this.total = body + remainingLength(this.head, 0, body);
  }

  private packet(): void {
    const { total, length } = this;
    this.length = 0;
    this.total = 0;
    this.passed = 0;
    this.onHead(this.head, length, total);
  }
}
