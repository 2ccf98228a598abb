// SCRAM: the vector of RFC 7677, exchanges with a client of its own, and everything that must not get through.

import { describe, expect, test } from "bun:test";
import type { StepOutcome } from "../../src/auth/authenticator.ts";
import { saslPrep } from "../../src/auth/saslPrep.ts";
import { formatScram, parseScram, SCRAM_METHODS, scramCredential } from "../../src/auth/scram.ts";
import { ScramAuthenticator } from "../../src/auth/scramAuthenticator.ts";
import { ScramExchange } from "../../src/auth/scramExchange.ts";
import { Secret } from "../../src/auth/secret.ts";
import { UserList } from "../../src/auth/userList.ts";
import { parsePasswordFile } from "../../src/auth/passwordFile.ts";
import { hashPassword } from "../../src/auth/passwordHash.ts";
import { Passwords } from "../../src/auth/passwords.ts";
import { attemptOf } from "../support/attempt.ts";
import { manualClock } from "../support/clock.ts";
import { ScramClient, type ScramName } from "../support/scramClient.ts";

const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");

function textOf(step: StepOutcome): string {
  return "data" in step && step.data !== undefined ? Buffer.from(step.data).toString() : "";
}

test("RFC 7677 §3: SCRAM-SHA-256 of user and pencil", async () => {
  const credential = await scramCredential("SCRAM-SHA-256", "pencil", SALT, 4096);
  if (credential === null) throw new Error("no credential");
  const exchange = new ScramExchange(
    attemptOf(),
    () => ({ credential, isKnown: true }),
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  );
  const first = exchange.next(Buffer.from("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
  expect(textOf(first)).toBe(
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  );
  const final = exchange.next(
    Buffer.from(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ),
  );
  expect(final.outcome).toBe("granted");
  expect(textOf(final)).toBe("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("RFC 5803: a credential is written and read as it is", async () => {
  for (const method of SCRAM_METHODS) {
    const credential = await scramCredential(method, "pencil", SALT, 4096);
    if (credential === null) throw new Error("no credential");
    const text = formatScram(credential);
    expect(text).toStartWith(`${method}$4096:W22ZaJ0SNY7soEsUEjb6gQ==$`);
    expect(parseScram(text)).toEqual(credential);
    for (const broken of [
      text.replace("4096", "4095"),
      text.replace("4096", "99999999"),
      text.slice(0, -1),
      `${text}=`,
      text.replace("SHA-256", "SHA-1").replace("SHA-512", "SHA-1"),
      text.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22Z"),
    ])
      expect(parseScram(broken)).toBeNull();
  }
});

async function scram(lines: readonly string[], secret = new Secret()) {
  const list = new UserList("file", new Passwords(manualClock(), secret, 0), secret, () => null);
  list.replace(parsePasswordFile(lines.join("\n"), "users"));
  return new ScramAuthenticator([list], secret);
}

async function line(user: string, password: string, method: ScramName): Promise<string> {
  const name = method === "SCRAM-SHA-256" ? "scram-sha-256" : "scram-sha-512";
  return `${user}:${await hashPassword(name, password, 4096)}`;
}

const METHODS: readonly ScramName[] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

describe.each(METHODS.map((method) => [method] as const))("%s", (method) => {
  test("lets in who knows the password, and proves that the server knows it too", async () => {
    for (const user of ["alice", "a=b,c", "Ünïcode ☂"]) {
      const authenticator = await scram([await line(user, "pässword", method)]);
      const exchange = authenticator.begin(method, attemptOf());
      const client = new ScramClient(method, user, "pässword");
      const first = await exchange!.next(Buffer.from(client.first));
      const final = await exchange!.next(Buffer.from(client.final(textOf(first))));
      expect(final).toMatchObject({ outcome: "granted", identity: { userName: user } });
      expect(client.accepts(textOf(final))).toBe(true);
    }
  });

  test("refuses a wrong password, and says nothing to the client", async () => {
    const authenticator = await scram([await line("alice", "right", method)]);
    const exchange = authenticator.begin(method, attemptOf());
    const client = new ScramClient(method, "alice", "wrong");
    const first = await exchange!.next(Buffer.from(client.first));
    const final = await exchange!.next(Buffer.from(client.final(textOf(first))));
    expect(final).toMatchObject({ outcome: "denied", isGuess: true, error: { reason: 0x86 } });
    expect(textOf(final)).toBe("");
  });

  test("an unknown user gets a salt that stays the same, iterations like the others', and is refused", async () => {
    const secret = new Secret();
    const authenticator = await scram([await line("alice", "right", method)], secret);
    const challenges: string[] = [];
    for (let i = 0; i < 2; i++) {
      const exchange = authenticator.begin(method, attemptOf());
      const client = new ScramClient(method, "nobody", "right");
      const first = textOf(await exchange!.next(Buffer.from(client.first)));
      challenges.push(first.replace(/^r=[^,]+,/, ""));
      const final = await exchange!.next(Buffer.from(client.final(first)));
      expect(final).toMatchObject({ outcome: "denied", isGuess: true, error: { reason: 0x86 } });
    }
    expect(challenges[0]).toBe(challenges[1] as string);
    expect(challenges[0]).toMatch(/^s=[A-Za-z0-9+/]{22}==,i=4096$/);
    const other = textOf(
      await authenticator.begin(method, attemptOf())!.next(Buffer.from("n,,n=another,r=abc")),
    );
    expect(other).not.toContain(challenges[0] as string);
  });
});

describe("messages that are refused", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["nothing", ""],
    ["channel binding, which is not there", "p=tls-unique,,n=alice,r=abc"],
    ["no gs2 header", "n=alice,r=abc"],
    ["a mandatory extension", "n,,m=x,n=alice,r=abc"],
    ["no nonce", "n,,n=alice"],
    ["an empty nonce", "n,,n=alice,r="],
    ["an empty name", "n,,n=,r=abc"],
    ["a wrong escape", "n,,n=al=ice,r=abc"],
    ["another's identity", "n,a=bob,n=alice,r=abc"],
    ["a name that SASLprep forbids", "n,,n=al\u0007ice,r=abc"],
    ["a nonce without end", `n,,n=alice,r=${"x".repeat(600)}`],
    ["a message without end", `n,,n=alice,r=abc,x=${"y".repeat(5000)}`],
  ];
  test.each(rows)("%s", async (_, message) => {
    const authenticator = await scram([await line("alice", "right", "SCRAM-SHA-256")]);
    const exchange = authenticator.begin("SCRAM-SHA-256", attemptOf());
    expect(await exchange!.next(Buffer.from(message))).toMatchObject({ outcome: "denied", isGuess: false });
    expect(await exchange!.next(Buffer.from("n,,n=alice,r=abc"))).toMatchObject({ outcome: "denied" });
  });

  test("bytes that are not UTF-8", async () => {
    const authenticator = await scram([]);
    const exchange = authenticator.begin("SCRAM-SHA-256", attemptOf());
    expect(await exchange!.next(Uint8Array.of(0x6e, 0x2c, 0xff))).toMatchObject({ outcome: "denied" });
  });

  test("a User Name in CONNECT that is another's", async () => {
    const authenticator = await scram([await line("alice", "right", "SCRAM-SHA-256")]);
    const exchange = authenticator.begin("SCRAM-SHA-256", attemptOf({ userName: "bob" }));
    expect(await exchange!.next(Buffer.from("n,,n=alice,r=abc"))).toMatchObject({ outcome: "denied" });
  });

  test("a final message of another exchange, with other binding, or sent twice", async () => {
    const authenticator = await scram([await line("alice", "right", "SCRAM-SHA-256")]);
    const changes: readonly ((final: string) => string)[] = [
      (final) => final.replace(/r=[^,]+/, "r=other"),
      (final) => final.replace("c=biws", "c=eSws"),
      (final) => final.replace(/,p=.*/, ""),
      (final) => final.replace(/,p=.*/, ",p=AAAA"),
    ];
    for (const change of changes) {
      const exchange = authenticator.begin("SCRAM-SHA-256", attemptOf());
      const client = new ScramClient("SCRAM-SHA-256", "alice", "right");
      const final = client.final(textOf(await exchange!.next(Buffer.from(client.first))));
      expect(await exchange!.next(Buffer.from(change(final)))).toMatchObject({ outcome: "denied" });
      expect(await exchange!.next(Buffer.from(final))).toMatchObject({ outcome: "denied" });
    }
  });

  test("methods that are not its own", async () => {
    const authenticator = await scram([]);
    for (const method of ["SCRAM-SHA-1", "scram-sha-256", "", "PLAIN"])
      expect(authenticator.begin(method, attemptOf())).toBeNull();
  });
});

test("RFC 4013 §3: SASLprep", () => {
  const rows: readonly (readonly [string, string | null])[] = [
    ["I\u00ADX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00AA", "a"],
    ["\u2168", "IX"],
    ["\u0007", null],
    ["a\u00A0b", "a b"],
    ["\uE000", null],
  ];
  for (const [text, prepared] of rows) expect(saslPrep(text)).toBe(prepared as string);
});
