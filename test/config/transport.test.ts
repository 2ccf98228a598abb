// The sections of transports: what becomes of them, and what is said about files and values that are wrong.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import { transportNames } from "../../src/net/transport.ts";
import { Authority } from "../support/certificates.ts";
import { run } from "../cli/program.ts";

const authority = new Authority();
const server = authority.server();
const other = authority.server("other.example");
afterAll(() => authority.remove());
const TLS = `certpath = "${server.cert}"\nkeypath = "${server.key}"`;

function parse(text: string): { listener: ListenerSettings; warnings: readonly string[] } {
  const { settings, warnings } = parseConfig({ text, file: "test.toml" });
  return { listener: settings.listeners[0]!, warnings };
}

function problems(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function file(name: string, text: string): string {
  const path = authority.path(name);
  writeFileSync(path, text);
  return path;
}

const listen = (section: string, more = ""): string => `[${section}]\nlisten = "127.0.0.1:0"\n${more}`;

test("every kind of listener says what it offers", () => {
  const rows: readonly [text: string, names: readonly string[]][] = [
    [listen("v4.1"), ["tcp"]],
    [listen("v5.1", `[v5.1.tls]\n${TLS}`), ["tls"]],
    [listen("ws.1"), ["ws"]],
    [listen("ws.1", `[ws.1.tls]\n${TLS}`), ["wss"]],
    [listen("mqtt.1"), ["tcp"]],
    [listen("mqtt.1", "sniff = true"), ["tcp", "ws"]],
    [listen("mqtt.1", `sniff = true\n[mqtt.1.tls]\n${TLS}`), ["tcp", "tls", "ws", "wss"]],
    [listen("mqtt.1", `[mqtt.1.tls]\n${TLS}`), ["tls"]],
    ['[v4.1]\nlisten = "unix:/run/x.sock"', ["unix"]],
    [`[v4.1]\nlisten = "unix:/run/x.sock"\n[v4.1.tls]\n${TLS}`, ["unix", "tls"]],
    ['[ws.1]\nlisten = "unix:/run/x.sock"', ["unix", "ws"]],
    ['[mqtt.1]\nlisten = "unix:/run/x.sock"\nsniff = true', ["unix", "ws"]],
  ];
  for (const [text, names] of rows)
    expect(transportNames(parse(text).listener.transport)).toEqual([...names]);
});

test("all keys of TLS", () => {
  const crl = authority.revoke([]);
  const { listener, warnings } = parse(
    listen(
      "v4.1",
      `[v4.1.tls]\n${TLS}\ncapath = "${authority.cert}"\ncrlpath = "${crl}"\nverify_client_cert = "optional"\n` +
        `identity = "san"\ntenant = true\nmin_version = "1.3"\n` +
        `[[v4.1.tls.sni]]\nhost = "Other.Example"\ncertpath = "${other.cert}"\nkeypath = "${other.key}"`,
    ),
  );
  expect(warnings).toEqual([]);
  expect(listener.transport.tls).toEqual({
    certificatePath: server.cert,
    keyPath: server.key,
    names: [{ name: "other.example", certificatePath: other.cert, keyPath: other.key }],
    clientCertificate: "optional",
    authoritiesPath: authority.cert,
    revokedPath: crl,
    versionMin: "1.3",
    identity: "san",
    isTenantRuled: true,
  });
});

test("a Unix socket and its mode, proxies and limits", () => {
  const { listener } = parse(
    '[v4.1]\nlisten = "unix:/run/x.sock"\nmode = "600"\nproxy_protocol = true\n' +
      "max_connections_per_address = 3\nconnection_rate_per_address = 4",
  );
  expect(listener.transport).toMatchObject({
    unix: { path: "/run/x.sock", mode: 0o600 },
    trustedProxies: [],
    connectionsPerAddress: 3,
    ratePerAddress: 4,
  });
  const proxied = parse(listen("v4.1", 'proxy_protocol = true\ntrusted_proxies = ["10.0.0.0/8", "::1"]'));
  expect(proxied.listener.transport.trustedProxies).toEqual(["10.0.0.0/8", "::1"]);
});

describe("files of TLS that are wrong are told with line and reason", () => {
  const nothing = authority.path("nothing");
  const junk = file("junk", "not a certificate");
  const crl = authority.revoke([]);
  const sni = (cert: string, key: string): string =>
    `certpath = "${server.cert}"\nkeypath = "${server.key}"\n[[v4.1.tls.sni]]\nhost = "a.example"\ncertpath = "${cert}"\nkeypath = "${key}"`;
  const verified = (ca: string, more = ""): string =>
    `${TLS}\nverify_client_cert = true\ncapath = "${ca}"${more}`;
  const rows: readonly [what: string, tls: string, line: number, text: string][] = [
    [
      "no certificate",
      `certpath = "${nothing}"\nkeypath = "${server.key}"`,
      4,
      "certpath = PATH: it cannot be read: there is no such file",
    ],
    [
      "a folder",
      `certpath = "${authority.folder}"\nkeypath = "${server.key}"`,
      4,
      "certpath = PATH: it cannot be read: it is a folder",
    ],
    [
      "nonsense",
      `certpath = "${junk}"\nkeypath = "${server.key}"`,
      4,
      "certpath = PATH: it holds no certificate in PEM",
    ],
    [
      "no key",
      `certpath = "${server.cert}"\nkeypath = "${nothing}"`,
      5,
      "keypath = PATH: it cannot be read: there is no such file",
    ],
    [
      "a certificate as key",
      `certpath = "${server.cert}"\nkeypath = "${server.cert}"`,
      5,
      "keypath = PATH: it holds no private key",
    ],
    [
      "another's key",
      `certpath = "${server.cert}"\nkeypath = "${other.key}"`,
      5,
      `keypath = PATH: it is not the key of ${server.cert}`,
    ],
    ["no authorities", verified(nothing), 7, "capath = PATH: it cannot be read: there is no such file"],
    ["authorities of nonsense", verified(junk), 7, "capath = PATH: it holds no certificate in PEM"],
    [
      "no CRL",
      verified(authority.cert, `\ncrlpath = "${junk}"`),
      8,
      "crlpath = PATH: it holds no certificate revocation list in PEM",
    ],
    [
      "a broken CRL",
      verified(
        authority.cert,
        `\ncrlpath = "${file("crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----")}"`,
      ),
      8,
      "crlpath = PATH: TLS does not take it",
    ],
    [
      "another name's key",
      sni(other.cert, server.key),
      9,
      `.sni[0]] keypath = PATH: it is not the key of ${other.cert}`,
    ],
  ];
  for (const [what, tls, line, text] of rows) {
    test(what, () => {
      const found = problems(listen("v4.1", `[v4.1.tls]\n${tls}`));
      expect(found).toHaveLength(1);
      const plain = found[0]!.replace(/ = "[^"]*"/, " = PATH");
      expect(plain).toStartWith(`test.toml:${line}: [v4.1.tls`);
      expect(plain).toContain(text);
    });
  }

  test("a file that may not be read", () => {
    if (process.getuid?.() === 0) return; // nothing is forbidden to root
    const secret = file("secret.key", "x");
    chmodSync(secret, 0);
    const found = problems(listen("v4.1", `[v4.1.tls]\ncertpath = "${server.cert}"\nkeypath = "${secret}"`));
    expect(found[0]).toContain("it cannot be read: this process may not");
  });

  test("several keys at once are told each; a CRL is read only where it counts", () => {
    const text = listen("v4.1", `[v4.1.tls]\ncertpath = 1\nidentity = "x"\nverify_client_cert = "always"`);
    const found = problems(text);
    expect(found.map((one) => one.split(":")[1])).toEqual(["3", "4", "5", "6"]);
    expect(problems(listen("v4.1", `[v4.1.tls]\n${TLS}\ncrlpath = "${crl}"`))).toEqual([]);
  });
});

test("what does not fit together is a problem, what has no effect a warning", () => {
  const tls = (more: string): string => listen("v4.1", `[v4.1.tls]\n${TLS}\n${more}`);
  const wrong: readonly [text: string, problem: string][] = [
    [tls("verify_client_cert = true"), "[v4.1.tls] verify_client_cert: needs capath"],
    [tls("tenant = true"), "[v4.1.tls] tenant = true: needs verify_client_cert"],
    [tls('sni = "x"'), "[v4.1.tls] sni: must be at most"],
    [listen("v4.1", 'tls = "x"'), "[v4.1] tls = "],
    [listen("v4.1", 'mode = "0999"'), '[v4.1] mode = "0999": must be three octal digits'],
    [listen("v4.1", "proxy_protocol = true"), "[v4.1] proxy_protocol = true: needs trusted_proxies"],
    [
      listen("v4.1", 'proxy_protocol = true\ntrusted_proxies = ["lan"]'),
      '"lan" must be an address or a range',
    ],
    [listen("v4.1", "sniff = true"), "sniff: unknown key; it belongs in [mqtt.N]"],
    [listen("v4.1", 'path = "/x"'), "path: unknown key"],
    [listen("v4.1", `[v4.1.tls]\n${TLS}\nkey = "/x"`), "key: unknown key; did you mean keypath?"],
    [listen("ws.1", 'path = "mqtt"'), '[ws.1] path = "mqtt": must be a path'],
    [
      '[v4.1]\nlisten = "unix:/x"\n[v5.1]\nlisten = "unix:/x"',
      "[v5.1] listen: /x is taken by [v4.1] (line 2)",
    ],
  ];
  for (const [text, problem] of wrong) {
    const found = problems(text);
    expect([text, found.length]).toEqual([text, 1]);
    expect(found[0]).toContain(problem);
  }
  const idle: readonly [text: string, warning: string][] = [
    [tls(`capath = "${authority.cert}"`), "[v4.1.tls] capath has no effect"],
    [
      listen("v4.1", 'trusted_proxies = ["::1"]'),
      "[v4.1] trusted_proxies has no effect without proxy_protocol",
    ],
  ];
  for (const [text, warning] of idle) expect(parse(text).warnings[0]).toContain(warning);
});

test("a certificate that is over, or for another name, is looked at askance and served", () => {
  const late = authority.issue({ subject: "/CN=localhost", days: -1 });
  const over = parse(listen("v4.1", `[v4.1.tls]\ncertpath = "${late.cert}"\nkeypath = "${late.key}"`));
  expect(over.warnings[0]).toContain(`[v4.1] tls: ${late.cert} is valid from`);
  const misnamed = parse(listen("v4.1", `[v4.1.tls]\n${TLS}\n[[v4.1.tls.sni]]\nhost = "a.example"\n${TLS}`));
  expect(misnamed.warnings[0]).toContain("is no certificate for a.example");
});

test("the program does not start with a wrong certificate: one line, exit 1", async () => {
  const config = file(
    "bad.toml",
    listen("v4.1", `[v4.1.tls]\ncertpath = "${other.cert}"\nkeypath = "${server.key}"`),
  );
  const { status, stderr } = await run(["--config", config]);
  expect(status).toBe(1);
  const reason = `it is not the key of ${other.cert}`;
  expect(stderr).toBe(`millrace: ${config}:5: [v4.1.tls] keypath = "${server.key}": ${reason}\n`);
});
