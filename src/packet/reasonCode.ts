// Reason Codes of MQTT 5, §2.4, and the six return codes that older CONNACKs have instead.
// Below 0x80 is success. The broker speaks Reason Codes everywhere; only the encoder knows return codes.

export const ReasonCode = {
  Success: 0x00,
  NormalDisconnection: 0x00,
  GrantedQoS0: 0x00,
  GrantedQoS1: 0x01,
  GrantedQoS2: 0x02,
  DisconnectWithWillMessage: 0x04,
  NoMatchingSubscribers: 0x10,
  NoSubscriptionExisted: 0x11,
  ContinueAuthentication: 0x18,
  ReAuthenticate: 0x19,
  UnspecifiedError: 0x80,
  MalformedPacket: 0x81,
  ProtocolError: 0x82,
  ImplementationSpecificError: 0x83,
  UnsupportedProtocolVersion: 0x84,
  ClientIdentifierNotValid: 0x85,
  BadUserNameOrPassword: 0x86,
  NotAuthorized: 0x87,
  ServerUnavailable: 0x88,
  ServerBusy: 0x89,
  Banned: 0x8a,
  ServerShuttingDown: 0x8b,
  BadAuthenticationMethod: 0x8c,
  KeepAliveTimeout: 0x8d,
  SessionTakenOver: 0x8e,
  TopicFilterInvalid: 0x8f,
  TopicNameInvalid: 0x90,
  PacketIdentifierInUse: 0x91,
  PacketIdentifierNotFound: 0x92,
  ReceiveMaximumExceeded: 0x93,
  TopicAliasInvalid: 0x94,
  PacketTooLarge: 0x95,
  MessageRateTooHigh: 0x96,
  QuotaExceeded: 0x97,
  AdministrativeAction: 0x98,
  PayloadFormatInvalid: 0x99,
  RetainNotSupported: 0x9a,
  QoSNotSupported: 0x9b,
  UseAnotherServer: 0x9c,
  ServerMoved: 0x9d,
  SharedSubscriptionsNotSupported: 0x9e,
  ConnectionRateExceeded: 0x9f,
  MaximumConnectTime: 0xa0,
  SubscriptionIdentifiersNotSupported: 0xa1,
  WildcardSubscriptionsNotSupported: 0xa2,
} as const;
export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode];

/** Names by code; of several for one code, the first in the table. */
const names: readonly string[] = nameTable();

/** "TopicAliasInvalid" for 0x94; "0x1f" for a code that the specification does not have. */
export function reasonCodeName(code: number): string {
  return names[code] ?? `0x${code.toString(16).padStart(2, "0")}`;
}

/** MQTT 3.1 and 3.1.1 CONNACK return codes, 3.1.1 §3.2.2.3. */
export const ConnectReturnCode = {
  Accepted: 0,
  UnacceptableProtocolVersion: 1,
  IdentifierRejected: 2,
  ServerUnavailable: 3,
  BadUserNameOrPassword: 4,
  NotAuthorized: 5,
  /** Not on the wire: the Network Connection is closed without a CONNACK [3.1.1:MQTT-3.2.2-6]. */
  None: -1,
} as const;

/** The return code that says what the Reason Code says, 0..5, or ConnectReturnCode.None when none applies. */
export function connectReturnCodeOf(reason: number): number {
  switch (reason) {
    case ReasonCode.Success:
      return ConnectReturnCode.Accepted;
    case ReasonCode.UnsupportedProtocolVersion:
      return ConnectReturnCode.UnacceptableProtocolVersion; // [3.1.1:MQTT-3.1.2-2]
    case ReasonCode.ClientIdentifierNotValid:
      return ConnectReturnCode.IdentifierRejected; // [3.1.1:MQTT-3.1.3-8] [3.1.1:MQTT-3.1.3-9]
    case ReasonCode.BadUserNameOrPassword:
      return ConnectReturnCode.BadUserNameOrPassword;
    case ReasonCode.NotAuthorized:
    case ReasonCode.Banned:
    case ReasonCode.BadAuthenticationMethod:
      return ConnectReturnCode.NotAuthorized;
    case ReasonCode.UnspecifiedError:
    case ReasonCode.ImplementationSpecificError:
    case ReasonCode.ServerUnavailable:
    case ReasonCode.ServerBusy:
    case ReasonCode.ServerShuttingDown:
    case ReasonCode.QuotaExceeded:
    case ReasonCode.UseAnotherServer:
    case ReasonCode.ServerMoved:
    case ReasonCode.ConnectionRateExceeded:
      return ConnectReturnCode.ServerUnavailable;
    default:
      return ConnectReturnCode.None; // [3.1.1:MQTT-3.2.2-6]
  }
}

function nameTable(): string[] {
  const table: string[] = [];
  for (const [name, code] of Object.entries(ReasonCode)) table[code] ??= name;
  return table;
}
