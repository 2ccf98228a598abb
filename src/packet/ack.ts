// PUBACK, PUBREC, PUBREL and PUBCOMP of a client, §3.4..§3.7: a Packet Identifier and, in MQTT 5, perhaps a
// Reason Code and properties that the broker only checks. @hot

import { errors, type MqttError } from "./error.ts";
import { PacketType } from "./frame.ts";
import { newPropertyScan, validateProperties } from "./propertyScan.ts";
import type { AckType, ProtocolLevel } from "./protocol.ts";
import { ReasonCode } from "./reasonCode.ts";

/** Reused. */
export interface Ack {
  /** 1..65535. */
  packetIdentifier: number;
  /** Reason Code; Success before MQTT 5. */
  reason: number;
}

const KNOWN_REASONS = 256;
/** 1 where PUBACK and PUBREC may have the Reason Code, 2 where PUBREL and PUBCOMP may. */
const reasons = new Uint8Array(KNOWN_REASONS);
for (const reason of [
  ReasonCode.NoMatchingSubscribers,
  ReasonCode.UnspecifiedError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.NotAuthorized,
  ReasonCode.TopicNameInvalid,
  ReasonCode.PacketIdentifierInUse,
  ReasonCode.QuotaExceeded,
  ReasonCode.PayloadFormatInvalid,
]) {
  reasons[reason] = 1;
}
reasons[ReasonCode.PacketIdentifierNotFound] = 2;
reasons[ReasonCode.Success] = 3;

const scan = newPropertyScan();

export function newAck(): Ack {
  return { packetIdentifier: 0, reason: 0 };
}

/**
 * Decodes the body bytes[at, end) of an acknowledgement into `ack`. Returns 0, or a negative code for
 * errorOfCode; then `ack` means nothing. Allocates nothing.
 */
export function decodeAck(
  level: ProtocolLevel,
  type: AckType,
  bytes: Uint8Array,
  at: number,
  end: number,
  ack: Ack,
): number {
  if (end - at < 2) return errors.truncated.code;
  const packetIdentifier = bytes[at]! * 256 + bytes[at + 1]!;
  if (packetIdentifier === 0) return errors.ackIdentifierZero.code; // [MQTT-2.2.1-5]
  ack.packetIdentifier = packetIdentifier;
  ack.reason = ReasonCode.Success;
  if (end - at === 2) return 0;
  if (level !== 5) return errors.trailingBytes.code;
  const reason = bytes[at + 2]!;
  const group = type === PacketType.Puback || type === PacketType.Pubrec ? 1 : 2;
  if ((reasons[reason]! & group) === 0) return reasonError(type).code;
  ack.reason = reason;
  if (end - at === 3) return 0;
  const position = validateProperties(scan, type, bytes, at + 3, end);
  if (position < 0) return position;
  return position === end ? 0 : errors.trailingBytes.code;
}

function reasonError(type: AckType): MqttError {
  if (type === PacketType.Puback) return errors.pubackReason; // [MQTT-3.4.2-1]
  if (type === PacketType.Pubrec) return errors.pubrecReason; // [MQTT-3.5.2-1]
  if (type === PacketType.Pubrel) return errors.pubrelReason; // [MQTT-3.6.2-1]
  return errors.pubcompReason; // [MQTT-3.7.2-1]
}
