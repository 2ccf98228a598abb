// Sections whose feature does not exist yet: accepted, so that a file written for them starts, with one warning
// each that says what is not there. When a feature comes, its name leaves this table and its keys get rows.

import type { Document } from "./section.ts";
import { tableAt, warning } from "./section.ts";

interface LaterSection {
  /** What is ignored, for people. */
  readonly feature: string;
  /** `[name.child]` sections get a warning each. */
  readonly hasChildren?: true;
}

const LATER: Readonly<Record<string, LaterSection>> = {
  persistence: { feature: "messages are not stored on disk yet: a restart forgets them" },
};

export const LATER_SECTIONS: readonly string[] = Object.keys(LATER);

/** Warns of `[name]` (or of each `[name.child]`) if it is there. */
export function warnOfLaterSection(document: Document, name: string, raw: unknown): void {
  const later = LATER[name];
  if (later === undefined || raw === undefined) return;
  const table = tableAt(document, [name], raw);
  if (table === undefined) return;
  const children = later.hasChildren ? Object.keys(table) : [];
  if (children.length === 0) warning(document, [name], `[${name}] is ignored: ${later.feature}`);
  for (const child of children) {
    warning(document, [name, child], `[${name}.${child}] is ignored: ${later.feature}`);
  }
}
