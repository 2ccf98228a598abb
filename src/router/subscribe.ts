// Subscribe: SUBSCRIBE and UNSUBSCRIBE of one session, §3.8..§3.11, one Reason Code for each filter. Whatever the
// filter, a refusal is a code, never the end of the connection.

import type { Budget } from "../base/budget.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import type { SubscribeEntry } from "../packet/subscribe.ts";
import type { ReceiveRule, Rights } from "../session/rights.ts";
import type { Session } from "../session/session.ts";
import { Subscription, type SubscriptionOptions } from "../session/subscription.ts";
import { hasWildcard, type ParsedFilter, parseTopicFilter } from "../topic/topicFilter.ts";
import type { Filters } from "./filters.ts";
import type { Lanes } from "./lanes.ts";
import { park } from "./position.ts";
import type { Replays } from "./replay.ts";
import type { ShareGroups } from "./shareGroup.ts";
import type { Stats } from "./stats.ts";

/** What the listener lets its clients subscribe to. */
export interface SubscribeTerms {
  readonly qosMax: 0 | 1 | 2;
  readonly wildcardAvailable: boolean;
  readonly sharedAvailable: boolean;
  readonly identifiersAvailable: boolean;
  /** Subscriptions of one session; Infinity sets no limit. */
  readonly limits: { readonly subscriptions: number };
}

/** Budgeted bytes of a subscription beside its text and levels. */
const SUBSCRIPTION_COST = 256;
/** The same of a part of a filter that no other session has. */
const PART_COST = 320;
/** What the topic tree needs for one level of a filter that shares none, bytes. */
const LEVEL_COST = 32;

export class Subscribe {
  private readonly filters: Filters;
  private readonly groups: ShareGroups;
  readonly replays: Replays;
  private readonly lanes: Lanes;
  private readonly budget: Budget;
  private readonly stats: Stats;

  constructor(
    filters: Filters,
    groups: ShareGroups,
    replays: Replays,
    lanes: Lanes,
    budget: Budget,
    stats: Stats,
  ) {
    this.filters = filters;
    this.groups = groups;
    this.replays = replays;
    this.lanes = lanes;
    this.budget = budget;
    this.stats = stats;
  }

  /** Returns the Reason Code of each entry, in order. [MQTT-3.8.4-5..-8] */
  subscribe(
    session: Session,
    entries: readonly SubscribeEntry[],
    identifier: number,
    terms: SubscribeTerms,
  ): number[] {
    const codes = entries.map((entry) => this.one(session, entry, identifier, terms));
    session.reader.refresh();
    return codes;
  }

