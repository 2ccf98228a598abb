// Handshake: what CONNECT may ask for, what CONNACK promises. Refusals carry their code before the close.

import { writeConnack } from "../packet/encode.ts";
import { type Connect, connectLevel } from "../packet/connect.ts";
import { errors, type MqttError } from "../packet/error.ts";
import { PacketType } from "../packet/frame.ts";
import type { Properties } from "../packet/properties.ts";
import { ReasonCode } from "../packet/reasonCode.ts";
import { EXPIRY_NEVER } from "../session/session.ts";
import { type Grant, identityOf } from "./access.ts";
import { CloseCause } from "./closeCause.ts";
import type { Connection } from "./connection.ts";
import { ConnectionState } from "./connectionState.ts";
import { isIdentifierAllowed, isIdentifierOf, limitDepth } from "./limits.ts";
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

/**
 * CONNACK with the error's code, then the close. A first packet that is no CONNECT gets no answer. `detail` is for the
 * log alone.
 */
export function refuse(connection: Connection, error: MqttError, detail?: string, cause?: string): void {
  if (connection.state >= ConnectionState.Connected) return;
  const { out, stats, router } = connection.host;
  if (error !== errors.firstNotConnect && !connection.outbound.owes) {
    const from = out.length;
    writeConnack(out, connection.level, false, error.reason);
    if (out.length > from) {
      router.stats.sends(PacketType.Connack);
      connection.outbound.write(out.bytes, from, out.length - from);
    }
    out.length = from;
  }
  connection.isRefused = true;
  stats.refuse(connection.listener.section, error.reason);
  const { reason, statement, message } = error;
  const closed = { cause: cause ?? CloseCause.refused.cause, reason, statement, message };
  connection.close(detail === undefined ? closed : { ...closed, detail });
}

/** Why the client may not come in, whoever it is; null if nothing speaks against it. */
export function objection(connection: Connection, connect: Connect): MqttError | null {
  const { listener } = connection;
  if (connection.refusal !== null) return connection.refusal;
  if (!listener.versions.includes(connect.level)) return errors.protocolVersionUnsupported; // [MQTT-3.1.2-2]
  if (connect.clientIdentifier === "") {
    const mayBeAssigned = connect.level === 5 || (connect.level === 4 && connect.cleanStart);
    if (!mayBeAssigned || !listener.emptyClientIdentifier) return errors.clientIdentifierEmpty; // [3.1.1:MQTT-3.1.3-8]
  } else if (!isIdentifierAllowed(connect.clientIdentifier, listener.limits)) {
    return errors.clientIdentifierNotValid; // [MQTT-3.1.3-8]
  }
  if (connect.will !== undefined) {
    if (connect.will.qos > listener.qosMax) return errors.willQosNotSupported; // [MQTT-3.2.2-12]
    if (connect.will.retain && !listener.retainAvailable) return errors.willRetainNotSupported; // [MQTT-3.2.2-13]
  }
  if (isFull(connection, connect.clientIdentifier)) return errors.quotaExceeded;
  const { host } = connection;
  const former = host.router.sessions.get(connect.clientIdentifier)?.port ?? null;
  return host.count(connection, former) ? null : errors.quotaExceeded;
}

/** There is no place for one more client, and this one ends nobody's connection. */
function isFull({ host }: Connection, clientIdentifier: string): boolean {
  const { router } = host;
  if (router.stats.connections < host.connectionsMax) return false;
  return (router.sessions.get(clientIdentifier)?.port ?? null) === null;
}

interface Objection {
  readonly error: MqttError;
  /** For the log. */
  readonly detail?: string;
}

/** Why the client may not come in, being who it is; null if it may. */
function personalObjection(connection: Connection, connect: Connect, grant: Grant): Objection | null {
  const { clientIdentifier, host, listener } = connection;
  const { userName } = grant;
  const { limits } = listener;
  const identity = identityOf(grant);
  const known = host.router.sessions.get(clientIdentifier);
  if (known !== undefined && known.owner !== identity) {
    return { error: errors.notAuthorized, detail: "the session belongs to another user" };
  }
  const isChosen = connect.clientIdentifier !== "" && !host.isAssigned(clientIdentifier);
  if (isChosen && !isIdentifierOf(userName, clientIdentifier, limits.identifierBinding)) {
    const detail = "the Client Identifier is not one for this user name";
    return { error: errors.clientIdentifierNotValid, detail };
  }
  const rights = limitDepth(grant.rights, limits.topicLevels);
  if (connect.will !== undefined) {
    const { topic } = connect.will;
    if (!(rights?.mayPublish(topic) ?? true) || host.router.filters.isReserved(topic))
      return { error: errors.notAuthorized, detail: "the Will may not be published" };
  }
  const takesOver = known !== undefined && known.port !== null;
  if (userName !== "" && host.users.of(identity) - (takesOver ? 1 : 0) >= limits.connectionsPerUser) {
    return { error: errors.quotaExceeded, detail: "the user has as many connections as it may have" };
  }
  return isFull(connection, clientIdentifier) ? { error: errors.quotaExceeded } : null;
}

