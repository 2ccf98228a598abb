// Users, tokens and SCRAM as clients meet them: over sockets, with files on disk that change while clients are there.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { connect, type IConnackPacket } from "mqtt";
import { generate } from "mqtt-packet";
import { hashPassword } from "../../src/auth/passwordHash.ts";
import type { Verdict } from "../../src/net/access.ts";
import { type AuthSettings, NO_AUTH } from "../../src/net/authSettings.ts";
import { errors } from "../../src/packet/error.ts";
import { type BrokerOverrides, startTestBroker, type TestBroker } from "../support/broker.ts";
import { recorder } from "../support/recorder.ts";
import { expectRefusal } from "../support/refusal.ts";
import { ScramClient, type ScramName } from "../support/scramClient.ts";
import { type Version, WireClient } from "../support/wireClient.ts";

const TIMEOUT_MS = 20_000;
const SECRET = "a secret of at least 32 characters";

let folder = "";
let brokers: TestBroker[] = [];
let clients: WireClient[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-auth-"));
});
afterEach(async () => {
  for (const client of clients) client.cut();
  for (const broker of brokers) await broker.stop();
  clients = [];
  brokers = [];
});
afterAll(() => rmSync(folder, { recursive: true }));

async function broker(auth: Partial<AuthSettings>, more: BrokerOverrides = {}): Promise<TestBroker> {
  const started = await startTestBroker({ auth: { ...NO_AUTH, ...auth }, ...more });
  brokers.push(started);
  return started;
}

async function open({ port }: TestBroker, version: Version = 5): Promise<WireClient> {
  const client = await WireClient.open(port, version);
  clients.push(client);
  return client;
}

/** The connection stands and is served. */
async function pings(client: WireClient): Promise<void> {
  await client.send({ cmd: "pingreq" });
  await client.expect("pingresp");
}

let serial = 0;

/** A file that appears in one step, as a careful operator's does. */
function file(text: string, path = join(folder, `file${serial++}`)): string {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
  return path;
}

async function line(user: string, password: string): Promise<string> {
  return `${user}:${await hashPassword("pbkdf2-sha512", password, 500)}\n`;
}

describe("a password file", () => {
  test(
    "lets in who knows the password, in every version, and nobody else",
    async () => {
      const started = await broker({ file: file(await line("alice", "pässword")) });
      for (const version of [3, 4, 5] as const) {
        const right = await open(started, version);
        await right.connect({ clientId: `c${version}`, username: "alice", password: "pässword" });
        for (const wrong of [{ username: "alice", password: "x" }, { username: "eve", password: "x" }, {}]) {
          const client = await open(started, version);
          await client.send(client.connectPacket({ clientId: "d", ...wrong }));
          const anonymous = Object.keys(wrong).length === 0;
          await expectRefusal(client, version === 5 ? (anonymous ? 0x87 : 0x86) : anonymous ? 5 : 4);
        }
      }
    },
    TIMEOUT_MS,
  );

  test("that is not there or not good stops the start, with its line and without its content", async () => {
    const path = file("alice:hunter2\n");
    await expect(broker({ file: path })).rejects.toThrow(
      `${path}:1: user "alice" has a password in plain text`,
    );
    await expect(broker({ file: path })).rejects.not.toThrow("hunter2");
    await expect(broker({ file: `${path}x` })).rejects.toThrow(
      `[auth.file] path = "${path}x": it cannot be read: there is no such file`,
    );
  });

  test(
    "that changes holds at once: who is gone is cut, the others notice nothing",
    async () => {
      const logger = recorder();
      const path = file((await line("alice", "one")) + (await line("bob", "two")));
      const started = await broker({ file: path }, { logger });
      const alice = await open(started);
      await alice.connect({ clientId: "alice", username: "alice", password: "one" });
      const bob = await open(started);
      await bob.connect({ clientId: "bob", username: "bob", password: "two" });

      file("broken\n", path);
      started.broker.reload();
      const refusal = await logged(logger, "is not taken");
      expect(refusal).toContain(`${path}:1: must be user:hash`);
      const again = await open(started);
      await again.connect({ clientId: "again", username: "bob", password: "two" });

      // Somebody writes it in place: for a moment it has no users, and nobody is cut for that.
      file("", path);
      started.broker.reload();
      await logged(logger, "is empty");
      await pings(alice);

      file(await line("alice", "changed"), path);
      started.broker.reload();
      await bob.expect("disconnect", { reasonCode: 0x87 });
      await bob.expectClosed();
      await pings(alice);
      const old = await open(started);
      await old.send(old.connectPacket({ clientId: "old", username: "alice", password: "one" }));
      await expectRefusal(old, 0x86);
      const renewed = await open(started);
      await renewed.connect({ clientId: "new", username: "alice", password: "changed" });
    },
    TIMEOUT_MS,
  );
});

