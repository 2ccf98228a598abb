// The 27 properties of MQTT 5, §2.2.2.2, in one table: decoder, validator, encoder and tests derive from it.

import { PacketType } from "./frame.ts";

/** A packet that has properties: the values of PacketType, and the properties of CONNECT's Will. */
export type PropertyPacket = (typeof PacketType)[keyof typeof PacketType] | typeof WILL;
export const WILL = 0x00;

export type UserProperty = readonly [name: string, value: string];

/** Decoded properties; what a packet did not have is not there. Binary Data are copies. */
export interface Properties {
  payloadFormatIndicator?: 0 | 1;
  /** Seconds. */
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** 1..268,435,455. */
  subscriptionIdentifier?: number;
  /** Seconds; 0xFFFFFFFF never expires. */
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  /** Seconds. */
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: boolean;
  /** Seconds. */
  willDelayInterval?: number;
  requestResponseInformation?: boolean;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  /** 1..65535. */
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  /** 1..65535. */
  topicAlias?: number;
  maximumQoS?: 0 | 1;
  retainAvailable?: boolean;
  /** In the packet's order. */
  userProperties?: UserProperty[];
  /** Bytes, 1.. */
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: boolean;
  subscriptionIdentifiersAvailable?: boolean;
  sharedSubscriptionAvailable?: boolean;
}

/** Flag is a byte that may be only 0 or 1 and is decoded to a boolean. */
export const PropertyType = {
  Byte: 1,
  Flag: 2,
  U16: 3,
  U32: 4,
  Varint: 5,
  Utf8: 6,
  Binary: 7,
  Pair: 8,
} as const;
export type PropertyType = (typeof PropertyType)[keyof typeof PropertyType];

export interface PropertyRow {
  readonly identifier: number;
  readonly name: keyof Properties;
  readonly type: PropertyType;
  readonly packets: readonly PropertyPacket[];
  /** Smallest legal value of a number, 0 or 1; the type gives the largest, Byte's is 1. */
  readonly min: 0 | 1;
  /** May stand several times in one packet. Subscription Identifier does so only in a server's PUBLISH. */
  readonly repeats: boolean;
}

const { Byte, Flag, U16, U32, Varint, Utf8, Binary, Pair } = PropertyType;
const { Connect, Connack, Publish, Subscribe, Unsubscribe, Disconnect, Auth } = PacketType;
const { Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback } = PacketType;

const message: readonly PropertyPacket[] = [Publish, WILL];
const handshake: readonly PropertyPacket[] = [Connect, Connack];
const answers: readonly PropertyPacket[] = [
  Connack,
  Puback,
  Pubrec,
  Pubrel,
  Pubcomp,
  Suback,
  Unsuback,
  Disconnect,
  Auth,
];
const all: readonly PropertyPacket[] = [...answers, Connect, Publish, WILL, Subscribe, Unsubscribe];

function row(
  identifier: number,
  name: keyof Properties,
  type: PropertyType,
  packets: readonly PropertyPacket[],
  min: 0 | 1 = 0,
): PropertyRow {
  return { identifier, name, type, packets, min, repeats: type === Pair };
}

export const propertyTable: readonly PropertyRow[] = [
  row(0x01, "payloadFormatIndicator", Byte, message),
  row(0x02, "messageExpiryInterval", U32, message),
  row(0x03, "contentType", Utf8, message),
  row(0x08, "responseTopic", Utf8, message),
  row(0x09, "correlationData", Binary, message),
  row(0x0b, "subscriptionIdentifier", Varint, [Publish, Subscribe], 1),
  row(0x11, "sessionExpiryInterval", U32, [Connect, Connack, Disconnect]),
  row(0x12, "assignedClientIdentifier", Utf8, [Connack]),
  row(0x13, "serverKeepAlive", U16, [Connack]),
  row(0x15, "authenticationMethod", Utf8, [Connect, Connack, Auth]),
  row(0x16, "authenticationData", Binary, [Connect, Connack, Auth]),
  row(0x17, "requestProblemInformation", Flag, [Connect]),
  row(0x18, "willDelayInterval", U32, [WILL]),
  row(0x19, "requestResponseInformation", Flag, [Connect]),
  row(0x1a, "responseInformation", Utf8, [Connack]),
  row(0x1c, "serverReference", Utf8, [Connack, Disconnect]),
  row(0x1f, "reasonString", Utf8, answers),
  row(0x21, "receiveMaximum", U16, handshake, 1),
  row(0x22, "topicAliasMaximum", U16, handshake),
  row(0x23, "topicAlias", U16, [Publish], 1),
  row(0x24, "maximumQoS", Byte, [Connack]),
  row(0x25, "retainAvailable", Flag, [Connack]),
  row(0x26, "userProperties", Pair, all),
  row(0x27, "maximumPacketSize", U32, handshake, 1),
  row(0x28, "wildcardSubscriptionAvailable", Flag, [Connack]),
  row(0x29, "subscriptionIdentifiersAvailable", Flag, [Connack]),
  row(0x2a, "sharedSubscriptionAvailable", Flag, [Connack]),
];

/** Identifiers that hot code names. */
export const PropertyId = {
  PayloadFormatIndicator: 0x01,
  MessageExpiryInterval: 0x02,
  ResponseTopic: 0x08,
  SubscriptionIdentifier: 0x0b,
  WillDelayInterval: 0x18,
  ReceiveMaximum: 0x21,
  TopicAlias: 0x23,
  MaximumPacketSize: 0x27,
} as const;
