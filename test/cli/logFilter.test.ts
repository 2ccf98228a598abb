// The live filter of the log, through the running program's own logger: one client's packets are shown, another's not.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import packet from "mqtt-packet";
import { createLogger } from "../../src/config/logger.ts";
import { startTestBroker } from "../support/broker.ts";
import { WireClient } from "../support/wireClient.ts";
import { logLines, PROGRAM_TIMEOUT_MS, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

/** A program is started, on a machine that does other things too. */
setDefaultTimeout(20_000);

interface Line {
  readonly msg: string;
  readonly client_id?: string;
  readonly topic?: string;
  readonly packet?: string;
  readonly direction?: string;
}

test("a client's level is raised and lowered while it is connected", async () => {
  const logger = createLogger({ level: "error", format: "json" });
  const lines: Line[] = [];
  logger.follow((line) => void lines.push(JSON.parse(line) as Line));
  const one = await startTestBroker({ logger });
  const [loud, quiet] = await Promise.all(
    ["loud", "quiet"].map((clientId) => mqtt.connectAsync(`mqtt://127.0.0.1:${one.port}`, { clientId })),
  );
  await loud!.publishAsync("a/1", "x", { qos: 1 });
  expect(lines).toEqual([]);

  logger.setFilter("error,[{client_id=loud}]=debug");
  await quiet!.publishAsync("a/2", "x", { qos: 1 });
  await loud!.subscribeAsync("b");
  await loud!.publishAsync("b", "y", { qos: 1 });
  await loud!.publishAsync("b", "z", { qos: 1 });
  expect(lines.map(({ client_id: client }) => client)).toEqual(lines.map(() => "loud"));
  expect(lines.map(({ msg }) => msg)).toContain("[>] incoming SUBSCRIBE");
  expect(lines.map(({ msg }) => msg)).toContain("[<] outgoing PUBLISH");
  expect(lines.some(({ packet }) => packet === "PUBACK")).toBe(false);

  lines.length = 0;
  logger.setFilter("error,[{topic=a/+}]=debug");
  await Promise.all([loud!.publishAsync("b", "x", { qos: 1 }), quiet!.publishAsync("a/2", "x", { qos: 1 })]);
  expect(lines).toMatchObject([{ client_id: "quiet", topic: "a/2", direction: "in" }]);

  lines.length = 0;
  logger.setFilter("error");
  await loud!.publishAsync("a/1", "x", { qos: 1 });
  expect(lines).toEqual([]);

  logger.setFilter("error,[{client_id=loud}]=info");
  await Promise.all([loud!.endAsync(), quiet!.endAsync()]);
  await one.stop();
  expect(lines).toMatchObject([{ client_id: "loud", messages_in: 5 }]);
});

test("a client that publishes and goes at once has its messages counted", async () => {
  const logger = createLogger({ level: "error", format: "json" });
  const lines: object[] = [];
  logger.follow((line) => void lines.push(JSON.parse(line) as object));
  logger.setFilter("error,[{client_id=brief}]=info");
  const one = await startTestBroker({ logger });
  const client = await WireClient.open(one.port, 4);
  await client.connect({ clientId: "brief" });
  const publish = { cmd: "publish", topic: "a", payload: "x", qos: 0, dup: false, retain: false } as const;
  await client.send(
    Buffer.concat([
      packet.generate(publish),
      packet.generate(publish),
      packet.generate({ cmd: "disconnect" }),
    ]),
  );
  await client.expectClosed();
  await one.stop();
  expect(lines).toMatchObject([{ client_id: "brief", cause: "disconnect", messages_in: 2 }]);
});

test("a filter that rumqttd's scripts post is taken, and the answer and the log say what it means here", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-filter-"));
  const file = join(folder, "console.toml");
  writeFileSync(file, '[v4.1]\nlisten = "127.0.0.1:0"\n[console]\nlisten = "127.0.0.1:0"\n');
  const program = start(["--config", file, "--log-format", "json"]);
  await program.until("console on http");
  const url = /console on (http:\/\/[^/]+)\//.exec(program.output())?.[1] ?? "";
  const post = async (body: string) => {
    const response = await fetch(`${url}/logs`, { method: "POST", body });
    return [response.status, await response.text()] as const;
  };
  expect(await post("rumqttd=info")).toEqual([200, "rumqttd=info\n"]);
  const notice = "rumqttd::router=debug: modules are not told apart: this is about all of Millrace";
  expect(await post("info,rumqttd::router=debug")).toEqual([200, `info,rumqttd::router=debug\n${notice}\n`]);
  await program.until("modules are not told apart");
  expect(await post("nonsense=info")).toEqual([400, "nonsense=info: the target is millrace or rumqttd\n"]);
  program.kill("SIGTERM");
  const { stdout } = await program.outcome;
  expect(logLines(stdout)).toContainEqual(
    expect.objectContaining({ level: "warn", msg: `the log's filter: ${notice}` }),
  );
  rmSync(folder, { recursive: true });
});
