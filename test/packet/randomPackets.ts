// Random packets of a client, as the fields that mqtt-packet generates from; and random properties, from our
// own table.

import { PacketType } from "../../src/packet/frame.ts";
import {
  type Properties,
  type PropertyPacket,
  type PropertyRow,
  PropertyType,
  propertyTable,
  type UserProperty,
  WILL,
} from "../../src/packet/propertyTable.ts";
import type { ProtocolLevel } from "../../src/packet/protocol.ts";
import { grouped } from "./oracle.ts";
import type { Fields, Random } from "./support.ts";

const { Connect, Subscribe, Unsubscribe, Disconnect, Auth, Puback, Pubrec, Pubrel, Pubcomp } = PacketType;
const firstReasons = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const secondReasons = [0x00, 0x92];

/** Each property that `packet` may have, one time in three. */
export function randomProperties(random: Random, packet: PropertyPacket): Properties {
  const properties: Fields = {};
  for (const row of propertyTable) {
    if (row.packets.includes(packet) && random.chance(3)) properties[row.name] = randomValue(random, row);
  }
  if (properties["authenticationMethod"] === undefined) delete properties["authenticationData"];
  return properties as Properties;
}

function randomValue(random: Random, row: PropertyRow): unknown {
  switch (row.type) {
    case PropertyType.Byte:
      return random.below(2);
    case PropertyType.Flag:
      return random.chance(2);
    case PropertyType.U16:
      return row.min + random.below(0x1_0000 - row.min);
    case PropertyType.U32:
      return row.min + random.below(0x1_0000_0000 - row.min);
    case PropertyType.Varint:
      return row.min + random.below(random.pick([0x7f, 0x3fff, 0x1f_ffff, 0xfff_ffff]));
    case PropertyType.Utf8:
      return random.text(12);
    case PropertyType.Binary:
      return random.bytes(12);
    case PropertyType.Pair: {
      const pair = (): UserProperty => [random.text(2), `${random.text(6)}v`];
      return Array.from({ length: 1 + random.below(4) }, pair);
    }
  }
}

/** A packet that a client may send at `level`. */
export function randomFields(random: Random, level: ProtocolLevel): Fields {
  const kinds = [connect, subscribe, unsubscribe, ack, ack, disconnect, ...(level === 5 ? [auth] : [])];
  return random.pick(kinds)(random, level);
}

function withProperties(random: Random, level: ProtocolLevel, packet: PropertyPacket): Fields {
  return level === 5 && random.chance(2) ? { properties: grouped(randomProperties(random, packet)) } : {};
}

function connect(random: Random, level: ProtocolLevel): Fields {
  const fields: Fields = {
    cmd: "connect",
    protocolId: level === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: level,
    clean: random.chance(2),
    keepalive: random.below(65_536),
    clientId: `c${random.text(30)}`,
    ...withProperties(random, level, Connect),
  };
  if (random.chance(2)) fields["username"] = random.text(10);
  if (fields["username"] !== undefined && random.chance(2)) fields["password"] = random.bytes(10);
  if (random.chance(2)) fields["will"] = will(random, level);
  return fields;
}

function will(random: Random, level: ProtocolLevel): Fields {
  return {
    topic: `t${random.text(20)}`,
    payload: random.bytes(30),
    qos: random.below(3),
    retain: random.chance(2),
    ...withProperties(random, level, WILL),
  };
}

function subscribe(random: Random, level: ProtocolLevel): Fields {
  const entry = () => ({
    topic: `f${random.text(10)}`,
    qos: random.below(3),
    nl: random.chance(2),
    rap: random.chance(2),
    rh: random.below(3),
  });
  return {
    cmd: "subscribe",
    messageId: 1 + random.below(65_535),
    subscriptions: Array.from({ length: 1 + random.below(4) }, entry),
    ...withProperties(random, level, Subscribe),
  };
}

function unsubscribe(random: Random, level: ProtocolLevel): Fields {
  return {
    cmd: "unsubscribe",
    messageId: 1 + random.below(65_535),
    unsubscriptions: Array.from({ length: 1 + random.below(4) }, () => `f${random.text(10)}`),
    ...withProperties(random, level, Unsubscribe),
  };
}

function ack(random: Random, level: ProtocolLevel): Fields {
  const [cmd, type, reasons] = random.pick([
    ["puback", Puback, firstReasons],
    ["pubrec", Pubrec, firstReasons],
    ["pubrel", Pubrel, secondReasons],
    ["pubcomp", Pubcomp, secondReasons],
  ] as const);
  const fields: Fields = { cmd, messageId: 1 + random.below(65_535), ...withProperties(random, level, type) };
  if (level === 5) fields["reasonCode"] = random.pick(reasons);
  return fields;
}

function disconnect(random: Random, level: ProtocolLevel): Fields {
  const fields: Fields = { cmd: "disconnect", ...withProperties(random, level, Disconnect) };
  if (level === 5) fields["reasonCode"] = random.pick([0x00, 0x04, 0x80, 0x81, 0x93, 0x99]);
  return fields;
}

function auth(random: Random): Fields {
  const properties = grouped({ ...randomProperties(random, Auth), authenticationMethod: random.text(8) });
  return { cmd: "auth", reasonCode: random.pick([0x18, 0x19]), properties };
}
