// Untold: keys that nothing has become of and nothing has been said about, for what they were set to or where they
// stand. Each gets a comment and a warning: no key of an old file vanishes in silence.

import type { Path } from "../../problems.ts";
import { isTable } from "../../values.ts";
import { type Job, sectionText } from "./job.ts";

export function addUntold({ old, draft }: Job): void {
  for (const path of leavesOf(old.root, [])) {
    // What is said of a table holds for what is in it.
    const isTold = path.some((_, index) => draft.isTold(old.sourceOf(path.slice(0, index + 1))));
    if (isTold) continue;
    const table = path.slice(0, -1);
    const where = table.length === 0 ? "" : `${sectionText(table)} `;
    const why = "it changes nothing here";
    draft.section([]).gone(`${where}${String(path.at(-1))}`, why, { source: old.sourceOf(path) });
  }
}

/** The paths of everything that is no table. */
function leavesOf(value: unknown, path: Path): Path[] {
  if (isTable(value))
    return Object.entries(value).flatMap(([name, inner]) => leavesOf(inner, [...path, name]));
  if (Array.isArray(value) && value.length > 0 && value.every(isTable))
    return value.flatMap((inner, index) => leavesOf(inner, [...path, index]));
  return [path];
}
