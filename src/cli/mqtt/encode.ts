// Packets of the command line's clients as bytes: mqtt-packet's, and a CONNECT that it cannot make, with a password and
// no user name, as MQTT 5 allows (§3.1.2.9).

import { generate, type Packet } from "mqtt-packet";
import { frameBody } from "../../packet/frame.ts";

const USERNAME_FLAG = 0x80;
/** Of the variable header: the length of the protocol's name, the name itself ("MQTT"), the version; then the flags. */
const FLAGS_AT = 2 + 4 + 1;
const LENGTH_BYTES = 2;
const DIGIT = 0x80;

export function encode(packet: Packet, protocolVersion: number): Buffer {
  if (packet.cmd !== "connect" || packet.password === undefined || packet.username !== undefined)
    return generate(packet, { protocolVersion });
  const named = generate({ ...packet, username: "" }, { protocolVersion });
  return withoutUsername(named, packet.password.length);
}

/** The user name is empty, and before the password, which stands last. */
function withoutUsername(packet: Buffer, passwordBytes: number): Buffer {
  const body = packet.subarray(frameBody(packet, 0));
  const usernameAt = body.length - passwordBytes - 2 * LENGTH_BYTES;
  body[FLAGS_AT] = body[FLAGS_AT]! & ~USERNAME_FLAG;
  const parts = [body.subarray(0, usernameAt), body.subarray(usernameAt + LENGTH_BYTES)];
  return Buffer.concat([packet.subarray(0, 1), variableByteInteger(body.length - LENGTH_BYTES), ...parts]);
}

function variableByteInteger(value: number): Buffer {
  const digits: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / DIGIT)) {
    if (rest < DIGIT) return Buffer.from([...digits, rest]);
    digits.push((rest % DIGIT) | DIGIT);
  }
}
