// [authorization] and [[acl]]: what they come to, and what is said of those that cannot be.

import { describe, expect, test } from "bun:test";
import type { AuthorizationSettings } from "../../src/config/aclSettings.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";

const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';

function read(text: string): AuthorizationSettings {
  return parseConfig({ text: LISTENER + text, file: "test.toml" }).settings.authorization;
}

function problems(text: string): readonly string[] {
  try {
    read(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const RULE = `[[acl]]
users = ["alice"]
client_ids = ["dev-*"]
tenants = ["acme"]
listeners = ["v4.1"]
anonymous = false
claims = ["role=operator=1", "https://x/y=z"]
deny = ["publish", "receive"]
filters = ["plant/%c/#", "a/%{role}/100%%"]
`;

test("nothing is restricted where nothing is said", () => {
  const open = { publish: true, subscribe: true, receive: true };
  expect(read("")).toMatchObject({ rules: [], otherwise: open, aclFile: null, refusedPublish: "drop" });
});

test("a rule, whole", () => {
  const { rules, otherwise } = read(RULE);
  expect(otherwise).toEqual({ publish: false, subscribe: false, receive: true });
  expect(rules).toHaveLength(1);
  const [rule] = rules;
  expect(rule).toMatchObject({
    who: {
      users: ["alice"],
      clientIdentifiers: ["dev-*"],
      tenants: ["acme"],
      listeners: ["v4.1"],
      anonymous: false,
      claims: new Map([
        ["role", "operator=1"],
        ["https://x/y", "z"],
      ]),
    },
    allow: false,
    actions: ["publish", "receive"],
  });
  expect(rule?.filters.map(({ parts }) => parts)).toEqual([
    ["plant/", { place: "c" }, "/#"],
    ["a/", { place: "{role}" }, "/100", "%"],
  ]);
});

test("whom a rule does not name it is about", () => {
  expect(read('[[acl]]\nallow = ["publish"]\nfilters = ["#"]').rules[0]?.who).toEqual({});
});

test("the defaults and the file", () => {
  const section = `[authorization]
default = "allow"
default_receive = "deny"
acl_file = "/etc/acl"
acl_file_subscriptions = "narrow"
on_refused_publish = "disconnect"
`;
  expect(read(`${section}${RULE}`)).toMatchObject({
    otherwise: { publish: true, subscribe: true, receive: false },
    aclFile: "/etc/acl",
    wideSubscriptions: "narrow",
    refusedPublish: "disconnect",
  });
});

describe("what cannot be a rule stops the start", () => {
  const base = (changes: Readonly<Record<string, string>>): string => {
    const keys = { allow: '["publish"]', filters: '["a"]', ...changes };
    const lines = Object.entries(keys).filter(([, value]) => value !== "");
    return `[[acl]]\n${lines.map(([name, value]) => `${name} = ${value}`).join("\n")}`;
  };
  const rows: readonly (readonly [string, string, string])[] = [
    ["neither allow nor deny", base({ allow: "" }), "test.toml:3: [[acl]] needs either allow or deny"],
    ["both", base({ deny: '["publish"]' }), "test.toml:3: [[acl]] needs either allow or deny"],
    ["no action", base({ allow: "[]" }), "test.toml:4: [acl[0]] allow is empty"],
    ["another action", base({ allow: '["read"]' }), "test.toml:4: [acl[0]] allow = "],
    ["no filters", base({ filters: "" }), "test.toml:3: [acl[0]] needs the key filters"],
    ["an empty list of filters", base({ filters: "[]" }), "test.toml:5: [acl[0]] filters is empty"],
    ["nobody", base({ users: "[]" }), "test.toml:6: [acl[0]] users is empty"],
    ["a filter that is none", base({ filters: '["a/#/b"]' }), "'a/#/b' is not a topic filter"],
    ["a place beside a wildcard", base({ filters: '["a/+%c"]' }), "'a/+%c' is not a topic filter"],
    ["a place that there is not", base({ filters: '["a/%x"]' }), "'%x' stands for nothing"],
    ["a percent sign alone", base({ filters: '["a/50%"]' }), "'%' stands for nothing"],
    ["a claim without a name", base({ filters: '["a/%{}"]' }), "'%{' stands for nothing"],
    ["a shared subscription", base({ filters: '["$share/g/a"]' }), "names a shared subscription"],
    ["a filter too deep", base({ filters: `["${"a/".repeat(200)}"]` }), "at most 200 levels"],
    [
      "a listener that there is not",
      base({ listeners: '["v5.1"]' }),
      "test.toml:6: [acl[0]] listeners: there is no [v5.1]",
    ],
    ["a claim without a value", base({ claims: '["role"]' }), 'must be "name=value"'],
    ["a claim twice", base({ claims: '["r=1", "r=2"]' }), "r is there twice"],
    ["an unknown key", base({ user: '["a"]' }), "did you mean users?"],
    ["no list of rules", "[acl]\nallow = 1", "test.toml:3: [acl]: rules are a list"],
  ];
  for (const [title, text, expected] of rows) {
    test(title, () => {
      const found = problems(text);
      expect(found).toHaveLength(1);
      expect(found[0]).toContain(expected);
    });
  }

  test("the line is that of the rule", () => {
    const found = problems(`${RULE}\n# a comment\n${base({ filters: '["a/#/b"]' })}`);
    expect(found[0]).toStartWith("test.toml:16: [acl[1]] filters");
  });
});
