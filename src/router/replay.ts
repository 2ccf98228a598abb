// Replay: retained messages for new subscriptions, §3.8.3.1. They are copied, a few at a time, into the log as runs of
// the session's inbox, a filter that no topic matches; from there on they are messages like any other: in order,
// in flight, paced by the reader's window. The scan is a cursor over the store's slots, so a subscription that
// matches a million messages costs its session three numbers.

import { assert } from "../base/assert.ts";
import type { Budget } from "../base/budget.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { frameBody } from "../packet/frame.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import type { ReceiveRule } from "../session/rights.ts";
import type { Replay, Session } from "../session/session.ts";
import { Subscription, type SubscriptionOptions } from "../session/subscription.ts";
import { compileFilter } from "../topic/filterMatcher.ts";
import { hasWildcard } from "../topic/topicFilter.ts";
import { type Filters, Route } from "./filters.ts";
import type { Ingest } from "./ingest.ts";
import type { Retained, RetainedRecord } from "./retained.ts";
import { CLASS_INBOX, CLASS_QOS_MASK, CLASS_QOS_SHIFT, classQos } from "./runClass.ts";

/** Copied at one time, bytes and messages; the next part follows when the reader has taken this one. */
const PART_BYTES = 64 * 1024;
const PART_MESSAGES = 512;
/** Budgeted bytes of one claim beside its filter's text. */
const REPLAY_COST = 512;
/** Slots looked at in one turn. */
const PART_SLOTS = 65_536;
/** While less of the log is free one part is copied at a time: the replays of many leave room for what is published. */
const FREE_SHARE = 1 / 4;

export class Replays {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly retained: Retained;
  private readonly ingest: Ingest;
  private readonly budget: Budget;
  private readonly routes = new WeakMap<Subscription, Route>();
  private nextRoute = -16;
  /** Sessions whose next part waits for room or its turn, longest waiting first. */
  private readonly waiting = new Set<Session>();
  private mayCopyOne = true;
  /** Parts wait: retry() is to be called every few milliseconds. */
  pressed: () => void = () => {};
  /** The run that is being staged. */
  private readonly run = { bytes: 0, count: 0, frameMax: 0, runClass: -1, time: 0 };
  private readonly record: RetainedRecord = {
    bytes: Buffer.alloc(0),
    at: 0,
    length: 0,
    runClass: 0,
    time: 0,
    publisher: 0,
  };

  constructor(log: CommitLog, filters: Filters, retained: Retained, ingest: Ingest, budget: Budget) {
    this.log = log;
    this.filters = filters;
    this.retained = retained;
    this.ingest = ingest;
    this.budget = budget;
  }

  /** One more claim to retained messages has room in the session's share of the budget, or is none. */
  hasRoom(session: Session, filter: string): boolean {
    return this.retained.count === 0 || session.mayCharge(this.budget, costOf(filter));
  }

  /** Drops the claims that `isKept` does not want. */
  keep(session: Session, isKept: (replay: Replay) => boolean): void {
    session.replays = session.replays.filter((replay) => {
      const stays = isKept(replay);
      if (!stays) session.refund(this.budget, replay.cost);
      return stays;
    });
  }

  /** Promises the session the retained messages that `filter` matches now; there is room for it. */
  begin(
    session: Session,
    filter: string,
    options: SubscriptionOptions,
    rule: ReceiveRule | null = null,
  ): void {
    if (this.retained.count === 0) return;
    let slot = 0;
    let end = this.retained.slots;
    if (!hasWildcard(filter)) {
      slot = this.retained.slotOf(filter);
      if (slot < 0) return;
      end = slot + 1;
    }
    const cost = costOf(filter);
    const charged = session.charge(this.budget, cost);
    assert(charged, "there was room for the claim");
    const matcher = compileFilter(filter);
    const replay: Replay = {
      filter,
      rule,
      matches: (bytes, at, to) => matcher.matches(bytes, at, to),
      before: this.retained.clockwork,
      qos: options.qos,
      identifier: options.identifier,
      noLocal: options.noLocal,
      slot,
      end,
      cost,
    };
    if (session.replays.length === 0) session.replays = [replay];
    else session.replays.push(replay);
    this.more(session);
  }

