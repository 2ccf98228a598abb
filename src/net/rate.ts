// Rate: messages and bytes per second that one client may send, as two token buckets of one second, and a pause after
// each chunk. They are charged per chunk, after it is taken: a client that has overdrawn one is not read until it has
// refilled. Nothing is dropped.

export class Rate {
  private readonly messagesPerSecond: number;
  private readonly bytesPerSecond: number;
  /** After each chunk, ms. */
  private readonly pauseMs: number;
  /** What may come at once; below zero when it was too much. */
  private messages: number;
  private bytes: number;
  private atMs: number;
  private pausedUntilMs = 0;

  /** Infinity sets no limit. */
  constructor(messagesPerSecond: number, bytesPerSecond: number, nowMs: number, pauseMs = 0) {
    this.pauseMs = pauseMs;
    this.messagesPerSecond = messagesPerSecond;
    this.bytesPerSecond = bytesPerSecond;
    this.messages = messagesPerSecond;
    this.bytes = bytesPerSecond;
    this.atMs = nowMs;
  }

  /** So much came; bytes are told once for each chunk. */
  take(messages: number, bytes: number, nowMs: number): void {
    this.refill(nowMs);
    if (bytes > 0) this.pausedUntilMs = nowMs + this.pauseMs;
    this.messages -= messages;
    this.bytes -= bytes;
  }

  isOverdrawn(nowMs: number): boolean {
    this.refill(nowMs);
    return this.messages < 0 || this.bytes < 0 || nowMs < this.pausedUntilMs;
  }

  private refill(nowMs: number): void {
    const seconds = (nowMs - this.atMs) / 1000;
    if (seconds <= 0) return;
    this.atMs = nowMs;
    this.messages = Math.min(this.messagesPerSecond, this.messages + seconds * this.messagesPerSecond);
    this.bytes = Math.min(this.bytesPerSecond, this.bytes + seconds * this.bytesPerSecond);
  }
}
