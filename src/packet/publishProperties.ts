// The properties of a client's PUBLISH, §3.3.2.3: checked in place, and the few that the broker acts on
// pointed out. All others are forwarded as they are, so nothing is decoded. @hot

import { errorOfCode, errors, type MqttError } from "./error.ts";
import { PacketType } from "./frame.ts";
import { beginProperties, newPropertyScan, nextProperty, propertiesAt } from "./propertyScan.ts";
import { PropertyId } from "./propertyTable.ts";

/** Reused; positions are in the bytes that were scanned. */
export interface PublishSpans {
  /** All property bytes, without the Property Length. */
  propertiesAt: number;
  propertiesEnd: number;
  /** Of the four value bytes of Message Expiry Interval, or -1. */
  expiryAt: number;
  /** Seconds; 0 also when there is none, so look at expiryAt. */
  expirySeconds: number;
  /** 1..65535, or 0 for none. */
  topicAlias: number;
  /** Of the Topic Alias' identifier byte, three bytes in all, or -1. */
  aliasAt: number;
  /** Payload Format Indicator, or -1 for none. */
  payloadFormat: number;
}

const PLUS = 0x2b;
const HASH = 0x23;

const scan = newPropertyScan();

export function newPublishSpans(): PublishSpans {
  return {
    propertiesAt: 0,
    propertiesEnd: 0,
    expiryAt: -1,
    expirySeconds: 0,
    topicAlias: 0,
    aliasAt: -1,
    payloadFormat: -1,
  };
}

/**
 * Checks the properties whose Property Length is at bytes[at] and fills `spans`. Returns the position of the
 * payload, at most `end`, or a negative number for publishPropertyError; then `spans` means nothing.
 * Allocates nothing.
 */
export function scanPublishProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  spans: PublishSpans,
): number {
  spans.expiryAt = -1;
  spans.expirySeconds = 0;
  spans.topicAlias = 0;
  spans.aliasAt = -1;
  spans.payloadFormat = -1;
  if (at < end && bytes[at] === 0) {
    spans.propertiesAt = at + 1;
    spans.propertiesEnd = at + 1;
    return at + 1;
  }
  const propertiesEnd = beginProperties(scan, PacketType.Publish, bytes, at, end);
  if (propertiesEnd < 0) return propertiesEnd;
  let position = propertiesAt(bytes, at);
  spans.propertiesAt = position;
  spans.propertiesEnd = propertiesEnd;
  while (position < propertiesEnd) {
    const next = nextProperty(scan, bytes, position, propertiesEnd);
    if (next < 0) return next;
    const failure = note(bytes, position, spans);
    if (failure !== 0) return failure;
    position = next;
  }
  return propertiesEnd;
}

/** The error that scanPublishProperties' negative result names. */
export function publishPropertyError(code: number): MqttError {
  return errorOfCode(code);
}

/** Keeps what the broker acts on of the property at `at`; 0, or a negative error code. */
function note(bytes: Uint8Array, at: number, spans: PublishSpans): number {
  switch (scan.identifier) {
    case PropertyId.MessageExpiryInterval:
      spans.expiryAt = scan.valueAt;
      spans.expirySeconds = scan.value;
      return 0;
    case PropertyId.TopicAlias:
      spans.aliasAt = at;
      spans.topicAlias = scan.value; // not 0 [MQTT-3.3.2-8]
      return 0;
    case PropertyId.PayloadFormatIndicator:
      spans.payloadFormat = scan.value;
      return 0;
    case PropertyId.SubscriptionIdentifier:
      return errors.subscriptionIdentifierInPublish.code; // [MQTT-3.3.4-6]
    case PropertyId.ResponseTopic: // UTF-8 was checked [MQTT-3.3.2-13]
      return hasWildcard(bytes, scan.valueAt, scan.valueEnd) ? errors.responseTopicWildcard.code : 0;
    default:
      return 0;
  }
}

/** [MQTT-3.3.2-14] */
function hasWildcard(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === PLUS || byte === HASH) return true;
  }
  return false;
}
