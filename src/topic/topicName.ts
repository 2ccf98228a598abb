// Topic Name: what a PUBLISH, a Will or a Response Topic carries. Levels are separated by "/", and an empty
// level is a level. That the bytes are well-formed UTF-8 without U+0000 is checked where the packet is decoded;
// `validTopicName` repeats U+0000 because names also come from configuration and bridges.
// Statement ids are those of MQTT 5.0; 3.1.1 numbers the wildcard rules one higher (its 4.7.1-1 is 5.0's 4.7.0-1).

const PLUS = 0x2b;
const HASH = 0x23;

/** True if `topic` may stand in a PUBLISH: at least one character, no wildcard, no U+0000. */
export function validTopicName(topic: string): boolean {
  if (topic.length === 0) return false; // [MQTT-4.7.3-1]
  if (topic.includes("+") || topic.includes("#")) return false; // [MQTT-4.7.0-1] [MQTT-3.3.2-2]
  return !topic.includes("\0"); // [MQTT-4.7.3-2]
}

/**
 * True if the UTF-8 Topic Name in `bytes[at..end)` contains "+" or "#" [MQTT-4.7.0-1]. Both are single bytes
 * that no multi-byte character contains, so the bytes need no decoding. Reads only, allocates nothing.
 */
export function topicNameHasWildcard(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const byte = bytes[i];
    if (byte === PLUS || byte === HASH) return true;
  }
  return false;
}
