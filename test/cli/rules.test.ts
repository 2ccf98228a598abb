// Rules of the configuration while the program runs: SIGHUP puts them in force, or says what is wrong with them.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WireClient } from "../support/wireClient.ts";
import { PROGRAM_TIMEOUT_MS, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

const folder = mkdtempSync(join(tmpdir(), "millrace-rules-"));
afterAll(() => rmSync(folder, { recursive: true }));

const NOT_AUTHORIZED = 0x87;
const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';

function rule(clientId: string, filter: string): string {
  return `[[acl]]\nclient_ids = ["${clientId}"]\nallow = ["subscribe"]\nfilters = ["${filter}"]\n`;
}

test("SIGHUP puts the rules of the configuration in force, and a wrong one leaves those that are", async () => {
  const file = join(folder, "rules.toml");
  const write = (...rules: readonly string[]): void => writeFileSync(file, LISTENER + rules.join(""));
  write(rule("a", "plant/#"), rule("b", "plant/#"));
  const program = start(["--config", file, "--log-format", "json"]);
  const port = await program.port();
  const [loser, same] = [await WireClient.open(port, 5), await WireClient.open(port, 5)];
  await loser.connect({ clientId: "a" });
  await same.connect({ clientId: "b" });
  for (const client of [loser, same]) expect(await client.subscribe("plant/#")).toEqual([0]);

  write(rule("a", "plant/#/wrong"));
  program.kill("SIGHUP");
  await program.until("what was in force stays");
  expect(program.output()).toContain("rules.toml:6: [acl[0]] filters");
  for (const client of [loser, same]) await client.expectSilence();

  write(rule("a", "other"), rule("b", "plant/#"));
  program.kill("SIGHUP");
  await loser.expectDisconnected(NOT_AUTHORIZED);
  await same.expectSilence();
  expect(await same.subscribe(["plant/1", "other"])).toEqual([0, NOT_AUTHORIZED]);
  program.kill("SIGTERM");
  expect((await program.outcome).status).toBe(0);
  for (const client of [loser, same]) client.cut();
});
