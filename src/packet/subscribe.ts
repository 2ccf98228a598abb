// SUBSCRIBE and UNSUBSCRIBE, §3.8 and §3.10. Whether a Topic Filter is one that can match is decided in
// topic.

import { errors, type MqttError } from "./error.ts";
import { PacketType } from "./frame.ts";
import { beginProperties, newPropertyScan, nextProperty, propertiesAt } from "./propertyScan.ts";
import { PropertyId } from "./propertyTable.ts";
import type { ProtocolLevel, QoS } from "./protocol.ts";
import { PacketReader } from "./reader.ts";

export interface SubscribeEntry {
  filter: string;
  qos: QoS;
  /** The three options of MQTT 5; false, false, 0 before it. */
  noLocal: boolean;
  retainAsPublished: boolean;
  /** 0: send retained; 1: only for a new subscription; 2: never. */
  retainHandling: 0 | 1 | 2;
}

export interface Subscribe {
  /** 1..65535. */
  packetIdentifier: number;
  /** 1..268,435,455, or 0 for none. */
  subscriptionIdentifier: number;
  /** At least one, in the packet's order. */
  entries: SubscribeEntry[];
}

export interface Unsubscribe {
  /** 1..65535. */
  packetIdentifier: number;
  /** At least one, in the packet's order. */
  filters: string[];
}

const Option = {
  Qos: 0x03,
  NoLocal: 0x04,
  RetainAsPublished: 0x08,
  Reserved: 0xc0,
  ReservedBefore5: 0xfc,
} as const;
const RETAIN_HANDLING_SHIFT = 4;
const SHARED = "$share/";

const reader = new PacketReader();
const scan = newPropertyScan();

/** The SUBSCRIBE whose body is bytes[at, end), or the error in it. Keeps nothing of `bytes`. */
export function decodeSubscribe(
  level: ProtocolLevel,
  bytes: Uint8Array,
  at: number,
  end: number,
): Subscribe | MqttError {
  reader.begin(bytes, at, end);
  const packetIdentifier = readIdentifier();
  const subscriptionIdentifier = level === 5 ? readSubscriptionIdentifier(PacketType.Subscribe) : 0;
  const entries: SubscribeEntry[] = [];
  if (reader.at === reader.end) reader.fail(errors.subscribeEmpty.code); // [MQTT-3.8.3-2]
  while (reader.at < reader.end) entries.push(readEntry(level));
  return reader.finish() ?? { packetIdentifier, subscriptionIdentifier, entries };
}

/** The UNSUBSCRIBE whose body is bytes[at, end), or the error in it. Keeps nothing of `bytes`. */
export function decodeUnsubscribe(
  level: ProtocolLevel,
  bytes: Uint8Array,
  at: number,
  end: number,
): Unsubscribe | MqttError {
  reader.begin(bytes, at, end);
  const packetIdentifier = readIdentifier();
  if (level === 5) readSubscriptionIdentifier(PacketType.Unsubscribe);
  const filters: string[] = [];
  if (reader.at === reader.end) reader.fail(errors.unsubscribeEmpty.code); // [MQTT-3.10.3-2]
  while (reader.at < reader.end) filters.push(reader.utf8()); // [MQTT-3.10.3-1]
  return reader.finish() ?? { packetIdentifier, filters };
}

function readIdentifier(): number {
  const packetIdentifier = reader.u16();
  if (packetIdentifier === 0) reader.fail(errors.packetIdentifierZero.code); // [MQTT-2.2.1-3]
  return packetIdentifier;
}

/** Checks all properties, keeps the only one that the broker acts on; 0 when it is not there. */
function readSubscriptionIdentifier(packet: 0x80 | 0xa0): number {
  const { bytes, at } = reader;
  const end = beginProperties(scan, packet, bytes, at, reader.end);
  if (end < 0) {
    reader.fail(end);
    return 0;
  }
  let subscriptionIdentifier = 0;
  let position = propertiesAt(bytes, at);
  while (position < end) {
    position = nextProperty(scan, bytes, position, end);
    if (position < 0) {
      reader.fail(position);
      return 0;
    }
    if (scan.identifier === PropertyId.SubscriptionIdentifier) subscriptionIdentifier = scan.value;
  }
  reader.at = end;
  return subscriptionIdentifier;
}

function readEntry(level: ProtocolLevel): SubscribeEntry {
  const filter = reader.utf8(); // [MQTT-3.8.3-1]
  const options = reader.u8();
  const error = optionsError(level, filter, options);
  if (error !== null) reader.fail(error.code);
  return {
    filter,
    qos: (options & Option.Qos) as QoS,
    noLocal: (options & Option.NoLocal) !== 0,
    retainAsPublished: (options & Option.RetainAsPublished) !== 0,
    retainHandling: ((options >> RETAIN_HANDLING_SHIFT) & 3) as 0 | 1 | 2,
  };
}

function optionsError(level: ProtocolLevel, filter: string, options: number): MqttError | null {
  const reserved = level === 5 ? Option.Reserved : Option.ReservedBefore5;
  if ((options & reserved) !== 0) return errors.subscribeReservedBits; // [MQTT-3.8.3-5] [3.1.1:MQTT-3.8.3-4]
  if ((options & Option.Qos) === 3) return errors.subscribeQosOutOfRange; // [3.1.1:MQTT-3.8.3-4]
  if (((options >> RETAIN_HANDLING_SHIFT) & 3) === 3) return errors.retainHandlingOutOfRange;
  const shared = (options & Option.NoLocal) !== 0 && filter.startsWith(SHARED);
  return shared ? errors.noLocalOnShared : null; // [MQTT-3.8.3-4]
}
