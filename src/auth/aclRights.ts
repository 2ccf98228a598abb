// AclRights: the rules of one client, or of all clients with equal rules, compiled to one list for each action.

import type { ReceiveRule, Rights } from "../session/rights.ts";
import type { RuleList } from "../topic/ruleList.ts";
import type { Recent } from "./recent.ts";

/** Those of a filter's messages that a list allows. */
export class ListRule implements ReceiveRule {
  private readonly list: RuleList;

  constructor(list: RuleList) {
    this.list = list;
  }

  permits(topicName: string): boolean {
    return this.list.permits(topicName);
  }

  includes(other: ReceiveRule, filter: string): boolean {
    return other === this || (other instanceof ListRule && this.list.includes(other.list, filter));
  }
}

/** A client's rules by action. */
export interface RuleLists {
  readonly publish: RuleList;
  readonly subscribe: RuleList;
  readonly receive: RuleList;
}

export class AclRights implements Rights {
  private readonly lists: RuleLists;
  /** Shared by the rights of all clients, so that equal rules are one object. */
  private readonly receiveRules: Recent<ReceiveRule>;

  constructor(lists: RuleLists, receiveRules: Recent<ReceiveRule>) {
    this.lists = lists;
    this.receiveRules = receiveRules;
  }

  mayPublish(topicName: string): boolean {
    return this.lists.publish.permits(topicName);
  }

  maySubscribe(filter: string): boolean {
    return this.lists.subscribe.permitsAll(filter);
  }

  mayReceive(topicName: string): boolean {
    return this.lists.subscribe.permits(topicName) && this.lists.receive.permits(topicName);
  }

  receiveRule(filter: string): ReceiveRule | null {
    if (this.lists.receive.permitsAll(filter)) return null;
    // What has nothing to do with the filter is left out: clients that differ elsewhere have one rule here.
    const list = this.lists.receive.within(filter);
    return this.receiveRules.get(list.key, () => new ListRule(list));
  }
}
