// Every way in which a peer can break the protocol: the Reason Code to answer with, the statement that it
// breaks and one sentence for the log. The errors are frozen and made once, so returning one allocates
// nothing. Decoders that return an object return the error in its place; decoders that return a position
// return the error's `code`, which is negative.

import { ReasonCode } from "./reasonCode.ts";

export interface MqttError {
  /** Reason Code for CONNACK or DISCONNECT, 0x80.. */
  readonly reason: number;
  /**
   * "MQTT-3.3.1-4", "3.1.1:MQTT-3.1.2-22" where only 3.1.1 has it, or a section where nothing is numbered.
   */
  readonly statement: string;
  readonly message: string;
  /** Negative and unique: what hot functions return instead of the object. Stable only within one process. */
  readonly code: number;
}

/**
 * Codes run from here downwards, clear of the small negative statuses that hot functions have of their own.
 */
const CODE_FIRST = -100;
const byCode: MqttError[] = [];

/** For this table and for the rows of other layers; call it while a module loads, never per packet. */
export function mqttError(reason: number, statement: string, message: string): MqttError {
  const error = Object.freeze({ reason, statement, message, code: CODE_FIRST - byCode.length });
  byCode.push(error);
  return error;
}

export function isMqttError(value: unknown): value is MqttError {
  return typeof value === "object" && value !== null && "statement" in value && "reason" in value;
}

/**
 * The error that a hot function's negative result names; any number that names none is an unspecified error.
 */
export function errorOfCode(code: number): MqttError {
  return byCode[CODE_FIRST - code] ?? errors.unspecified;
}

const malformed = (statement: string, message: string) =>
  mqttError(ReasonCode.MalformedPacket, statement, message);
const violation = (statement: string, message: string) =>
  mqttError(ReasonCode.ProtocolError, statement, message);

