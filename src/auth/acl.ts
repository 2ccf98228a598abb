// Acl: who may do what. It finds the rules that name a client and makes them that client's Rights, when it connects and
// when rules have changed. Equal results are one Rights object: clients that the same rules name, and that differ in
// nothing which those rules put into their filters, share it. Rights made with a Client Identifier belong to one client
// and are not kept here; all that they hold of their own is who the client is.

import type { ReceiveRule, Rights } from "../session/rights.ts";
import { type AclRules, isAbout, type Subject } from "./aclRule.ts";
import { AclRights } from "./aclRights.ts";
import { Recent } from "./recent.ts";
import { placeValue, RulePlan } from "./rulePlan.ts";

/** Rights, rules and plans that are kept to be shared; the least recently asked for go. */
const SHARED_MAX = 4096;
/** Characters of what they are known by. */
const SHARED_CHARACTERS_MAX = 4 * 1024 * 1024;

export class Acl {
  private rules: AclRules;
  /** Rules that name users, by user, and those that name none; positions in `rules`, ascending. */
  private byUser = new Map<string, number[]>();
  private general: number[] = [];
  /** By the positions of their rules. */
  private readonly plans = new Recent<RulePlan>(SHARED_MAX, SHARED_CHARACTERS_MAX);
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
    this.plans.clear();
    this.index();
  }

  private index(): void {
    this.byUser = new Map();
    this.general = [];
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
    const plan = this.plans.get(positions.join(), () => this.planOf(positions));
    if (plan.places.includes("c")) return this.rightsBy(plan, subject);
    const values = plan.places.map((place) => placeValue(subject, place));
    const asking = JSON.stringify([subject.tenant, positions, plan.places, values]);
    return this.byAsking.get(asking, () => this.sharedBy(plan, subject));
  }

  private planOf(positions: readonly number[]): RulePlan {
    return new RulePlan(
      positions.map((position) => this.rules.rules[position]!),
      this.rules.otherwise,
    );
  }

  private rightsBy(plan: RulePlan, subject: Subject): Rights | null {
    const rights = new AclRights(plan, subject, this.receiveRules);
    return rights.isOpen ? null : rights;
  }

  private sharedBy(plan: RulePlan, subject: Subject): Rights | null {
    const rights = new AclRights(plan, subject, this.receiveRules);
    return rights.isOpen ? null : this.byContent.get(rights.key, () => rights);
  }
}