/** Opens or resumes the session and answers, or refuses. `data` ends an exchange of authentication. */
export function admit(connection: Connection, connect: Connect, grant: Grant, data: Uint8Array): void {
  const { listener, host } = connection;
  const { limits } = listener;
  const objected = personalObjection(connection, connect, grant);
  if (objected !== null) {
    refuse(connection, objected.error, objected.detail);
    return;
  }
  const v5 = connect.level === 5;
  const { properties } = connect;
  const asked = v5 ? (properties.sessionExpiryInterval ?? 0) : connect.cleanStart ? 0 : EXPIRY_NEVER;
  const expiry = Math.min(asked, listener.sessionExpiryMax);
  const resumed = host.router.open(connection.clientIdentifier, connect.cleanStart, connection, {
    level: connect.level,
    window: Math.min(properties.receiveMaximum ?? 65_535, listener.inflightMax), // [MQTT-3.3.4-7]
    frameMax: properties.maximumPacketSize ?? PACKET_UNLIMITED,
    aliasMax: Math.min(properties.topicAliasMaximum ?? 0, OUTGOING_ALIASES_MAX),
    expiryInterval: expiry,
    queueMessagesMax: listener.queueMessagesMax,
    queueBytesMax: listener.queueBytesMax,
    owner: identityOf(grant),
    will: connect.will ?? null,
    rights: limitDepth(grant.rights, limits.topicLevels),
  });
  if (resumed === null) {
    refuse(connection, errors.quotaExceeded);
    return;
  }
  const { session, present } = resumed;
  connection.session = session;
  if (grant.userName !== "") host.users.add(session.owner);
  connection.problemInformation = properties.requestProblemInformation ?? true;
  connection.publisher = host.router.publisher(session, {
    v5,
    packetBytesMax: listener.packetBytesMax,
    payloadBytesMax: listener.payloadBytesMax,
    qosMax: listener.qosMax,
    retainAvailable: listener.retainAvailable,
    topicAliasMaximum: listener.topicAliasMaximum,
    receiveMaximum: listener.receiveMaximum,
    retainedMax: limits.retainedMessages,
  });
  connection.inbound.limitRate(limits);
  const keepAlive = keepAliveOf(connect, listener);
  connection.setKeepAlive(keepAlive);
  const answer = v5 ? promises(connection, connect, keepAlive, expiry, data) : undefined;
  const { out } = host;
  const from = out.length;
  const fits = writeConnack(out, connect.level, present, ReasonCode.Success, answer, session.frameMax);
  const length = out.length - from;
  out.length = from;
  if (!fits) {
    session.will = null;
    connection.close(CloseCause.refused);
    return;
  }
  connection.state = ConnectionState.Connected;
  host.router.stats.sends(PacketType.Connack);
  connection.sendControl(out.bytes, from, length); // [MQTT-3.2.0-1]
  host.connected(connection);
  host.router.sessions.start(session);
}

/** A connected client has other rights from now on. One that loses a subscription by them is told, and closed. */
export function applyGrant(connection: Connection, grant: Grant): void {
  const { session, listener, host } = connection;
  if (session === null) return;
  const rights = limitDepth(grant.rights, listener.limits.topicLevels);
  if (session.will !== null && rights !== null && !rights.mayPublish(session.will.topic)) session.will = null;
  if (session.rights === rights) return;
  session.rights = rights;
  if (host.router.rightsChanged(session)) connection.fail(errors.subscriptionNotAuthorized);
}

/** A v3 client's own Keep Alive stands: it cannot be told another. */
function keepAliveOf(connect: Connect, listener: ListenerSettings): number {
  const { keepAlive } = connect;
  if (connect.level !== 5 || listener.keepAliveMax === 0) return keepAlive;
  return keepAlive === 0 ? listener.keepAliveMax : Math.min(keepAlive, listener.keepAliveMax);
}

/** The CONNACK properties: what differs from what the specification lets a client assume. */
function promises(
  connection: Connection,
  connect: Connect,
  keepAlive: number,
  expiry: number,
  data: Uint8Array,
): Properties {
  const { listener, authentication } = connection;
  const properties: Properties = {};
  if (expiry !== (connect.properties.sessionExpiryInterval ?? 0)) properties.sessionExpiryInterval = expiry;
  if (listener.receiveMaximum < 65_535) properties.receiveMaximum = listener.receiveMaximum;
  if (listener.qosMax < 2) properties.maximumQoS = listener.qosMax as 0 | 1;
  if (!listener.retainAvailable) properties.retainAvailable = false;
  properties.maximumPacketSize = listener.packetBytesMax;
  if (connect.clientIdentifier === "") {
    properties.assignedClientIdentifier = connection.clientIdentifier; // [MQTT-3.1.3-6]
  }
  if (listener.topicAliasMaximum > 0) properties.topicAliasMaximum = listener.topicAliasMaximum;
  if (!listener.wildcardAvailable) properties.wildcardSubscriptionAvailable = false;
  if (!listener.identifiersAvailable) properties.subscriptionIdentifiersAvailable = false;
  if (!listener.sharedAvailable) properties.sharedSubscriptionAvailable = false;
  if (keepAlive !== connect.keepAlive) properties.serverKeepAlive = keepAlive; // [MQTT-3.1.2-21]
  const method = authentication?.method;
  if (method !== undefined) {
    properties.authenticationMethod = method; // [MQTT-4.12.0-5]
    if (data.length > 0) properties.authenticationData = data;
  }
  return properties;
}
