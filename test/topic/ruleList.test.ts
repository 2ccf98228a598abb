// RuleList beside brute force: over a small alphabet every topic can be tried, one by one, with §4.7 read plainly.

import { describe, expect, test } from "bun:test";
import { RuleList, type TopicRule } from "../../src/topic/ruleList.ts";
import { filterMatchesTopic } from "../../src/topic/topicFilter.ts";
import { Random } from "../sim/random.ts";

const SEED = 4_711;
const ROUNDS = 2_000;
/** "z" stands for all that no rule names. */
const TEXTS = ["", "a", "b", "$s", "z"];
const RULE_LEVELS_MAX = 3;
/** One level more than the longest rule: what is deeper is judged as these are. */
const TOPICS = topicsOf(RULE_LEVELS_MAX + 1);

function topicsOf(levelsMax: number): string[] {
  let last = TEXTS.map((text) => [text]);
  const all = [...last];
  for (let levels = 2; levels <= levelsMax; levels++) {
    last = last.flatMap((topic) => TEXTS.map((text) => [...topic, text]));
    all.push(...last);
  }
  return all.map((levels) => levels.join("/")).filter((topic) => topic !== "");
}

function randomFilter(random: Random): string {
  const levels: string[] = [];
  const count = 1 + random.below(RULE_LEVELS_MAX);
  for (let i = 0; i < count; i++) {
    const kind = random.below(10);
    if (kind === 0 && i === count - 1) levels.push("#");
    else if (kind < 4) levels.push("+");
    else levels.push(TEXTS[random.below(kind === 9 ? 4 : 3)]!);
  }
  if (random.below(4) === 0 && levels.at(-1) !== "#" && count < RULE_LEVELS_MAX) levels.push("#");
  const filter = levels.join("/");
  return filter === "" ? "+" : filter;
}

interface PlainRules {
  readonly rules: readonly { readonly filter: string; readonly allow: boolean }[];
  readonly otherwise: boolean;
  readonly confinement: string | null;
}

function randomRules(random: Random): PlainRules {
  const rules = Array.from({ length: random.below(6) }, () => {
    return { filter: randomFilter(random), allow: random.below(2) === 0 };
  });
  const confinement = random.below(5) === 0 ? randomFilter(random) : null;
  return { rules, otherwise: random.below(2) === 0, confinement };
}

function listOf({ rules, otherwise, confinement }: PlainRules): RuleList {
  const compiled = rules.map(({ filter, allow }): TopicRule => ({ levels: filter.split("/"), allow }));
  return new RuleList(compiled, otherwise, confinement?.split("/") ?? null);
}

function plainly({ rules, otherwise, confinement }: PlainRules, topic: string): boolean {
  if (confinement !== null && !filterMatchesTopic(confinement, topic)) return false;
  return rules.find(({ filter }) => filterMatchesTopic(filter, topic))?.allow ?? otherwise;
}

function eachRound(body: (random: Random, context: string) => void): void {
  const random = new Random(SEED);
  for (let round = 0; round < ROUNDS; round++) body(random, `seed ${SEED}, round ${round}`);
}

describe("a rule list beside brute force", () => {
  test("judges every topic alike", () => {
    const random = new Random(SEED);
    for (let round = 0; round < 500; round++) {
      const plain = randomRules(random);
      const list = listOf(plain);
      for (const topic of TOPICS) {
        if (list.permits(topic) !== plainly(plain, topic))
          throw new Error(`${topic}: ${JSON.stringify(plain)}`);
      }
    }
  });

  test("permitsAll: a filter is allowed when each of its topics is", () => {
    const seen = { true: 0, false: 0 };
    eachRound((random, context) => {
      const plain = randomRules(random);
      const filter = randomFilter(random);
      const wanted = TOPICS.every((topic) => !filterMatchesTopic(filter, topic) || plainly(plain, topic));
      seen[`${wanted}`]++;
      const got = listOf(plain).permitsAll(filter);
      if (got !== wanted) throw new Error(`${context}: ${filter} is ${got}: ${JSON.stringify(plain)}`);
    });
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(ROUNDS / 10);
  });

  test("includes: all that one list allows of a filter, the other does", () => {
    const seen = { true: 0, false: 0 };
    eachRound((random, context) => {
      const [from, to] = [randomRules(random), randomRules(random)];
      const filter = randomFilter(random);
      const wanted = TOPICS.every(
        (topic) => !filterMatchesTopic(filter, topic) || !plainly(from, topic) || plainly(to, topic),
      );
      seen[`${wanted}`]++;
      const got = listOf(to).includes(listOf(from), filter);
      if (got !== wanted) throw new Error(`${context}: ${filter} is ${got}: ${JSON.stringify([from, to])}`);
    });
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(ROUNDS / 10);
  });

  test("within: the part that matters to a filter judges its topics alike", () => {
    eachRound((random, context) => {
      const plain = randomRules(random);
      const filter = randomFilter(random);
      const part = listOf(plain).within(filter);
      for (const topic of TOPICS) {
        if (!filterMatchesTopic(filter, topic) || part.permits(topic) === plainly(plain, topic)) continue;
        throw new Error(`${context}: ${filter}, ${topic}: ${JSON.stringify(plain)}`);
      }
    });
  });
});

interface Row {
  readonly title: string;
  /** "+filter" allows, "-filter" denies. */
  readonly rules: readonly string[];
  readonly otherwise?: boolean;
  readonly allowed: readonly string[];
  readonly refused: readonly string[];
}

