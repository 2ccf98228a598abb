// CONNECT: the decoder beside mqtt-packet's, and the life of a connection that says nothing else.

import { parser } from "mqtt-packet";
import { decodeConnect } from "../src/packet/connect.ts";
import { isMqttError } from "../src/packet/error.ts";
import { Fixture } from "./fixture.ts";
import { connectFrame, DISCONNECT, fullConnectFrame, type Level } from "./frames.ts";
import { type Case, runCases } from "./harness.ts";

const TURN = 100;
const FIXED_HEADER = 2;

function decodeCase(name: string, frame: Buffer): Case {
  if (frame[1]! > 127) throw new Error("the frame's length takes one byte");
  const call = (): void => {
    for (let i = 0; i < TURN; i++) {
      if (isMqttError(decodeConnect(frame, FIXED_HEADER, frame.length)))
        throw new Error("a CONNECT that is refused");
    }
  };
  return { group: "CONNECT, per packet", name: `decoded, ${name}`, units: TURN, call };
}

function oracleCase(name: string, frame: Buffer): Case {
  const oracle = parser();
  let packets = 0;
  oracle.on("packet", () => void packets++);
  const call = (): void => {
    packets = 0;
    for (let i = 0; i < TURN; i++) oracle.parse(frame);
    if (packets !== TURN) throw new Error("a CONNECT that mqtt-packet does not parse");
  };
  return { group: "CONNECT, per packet", name: `by mqtt-packet, ${name}`, units: TURN, call };
}

/** Accepted, CONNECT, CONNACK, DISCONNECT, closed: without the kernel's part. */
function lifeCase(name: string, level: Level): Case {
  const fixture = new Fixture({ counting: false });
  const frame = connectFrame(level, "bench-life");
  const call = (): void => {
    const { connection, socket } = fixture.open();
    connection.data(frame);
    connection.data(DISCONNECT);
    connection.closed();
    if (socket.bytes === 0) throw new Error("a CONNECT is answered");
  };
  return { group: "CONNECT, per packet", name: `a connection's life, ${name}`, units: 1, call };
}

export async function run(quick: boolean): Promise<void> {
  const cases: Case[] = [];
  for (const level of [4, 5] as const) {
    const version = level === 4 ? "3.1.1" : "MQTT 5";
    const short = connectFrame(level, "sensor-00001");
    const full = fullConnectFrame(level, "sensor-00001");
    cases.push(
      decodeCase(`${version}, identifier alone`, short),
      oracleCase(`${version}, identifier alone`, short),
      decodeCase(`${version}, will, user, password`, full),
      oracleCase(`${version}, will, user, password`, full),
      lifeCase(version, level),
    );
  }
  await runCases(cases, quick);
}

if (import.meta.main) await run(false);
