// Rules that change while clients are connected: who lost something is told, who did not notices nothing.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "../../src/base/logger.ts";
import { NO_AUTHORIZATION } from "../../src/config/aclSettings.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { trusting } from "../support/authorization.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { type ConnectOptions, type Version, WireClient } from "../support/wireClient.ts";

const NOT_AUTHORIZED = 0x87;

class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "rules-"));
  readonly path = join(this.folder, "acl");
  readonly said: string[] = [];
  private readonly clients: WireClient[] = [];
  private told: (() => void) | null = null;
  broker: TestBroker | null = null;

  private readonly logger: Logger = {
    debug: () => {},
    info: (_fields, text) => this.log(text),
    warn: (_fields, text) => this.log(text),
    error: (_fields, text) => this.log(text),
    isEnabled: () => true,
  };

  private log(text: string): void {
    this.said.push(text);
    if (text.includes("the file of rules")) this.told?.();
  }

  async start(rules: string): Promise<void> {
    writeFileSync(this.path, rules);
    const authorization = { ...NO_AUTHORIZATION, aclFile: this.path };
    this.broker = await startTestBroker({ authorization, access: trusting, logger: this.logger });
  }

  /** Resolves when the file has been loaded, or turned down. */
  async reload(rules: string): Promise<string> {
    writeFileSync(this.path, rules);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.told = resolve;
    this.broker?.broker.reload();
    await promise;
    return this.said.findLast((text) => text.includes("the file of rules")) ?? "";
  }

  async client(version: Version, userName: string, options: ConnectOptions = {}): Promise<WireClient> {
    const client = await WireClient.open(this.broker?.port ?? 0, version);
    this.clients.push(client);
    await client.connect({ clientId: userName, username: userName, ...options });
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.cut();
    await this.broker?.stop();
    rmSync(this.folder, { recursive: true });
  }
}

let stage = new Stage();
afterEach(async () => {
  await stage.stop();
  stage = new Stage();
});

const ADMIN = "user admin\ntopic #\n";
const KEPT = { clean: false, properties: { sessionExpiryInterval: 600 } };

describe("an acl_file that is loaded anew", () => {
  for (const version of [3, 4, 5] as const) {
    test(`cuts who lost a subscription, with 0x87 (MQTT ${version}), and nobody else`, async () => {
      await stage.start(`${ADMIN}user a\ntopic read plant/#\nuser b\ntopic read plant/#\ntopic write b\n`);
      const admin = await stage.client(5, "admin");
      const loser = await stage.client(version, "a");
      const same = await stage.client(version, "b");
      for (const client of [loser, same]) expect(await client.subscribe("plant/#", { qos: 1 })).toEqual([1]);
      expect(await stage.reload(`${ADMIN}user a\ntopic read open/#\nuser b\ntopic read plant/#\n`)).toContain(
        "anew",
      );
      await loser.expectDisconnected(NOT_AUTHORIZED);
      await admin.publish("plant/1", "x", { qos: 1 });
      await same.acknowledge(await same.receive({ topic: "plant/1" }));
      await same.expectSilence();
      const again = await stage.client(version, "a");
      const code = { 3: 0, 4: 0x80, 5: NOT_AUTHORIZED }[version];
      expect(await again.subscribe(["plant/#", "open/#"])).toEqual([code, 0]);
    });
  }

  test("holds publishers to it at once, without a cut", async () => {
    await stage.start(`${ADMIN}user a\ntopic write plant/#\n`);
    const admin = await stage.client(5, "admin");
    await admin.subscribe("#", { qos: 0 });
    const publisher = await stage.client(5, "a");
    const reasonOf = async (topic: string): Promise<number> => {
      const packet = publisher.publishPacket(topic, "x", { qos: 1 });
      await publisher.send(packet);
      return (await publisher.expect("puback")).reasonCode ?? 0;
    };
    expect([await reasonOf("plant/1"), await reasonOf("plant/1")]).toEqual([0, 0]);
    await stage.reload(`${ADMIN}user a\ntopic write other/#\n`);
    expect([await reasonOf("plant/1"), await reasonOf("other/1")]).toEqual([NOT_AUTHORIZED, 0]);
    for (const topic of ["plant/1", "plant/1", "other/1"]) await admin.receive({ topic });
    await admin.expectSilence();
  });

  test("with a wrong line is not taken: what was loaded before stays, and the log says where", async () => {
    await stage.start(`${ADMIN}user a\ntopic read plant/#\n`);
    const client = await stage.client(5, "a");
    await client.subscribe("plant/#");
    const said = await stage.reload(`${ADMIN}user a\ntopic reed other/#\n`);
    expect(said).toContain(`${stage.path}:4: 'reed' is no access`);
    await client.expectSilence();
    expect(await client.subscribe(["plant/1", "other/1"])).toEqual([0, NOT_AUTHORIZED]);
  });

  test("judges a session when it comes back: what it lost is gone, what it was owed of it too", async () => {
    await stage.start(`${ADMIN}user a\ntopic read plant/#\ntopic read open\n`);
    const admin = await stage.client(5, "admin");
    const first = await stage.client(5, "a", KEPT);
    expect(await first.subscribe(["plant/#", "open"], { qos: 1 })).toEqual([1, 1]);
    await admin.publish("plant/1", "in flight", { qos: 1 });
    await first.receive({ topic: "plant/1" }); // not acknowledged
    first.cut();
    for (const topic of ["plant/1", "open", "plant/2"]) await admin.publish(topic, "queued", { qos: 1 });
    await stage.reload(`${ADMIN}user a\ntopic read open\n`);
    const second = await stage.client(5, "a", KEPT);
    await second.acknowledge(await second.receive({ topic: "open", payload: "queued" }));
    for (const topic of ["plant/1", "open"]) await admin.publish(topic, "live", { qos: 1 });
    await second.acknowledge(await second.receive({ topic: "open", payload: "live" }));
    await second.expectSilence();
  });

  test("judges a Will that is not out yet", async () => {
    await stage.start(`${ADMIN}user a\ntopic write plant/#\n`);
    const admin = await stage.client(5, "admin");
    await admin.subscribe("#");
    const will = { topic: "plant/gone", payload: Buffer.from("x"), qos: 0 as const, retain: false };
    const client = await stage.client(5, "a", { will });
    await stage.reload(`${ADMIN}user a\ntopic write other/#\n`);
    await client.expectSilence();
    client.cut();
    await stage.client(5, "a");
    await admin.expectSilence();
  });
});

test("an acl_file that is wrong at the start stops it, and says where", async () => {
  const starting = stage.start("topic read a/#/b\nfoo\n");
  const error = await starting.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  const key = `[authorization] acl_file = "${stage.path}"`;
  expect((error as ConfigError).problems).toEqual([
    `${key}: ${stage.path}:1: 'a/#/b' is not a topic filter`,
    `${key}: ${stage.path}:2: 'foo' begins no line: there are user, topic and pattern`,
  ]);
});
