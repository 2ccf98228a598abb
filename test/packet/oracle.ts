// Both decoders on one packet, and their results in one form.

import { decodeAck, newAck } from "../../src/packet/ack.ts";
import { decodeConnect, type Will } from "../../src/packet/connect.ts";
import { decodeAuth, decodeDisconnect } from "../../src/packet/disconnect.ts";
import { errorOfCode, isMqttError, type MqttError } from "../../src/packet/error.ts";
import { PacketType } from "../../src/packet/frame.ts";
import type { Properties } from "../../src/packet/propertyTable.ts";
import type { AckType, ProtocolLevel } from "../../src/packet/protocol.ts";
import { decodeSubscribe, decodeUnsubscribe } from "../../src/packet/subscribe.ts";
import { bodyOf, type Fields, parsed } from "./support.ts";

const Cmd: Record<string, AckType> = { puback: 0x40, pubrec: 0x50, pubrel: 0x60, pubcomp: 0x70 };

/** What each reads from a client's whole packet; a string is mqtt-packet's refusal. */
export function bothRead(
  level: ProtocolLevel,
  bytes: Uint8Array,
): { ours: Fields | MqttError; theirs: Fields | string } {
  const ours = readBody(level, bytes[0]! & 0xf0, bytes, bodyOf(bytes), bytes.length);
  const theirs = parsed(level, bytes);
  const normal = typeof theirs === "string" ? theirs : (plain(normalTheirs(level, theirs)) as Fields);
  return { ours: isMqttError(ours) ? ours : (plain(ours) as Fields), theirs: normal };
}

/** Our reading of the body bytes[at, end) of a packet of `type`. */
export function readBody(
  level: ProtocolLevel,
  type: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): Fields | MqttError {
  if (type === PacketType.Connect) return readConnect(bytes, at, end);
  if (type === PacketType.Subscribe) return decodeSubscribe(level, bytes, at, end) as Fields | MqttError;
  if (type === PacketType.Unsubscribe) return decodeUnsubscribe(level, bytes, at, end) as Fields | MqttError;
  if (type === PacketType.Auth) return decodeAuth(level, bytes, at, end) as Fields | MqttError;
  if (type === PacketType.Disconnect) {
    const disconnect = decodeDisconnect(level, bytes, at, end);
    if (isMqttError(disconnect)) return disconnect;
    return { ...disconnect, properties: grouped(disconnect.properties) };
  }
  const ack = newAck();
  const status = decodeAck(level, type as AckType, bytes, at, end, ack);
  return status === 0 ? { type, ...ack } : errorOfCode(status);
}

function readConnect(bytes: Uint8Array, at: number, end: number): Fields | MqttError {
  const connect = decodeConnect(bytes, at, end);
  if (isMqttError(connect)) return connect;
  const fields: Fields = { ...connect, properties: grouped(connect.properties) };
  if (connect.will !== undefined) fields["will"] = readWill(connect.level, connect.will);
  return fields;
}

/** The forwarded property bytes as mqtt-packet reads them in the PUBLISH that they are for. */
function readWill(level: ProtocolLevel, will: Will): Fields {
  const { messageExpiryInterval, properties, ...rest } = will;
  if (level !== 5) return { ...rest, properties: {} };
  const length = properties.length;
  const lengthBytes = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  const body = [0, 1, 0x74, ...lengthBytes, ...properties];
  const remaining = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  const publish = parsed(5, Uint8Array.from([0x30, ...remaining, ...body]));
  const decoded =
    typeof publish === "string" ? { publish } : { ...((publish["properties"] as Fields) ?? {}) };
  const { messageExpiryInterval: expiry } = decoded as Fields;
  if (expiry !== messageExpiryInterval) throw new Error("Message Expiry Interval is not that of the bytes");
  return { ...rest, properties: decoded };
}

function normalTheirs(level: ProtocolLevel, fields: Fields): Fields {
  const properties = (fields["properties"] ?? {}) as Fields;
  const cmd = String(fields["cmd"]);
  switch (cmd) {
    case "connect":
      return normalConnect(fields, properties);
    case "subscribe":
      return {
        packetIdentifier: fields["messageId"],
        subscriptionIdentifier: properties["subscriptionIdentifier"] ?? 0,
        entries: (fields["subscriptions"] as Fields[]).map((entry) => ({
          filter: entry["topic"],
          qos: entry["qos"],
          noLocal: entry["nl"] ?? false,
          retainAsPublished: entry["rap"] ?? false,
          retainHandling: entry["rh"] ?? 0,
        })),
      };
    case "unsubscribe":
      return { packetIdentifier: fields["messageId"], filters: fields["unsubscriptions"] };
    case "disconnect":
      return { reason: level === 5 ? fields["reasonCode"] : 0, properties };
    case "auth":
      return {
        reason: fields["reasonCode"],
        method: properties["authenticationMethod"],
        data: properties["authenticationData"] ?? new Uint8Array(0),
      };
    default:
      return {
        type: Cmd[cmd],
        packetIdentifier: fields["messageId"],
        reason: level === 5 ? fields["reasonCode"] : 0,
      };
  }
}

function normalConnect(fields: Fields, properties: Fields): Fields {
  const connect: Fields = {
    level: fields["protocolVersion"],
    cleanStart: fields["clean"],
    keepAlive: fields["keepalive"],
    clientIdentifier: fields["clientId"],
    properties,
  };
  if (fields["username"] !== undefined) connect["userName"] = fields["username"];
  if (fields["password"] !== undefined) connect["password"] = fields["password"];
  const will = fields["will"] as Fields | undefined;
  if (will === undefined) return connect;
  const { willDelayInterval = 0, ...rest } = (will["properties"] ?? {}) as Fields;
  const { topic, payload, qos, retain } = will;
  connect["will"] = { topic, payload, qos, retain, delayInterval: willDelayInterval, properties: rest };
  return connect;
}

/**
 * Our properties in mqtt-packet's form: User Properties grouped by name. It forgets an empty value that
 * another of the same name follows, which the specification does not allow [MQTT-3.3.2-17]; so do we here, to
 * compare the rest.
 */
export function grouped(properties: Readonly<Properties>): Fields {
  const { userProperties, payloadFormatIndicator, ...rest } = properties;
  const fields: Fields = { ...rest };
  if (payloadFormatIndicator !== undefined) fields["payloadFormatIndicator"] = payloadFormatIndicator === 1;
  if (userProperties === undefined) return fields;
  const groups = new Map<string, string | string[]>();
  for (const [name, value] of userProperties) {
    const before = groups.get(name);
    if (before === undefined || before === "") groups.set(name, value);
    else if (typeof before === "string") groups.set(name, [before, value]);
    else before.push(value);
  }
  fields["userProperties"] = Object.fromEntries(groups);
  return fields;
}

/**
 * Bytes as hex and keys in order, so that Buffer and Uint8Array, and objects with and without prototype,
 * compare.
 */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, field]) => [key, plain(field)]),
  );
}
