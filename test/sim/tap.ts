// Tap: what a connection's socket took, packet by packet: the slow and obvious way to count what is sent.

import type { ByteSink } from "../../src/net/outbound.ts";
import { PublishCount, type Stats } from "../../src/router/stats.ts";

const PUBLISH = 3;

export class Tap {
  /** Whole packets, by type. */
  readonly packets = new Float64Array(16);
  readonly published = new PublishCount();

  /** Counts what `sink` takes from now on. */
  on(sink: ByteSink): void {
    const counter = new PacketCounter(this);
    const write = sink.write.bind(sink);
    sink.write = (bytes, at, length) => {
      const taken = write(bytes, at, length);
      counter.take(bytes, at, Math.max(0, taken));
      return taken;
    };
  }

  /** Throws when the router counted other PUBLISH packets, or fewer others, than sockets took. */
  compare(stats: Stats): void {
    const { messages } = stats.sent;
    const counted = messages.join();
    if (counted !== this.published.messages.join())
      throw new Error(`${counted} messages of QoS 0, 1, 2 are counted, ${this.published.messages} left`);
    const packets = stats.allPacketsOut();
    const type = packets.findIndex((count, index) => count < this.packets[index]!);
    if (type >= 0)
      throw new Error(`${packets[type]} packets of type ${type} are counted, ${this.packets[type]} left`);
  }
}

/** The packets of one connection, added to `tap`. */
export class PacketCounter {
  private readonly tap: Tap;
  private first = -1;
  private header = 0;
  private length = 0;
  private shift = 0;
  /** Bytes of the body that are still to come; -1 while the length is read. */
  private left = -1;

  constructor(tap: Tap) {
    this.tap = tap;
  }

  take(bytes: Uint8Array, at: number, taken: number): void {
    const end = at + taken;
    let position = at;
    while (position < end) {
      if (this.left < 0) this.head(bytes[position++]!);
      else {
        const step = Math.min(this.left, end - position);
        this.left -= step;
        position += step;
      }
      if (this.left === 0) this.whole();
    }
  }

  private head(byte: number): void {
    this.header++;
    if (this.first < 0) {
      this.first = byte;
      return;
    }
    this.length += (byte & 127) << this.shift;
    this.shift += 7;
    if (byte < 128) this.left = this.length;
  }

  private whole(): void {
    const { tap, first } = this;
    tap.packets[first >>> 4]!++;
    if (first >>> 4 === PUBLISH) {
      const qos = (first >>> 1) & 3;
      tap.published.messages[qos]!++;
      tap.published.bytes[qos]! += this.header + this.length;
    }
    this.first = -1;
    this.header = 0;
    this.length = 0;
    this.shift = 0;
    this.left = -1;
  }
}
