// Topic Filter: what a SUBSCRIBE names. `parseTopicFilter` is the one gate through which a peer's text becomes a
// filter; everything else in this folder relies on it. `filterMatchesTopic` is the plain reading of §4.7 that
// every faster form (TopicTree, FilterMatcher) must agree with.
// Statement ids are those of MQTT 5.0; 3.1.1 numbers the wildcard rules one higher (its 4.7.1-2 is 5.0's 4.7.1-1).

const SHARE_PREFIX = "$share/";

export interface ParsedFilter {
  /** The Topic Filter that messages are matched with, without "$share/<group>/". */
  readonly filter: string;
  /** The ShareName of a Shared Subscription, null for an ordinary one. */
  readonly group: string | null;
}

/** The parts of a SUBSCRIBE's or UNSUBSCRIBE's Topic Filter, or null if it breaks §4.7 or §4.8.2. */
export function parseTopicFilter(text: string): ParsedFilter | null {
  if (!text.startsWith(SHARE_PREFIX)) return validFilter(text) ? { filter: text, group: null } : null;
  const slash = text.indexOf("/", SHARE_PREFIX.length);
  if (slash === -1) return null; // [MQTT-4.8.2-2] no "/" after the ShareName
  const group = text.slice(SHARE_PREFIX.length, slash);
  if (group.length === 0) return null; // [MQTT-4.8.2-1]
  if (group.includes("+") || group.includes("#")) return null; // [MQTT-4.8.2-2]
  if (group.includes("\0")) return null; // [MQTT-4.7.3-2]
  const filter = text.slice(slash + 1);
  return validFilter(filter) ? { filter, group } : null; // [MQTT-4.8.2-2] empty is not a Topic Filter
}

/** True if `filter` matches more than the one topic that is spelled like it. */
export function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}

/** True if the valid Topic Filter `filter` matches the valid Topic Name `topic`. Slow: it allocates every level. */
export function filterMatchesTopic(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false; // [MQTT-4.7.2-1]
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true; // also the parent level: "a/#" matches "a"
    if (i >= levels.length) return false;
    if (wanted[i] !== "+" && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}

function validFilter(filter: string): boolean {
  if (filter.length === 0) return false; // [MQTT-4.7.3-1]
  if (filter.includes("\0")) return false; // [MQTT-4.7.3-2]
  const hash = filter.indexOf("#");
  if (hash !== -1) {
    if (hash !== filter.length - 1) return false; // [MQTT-4.7.1-1] last character
    if (hash > 0 && filter[hash - 1] !== "/") return false; // [MQTT-4.7.1-1] alone in its level
  }
  return plusStandsAlone(filter);
}

function plusStandsAlone(filter: string): boolean {
  for (let at = filter.indexOf("+"); at !== -1; at = filter.indexOf("+", at + 1)) {
    if (at > 0 && filter[at - 1] !== "/") return false; // [MQTT-4.7.1-2]
    if (at + 1 < filter.length && filter[at + 1] !== "/") return false; // [MQTT-4.7.1-2]
  }
  return true;
}
