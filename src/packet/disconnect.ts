// DISCONNECT and AUTH of a client, §3.14 and §3.15.

import { errors, type MqttError } from "./error.ts";
import { PacketType } from "./frame.ts";
import { noProperties, type Properties, readProperties } from "./properties.ts";
import type { ProtocolLevel } from "./protocol.ts";
import { PacketReader } from "./reader.ts";
import { ReasonCode } from "./reasonCode.ts";

export interface Disconnect {
  /** NormalDisconnection before MQTT 5; below 0x80 only NormalDisconnection and DisconnectWithWillMessage. */
  reason: number;
  /** Session Expiry Interval, Reason String, User Properties. */
  properties: Readonly<Properties>;
}

export interface Auth {
  reason: typeof ReasonCode.ContinueAuthentication | typeof ReasonCode.ReAuthenticate;
  method: string;
  /** A copy; empty when the packet has none. */
  data: Uint8Array;
}

/** What a client may give as its reason, §3.14.2.1; the others are the server's. */
const disconnectReasons: ReadonlySet<number> = new Set([
  ReasonCode.NormalDisconnection,
  ReasonCode.DisconnectWithWillMessage,
  ReasonCode.UnspecifiedError,
  ReasonCode.MalformedPacket,
  ReasonCode.ProtocolError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.TopicNameInvalid,
  ReasonCode.ReceiveMaximumExceeded,
  ReasonCode.TopicAliasInvalid,
  ReasonCode.PacketTooLarge,
  ReasonCode.MessageRateTooHigh,
  ReasonCode.QuotaExceeded,
  ReasonCode.AdministrativeAction,
  ReasonCode.PayloadFormatInvalid,
]);

const normal: Disconnect = Object.freeze({
  reason: ReasonCode.NormalDisconnection,
  properties: noProperties,
});
const nothing = new Uint8Array(0);

const reader = new PacketReader();

/** The DISCONNECT whose body is bytes[at, end), or the error in it. Keeps nothing of `bytes`. */
export function decodeDisconnect(
  level: ProtocolLevel,
  bytes: Uint8Array,
  at: number,
  end: number,
): Disconnect | MqttError {
  if (at === end) return normal;
  if (level !== 5) return errors.trailingBytes;
  reader.begin(bytes, at, end);
  const reason = reader.u8();
  if (!disconnectReasons.has(reason)) reader.fail(errors.disconnectReason.code); // [MQTT-3.14.2-1]
  const short = reader.at === reader.end;
  const properties = short ? noProperties : readProperties(reader, PacketType.Disconnect);
  return reader.finish() ?? { reason, properties };
}

/**
 * The AUTH whose body is bytes[at, end), or the error in it. Success is only a server's to send, so a
 * client's AUTH is never empty. Keeps nothing of `bytes`.
 */
export function decodeAuth(
  level: ProtocolLevel,
  bytes: Uint8Array,
  at: number,
  end: number,
): Auth | MqttError {
  if (level !== 5) return errors.authBeforeMqtt5;
  if (at === end) return errors.authReason; // Success
  reader.begin(bytes, at, end);
  const reason = reader.u8();
  const properties = readAuthProperties(reason);
  const failed = reader.finish();
  if (failed !== null) return failed;
  const { authenticationMethod: method, authenticationData: data = nothing } = properties;
  if (method === undefined) return errors.authMethodMissing;
  return { reason: reason as Auth["reason"], method, data };
}

function readAuthProperties(reason: number): Readonly<Properties> {
  if (reason !== ReasonCode.ContinueAuthentication && reason !== ReasonCode.ReAuthenticate) {
    reader.fail(errors.authReason.code); // [MQTT-3.15.2-1]
    return noProperties;
  }
  return readProperties(reader, PacketType.Auth);
}
