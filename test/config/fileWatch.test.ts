// Files that are replaced: noticed once, when they have come to rest, whichever way they were replaced.

import { afterAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileWatch } from "../../src/config/fileWatch.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-watch-"));
afterAll(() => rmSync(folder, { recursive: true }));
let serial = 0;

function watched(count = 1) {
  const files = Array.from({ length: count }, () => join(folder, `file${++serial}`));
  for (const file of files) writeFileSync(file, "first");
  const watch = new FileWatch();
  let loads = 0;
  watch.watch(files, () => {
    loads++;
  });
  return { watch, files, loads: () => loads };
}

const ways: readonly (readonly [what: string, replace: (file: string) => void])[] = [
  ["written over", (file) => writeFileSync(file, "second, longer")],
  [
    "replaced by another of the same size and time",
    (file) => {
      writeFileSync(`${file}.new`, "other");
      utimesSync(`${file}.new`, 1, 1);
      utimesSync(file, 1, 1);
      renameSync(`${file}.new`, file);
    },
  ],
  ["removed", (file) => unlinkSync(file)],
];

for (const [what, replace] of ways) {
  test(`a file that is ${what} is loaded once`, () => {
    const { watch, files, loads } = watched();
    watch.look();
    watch.look();
    expect(loads()).toBe(0);
    replace(files[0]!);
    watch.look();
    expect(loads()).toBe(0);
    for (let i = 0; i < 3; i++) watch.look();
    expect(loads()).toBe(1);
  });
}

test("a link that is turned to another folder counts, as container platforms replace secrets", () => {
  const base = mkdtempSync(join(folder, "link-"));
  for (const version of ["one", "two"]) {
    mkdirSync(join(base, version));
    writeFileSync(join(base, version, "cert.pem"), version);
  }
  symlinkSync("one", join(base, "data"));
  const watch = new FileWatch();
  let loads = 0;
  watch.watch([join(base, "data", "cert.pem")], () => {
    loads++;
  });
  unlinkSync(join(base, "data"));
  symlinkSync("two", join(base, "data"));
  for (let i = 0; i < 3; i++) watch.look();
  expect(loads).toBe(1);
});

test("files that belong together are loaded when the last of them is there", () => {
  const { watch, files, loads } = watched(2);
  writeFileSync(files[0]!, "new certificate");
  watch.look();
  writeFileSync(files[1]!, "new key of it");
  watch.look();
  expect(loads()).toBe(0);
  watch.look();
  expect(loads()).toBe(1);
});

test("a file that comes and goes back to what it was is not loaded", () => {
  const { watch, files, loads } = watched();
  renameSync(files[0]!, `${files[0]}.away`);
  watch.look();
  renameSync(`${files[0]}.away`, files[0]!);
  // Renaming changes the time of its last change: it may count as another file, once.
  for (let i = 0; i < 4; i++) watch.look();
  expect(loads()).toBeLessThanOrEqual(1);
});

test("reloadAll loads everything, and what it loaded is not loaded again", () => {
  const { watch, files, loads } = watched();
  writeFileSync(files[0]!, "changed");
  watch.reloadAll();
  expect(loads()).toBe(1);
  for (let i = 0; i < 3; i++) watch.look();
  expect(loads()).toBe(1);
});
