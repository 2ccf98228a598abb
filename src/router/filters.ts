// Filters: who subscribes to what, and the route of a topic: the set of filters that it matches. Routes are interned,
// so that neighbours with one set of readers lie in one run whatever their topics. @hot

import type { FilterId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import type { Segment } from "../log/segment.ts";
import type { CommitLog } from "../log/commitLog.ts";
import type { Postings } from "../log/postings.ts";
import { errors } from "../packet/error.ts";
import { decodeUtf8, validUtf8 } from "../packet/utf8.ts";
import { ReaderState } from "../session/reader.ts";
import type { Subscription } from "../session/subscription.ts";
import { CACHE_MISS, MatchCache } from "../topic/matchCache.ts";
import { topicNameHasWildcard } from "../topic/topicName.ts";
import { TopicTree } from "../topic/topicTree.ts";
import type { PacedPort } from "./pacing.ts";
import { place } from "./position.ts";
import type { ReadyQueue } from "./readyQueue.ts";

export class FilterState {
  readonly id: FilterId;
  readonly subscriptions: Subscription[] = [];
  /** Somebody is caught up and waits for the next append. */
  armed = false;
  /** Bytes of the filter that its slowest healthy reader had got when that was last looked at. */
  slowestBytes = 0;
  /** Bytes of the filter, and the time, when publishers were last let go. */
  letGoBytes = 0;
  letGoMs = 0;
  /** Since when, ms, its publishers wait for a reader, as far as that is accounted for; 0 while they do not. */
  heldFromMs = 0;
  /** The filters among whose readers its own are judged: a route of its traffic, and when it last had some, ms. */
  shared: Route | null = null;
  sharedMs = 0;
  /** Publishers that wait for this filter's readers; null when none does. */
  paced: PacedPort[] | null = null;
  /** Holds the filter although nobody subscribes. */
  keep = false;
  /** Bytes that a slow QoS 0 reader may owe of it; negative until somebody asked. */
  retentionBytes = -1;

  constructor(id: FilterId) {
    this.id = id;
  }
}

export class Route {
  /** Unique for the life of the process, so that a stale one never joins a fresh run. */
  readonly id: number;
  readonly filters: readonly FilterState[];
  /** At most half of its healthy readers were in debt when that was last looked at, ms. */
  fewInDebt = false;
  judgedMs = Number.NEGATIVE_INFINITY;

  constructor(id: number, filters: readonly FilterState[]) {
    this.id = id;
    this.filters = filters;
  }
}

const CACHE_ENTRIES = 16_384;
const CACHE_KEY_BYTES = 120;
/** Interned routes; when there are more, the table starts anew. */
const ROUTES_MAX = 65_536;

export class Filters {
  readonly tree: TopicTree;
  readonly states: (FilterState | null)[] = [];
  private readonly postings: Postings;
  private readonly ready: ReadyQueue;
  private readonly clock: Clock;
  private readonly cache: MatchCache;
  private routes: Route[] = [];
  private byKey = new Map<string, number>();
  private nextRoute = 0;
  private epoch = 0;
  private readonly matched: number[] = [];
  readonly none = new Route(-2, []);

  constructor(log: CommitLog, ready: ReadyQueue, clock: Clock, seed: number) {
    this.clock = clock;
    this.postings = log.postings;
    this.ready = ready;
    this.tree = new TopicTree(seed);
    this.cache = new MatchCache({ entries: CACHE_ENTRIES, keyBytesMax: CACHE_KEY_BYTES }, seed);
    this.epoch = this.tree.epoch;
  }

  /** Changes whenever a route that was resolved before may be wrong. */
  get currentEpoch(): number {
    return this.tree.epoch;
  }

  /** The route of the Topic Name at `bytes[at..at+length)`, null when it is no valid Topic Name (see topicError). */
  resolve(view: DataView, bytes: Uint8Array, at: number, length: number): Route | null {
    if (this.epoch !== this.tree.epoch || this.routes.length >= ROUTES_MAX) this.forget();
    const cached = this.cache.lookup(view, at, length);
    if (cached !== CACHE_MISS) return this.routes[cached]!;
    const end = at + length;
    if (length === 0 || !validUtf8(bytes, at, end) || topicNameHasWildcard(bytes, at, end)) return null;
    const index = this.intern(decodeUtf8(bytes, at, end));
    this.cache.insert(view, at, length, index);
    return this.routes[index]!;
  }

  /** The route of a topic that is known to be valid. */
  resolveTopic(topic: string): Route {
    if (this.epoch !== this.tree.epoch || this.routes.length >= ROUTES_MAX) this.forget();
    return this.routes[this.intern(topic)]!;
  }

  /** The error code of a topic that resolve() refused. */
  topicError(bytes: Uint8Array, at: number, length: number): number {
    if (length === 0) return errors.topicEmpty.code;
    if (!validUtf8(bytes, at, at + length)) return errors.utf8NotValid.code;
    return errors.topicWildcard.code;
  }

  private forget(): void {
    this.cache.clear();
    this.routes = [];
    this.byKey.clear();
    this.epoch = this.tree.epoch;
  }

  private intern(topic: string): number {
    const matched = this.matched;
    matched.length = 0;
    this.tree.match(topic, matched);
    matched.sort((a, b) => a - b);
    const key = matched.join();
    let index = this.byKey.get(key);
    if (index === undefined) {
      index = this.routes.length;
      this.routes.push(
        new Route(
          ++this.nextRoute,
          matched.map((id) => this.states[id]!),
        ),
      );
      this.byKey.set(key, index);
    }
    return index;
  }

  /** The state of `filter`, begun if it is new. */
  begin(filter: string): FilterState {
    const id = this.tree.insert(filter);
    let state = this.states[id] ?? null;
    if (state === null) {
      state = new FilterState(id);
      this.states[id] = state;
      this.postings.ensure(id);
      state.slowestBytes = this.postings.bytes[id]!;
    }
    return state;
  }

  stateOf(subscription: Subscription): FilterState {
    return this.states[subscription.filter]!;
  }

  attach(state: FilterState, subscription: Subscription): void {
    subscription.index = state.subscriptions.length;
    state.subscriptions.push(subscription);
    state.armed = true;
  }

  detach(subscription: Subscription): void {
    const state = this.stateOf(subscription);
    const last = state.subscriptions.pop()!;
    if (last !== subscription) {
      state.subscriptions[subscription.index] = last;
      last.index = subscription.index;
    }
    subscription.index = -1;
    this.endIfUnused(state);
  }

  /** Ends a filter that nobody subscribes to. */
  endIfUnused(state: FilterState): void {
    if (state.subscriptions.length > 0 || state.keep || this.states[state.id] !== state) return;
    this.states[state.id] = null;
    this.tree.remove(state.id);
  }

  /** A run at byte `from` of `entry` was posted to an armed filter: places its caught-up readers there. */
  wake(state: FilterState, segment: Segment, entry: number, from: number): void {
    state.armed = false;
    const now = this.clock.nowMs();
    const subscriptions = state.subscriptions;
    const count = subscriptions.length;
    for (let i = 0; i < count; i++) {
      const subscription = subscriptions[i]!;
      if (subscription.segment !== null) continue;
      const reader = subscription.reader;
      if (reader.state === ReaderState.Offline && subscription.qos === 0) continue;
      place(subscription, segment, entry, from);
      if (reader.state !== ReaderState.CaughtUp) continue;
      reader.progressMs = now; // until now it owed nothing
      this.ready.push(reader);
    }
  }
}
