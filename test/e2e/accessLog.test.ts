// What the log says of clients that are refused and of those that lose what they had: who and why, never a secret; and
// what happens to connected clients when users change.

import { expect, test } from "bun:test";
import type { Logger } from "../../src/base/logger.ts";
import { errors } from "../../src/packet/error.ts";
import { startTestBroker } from "../support/broker.ts";
import { FakeAccess, type Way } from "../support/fakeAccess.ts";
import { type Version, WireClient } from "../support/wireClient.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

class MemoryLog implements Logger {
  readonly lines: Line[] = [];

  private add(level: string, fields: object, message: string): void {
    this.lines.push({ level, message, fields: { ...fields } });
  }

  debug(fields: object, message: string): void {
    this.add("debug", fields, message);
  }

  info(fields: object, message: string): void {
    this.add("info", fields, message);
  }

  warn(fields: object, message: string): void {
    this.add("warn", fields, message);
  }

  error(fields: object, message: string): void {
    this.add("error", fields, message);
  }

  isEnabled(): boolean {
    return true;
  }
}

const SECRET = "hunter2-and-more";

test("a refusal's line says who and why, and nobody's password", async () => {
  const logger = new MemoryLog();
  const { port, stop } = await startTestBroker({ access: new FakeAccess(), logger });
  const said: Partial<Record<Way, readonly [level: string, detail: string]>> = {
    denied: ["info", "the fake does not like the name"],
    throws: ["warn", "access has failed: the fake throws"],
    rejects: ["warn", "access has failed: the fake rejects"],
    garbage: ["warn", "access has failed: the answer is neither a grant nor a denial"],
  };
  for (const [way, [level, detail]] of Object.entries(said)) {
    const client = await WireClient.open(port, 5);
    await client.send(client.connectPacket({ clientId: `id-${way}`, username: way, password: SECRET }));
    await client.expect("connack");
    await client.expectClosed();
    const line = logger.lines.find(({ fields }) => fields["client_id"] === `id-${way}`);
    expect(line).toMatchObject({
      level,
      fields: { username: way, detail, remote: "127.0.0.1", listener: "v4.1" },
    });
  }
  await stop();
  expect(JSON.stringify(logger.lines)).not.toContain(SECRET);
});

test("users that are gone are cut with 0x87, their line says why, and the rest notice nothing", async () => {
  const logger = new MemoryLog();
  const access = new FakeAccess();
  const { port, broker, stop } = await startTestBroker({ access, logger });
  const connected = async (version: Version, username: string): Promise<WireClient> => {
    const client = await WireClient.open(port, version);
    await client.connect({ clientId: `${username}-${version}`, username });
    return client;
  };
  const versions: readonly Version[] = [3, 4, 5];
  const gone = await Promise.all(versions.map((version) => connected(version, "now.gone")));
  const stays = await Promise.all(versions.map((version) => connected(version, "now.stays")));
  access.gone.add("now.gone");
  await broker.reauthorise();
  for (const client of gone) await client.expectDisconnected(0x87);
  for (const client of stays) await client.expectSilence();
  const lines = logger.lines.filter(({ fields }) => fields["username"] === "now.gone" && "cause" in fields);
  expect(lines).toHaveLength(3);
  for (const { fields, message } of lines) {
    expect([fields["detail"], message]).toEqual(["the user is gone", errors.notAuthorized.message]);
  }
  expect(broker.connectionStats.revoked).toBe(3);
  for (const client of stays) client.cut();
  await stop();
});

test("what strangers choose does not fill the log", async () => {
  const logger = new MemoryLog();
  const { port, stop } = await startTestBroker({ access: new FakeAccess(), logger });
  const client = await WireClient.open(port, 4);
  const long = "x".repeat(60_000);
  await client.send(client.connectPacket({ clientId: long, username: `denied.${long}` }));
  await client.expect("connack");
  await client.expectClosed();
  await stop();
  expect(JSON.stringify(logger.lines).length).toBeLessThan(2_000);
});
