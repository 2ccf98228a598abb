// The Will's properties, §3.1.3.2: all but Will Delay Interval go out with the Will Message, byte for byte.

import { beginProperties, newPropertyScan, nextProperty, propertiesAt } from "./propertyScan.ts";
import { PropertyId, WILL } from "./propertyTable.ts";
import type { ProtocolLevel, QoS } from "./protocol.ts";
import type { PacketReader } from "./reader.ts";

export interface WillProperties {
  /** Seconds from the loss of the Network Connection to the Will Message. */
  delayInterval: number;
  /** Seconds; absent when the message does not expire. */
  messageExpiryInterval?: number;
  /**
   * PUBLISH properties without their length, unaltered and in order [MQTT-3.1.3-10] [MQTT-3.3.2-18]. A copy.
   */
  properties: Uint8Array;
}

export interface Will extends WillProperties {
  topic: string;
  /** A copy. */
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
}

const nothing = new Uint8Array(0);

const scan = newPropertyScan();

/**
 * Reads the Will Properties where `reader` stands; before MQTT 5 there are none. Failures stay in the reader.
 */
export function readWillProperties(level: ProtocolLevel, reader: PacketReader): WillProperties {
  const will: WillProperties = { delayInterval: 0, properties: nothing };
  if (level !== 5) return will;
  const { bytes, at } = reader;
  const end = beginProperties(scan, WILL, bytes, at, reader.end);
  if (end < 0) {
    reader.fail(end);
    return will;
  }
  const first = propertiesAt(bytes, at);
  reader.at = end;
  let delayAt = end;
  let delayEnd = end;
  let position = first;
  while (position < end) {
    const next = nextProperty(scan, bytes, position, end);
    if (next < 0) {
      reader.fail(next);
      return will;
    }
    if (scan.identifier === PropertyId.MessageExpiryInterval) will.messageExpiryInterval = scan.value;
    if (scan.identifier === PropertyId.WillDelayInterval) {
      will.delayInterval = scan.value;
      delayAt = position;
      delayEnd = next;
    }
    position = next;
  }
  if (first < end) will.properties = without(bytes, first, end, delayAt, delayEnd);
  return will;
}

/** A copy of bytes[from, to) without bytes[cutFrom, cutTo). */
function without(bytes: Uint8Array, from: number, to: number, cutFrom: number, cutTo: number): Uint8Array {
  const rest = new Uint8Array(cutFrom - from + (to - cutTo));
  rest.set(bytes.subarray(from, cutFrom));
  rest.set(bytes.subarray(cutTo, to), cutFrom - from);
  return rest;
}
