// Topics: which topics messages are published to, and how often. A link of the broker listens only while somebody
// asks; the first look after a pause begins with nothing.

import { Link, type LinkMessage } from "../net/link.ts";
import type { Router } from "../router/router.ts";

/** Topics that are remembered; of further ones only the sum is kept. */
const TOPICS_MAX = 5000;
/** Nobody has asked for so long: the link ends. */
const IDLE_MS = 15_000;
const TURN_MS = 1000;
/** Messages whose topic is read in one turn: a flood is not slowed by being watched; the rest is only counted. */
const READ_PER_TURN = 20_000;
/** Turns over which a rate is taken. */
const WINDOW_TURNS = 5;
const CLIENT = "$millrace/console/topics";

interface Counted {
  messages: number;
  bytes: number;
  /** Of the window before. */
  rate: number;
  byteRate: number;
  windowMessages: number;
  windowBytes: number;
}

export interface TopicRate {
  readonly topic: string;
  readonly messages: number;
  readonly bytes: number;
  readonly messages_per_second: number;
  readonly bytes_per_second: number;
}

export interface Rates {
  readonly topics: readonly TopicRate[];
  /** Topics that match, of those that are remembered. */
  readonly total: number;
  /** Messages to topics that are not remembered. */
  readonly other_messages: number;
  readonly since_ms: number;
}

export class Topics {
  private readonly router: Router;
  private link: Link | null = null;
  private readonly counted = new Map<string, Counted>();
  private windowSinceMs = 0;
  private askedMs = 0;
  /** Messages whose topic is not known: too many topics, or too many messages. */
  private others = 0;
  private mayRead = 0;
  private turns = 0;
  private timer: Timer | null = null;

  constructor(router: Router) {
    this.router = router;
  }

  /** The busiest topics that contain `search`, at most `limit`; rates are of the last whole window. */
  rates(search: string, limit: number): Rates {
    const now = this.router.clock.nowMs();
    this.askedMs = now;
    if (this.link === null) this.begin(now);
    const topics: TopicRate[] = [];
    for (const [topic, one] of this.counted) {
      if (!topic.includes(search)) continue;
      topics.push({
        topic,
        messages: one.messages,
        bytes: one.bytes,
        messages_per_second: one.rate,
        bytes_per_second: one.byteRate,
      });
    }
    topics.sort((a, b) => b.messages_per_second - a.messages_per_second || b.messages - a.messages);
    return {
      topics: topics.slice(0, limit),
      total: topics.length,
      other_messages: this.others,
      since_ms: now - this.windowSinceMs,
    };
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.link?.close();
    this.link = null;
    this.counted.clear();
    this.others = 0;
  }

  private begin(now: number): void {
    this.windowSinceMs = now;
    this.link = new Link(this.router, CLIENT, 1, {
      onMessage: (message) => this.count(message),
      onClosed: () => this.close(),
    });
    this.link.subscribe("#", 0, false);
    this.mayRead = READ_PER_TURN;
    this.turns = 0;
    this.timer = setInterval(() => this.turn(), TURN_MS);
  }

  private turn(): void {
    const now = this.router.clock.nowMs();
    if (now - this.askedMs > IDLE_MS) {
      this.close();
      return;
    }
    this.mayRead = READ_PER_TURN;
    if (++this.turns % WINDOW_TURNS !== 0 && this.turns > 1) return; // the first turn is a window of its own
    const seconds = Math.max(1, now - this.windowSinceMs) / 1000;
    this.windowSinceMs = now;
    for (const one of this.counted.values()) {
      one.rate = one.windowMessages / seconds;
      one.byteRate = one.windowBytes / seconds;
      one.windowMessages = 0;
      one.windowBytes = 0;
    }
  }

  private count(message: LinkMessage): void {
    if (this.mayRead === 0) {
      this.others++;
      return;
    }
    this.mayRead--;
    const { topic, payloadBytes } = message;
    let one = this.counted.get(topic);
    if (one === undefined) {
      if (this.counted.size === TOPICS_MAX) {
        this.others++;
        return;
      }
      one = { messages: 0, bytes: 0, rate: 0, byteRate: 0, windowMessages: 0, windowBytes: 0 };
      this.counted.set(topic, one);
    }
    one.messages++;
    one.bytes += payloadBytes;
    one.windowMessages++;
    one.windowBytes += payloadBytes;
  }
}
