// Files that the configuration names: whatever is wrong with one is told with the line, the key and the value that name
// it, and with what to do; at the start, by check-config and by a reload alike.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBroker } from "../../src/broker.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { Authority } from "../support/certificates.ts";
import { recorder } from "../support/recorder.ts";
import { logLines, PROGRAM_TIMEOUT_MS, run, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

/** Several programs one after the other, on a machine that does other things too. */
setDefaultTimeout(20_000);

const folder = mkdtempSync(join(tmpdir(), "millrace-files-"));
const authority = new Authority();
const server = authority.server();
const other = authority.server();
afterAll(() => {
  rmSync(folder, { recursive: true });
  authority.remove();
});

const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';
/** Stands in the place of the file's path. */
const PATH = join(folder, "file");
const MISSING = "it cannot be read: there is no such file";

async function problemsOf(text: string, name = "test.toml"): Promise<readonly string[]> {
  try {
    const { settings } = parseConfig({ text, file: name });
    const broker = await startBroker(settings, recorder());
    await broker.stop();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function content(text: string | null): void {
  rmSync(PATH, { recursive: true, force: true });
  if (text !== null) writeFileSync(PATH, text);
}

const tls = (lines: string): string => `${LISTENER}[v4.1.tls]\n${lines}`;
const pair = `certpath = "${server.cert}"\nkeypath = "${server.key}"\n`;
const mutual = `${pair}verify_client_cert = true\n`;
const jwt = (line: string): string => `${LISTENER}[auth.jwt]\n${line}`;

type Row = readonly [what: string, config: string, text: string | null, line: number, told: string];

const ROWS: readonly Row[] = [
  [
    "no password file",
    `${LISTENER}[auth.file]\npath = "${PATH}"\n`,
    null,
    4,
    `[auth.file] path = "${PATH}": ${MISSING}; make it with \`millrace passwd -c ${PATH} USER\``,
  ],
  [
    "a password in plain text",
    `${LISTENER}\n[auth.file]\npath = "${PATH}"\n`,
    "alice:hunter2\n",
    5,
    `[auth.file] path = "${PATH}": ${PATH}:1: user "alice" has a password in plain text`,
  ],
  [
    "no file of rules",
    `${LISTENER}[authorization]\nacl_file = "${PATH}"\n`,
    null,
    4,
    `[authorization] acl_file = "${PATH}": ${MISSING}; make it, or leave the key out`,
  ],
  [
    "a wrong rule",
    `${LISTENER}[authorization]\nacl_file = "${PATH}"\n`,
    "user a\nfoo\n",
    4,
    `[authorization] acl_file = "${PATH}": ${PATH}:2: 'foo' begins no line`,
  ],
  [
    "no secret",
    jwt(`secret_file = "${PATH}"\n`),
    null,
    4,
    `[auth.jwt] secret_file = "${PATH}": ${MISSING}; put the secret`,
  ],
  [
    "a short secret",
    jwt(`secret_file = "${PATH}"\n`),
    "hush",
    4,
    `[auth.jwt] secret_file = "${PATH}": 4 bytes: HS256 needs a secret of at least 32 bytes`,
  ],
  [
    "no public key",
    jwt(`public_key_file = "${PATH}"\n`),
    null,
    4,
    `[auth.jwt] public_key_file = "${PATH}": ${MISSING}; put the issuer's public key`,
  ],
  [
    "a private key for a public one",
    jwt(`public_key_file = "${PATH}"\n`),
    readFileSync(server.key, "utf8"),
    4,
    `[auth.jwt] public_key_file = "${PATH}": a private key; the broker needs the public one alone`,
  ],
  [
    "no key set",
    jwt(`jwks_file = "${PATH}"\n`),
    null,
    4,
    `[auth.jwt] jwks_file = "${PATH}": ${MISSING}; put the issuer's key set`,
  ],
  [
    "a key set that is none",
    jwt(`jwks_file = "${PATH}"\n`),
    "{}",
    4,
    `[auth.jwt] jwks_file = "${PATH}": not a JWKS`,
  ],
  [
    "no authority of the server of keys",
    jwt(`jwks_url = "https://id.test/"\nca_file = "${PATH}"\n`),
    null,
    5,
    `[auth.jwt] ca_file = "${PATH}": ${MISSING}; put the certificate of the server's authority there`,
  ],
  [
    "an authority of the HTTP server that is none",
    `${LISTENER}[auth.http]\nurl = "https://auth.test/"\nca_file = "${PATH}"\n`,
    readFileSync(server.key, "utf8"),
    5,
    `[auth.http] ca_file = "${PATH}": it holds no certificate in PEM`,
  ],
  [
    "a user of the table with a broken hash",
    `${LISTENER}[v4.1.connections]\nauth = { alice = "x", bob = "$6$broken$hunter2" }\n`,
    null,
    4,
    '[v4.1.connections.auth] bob: user "bob" has a hash that cannot be read',
  ],
  [
    "the same in a section of its own",
    `${LISTENER}[v4.1.connections.auth]\nalice = "x"\nbob = "$6$broken$hunter2"\n`,
    null,
    5,
    '[v4.1.connections.auth] bob: user "bob" has a hash that cannot be read',
  ],
  [
    "no certificate",
    tls(`certpath = "${PATH}"\nkeypath = "${server.key}"\n`),
    null,
    4,
    `[v4.1.tls] certpath = "${PATH}": ${MISSING}`,
  ],
  [
    "another certificate's key",
    tls(`certpath = "${server.cert}"\nkeypath = "${PATH}"\n`),
    readFileSync(other.key, "utf8"),
    5,
    `[v4.1.tls] keypath = "${PATH}": it is not the key of ${server.cert}`,
  ],
  [
    "no authority",
    tls(`${mutual}capath = "${PATH}"\n`),
    null,
    7,
    `[v4.1.tls] capath = "${PATH}": ${MISSING}`,
  ],
  [
    "a CRL that is none",
    tls(`${mutual}capath = "${authority.cert}"\ncrlpath = "${PATH}"\n`),
    "nonsense",
    8,
    `[v4.1.tls] crlpath = "${PATH}": it holds no certificate revocation list in PEM`,
  ],
  [
    "the certificate of another name",
    tls(`${pair}[[v4.1.tls.sni]]\nhost = "a.test"\ncertpath = "${PATH}"\nkeypath = "${server.key}"\n`),
    null,
    8,
    `[v4.1.tls.sni[0]] certpath = "${PATH}": ${MISSING}`,
  ],
];

describe("the start names line, key and value:", () => {
  for (const [what, config, text, line, told] of ROWS) {
    test(what, async () => {
      content(text);
      const problems = await problemsOf(config);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toStartWith(`test.toml:${line}: ${told}`);
      expect(problems[0]).not.toContain("hunter2");
    });
  }

  test("a folder in the place of a file", async () => {
    content(null);
    mkdirSync(PATH);
    const config = `${LISTENER}[auth.file]\npath = "${PATH}"\n`;
    expect(await problemsOf(config)).toEqual([
      `test.toml:4: [auth.file] path = "${PATH}": it cannot be read: it is a folder`,
    ]);
  });

  test("all files at once", async () => {
    content(null);
    const config = `${LISTENER}[auth.file]\npath = "${PATH}1"\n[authorization]\nacl_file = "${PATH}2"\n`;
    const problems = await problemsOf(config);
    expect(problems.map((text) => text.slice(0, text.indexOf(":", 10)))).toEqual([
      "test.toml:4",
      "test.toml:6",
    ]);
  });

  test("a relative path is told with the folder that it was looked for in", async () => {
    const config = `${LISTENER}[auth.file]\npath = "no-such-users"\n`;
    expect((await problemsOf(config))[0]).toContain(
      `path = "no-such-users": ${MISSING}; looked for ${join(process.cwd(), "no-such-users")}; make it`,
    );
  });
});

test("check-config and the start say the same; a variable stands in the line's place", async () => {
  content(null);
  const file = join(folder, "millrace.toml");
  writeFileSync(file, LISTENER);
  const env = { MILLRACE__AUTH__FILE__PATH: PATH };
  const [checked, started] = await Promise.all([
    run(["check-config", file], { env }),
    run(["--config", file], { env }),
  ]);
  expect([checked.status, started.status, checked.stdout]).toEqual([1, 1, ""]);
  expect(checked.stderr).toBe(started.stderr);
  expect(checked.stderr).toStartWith(
    `millrace: MILLRACE__AUTH__FILE__PATH: [auth.file] path = "${PATH}": ${MISSING}; make it with`,
  );
});

test("a file that goes bad is told with the line where its key stands by then", async () => {
  const users = join(folder, "users");
  const live = { cert: join(folder, "live.pem"), key: join(folder, "live.key") };
  writeFileSync(users, "# nobody yet\n");
  writeFileSync(live.cert, readFileSync(server.cert));
  writeFileSync(live.key, readFileSync(server.key));
  const file = join(folder, "reload.toml");
  const secured = `${LISTENER}[v4.1.tls]\ncertpath = "${live.cert}"\nkeypath = "${live.key}"\n`;
  const config = `${secured}[auth.file]\npath = "${users}"\n`;
  writeFileSync(file, config);
  const program = start(["--config", file, "--log-format", "json"]);
  await program.until("ready");
  writeFileSync(file, `# a line more\n${config}`);
  program.kill("SIGHUP");
  await program.until("the configuration is what it was");
  await program.until("the password file is loaded anew");
  writeFileSync(users, "nonsense\n");
  writeFileSync(live.key, "nonsense");
  program.kill("SIGHUP");
  await program.until("the password file is not taken");
  program.kill("SIGTERM");
  const { stdout } = await program.outcome;
  const errors = logLines(stdout).filter(({ level }) => level === "error");
  const key = `${file}:6: [v4.1.tls] keypath = "${live.key}": it holds no private key in PEM`;
  expect(errors.map(({ msg }) => msg).toSorted()).toEqual([
    expect.stringMatching(
      new RegExp(`^${key.replaceAll(/[[\]().]/g, "\\$&")}.*; what was loaded before stays$`),
    ),
    expect.stringContaining(`is not taken, what was in force stays: ${key}`),
    expect.stringContaining(
      `what was loaded before stays: ${file}:8: [auth.file] path = "${users}": ${users}:1: must be user:hash`,
    ),
  ]);
});

test("a reload of a configuration with a bad file changes nothing, and says where", async () => {
  content(null);
  const file = join(folder, "second.toml");
  writeFileSync(file, LISTENER);
  const program = start(["--config", file, "--log-format", "json"]);
  await program.until("ready");
  writeFileSync(file, `${LISTENER}[authorization]\nacl_file = "${PATH}"\n`);
  program.kill("SIGHUP");
  await program.until("is not taken");
  program.kill("SIGTERM");
  const { status, stdout } = await program.outcome;
  expect(status).toBe(0);
  const messages = logLines(stdout).map(({ msg }) => msg);
  expect(messages).toContainEqual(
    expect.stringContaining(`stays: ${file}:4: [authorization] acl_file = "${PATH}": ${MISSING}`),
  );
});
