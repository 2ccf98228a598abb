// Places: which table of keys rules which section, by the section's path. They follow from the titles in SECTIONS, so
// that what sets, moves or shows a key by its path knows the same keys as what reads it.

import type { Key, Keys } from "./key.ts";
import { SECTIONS } from "./keys.ts";

export interface Place {
  /** As in the title: literal names, `N` for any name, `'filter'` for any topic filter; [] above the sections. */
  readonly pattern: readonly string[];
  readonly keys: Keys;
  /** `[[name]]`: a list of sections. */
  readonly isList: boolean;
  /** Its keys act by their defaults where the section is absent. */
  readonly isInForceUnsaid: boolean;
}

/** In the order of SECTIONS; one for each bracket of a title. */
export const PLACES: readonly Place[] = SECTIONS.flatMap(({ title, keys, offUnlessGiven }) => {
  if (title === "") return [{ pattern: [], keys, isList: false, isInForceUnsaid: true }];
  const isInForceUnsaid = !offUnlessGiven && !Object.values(keys).some((key) => key.required);
  const brackets = [...title.matchAll(/(\[\[?)([^[\]]+)\]/g)];
  return brackets.map((match) => ({
    pattern: (match[2] ?? "").split("."),
    keys,
    isList: match[1] === "[[",
    isInForceUnsaid: isInForceUnsaid && match[1] !== "[[",
  }));
});

/** `N`, `'filter'` and the like stand for names that people choose. */
export function isWild(part: string): boolean {
  return part === "N" || part.startsWith("'");
}

/** Whether `path` can be a section that `pattern` stands for. */
export function matches(pattern: readonly string[], path: readonly string[]): boolean {
  return (
    pattern.length === path.length && pattern.every((part, index) => isWild(part) || part === path[index])
  );
}

/** The keys of the section at `path`; a literal name goes before one that people choose. */
export function keysAt(path: readonly string[]): Keys | undefined {
  const found = PLACES.filter(({ pattern }) => matches(pattern, path));
  const wildness = (place: Place): number => place.pattern.filter(isWild).length;
  return found.sort((a, b) => wildness(a) - wildness(b))[0]?.keys;
}

/** The row of the key `name` in the section at `path`. */
export function keyAt(path: readonly string[], name: string): Key | undefined {
  const keys = keysAt(path);
  return keys !== undefined && Object.hasOwn(keys, name) ? keys[name] : undefined;
}
