// Servers that are asked over https: with ca_file they are trusted by an authority of one's own and by no other; a file
// that is replaced holds from then on. Certificates are openssl's, the clients real.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync, copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import mqtt from "mqtt";
import { type Broker, startBroker } from "../../src/broker.ts";
import { parseConfig } from "../../src/config/load.ts";
import { Authority } from "../support/certificates.ts";
import { httpServer } from "../support/httpServer.ts";
import { type Recorder, recorder } from "../support/recorder.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-authorities-"));
const [own, other] = [new Authority(), new Authority("Another CA")];
const secure = httpServer(() => new Response(), own.server());
const keys = await generateKeyPair("ES256", { extractable: true });
const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
secure.answer = async ({ path, body }) => {
  if (path === "/jwks") return Response.json(jwks);
  return new Response(null, {
    status: (JSON.parse(body) as { password?: string }).password === "right" ? 200 : 403,
  });
};
const token = await new SignJWT({ sub: "alice" })
  .setProtectedHeader({ alg: "ES256", kid: "1" })
  .setExpirationTime("1h")
  .sign(keys.privateKey);

afterAll(async () => {
  await secure.stop();
  rmSync(folder, { recursive: true });
  own.remove();
  other.remove();
});

interface Stage {
  readonly broker: Broker;
  readonly logger: Recorder;
  /** 0, or the Reason Code of the refusal. */
  connect(password: string): Promise<number>;
}

async function start(section: string): Promise<Stage> {
  const logger = recorder();
  const text = `[v5.1]\nlisten = "127.0.0.1:0"\n${section}`;
  const broker = await startBroker(parseConfig({ text, file: "test.toml" }).settings, logger);
  const port = broker.listeners[0]?.port;
  return {
    broker,
    logger,
    async connect(password) {
      const options = { protocolVersion: 5, username: "alice", password, reconnectPeriod: 0 } as const;
      try {
        await (await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options)).endAsync();
        return 0;
      } catch (error) {
        return (error as { code?: number }).code ?? -1;
      }
    },
  };
}

const UNAVAILABLE = 0x88;
const WRONG = 0x86;
const http = (rest = ""): string => `[auth.http]\nurl = "${secure.url}/auth"\nremember_ms = 0\n${rest}`;
const jwt = (rest = ""): string => `[auth.jwt]\njwks_url = "${secure.url}/jwks"\n${rest}`;

describe("the HTTP server", () => {
  test("is asked when its certificate is of the authority that ca_file holds", async () => {
    const { broker, connect } = await start(http(`ca_file = "${own.cert}"\n`));
    expect([await connect("right"), await connect("wrong")]).toEqual([0, WRONG]);
    await broker.stop();
  });

  for (const [name, rest] of [
    ["without ca_file", ""],
    ["by another authority", `ca_file = "${other.cert}"\n`],
  ] as const) {
    test(`is sent no password when it is not trusted: ${name}`, async () => {
      const { broker, connect, logger } = await start(http(rest));
      const before = secure.asked.length;
      expect(await connect("right")).toBe(UNAVAILABLE);
      expect(secure.asked.length).toBe(before);
      expect(logger.text()).toContain("its certificate is not trusted; see ca_file");
      await broker.stop();
    });
  }

  test("is judged anew when the file is replaced; a broken one is refused", async () => {
    const file = join(folder, "ca.pem");
    copyFileSync(other.cert, file);
    const { broker, connect, logger } = await start(http(`ca_file = "${file}"\n`));
    expect(await connect("right")).toBe(UNAVAILABLE);
    const said = async (text: string): Promise<void> => {
      while (!logger.text().includes(text)) await new Promise((resolve) => setImmediate(resolve));
    };
    copyFileSync(own.cert, file);
    broker.reload();
    await said("the ca_file of [auth.http] is loaded anew");
    expect(await connect("right")).toBe(0);
    writeFileSync(file, "nonsense");
    broker.reload();
    await said(`test.toml:6: [auth.http] ca_file = \\"${file}\\": it holds no certificate in PEM`);
    expect(await connect("right")).toBe(0);
    await broker.stop();
  });
});

describe("the keys of tokens", () => {
  test("are fetched from a server that ca_file trusts", async () => {
    const { broker, connect } = await start(jwt(`ca_file = "${own.cert}"\n`));
    expect(await connect(token)).toBe(0);
    await broker.stop();
  });

  test("are not taken from one that nobody trusts", async () => {
    const { broker, connect, logger } = await start(jwt());
    expect(await connect(token)).not.toBe(0);
    expect(logger.text()).toContain("its certificate is not trusted; see ca_file");
    await broker.stop();
  });
});
