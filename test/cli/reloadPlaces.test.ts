// Addresses that change while the program runs: what the broker itself has it can pass on, whoever asks gets an answer,
// and nobody is cut.

import { afterEach, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { freePorts, startRunning, type TestProgram } from "../support/running.ts";
import { WireClient } from "../support/wireClient.ts";

let program: TestProgram;
const clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  await program.stop();
});

async function connect(port: number, clientId: string): Promise<WireClient> {
  const client = await WireClient.open(port, 5);
  clients.push(client);
  await client.connect({ clientId });
  return client;
}

interface Told {
  readonly status: number;
  readonly json: { readonly applied?: readonly string[]; readonly error?: string };
}

async function reloadOver(port: number, token = ""): Promise<Told> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/reload`, { method: "POST", headers });
  return { status: response.status, json: (await response.json()) as Told["json"] };
}

const LISTENER = '[v4.1]\nlisten = "127.0.0.1:0"\n';

describe("the console that asks for a reload which concerns it", () => {
  const [here = 0, there = 0] = freePorts(2);
  const file = (port: number, more = "", host = "127.0.0.1"): string =>
    `${LISTENER}[console]\nlisten = "${host}:${port}"\n${more}`;
  const isAnswering = (port: number): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );

  test("is told what became of it: another port, another host, another token", async () => {
    program = await startRunning(file(here));
    program.write(file(there));
    expect(await reloadOver(here)).toMatchObject({
      status: 200,
      json: { applied: [`[console] listen: "127.0.0.1:${here}" → "127.0.0.1:${there}"`] },
    });
    expect(await isAnswering(here)).toBe(false);
    program.write(file(there, 'token = "a"\n', "0.0.0.0"));
    expect((await reloadOver(there)).status).toBe(200);
    program.write(file(there, 'token = "b"\n', "0.0.0.0"));
    expect((await reloadOver(there, "a")).status).toBe(200);
    expect((await reloadOver(there, "a")).status).toBe(401);
    expect(await reloadOver(there, "b")).toMatchObject({ status: 200, json: { applied: [] } });
  });

  test("is told that it came to nothing, and goes on", async () => {
    program = await startRunning(file(here));
    program.write(file(here, 'token = "a"\n[prometheus]\nlisten = "192.0.2.1:1"\n'));
    expect((await reloadOver(here)).status).toBe(409);
    expect((await reloadOver(here)).status).toBe(409);
    program.write(file(there, '[prometheus]\nlisten = "192.0.2.1:1"\n'));
    expect((await reloadOver(here)).status).toBe(409);
    expect(await isAnswering(there)).toBe(false);
  });

  test("ends those who follow the log with a token that is none any more", async () => {
    program = await startRunning(file(here, 'token = "a"\n'));
    const headers = { authorization: "Bearer a" };
    const tail = await fetch(`http://127.0.0.1:${here}/api/v1/logs/tail`, { headers });
    program.write(file(here, 'token = "b"\n'));
    expect((await reloadOver(here, "a")).status).toBe(200);
    const ended = tail.text().catch(() => "cut");
    expect(await ended).toBeString();
  });
});

