// Packet log: a line for each packet of one connection, made while somebody wants to see them and never else: then the
// connection has one, which is fed what passes in both directions. Control packets of the session's course are told at
// debug, with PUBLISH; acknowledgements and pings at trace. A line says how large things are and what they are called;
// passwords, payloads, Wills' too, and authentication data are in none.

import { type LineFilter, LOG_RANKS, type Logger, type LogRank } from "../base/logger.ts";
import { frameBody, PacketType } from "../packet/frame.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import { newPublishSpans, scanPublishProperties } from "../packet/publishProperties.ts";
import { reasonCodeName } from "../packet/reasonCode.ts";
import { FrameHeads } from "./frameHeads.ts";

const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(PacketType).map(([name, type]) => [type, name.toUpperCase()]),
);
const QUIET: ReadonlySet<number> = new Set([
  PacketType.Puback,
  PacketType.Pubrec,
  PacketType.Pubrel,
  PacketType.Pubcomp,
  PacketType.Pingreq,
  PacketType.Pingresp,
]);
/** Packets whose body begins with a Packet Identifier. */
const IDENTIFIED: ReadonlySet<number> = new Set([
  PacketType.Puback,
  PacketType.Pubrec,
  PacketType.Pubrel,
  PacketType.Pubcomp,
  PacketType.Subscribe,
  PacketType.Suback,
  PacketType.Unsubscribe,
  PacketType.Unsuback,
]);
/** Bytes of a topic that a line shows. */
const TOPIC_BYTES_MAX = 2048;
/** Return codes of CONNACK before MQTT 5. */
const RETURN_CODES = [
  "Accepted",
  "UnacceptableProtocolVersion",
  "IdentifierRejected",
  "ServerUnavailable",
  "BadUserNameOrPassword",
  "NotAuthorized",
];
/** Reason Codes below 0x80 that are called otherwise in these packets than in most. */
const NAMES_OF_OWN: Readonly<Record<number, readonly string[]>> = {
  [PacketType.Suback]: ["GrantedQoS0"],
  [PacketType.Disconnect]: ["NormalDisconnection"],
};
/** Topic Aliases that are followed in one direction. */
const ALIASES_MAX = 1024;

type Fields = Record<string, unknown>;

const spans = newPublishSpans();

/** What every line about the connection says of it. */
export interface PacketSubject {
  readonly level: ProtocolLevel;
  logFields(): object;
}

export class PacketLog {
  private readonly logger: Logger;
  private readonly filter: LineFilter;
  private readonly subject: PacketSubject;
  private readonly incoming = new FrameHeads((head, length, total) => this.line(true, head, length, total));
  private readonly outgoing = new FrameHeads((head, length, total) => this.line(false, head, length, total));
  private readonly aliasesIn = new Map<number, string>();
  private readonly aliasesOut = new Map<number, string>();

  constructor(logger: Logger, filter: LineFilter, subject: PacketSubject) {
    this.logger = logger;
    this.filter = filter;
    this.subject = subject;
  }

  /** Bytes that came; the first ones must begin a packet. */
  received(bytes: Uint8Array, at: number, end: number): void {
    this.incoming.feed(bytes, at, end);
  }

  /** Bytes that the socket has taken; the first ones must begin a packet. */
  sent(bytes: Uint8Array, at: number, end: number): void {
    this.outgoing.feed(bytes, at, end);
  }

  private line(isIncoming: boolean, head: Buffer, length: number, total: number): void {
    const type = head[0]! & 0xf0;
    const rank: LogRank = QUIET.has(type) ? LOG_RANKS.trace : LOG_RANKS.debug;
    const detail = this.detail(isIncoming, type, head, length, total);
    const fields: Fields = {
      ...this.subject.logFields(),
      direction: isIncoming ? "in" : "out",
      packet: NAMES[type] ?? "RESERVED",
      bytes: total,
      ...detail,
    };
    if (rank < this.filter.rankOf(fields)) return;
    const message = `${isIncoming ? "[>] incoming" : "[<] outgoing"} ${String(fields["packet"])}`;
    if (rank === LOG_RANKS.debug) this.logger.debug(fields, message);
    else this.logger.trace?.(fields, message);
  }

