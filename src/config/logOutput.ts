// Log output: lines go to a descriptor without ever holding the program up. A reader that does not read fills a
// bounded queue; what does not fit is dropped, counted, and told as soon as lines pass again. So is what a full disk
// refuses.

import { closeSync, constants, openSync, writeSync } from "node:fs";

/** Text that waits, characters. */
const QUEUE_MAX = 1024 * 1024;
const RETRY_MS = 50;

/** Writes some of `bytes` and returns how many; throws with a `code`, EAGAIN when nothing can be taken now. */
export type WriteSome = (bytes: Uint8Array) => number;

export class LogOutput {
  private readonly writeSome: WriteSome;
  private queue: Uint8Array[] = [];
  private queued = 0;
  private dropped = 0;
  private timer: Timer | null = null;
  /** Makes the line that says how many were dropped. */
  private readonly droppedLine: (count: number) => string;

  constructor(writeSome: WriteSome, droppedLine: (count: number) => string) {
    this.writeSome = writeSome;
    this.droppedLine = droppedLine;
  }

  /** Writes the line now if it can, else queues it; never waits, never throws. */
  write(line: string): void {
    if (this.queued + line.length > QUEUE_MAX) {
      this.dropped++;
      return;
    }
    const bytes = Buffer.from(line);
    this.queue.push(bytes);
    this.queued += bytes.length;
    if (this.timer === null) this.drain();
  }

  /** Writes what the descriptor takes at once; for the end of the process. */
  flush(): void {
    this.drain();
  }

  private drain(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    while (this.queue.length > 0) {
      const first = this.queue[0]!;
      const wrote = this.attempt(first);
      if (wrote < 0) {
        this.timer = setTimeout(() => this.drain(), RETRY_MS);
        this.timer.unref();
        return;
      }
      this.queued -= wrote;
      if (wrote < first.length) this.queue[0] = first.subarray(wrote);
      else this.queue.shift();
      if (this.queue.length === 0 && this.dropped > 0) this.tellDropped();
    }
  }

  /** Bytes written; -1 when the descriptor takes none now. What an error refuses is dropped. */
  private attempt(bytes: Uint8Array): number {
    try {
      return this.writeSome(bytes);
    } catch (error) {
      if ((error as { code?: string }).code === "EAGAIN") return -1;
      this.dropped++;
      return bytes.length;
    }
  }

  private tellDropped(): void {
    const count = this.dropped;
    this.dropped = 0;
    try {
      this.writeSome(Buffer.from(this.droppedLine(count)));
    } catch {
      this.dropped = count;
    }
  }
}

/**
 * A way to write to `descriptor` that does not block: pipes, files and terminals are opened anew for it. Where that
 * is not possible (a socket, another system) the descriptor itself is used.
 */
export function nonBlocking(descriptor: number): WriteSome {
  let fd = descriptor;
  try {
    fd = openSync(
      `/proc/self/fd/${descriptor}`,
      constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK,
    );
  } catch {
    return (bytes) => writeSync(descriptor, bytes);
  }
  process.once("exit", () => closeSync(fd));
  return (bytes) => writeSync(fd, bytes);
}
