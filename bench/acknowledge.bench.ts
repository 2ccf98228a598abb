// A client's acknowledgements: PUBACKs that settle what is in flight, in chunks of 64 and one by one.

import type { Offset } from "../src/base/brand.ts";
import { decodeAck, newAck } from "../src/packet/ack.ts";
import { PacketType } from "../src/packet/frame.ts";
import { InflightState } from "../src/session/inflight.ts";
import { Fixture } from "./fixture.ts";
import { pubackChunk, stampPubacks } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

const GROUP = "acknowledgements, per PUBACK";
const CHUNKS = [64, 1] as const;

/** Identifiers that are not in flight: the parse and the look-up alone. */
function unknownCase(count: number): Case {
  const client = new Fixture({ counting: false }).connect(4);
  const chunk = pubackChunk(count);
  return {
    group: GROUP,
    name: `chunk of ${count}, not in flight`,
    units: count,
    call: () => client.send(chunk),
  };
}

function settleCase(count: number): Case {
  const client = new Fixture({ counting: false }).connect(4);
  const chunk = pubackChunk(count);
  const { session } = client.connection;
  if (session === null) throw new Error("a connected client has a session");
  const { inflight } = session;
  let offset = 0;
  const call = (): void => {
    const first = inflight.take(offset++ as Offset, InflightState.Qos1, 0);
    for (let i = 1; i < count; i++) inflight.take(offset++ as Offset, InflightState.Qos1, 0);
    stampPubacks(chunk, first);
    client.send(chunk);
    if (inflight.count !== 0) throw new Error("every PUBACK settles a delivery");
  };
  return { group: GROUP, name: `chunk of ${count}, each taken before and settled`, units: count, call };
}

/** The general decoder, as for a PUBACK of MQTT 5 that has a Reason Code. */
function decodeCase(): Case {
  const TURN = 1000;
  const body = Uint8Array.from([0, 1, 0]);
  const ack = newAck();
  const call = (): void => {
    for (let i = 0; i < TURN; i++) decodeAck(5, PacketType.Puback, body, 0, body.length, ack);
  };
  return { group: GROUP, name: "decodeAck, MQTT 5 with a Reason Code", units: TURN, call };
}

export async function run(quick: boolean): Promise<void> {
  const cases = [...CHUNKS.map(unknownCase), ...CHUNKS.map(settleCase), decodeCase()];
  await runCases(cases, quick);
}

if (import.meta.main) await run(false);
