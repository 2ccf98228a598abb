// Rate: messages and bytes per second that one client may send, as two token buckets of one second, and a pause after
// each chunk. They are charged per chunk, after it is taken: a client that has overdrawn one is not read until it has
// refilled. Nothing is dropped.

export interface RateLimits {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly readPauseMs: number;
}

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
  static of({ messagesPerSecond, bytesPerSecond, readPauseMs }: RateLimits, nowMs: number): Rate {
    return new Rate(messagesPerSecond, bytesPerSecond, nowMs, readPauseMs);
  }

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

  /** It limits as `limits` says. */
  limitsAs({ messagesPerSecond, bytesPerSecond, readPauseMs }: RateLimits): boolean {
    return (
      this.messagesPerSecond === messagesPerSecond &&
      this.bytesPerSecond === bytesPerSecond &&
      this.pauseMs === readPauseMs
    );
  }

  /** Nothing is left of what came before: a fresh one allows no more. */
  isFresh(nowMs: number): boolean {
    this.refill(nowMs);
    return (
      this.messages === this.messagesPerSecond &&
      this.bytes === this.bytesPerSecond &&
      nowMs >= this.pausedUntilMs
    );
  }

  private refill(nowMs: number): void {
    const seconds = (nowMs - this.atMs) / 1000;
    if (seconds <= 0) return;
    this.atMs = nowMs;
    this.messages = Math.min(this.messagesPerSecond, this.messages + seconds * this.messagesPerSecond);
    this.bytes = Math.min(this.bytesPerSecond, this.bytes + seconds * this.bytesPerSecond);
  }
}

/** Clients that have gone and whose rates are remembered; beyond them the one that went first is forgotten. */
const REMEMBERED_MAX = 10_000;

/**
 * Rates of clients that have gone before they were fresh again: whoever connects anew, as the same client, goes on with
 * what it owes.
 */
export class RateMemory {
  private readonly byClient = new Map<string, Rate>();

  keep(clientIdentifier: string, rate: Rate, nowMs: number): void {
    this.byClient.delete(clientIdentifier);
    if (rate.isFresh(nowMs)) return;
    if (this.byClient.size === REMEMBERED_MAX) {
      for (const first of this.byClient.keys()) {
        this.byClient.delete(first);
        break;
      }
    }
    this.byClient.set(clientIdentifier, rate);
  }

  /** The client's own, or a fresh one. */
  take(clientIdentifier: string, limits: RateLimits, nowMs: number): Rate {
    const rate = this.byClient.get(clientIdentifier);
    if (rate === undefined) return Rate.of(limits, nowMs);
    this.byClient.delete(clientIdentifier);
    return rate.limitsAs(limits) ? rate : Rate.of(limits, nowMs);
  }
}