  private one(session: Session, entry: SubscribeEntry, identifier: number, terms: SubscribeTerms): number {
    const parsed = parseTopicFilter(entry.filter);
    if (parsed === null) return ReasonCode.TopicFilterInvalid;
    if (parsed.group !== null && !terms.sharedAvailable) return ReasonCode.SharedSubscriptionsNotSupported;
    if (!terms.wildcardAvailable && hasWildcard(parsed.filter))
      return ReasonCode.WildcardSubscriptionsNotSupported;
    if (identifier !== 0 && !terms.identifiersAvailable)
      return ReasonCode.SubscriptionIdentifiersNotSupported;
    const rule = permittedOf(session.rights, parsed);
    if (rule === undefined) {
      this.stats.deniedSubscriptions++;
      return ReasonCode.NotAuthorized;
    }
    const qos = Math.min(entry.qos, terms.qosMax) as 0 | 1 | 2;
    const options: SubscriptionOptions = { ...entry, qos, identifier };
    const known = session.byText.get(entry.filter);
    if (known === undefined && session.byText.size >= terms.limits.subscriptions) {
      return ReasonCode.QuotaExceeded;
    }
    const cost = costOf(entry.filter, rule);
    if (known === undefined && !session.charge(this.budget, cost)) return ReasonCode.QuotaExceeded;
    const wantsRetained =
      parsed.group === null &&
      (options.retainHandling === 0 || (options.retainHandling === 1 && known === undefined));
    if (wantsRetained && !this.replays.hasRoom(session, parsed.filter)) {
      if (known === undefined) session.refund(this.budget, cost);
      return ReasonCode.QuotaExceeded;
    }
    if (parsed.group !== null) {
      this.groups.join(session, parsed.group, parsed.filter, options);
      if (known === undefined) {
        const state = this.filters.begin(parsed.filter);
        const member = new Subscription(session.reader, state.id, entry.filter, options, cost);
        session.byText.set(entry.filter, member);
      }
      return qos;
    }
    if (known !== undefined) {
      // [MQTT-3.8.4-3]: replaced without a gap: the position stays.
      known.qos = qos;
      known.noLocal = options.noLocal;
      known.retainAsPublished = options.retainAsPublished;
      known.identifier = identifier;
    } else {
      const state = this.filters.begin(parsed.filter, rule);
      const subscription = new Subscription(session.reader, state.id, entry.filter, options, cost);
      subscription.rule = rule;
      session.byText.set(entry.filter, subscription);
      session.reader.subscriptions.push(subscription);
      this.filters.attach(state, subscription);
    }
    if (wantsRetained) this.replays.begin(session, parsed.filter, options, rule); // [MQTT-3.3.1-9, -10, -11]
    return qos;
  }

  /** Returns the Reason Code of each filter, in order. [MQTT-3.10.4-1..-6] */
  unsubscribe(session: Session, texts: readonly string[]): number[] {
    const codes = texts.map((text) => {
      const subscription = session.byText.get(text);
      if (subscription === undefined) {
        return parseTopicFilter(text) === null
          ? ReasonCode.TopicFilterInvalid
          : ReasonCode.NoSubscriptionExisted;
      }
      this.remove(session, subscription);
      return ReasonCode.Success;
    });
    session.reader.refresh();
    return codes;
  }

  /** Ends one subscription: nothing more is added for it; what is in flight goes on. */
  remove(session: Session, subscription: Subscription): void {
    const { text } = subscription;
    session.byText.delete(text);
    session.refund(this.budget, subscription.cost);
    const parsed = parseTopicFilter(text);
    if (parsed !== null && parsed.group !== null) {
      this.groups.leave(session, parsed.group, parsed.filter);
      const state = this.filters.states[subscription.filter];
      if (state) this.filters.endIfUnused(state);
      return;
    }
    if (parsed !== null) this.replays.keep(session, ({ filter }) => filter !== parsed.filter); // [MQTT-3.10.4-2]
    this.lanes.endCut(session.reader); // a frame that has begun must end, whatever becomes of its subscription
    park(subscription, this.filters.stateOf(subscription));
    const { subscriptions } = session.reader;
    subscriptions.splice(subscriptions.indexOf(subscription), 1);
    this.filters.detach(subscription);
  }
}

/**
 * What may be sent of a filter to a client with these rights, null for everything; undefined when some topic that the
 * filter can match may not be subscribed to. A share group's members are alike: who may not be sent everything may not
 * be one, since a message that falls to it would be nobody's.
 */
export function permittedOf(
  rights: Rights | null,
  { filter, group }: ParsedFilter,
): ReceiveRule | null | undefined {
  if (rights === null) return null;
  if (!rights.maySubscribe(filter)) return undefined;
  const rule = rights.receiveRule(filter);
  return group !== null && rule !== null ? undefined : rule;
}

/** Budgeted bytes of one subscription. */
function costOf(text: string, rule: ReceiveRule | null): number {
  let levels = 1;
  for (let i = text.indexOf("/"); i >= 0; i = text.indexOf("/", i + 1)) levels++;
  return SUBSCRIPTION_COST + (rule === null ? 0 : PART_COST) + 2 * text.length + LEVEL_COST * levels;
}
