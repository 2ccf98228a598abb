// Revision: a session's rights are others than before, because rules have changed or because a client came back with
// other rights. Subscriptions that it may not have any more end, with all that they owe. Of the others, those of which
// it may be sent more or less than before go over to another part of their filter once they owe nothing; until then,
// and for what is in flight, each message is judged before it is sent. Nobody else notices.

import type { CommitLog } from "../log/commitLog.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Session } from "../session/session.ts";
import { parseTopicFilter } from "../topic/topicFilter.ts";
import type { Filters } from "./filters.ts";
import type { Stats } from "./stats.ts";
import { permittedOf, type Subscribe } from "./subscribe.ts";

export class Revision {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly subscriptions: Subscribe;
  private readonly stats: Stats;

  constructor(log: CommitLog, filters: Filters, subscriptions: Subscribe, stats: Stats) {
    this.log = log;
    this.filters = filters;
    this.subscriptions = subscriptions;
    this.stats = stats;
  }

  /** Holds the session to its present rights. True when it lost a subscription, or may be sent less of one. */
  revise(session: Session): boolean {
    let hasLost = false;
    for (const subscription of [...session.byText.values()]) {
      if (this.narrows(session, subscription)) hasLost = true;
    }
    this.subscriptions.replays.keep(session, (replay) => {
      const subscription = session.byText.get(replay.filter);
      replay.rule = subscription?.rule ?? null;
      return subscription !== undefined;
    });
    if (hasLost) session.judgedBelow = this.log.head;
    session.hasStaleRules = [...session.byText.values()].some((subscription) => this.isStale(subscription));
    if (session.hasStaleRules) {
      session.judgedBelow = Number.POSITIVE_INFINITY;
      this.settle(session);
    }
    session.reader.refresh();
    return hasLost;
  }

  /** Ends the subscription, or gives it its present rule. True when that permits less than before. */
  private narrows(session: Session, subscription: Subscription): boolean {
    const parsed = parseTopicFilter(subscription.text);
    if (parsed === null) return false;
    const rule = permittedOf(session.rights, parsed);
    if (rule === undefined) {
      this.subscriptions.remove(session, subscription);
      this.stats.deniedSubscriptions++;
      return true;
    }
    const before = subscription.rule;
    subscription.rule = rule;
    if (rule === before || rule === null) return false;
    return before === null || !rule.includes(before, parsed.filter);
  }

  /** It gets what another rule than its own permits. */
  private isStale(subscription: Subscription): boolean {
    if (subscription.index < 0) return false; // a share group's: its members get everything
    return this.filters.stateOf(subscription).rule !== subscription.rule;
  }

  /** Subscriptions that owe nothing go over to their rules. Call when the session has caught up. */
  settle(session: Session): void {
    let isWaiting = false;
    for (const subscription of session.reader.subscriptions) {
      if (!this.isStale(subscription)) continue;
      if (subscription.segment !== null) isWaiting = true;
      else this.move(subscription);
    }
    if (isWaiting) return;
    session.hasStaleRules = false;
    session.judgedBelow = this.log.head;
    session.reader.refresh();
  }

  private move(subscription: Subscription): void {
    this.filters.detach(subscription); // first: with its last part, a filter ends that nobody else subscribes to
    const state = this.filters.begin(subscription.text, subscription.rule);
    subscription.filter = state.id;
    this.filters.attach(state, subscription);
    subscription.reader.recount();
  }
}
