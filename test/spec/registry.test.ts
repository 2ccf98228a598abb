// The registry of normative statements: none without a test or a reason, none twice, no test naming one that does not
// exist. Test titles are read from the sources, so that rows of tables count like plain titles:
//
//   v3.1.1 [MQTT-3.1.2-8] v5 [MQTT-3.1.2-7] [MQTT-3.1.2-8]: a failing connection publishes the Will

import { describe, expect, test } from "bun:test";
import { pendingTitles } from "../support/pending.ts";
import type { Statement } from "./statement.ts";
import { statements5 } from "./statements5.ts";
import { statements311 } from "./statements311.ts";

const GIST_WORDS_MAX = 12;
/** Counted in the OASIS documents. */
const COUNT = { "v3.1.1": 141, v5: 251 } as const;

type Specification = "v3.1.1" | "v5";

const registry: Readonly<Record<Specification, readonly Statement[]>> = {
  "v3.1.1": statements311,
  v5: statements5,
};
const specifications: readonly Specification[] = ["v3.1.1", "v5"];

/** "v5 [MQTT-…] [MQTT-…]": a specification and the statements of it that a title shows. */
const mark = /\b(v3\.1\.1|v5)((?:\s*\[MQTT-[\d.]+-\d+\])+)/g;

function marksOf(text: string): Set<string> {
  const marks = new Set<string>();
  for (const [, specification, list] of text.matchAll(mark)) {
    for (const [id] of (list ?? "").matchAll(/MQTT-[\d.]+-\d+/g)) marks.add(`${specification} ${id}`);
  }
  return marks;
}

/** Comments do not test anything. */
function withoutComments(source: string): string {
  return source
    .split("\n")
    .filter((line) => !/^\s*(\/\/|\*|\/\*)/.test(line))
    .join("\n");
}

async function readMarks(): Promise<Map<string, string[]>> {
  const root = new URL("..", import.meta.url).pathname;
  const shownBy = new Map<string, string[]>();
  for await (const path of new Bun.Glob("**/*.test.ts").scan(root)) {
    const source = withoutComments(await Bun.file(`${root}/${path}`).text());
    for (const key of marksOf(source)) shownBy.set(key, [...(shownBy.get(key) ?? []), path]);
  }
  return shownBy;
}

const shownBy = await readMarks();
const pendingMarks = marksOf([...pendingTitles].join("\n"));

function isPending(specification: Specification, statement: Statement): boolean {
  return statement.status === "pending" || pendingMarks.has(`${specification} ${statement.id}`);
}

const pending = specifications.flatMap((specification) =>
  registry[specification]
    .filter((statement) => isPending(specification, statement))
    .map((statement) => `${specification} ${statement.id}: ${statement.gist}`),
);

describe.each(specifications)("statements of %s", (specification) => {
  const list = registry[specification];

  test("are as many as the specification has, each once", () => {
    const ids = list.map((statement) => statement.id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(ids.length).toBe(COUNT[specification]);
  });

  test("have a well-formed id and a short gist", () => {
    const odd = list.filter(
      ({ id, gist }) => !/^MQTT-\d+(\.\d+){1,2}-\d+$/.test(id) || gist.split(" ").length > GIST_WORDS_MAX,
    );
    expect(odd).toEqual([]);
  });

  test("have a test or a reason", () => {
    const gaps = list.filter(
      (statement) => statement.status === "met" && !shownBy.has(`${specification} ${statement.id}`),
    );
    expect(gaps.map(({ id, gist }) => `${id}: ${gist}`)).toEqual([]);
    const unreasoned = list.filter((statement) => statement.status === "not-applicable" && !statement.reason);
    expect(unreasoned).toEqual([]);
  });

  test("that bind a server are met unless their reason is more than the client's duty", () => {
    const wrong = list.filter(
      (statement) => statement.binds === "server" && statement.reason?.startsWith("binds clients"),
    );
    expect(wrong).toEqual([]);
  });

  test("with a reason have no test: one of the two is wrong", () => {
    const both = list.filter(
      (statement) => statement.status === "not-applicable" && shownBy.has(`${specification} ${statement.id}`),
    );
    expect(both.map(({ id }) => id)).toEqual([]);
  });
});

test("titles name only statements that exist", () => {
  const known = new Set(
    specifications.flatMap((specification) =>
      registry[specification].map(({ id }) => `${specification} ${id}`),
    ),
  );
  const unknown = [...shownBy].filter(([key]) => !known.has(key));
  expect(unknown).toEqual([]);
});

const growing = pending.length > 0 && process.env.SPEC_COMPLETE === undefined;
(growing ? test.todo : test)(`no statement is pending (${pending.length} are)`, () => {
  expect(pending).toEqual([]);
});