  /** Copies the next part if the reader has taken the last one. False: it waits, and its reader is woken later. */
  more(session: Session): boolean {
    while (session.replays.length > 0 && (session.inbox === null || session.inbox.segment === null)) {
      const replay = session.replays[0]!;
      if (!this.mayCopy() || !this.part(session, replay)) return this.wait(session);
      if (replay.slot < replay.end) {
        if (session.inbox?.segment) return true;
        return this.wait(session);
      }
      session.replays.shift();
      session.refund(this.budget, replay.cost);
    }
    return true;
  }

  get isWaiting(): boolean {
    return this.waiting.size > 0;
  }

  /** Little of the log is free. */
  get isShort(): boolean {
    return this.log.freeShare < FREE_SHARE;
  }

  /** Every few milliseconds while parts wait: calls `wake` for those that may go on. */
  retry(wake: (session: Session) => void): void {
    this.mayCopyOne = true;
    for (const session of [...this.waiting]) {
      this.waiting.delete(session);
      if (session.port === null || session.replays.length === 0) continue;
      wake(session);
      if (this.isShort) return;
    }
  }

  private mayCopy(): boolean {
    if (!this.isShort) return true;
    const { mayCopyOne } = this;
    this.mayCopyOne = false;
    return mayCopyOne;
  }

  private wait(session: Session): false {
    this.waiting.add(session);
    this.pressed();
    return false;
  }

  /** Copies one part, neighbours of one class and time as one run. False when the log has no room. */
  private part(session: Session, replay: Replay): boolean {
    const { record, run } = this;
    let bytes = 0;
    let messages = 0;
    for (let looked = 0; looked < PART_SLOTS && replay.slot < replay.end; looked++, replay.slot++) {
      if (bytes >= PART_BYTES || messages >= PART_MESSAGES) break;
      if (!this.retained.read(replay.slot, replay.before, record)) continue;
      if (replay.noLocal && record.publisher === session.number) continue;
      const body = frameBody(record.bytes, record.at);
      const length = (record.bytes[body]! << 8) | record.bytes[body + 1]!;
      if (!replay.matches(record.bytes, body + 2, body + 2 + length)) continue;
      const { rule } = replay;
      if (rule !== null && !rule.permits(decodeUtf8(record.bytes, body + 2, body + 2 + length))) continue;
      const qos = Math.min(classQos(record.runClass), replay.qos);
      const runClass = (record.runClass & ~CLASS_QOS_MASK) | (qos << CLASS_QOS_SHIFT) | CLASS_INBOX;
      const { active } = this.log;
      const isNeighbour = run.runClass === runClass && run.time === record.time;
      if (!isNeighbour || active.used + run.bytes + record.length > active.bytes.length) {
        this.commit(session, replay);
        if (!this.log.prepare(record.length, 1)) return false;
        run.runClass = runClass;
        run.time = record.time;
      }
      const target = this.log.active;
      record.bytes.copy(target.bytes, target.used + run.bytes, record.at, record.at + record.length);
      run.bytes += record.length;
      run.count++;
      if (record.length > run.frameMax) run.frameMax = record.length;
      bytes += record.length;
      messages++;
    }
    this.commit(session, replay);
    return true;
  }

  /** Commits what is staged behind the active segment's end. */
  private commit(session: Session, replay: Replay): void {
    const { run } = this;
    if (run.count > 0) {
      const route = this.routes.get(this.inboxOf(session))!;
      const { bytes, count, frameMax, time, runClass } = run;
      this.ingest.publishRun(route, bytes, count, frameMax, replay.identifier, time, runClass, null);
    }
    run.bytes = 0;
    run.count = 0;
    run.frameMax = 0;
    run.runClass = -1;
  }

  /** The session's own filter: it begins with U+0000, so no Topic Name matches it. */
  private inboxOf(session: Session): Subscription {
    if (session.inbox !== null) return session.inbox;
    const text = `\u0000${session.number}`;
    const state = this.filters.begin(text);
    const options = {
      qos: 2,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 2,
      identifier: 0,
    } as const;
    const inbox = new Subscription(session.reader, state.id, text, options);
    this.filters.attach(state, inbox);
    this.routes.set(inbox, new Route(--this.nextRoute, [state]));
    session.inbox = inbox;
    return inbox;
  }
}

function costOf(filter: string): number {
  return REPLAY_COST + 2 * filter.length;
}
