// LevelTable: each distinct topic level text once, as a small integer counted by the nodes that use it. The tree
// compares levels as integers; a topic level that no filter names is unknown here and can only meet wildcards.

import { assert } from "../base/assert.ts";

/** No filter names this level. */
export const UNKNOWN_LEVEL = -1;
/** The level "+". It is not in the map: a topic cannot reach it by spelling. */
export const PLUS_LEVEL = 0;

// Below this a substring owns its characters; above, the engine makes it share (and so pin) the whole filter.
const COPY_CHARACTERS_MIN = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class LevelTable {
  private readonly ids = new Map<string, number>();
  private readonly texts: string[] = ["+"];
  private readonly uses: number[] = [1];
  private readonly free: number[] = [];

  /** Distinct levels held, "+" not counted. */
  get count(): number {
    return this.ids.size;
  }

  find(text: string): number {
    return this.ids.get(text) ?? UNKNOWN_LEVEL;
  }

  /** The id of `text`, for one more user, who gives it back with `release`. */
  acquire(text: string): number {
    if (text === "+") return PLUS_LEVEL;
    const known = this.ids.get(text);
    if (known !== undefined) {
      this.uses[known]!++;
      return known;
    }
    const owned = ownCopy(text);
    const id = this.free.pop() ?? this.texts.length;
    this.texts[id] = owned;
    this.uses[id] = 1;
    this.ids.set(owned, id);
    return id;
  }

  release(id: number): void {
    if (id === PLUS_LEVEL) return;
    const left = --this.uses[id]!;
    assert(left >= 0, "a level is released once for each acquire");
    if (left > 0) return;
    this.ids.delete(this.texts[id]!);
    this.texts[id] = "";
    this.free.push(id);
    if (this.ids.size === 0) this.reset();
  }

  textOf(id: number): string {
    return this.texts[id]!;
  }

  /** An empty table gives back what a full one grew to; only "+" stays. */
  private reset(): void {
    this.texts.length = 1;
    this.uses.length = 1;
    this.free.length = 0;
  }
}

/** `text` without a reference to the longer string it was cut from. */
function ownCopy(text: string): string {
  if (text.length < COPY_CHARACTERS_MIN) return text;
  const copy = decoder.decode(encoder.encode(text));
  return copy === text ? copy : text; // a lone surrogate does not survive the trip: keep the original
}
