// Commands: what each control packet of a client that is connected does. The connection has read it whole; a packet
// that breaks the protocol ends its own connection with the statement's Reason Code and touches nobody else.

import type { ByteWriter } from "../base/byteWriter.ts";
import { decodeAck, newAck } from "../packet/ack.ts";
import { decodeAuth, decodeDisconnect } from "../packet/disconnect.ts";
import { writePingresp, writeSuback, writeUnsuback } from "../packet/encode.ts";
import { errorOfCode, errors, isMqttError } from "../packet/error.ts";
import { PacketType } from "../packet/frame.ts";
import type { AckType } from "../packet/protocol.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { decodeSubscribe, decodeUnsubscribe } from "../packet/subscribe.ts";
import type { Session } from "../session/session.ts";
import { CloseCause } from "./closeCause.ts";
import type { Connection } from "./connection.ts";

/** Types whose fixed header flags are 0010; all others' are 0000. */
const FLAGGED = new Set<number>([PacketType.Pubrel, PacketType.Subscribe, PacketType.Unsubscribe]);

const ack = newAck();

/** Carries out the packet whose first byte is `first` and whose body is chunk[body..end). Answers go to `out`. */
export function command(
  connection: Connection,
  session: Session,
  first: number,
  chunk: Buffer,
  body: number,
  end: number,
  out: ByteWriter,
): void {
  const type = first & 0xf0;
  const flags = connection.level === 3 && FLAGGED.has(type) ? first & 7 : first & 15; // 3.1 may set DUP
  if (flags !== (FLAGGED.has(type) ? 2 : 0)) {
    connection.fail(errors.reservedFlags); // [MQTT-2.1.3-1]
    return;
  }
  switch (type) {
    case PacketType.Puback:
    case PacketType.Pubrec:
    case PacketType.Pubrel:
    case PacketType.Pubcomp:
      acknowledge(connection, session, type, chunk, body, end, out);
      return;
    case PacketType.Pingreq:
      if (body !== end) connection.fail(errors.trailingBytes);
      else {
        writePingresp(out);
        connection.host.router.stats.sends(PacketType.Pingresp);
      }
      return;
    case PacketType.Subscribe:
      subscribe(connection, session, chunk, body, end, out);
      return;
    case PacketType.Unsubscribe:
      unsubscribe(connection, session, chunk, body, end, out);
      return;
    case PacketType.Disconnect:
      connection.flush(out);
      disconnect(connection, session, chunk, body, end);
      return;
    case PacketType.Auth: {
      const auth = decodeAuth(connection.level, chunk, body, end);
      connection.flush(out);
      if (connection.authentication !== null) connection.authentication.auth(auth);
      else connection.fail(isMqttError(auth) ? auth : errors.authNotStarted); // [MQTT-4.12.0-6]
      return;
    }
    case PacketType.Connect:
      connection.fail(errors.secondConnect); // [MQTT-3.1.0-2]
      return;
    default:
      connection.fail(type === 0 ? errors.reservedPacketType : errors.notFromClient);
  }
}

function acknowledge(
  connection: Connection,
  session: Session,
  type: AckType,
  chunk: Buffer,
  body: number,
  end: number,
  out: ByteWriter,
): void {
  const code = decodeAck(connection.level, type, chunk, body, end, ack);
  if (code < 0) {
    connection.fail(errorOfCode(code));
    return;
  }
  const { acknowledgements } = connection.host.router;
  const identifier = ack.packetIdentifier;
  if (type === PacketType.Puback) acknowledgements.puback(session, identifier);
  else if (type === PacketType.Pubrec) acknowledgements.pubrec(session, identifier, ack.reason, out);
  else if (type === PacketType.Pubcomp) acknowledgements.pubcomp(session, identifier);
  else {
    const known = connection.publisher!.released(identifier); // [MQTT-4.3.3-12]
    const unknown = !known && connection.level === 5;
    out.u16(PacketType.Pubcomp * 256 + (unknown ? 3 : 2));
    out.u16(identifier);
    connection.host.router.stats.sends(PacketType.Pubcomp);
    if (unknown) out.u8(ReasonCode.PacketIdentifierNotFound);
  }
}

function subscribe(
  connection: Connection,
  session: Session,
  chunk: Buffer,
  body: number,
  end: number,
  out: ByteWriter,
): void {
  const packet = decodeSubscribe(connection.level, chunk, body, end);
  if (isMqttError(packet)) {
    connection.fail(packet);
    return;
  }
  const { observer, router } = connection.host;
  const { entries, subscriptionIdentifier, packetIdentifier } = packet;
  const { listener } = connection;
  const codes = router.subscriptions.subscribe(session, entries, subscriptionIdentifier, listener);
  if (writeSuback(out, connection.level, packetIdentifier, codes, undefined, session.frameMax)) {
    router.stats.sends(PacketType.Suback);
    observer?.subscribed(connection, entries, codes);
  } else connection.fail(errors.packetTooLarge);
}

function unsubscribe(
  connection: Connection,
  session: Session,
  chunk: Buffer,
  body: number,
  end: number,
  out: ByteWriter,
): void {
  const packet = decodeUnsubscribe(connection.level, chunk, body, end);
  if (isMqttError(packet)) {
    connection.fail(packet);
    return;
  }
  const codes = connection.host.router.subscriptions.unsubscribe(session, packet.filters);
  if (writeUnsuback(out, connection.level, packet.packetIdentifier, codes, undefined, session.frameMax))
    connection.host.router.stats.sends(PacketType.Unsuback);
  else connection.fail(errors.packetTooLarge);
}

function disconnect(
  connection: Connection,
  session: Session,
  chunk: Buffer,
  body: number,
  end: number,
): void {
  const packet = decodeDisconnect(connection.level, chunk, body, end);
  if (isMqttError(packet)) {
    connection.fail(packet);
    return;
  }
  const { sessionExpiryInterval: expiry } = packet.properties;
  if (expiry !== undefined) {
    if (session.expiryInterval === 0 && expiry !== 0) {
      connection.fail(errors.sessionExpiryFromZero); // [MQTT-3.1.2-23]
      return;
    }
    session.expiryInterval = Math.min(expiry, connection.listener.sessionExpiryMax);
  }
  if (packet.reason === ReasonCode.NormalDisconnection) session.will = null; // [MQTT-3.14.4-3]
  connection.close({ ...CloseCause.disconnect, reason: packet.reason });
}
