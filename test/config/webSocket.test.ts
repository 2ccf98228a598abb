// The keys of WebSockets: paths and origins as they stand in a file.

import { expect, test } from "bun:test";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { isOrigin } from "../../src/net/webSocketSettings.ts";

const HEAD = '[ws.1]\nlisten = ":8083"\n';
const TAIL = "\n[ws.1.connections]\n";

function webSocketOf(lines: string) {
  const { settings } = parseConfig({ text: HEAD + lines + TAIL, file: "test.toml" });
  return settings.listeners[0]?.transport.webSocket;
}

function problems(lines: string): readonly string[] {
  try {
    webSocketOf(lines);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("what is absent lets common clients in", () => {
  expect(webSocketOf("")).toEqual({ path: "*", origins: ["*"], compression: false });
});

test("what is given", () => {
  const lines =
    'path = "/mqtt"\norigins = ["https://a.example", "http://[::1]:8080", "null"]\ncompression = true';
  const origins = ["https://a.example", "http://[::1]:8080", "null"];
  expect(webSocketOf(lines)).toEqual({ path: "/mqtt", origins, compression: true });
  expect(webSocketOf("origins = []")?.origins).toEqual([]);
});

test("what cannot be is said with its line", () => {
  const rows: readonly [string, string][] = [
    ['path = "mqtt"', '[ws.1] path = "mqtt": must be a path such as "/mqtt", or "*"'],
    [
      'origins = ["https://a.example", "https://b.example/"]',
      '[ws.1] origins: "https://b.example/" must be an origin as browsers write it, such as "https://example.org", or "*"',
    ],
    ['compression = "yes"', '[ws.1] compression = "yes": must be true or false'],
  ];
  for (const [line, text] of rows) expect(problems(line)).toEqual([`test.toml:3: ${text}`]);
});

test("origins as browsers write them", () => {
  const rows: readonly [string, boolean][] = [
    ["*", true],
    ["null", true],
    ["https://example.org", true],
    ["http://localhost:3000", true],
    ["http://127.0.0.1", true],
    ["https://[2001:db8::1]:8443", true],
    ["chrome-extension://abcdefgh", true],
    ["https://xn--bcher-kva.example", true],
    ["", false],
    ["example.org", false],
    ["https://", false],
    ["https://Example.org", false],
    ["https://example.org/", false],
    ["https://example.org/page", false],
    ["https://*.example.org", false],
    ["https://example.org:", false],
    ["https://user@example.org", false],
  ];
  for (const [text, expected] of rows) expect([text, isOrigin(text)]).toEqual([text, expected]);
});
