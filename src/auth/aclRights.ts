// AclRights: the rights of one client, or of all clients with equal rules: a plan of rules and who asks.

import type { ReceiveRule, Rights } from "../session/rights.ts";
import type { RuleList } from "../topic/ruleList.ts";
import type { AclAction, Subject } from "./aclRule.ts";
import type { Recent } from "./recent.ts";
import type { RulePlan } from "./rulePlan.ts";

const ACTIONS: readonly AclAction[] = ["publish", "subscribe", "receive"];

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

export class AclRights implements Rights {
  private readonly plan: RulePlan;
  private readonly subject: Subject;
  /** Shared by the rights of all clients, so that equal rules are one object. */
  private readonly receiveRules: Recent<ReceiveRule>;

  constructor(plan: RulePlan, subject: Subject, receiveRules: Recent<ReceiveRule>) {
    this.plan = plan;
    this.subject = subject;
    this.receiveRules = receiveRules;
  }

  /** They allow everything. */
  get isOpen(): boolean {
    return ACTIONS.every((action) => this.listFor(action).isOpen);
  }

  /** Equal rights have equal keys. */
  get key(): string {
    return JSON.stringify(ACTIONS.map((action) => this.listFor(action).key));
  }

  mayPublish(topicName: string): boolean {
    return this.listFor("publish").permits(topicName);
  }

  maySubscribe(filter: string): boolean {
    return this.listFor("subscribe").permitsAll(filter);
  }

  mayReceive(topicName: string): boolean {
    return this.listFor("subscribe").permits(topicName) && this.listFor("receive").permits(topicName);
  }

  receiveRule(filter: string): ReceiveRule | null {
    const receive = this.listFor("receive");
    if (receive.permitsAll(filter)) return null;
    // What has nothing to do with the filter is left out: clients that differ elsewhere have one rule here.
    const list = receive.within(filter);
    return this.receiveRules.get(list.key, () => new ListRule(list));
  }

  private listFor(action: AclAction): RuleList {
    return this.plan.listFor(action, this.subject);
  }
}
