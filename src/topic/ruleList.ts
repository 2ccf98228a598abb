// RuleList: topic filters that allow or deny, of which the first that matches decides. It judges a Topic Name, and
// it judges a Topic Filter: whether every topic that the filter can match is allowed. The second is exact: it walks
// filter and rules together, level by level, and tries at each level the texts that some rule names and one that
// none does. Only where that would take very many steps it answers no.

/** One filter by its levels. */
export interface TopicRule {
  readonly levels: readonly string[];
  readonly allow: boolean;
}

/**
 * So often one filter's judgement may look at rules, and more often the more rules there are; beyond that the filter is
 * taken as not wholly allowed. A client chooses its filters: none may cost much more than the list is long.
 */
const STEPS_MIN = 2_048;
const STEPS_PER_RULE = 16;

/** A level's text that no rule names and that does not begin with "$". No level holds U+0000. */
const FRESH = "\0";

const NOTHING: readonly number[] = [];

export class RuleList {
  readonly rules: readonly TopicRule[];
  /** What holds for topics that no rule matches. */
  readonly otherwise: boolean;
  /** Topics outside this filter are denied before any rule is asked; null for none. */
  readonly confinement: readonly string[] | null;

  constructor(rules: readonly TopicRule[], otherwise: boolean, confinement: readonly string[] | null) {
    this.rules = rules;
    this.otherwise = otherwise;
    this.confinement = confinement;
  }

  /** Equal lists have equal keys. */
  get key(): string {
    const texts = this.rules.map(({ levels, allow }) => `${allow ? "+" : "-"}${levels.join("/")}`);
    return [this.otherwise ? "+" : "-", this.confinement?.join("/") ?? "", ...texts].join("\0");
  }

  /** It allows every topic. */
  get isOpen(): boolean {
    return this.confinement === null && this.otherwise && this.rules.every(({ allow }) => allow);
  }

  permits(topic: string): boolean {
    const levels = topic.split("/");
    if (this.confinement !== null && !matches(this.confinement, levels)) return false;
    for (const rule of this.rules) if (matches(rule.levels, levels)) return rule.allow;
    return this.otherwise;
  }

  /** Every topic that the valid Topic Filter `filter` matches is allowed. */
  permitsAll(filter: string): boolean {
    const wanted = filter.split("/");
    if (this.confinement !== null && !contains(this.confinement, wanted)) return this.isJudged(wanted);
    for (const { levels, allow } of this.rules) {
      if (contains(levels, wanted)) return allow; // no rule before it has to do with the filter
      if (overlap(levels, wanted)) return this.isJudged(wanted);
    }
    return this.otherwise;
  }

  private isJudged(wanted: readonly string[]): boolean {
    return new Judgement(wanted, OPEN, this).holds();
  }

  /** Of the topics that `filter` matches, everything that `other` allows is allowed here too. */
  includes(other: RuleList, filter: string): boolean {
    return new Judgement(filter.split("/"), other, this).holds();
  }

  /** The list as far as it matters to topics that `filter` matches: it judges those alike. */
  within(filter: string): RuleList {
    const wanted = filter.split("/");
    const rules: TopicRule[] = [];
    for (const rule of this.rules) {
      if (!overlap(rule.levels, wanted)) continue;
      rules.push(rule);
      if (contains(rule.levels, wanted)) break;
    }
    const { confinement } = this;
    const isConfined = confinement !== null && !contains(confinement, wanted);
    return new RuleList(rules, this.otherwise, isConfined ? confinement : null);
  }
}

const OPEN = new RuleList([], true, null);

/** The filter of these levels matches the Topic Name of those. */
function matches(filter: readonly string[], topic: readonly string[]): boolean {
  for (let i = 0; i < filter.length; i++) {
    const wanted = filter[i]!;
    if (i === 0 && isWildcard(wanted) && topic[0]!.startsWith("$")) return false; // [MQTT-4.7.2-1]
    if (wanted === "#") return true;
    if (i >= topic.length) return false;
    if (wanted !== "+" && wanted !== topic[i]) return false;
    if (filter[i + 1] === "#" && i + 1 === topic.length) return true;
  }
  return filter.length === topic.length;
}

function isWildcard(level: string): boolean {
  return level === "+" || level === "#";
}

/** Some topic may match both filters; the answer may be yes where there is none. */
function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let i = 0; ; i++) {
    const x = a[i];
    const y = b[i];
    if (x === "#" || y === "#") return true;
    if (x === undefined || y === undefined) return x === y;
    if (x !== y && x !== "+" && y !== "+") return false;
  }
}

/** Every topic that matches `inner` matches `outer` too; the answer may be no where that is so. */
function contains(outer: readonly string[], inner: readonly string[]): boolean {
  if (isWildcard(outer[0]!) && inner[0]!.startsWith("$")) return false;
  for (let i = 0; i < outer.length; i++) {
    const wanted = outer[i]!;
    if (wanted === "#") return true;
    const level = inner[i];
    if (level === undefined || level === "#") return false;
    if (wanted !== "+" && wanted !== level) return false;
  }
  return outer.length === inner.length;
}

/** Rules of a list that still may match after some levels, in order, and whether its confinement still may. */
interface Alive {
  readonly rules: readonly number[];
  readonly isConfined: boolean;
}

/** Whether `to` allows, of the topics of one filter, all that `from` allows. */
class Judgement {
  private readonly filter: readonly string[];
  private readonly from: RuleList;
  private readonly to: RuleList;
  private stepsLeft: number;

  constructor(filter: readonly string[], from: RuleList, to: RuleList) {
    this.filter = filter;
    this.from = from;
    this.to = to;
    this.stepsLeft = STEPS_MIN + STEPS_PER_RULE * (from.rules.length + to.rules.length);
  }

