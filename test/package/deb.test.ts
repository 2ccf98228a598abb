// The Debian package: what it holds, who may connect with the configuration that it brings, and how it opens.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage } from "../../config/package/deb.ts";
import { isLoopback, openListenerText } from "../../src/config/authSettings.ts";
import { parseConfig } from "../../src/config/load.ts";
import { localToml, sampleToml } from "../../src/config/reference.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-package-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the configuration of the package", () => {
  const text = localToml();

  test("listens on this machine alone, without a warning, and is the sample otherwise", () => {
    const { settings, warnings } = parseConfig({ text, file: "millrace.toml" });
    expect(settings.listeners.map(({ section, port }) => [section, port])).toEqual([
      ["v4.1", 1883],
      ["v5.1", 1884],
    ]);
    expect(settings.listeners.filter(({ host }) => !isLoopback(host))).toEqual([]);
    expect(settings.listeners.map((listener) => openListenerText(listener, settings.auth))).toEqual([
      null,
      null,
    ]);
    expect(warnings).toEqual([]);
    const lines = new Set(text.split("\n"));
    const gone = sampleToml()
      .split("\n")
      .filter((line) => !lines.has(line));
    expect(gone).toEqual([
      expect.stringContaining("demo"),
      'listen = "0.0.0.0:1883"',
      'listen = "0.0.0.0:1884"',
    ]);
  });

  test("opens, with users, by taking away the # that its head names", () => {
    const open = text
      .replaceAll(/^listen = "127\.0\.0\.1:\d+"$/gm, "")
      .replaceAll(/^# (listen = "0\.0\.0\.0:\d+")$/gm, "$1")
      .replace("# [auth.file]", "[auth.file]")
      .replace('# path = "/etc/millrace/users"', 'path = "/etc/millrace/users"');
    const { settings } = parseConfig({ text: open, file: "millrace.toml" });
    expect(settings.listeners.map(({ host }) => host)).toEqual(["0.0.0.0", "0.0.0.0"]);
    expect(settings.auth.file).toBe("/etc/millrace/users");
    expect(settings.listeners.map((listener) => openListenerText(listener, settings.auth))).toEqual([
      null,
      null,
    ]);
  });
});

test.skipIf(Bun.which("dpkg-deb") === null)("the package holds program, unit and configuration", () => {
  const program = join(folder, "program");
  writeFileSync(program, "#!/bin/sh\nexit 0\n");
  const out = buildPackage({ program, architecture: "amd64", folder });
  expect(out).toMatch(/millrace_\d+\.\d+\.\d+_amd64\.deb$/);
  const dpkg = (...args: string[]): string => {
    const { success, stdout, stderr } = Bun.spawnSync(["dpkg-deb", ...args]);
    if (!success) throw new Error(stderr.toString());
    return stdout.toString();
  };
  dpkg("-R", out, join(folder, "tree"));
  const at = (path: string): string => join(folder, "tree", path);
  expect(readFileSync(at("etc/millrace/millrace.toml"), "utf8")).toBe(localToml());
  expect(statSync(at("etc/millrace/millrace.toml")).mode & 0o777).toBe(0o640);
  expect(statSync(at("usr/bin/millrace")).mode & 0o777).toBe(0o755);
  expect(readFileSync(at("DEBIAN/conffiles"), "utf8")).toBe("/etc/millrace/millrace.toml\n");
  expect(readFileSync(at("usr/lib/systemd/system/millrace.service"), "utf8")).toContain(
    "--config /etc/millrace/millrace.toml",
  );
  expect(dpkg("-f", out, "Architecture").trim()).toBe("amd64");
  expect(readFileSync(out).includes("data.tar.xz")).toBe(true); // Debian 11's dpkg knows no zstd
});
