// Handshake: what CONNECT may ask for, what CONNACK promises. Refusals carry their code before the close.

import { writeConnack } from "../packet/encode.ts";
import { type Connect, connectLevel } from "../packet/connect.ts";
import { errors, type MqttError } from "../packet/error.ts";
import type { Properties } from "../packet/properties.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { EXPIRY_NEVER } from "../session/session.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import { CloseCause } from "./closeCause.ts";
import type { ListenerSettings } from "./settings.ts";

const PACKET_UNLIMITED = 0xffff_ffff;
const LEVEL_UNKNOWN = 0;
/** Topic Aliases that one client is told; topics beyond them are sent in full. */
const OUTGOING_ALIASES_MAX = 64;

/** A broken CONNECT is answered in the protocol level that it names. */
export function answerConnect(connection: Connection, chunk: Buffer, body: number, end: number): void {
  const level = connectLevel(chunk, body, end);
  connection.level = level === LEVEL_UNKNOWN ? 4 : level;
}

/** CONNACK with the error's code, then the close. A first packet that is no CONNECT gets no answer. */
export function refuse(connection: Connection, error: MqttError): void {
  if (connection.state !== ConnectionState.AwaitConnect) return;
  if (error !== errors.firstNotConnect) {
    const { out } = connection.host;
    const from = out.length;
    writeConnack(out, connection.level, false, error.reason);
    if (out.length > from) connection.outbound.write(out.bytes, from, out.length - from);
    out.length = from;
  }
  const { reason, statement, message } = error;
  connection.close({ ...CloseCause.refused, reason, statement, message });
}

/** Opens or resumes the session and answers, or refuses. */
export function accept(connection: Connection, connect: Connect): void {
  const { listener, host } = connection;
  connection.level = connect.level;
  const error = objection(connection, connect);
  if (error !== null) {
    refuse(connection, error);
    return;
  }
  const v5 = connect.level === 5;
  const { properties } = connect;
  const assigned = connect.clientIdentifier === "" ? host.assignIdentifier() : "";
  const asked = v5 ? (properties.sessionExpiryInterval ?? 0) : connect.cleanStart ? 0 : EXPIRY_NEVER;
  const expiry = Math.min(asked, listener.sessionExpiryMax);
  const resumed = host.router.open(assigned || connect.clientIdentifier, connect.cleanStart, connection, {
    level: connect.level,
    window: Math.min(properties.receiveMaximum ?? 65_535, listener.inflightMax), // [MQTT-3.3.4-7]
    frameMax: properties.maximumPacketSize ?? PACKET_UNLIMITED,
    aliasMax: Math.min(properties.topicAliasMaximum ?? 0, OUTGOING_ALIASES_MAX),
    expiryInterval: expiry,
    queueMessagesMax: listener.queueMessagesMax,
    queueBytesMax: listener.queueBytesMax,
    owner: "",
    rights: null,
  });
  if (resumed === null) {
    refuse(connection, errors.quotaExceeded);
    return;
  }
  const { session, present } = resumed;
  session.will = connect.will ?? null;
  connection.session = session;
  connection.problemInformation = properties.requestProblemInformation ?? true;
  connection.publisher = host.router.publisher(session, {
    v5,
    packetBytesMax: listener.packetBytesMax,
    payloadBytesMax: listener.payloadBytesMax,
    qosMax: listener.qosMax,
    retainAvailable: listener.retainAvailable,
    topicAliasMaximum: listener.topicAliasMaximum,
    receiveMaximum: listener.receiveMaximum,
  });
  const keepAlive = keepAliveOf(connect, listener);
  connection.setKeepAlive(keepAlive);
  const answer = v5 ? promises(listener, connect, assigned, keepAlive, expiry) : undefined;
  const { out } = host;
  const from = out.length;
  if (!writeConnack(out, connect.level, present, ReasonCode.Success, answer, session.frameMax)) {
    connection.close(CloseCause.refused);
    return;
  }
  connection.state = ConnectionState.Connected;
  connection.sendControl(out.bytes, from, out.length - from); // [MQTT-3.2.0-1]
  out.length = from;
  host.connected(connection);
  host.router.sessions.start(session);
}

/** Why the client may not come in, null if it may. */
function objection(connection: Connection, connect: Connect): MqttError | null {
  const { listener, host } = connection;
  if (!listener.versions.includes(connect.level)) return errors.protocolVersionUnsupported; // [MQTT-3.1.2-2]
  if (connect.properties.authenticationMethod !== undefined) return errors.badAuthenticationMethod; // [MQTT-4.12.0-1]
  if (connect.clientIdentifier === "") {
    const mayBeAssigned = connect.level === 5 || (connect.level === 4 && connect.cleanStart);
    if (!mayBeAssigned || !listener.emptyClientIdentifier) return errors.clientIdentifierEmpty; // [3.1.1:MQTT-3.1.3-8]
  }
  if (!authenticated(listener, connect)) return errors.badUserNameOrPassword;
  if (connect.will !== undefined) {
    if (connect.will.qos > listener.qosMax) return errors.willQosNotSupported; // [MQTT-3.2.2-12]
    if (connect.will.retain && !listener.retainAvailable) return errors.willRetainNotSupported; // [MQTT-3.2.2-13]
  }
  const { router } = host;
  if (router.stats.connections >= host.connectionsMax) {
    const takesOver = router.sessions.get(connect.clientIdentifier)?.port ?? null;
    if (takesOver === null) return errors.quotaExceeded;
  }
  return null;
}

function authenticated(listener: ListenerSettings, connect: Connect): boolean {
  if (listener.users === null) return true;
  const expected = listener.users.get(connect.userName ?? "");
  const given = connect.password ?? new Uint8Array(0);
  return expected !== undefined && sameBytes(Buffer.from(expected), given);
}

/** Compares in time that depends on the lengths only. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

/** A v3 client's own Keep Alive stands: it cannot be told another. */
function keepAliveOf(connect: Connect, listener: ListenerSettings): number {
  const { keepAlive } = connect;
  if (connect.level !== 5 || listener.keepAliveMax === 0) return keepAlive;
  return keepAlive === 0 ? listener.keepAliveMax : Math.min(keepAlive, listener.keepAliveMax);
}

/** The CONNACK properties: what differs from what the specification lets a client assume. */
function promises(
  listener: ListenerSettings,
  connect: Connect,
  assigned: string,
  keepAlive: number,
  expiry: number,
): Properties {
  const properties: Properties = {};
  if (expiry !== (connect.properties.sessionExpiryInterval ?? 0)) properties.sessionExpiryInterval = expiry;
  if (listener.receiveMaximum < 65_535) properties.receiveMaximum = listener.receiveMaximum;
  if (listener.qosMax < 2) properties.maximumQoS = listener.qosMax as 0 | 1;
  if (!listener.retainAvailable) properties.retainAvailable = false;
  properties.maximumPacketSize = listener.packetBytesMax;
  if (assigned !== "") properties.assignedClientIdentifier = assigned; // [MQTT-3.1.3-6]
  if (listener.topicAliasMaximum > 0) properties.topicAliasMaximum = listener.topicAliasMaximum;
  if (!listener.wildcardAvailable) properties.wildcardSubscriptionAvailable = false;
  if (!listener.identifiersAvailable) properties.subscriptionIdentifiersAvailable = false;
  if (!listener.sharedAvailable) properties.sharedSubscriptionAvailable = false;
  if (keepAlive !== connect.keepAlive) properties.serverKeepAlive = keepAlive; // [MQTT-3.1.2-21]
  return properties;
}
