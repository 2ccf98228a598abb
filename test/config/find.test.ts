// The order in which `--config` is looked for.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEMO_TEXT, findConfig } from "../../src/config/find.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";

const root = mkdtempSync(join(tmpdir(), "millrace-find-"));
const current = join(root, "current");
const program = join(root, "program");
const folders = { current, program };

beforeAll(() => {
  for (const folder of [current, program]) mkdirSync(join(folder, "config"), { recursive: true });
  for (const [folder, name] of [
    [current, "here.toml"],
    [current, "config/here.toml"],
    [current, "config/below.toml"],
    [program, "config/below.toml"],
    [program, "config/far.toml"],
  ] as const) {
    writeFileSync(join(folder, name), `# ${join(folder, name)}\n[v4.1]\nlisten = ":1883"\n`);
  }
});

afterAll(() => rmSync(root, { recursive: true }));

test("as given, then config/ here, then config/ of the program", () => {
  const rows: readonly [string, string][] = [
    ["here.toml", join(current, "here.toml")],
    ["./here.toml", join(current, "here.toml")],
    ["config/here.toml", join(current, "config/here.toml")],
    ["below.toml", join(current, "config/below.toml")],
    ["far.toml", join(program, "config/far.toml")],
    [join(program, "config/far.toml"), join(program, "config/far.toml")],
  ];
  for (const [given, file] of rows) {
    const found = findConfig(given, folders);
    expect(found.file).toBe(file);
    expect(found.text).toStartWith(`# ${file}\n`);
    expect(found.source).toStartWith(file);
  }
});

test("the source says why", () => {
  expect(findConfig("here.toml", folders).source).toEndWith("(as --config says)");
  expect(findConfig("far.toml", folders).source).toContain("--config far.toml was found in");
  expect(findConfig(undefined, folders).source).toContain("inside the program (no --config was given)");
  expect(findConfig("demo.toml", folders).source).toContain(
    "inside the program (--config demo.toml is neither",
  );
});

test("the demo is inside the program", () => {
  for (const path of [undefined, "demo.toml", "config/demo.toml"]) {
    expect(findConfig(path, folders).text).toBe(DEMO_TEXT);
  }
});

test("a path that exists nowhere names every place tried", () => {
  for (const path of ["nowhere.toml", join(root, "demo.toml")]) {
    expect(() => findConfig(path, folders)).toThrow(ConfigError);
  }
  try {
    findConfig("nowhere.toml", folders);
  } catch (error) {
    const places = [join(current, "nowhere.toml"), join(current, "config/nowhere.toml")];
    for (const place of [...places, join(program, "config/nowhere.toml")])
      expect(String(error)).toContain(place);
  }
});

test("a folder is not a configuration", () => {
  expect(() => findConfig("config", folders)).toThrow(/cannot be read/);
});

test("loadConfig carries settings and source", () => {
  const loaded = loadConfig("below.toml", folders);
  expect(loaded.settings.listeners).toHaveLength(1);
  expect(loaded.source).toContain("below.toml");
  expect(loaded.warnings).toEqual([]);
});
