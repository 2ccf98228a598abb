// What /api/v1 answers, as far as the page reads it.

export interface Counters {
  readonly at: number;
  readonly connections: number;
  readonly sessions: number;
  readonly retained: number;
  readonly filters: number;
  readonly publishes_in: number;
  readonly publish_bytes_in: number;
  readonly messages_out: number;
  readonly bytes_out: number;
  readonly unmatched: number;
  readonly paused: number;
  readonly head: number;
  readonly rss: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly memory: readonly {
    readonly name: string;
    readonly used: number;
    readonly peak: number;
    readonly max: number;
  }[];
}

export interface List<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly offset: number;
}

export interface ClientRow {
  readonly client_id: string;
  readonly username: string;
  readonly tenant: string | null;
  readonly connected: boolean;
  readonly state: string;
  readonly version: string;
  readonly listener: string | null;
  readonly remote: string | null;
  readonly connected_seconds: number | null;
  readonly silent_seconds: number | null;
  readonly keep_alive_seconds: number | null;
  readonly expiry_seconds: number;
  readonly subscription_count: number;
  readonly sent_bytes: number;
  readonly lag_messages: number;
  readonly lag_bytes: number;
}

export interface SubscriptionRow {
  readonly client_id: string;
  readonly filter: string;
  readonly qos: number;
  readonly cursor: number;
  readonly lag_messages: number;
  readonly lag_bytes: number;
}

export interface ClientDetail extends ClientRow {
  readonly head: number;
  readonly cursor: number;
  readonly in_flight: number;
  readonly window: number;
  readonly left_behind: boolean;
  readonly has_will: boolean;
  readonly subscriptions: readonly SubscriptionRow[];
  readonly subscriptions_total: number;
}

export interface LogAnswer {
  readonly head: number;
  readonly oldest: number;
  readonly segments: readonly {
    readonly base_offset: number;
    readonly records: number;
    readonly bytes: number;
  }[];
}

export interface TopicsAnswer {
  readonly total: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly messages: number;
    readonly messages_per_second: number;
  }[];
  readonly other_messages: number;
}