/** Waits until the log holds a line with `text`. */
async function logged(logger: ReturnType<typeof recorder>, text: string): Promise<string> {
  for (;;) {
    const found = logger.records.find(({ message }) => message.includes(text));
    if (found !== undefined) return found.message;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("tokens", () => {
  const jwt = (path: string): AuthSettings["jwt"] => ({
    key: { kind: "secret", path },
    algorithms: ["HS256"],
    issuers: [],
    audiences: [],
    leewaySeconds: 0,
    userNameClaim: "sub",
    clientIdClaim: "cid",
    claims: [],
    requireExpiry: true,
    jwksRefreshMs: 600_000,
  });
  const token = (seconds: number): Promise<string> =>
    new SignJWT({ sub: "alice", cid: "mine" })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime(Math.ceil(Date.now() / 1000) + seconds)
      .sign(Buffer.from(SECRET));

  test(
    "let their owner in until they expire",
    async () => {
      const started = await broker({ jwt: jwt(file(SECRET)) });
      const other = await open(started);
      await other.send(other.connectPacket({ clientId: "other", username: "", password: await token(60) }));
      await expectRefusal(other, 0x87);
      const client = await open(started);
      await client.connect({ clientId: "mine", username: "alice", password: await token(2) });
      await client.expect("disconnect", { reasonCode: 0xa0 }, 8_000);
      await client.expectClosed();
    },
    TIMEOUT_MS,
  );
});

describe("failed attempts", () => {
  test(
    "are answered, then the address is banned before anything is hashed",
    async () => {
      const limits = { ...NO_AUTH.limits, failuresPerAddress: 3, exempt: [] };
      const started = await broker({ file: file(await line("alice", "one")), limits });
      const codes: number[] = [];
      for (let i = 0; i < 6; i++) {
        const client = await open(started);
        await client.send(client.connectPacket({ clientId: "c", username: "alice", password: `${i}` }));
        codes.push((await client.expect("connack", {})).reasonCode ?? -1);
      }
      expect(codes).toEqual([0x86, 0x86, 0x86, 0x8a, 0x8a, 0x8a]);
      const v3 = await open(started, 4);
      await v3.send(v3.connectPacket({ clientId: "c", username: "alice", password: "one" }));
      await expectRefusal(v3, 5);
      expect(started.broker.access?.authentication.passwords.hashed).toBe(3);
      expect(started.broker.access?.access.attempts.counts).toEqual({ failed: 3, refused: 4, bans: 1 });
    },
    TIMEOUT_MS,
  );

  test("ten thousand of them do not come between a client and its answers", async () => {
    const FLOOD = 10_000;
    const AT_ONCE = 100;
    const lines = (await line("alice", "one")) + (await line("bob", "two"));
    const started = await broker({ file: file(lines) });
    const client = await open(started);
    await client.connect({ clientId: "good", username: "bob", password: "two" });
    let answered = 0;
    let begun = 0;
    const packet = generate(client.connectPacket({ clientId: "bad", username: "alice", password: "wrong" }), {
      protocolVersion: 5,
    });
    const flood = Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (begun++ < FLOOD) {
          await refused(started.port, packet);
          answered++;
        }
      }),
    );
    let pings = 0;
    let between = 0;
    while (answered < FLOOD) {
      const before = answered;
      await client.expectSilence();
      between = Math.max(between, answered - before);
      pings++;
    }
    await flood;
    // Each answer came before the flood had gone around a few times.
    expect(between).toBeLessThan(10 * AT_ONCE);
    expect(pings).toBeGreaterThan(FLOOD / (10 * AT_ONCE));
    const stats = started.broker.access?.authentication.stats();
    expect(stats?.denied).toBe(FLOOD);
    expect(stats?.hashes).toBeLessThan(100);
    expect(stats?.bans).toBe(1);
  }, 60_000);
});

/** One connection that sends `packet`, and its end. */
function refused(port: number, packet: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(packet),
        data() {},
        end: (socket) => void socket.end(),
        close: () => resolve(),
        error: (_, error) => reject(error),
      },
    }).catch(reject);
  });
}

