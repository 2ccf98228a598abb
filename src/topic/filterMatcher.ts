// FilterMatcher: one Topic Filter compiled to bytes, for walking many stored topics (retained replay) without
// decoding any of them. It keeps its own copy of the filter and never a view of the topics.

import { hasWildcard } from "./topicFilter.ts";

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;

const encoder = new TextEncoder();

/** Compiles a filter that `parseTopicFilter` accepted. Costs one copy of the filter. */
export function compileFilter(filter: string): FilterMatcher {
  return new FilterMatcher(filter);
}

export class FilterMatcher {
  private readonly filter: Uint8Array;
  private readonly literal: boolean;
  private readonly hidesDollar: boolean;

  constructor(filter: string) {
    this.filter = encoder.encode(filter);
    this.literal = !hasWildcard(filter);
    this.hidesDollar = this.filter[0] === PLUS || this.filter[0] === HASH;
  }

  /**
   * True if the filter matches the UTF-8 Topic Name in `bytes[at..end)`, which is not empty. At most one pass over
   * the topic's bytes, none of it repeated: "+" and "#" need no backtracking. Allocates nothing. @hot
   */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    const filter = this.filter;
    const length = filter.length;
    if (this.literal && end - at !== length) return false;
    if (this.hidesDollar && bytes[at] === DOLLAR) return false; // [MQTT-4.7.2-1]
    let i = 0;
    let t = at;
    while (i < length) {
      const wanted = filter[i]!;
      // A valid filter has "+" and "#" only as whole levels, so neither can be a literal here.
      if (wanted === HASH) return true;
      if (wanted === PLUS) {
        while (t < end && bytes[t] !== SLASH) t++;
      } else {
        if (t === end) return wanted === SLASH && filter[i + 1] === HASH; // "a/#" matches "a"
        if (bytes[t] !== wanted) return false;
        t++;
      }
      i++;
    }
    return t === end;
  }
}
