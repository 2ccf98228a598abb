// Answer: what a publisher is told of its QoS 1 or 2 message. @hot

import type { ByteWriter } from "../base/byteWriter.ts";
import { writeAck } from "../packet/encode.ts";
import { PacketType } from "../packet/frame.ts";

/** Appends a PUBACK or PUBREC that says that all went well. */
export function acknowledge(out: ByteWriter, type: number, identifier: number): void {
  out.reserve(4);
  const bytes = out.bytes;
  const at = out.length;
  bytes[at] = type;
  bytes[at + 1] = 2;
  bytes[at + 2] = identifier >>> 8;
  bytes[at + 3] = identifier;
  out.length = at + 4;
}

/** Appends the answer to a message of QoS 1 or 2; `reason` is not 0 for MQTT 5 alone. */
export function answer(out: ByteWriter, qos: number, identifier: number, reason: number): void {
  const type = qos === 1 ? PacketType.Puback : PacketType.Pubrec;
  if (reason === 0) acknowledge(out, type, identifier);
  else writeAck(out, 5, type, identifier, reason);
}
