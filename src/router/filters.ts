// Filters: who subscribes to what, and the route of a topic: the set of filters that it matches. Routes are interned,
// so that neighbours with one set of readers lie in one run whatever their topics.
//
// Readers that may not be sent everything that a filter matches have a part of it: a FilterState of its own, which is
// in the routes of those topics alone that its rule permits. So readers with equal rules share all that readers share,
// and no delivery is judged. What a publisher may do is part of the route in the same way: a topic that it may not
// publish to has the route `denied`. @hot

import { assert } from "../base/assert.ts";
import type { FilterId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import type { Segment } from "../log/segment.ts";
import type { CommitLog } from "../log/commitLog.ts";
import type { Postings } from "../log/postings.ts";
import { errors } from "../packet/error.ts";
import { decodeUtf8, validUtf8 } from "../packet/utf8.ts";
import { ReaderState } from "../session/reader.ts";
import type { ReceiveRule, Rights } from "../session/rights.ts";
import type { Subscription } from "../session/subscription.ts";
import { CACHE_MISS, MatchCache } from "../topic/matchCache.ts";
import { topicNameHasWildcard } from "../topic/topicName.ts";
import { TopicTree } from "../topic/topicTree.ts";
import type { PacedPort } from "./pacing.ts";
import { place } from "./position.ts";
import type { ReadyQueue } from "./readyQueue.ts";

export class FilterState {
  readonly id: FilterId;
  /** The filter that this is a part of; null for a filter itself, which is in the topic tree. */
  readonly whole: FilterState | null;
  /** What the part is for; null: everything. */
  readonly rule: ReceiveRule | null;
  /** The parts of this filter, by their rules; null when there are none. */
  parts: Map<ReceiveRule, FilterState> | null = null;
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

  constructor(id: FilterId, whole: FilterState | null = null, rule: ReceiveRule | null = null) {
    this.id = id;
    this.whole = whole;
    this.rule = rule;
  }

  /** Somebody gets all that the filter matches. */
  get isWanted(): boolean {
    return this.subscriptions.length > 0 || this.keep;
  }
}

export class Route {
  /** Unique for the life of the process, so that a stale one never joins a fresh run. */
  readonly id: number;
  readonly filters: readonly FilterState[];
  /** At most half of its healthy readers were in debt when that was last looked at, ms. */
  fewInDebt = false;
  /** It had any, beside those that wait for acknowledgements. */
  hasHealthy = false;
  /** When they were many last, ms, half of which wait for long and then go on. */
  seldomMs = Number.NEGATIVE_INFINITY;
  judgedMs = Number.NEGATIVE_INFINITY;

  constructor(id: number, filters: readonly FilterState[]) {
    this.id = id;
    this.filters = filters;
  }
}

/** Where many readers move seldom, one stands still that makes no progress for so many times `stallMs`, */
const SELDOM_STALLS = 10;
/** but no longer than this, ms, or than `stallMs`: publishers that wait have a patience of their own. */
const SELDOM_MS_MAX = 10_000;
/** For so many times `stallMs` they count as such. */
const SELDOM_FOR_STALLS = 2;

/** A reader of the filter stands still when it has made no progress for so long. */
export function patienceMs({ shared }: FilterState, stallMs: number, now: number): number {
  if (shared === null || now - shared.seldomMs > SELDOM_FOR_STALLS * stallMs) return stallMs;
  return Math.max(stallMs, Math.min(SELDOM_STALLS * stallMs, SELDOM_MS_MAX));
}

/** The first level of what the broker tells of itself. */
const SYS = "$SYS";
/** Where a route's place stands for a valid Topic Name: it is none. */
const NOT_A_TOPIC = -1;
const CACHE_ENTRIES = 16_384;
const CACHE_KEY_BYTES = 120;
/** Topics that may not be published to have the first place among the routes. */
const DENIED = 0;
/** Interned routes; when there are more, the table starts anew. */
const ROUTES_MAX = 65_536;

export class Filters {
  readonly tree: TopicTree;
  readonly states: (FilterState | null)[] = [];
  private readonly postings: Postings;
  private readonly ready: ReadyQueue;
  private readonly clock: Clock;
  private readonly cache: MatchCache;
  /** What each of the topics is to publishers whose rights are not everything; made when there is one. */
  private restricted: MatchCache | null = null;
  /** Rights have numbers for the life of the process, so that no two ever share an answer. */
  private readonly numbers = new WeakMap<Rights, number>();
  private nextNumber = 1;
  private lastRights: Rights | null = null;
  private lastNumber = 0;
  /** Filters that have parts. */
  private parted = 0;
  private readonly seed: number;
  private routes: Route[] = [];
  private byKey = new Map<string, number>();
  private nextRoute = 0;
  private epoch = 0;
  private readonly matched: number[] = [];
  /** First levels of topics that the broker alone publishes to; they begin with $. */
  private reserved: ReadonlySet<string> = new Set([SYS]);
  readonly none = new Route(-2, []);
  /** Of a topic that the publisher may not publish to. */
  readonly denied = new Route(-4, []);

  constructor(log: CommitLog, ready: ReadyQueue, clock: Clock, seed: number) {
    this.clock = clock;
    this.postings = log.postings;
    this.ready = ready;
    this.tree = new TopicTree(seed);
    this.cache = new MatchCache({ entries: CACHE_ENTRIES, keyBytesMax: CACHE_KEY_BYTES }, seed);
    this.seed = seed;
    this.forget();
  }

  /** Changes whenever a route that was resolved before may be wrong. */
  get currentEpoch(): number {
    return this.tree.epoch;
  }

  /** The route of the Topic Name at `bytes[at..at+length)`, null when it is no valid Topic Name (see topicError). */
  resolve(view: DataView, bytes: Uint8Array, at: number, length: number): Route | null {
    if (this.epoch !== this.tree.epoch || this.routes.length >= ROUTES_MAX) this.forget();
    const index = this.indexOf(view, bytes, at, length);
    return index === NOT_A_TOPIC ? null : this.routes[index]!;
  }

  /** The same for a publisher with these rights: `denied` where it may not publish. */
  resolveFor(rights: Rights, view: DataView, bytes: Uint8Array, at: number, length: number): Route | null {
    if (this.epoch !== this.tree.epoch || this.routes.length >= ROUTES_MAX) this.forget();
    const restricted = this.restricted ?? this.beginRestricted();
    const number = this.numberOf(rights);
    const cached = restricted.lookup(view, at, length, number);
    if (cached !== CACHE_MISS) return this.routes[cached]!;
    if (!isTopic(bytes, at, length)) return null;
    // Asked first, so that what is denied takes nobody's place in the cache that all share.
    const isPermitted = rights.mayPublish(decodeUtf8(bytes, at, at + length));
    const index = isPermitted ? this.indexOf(view, bytes, at, length) : DENIED;
    restricted.insert(view, at, length, index, number);
    return this.routes[index]!;
  }

  private beginRestricted(): MatchCache {
    const limits = { entries: CACHE_ENTRIES, keyBytesMax: CACHE_KEY_BYTES, owned: true };
    this.restricted = new MatchCache(limits, this.seed);
    return this.restricted;
  }

  private indexOf(view: DataView, bytes: Uint8Array, at: number, length: number): number {
    const cached = this.cache.lookup(view, at, length);
    if (cached !== CACHE_MISS) return cached;
    if (!isTopic(bytes, at, length)) return NOT_A_TOPIC;
    const topic = decodeUtf8(bytes, at, at + length);
    if (this.isReserved(topic)) return DENIED;
    const index = this.intern(topic);
    this.cache.insert(view, at, length, index);
    return index;
  }

  private numberOf(rights: Rights): number {
    if (rights === this.lastRights) return this.lastNumber;
    let number = this.numbers.get(rights);
    if (number === undefined) {
      number = this.nextNumber++;
      this.numbers.set(rights, number);
    }
    this.lastRights = rights;
    this.lastNumber = number;
    return number;
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

  /** Topics with these first levels, which begin with $, are the broker's own from now on, and so are those of $SYS. */
  reserve(levels: readonly string[]): void {
    for (const level of levels)
      assert(level.startsWith("$") && !level.includes("/"), "what is reserved is a first level with $");
    this.reserved = new Set([SYS, ...levels]);
    this.outdate();
  }

  /** No client may publish to the topic. */
  isReserved(topic: string): boolean {
    if (!topic.startsWith("$")) return false;
    const end = topic.indexOf("/");
    return this.reserved.has(end < 0 ? topic : topic.slice(0, end));
  }

  /** Every route that was resolved before is void. */
  outdate(): void {
    this.tree.epoch++;
  }

  private forget(): void {
    this.cache.clear();
    this.restricted?.clear();
    this.lastRights = null;
    this.routes = [this.denied];
    this.byKey.clear();
    this.epoch = this.tree.epoch;
  }

  private intern(topic: string): number {
    const matched = this.matched;
    matched.length = 0;
    this.tree.match(topic, matched);
    if (this.parted > 0) this.choose(topic, matched);
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

  /** Of the filters in `matched` that have parts, puts those parts in that permit the topic. */
  private choose(topic: string, matched: number[]): void {
    for (let i = matched.length - 1; i >= 0; i--) {
      const state = this.states[matched[i]!]!;
      if (state.parts === null) continue;
      if (!state.isWanted) matched.splice(i, 1);
      for (const [rule, part] of state.parts) if (rule.permits(topic)) matched.push(part.id);
    }
  }

  /** The state of `filter`, or of the part of it that `rule` permits, begun if it is new. */
  begin(filter: string, rule: ReceiveRule | null = null): FilterState {
    const id = this.tree.insert(filter);
    const whole = this.states[id] ?? this.add(new FilterState(id));
    if (rule === null) return whole;
    const known = whole.parts?.get(rule);
    if (known !== undefined) return known;
    const part = this.add(new FilterState(this.tree.takeId(), whole, rule));
    if (whole.parts === null) {
      whole.parts = new Map();
      this.parted++;
    }
    whole.parts.set(rule, part);
    this.outdate();
    return part;
  }

  private add(state: FilterState): FilterState {
    this.states[state.id] = state;
    this.postings.ensure(state.id);
    state.slowestBytes = this.postings.bytes[state.id]!;
    return state;
  }

  /** The filter of a state, whole or part. */
  textOf(state: FilterState): string {
    return this.tree.filterOf((state.whole ?? state).id);
  }

  stateOf(subscription: Subscription): FilterState {
    return this.states[subscription.filter]!;
  }

  attach(state: FilterState, subscription: Subscription): void {
    assert(this.states[state.id] === state, "a filter that is subscribed to is there");
    subscription.index = state.subscriptions.length;
    state.subscriptions.push(subscription);
    state.armed = true;
    if (state.parts !== null && state.subscriptions.length === 1) this.outdate();
  }

  detach(subscription: Subscription): void {
    const state = this.stateOf(subscription);
    const last = state.subscriptions.pop()!;
    if (last !== subscription) {
      state.subscriptions[subscription.index] = last;
      last.index = subscription.index;
    }
    subscription.index = -1;
    if (state.parts !== null && state.subscriptions.length === 0) this.outdate();
    this.endIfUnused(state);
  }

  /** Ends a filter, or a part of one, that nobody subscribes to. */
  endIfUnused(state: FilterState): void {
    if (state.isWanted || state.parts !== null || this.states[state.id] !== state) return;
    this.states[state.id] = null;
    const { whole, rule } = state;
    if (whole === null || rule === null) {
      this.tree.remove(state.id);
      return;
    }
    this.tree.giveId(state.id);
    this.outdate();
    whole.parts?.delete(rule);
    if (whole.parts?.size !== 0) return;
    whole.parts = null;
    this.parted--;
    this.endIfUnused(whole);
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

/** The bytes are a valid Topic Name. */
function isTopic(bytes: Uint8Array, at: number, length: number): boolean {
  const end = at + length;
  return length > 0 && validUtf8(bytes, at, end) && !topicNameHasWildcard(bytes, at, end);
}
