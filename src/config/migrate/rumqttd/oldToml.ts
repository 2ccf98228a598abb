// An old file in TOML: its tables, which line a key stands on, and the comments that people wrote beside it.

import type { Found } from "../../find.ts";
import { type LineMap, scanLines } from "../../lines.ts";
import { parseToml } from "../../load.ts";
import type { Path } from "../../problems.ts";
import type { Source } from "../draft.ts";

export type Table = Readonly<Record<string, unknown>>;

/** A comment that holds a key or a section is something switched off, not something said. */
const SWITCHED_OFF = /^\s*(?:\[|["'\w.-]+\s*=)/;
/** A line's comment: what follows a # outside of strings. */
const LINE_COMMENT = /^(?:[^#"']|"(?:\\.|[^"\\])*"|'[^']*')*#(.*)$/;

export class OldToml {
  readonly file: string;
  readonly root: Table;
  readonly #lines: LineMap;
  readonly #texts: readonly string[];

  /** Throws ConfigError when the text is no TOML. */
  constructor({ text, file }: Pick<Found, "text" | "file">) {
    this.file = file;
    this.root = parseToml(text, file);
    this.#lines = scanLines(text);
    this.#texts = text.split(/\r?\n/);
  }

  sourceOf(path: Path): Source {
    return { file: this.file, line: this.#lines.lineOf(path) };
  }

  /** What was said right above the line of `path`, and behind it. */
  commentsOf(path: Path): string[] {
    const line = this.#lines.lineOf(path);
    const comments: string[] = [];
    for (let at = line - 2; at >= 0; at--) {
      const text = this.#texts[at]?.trim() ?? "";
      if (!text.startsWith("#")) break;
      comments.unshift(text.replace(/^#+\s?/, ""));
    }
    const behind = LINE_COMMENT.exec(this.#texts[line - 1] ?? "")?.[1];
    if (behind !== undefined) comments.push(behind.trim());
    return comments.filter((comment) => comment !== "" && !SWITCHED_OFF.test(comment));
  }
}
