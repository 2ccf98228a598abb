// Tokens: every algorithm, every source of keys, every claim that binds them, and everything that is no good token.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import type { Outcome } from "../../src/auth/authenticator.ts";
import { JwtAuthenticator } from "../../src/auth/jwt.ts";
import {
  JWKS_COOLDOWN_MS,
  JwksFileKeys,
  JwksUrlKeys,
  type JwtKeys,
  PemKeys,
  SecretKeys,
} from "../../src/auth/jwtKeys.ts";
import { JWT_ALGORITHMS, type JwtAlgorithm, type JwtSettings } from "../../src/net/authSettings.ts";
import { attemptOf } from "../support/attempt.ts";
import { manualClock } from "../support/clock.ts";
import { httpServer, type TestServer } from "../support/httpServer.ts";

const SECRET = "s".repeat(64);
const PUBLIC = JWT_ALGORITHMS.filter((name) => !name.startsWith("HS"));
const clock = manualClock();
const NOW = Math.floor(clock.wallMs() / 1000);

const SETTINGS: JwtSettings = {
  key: { kind: "secret", path: "secret" },
  algorithms: ["HS256"],
  issuers: [],
  audiences: [],
  leewaySeconds: 5,
  userNameClaim: "sub",
  clientIdClaim: null,
  claims: [],
  requireExpiry: true,
  jwksRefreshMs: 600_000,
};

type SigningKey = Parameters<SignJWT["sign"]>[0];

function token(
  payload: JWTPayload,
  key: SigningKey = Buffer.from(SECRET),
  alg: string = "HS256",
  kid?: string,
): Promise<string> {
  const header = kid === undefined ? { alg } : { alg, kid };
  return new SignJWT({ exp: NOW + 60, ...payload }).setProtectedHeader(header).sign(key);
}

async function secretKeys(algorithms: readonly JwtAlgorithm[] = ["HS256"]): Promise<JwtKeys> {
  const keys = new SecretKeys("secret", algorithms);
  await keys.load(`${SECRET}\n`);
  return keys;
}

async function judge(
  password: string,
  settings: Partial<JwtSettings> = {},
  attempt: Parameters<typeof attemptOf>[0] = {},
  keys?: JwtKeys,
): Promise<Outcome> {
  const authenticator = new JwtAuthenticator(
    { ...SETTINGS, ...settings },
    keys ?? (await secretKeys()),
    clock,
  );
  return await authenticator.judge(attemptOf({ password, ...attempt }));
}