  private detail(isIncoming: boolean, type: number, head: Buffer, length: number, total: number): Fields {
    const body = frameBody(head, 0);
    if (type === PacketType.Publish) return this.publish(isIncoming, head, body, length, total);
    const isV5 = this.subject.level === 5;
    if (IDENTIFIED.has(type) && body + 2 <= length) {
      const fields: Fields = { packet_identifier: head.readUInt16BE(body) };
      if (type === PacketType.Subscribe || type === PacketType.Unsubscribe) {
        return { ...fields, ...filtersOf(head, body + 2, length, isV5, type === PacketType.Subscribe) };
      }
      if (type === PacketType.Suback || (type === PacketType.Unsuback && isV5)) {
        const at = isV5 ? propertiesEnd(head, body + 2, length) : body + 2;
        return { ...fields, ...reasons(type, isV5, head, at, length) };
      }
      if (!isV5 || type === PacketType.Unsuback) return fields;
      return { ...fields, ...reason(type, body + 2 < length ? head[body + 2]! : 0) }; // none is Success
    }
    if (type === PacketType.Connect) return connectOf(head, body, length);
    if (type === PacketType.Disconnect || type === PacketType.Auth) {
      return isV5 ? reason(type, body < length ? head[body]! : 0) : {};
    }
    if (type !== PacketType.Connack || body + 2 > length) return {};
    const code = head[body + 1]!;
    const present = { session_present: (head[body]! & 1) === 1 };
    if (isV5) return { ...present, ...reason(type, code) };
    return { ...present, return_code: code, reason: RETURN_CODES[code] ?? String(code) };
  }

  private publish(isIncoming: boolean, head: Buffer, body: number, length: number, total: number): Fields {
    const first = head[0]!;
    const qos = (first >> 1) & 3;
    const fields: Fields = { qos, retain: (first & 1) === 1, dup: (first & 8) !== 0 };
    if (body + 2 > length) return fields;
    const topicEnd = body + 2 + head.readUInt16BE(body);
    let at = topicEnd;
    if (qos > 0 && at + 2 <= length) {
      fields["packet_identifier"] = head.readUInt16BE(at);
      at += 2;
    }
    const isV5 = this.subject.level === 5;
    const payloadAt = isV5 ? propertiesEnd(head, at, length) : at;
    if (at < length || !isV5) fields["payload_bytes"] = Math.max(0, total - payloadAt);
    let topic = head.toString("utf8", body + 2, Math.min(topicEnd, body + 2 + TOPIC_BYTES_MAX, length));
    const isScanned = isV5 && scanPublishProperties(head, at, length, spans) > 0;
    if (isScanned && spans.topicAlias > 0) {
      const aliases = isIncoming ? this.aliasesIn : this.aliasesOut;
      if (topic === "") topic = aliases.get(spans.topicAlias) ?? "";
      else if (aliases.size < ALIASES_MAX) aliases.set(spans.topicAlias, topic);
      fields["topic_alias"] = spans.topicAlias;
    }
    fields["topic"] = topic;
    return fields;
  }
}

function nameOf(type: number, code: number): string {
  return NAMES_OF_OWN[type]?.[code] ?? reasonCodeName(code);
}

function reason(type: number, code: number): Fields {
  return { reason_code: code, reason: nameOf(type, code) };
}

/** What was granted and refused, as far as the packet's head goes. */
function reasons(type: number, isV5: boolean, head: Buffer, at: number, length: number): Fields {
  const codes = [...head.subarray(at, length)];
  const names = codes.map((code) => (!isV5 && code === 0x80 ? "Failure" : nameOf(type, code)));
  return { reason_codes: codes, reasons: names };
}

/** What CONNECT asks for, §3.1.2: nothing of its payload, which holds secrets. */
function connectOf(head: Buffer, body: number, length: number): Fields {
  const at = body + 2 + (body + 2 <= length ? head.readUInt16BE(body) : 0);
  if (at + 4 > length) return {};
  const flags = head[at + 1]!;
  const hasWill = (flags & 4) !== 0;
  return {
    protocol_level: head[at],
    clean_start: (flags & 2) !== 0,
    keep_alive_seconds: head.readUInt16BE(at + 2),
    has_username: (flags & 0x80) !== 0,
    has_password: (flags & 0x40) !== 0,
    ...(hasWill ? { will_qos: (flags >> 3) & 3, will_retain: (flags & 0x20) !== 0 } : {}),
  };
}

/** Where the Properties at `at` end, which may be behind `length`. */
function propertiesEnd(head: Buffer, at: number, length: number): number {
  let position = at;
  let properties = 0;
  for (let shift = 0; position < length; shift += 7) {
    const byte = head[position++]!;
    properties += (byte & 127) << shift;
    if (byte < 128 || shift === 21) break;
  }
  return position + properties;
}

/** The filters of a SUBSCRIBE or UNSUBSCRIBE, and what is asked for them, as far as its head goes. */
function filtersOf(head: Buffer, at: number, length: number, isV5: boolean, hasOptions: boolean): Fields {
  const filters: string[] = [];
  const qos: number[] = [];
  let position = isV5 ? propertiesEnd(head, at, length) : at;
  while (position + 2 <= length) {
    const end = position + 2 + head.readUInt16BE(position);
    if (end + (hasOptions ? 1 : 0) > length) break;
    filters.push(head.toString("utf8", position + 2, end));
    if (hasOptions) qos.push(head[end]! & 3);
    position = end + (hasOptions ? 1 : 0);
  }
  return hasOptions ? { filters, requested_qos: qos } : { filters };
}
