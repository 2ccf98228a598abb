// The line scan against texts that would lead a line-by-line search astray.

import { expect, test } from "bun:test";
import { parse } from "smol-toml";
import { scanLines } from "../../src/config/lines.ts";
import type { Path } from "../../src/config/problems.ts";
import { editDistance, nearest, pathText, valueText } from "../../src/config/problems.ts";

const TEXT = `\uFEFF# [not.a.table]
title = "a # b = [c]" # comment = 1

[ router . 'custom segment'."a.b/\\u0023" ]
size = 5
text = """
fake = 1
[fake]
"quoted" \\"""
"""
raw = '''
more = 2'''
after = 6
dotted.key . deep = 1
list = [ # first
  1,
  { x = 1, y = 2 },
  [ "]", ']' ],
]
inline = { a = 1, "b c" = { d = 2 } }
[[tables]]
name = "one"
[[tables.inner]]
k = 1
[[tables]]
name = "two"
[[tables.inner]]
k = 2
[[tables.inner]]
k = 3
[tables.sub]
z = 1\r
y = -1.5e3
`;

test("every key is found on its line", () => {
  parse(TEXT);
  const rows: readonly [Path, number][] = [
    [["title"], 2],
    [["router", "custom segment", "a.b/#"], 4],
    [["router", "custom segment", "a.b/#", "size"], 5],
    [["router", "custom segment", "a.b/#", "text"], 6],
    [["router", "custom segment", "a.b/#", "raw"], 11],
    [["router", "custom segment", "a.b/#", "after"], 13],
    [["router", "custom segment", "a.b/#", "dotted", "key", "deep"], 14],
    [["router", "custom segment", "a.b/#", "dotted", "key"], 14],
    [["router", "custom segment", "a.b/#", "list"], 15],
    [["router", "custom segment", "a.b/#", "list", 0], 16],
    [["router", "custom segment", "a.b/#", "list", 1, "y"], 17],
    [["router", "custom segment", "a.b/#", "list", 2, 1], 18],
    [["router", "custom segment", "a.b/#", "inline", "b c", "d"], 20],
    [["tables"], 21],
    [["tables", 0, "name"], 22],
    [["tables", 1, "inner"], 27],
    [["tables", 0, "inner", 0, "k"], 24],
    [["tables", 1, "name"], 26],
    [["tables", 1, "inner", 0, "k"], 28],
    [["tables", 1, "inner", 1, "k"], 30],
    [["tables", 1, "sub", "z"], 32],
    [["tables", 1, "sub", "y"], 33],
    [["tables", 1, "sub", "unknown"], 31],
    [["nowhere"], 1],
    [[], 1],
  ];
  const lines = scanLines(TEXT);
  for (const [path, line] of rows) expect([path, lines.lineOf(path)]).toEqual([path, line]);
});

test("a scan ends on any text", () => {
  const alphabet = "ab.=[]{}\"'#\n,\\ \r1";
  let seed = 1;
  for (let round = 0; round < 2000; round++) {
    let text = "";
    for (let length = round % 40; length > 0; length--) {
      seed = (seed * 48_271) % 2_147_483_647;
      text += alphabet[seed % alphabet.length];
    }
    scanLines(text);
  }
});

test("the nearest word is the one that was meant", () => {
  expect(nearest("max_conections", ["max_connections", "memory"])).toBe("max_connections");
  expect(nearest("Memory", ["max_connections", "memory"])).toBe("memory");
  expect(nearest("zebra", ["max_connections", "memory"])).toBeUndefined();
  expect(editDistance("ab", "ba")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
});

test("paths and values are written as TOML writes them", () => {
  expect(pathText(["router", "custom_segment", "/a/+"])).toBe("router.custom_segment.'/a/+'");
  expect(pathText(["a", 0, "it's"])).toBe('a[0]."it\'s"');
  expect(valueText(18_446_744_073_709_551_616n)).toBe("18446744073709551616");
  expect(valueText("x".repeat(100))).toHaveLength(61);
});
