// Passwords: what is right is worked out once, also while others wait for the same.

import { expect, test } from "bun:test";
import { parsePasswordHash } from "../../src/auth/passwordHash.ts";
import { Passwords } from "../../src/auth/passwords.ts";
import { Secret } from "../../src/auth/secret.ts";
import { manualClock } from "../support/clock.ts";

const SECRET = new Secret(new Uint8Array(32));
const bcrypt = (password: string) =>
  parsePasswordHash(Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 }))!;
const allowed = () => null;

function checking(rememberMs = 60_000): Passwords {
  return new Passwords(manualClock(), SECRET, rememberMs);
}

test("a fleet that logs in at one time with one password costs a few hashes", async () => {
  const passwords = checking();
  const hash = bcrypt("right");
  const logins = Array.from({ length: 40 }, () =>
    passwords.check("fleet", hash, Buffer.from("right"), allowed),
  );
  expect(new Set(await Promise.all(logins))).toEqual(new Set([true]));
  expect(passwords.hashed).toBeLessThanOrEqual(passwords.gate.limits.running);
  expect(passwords.hashed + passwords.remembered).toBe(40);
});

test("a wrong password beside it is looked at, each time", async () => {
  const passwords = checking();
  const hash = bcrypt("right");
  const texts = ["right", "wrong", "right", "wrong"];
  const logins = texts.map((text) => passwords.check("fleet", hash, Buffer.from(text), allowed));
  expect(await Promise.all(logins)).toEqual([true, false, true, false]);
});

test("who is refused when its turn comes stays outside, whatever is remembered", async () => {
  const passwords = checking();
  const hash = bcrypt("right");
  const refused = { banned: "address", reason: "banned meanwhile" } as const;
  const password = Buffer.from("right");
  const first = Array.from({ length: passwords.gate.limits.running }, () =>
    passwords.check("fleet", hash, password, allowed),
  );
  const last = passwords.check("fleet", hash, password, () => refused);
  await Promise.all(first);
  expect(await last).toEqual(refused);
});

test("nothing is remembered where that is switched off", async () => {
  const passwords = checking(0);
  const hash = bcrypt("right");
  const logins = Array.from({ length: 6 }, () =>
    passwords.check("fleet", hash, Buffer.from("right"), allowed),
  );
  expect(new Set(await Promise.all(logins))).toEqual(new Set([true]));
  expect(passwords.hashed).toBe(6);
});
