// Frame heads: the beginnings of the packets in a stream of bytes, for log lines about them. It is fed what passes in
// one direction of a connection, in pieces of any size, and keeps no more than a head.

import { bodyAt, MALFORMED_LENGTH, NEED_MORE, PacketType, remainingLength } from "../packet/frame.ts";

/** Bytes of one packet that a line may need: its topic, an identifier, a Reason Code, the first filters. */
const HEAD_BYTES_MAX = 2048;
/** Behind a topic, however long: a Packet Identifier, the length of the properties, most often a Topic Alias. */
const BEHIND_TOPIC_BYTES = 64;
/** A fixed header has at most so many. */
const HEADER_BYTES_MAX = 5;

/** head[0..length) are the first bytes of a packet of `total` bytes. */
export type OnHead = (head: Buffer, length: number, total: number) => void;

export class FrameHeads {
  private head = Buffer.alloc(HEAD_BYTES_MAX);
  private length = 0;
  /** Where the present packet's body begins. */
  private body = 0;
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
      const wanted = this.wanted();
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

  /** Bytes of the present packet that are kept; there is room for them. */
  private wanted(): number {
    if (this.total === 0) return HEADER_BYTES_MAX;
    let wanted = HEAD_BYTES_MAX;
    if ((this.head[0]! & 0xf0) === PacketType.Publish && this.length >= this.body + 2) {
      wanted = Math.max(wanted, this.body + 2 + this.head.readUInt16BE(this.body) + BEHIND_TOPIC_BYTES);
    }
    wanted = Math.min(wanted, this.total);
    if (wanted > this.head.length) {
      const grown = Buffer.alloc(wanted);
      this.head.copy(grown, 0, 0, this.length);
      this.head = grown;
    }
    return wanted;
  }

  private header(): void {
    if (this.length < 2) return;
    this.body = bodyAt(this.head, 0, this.length);
    if (this.body === NEED_MORE) return;
    this.isLost = this.body === MALFORMED_LENGTH;
    if (!this.isLost) this.total = this.body + remainingLength(this.head, 0, this.body);
  }

  private packet(): void {
    const { total, length, head } = this;
    this.length = 0;
    this.total = 0;
    this.passed = 0;
    if (head.length > HEAD_BYTES_MAX) this.head = Buffer.alloc(HEAD_BYTES_MAX);
    this.onHead(head, length, total);
  }
}