describe("signatures", () => {
  test.each([["HS256"], ["HS384"], ["HS512"]] as const)("%s with a shared secret", async (alg) => {
    const keys = await secretKeys([alg]);
    const good = await token({ sub: "alice" }, Buffer.from(SECRET), alg);
    expect(await judge(good, { algorithms: [alg] }, {}, keys)).toMatchObject({
      outcome: "granted",
      identity: { userName: "alice", expiresWallMs: (NOW + 65) * 1000 },
    });
    const forged = await token({ sub: "alice" }, Buffer.from("t".repeat(64)), alg);
    expect(await judge(forged, { algorithms: [alg] }, {}, keys)).toMatchObject({
      outcome: "denied",
      isGuess: true,
    });
  });

  test.each(PUBLIC.map((alg) => [alg] as const))("%s with a public key, in PEM and as JWKS", async (alg) => {
    const pair = await generateKeyPair(alg, { extractable: true });
    const other = await generateKeyPair(alg, { extractable: true });
    const pem = new PemKeys("pem", PUBLIC);
    await pem.load(await exportSPKI(pair.publicKey));
    const jwks = new JwksFileKeys("jwks");
    const [one, two] = [await exportJWK(pair.publicKey), await exportJWK(other.publicKey)];
    await jwks.load(
      JSON.stringify({
        keys: [
          { ...two, kid: "two" },
          { ...one, kid: "one" },
        ],
      }),
    );
    const unnamed = new JwksFileKeys("jwks");
    await unnamed.load(JSON.stringify({ keys: [two, one] }));
    for (const keys of [pem, jwks, unnamed]) {
      const settings = { algorithms: PUBLIC };
      const kid = keys === jwks ? "one" : undefined;
      const good = await token({ sub: "alice" }, pair.privateKey, alg, kid);
      expect(await judge(good, settings, {}, keys)).toMatchObject({ outcome: "granted" });
      const { privateKey } = await generateKeyPair(alg);
      const forged = await token({ sub: "alice" }, privateKey, alg, kid);
      expect(await judge(forged, settings, {}, keys)).toMatchObject({ outcome: "denied", isGuess: true });
      expect(await judge(good, { algorithms: ["HS256"] }, {}, keys)).toMatchObject({ outcome: "denied" });
    }
  });

  test("none, a public key taken as a secret, and what is changed on its way", async () => {
    const pair = await generateKeyPair("RS256", { extractable: true });
    const spki = await exportSPKI(pair.publicKey);
    const pem = new PemKeys("pem", PUBLIC);
    await pem.load(spki);
    const confused = await token({ sub: "alice" }, Buffer.from(spki));
    expect(await judge(confused, { algorithms: PUBLIC }, {}, pem)).toMatchObject({ outcome: "denied" });
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "none" })}.${part({ sub: "alice", exp: NOW + 60 })}.`;
    expect(await judge(unsigned)).toMatchObject({ outcome: "denied", isGuess: true });
    expect(await judge(unsigned, { algorithms: PUBLIC }, {}, pem)).toMatchObject({ outcome: "denied" });
    const [head, , signature] = (await token({ sub: "alice" })).split(".");
    const changed = `${head}.${part({ sub: "root", exp: NOW + 60 })}.${signature}`;
    expect(await judge(changed)).toMatchObject({ outcome: "denied", isGuess: true });
    const critical = await new SignJWT({ sub: "alice", exp: NOW + 60 })
      .setProtectedHeader({ alg: "HS256", crit: ["b64"], b64: true })
      .sign(Buffer.from(SECRET));
    expect(await judge(critical)).toMatchObject({ outcome: "granted" });
  });

  test("passwords that are no tokens are somebody else's", async () => {
    for (const password of ["", "secret", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.x", `eyJ${"a".repeat(20_000)}.b.c`])
      expect(await judge(password)).toMatchObject({ outcome: "not mine" });
    expect(await judge("eyJhbGciOiJIUzI1NiJ9.%.c")).toMatchObject({ outcome: "not mine" });
    expect(await judge("eyJx.b.c")).toMatchObject({ outcome: "denied", isGuess: true });
  });
});

describe("claims", () => {
  const rows: readonly (readonly [string, JWTPayload, Partial<JwtSettings>, string | null])[] = [
    ["issuer", { sub: "a", iss: "us" }, { issuers: ["us", "them"] }, null],
    [
      "other issuer",
      { sub: "a", iss: "me" },
      { issuers: ["us"] },
      'the token\'s claim "iss" is not accepted',
    ],
    ["no issuer", { sub: "a" }, { issuers: ["us"] }, 'the token\'s claim "iss" is missing'],
    ["audience in a list", { sub: "a", aud: ["x", "mqtt"] }, { audiences: ["mqtt"] }, null],
    [
      "other audience",
      { sub: "a", aud: "x" },
      { audiences: ["mqtt"] },
      'the token\'s claim "aud" is not accepted',
    ],
    ["expired", { sub: "a", exp: NOW - 6 }, {}, "the token has expired"],
    ["expired within the leeway", { sub: "a", exp: NOW - 4 }, {}, null],
    ["not yet", { sub: "a", nbf: NOW + 60 }, {}, 'the token\'s claim "nbf" is not accepted'],
    ["no expiry", { sub: "a", exp: undefined as never }, {}, 'the token\'s claim "exp" is missing'],
    ["no expiry, allowed", { sub: "a", exp: undefined as never }, { requireExpiry: false }, null],
    ["no user", {}, {}, 'the token has no claim "sub" with a name'],
    ["an empty user", { sub: "" }, {}, 'the token has no claim "sub" with a name'],
    ["a user that is no text", { name: 7 }, { userNameClaim: "name" }, 'no claim "name" with a name'],
    ["another claim for the user", { name: "b" }, { userNameClaim: "name" }, null],
    ["its own client", { sub: "a", cid: "client" }, { clientIdClaim: "cid" }, null],
    ["one of its clients", { sub: "a", cid: ["x", "client"] }, { clientIdClaim: "cid" }, null],
    [
      "another's client",
      { sub: "a", cid: "other" },
      { clientIdClaim: "cid" },
      "is not the Client Identifier",
    ],
    ["no client", { sub: "a" }, { clientIdClaim: "cid" }, "is not the Client Identifier"],
  ];
  test.each(rows)("%s", async (_, payload, settings, refusal) => {
    const outcome = await judge(await token(payload), settings);
    if (refusal === null) expect(outcome).toMatchObject({ outcome: "granted" });
    else {
      expect(outcome).toMatchObject({ outcome: "denied", isGuess: false, error: { reason: 0x87 } });
      expect("reason" in outcome && outcome.reason).toContain(refusal);
    }
  });

  test("the User Name is the token's, or there is none", async () => {
    const alice = await token({ sub: "alice" });
    for (const userName of ["alice", "", undefined])
      expect(await judge(alice, {}, { userName })).toMatchObject({ outcome: "granted" });
    expect(await judge(alice, {}, { userName: "bob" })).toMatchObject({ outcome: "denied", isGuess: false });
  });

  test("without exp the grant never ends", async () => {
    const endless = await token({ sub: "a", exp: undefined as never });
    const outcome = await judge(endless, { requireExpiry: false });
    expect(outcome).toMatchObject({ identity: { expiresWallMs: Number.POSITIVE_INFINITY } });
  });

  test("chosen ones are handed on as text that is safe in a Topic Filter", async () => {
    const payload = {
      sub: "a",
      site: "berlin",
      number: 7,
      yes: true,
      wild: "a+",
      all: "#",
      path: "a/b",
      control: "a\u0000",
      list: ["x"],
      object: { x: 1 },
      empty: "",
      long: "x".repeat(300),
      secret: "not asked for",
    };
    const claims = Object.keys(payload).filter((name) => name !== "secret");
    const outcome = await judge(await token(payload), { claims: [...claims, "missing", "__proto__"] });
    if (outcome.outcome !== "granted") throw new Error("not granted");
    expect({ ...outcome.identity.claims }).toEqual({ sub: "a", site: "berlin", number: "7", yes: "true" });
  });
});

describe("files of keys", () => {
  test("a secret that is too short, a private key, text that is no key", async () => {
    const pair = await generateKeyPair("ES256", { extractable: true });
    const { privateKey } = await import("node:crypto").then((crypto) =>
      crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }),
    );
    const secret = new SecretKeys("file", ["HS256", "HS512"]);
    await expect(secret.load("short")).rejects.toThrow(
      "file: 5 bytes: HS256, HS512 needs a secret of at least 64 bytes",
    );
    const pem = new PemKeys("file", PUBLIC);
    await expect(pem.load(privateKey.export({ type: "pkcs8", format: "pem" }).toString())).rejects.toThrow(
      "file: a private key",
    );
    await expect(pem.load("nonsense")).rejects.toThrow("file: neither a public key nor a certificate in PEM");
    const spki = await exportSPKI(pair.publicKey);
    await expect(new PemKeys("file", ["RS256"]).load(spki)).rejects.toThrow(
      "a key that none of RS256 can use",
    );
    const jwks = new JwksFileKeys("file");
    for (const text of ["", "[]", "{}", '{"keys":[]}', '{"keys":[1]}', '{"keys":{}}'])
      await expect(jwks.load(text)).rejects.toThrow("file: not");
  });

  test("a broken new file leaves the old keys", async () => {
    const keys = new SecretKeys("file", ["HS256"]);
    await keys.load(SECRET);
    await keys.load("x").catch(() => {});
    expect(await judge(await token({ sub: "a" }), {}, {}, keys)).toMatchObject({ outcome: "granted" });
  });
});

describe("a JWKS behind a URL", () => {
  let server: TestServer;
  beforeAll(() => {
    server = httpServer(() => new Response("{}"));
  });
  afterAll(() => server.stop());

  async function rotating() {
    const own = manualClock();
    const failures: string[] = [];
    const keys = new JwksUrlKeys(
      `${server.url}/jwks?key=hidden`,
      600_000,
      own,
      (reason) => void failures.push(reason),
    );
    const pairs = await Promise.all(
      ["one", "two"].map(() => generateKeyPair("ES256", { extractable: true })),
    );
    const publish = async (...kids: number[]): Promise<void> => {
      const jwks = await Promise.all(
        kids.map(async (kid) => ({
          ...(await exportJWK(pairs[kid]!.publicKey)),
          kid: `${kid}`,
          alg: "ES256",
        })),
      );
      server.answer = () => Response.json({ keys: jwks });
    };
    const asked = async (kid: number): Promise<string> => {
      const text = await token({ sub: "a" }, pairs[kid]!.privateKey, "ES256", `${kid}`);
      const outcome = await judge(text, { algorithms: ["ES256"] }, {}, keys);
      return outcome.outcome === "denied" ? outcome.error.message : outcome.outcome;
    };
    server.asked.length = 0;
    return { own, failures, publish, asked };
  }

  test("is fetched once for many tokens, and anew for a key that is not known, within the cool-down", async () => {
    const { own, publish, asked } = await rotating();
    await publish(0);
    expect(await Promise.all([asked(0), asked(0), asked(0)])).toEqual(["granted", "granted", "granted"]);
    expect(server.asked).toHaveLength(1);
    await publish(1);
    expect(await asked(1)).toBe("User Name or Password is wrong");
    expect(server.asked).toHaveLength(1);
    own.pass(JWKS_COOLDOWN_MS);
    expect(await asked(1)).toBe("granted");
    expect(server.asked).toHaveLength(2);
    own.pass(JWKS_COOLDOWN_MS);
    expect(await asked(0)).toBe("User Name or Password is wrong");
  });

  test("that fails is used as it was for a while, then no token is good", async () => {
    const { own, failures, publish, asked } = await rotating();
    await publish(0);
    expect(await asked(0)).toBe("granted");
    server.answer = () => new Response("down", { status: 500 });
    own.pass(600_001);
    expect(await asked(0)).toBe("granted");
    // The fetch goes on behind that answer.
    while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
    own.pass(3_600_000);
    expect(await asked(0)).toBe("server is unavailable");
    expect(failures).toEqual(Array(2).fill(`${server.url}/jwks: answered with status 500`));
  });

  test("that was never there, redirects, is endless or no JWKS lets nobody in", async () => {
    const answers: readonly (() => Response)[] = [
      () => new Response("no", { status: 404 }),
      () => Response.redirect(`${server.url}/else`, 302),
      () => new Response("x".repeat(2 * 1024 * 1024)),
      () => new Response("nonsense"),
    ];
    for (const answer of answers) {
      const { failures, asked } = await rotating();
      server.answer = answer;
      expect(await asked(0)).toBe("server is unavailable");
      expect(failures).toHaveLength(1);
      expect(failures[0]).toStartWith(`${server.url}/jwks: `);
    }
  });
});