const ROWS: readonly Row[] = [
  {
    title: "nothing is allowed by default",
    rules: [],
    allowed: [],
    refused: ["a", "#", "+", "$SYS/#"],
  },
  {
    title: "what is narrower than a rule is allowed, what is wider is not",
    rules: ["+plant/+/state"],
    allowed: ["plant/+/state", "plant/1/state"],
    refused: ["plant/#", "plant/+/+", "plant/1/#", "+/+/state", "#", "plant/+/state/#"],
  },
  {
    title: "# matches its parent level as well",
    rules: ["+plant/#"],
    allowed: ["plant", "plant/#", "plant/+", "plant/+/#"],
    refused: ["+/#", "plants/#", "/plant/#"],
  },
  {
    title: "+/# is not plant/#'s parent",
    rules: ["+plant/+/#"],
    allowed: ["plant/+", "plant/x/#"],
    refused: ["plant/#", "plant"],
  },
  {
    title: "a deny rule before an allow rule makes a hole",
    rules: ["-plant/secret", "+plant/#"],
    allowed: ["plant/open", "plant/open/#", "plant/+/x", "plant/secret/x"],
    refused: ["plant/#", "plant/+", "plant/secret"],
  },
  {
    title: "a deny rule behind a wider allow rule is never asked",
    rules: ["+plant/#", "-plant/secret"],
    allowed: ["plant/#", "plant/secret"],
    refused: ["#"],
  },
  {
    title: "an exception from the exception",
    rules: ["+plant/secret/mine", "-plant/secret/#", "+plant/#"],
    allowed: ["plant/secret/mine", "plant/x"],
    refused: ["plant/secret/+", "plant/secret/#", "plant/#", "plant/secret/mine/#"],
  },
  {
    title: "leading wildcards do not match $ topics",
    rules: ["+#"],
    allowed: ["#", "+/x", "a/$SYS"],
    refused: ["$SYS/#", "$SYS/x", "$share"],
  },
  {
    title: "$ topics need a rule that names them",
    rules: ["+$SYS/#"],
    allowed: ["$SYS/#", "$SYS/broker/+"],
    refused: ["#", "+/#", "$other/#"],
  },
  {
    title: "a denied $ topic does not narrow a wildcard",
    rules: ["-$SYS/#"],
    otherwise: true,
    allowed: ["#", "+/+", "a"],
    refused: ["$SYS/#", "$SYS/a", "$SYS"],
  },
  {
    title: "several rules together cover a filter",
    rules: ["+a/x", "+a/+/#"],
    allowed: ["a/+", "a/+/b", "a/x"],
    refused: ["a/#"],
  },
  {
    title: "a parent and what is below it",
    rules: ["+a", "+a/+/#"],
    allowed: ["a/#", "a", "a/b/c"],
    refused: ["+/#"],
  },
  {
    title: "empty levels are levels",
    rules: ["-/#", "-+//#"],
    otherwise: true,
    allowed: ["a/b", "a/b/", "+"],
    refused: ["/", "/a", "a//b", "+/+", "#", "a/#"],
  },
];

function listFrom({ rules, otherwise = false }: Row): RuleList {
  const compiled = rules.map((rule) => ({ levels: rule.slice(1).split("/"), allow: rule.startsWith("+") }));
  return new RuleList(compiled, otherwise, null);
}

describe("a subscription", () => {
  for (const row of ROWS) {
    test(row.title, () => {
      const list = listFrom(row);
      expect(row.allowed.filter((filter) => !list.permitsAll(filter))).toEqual([]);
      expect(row.refused.filter((filter) => list.permitsAll(filter))).toEqual([]);
    });
  }

  test("within a confinement", () => {
    const list = new RuleList([{ levels: ["/", "x"], allow: false }], true, ["", "tenants", "t", "#"]);
    const refused = ["#", "/#", "/tenants/#", "/tenants/+/a", "/tenants/u/#", "tenants/t/a", "/tenants/t2/a"];
    expect(
      ["/tenants/t/#", "/tenants/t/+/x", "/tenants/t/a"].every((filter) => list.permitsAll(filter)),
    ).toBe(true);
    expect(refused.filter((filter) => list.permitsAll(filter))).toEqual([]);
  });

  test("rules that take too long to judge are taken as a refusal, soon", () => {
    // Each level doubles what must be tried: whether these rules leave a hole is the hard question of logic.
    const random = new Random(1);
    const rules = Array.from({ length: 400 }, () => {
      const levels = Array.from({ length: 60 }, () => ["+", "+", "+", "0", "1"][random.below(5)]!);
      return { levels, allow: true };
    });
    const list = new RuleList([...rules, { levels: Array(60).fill("+"), allow: true }], false, null);
    expect(list.permitsAll(Array(60).fill("+").join("/"))).toBe(false);
    expect(list.permits(Array(60).fill("0").join("/"))).toBe(true);
  });

  test("many filters without wildcards between them are judged in full", () => {
    const rules = Array.from({ length: 2_000 }, (_, i) => ({
      levels: ["site", `${i}`, "secret"],
      allow: false,
    }));
    const list = new RuleList([...rules, { levels: ["site", "+", "+"], allow: true }], false, null);
    expect(list.permitsAll("site/+/open")).toBe(true);
    expect(list.permitsAll("site/+/secret")).toBe(false);
    expect(list.permitsAll("site/1/secret")).toBe(false);
    expect(list.permitsAll("site/x/secret")).toBe(true);
  });
});
