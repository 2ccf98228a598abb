// RulePlan: what a set of rules says, action by action, shared by all clients whom just these rules name. What their
// places stand for is filled in when somebody asks: a client keeps its own names and nothing that is made of them. The
// list that was made last is kept, because a client asks several times in a row.

import { type FilterTemplate, fillToGrant, fillToRefuse, type Place } from "../topic/filterTemplate.ts";
import { RuleList, type TopicRule } from "../topic/ruleList.ts";
import { type AclAction, type AclRule, type AclRules, claimOf, type Subject } from "./aclRule.ts";

/** One filter of one rule. */
interface Line {
  readonly allow: boolean;
  readonly filter: FilterTemplate;
  /** What it says to everybody; null where it has places. */
  readonly fixed: TopicRule | null;
}

class ActionPlan {
  private readonly lines: readonly Line[];
  private readonly otherwise: boolean;
  private readonly action: AclAction;
  private lastSubject: Subject | null = null;
  private last: RuleList | null = null;

  constructor(action: AclAction, rules: readonly AclRule[], otherwise: boolean) {
    const named = rules.filter(({ actions }) => actions.includes(action));
    this.lines = named.flatMap(({ allow, filters }) => filters.map((filter) => lineOf(filter, allow)));
    this.action = action;
    this.otherwise = otherwise;
  }

  listFor(subject: Subject): RuleList {
    if (this.last !== null && this.lastSubject === subject) return this.last;
    const rules: TopicRule[] = [];
    for (const { fixed, filter, allow } of this.lines) {
      const rule = fixed ?? ruleFor(filter, allow, subject);
      if (rule !== null) rules.push(rule);
    }
    this.last = confined(rules, this.otherwise, subject.tenant, this.action);
    this.lastSubject = subject;
    return this.last;
  }
}

export class RulePlan {
  /** What the rules put into their filters, each once, in a fixed order. */
  readonly places: readonly Place[];
  private readonly actions: Readonly<Record<AclAction, ActionPlan>>;

  constructor(rules: readonly AclRule[], otherwise: AclRules["otherwise"]) {
    const places = rules.flatMap(({ filters }) => filters.flatMap((filter) => filter.places));
    this.places = [...new Set(places)].sort();
    this.actions = {
      publish: new ActionPlan("publish", rules, otherwise.publish),
      subscribe: new ActionPlan("subscribe", rules, otherwise.subscribe),
      receive: new ActionPlan("receive", rules, otherwise.receive),
    };
  }

  listFor(action: AclAction, subject: Subject): RuleList {
    return this.actions[action].listFor(subject);
  }
}

function lineOf(filter: FilterTemplate, allow: boolean): Line {
  const { parts, places } = filter;
  return { allow, filter, fixed: places.length > 0 ? null : { levels: parts.join("").split("/"), allow } };
}

/** What the filter says for this client; null when nothing. */
function ruleFor(filter: FilterTemplate, allow: boolean, subject: Subject): TopicRule | null {
  const valueAt = (place: Place): string => placeValue(subject, place);
  const levels = allow ? fillToGrant(filter, valueAt) : fillToRefuse(filter, valueAt);
  return levels === null ? null : { levels, allow };
}

export function placeValue(subject: Subject, place: Place): string {
  switch (place) {
    case "c":
      return subject.clientIdentifier;
    case "u":
      return subject.userName;
    case "o":
      return subject.tenant ?? "";
    default:
      return claimOf(subject, place.slice(1, -1));
  }
}

/**
 * A tenant's client stays within what begins with /tenants/<tenant>/. It may also subscribe to /tenants/<tenant>/#,
 * which matches its parent level. A name that cannot be one level leaves it nothing.
 */
function confined(
  rules: readonly TopicRule[],
  otherwise: boolean,
  tenant: string | null,
  action: AclAction,
): RuleList {
  if (tenant === null) return new RuleList(rules, otherwise, null);
  if (tenant === "" || /[+#/\0]/.test(tenant)) return new RuleList([], false, null);
  const below = action === "publish" ? ["+", "#"] : ["#"];
  return new RuleList(rules, otherwise, ["", "tenants", tenant, ...below]);
}
