// [bridge] and [cluster]: checked as if they existed, then told to be without effect.

import { expect, test } from "bun:test";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";

const HEAD = '[v4.1]\nlisten = ":1"\n';

function said(text: string): readonly string[] {
  try {
    return parseConfig({ text: HEAD + text, file: "test.toml" }).warnings;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test("what is whole is warned of once", () => {
  const bridge = '[bridge]\nname = "b"\naddr = "a:1"\nsub_path = "x/#"\n';
  const rows: readonly string[] = [
    bridge,
    `${bridge}transport = "tcp"\n`,
    `${bridge}[bridge.transport.tcp]\n`,
    `${bridge}[bridge.transport.tls]\nca = "ca"\nclient_auth = { certs = "c", key = "k" }\n`,
  ];
  for (const text of rows) {
    expect(said(text)).toEqual([
      "test.toml:3: [bridge] is ignored: bridges are not there yet: no message goes to or comes from the other broker",
    ]);
  }
  expect(said('[cluster]\nnode_id = 0\nlisten = ":2"\nseniors = [[1, "b:2"], [2, "[::1]:2"]]\n')).toEqual([
    "test.toml:3: [cluster] is ignored: clusters are not there yet: this broker stands alone",
  ]);
});

test("what is wrong stops the start", () => {
  const rows: readonly [string, readonly string[]][] = [
    [
      '[bridge]\nname = "b"\nsub_path = "a/#/b"\nqoss = 1\n',
      [
        "test.toml:3: [bridge] needs the key addr",
        'test.toml:5: [bridge] sub_path = "a/#/b": must be a topic filter',
        "test.toml:6: [bridge] qoss: unknown key; did you mean qos?",
      ],
    ],
    [
      '[bridge]\nname = "b"\naddr = "a:1"\nsub_path = "a"\n[bridge.transport.tsl]\nca = "x"\n',
      ["test.toml:7: [bridge.transport] tsl: unknown key; did you mean tls?"],
    ],
    [
      '[bridge]\nname = "b"\naddr = "a:1"\nsub_path = "a"\n[bridge.transport.tls.client_auth]\ncerts = "x"\n',
      [
        "test.toml:7: [bridge.transport.tls] needs the key ca",
        "test.toml:7: [bridge.transport.tls.client_auth] needs the key key",
      ],
    ],
    [
      '[cluster]\nlisten = "x"\nseniors = [[1]]\n',
      [
        "test.toml:3: [cluster] needs the key node_id",
        expect.stringContaining('test.toml:4: [cluster] listen = "x": must be "host:port"'),
        expect.stringContaining("test.toml:5: [cluster] seniors = [[1]]: must be a list of nodes"),
      ],
    ],
  ];
  for (const [text, problems] of rows) expect(said(text)).toEqual([...problems]);
});
