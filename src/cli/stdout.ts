// Standard output as messages need it: all of a chunk's messages in one write, that waits for a slow reader as a pipe
// does, and an end when the reader is gone.

import { writeSync } from "node:fs";

const STDOUT = 1;
const WAIT_MS = 1;
/** Bytes that are collected before they are written. */
const COLLECTED_MAX = 64 * 1024;

export class Stdout {
  private parts: Buffer[] = [];
  private bytes = 0;
  private isQueued = false;
  private isGone = false;
  private readonly onGone: () => void;

  /** `onGone` is called once, when nobody reads any more; what is written then is dropped. */
  constructor(onGone: () => void) {
    this.onGone = onGone;
  }

  /** Written before the next turn of the event loop. */
  write(bytes: Buffer): void {
    if (this.isGone) return;
    this.parts.push(bytes);
    this.bytes += bytes.length;
    if (this.bytes >= COLLECTED_MAX) this.flush();
    else if (!this.isQueued) queueMicrotask(() => this.flush());
    this.isQueued = true;
  }

  private flush(): void {
    this.isQueued = false;
    if (this.bytes === 0) return;
    const all = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
    for (let at = 0; at < all.length && !this.isGone; ) at += this.attempt(all, at);
  }

  private attempt(bytes: Buffer, at: number): number {
    try {
      return writeSync(STDOUT, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") {
        Bun.sleepSync(WAIT_MS);
        return 0;
      }
      if (code !== "EPIPE") throw error;
      this.isGone = true;
      this.onGone();
      return 0;
    }
  }
}
