// Acl: who may do what. It compiles the rules that name a client into that client's Rights, when it connects and when
// rules have changed. Equal results are one Rights object: clients that the same rules name, and that differ in nothing
// which those rules put into their filters, share it. Rights made with a Client Identifier belong to one client and
// are not kept here.

import type { ReceiveRule, Rights } from "../session/rights.ts";
import { type FilterTemplate, fillToGrant, fillToRefuse, type Place } from "../topic/filterTemplate.ts";
import { RuleList, type TopicRule } from "../topic/ruleList.ts";
import { type AclAction, type AclRules, claimOf, isAbout, type Subject } from "./aclRule.ts";
import { AclRights } from "./aclRights.ts";
import { Recent } from "./recent.ts";

/** Rights, and rules of what may be delivered, that are kept to be shared; the least recently asked for go. */
const SHARED_MAX = 4096;
/** Characters of what they are known by. */
const SHARED_CHARACTERS_MAX = 4 * 1024 * 1024;

export class Acl {
  private rules: AclRules;
  /** Rules that name users, by user, and those that name none; positions in `rules`, ascending. */
  private byUser = new Map<string, number[]>();
  private general: number[] = [];
  /** The filters of each rule that are the same for every client; null where one has places. */
  private fixed: (TopicRule | null)[][] = [];
  private readonly byAsking = new Recent<Rights | null>(SHARED_MAX, SHARED_CHARACTERS_MAX);
  private readonly byContent = new Recent<Rights>(SHARED_MAX, SHARED_CHARACTERS_MAX);
  private readonly receiveRules = new Recent<ReceiveRule>(SHARED_MAX, SHARED_CHARACTERS_MAX);

  constructor(rules: AclRules) {
    this.rules = rules;
    this.index();
  }

  /** Other rules hold from now on. Whoever has rights keeps them until it asks anew; what has not changed stays one. */
  replace(rules: AclRules): void {
    this.rules = rules;
    this.byAsking.clear();
    this.index();
  }

  private index(): void {
    this.byUser = new Map();
    this.general = [];
    this.fixed = this.rules.rules.map(({ filters, allow }) =>
      filters.map((filter) => fixedRule(filter, allow)),
    );
    for (const [position, { who }] of this.rules.rules.entries()) {
      if (who.users === undefined) this.general.push(position);
      for (const user of who.users ?? []) {
        const known = this.byUser.get(user);
        if (known === undefined) this.byUser.set(user, [position]);
        else if (known.at(-1) !== position) known.push(position);
      }
    }
  }

  /** What the client may do; null when that is everything. */
  rightsOf(subject: Subject): Rights | null {
    const named = this.byUser.get(subject.userName) ?? [];
    const positions = [...named, ...this.general]
      .sort((a, b) => a - b)
      .filter((position) => isAbout(this.rules.rules[position]!.who, subject));
    const places = this.placesOf(positions);
    if (places.includes("c")) return this.compile(positions, subject, false);
    const values = places.map((place) => placeValue(subject, place));
    const asking = JSON.stringify([subject.tenant, positions, places, values]);
    return this.byAsking.get(asking, () => this.compile(positions, subject, true));
  }

  /** What the rules put into their filters, in a fixed order. */
  private placesOf(positions: readonly number[]): Place[] {
    const places = new Set<Place>();
    for (const position of positions) {
      for (const { places: some } of this.rules.rules[position]!.filters) {
        for (const place of some) places.add(place);
      }
    }
    return [...places].sort();
  }

  private compile(positions: readonly number[], subject: Subject, isShared: boolean): Rights | null {
    const rules: Record<AclAction, TopicRule[]> = { publish: [], subscribe: [], receive: [] };
    for (const position of positions) {
      const { allow, actions, filters } = this.rules.rules[position]!;
      for (const [index, filter] of filters.entries()) {
        const rule = this.fixed[position]![index] ?? ruleFor(filter, allow, subject);
        if (rule !== null) for (const action of actions) rules[action].push(rule);
      }
    }
    const listFor = (action: AclAction): RuleList => {
      return confined(rules[action], this.rules.otherwise[action], subject.tenant, action);
    };
    const [publish, subscribe, receive] = [listFor("publish"), listFor("subscribe"), listFor("receive")];
    if (publish.isOpen && subscribe.isOpen && receive.isOpen) return null;
    const make = (): Rights => new AclRights({ publish, subscribe, receive }, this.receiveRules);
    if (!isShared) return make();
    return this.byContent.get(JSON.stringify([publish.key, subscribe.key, receive.key]), make);
  }
}

/** What a filter without places says for every client; null for one with places. */
function fixedRule({ parts, places }: FilterTemplate, allow: boolean): TopicRule | null {
  return places.length > 0 ? null : { levels: parts.join("").split("/"), allow };
}

/** What the filter says for this client; null when nothing. */
function ruleFor(filter: FilterTemplate, allow: boolean, subject: Subject): TopicRule | null {
  const valueAt = (place: Place): string => placeValue(subject, place);
  const levels = allow ? fillToGrant(filter, valueAt) : fillToRefuse(filter, valueAt);
  return levels === null ? null : { levels, allow };
}

function placeValue(subject: Subject, place: Place): string {
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
