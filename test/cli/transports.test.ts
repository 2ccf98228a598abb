// The program with listeners of every kind: what it says of them, and what SIGHUP does.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type TLSSocket } from "node:tls";
import { Authority } from "../support/certificates.ts";
import { logLines, PROGRAM_TIMEOUT_MS, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const authority = new Authority();
afterAll(() => authority.remove());
const ca = readFileSync(authority.cert);
const first = authority.server("localhost", "first");
const second = authority.server("localhost", "second");
const live = { cert: authority.path("live.pem"), key: authority.path("live.key") };

function install({ cert, key }: { cert: string; key: string }): void {
  copyFileSync(cert, live.cert);
  copyFileSync(key, live.key);
}

async function shownAt(port: number): Promise<string> {
  const socket: TLSSocket = connect({ host: "127.0.0.1", port, ca, checkServerIdentity: () => undefined });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

test("says what listens where and by what; SIGHUP loads files anew, and refuses broken ones in one line", async () => {
  install(first);
  const socket = authority.path("mqtt.sock");
  const tls = `certpath = "${live.cert}"\nkeypath = "${live.key}"`;
  const config = authority.path("all.toml");
  writeFileSync(
    config,
    `[v4.1]\nlisten = "127.0.0.1:0"\n[v4.1.tls]\n${tls}\ncapath = "${authority.cert}"\nverify_client_cert = "optional"\n` +
      `[v5.1]\nlisten = "127.0.0.1:0"\nproxy_protocol = true\ntrusted_proxies = ["127.0.0.1"]\n` +
      `[ws.1]\nlisten = "127.0.0.1:0"\n[ws.2]\nlisten = "127.0.0.1:0"\n[ws.2.tls]\n${tls}\n` +
      `[mqtt.1]\nlisten = "127.0.0.1:0"\nsniff = true\n[mqtt.1.tls]\n${tls}\n` +
      `[mqtt.2]\nlisten = "unix:${socket}"\n`,
  );
  const program = start(["--config", config, "--log-format", "json"]);
  await program.until("ready");
  const port = await program.port();
  const before = await shownAt(port);
  install(second);
  program.kill("SIGHUP");
  await program.until("[mqtt.1.tls]: the files are loaded anew");
  expect(await shownAt(port)).not.toBe(before);
  writeFileSync(live.key, "broken");
  program.kill("SIGHUP");
  await program.until("[mqtt.1.tls] ");
  expect(await shownAt(port)).not.toBe(before);
  expect(existsSync(socket)).toBe(true);
  program.kill("SIGTERM");
  const { status, stdout, stderr } = await program.outcome;
  expect([status, stderr, existsSync(socket)]).toEqual([0, "", false]);
  const lines = logLines(stdout);
  const listening = lines.filter(({ msg }) => String(msg).startsWith("listening on"));
  expect(listening.map(({ listener, transports }) => [listener, transports])).toEqual([
    ["v4.1", ["tls"]],
    ["v5.1", ["tcp"]],
    ["mqtt.1", ["tcp", "tls", "ws", "wss"]],
    ["mqtt.2", ["unix"]],
    ["ws.1", ["ws"]],
    ["ws.2", ["wss"]],
  ]);
  const texts = listening.map(({ msg }) => String(msg).replace(/^.* for MQTT 3\.1, 3\.1\.1, 5/, ""));
  expect(texts.map((text) => text.replace(/, for clients.*/, ""))).toEqual([
    " over TLS with client certificates where there are",
    " over TCP behind a PROXY header",
    " over TCP, TLS, WebSocket or WebSocket in TLS",
    " over a Unix socket",
    " over WebSocket",
    " over WebSocket in TLS",
  ]);
  const errors = lines
    .map(({ msg }) => String(msg))
    .filter((text) => text.endsWith("what was loaded before stays"));
  const problem = "it holds no private key in PEM, or one with a passphrase; what was loaded before stays";
  const lineOf = (section: string): number => {
    const above = readFileSync(config, "utf8").split(`[${section}.tls]`)[0] ?? "";
    return above.split("\n").length + 2;
  };
  expect(errors.toSorted()).toEqual(
    ["mqtt.1", "v4.1", "ws.2"]
      .map((section) => `${config}:${lineOf(section)}: [${section}.tls] keypath = "${live.key}": ${problem}`)
      .toSorted(),
  );
});
