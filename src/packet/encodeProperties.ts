// Properties onto the wire, in the table's order.

import { assert } from "../base/assert.ts";
import { ByteWriter } from "../base/byteWriter.ts";
import {
  type Properties,
  type PropertyRow,
  PropertyType,
  propertyTable,
  type UserProperty,
} from "./propertyTable.ts";

/** Longest string or Binary Data, §1.5.4 and §1.5.6. */
const LENGTH_MAX = 65_535;

/** Reused: the Property Length goes before what it counts. */
const scratch = new ByteWriter();

/** Appends the Property Length and `properties`; what is absent or undefined is not written. */
export function writeProperties(out: ByteWriter, properties: Readonly<Properties>): void {
  scratch.reset();
  if (!isEmpty(properties)) gather(properties);
  out.varint(scratch.length); // [MQTT-2.2.2-1]
  out.raw(scratch.bytes, 0, scratch.length);
}

export function isEmpty(properties: Readonly<Properties>): boolean {
  for (const _ in properties) return false;
  return true;
}

function gather(properties: Readonly<Properties>): void {
  for (const row of propertyTable) {
    const value = properties[row.name];
    if (value !== undefined) writeProperty(row, value);
  }
}

function writeProperty(row: PropertyRow, value: NonNullable<Properties[keyof Properties]>): void {
  if (row.type === PropertyType.Pair) {
    for (const pair of value as readonly UserProperty[]) writePair(row.identifier, pair);
    return;
  }
  scratch.varint(row.identifier);
  switch (row.type) {
    case PropertyType.Byte:
    case PropertyType.Flag:
      scratch.u8(Number(value));
      return;
    case PropertyType.U16:
      scratch.u16(value as number);
      return;
    case PropertyType.U32:
      scratch.u32(value as number);
      return;
    case PropertyType.Varint:
      scratch.varint(value as number);
      return;
    case PropertyType.Utf8:
      writeUtf8(value as string);
      return;
    case PropertyType.Binary:
      assert((value as Uint8Array).length <= LENGTH_MAX, "Binary Data fits its two length bytes");
      scratch.binary(value as Uint8Array);
      return;
  }
}

function writePair(identifier: number, [name, value]: UserProperty): void {
  scratch.u8(identifier);
  writeUtf8(name);
  writeUtf8(value);
}

function writeUtf8(text: string): void {
  const before = scratch.length;
  scratch.utf8(text);
  assert(scratch.length - before - 2 <= LENGTH_MAX, "a string fits its two length bytes");
}
