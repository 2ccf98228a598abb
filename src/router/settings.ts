// What a router is told at start. Plain values: the config folder makes them, this folder knows nothing of files.

export type SharedStrategy = "roundrobin" | "random" | "sticky";

/** Bytes of one filter that a lagging QoS 0 reader may owe before it skips. */
export interface FilterRetention {
  readonly filter: string;
  readonly bytes: number;
}

export interface RouterSettings {
  readonly id: number;
  /** The sum of all named budgets, bytes. */
  readonly memoryBytes: number;
  /** Network Connections at one time, over all listeners. */
  readonly connectionsMax: number;
  /** Messages that one reader gets in one batch of its turn. */
  readonly batchMessagesMax: number;
  /** Default retention of a filter, bytes: rumqttd's max_segment_size times max_segment_count. */
  readonly retentionBytes: number;
  readonly retentionByFilter: readonly FilterRetention[];
  /** Filters that exist from the start, whoever subscribes. */
  readonly initializedFilters: readonly string[];
  readonly sharedStrategy: SharedStrategy;
  /** Bytes of one filter that a healthy reader may owe before the filter's publishers are paced. */
  readonly paceDebtBytes: number;
  /** A reader without progress for so long holds no publisher back, ms. */
  readonly stallMs: number;
}
