// mosquitto's acl_file: its lines, its order, and what is said of lines that are wrong.

import { describe, expect, test } from "bun:test";
import { Acl } from "../../src/auth/acl.ts";
import { parseAclFile, type WideSubscriptions, withAclFile } from "../../src/auth/aclFile.ts";
import { OPEN_RULES, type Subject } from "../../src/auth/aclRule.ts";
import { FileError } from "../../src/auth/passwordFile.ts";
import type { Rights } from "../../src/session/rights.ts";

function rightsOf(text: string, more: Partial<Subject> = {}, wide: WideSubscriptions = "refuse"): Rights {
  const acl = new Acl(withAclFile(OPEN_RULES, parseAclFile(text, "acl"), wide));
  const subject = {
    userName: "alice",
    clientIdentifier: "c1",
    tenant: null,
    claims: {},
    listener: "v4.1",
    ...more,
  };
  const rights = acl.rightsOf(subject);
  if (rights === null) throw new Error("everything is permitted");
  return rights;
}

function problems(text: string): readonly string[] {
  try {
    parseAclFile(text, "acl");
  } catch (error) {
    if (error instanceof FileError) return error.problems;
    throw error;
  }
  return [];
}

const ANONYMOUS = { userName: "" };

describe("lines", () => {
  test("before the first user they are about anonymous clients, behind one about that user", () => {
    const text = "topic a\nuser alice\ntopic b\nuser bob\ntopic c\nuser alice\ntopic d\n";
    const may = (more: Partial<Subject>) =>
      ["a", "b", "c", "d"].map((topic) => rightsOf(text, more).mayPublish(topic));
    expect(may(ANONYMOUS)).toEqual([true, false, false, false]);
    expect(may({})).toEqual([false, true, false, true]);
    expect(may({ userName: "bob" })).toEqual([false, false, true, false]);
    expect(may({ userName: "carol" })).toEqual([false, false, false, false]);
  });

  test("read, write, readwrite, deny, and none of them", () => {
    const rights = rightsOf(
      "topic read r\ntopic write w\ntopic readwrite b\ntopic n\ntopic deny n/x\n",
      ANONYMOUS,
    );
    expect(["r", "w", "b", "n", "n/x"].map((topic) => rights.mayPublish(topic))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(["r", "w", "b", "n"].map((filter) => rights.maySubscribe(filter))).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(["r", "b", "n"].map((filter) => rights.receiveRule(filter))).toEqual([null, null, null]);
  });

  test("deny goes first, wherever it stands", () => {
    const rights = rightsOf("topic readwrite a/#\ntopic deny a/secret/#\n", ANONYMOUS);
    expect([
      rights.mayPublish("a/x"),
      rights.mayPublish("a/secret"),
      rights.mayPublish("a/secret/x"),
    ]).toEqual([true, false, false]);
    expect(rights.maySubscribe("a/#")).toBe(false);
  });

  test("a client's own lines go before patterns", () => {
    const text = "pattern deny dev/%c/x\nuser alice\ntopic dev/c1/x\npattern dev/%c/#\n";
    expect(rightsOf(text).mayPublish("dev/c1/x")).toBe(true);
    expect(rightsOf(text).mayPublish("dev/c1/y")).toBe(true);
    expect(rightsOf(text, { userName: "bob" }).mayPublish("dev/c1/x")).toBe(false);
    expect(rightsOf(text, { userName: "bob" }).mayPublish("dev/c1/y")).toBe(true);
  });

  test("%u and %c alone are places, and in patterns alone", () => {
    const text = "pattern %u/%c/%o/50%\ntopic t/%c\n";
    expect(rightsOf(text).mayPublish("alice/c1/%o/50%")).toBe(true);
    expect(rightsOf(text, ANONYMOUS).mayPublish("/c1/%o/50%")).toBe(false);
    expect(rightsOf(text, ANONYMOUS).mayPublish("t/%c")).toBe(true);
  });

  test("no pattern is about a client whose name could be a wildcard", () => {
    for (const more of [{ clientIdentifier: "+" }, { clientIdentifier: "a#" }, { userName: "x+" }]) {
      const rights = rightsOf("pattern public/#\npattern %c/#\npattern $x/#\n", more);
      expect(["public/a", "+/a", "a/b", "$x/a"].map((topic) => rights.mayPublish(topic))).toEqual(
        Array(4).fill(false),
      );
    }
  });

  test("comments, blank lines, spaces in names and at ends, and lines that end in CR LF", () => {
    const text = "# a\n\n   \n  user  al ice  \r\ntopic read  a b/#  \r\n#user bob\ntopic a\tb\n";
    const rights = rightsOf(text, { userName: "al ice" });
    expect(rights.mayPublish("a\tb")).toBe(true);
    expect(rights.maySubscribe("a b/x")).toBe(true);
  });

  test("a topic may be called like an access", () => {
    expect(rightsOf("topic read\n", ANONYMOUS).mayPublish("read")).toBe(true);
    expect(rightsOf("topic deny read\n", ANONYMOUS).mayPublish("read")).toBe(false);
  });
});

describe("subscriptions that are wider than what may be read", () => {
  const text = "user alice\ntopic read a/#\ntopic deny a/secret\n";

  test("are refused", () => {
    const rights = rightsOf(text);
    expect(["a/#", "#", "a/+", "b", "a/secret"].map((filter) => rights.maySubscribe(filter))).toEqual(
      Array(5).fill(false),
    );
    expect(["a/b", "a/b/#", "a/+/x", "a"].map((filter) => rights.maySubscribe(filter))).toEqual(
      Array(4).fill(true),
    );
  });

  test("or narrowed, as mosquitto does", () => {
    const rights = rightsOf(text, {}, "narrow");
    expect(["a/#", "#", "b", "a/secret"].map((filter) => rights.maySubscribe(filter))).toEqual(
      Array(4).fill(true),
    );
    expect(rights.receiveRule("a/b/#")).toBeNull();
    const rule = rights.receiveRule("#");
    expect(["a", "a/x", "a/secret", "b", "$SYS/x"].map((topic) => rule?.permits(topic))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(rights.mayPublish("a/x")).toBe(false);
  });
});

test("rules of the configuration go first, and nothing follows the file", () => {
  const file = parseAclFile("topic deny a\ntopic b\n", "acl");
  const allow = {
    who: {},
    actions: ["publish" as const],
    allow: true,
    filters: [{ text: "a", parts: ["a"], places: [] }],
  };
  const open = { publish: true, subscribe: true, receive: true };
  const acl = new Acl(withAclFile({ rules: [allow], otherwise: open }, file, "refuse"));
  const rights = acl.rightsOf({
    userName: "",
    clientIdentifier: "c",
    tenant: null,
    claims: {},
    listener: "v4.1",
  });
  expect(["a", "b", "c"].map((topic) => rights?.mayPublish(topic))).toEqual([true, true, false]);
});

describe("a wrong line refuses the file, with its place", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["topic a\nfoo bar\n", "acl:2: 'foo' begins no line"],
    ["\n topic", "acl:2: the line names no topic"],
    ["topic read a/#/b", "acl:1: 'a/#/b' is not a topic filter"],
    ["topic reed a", "acl:1: 'reed' is no access"],
    ["user", "acl:1: user names nobody"],
    ["user \t ", "acl:1: user names nobody"],
    ["pattern write a+/%c", "acl:1: 'a+/%c' is not a topic filter"],
    ["topic\tread a", "acl:1: 'topic\tread' begins no line"],
    [`topic ${"a/".repeat(200)}b`, "acl:1: a filter has at most 200 levels"],
    [" # no comment", "acl:1: '#' begins no line"],
  ];
  for (const [text, expected] of rows) {
    test(JSON.stringify(text).slice(0, 40), () => {
      const found = problems(text);
      expect(found).toHaveLength(1);
      expect(found[0]).toStartWith(expected);
    });
  }

  test("all of them are told, up to ten", () => {
    expect(problems("x\n".repeat(3))).toHaveLength(3);
    expect(problems("x\n".repeat(30))).toHaveLength(10);
  });
});
