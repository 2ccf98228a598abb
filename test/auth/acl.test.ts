// Rules and the rights that they make: whom a rule is about, what its places become, which rule decides, who shares.

import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { Acl } from "../../src/auth/acl.ts";
import type { AclAction, AclRule, AclRules, Subject, Who } from "../../src/auth/aclRule.ts";
import type { Rights } from "../../src/session/rights.ts";
import { parseTemplate } from "../../src/topic/filterTemplate.ts";

const ALL: readonly AclAction[] = ["publish", "subscribe", "receive"];
const CLOSED = { publish: false, subscribe: false, receive: false };

function rule(text: string, who: Who = {}): AclRule {
  const [word, actions = "", ...filters] = text.split(" ");
  return {
    who,
    allow: word === "allow",
    actions: actions === "all" ? ALL : (actions.split(",") as AclAction[]),
    filters: filters.map((filter) => {
      const template = parseTemplate(filter);
      if (typeof template === "string") throw new Error(template);
      return template;
    }),
  };
}

function aclOf(rules: readonly AclRule[], otherwise: AclRules["otherwise"] = CLOSED): Acl {
  return new Acl({ rules, otherwise });
}

function subject(more: Partial<Subject> = {}): Subject {
  return { userName: "alice", clientIdentifier: "c1", tenant: null, claims: {}, listener: "v4.1", ...more };
}

function rightsOf(acl: Acl, more: Partial<Subject> = {}): Rights {
  const rights = acl.rightsOf(subject(more));
  if (rights === null) throw new Error("everything is permitted");
  return rights;
}

describe("whom a rule is about", () => {
  const rows: readonly (readonly [string, Who, Partial<Subject>, boolean])[] = [
    ["everybody", {}, {}, true],
    ["a user", { users: ["bob", "alice"] }, {}, true],
    ["another user", { users: ["bob"] }, {}, false],
    ["a user, the client is anonymous", { users: ["", "bob"] }, { userName: "" }, false],
    ["a client", { clientIdentifiers: ["c1"] }, {}, true],
    ["a client by its beginning", { clientIdentifiers: ["c*"] }, {}, true],
    ["a client by its end", { clientIdentifiers: ["*1"] }, {}, true],
    ["a client by pieces", { clientIdentifiers: ["x*y*z*z"] }, { clientIdentifier: "x-y-z-zz" }, true],
    ["pieces that would overlap", { clientIdentifiers: ["ab*bc"] }, { clientIdentifier: "abc" }, false],
    ["pieces in another order", { clientIdentifiers: ["a*c*b*d"] }, { clientIdentifier: "abcd" }, false],
    [
      "the middle may not reach into the end",
      { clientIdentifiers: ["a*bc*c"] },
      { clientIdentifier: "abc" },
      false,
    ],
    ["a star is not a regular expression", { clientIdentifiers: ["c.*"] }, {}, false],
    ["any client", { clientIdentifiers: ["*"] }, { clientIdentifier: "" }, true],
    ["a tenant", { tenants: ["acme"] }, { tenant: "acme" }, true],
    ["a tenant, the client has none", { tenants: [""] }, {}, false],
    ["a listener", { listeners: ["ws.1", "v4.1"] }, {}, true],
    ["another listener", { listeners: ["ws.1"] }, {}, false],
    ["the anonymous", { anonymous: true }, { userName: "" }, true],
    ["the anonymous, the client has a name", { anonymous: true }, {}, false],
    ["named ones", { anonymous: false }, {}, true],
    ["named ones, the client has none", { anonymous: false }, { userName: "" }, false],
    ["a claim", { claims: new Map([["role", "boss"]]) }, { claims: { role: "boss" } }, true],
    [
      "a claim with another value",
      { claims: new Map([["role", "boss"]]) },
      { claims: { role: "serf" } },
      false,
    ],
    ["a claim that is not there", { claims: new Map([["role", "boss"]]) }, {}, false],
    ["a claim that every object has", { claims: new Map([["constructor", "boss"]]) }, {}, false],
    ["all of several", { users: ["alice"], listeners: ["v4.1"] }, {}, true],
    ["one of several is not enough", { users: ["alice"], listeners: ["v4.2"] }, {}, false],
  ];
  for (const [title, who, more, isAbout] of rows) {
    test(title, () => {
      const topic = more.tenant === undefined ? "a" : "/tenants/acme/a";
      const rights = rightsOf(aclOf([rule(`allow all ${topic}`, who)]), more);
      expect(rights.mayPublish(topic)).toBe(isAbout);
      expect(rights.maySubscribe(topic)).toBe(isAbout);
    });
  }
});

