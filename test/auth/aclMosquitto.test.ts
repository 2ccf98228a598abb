// The acl_file reader beside mosquitto itself: random files, clients and topics; whoever may publish or be sent
// something there may here, and nobody else. Runs where mosquitto is installed.

import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Acl } from "../../src/auth/acl.ts";
import { parseAclFile, withAclFile } from "../../src/auth/aclFile.ts";
import { OPEN_RULES } from "../../src/auth/aclRule.ts";
import type { Rights } from "../../src/session/rights.ts";
import { Random, seeds } from "../sim/random.ts";
import { WireClient } from "../support/wireClient.ts";

const PROGRAM = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].find((path) => existsSync(path));
const TEST_TIMEOUT_MS = 60_000;
const LISTENING_MS = 10_000;
const NOT_AUTHORIZED = 0x87;

const LEVELS = ["a", "b", "c1", "alice", "", "$app"];
const USERS = ["alice", "bob", "x y", "w+"];
/** User name and Client Identifier; "" has none. */
const CLIENTS: readonly (readonly [string, string])[] = [
  ["", "c1"],
  ["alice", "c1"],
  ["alice", "c2"],
  ["bob", "alice"],
  ["x y", "b"],
  ["carol", "c1"],
  ["w+", "c1"],
  ["bob", "c#"],
];
const ROOT = "root";

/** What mosquitto was started with, and how to reach it. */
interface Mosquitto {
  readonly port: number;
  stop(): Promise<void>;
}

async function start(acl: string): Promise<Mosquitto> {
  const folder = mkdtempSync(join(tmpdir(), "acl-"));
  chmodSync(folder, 0o755); // started as root, it reads the file as another user
  writeFileSync(join(folder, "acl"), acl);
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  const config = [`listener ${port} 127.0.0.1`, "allow_anonymous true", `acl_file ${join(folder, "acl")}`];
  writeFileSync(join(folder, "conf"), `${config.join("\n")}\n`);
  const child = Bun.spawn([PROGRAM!, "-c", join(folder, "conf")], { stdout: "ignore", stderr: "pipe" });
  const reader = child.stderr.getReader();
  const deadline = setTimeout(() => child.kill(), LISTENING_MS);
  const decoder = new TextDecoder();
  for (let log = ""; !log.includes("running"); ) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`mosquitto does not run: ${log}`);
    log += decoder.decode(value, { stream: true });
  }
  clearTimeout(deadline);
  void (async () => {
    for (let more = true; more; ) more = !(await reader.read()).done; // else it would wait for its log to be read
  })();
  return {
    port,
    async stop() {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true });
    },
  };
}

function randomTopic(random: Random): string {
  const levels = Array.from({ length: random.between(1, 3) }, () => random.pick(LEVELS));
  const topic = levels.join("/");
  return topic === "" ? "a" : topic;
}

function randomFilter(random: Random, isPattern: boolean): string {
  const levels = Array.from({ length: random.between(1, 3) }, () => {
    if (isPattern && random.chance(0.4)) return random.pick(["%c", "%u", "x%c"]);
    return random.chance(0.3) ? "+" : random.pick(LEVELS);
  });
  if (random.chance(0.35)) levels[levels.length - 1] = "#";
  const filter = levels.join("/");
  return filter === "" ? "#" : filter;
}

function randomAcl(random: Random): string {
  const lines: string[] = [];
  for (let i = random.between(3, 14); i > 0; i--) {
    if (random.chance(0.25)) lines.push(`user ${random.pick(USERS)}`);
    const isPattern = random.chance(0.35);
    const access = random.pick(["", "read ", "write ", "readwrite ", "deny ", "deny "]);
    lines.push(`${isPattern ? "pattern" : "topic"} ${access}${randomFilter(random, isPattern)}`);
    if (random.chance(0.1)) lines.push("# a comment", "");
  }
  // Whoever publishes to all the others; patterns come after a client's own lines.
  return [...lines, `user ${ROOT}`, "topic #", "topic $app/#", ""].join("\n");
}

async function client(port: number, userName: string, clientId: string): Promise<WireClient> {
  const wire = await WireClient.open(port, 5);
  await wire.connect({ clientId, ...(userName === "" ? {} : { username: userName }) });
  return wire;
}

/** Of `topics`, those that mosquitto lets the client publish to. */
async function published(wire: WireClient, topics: readonly string[]): Promise<string[]> {
  const allowed: string[] = [];
  for (const topic of topics) {
    const packet = wire.publishPacket(topic, "x", { qos: 1 });
    await wire.send(packet);
    const { reasonCode } = await wire.expect("puback", { messageId: packet.messageId! });
    if (reasonCode !== NOT_AUTHORIZED) allowed.push(topic);
  }
  return allowed;
}

/** Of `topics`, those whose messages come to a client that subscribes to everything. */
async function received(wire: WireClient, root: WireClient, topics: readonly string[]): Promise<string[]> {
  expect(await wire.subscribe(["#", "$app/#"])).toEqual([0, 0]);
  for (const topic of topics) await root.publish(topic, "x", { qos: 1 });
  const came = new Set<string>();
  await wire.send(Uint8Array.of(0xc0, 0x00));
  for (let packet = await wire.next(); packet.cmd !== "pingresp"; packet = await wire.next()) {
    if (packet.cmd !== "publish") throw new Error(`unexpected ${packet.cmd}`);
    came.add(packet.topic);
  }
  return topics.filter((topic) => came.has(topic));
}

function rightsOf(acl: Acl, userName: string, clientIdentifier: string): Rights {
  const rights = acl.rightsOf({ userName, clientIdentifier, tenant: null, claims: {}, listener: "v4.1" });
  if (rights === null) throw new Error("everything is permitted");
  return rights;
}

describe.skipIf(PROGRAM === undefined)("mosquitto and the reader of its files agree", () => {
  for (const seed of seeds(1, 2, 3, 4, 5, 6, 7, 8)) {
    test(
      `seed ${seed}`,
      async () => {
        const random = new Random(seed);
        const text = randomAcl(random);
        const topics = [...new Set(Array.from({ length: 60 }, () => randomTopic(random)))];
        const acl = new Acl(withAclFile(OPEN_RULES, parseAclFile(text, "acl"), "narrow"));
        const mosquitto = await start(text);
        const open: WireClient[] = [];
        try {
          const root = await client(mosquitto.port, ROOT, "r");
          open.push(root);
          for (const [userName, clientIdentifier] of CLIENTS) {
            const context = { text, userName, clientIdentifier };
            const rights = rightsOf(acl, userName, clientIdentifier);
            const wire = await client(mosquitto.port, userName, clientIdentifier);
            open.push(wire);
            const mayPublish = topics.filter((topic) => rights.mayPublish(topic));
            expect({ ...context, topics: mayPublish }).toEqual({
              ...context,
              topics: await published(wire, topics),
            });
            const sent = topics.filter((topic) => {
              const rule = rights.receiveRule(topic.startsWith("$") ? "$app/#" : "#");
              return rule === null || rule.permits(topic);
            });
            expect({ ...context, topics: sent }).toEqual({
              ...context,
              topics: await received(wire, root, topics),
            });
            expect(["#", "$app/#", "b/+"].every((filter) => rights.maySubscribe(filter))).toBe(true);
            wire.cut();
          }
        } finally {
          for (const wire of open) wire.cut();
          await mosquitto.stop();
        }
      },
      TEST_TIMEOUT_MS,
    );
  }
});