  holds(): boolean {
    return this.below(0, "", begin(this.from), begin(this.to));
  }

  /** It holds for the topics that begin with the `depth` levels that led here, the last of which is `last`. */
  private below(depth: number, last: string, from: Alive, to: Alive): boolean {
    this.stepsLeft -= 1 + from.rules.length + to.rules.length;
    if (this.stepsLeft < 0) return false;
    const granted = decided(this.to, to, depth);
    if (granted === true) return true;
    const asked = decided(this.from, from, depth);
    if (asked === false) return true;
    const hash = this.filter.length - 1;
    const isOpen = this.filter[hash] === "#" && depth >= hash;
    const isTopic = depth > 0 && (isOpen || depth === this.filter.length) && !(depth === 1 && last === "");
    const goesOn = isOpen || depth < this.filter.length;
    if (granted === false && asked === true) return !isTopic && !goesOn;
    if (isTopic && verdict(this.from, from, depth) && !verdict(this.to, to, depth)) return false;
    return !goesOn || this.levels(depth, isOpen ? "#" : this.filter[depth]!, from, to);
  }

  private levels(depth: number, wanted: string, from: Alive, to: Alive): boolean {
    if (!isWildcard(wanted)) {
      return this.below(
        depth + 1,
        wanted,
        stepTo(this.from, from, depth, wanted),
        stepTo(this.to, to, depth, wanted),
      );
    }
    const [a, b] = [new Steps(this.from, from, depth), new Steps(this.to, to, depth)];
    for (const level of new Set([FRESH, ...a.named(), ...b.named()])) {
      if (depth === 0 && level.startsWith("$")) continue; // [MQTT-4.7.2-1]
      if (!this.below(depth + 1, level, a.to(level), b.to(level))) return false;
    }
    return true;
  }
}

function begin(list: RuleList): Alive {
  return { rules: list.rules.map((_, index) => index), isConfined: true };
}

/** What the list says of every topic from here on; undefined when it depends on what follows. */
function decided(list: RuleList, alive: Alive, depth: number): boolean | undefined {
  const { confinement } = list;
  if (confinement !== null) {
    if (!alive.isConfined) return false;
    if (!isOver(confinement, depth)) return undefined;
  }
  const first = alive.rules[0];
  if (first === undefined) return list.otherwise;
  const rule = list.rules[first]!;
  return isOver(rule.levels, depth) ? rule.allow : undefined;
}

/** What the list says of the topic that ends here. */
function verdict(list: RuleList, alive: Alive, depth: number): boolean {
  const { confinement } = list;
  if (confinement !== null && !(alive.isConfined && ends(confinement, depth))) return false;
  for (const index of alive.rules) {
    const rule = list.rules[index]!;
    if (ends(rule.levels, depth)) return rule.allow;
  }
  return list.otherwise;
}

/** The filter matched so far and matches whatever follows. */
function isOver(levels: readonly string[], depth: number): boolean {
  const hash = levels.length - 1;
  return depth > 0 && depth >= hash && levels[hash] === "#";
}

/** The filter matched so far and matches the topic that ends here. */
function ends(levels: readonly string[], depth: number): boolean {
  return levels.length === depth || isOver(levels, depth);
}

/** What the filter says to the level at `depth`: "#" whatever comes, "" nothing more may come. */
function levelAt(levels: readonly string[], depth: number): string | undefined {
  return isOver(levels, depth) ? "#" : levels[depth];
}

function goesTo(levels: readonly string[], depth: number, level: string): boolean {
  const wanted = levelAt(levels, depth);
  if (wanted === undefined) return false;
  if (isWildcard(wanted)) return depth > 0 || !level.startsWith("$");
  return wanted === level;
}

function stepTo(list: RuleList, alive: Alive, depth: number, level: string): Alive {
  const { confinement } = list;
  return {
    rules: alive.rules.filter((index) => goesTo(list.rules[index]!.levels, depth, level)),
    isConfined: alive.isConfined && (confinement === null || goesTo(confinement, depth, level)),
  };
}

/** The rules of one list that go on from here, by the level that they wait for. */
class Steps {
  private readonly list: RuleList;
  private readonly alive: Alive;
  private readonly depth: number;
  private readonly any: number[] = [];
  private readonly byLevel = new Map<string, number[]>();

  constructor(list: RuleList, alive: Alive, depth: number) {
    this.list = list;
    this.alive = alive;
    this.depth = depth;
    for (const index of alive.rules) {
      const wanted = levelAt(list.rules[index]!.levels, depth);
      if (wanted === undefined) continue;
      if (isWildcard(wanted)) this.any.push(index);
      else {
        const known = this.byLevel.get(wanted);
        if (known === undefined) this.byLevel.set(wanted, [index]);
        else known.push(index);
      }
    }
  }

  /** The texts that rules name at this level. */
  named(): string[] {
    const { confinement } = this.list;
    const wanted = confinement === null ? undefined : levelAt(confinement, this.depth);
    const named = [...this.byLevel.keys()];
    return wanted === undefined || isWildcard(wanted) ? named : [...named, wanted];
  }

  /** The rules that are left when a topic has `level` here, which a wildcard may match. */
  to(level: string): Alive {
    const { confinement } = this.list;
    const { isConfined } = this.alive;
    return {
      rules: merged(this.any, this.byLevel.get(level) ?? NOTHING),
      isConfined: isConfined && (confinement === null || goesTo(confinement, this.depth, level)),
    };
  }
}

/** Two ascending lists as one. */
function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const all: number[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (j >= b.length || (i < a.length && a[i]! < b[j]!)) all.push(a[i++]!);
    else all.push(b[j++]!);
  }
  return all;
}
