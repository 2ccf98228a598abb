// HeldAccess: an Access that answers when the test says so, with the real host and router on the simulation's clock and
// sockets around it.

import { expect } from "bun:test";
import { generate, type Packet, parser } from "mqtt-packet";
import type { Access, ConnectAttempt, Exchange, Grant, Step, Verdict } from "../../src/net/access.ts";
import { Random } from "../sim/random.ts";
import type { SimSocket } from "../sim/socket.ts";
import { MIB, World, type WorldShape } from "../sim/world.ts";
import { grantTo } from "./fakeAccess.ts";

/** A promise that is kept within the call that keeps it, so that the test says when. */
export class Later<T> {
  private kept: ((value: T) => void)[] = [];

  readonly promise = {
    // biome-ignore lint/suspicious/noThenProperty: it stands in for a promise
    then: (kept: (value: T) => void): void => void this.kept.push(kept),
  } as unknown as Promise<T>;

  keep(value: T): void {
    for (const kept of this.kept) kept(value);
  }
}

export class HeldAccess implements Access {
  readonly asked: { readonly attempt: ConnectAttempt; readonly verdict: Later<Verdict> }[] = [];
  readonly steps: Later<Step>[] = [];
  revised: (grant: Grant, attempt: ConnectAttempt) => Verdict = (grant) => grant;

  judge(attempt: ConnectAttempt): Promise<Verdict> {
    const verdict = new Later<Verdict>();
    this.asked.push({ attempt, verdict });
    return verdict.promise;
  }

  exchange(method: string): Exchange | null {
    if (method !== "M") return null;
    return {
      next: () => {
        const step = new Later<Step>();
        this.steps.push(step);
        return step.promise;
      },
    };
  }

  revise(grant: Grant, attempt: ConnectAttempt): Verdict {
    return this.revised(grant, attempt);
  }
}

export class Client {
  readonly socket: SimSocket;
  private readonly version: 4 | 5;

  constructor(world: World, version: 4 | 5) {
    this.version = version;
    this.socket = world.connect({ capacity: MIB });
  }

  send(...packets: (Packet | Buffer)[]): void {
    for (const packet of packets) {
      this.socket.send(
        packet instanceof Uint8Array ? packet : generate(packet, { protocolVersion: this.version }),
      );
    }
  }

  connect(clientId: string, more: object = {}): void {
    const { version } = this;
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: version,
      clientId,
      clean: true,
      keepalive: 0,
      ...more,
    });
  }

  /** What has come since the last time: commands, with their code where they have one above zero. */
  got(): string[] {
    const packets: string[] = [];
    const reader = parser({ protocolVersion: this.version });
    reader.on("packet", (packet: Packet) => {
      const { reasonCode, returnCode } = packet as { reasonCode?: number; returnCode?: number };
      const code = reasonCode ?? returnCode ?? 0;
      packets.push(code === 0 ? packet.cmd : `${packet.cmd} ${code.toString(16)}`);
    });
    reader.parse(this.socket.read(MIB));
    return packets;
  }
}

export interface Setup {
  readonly world: World;
  readonly access: HeldAccess;
  client(version?: 4 | 5): Client;
}

export function setup(shape: WorldShape = {}): Setup {
  const world = new World(new Random(1), shape);
  const access = new HeldAccess();
  world.host.access = access;
  return { world, access, client: (version = 5) => new Client(world, version) };
}

/** A client that has come in. */
export function entered(
  { world, access, client }: Setup,
  id: string,
  grant: Grant = grantTo("ada"),
  more = {},
): Client {
  const one = client();
  one.connect(id, more);
  world.step(1);
  access.asked.at(-1)!.verdict.keep(grant);
  world.step(1);
  expect(one.got()).toEqual(["connack"]);
  return one;
}

export const PING: Packet = { cmd: "pingreq" };

export function publish(topic: string, payload: string | Buffer, qos: 0 | 1 = 0, messageId = 1): Packet {
  return {
    cmd: "publish",
    topic,
    payload,
    qos,
    dup: false,
    retain: false,
    ...(qos === 0 ? {} : { messageId }),
  };
}

export function wallIn(world: World, ms: number): number {
  return world.clock.wallMs() + ms;
}
