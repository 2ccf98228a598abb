// Paths and the tables of keys that rule them; and TOML as this program writes it.

import { expect, test } from "bun:test";
import { parse } from "smol-toml";
import { SECTIONS } from "../../src/config/keys.ts";
import { CONNECTION_KEYS, LISTENER_KEYS } from "../../src/config/listenerKeys.ts";
import { keyAt, keysAt, PLACES } from "../../src/config/places.ts";
import { commentText, tomlKey, tomlPath, tomlValue } from "../../src/config/toml.ts";

test("every title of a section says where its keys stand", () => {
  for (const { title, keys } of SECTIONS) {
    const places = PLACES.filter((place) => place.keys === keys);
    expect([title, places.length > 0]).toEqual([title, true]);
    const said = title.replaceAll(/\[\[?[^[\]]+\]\]?|,|\band\b|\s/g, "");
    expect([title, said]).toEqual([title, ""]);
    for (const { pattern } of places) {
      for (const part of pattern) expect(part).toMatch(/^(?:[a-z]\w*|N|'\w+')$/);
    }
  }
});

test("a path leads to its keys", () => {
  expect(keysAt(["v4", "lan"])).toBe(LISTENER_KEYS);
  expect(keysAt(["v5", "lan", "connections"])).toBe(CONNECTION_KEYS);
  expect(keysAt(["v4"])).toBeUndefined();
  expect(keyAt([], "id")?.kind).toBe("integer");
  expect(keyAt(["router"], "toString")).toBeUndefined();
});

test("values are written as TOML reads them", () => {
  const values: readonly unknown[] = [
    "a \"quoted\" 'text'\n\u0001\u007f",
    5n,
    1.5,
    true,
    ["a", 1n, [false]],
    { a: 1n, "b c": { "d'e": "f" }, g: {} },
    [],
  ];
  for (const value of values) {
    const { read } = parse(`read = ${tomlValue(value)}`, { integersAsBigInt: true });
    expect(read as unknown).toEqual(value);
  }
});

test("keys are written as TOML reads them", () => {
  for (const name of ["plain-1", "a/+/b", "it's", "", "line\nend", "ü"]) {
    expect(parse(`${tomlKey(name)} = 1`)).toEqual({ [name]: 1 });
  }
  expect(tomlPath(["router", "custom_segment", "a/#"])).toBe("router.custom_segment.'a/#'");
});

test("a comment stays on its line", () => {
  expect(commentText("one\r\ntwo\u0000\tthree ")).toBe("one two \tthree");
});