describe("the first rule that matches decides", () => {
  test("allow before deny, and deny before allow", () => {
    const rights = rightsOf(aclOf([rule("allow all a/x"), rule("deny all a/#"), rule("allow all #")]));
    expect(["a/x", "b"].map((topic) => rights.mayPublish(topic))).toEqual([true, true]);
    expect(["a", "a/y", "$SYS/x"].map((topic) => rights.mayPublish(topic))).toEqual([false, false, false]);
  });

  test("for each action its own rules", () => {
    const acl = aclOf([rule("deny publish a"), rule("allow publish,subscribe a"), rule("deny receive a/b")], {
      ...CLOSED,
      receive: true,
    });
    const rights = rightsOf(acl);
    expect(rights.mayPublish("a")).toBe(false);
    expect(rights.maySubscribe("a")).toBe(true);
    expect(rights.receiveRule("a")).toBeNull();
    expect(rights.receiveRule("a/#")?.permits("a/b")).toBe(false);
    expect(rights.receiveRule("a/#")?.permits("a/c")).toBe(true);
  });

  test("what may be received is what may be subscribed to and is delivered", () => {
    const acl = aclOf([rule("deny receive a/hidden"), rule("allow subscribe a/#"), rule("allow publish b")], {
      ...CLOSED,
      receive: true,
    });
    const topics = ["a", "a/x", "a/hidden", "b"];
    expect(topics.filter((topic) => rightsOf(acl).mayReceive(topic))).toEqual(["a", "a/x"]);
    const tenant = { tenant: "acme" };
    expect(rightsOf(aclOf([rule("allow all #")]), tenant).mayReceive("/tenants/acme/x")).toBe(true);
    expect(rightsOf(aclOf([rule("allow all #")]), tenant).mayReceive("/tenants/other/x")).toBe(false);
  });

  test("where none matches the default holds", () => {
    const rights = rightsOf(aclOf([rule("deny all a")], { publish: true, subscribe: true, receive: true }));
    expect([rights.mayPublish("b"), rights.maySubscribe("b/#"), rights.maySubscribe("#")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("no rules at all are no rights to look at", () => {
    const open = { publish: true, subscribe: true, receive: true };
    expect(aclOf([], open).rightsOf(subject())).toBeNull();
    expect(aclOf([rule("deny all a", { users: ["bob"] })], open).rightsOf(subject())).toBeNull();
    expect(aclOf([rule("allow all a")], open).rightsOf(subject())).toBeNull();
  });
});

/** Values that would make a level more than one, or a wildcard, or nothing. */
const BAD_VALUES = ["", "+", "#", "a+", "a#", "a/b", "/", "a\0b", "\0"];

describe("what stands in a place", () => {
  const values: readonly (readonly [string, string, (value: string) => Partial<Subject>])[] = [
    ["%c", "the Client Identifier", (value) => ({ clientIdentifier: value })],
    ["%u", "the user name", (value) => ({ userName: value })],
    ["%o", "a claim of another name", (value) => ({ claims: { o: value } })],
    ["%{role}", "a claim", (value) => ({ claims: { role: value } })],
    ["%{a/b}", "a claim whose name is a path", (value) => ({ claims: { "a/b": value } })],
  ];
  for (const [place, title, more] of values) {
    if (place === "%o") continue;
    test(`${place}: ${title}`, () => {
      const rights = rightsOf(aclOf([rule(`allow all dev/${place}/#`)]), more("x y"));
      expect(rights.mayPublish("dev/x y/z")).toBe(true);
      expect(rights.mayPublish("dev/x/z")).toBe(false);
      expect(rights.maySubscribe("dev/x y/+")).toBe(true);
      expect(rights.maySubscribe("dev/+/#")).toBe(false);
    });

    for (const value of BAD_VALUES) {
      test(`${place} as ${JSON.stringify(value)} grants nothing`, () => {
        const rights = rightsOf(
          aclOf([
            rule(`allow all dev/${place}/#`),
            rule(`allow all ${place}`),
            rule(`allow all x-${place}/#`),
          ]),
          more(value),
        );
        for (const topic of [
          "dev",
          "dev/x",
          "dev/x/y",
          `dev/${value}`,
          `dev/${value}/x`,
          value,
          "x-a",
          "x-",
          `x-${value}`,
        ])
          expect(rights.mayPublish(topic)).toBe(false);
        for (const filter of ["#", "+", "dev/#", "dev/+/x", `dev/${value}/#`, "x-a", "x-/#"])
          expect(rights.maySubscribe(filter)).toBe(false);
      });
    }

    test(`${place} makes no $ topic of a filter that does not name one`, () => {
      const rights = rightsOf(aclOf([rule(`allow all ${place}/#`)]), more("$SYS"));
      expect(rights.mayPublish("$SYS/x")).toBe(false);
      expect(rights.maySubscribe("$SYS/#")).toBe(false);
    });

    test(`${place} in a rule that refuses: no value gets round it`, () => {
      const open = { publish: true, subscribe: true, receive: true };
      const acl = aclOf([rule(`deny all dev/${place}/set`), rule(`deny all ${place}/x`)], open);
      for (const value of ["a", "a/b", "", "$SYS"]) {
        const rights = rightsOf(acl, more(value));
        expect(rights.mayPublish(`dev/${value}/set`)).toBe(false);
        expect(rights.mayPublish(`${value}/x`)).toBe(false);
        expect(rights.mayPublish("dev/other/set")).toBe(true);
        expect(rights.maySubscribe("dev/#")).toBe(false);
      }
    });

    test(`${place} in a rule that refuses is no wildcard either`, () => {
      const open = { publish: true, subscribe: true, receive: true };
      for (const value of ["+", "#", "a\0"]) {
        expect(aclOf([rule(`deny all dev/${place}/set`)], open).rightsOf(subject(more(value)))).toBeNull();
      }
    });
  }

  test("several places, and percent signs", () => {
    const rights = rightsOf(aclOf([rule("allow publish %u/%c-%{n}/100%%/%%c")]), { claims: { n: "7" } });
    expect(rights.mayPublish("alice/c1-7/100%/%c")).toBe(true);
    expect(rights.mayPublish("alice/c1-7/100%/c1")).toBe(false);
  });

  test("%o: the tenant", () => {
    const acl = aclOf([rule("allow publish /tenants/%o/x")]);
    expect(rightsOf(acl, { tenant: "acme" }).mayPublish("/tenants/acme/x")).toBe(true);
    expect(rightsOf(acl, { tenant: null }).mayPublish("/tenants//x")).toBe(false);
  });
});

describe("a tenant stays within /tenants/<tenant>/", () => {
  const open = { publish: true, subscribe: true, receive: true };

  test("whatever rules say", () => {
    for (const acl of [
      aclOf([], open),
      aclOf([rule("allow all #")]),
      aclOf([rule("allow all # $SYS/#")], open),
    ]) {
      const rights = rightsOf(acl, { tenant: "acme" });
      const may = (topics: readonly string[]): boolean[] => topics.map((topic) => rights.mayPublish(topic));
      expect(may(["/tenants/acme/", "/tenants/acme/x", "/tenants/acme/x/y"])).toEqual([true, true, true]);
      expect(may(["/tenants/acme", "/tenants/acmes/x", "/tenants/ACME/x", "tenants/acme/x", "x"])).toEqual(
        Array(5).fill(false),
      );
      expect(["/tenants/acme/#", "/tenants/acme/+/x"].every((filter) => rights.maySubscribe(filter))).toBe(
        true,
      );
      const refused = [
        "#",
        "/#",
        "/tenants/#",
        "/tenants/+/x",
        "/+/acme/#",
        "+/tenants/acme/#",
        "$SYS/#",
        "/tenants/x/#",
      ];
      expect(refused.filter((filter) => rights.maySubscribe(filter))).toEqual([]);
      expect(rights.receiveRule("/tenants/acme/#")).toBeNull();
      expect(rights.receiveRule("#")?.permits("/tenants/other/x")).toBe(false);
    }
  });

  test("rules narrow it further", () => {
    const rights = rightsOf(aclOf([rule("deny all /tenants/+/secret")], open), { tenant: "acme" });
    expect(rights.mayPublish("/tenants/acme/secret")).toBe(false);
    expect(rights.maySubscribe("/tenants/acme/#")).toBe(false);
    expect(rights.maySubscribe("/tenants/acme/open/#")).toBe(true);
  });

  test("a name that is no level leaves nothing", () => {
    for (const tenant of ["", "+", "#", "a/b", "a\0", "../x"]) {
      const rights = rightsOf(aclOf([], open), { tenant });
      for (const topic of ["/tenants//x", `/tenants/${tenant}/x`, "/tenants/a/x", "x"])
        expect(rights.mayPublish(topic)).toBe(false);
      for (const filter of ["#", "/tenants/#", "/tenants/+/x", "/tenants/a/b/#"])
        expect(rights.maySubscribe(filter)).toBe(false);
      expect(rights.receiveRule("#")?.permits("/tenants/a/x")).toBe(false);
    }
  });
});

describe("equal rules are one object", () => {
  test("clients that one set of rules names share their rights", () => {
    const acl = aclOf([rule("allow all a", { users: ["alice", "bob"] }), rule("deny all b")]);
    const first = rightsOf(acl, { clientIdentifier: "c1" });
    expect(rightsOf(acl, { clientIdentifier: "c2", claims: { any: "thing" } })).toBe(first);
    expect(rightsOf(acl, { userName: "bob" })).toBe(first);
    expect(rightsOf(acl, { userName: "carol" })).not.toBe(first);
  });

  test("and those that differ in nothing which the rules use", () => {
    const acl = aclOf([rule("allow all %u/#")]);
    expect(rightsOf(acl, { clientIdentifier: "c2" })).toBe(rightsOf(acl));
    expect(rightsOf(acl, { userName: "bob" })).not.toBe(rightsOf(acl));
    expect(rightsOf(acl, { tenant: "acme" })).not.toBe(rightsOf(acl));
  });

  test("different rules with one result, and rules that were read again", () => {
    const acl = aclOf([rule("allow all a", { users: ["alice"] }), rule("allow all a", { users: ["bob"] })]);
    const first = rightsOf(acl);
    expect(rightsOf(acl, { userName: "bob" })).toBe(first);
    acl.replace({ rules: [rule("allow all a")], otherwise: CLOSED });
    expect(rightsOf(acl)).toBe(first);
    acl.replace({ rules: [rule("allow all b")], otherwise: CLOSED });
    expect(rightsOf(acl)).not.toBe(first);
    expect(rightsOf(acl).mayPublish("a")).toBe(false);
  });

  test("%c makes rights that are a client's own, yet rules of what is delivered are shared", () => {
    const acl = aclOf([
      rule("allow publish dev/%c/#"),
      rule("deny receive dev/+/key"),
      rule("allow all dev/#"),
    ]);
    const [a, b] = [rightsOf(acl), rightsOf(acl, { clientIdentifier: "c2" })];
    expect(a).not.toBe(b);
    expect(a.receiveRule("dev/#")).not.toBeNull();
    expect(a.receiveRule("dev/#")).toBe(b.receiveRule("dev/#"));
    expect(a.receiveRule("dev/x/#")).toBe(a.receiveRule("dev/x/+"));
  });

  test("clients with %c hold nothing that is made of rules, and ask in any order, whatever rules come later", () => {
    const lines = Array.from({ length: 10 }, (_, i) => rule(`allow all dev/%c/${i}/#`));
    const acl = aclOf([...lines, rule("allow publish users/%u/#")]);
    const of = (i: number): Partial<Subject> => ({ clientIdentifier: `c${i}`, userName: `u${i}` });
    rightsOf(acl, of(0));
    Bun.gc(true);
    const before = heapStats().objectCount;
    const all = Array.from({ length: 1_000 }, (_, i) => rightsOf(acl, of(i)));
    Bun.gc(true);
    expect((heapStats().objectCount - before) / all.length).toBeLessThan(10);
    acl.replace({ rules: [], otherwise: CLOSED });
    for (const i of [0, 999, 0, 500, 999]) {
      const other = (i + 1) % 1_000;
      expect([all[i]!.mayPublish(`dev/c${i}/9/x`), all[i]!.mayPublish(`dev/c${other}/9/x`)]).toEqual([
        true,
        false,
      ]);
      expect([all[i]!.maySubscribe(`dev/c${i}/1/#`), all[i]!.maySubscribe(`dev/c${other}/1/#`)]).toEqual([
        true,
        false,
      ]);
      expect([all[i]!.mayPublish(`users/u${i}/x`), all[i]!.mayPublish(`users/u${other}/x`)]).toEqual([
        true,
        false,
      ]);
    }
  });

  test("what is kept to be shared is bounded", () => {
    const acl = aclOf([rule("allow all dev/%u/#")]);
    const first = rightsOf(acl, { userName: "u0" });
    for (let i = 1; i < 10_000; i++) rightsOf(acl, { userName: `u${i}` });
    expect(rightsOf(acl, { userName: "u0" })).not.toBe(first);
    const [kept] = [acl["byAsking"].size];
    expect(kept).toBe(4096);
    expect(acl["byContent"].size).toBe(4096);
  });

  test("what is asked for often stays", () => {
    const acl = aclOf([rule("allow all dev/%u/#")]);
    const hot = rightsOf(acl, { userName: "hot" });
    for (let i = 0; i < 10_000; i++) {
      rightsOf(acl, { userName: `u${i}` });
      if (i % 1000 === 0) rightsOf(acl, { userName: "hot" });
    }
    expect(rightsOf(acl, { userName: "hot" })).toBe(hot);
  });
});

test("a rule of what is delivered knows when another permits no more than it", () => {
  const before = rightsOf(aclOf([rule("deny receive a/x"), rule("allow all a/#")]));
  const narrower = rightsOf(aclOf([rule("deny receive a/x a/y"), rule("allow all a/#")]));
  const [wide, narrow] = [before.receiveRule("a/#"), narrower.receiveRule("a/#")];
  expect(wide?.includes(narrow!, "a/#")).toBe(true);
  expect(narrow?.includes(wide!, "a/#")).toBe(false);
  expect(narrow?.includes({ permits: () => true, includes: () => true }, "a/#")).toBe(false);
});
