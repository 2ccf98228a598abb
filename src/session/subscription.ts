// Subscription: one filter of one reader, what was granted, and how far the reader has got with that filter's
// postings. `segment` null means that it is caught up: the filter's next append sets the position (router/filters).

import type { FilterId } from "../base/brand.ts";
import type { Segment } from "../log/segment.ts";
import type { Reader } from "./reader.ts";
import type { ReceiveRule } from "./rights.ts";

export interface SubscriptionOptions {
  qos: 0 | 1 | 2;
  noLocal: boolean;
  retainAsPublished: boolean;
  /** §3.8.3.1: 0 send retained, 1 only for a new subscription, 2 never. */
  retainHandling: 0 | 1 | 2;
  /** 0 is none. */
  identifier: number;
}

export class Subscription {
  readonly reader: Reader;
  /** Changes with what the session may be sent of it (router/revision), and only while nothing is owed. */
  filter: FilterId;
  /** As the client wrote it, with any $share/ prefix. */
  readonly text: string;
  /** Budgeted bytes. */
  readonly cost: number;
  qos: 0 | 1 | 2;
  noLocal: boolean;
  retainAsPublished: boolean;
  identifier: number;
  /** What may be sent of it; null: everything. */
  rule: ReceiveRule | null = null;

  /** Position: the next byte owed lies at `from`, within `entry` of `segment`. */
  segment: Segment | null = null;
  entry = 0;
  from = 0;
  /** Place in the filter's list of subscriptions. */
  index = -1;

  constructor(reader: Reader, filter: FilterId, text: string, options: SubscriptionOptions, cost = 0) {
    this.reader = reader;
    this.filter = filter;
    this.text = text;
    this.cost = cost;
    this.qos = options.qos;
    this.noLocal = options.noLocal;
    this.retainAsPublished = options.retainAsPublished;
    this.identifier = options.identifier;
  }
}
