// Properties as an object, for packets that come once per connection.

import { beginProperties, newPropertyScan, nextProperty, propertiesAt } from "./propertyScan.ts";
import {
  type Properties,
  type PropertyPacket,
  type PropertyRow,
  PropertyType,
  propertyTable,
  type UserProperty,
} from "./propertyTable.ts";
import type { PacketReader } from "./reader.ts";
import { copyBytes, decodeUtf8 } from "./utf8.ts";

export type { Properties, UserProperty } from "./propertyTable.ts";

/** What a packet without properties has. Shared and frozen. */
export const noProperties: Readonly<Properties> = Object.freeze({});

const rowOf: (PropertyRow | undefined)[] = [];
for (const row of propertyTable) rowOf[row.identifier] = row;

const scan = newPropertyScan();

/**
 * Reads the Property Length and the properties where `reader` stands and leaves it behind them. On a failure,
 * which the reader keeps, the result is incomplete. A client's packets only: Subscription Identifier is read
 * as one number.
 */
export function readProperties(reader: PacketReader, packet: PropertyPacket): Readonly<Properties> {
  const { bytes, at } = reader;
  const end = beginProperties(scan, packet, bytes, at, reader.end);
  if (end < 0) {
    reader.fail(end);
    return noProperties;
  }
  let position = propertiesAt(bytes, at);
  reader.at = end;
  if (position === end) return noProperties; // [MQTT-2.2.2-1]
  const properties: Properties = {};
  while (position < end) {
    position = nextProperty(scan, bytes, position, end);
    if (position < 0) {
      reader.fail(position);
      return noProperties;
    }
    keep(properties, bytes);
  }
  return properties;
}

/** Adds the property that `scan` stands on. */
function keep(properties: Properties, bytes: Uint8Array): void {
  const row = rowOf[scan.identifier]!;
  const { valueAt, valueEnd } = scan;
  if (row.type === PropertyType.Pair) {
    properties.userProperties ??= [];
    properties.userProperties.push(userPropertyAt(bytes, valueAt, valueEnd));
    return;
  }
  // The table pairs each name with its type, which the type checker cannot follow.
  const fields = properties as Record<string, unknown>;
  switch (row.type) {
    case PropertyType.Utf8:
      fields[row.name] = decodeUtf8(bytes, valueAt, valueEnd);
      return;
    case PropertyType.Binary:
      fields[row.name] = copyBytes(bytes, valueAt, valueEnd);
      return;
    case PropertyType.Flag:
      fields[row.name] = scan.value === 1;
      return;
    default:
      fields[row.name] = scan.value;
  }
}

/** The pair at bytes[at, end), already validated. */
function userPropertyAt(bytes: Uint8Array, at: number, end: number): UserProperty {
  const nameEnd = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
  return [decodeUtf8(bytes, at + 2, nameEnd), decodeUtf8(bytes, nameEnd + 2, end)];
}