describe("a function of the embedding program", () => {
  test("decides who comes in, with other users beside it", async () => {
    const authenticate = async ({ userName }: { userName: string | undefined }): Promise<Verdict | null> => {
      if (userName === "bob") return null;
      if (userName !== "alice") return { granted: false, error: errors.notAuthorized, reason: "not alice" };
      const expiresWallMs = Number.POSITIVE_INFINITY;
      return { granted: true, userName, tenant: null, claims: {}, rights: null, expiresWallMs };
    };
    const started = await broker({ file: file(await line("bob", "two")) }, { access: authenticate });
    await (await open(started)).connect({ clientId: "a", username: "alice" });
    await (await open(started)).connect({ clientId: "b", username: "bob", password: "two" });
    const eve = await open(started);
    await eve.send(eve.connectPacket({ clientId: "e", username: "eve" }));
    await expectRefusal(eve, 0x87);
  });
});

describe.each([["SCRAM-SHA-256"], ["SCRAM-SHA-512"]] as const)("%s", (method: ScramName) => {
  const name = method === "SCRAM-SHA-256" ? "scram-sha-256" : "scram-sha-512";

  test("MQTT.js comes in with it", async () => {
    const started = await broker({ file: file(`alice:${await hashPassword(name, "right", 4096)}\n`) });
    const scram = new ScramClient(method, "alice", "right");
    const client = connect(`mqtt://127.0.0.1:${started.port}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: { authenticationMethod: method, authenticationData: Buffer.from(scram.first) },
    });
    client.handleAuth = ({ properties }, callback) => {
      const data = scram.final(properties?.authenticationData?.toString() ?? "");
      callback(undefined, authPacket(0x18, data));
    };
    const connack = await new Promise<IConnackPacket>((resolve, reject) => {
      client.on("connect", resolve);
      client.on("error", reject);
    });
    expect(scram.accepts(connack.properties?.authenticationData?.toString() ?? "")).toBe(true);
    await client.endAsync();
  });

  test("a client authenticates over the wire, and anew, as itself alone", async () => {
    const path = file(
      `alice:${await hashPassword(name, "right", 4096)}\nbob:${await hashPassword(name, "b", 4096)}\n`,
    );
    const started = await broker({ file: path });
    const client = await open(started);
    const scram = new ScramClient(method, "alice", "right");
    const first = { authenticationMethod: method, authenticationData: Buffer.from(scram.first) };
    await client.send(client.connectPacket({ clientId: "alice", properties: first }));
    const challenge = await client.expect("auth", { reasonCode: 0x18 });
    await client.send(authPacket(0x18, scram.final(dataOf(challenge))));
    const connack = await client.expect("connack", { reasonCode: 0 });
    expect(scram.accepts(dataOf(connack))).toBe(true);
    expect(connack.properties?.authenticationMethod).toBe(method);

    const again = new ScramClient(method, "alice", "right");
    await client.send(authPacket(0x19, again.first));
    await client.send(
      authPacket(0x18, again.final(dataOf(await client.expect("auth", { reasonCode: 0x18 })))),
    );
    expect(again.accepts(dataOf(await client.expect("auth", { reasonCode: 0 })))).toBe(true);
    await pings(client);

    const bob = new ScramClient(method, "bob", "b");
    await client.send(authPacket(0x19, bob.first));
    await client.send(authPacket(0x18, bob.final(dataOf(await client.expect("auth", { reasonCode: 0x18 })))));
    await client.expect("disconnect", { reasonCode: 0x87 });
    await client.expectClosed();
  });

  test("a wrong password and an unknown user are told apart by nothing", async () => {
    const started = await broker({ file: file(`alice:${await hashPassword(name, "right", 4096)}\n`) });
    for (const user of ["alice", "nobody"]) {
      const client = await open(started);
      const scram = new ScramClient(method, user, "wrong");
      const first = { authenticationMethod: method, authenticationData: Buffer.from(scram.first) };
      await client.send(client.connectPacket({ clientId: "c", properties: first }));
      const challenge = await client.expect("auth", { reasonCode: 0x18 });
      expect(dataOf(challenge)).toMatch(/^r=.+,s=[A-Za-z0-9+/]{22}==,i=4096$/);
      await client.send(authPacket(0x18, scram.final(dataOf(challenge))));
      await expectRefusal(client, 0x86);
    }
  });

  function authPacket(reasonCode: number, data: string) {
    const properties = { authenticationMethod: method, authenticationData: Buffer.from(data) };
    return { cmd: "auth", reasonCode, properties } as const;
  }
});

function dataOf(packet: { readonly properties?: { authenticationData?: Buffer } }): string {
  return packet.properties?.authenticationData?.toString() ?? "";
}