describe("a listener", () => {
  test("that moves to another host keeps its port and its clients", async () => {
    const [port = 0] = freePorts(1);
    const file = (host: string): string => `[v4.1]\nlisten = "${host}:${port}"\n`;
    program = await startRunning(file("127.0.0.1"));
    const before = await connect(port, "before");
    for (const host of ["0.0.0.0", "127.0.0.1"]) {
      expect((await program.reload(file(host))).applied).toHaveLength(1);
      await connect(port, `at ${host}`);
    }
    await before.expectSilence();
  });

  test("that is called otherwise is the same socket", async () => {
    const [port = 0] = freePorts(1);
    const file = (name: string): string => `[${name}]\nlisten = "127.0.0.1:${port}"\n`;
    program = await startRunning(file("v4.1"));
    const before = await connect(port, "before");
    expect((await program.reload(file("mqtt.main"))).applied).toEqual(["[mqtt]: added", "[v4]: gone"]);
    expect(program.port("mqtt.main")).toBe(port);
    await connect(port, "after");
    await before.expectSilence();
    const { listeners } = program.running.broker.connectionStats;
    expect([listeners.get("v4.1")?.clients, listeners.get("mqtt.main")?.clients]).toEqual([1, 1]);
  });

  test("swaps its port with another one", async () => {
    const [a = 0, b = 0] = freePorts(2);
    const file = (first: number, second: number): string =>
      `[v4.1]\nlisten = "127.0.0.1:${first}"\n[v4.1.connections]\nmax_qos = 1\n[v5.1]\nlisten = "127.0.0.1:${second}"\n`;
    program = await startRunning(file(a, b));
    const before = await connect(a, "before");
    await program.reload(file(b, a));
    expect([program.port("v4.1"), program.port("v5.1")]).toEqual([b, a]);
    const client = await WireClient.open(b, 5);
    clients.push(client);
    expect((await client.connect({ clientId: "after" })).properties).toMatchObject({ maximumQoS: 1 });
    await before.expectSilence();
  });

  test("has its place back when another one cannot be had", async () => {
    const [port = 0] = freePorts(1);
    const file = (host: string, more = ""): string => `[v4.1]\nlisten = "${host}:${port}"\n${more}`;
    program = await startRunning(file("127.0.0.1"));
    const wrong = '[v4.2]\nlisten = "192.0.2.1:1"\n';
    await expect(program.reload(file("0.0.0.0", wrong))).rejects.toThrow("192.0.2.1:1");
    await connect(port, "still");
    expect(program.running.broker.listeners).toMatchObject([{ host: "127.0.0.1", port }]);
  });

  test("of a Unix socket has another mode", async () => {
    program = await startRunning(LISTENER);
    const path = join(program.folder, "socket");
    const file = (mode: string): string => `[v4.1]\nlisten = "unix:${path}"\nmode = "${mode}"\n`;
    for (const mode of ["0600", "0660"]) {
      await program.reload(file(mode));
      expect((statSync(path).mode & 0o777).toString(8)).toBe(mode.slice(1));
    }
  });

  test("that somebody has is named by the section that wants it", async () => {
    program = await startRunning(LISTENER);
    const taken = program.port("v4.1");
    const metrics = `[prometheus]\nlisten = "127.0.0.1:${taken}"\n`;
    await expect(program.reload(`[v4.1]\nlisten = "127.0.0.1:${taken}"\n${metrics}`)).rejects.toThrow(
      `cannot listen on 127.0.0.1:${taken}: the port is in use`,
    );
    await expect(program.running.reload()).rejects.toThrow(":3: [prometheus]");
  });
});

describe("what the broker says of itself", () => {
  test("below $events is the broker's own as long as it says something there", async () => {
    program = await startRunning(`${LISTENER}[metrics.alerts]\n`);
    const client = await connect(program.port("v4.1"), "one");
    const publish = async (): Promise<number | undefined> => {
      await client.send(client.publishPacket("$events/mine", "x", { qos: 1 }));
      return (await client.expect("puback")).reasonCode;
    };
    const [notAuthorized, success] = [0x87, 0];
    expect(await publish()).toBe(notAuthorized);
    await program.reload(LISTENER);
    expect(await publish()).toBe(success);
    await program.reload(`${LISTENER}[metrics.meters]\n`);
    expect(await publish()).toBe(notAuthorized);
    await program.reload(`${LISTENER}[metrics.meters]\ntopic = "meters"\n`);
    expect(await publish()).toBe(success);
  });

  test("at another interval goes on from where it was", async () => {
    const file = (seconds: number): string => `${LISTENER}[sys]\ninterval = ${seconds}\n`;
    program = await startRunning(file(1));
    const client = await connect(program.port("v4.1"), "one");
    await client.subscribe("$SYS/broker/uptime");
    const next = async (): Promise<string> => (await client.receive()).payload.toString();
    for (let last = "0 seconds"; last === "0 seconds"; last = await next());
    await program.reload(file(3600));
    const other = await connect(program.port("v4.1"), "two");
    await other.subscribe("$SYS/broker/uptime");
    expect((await other.receive()).payload.toString()).not.toBe("0 seconds");
    await program.reload(file(0));
    await program.reload(file(3600));
    expect(await next()).not.toBe("0 seconds");
  });
});
