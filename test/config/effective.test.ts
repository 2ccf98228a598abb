// What check-config prints: every key in force, where it comes from, and nothing secret.

import { expect, test } from "bun:test";
import { effectiveText } from "../../src/config/effective.ts";
import type { Environment } from "../../src/config/environment.ts";
import { DEMO_TEXT } from "../../src/config/find.ts";
import { parseConfig, readConfig } from "../../src/config/load.ts";

function effective(text: string, environment: Environment = {}): string {
  return effectiveText(readConfig({ text, file: "test.toml" }, environment), "test.toml");
}

const FILE = `[router]
memory = "32MiB"
max_read_len = 5
[router.custom_segment.'a b/#']
max_segment_count = 3

[v4.one]
listen = "127.0.0.1:1883"
[v4.one.connections]
max_payload_size = 1000
`;

test("each value stands with its origin", () => {
  const text = effective(FILE, { MILLRACE__V4__ONE__CONNECTIONS__MAX_QOS: "1" });
  const rows: readonly [section: string, line: RegExp][] = [
    ["", /^id = 0 +# default$/],
    ["[router]", /^memory = "32MiB" +# line 2$/],
    ["[router]", /^# max_read_len = 5 +# line 3, without effect$/],
    ["[router]", /^max_connections = 10010 +# default$/],
    ["[router.custom_segment.'a b/#']", /^max_segment_count = 3 +# line 5$/],
    ["[router.custom_segment.'a b/#']", /^# max_segment_size is not given +# default: as in \[router\]$/],
    ["[v4.one]", /^listen = "127.0.0.1:1883" +# line 8$/],
    ["[v4.one]", /^name = "v4-one" +# default: v4-N or v5-N$/],
    ["[v4.one]", /^versions = \[3, 4, 5\] +# default$/],
    ["[v4.one.connections]", /^max_payload_size = 1000 +# line 10$/],
    ["[v4.one.connections]", /^max_packet_size = 132072 +# default: max_payload_size \+ 128 KiB$/],
    ["[v4.one.connections]", /^max_qos = 1 +# MILLRACE__V4__ONE__CONNECTIONS__MAX_QOS$/],
  ];
  for (const [section, line] of rows)
    expect(linesOf(text, section)).toContainEqual(expect.stringMatching(line));
  expect(text.split("\n")[0]).toBe(
    "# The configuration in force: test.toml, with MILLRACE__V4__ONE__CONNECTIONS__MAX_QOS of the environment.",
  );
});

function linesOf(text: string, section: string): string[] {
  const lines = text.split("\n");
  const from = section === "" ? 0 : lines.indexOf(section);
  const length = lines.slice(from + 3).findIndex((line) => line.startsWith("["));
  return from < 0 ? [] : lines.slice(from, length < 0 ? undefined : from + 3 + length);
}

test("it is the same configuration again", () => {
  for (const text of [DEMO_TEXT, FILE]) {
    const before = parseConfig({ text, file: "test.toml" }).settings;
    const again = parseConfig({ text: effective(text), file: "again.toml" }).settings;
    const { placeOf, ...same } = before;
    expect(again).toEqual({ ...same, placeOf: expect.any(Function) });
    expect(placeOf?.(["router"])).toStartWith("test.toml:");
  }
});

test("passwords are not shown, and the text cannot be mistaken for a file", () => {
  const file = `${FILE}auth = { alice = "hush", "b ob" = "hush" }\n`;
  const text = effective(file, { MILLRACE__V4__ONE__CONNECTIONS__AUTH__eve: "hush" });
  expect(text).not.toContain("hush");
  expect(text).toContain("auth = { alice = <hidden>, 'b ob' = <hidden>, eve = <hidden> }");
  expect(() => parseConfig({ text, file: "again.toml" })).toThrow();
});