export const errors = Object.freeze({
  unspecified: mqttError(ReasonCode.UnspecifiedError, "§4.13", "unspecified error"),

  // The fixed header and what all packets share.
  truncated: malformed("§1.2", "a field runs past the end of its packet"),
  trailingBytes: malformed("§1.2", "bytes are left over after the last field"),
  reservedFlags: malformed("MQTT-2.1.3-1", "reserved fixed header flags have the wrong value"),
  remainingLengthTooLong: malformed("§2.1.4", "Remaining Length has a fifth byte"),
  varintTooLong: malformed("§1.5.5", "Variable Byte Integer has a fifth byte"),
  varintOverlong: malformed("MQTT-1.5.5-1", "Variable Byte Integer has more bytes than it needs"),
  reservedPacketType: malformed("§2.1.2", "packet type 0 is reserved"),
  authBeforeMqtt5: malformed("§2.1.2", "packet type 15 is reserved before MQTT 5"),
  utf8NotValid: malformed("MQTT-1.5.4-1", "string is not well-formed UTF-8"),
  utf8Null: malformed("MQTT-1.5.4-2", "string holds U+0000"),
  packetIdentifierZero: violation("MQTT-2.2.1-3", "Packet Identifier is 0"),
  ackIdentifierZero: violation("MQTT-2.2.1-5", "acknowledged Packet Identifier is 0"),
  packetIdentifierInUse: mqttError(
    ReasonCode.PacketIdentifierInUse,
    "MQTT-2.2.1-3",
    "Packet Identifier is already in use",
  ),
  packetTooLarge: mqttError(
    ReasonCode.PacketTooLarge,
    "MQTT-3.2.2-15",
    "packet is larger than the Maximum Packet Size",
  ),
  notFromClient: violation("§2.1.2", "a client never sends this packet type"),
  firstNotConnect: violation("MQTT-3.1.0-1", "first packet is not CONNECT"),
  secondConnect: violation("MQTT-3.1.0-2", "second CONNECT on one Network Connection"),
  packetBeforeConnack: violation("MQTT-3.1.2-30", "only AUTH and DISCONNECT may come before CONNACK"),

  // Properties.
  propertyUnknown: malformed("§2.2.2.2", "property does not exist"),
  propertyNotAllowed: malformed("§2.2.2.2", "property is not for this packet"),
  propertyRepeated: violation("§2.2.2.2", "property is there more than once"),
  propertiesOverrun: malformed("§2.2.2.1", "Property Length runs past the end of the packet"),
  propertyTruncated: malformed("§2.2.2.1", "property runs past the Property Length"),
  propertyOutOfRange: violation("§2.2.2.2", "property has a value that it must not have"),
  receiveMaximumZero: violation("§3.1.2.11.3", "Receive Maximum is 0"),
  maximumPacketSizeZero: violation("§3.1.2.11.4", "Maximum Packet Size is 0"),
  subscriptionIdentifierZero: violation("§3.8.2.1.2", "Subscription Identifier is 0"),
  authenticationDataAlone: violation("§3.1.2.11.10", "Authentication Data without Authentication Method"),

  // CONNECT.
  protocolNameUnknown: mqttError(
    ReasonCode.UnsupportedProtocolVersion,
    "MQTT-3.1.2-1",
    "Protocol Name is neither MQTT nor MQIsdp",
  ),
  protocolVersionUnsupported: mqttError(
    ReasonCode.UnsupportedProtocolVersion,
    "MQTT-3.1.2-2",
    "Protocol Version is not supported",
  ),
  connectReservedFlag: malformed("MQTT-3.1.2-3", "reserved CONNECT flag is set"),
  willQosWithoutWill: malformed("MQTT-3.1.2-11", "Will QoS without Will Flag"),
  willQosOutOfRange: malformed("MQTT-3.1.2-12", "Will QoS is 3"),
  willRetainWithoutWill: malformed("MQTT-3.1.2-13", "Will Retain without Will Flag"),
  passwordWithoutUserName: malformed("3.1.1:MQTT-3.1.2-22", "Password Flag without User Name Flag"),
  willTopicInvalid: mqttError(
    ReasonCode.TopicNameInvalid,
    "MQTT-3.3.2-2",
    "Will Topic is empty or holds a wildcard",
  ),
  clientIdentifierEmpty: mqttError(
    ReasonCode.ClientIdentifierNotValid,
    "3.1.1:MQTT-3.1.3-8",
    "Client Identifier is empty and the Session is to be kept",
  ),
  clientIdentifierNotValid: mqttError(
    ReasonCode.ClientIdentifierNotValid,
    "MQTT-3.1.3-8",
    "Client Identifier is not accepted",
  ),
  badUserNameOrPassword: mqttError(
    ReasonCode.BadUserNameOrPassword,
    "§3.1.4",
    "User Name or Password is wrong",
  ),
  notAuthorized: mqttError(ReasonCode.NotAuthorized, "§3.1.4", "client is not authorized"),
  banned: mqttError(ReasonCode.Banned, "§3.2.2.2", "client is banned"),
  badAuthenticationMethod: mqttError(
    ReasonCode.BadAuthenticationMethod,
    "§4.12",
    "Authentication Method is not supported",
  ),
  authenticationMethodChanged: violation("MQTT-4.12.0-5", "Authentication Method is not CONNECT's"),
  sessionTakenOver: mqttError(
    ReasonCode.SessionTakenOver,
    "MQTT-3.1.4-3",
    "another Network Connection uses the Client Identifier",
  ),
  keepAliveTimeout: mqttError(
    ReasonCode.KeepAliveTimeout,
    "MQTT-3.1.2-22",
    "nothing came for one and a half times the Keep Alive",
  ),

  // PUBLISH.
  qosOutOfRange: malformed("MQTT-3.3.1-4", "PUBLISH QoS bits are both 1"),
  dupWithQos0: malformed("MQTT-3.3.1-2", "DUP is set with QoS 0"),
  topicEmpty: violation("§3.3.2.1", "Topic Name is empty and there is no Topic Alias"),
  topicWildcard: mqttError(ReasonCode.TopicNameInvalid, "MQTT-3.3.2-2", "Topic Name holds a wildcard"),
  topicAliasZero: mqttError(ReasonCode.TopicAliasInvalid, "MQTT-3.3.2-8", "Topic Alias is 0"),
  topicAliasTooLarge: mqttError(
    ReasonCode.TopicAliasInvalid,
    "MQTT-3.3.2-9",
    "Topic Alias is larger than the Topic Alias Maximum",
  ),
  topicAliasUnknown: violation("§3.3.2.3.4", "Topic Alias was never given a Topic Name"),
  subscriptionIdentifierInPublish: violation(
    "MQTT-3.3.4-6",
    "a client's PUBLISH has a Subscription Identifier",
  ),
  responseTopicWildcard: violation("MQTT-3.3.2-14", "Response Topic holds a wildcard"),
  receiveMaximumExceeded: mqttError(
    ReasonCode.ReceiveMaximumExceeded,
    "MQTT-3.3.4-7",
    "more QoS 1 and 2 messages in flight than the Receive Maximum",
  ),
  qosNotSupported: mqttError(
    ReasonCode.QoSNotSupported,
    "MQTT-3.2.2-11",
    "QoS is higher than the Maximum QoS",
  ),
  willQosNotSupported: mqttError(
    ReasonCode.QoSNotSupported,
    "MQTT-3.2.2-12",
    "Will QoS is higher than the Maximum QoS",
  ),
  retainNotSupported: mqttError(
    ReasonCode.RetainNotSupported,
    "MQTT-3.2.2-14",
    "retained messages are not supported",
  ),
  willRetainNotSupported: mqttError(
    ReasonCode.RetainNotSupported,
    "MQTT-3.2.2-13",
    "Will Retain is set and retained messages are not supported",
  ),
  publishNotAuthorized: mqttError(
    ReasonCode.NotAuthorized,
    "3.1.1:MQTT-3.3.5-2",
    "client may not publish to the topic",
  ),
  subscriptionNotAuthorized: mqttError(
    ReasonCode.NotAuthorized,
    "§4.13",
    "client may not have a subscription that it has any more",
  ),
  payloadFormatInvalid: mqttError(
    ReasonCode.PayloadFormatInvalid,
    "§3.3.2.3.2",
    "payload is not the UTF-8 that it is said to be",
  ),
  quotaExceeded: mqttError(ReasonCode.QuotaExceeded, "§4.13", "a quota is used up"),
  messageRateTooHigh: mqttError(ReasonCode.MessageRateTooHigh, "§4.13", "messages come too fast"),

  // PUBACK, PUBREC, PUBREL, PUBCOMP.
  pubackReason: violation("MQTT-3.4.2-1", "PUBACK has a Reason Code that is not for it"),
  pubrecReason: violation("MQTT-3.5.2-1", "PUBREC has a Reason Code that is not for it"),
  pubrelReason: violation("MQTT-3.6.2-1", "PUBREL has a Reason Code that is not for it"),
  pubcompReason: violation("MQTT-3.7.2-1", "PUBCOMP has a Reason Code that is not for it"),

  // SUBSCRIBE and UNSUBSCRIBE.
  subscribeEmpty: violation("MQTT-3.8.3-2", "SUBSCRIBE has no Topic Filter"),
  noLocalOnShared: violation("MQTT-3.8.3-4", "No Local on a Shared Subscription"),
  subscribeReservedBits: malformed("MQTT-3.8.3-5", "reserved Subscription Options bits are set"),
  subscribeQosOutOfRange: violation("§3.8.3.1", "requested QoS is 3"),
  retainHandlingOutOfRange: violation("§3.8.3.1", "Retain Handling is 3"),
  unsubscribeEmpty: violation("MQTT-3.10.3-2", "UNSUBSCRIBE has no Topic Filter"),
  topicFilterInvalid: mqttError(ReasonCode.TopicFilterInvalid, "§4.7.1", "Topic Filter is not valid"),

  // DISCONNECT and AUTH.
  disconnectReason: violation("MQTT-3.14.2-1", "DISCONNECT has a Reason Code that is not a client's"),
  sessionExpiryFromZero: violation(
    "§3.14.2.2.2",
    "DISCONNECT sets a Session Expiry Interval that CONNECT had at 0",
  ),
  authReason: violation("MQTT-3.15.2-1", "AUTH has a Reason Code that is not a client's"),
  authMethodMissing: violation("§3.15.2.2.2", "AUTH has no Authentication Method"),
  authNotStarted: violation("MQTT-4.12.0-7", "AUTH without an Authentication Method in CONNECT"),
  serverShuttingDown: mqttError(ReasonCode.ServerShuttingDown, "§4.13", "server is shutting down"),
  serverUnavailable: mqttError(ReasonCode.ServerUnavailable, "§3.2.2.2", "server is unavailable"),
  connectionRateExceeded: mqttError(
    ReasonCode.ConnectionRateExceeded,
    "§3.2.2.2",
    "connections come too fast",
  ),
  maximumConnectTime: mqttError(
    ReasonCode.MaximumConnectTime,
    "§3.14.2.1",
    "the time that the client was let in for is over",
  ),
  serverBusy: mqttError(ReasonCode.ServerBusy, "§4.13", "server is busy"),
  administrativeAction: mqttError(ReasonCode.AdministrativeAction, "§4.13", "closed by an administrator"),
} satisfies Record<string, MqttError>);
export type ErrorName = keyof typeof errors;
