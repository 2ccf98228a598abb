// Which line of a TOML text a key stands on. The parser gives values without positions, so this small scan walks
// the same text once more. It is called only with text that the parser has accepted, and is lenient: what it
// does not understand gets no line. Every step goes on by a character, so that it ends on any text.

import type { Path } from "./problems.ts";

/** Line (from 1) of each key, table header and array element. */
export interface LineMap {
  /** The line of `path`, else of its nearest ancestor that has one, else 1. */
  lineOf(path: Path): number;
}

const SEPARATOR = "\u0000";

export function scanLines(text: string): LineMap {
  const lines = new Map<string, number>();
  new Scanner(text, lines).document();
  return {
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(path.slice(0, length).join(SEPARATOR));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

/** Characters that end a bare value: a number, a boolean or a date. */
const BARE_VALUE_END = /[,\]}#\r\n]/;

class Scanner {
  readonly #text: string;
  readonly #lines: Map<string, number>;
  /** How many tables each `[[array of tables]]` has so far. */
  readonly #arrays = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string, lines: Map<string, number>) {
    this.#text = text;
    this.#lines = lines;
  }

  document(): void {
    let table: Path = [];
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#text.length) return;
      const before = this.#at;
      if (this.#peek() === "[") table = this.#header();
      else this.#pair(table, "=");
      if (this.#at === before) this.#at++;
    }
  }

  /** `[a.b]` or `[[a.b]]`; returns the path of the table that follows. */
  #header(): Path {
    const isArray = this.#text.startsWith("[[", this.#at);
    this.#at += isArray ? 2 : 1;
    const line = this.#line;
    const keys = this.#keys("]");
    this.#at += isArray ? 2 : 1;
    const path: (string | number)[] = [];
    keys.forEach((key, index) => {
      path.push(key);
      const name = path.join(SEPARATOR);
      const count = this.#arrays.get(name) ?? 0;
      const isLast = index === keys.length - 1;
      if (isLast && isArray) this.#arrays.set(name, count + 1);
      if (isLast && isArray) {
        this.#record([...path], line);
        path.push(count);
      } else if (count > 0) path.push(count - 1);
      this.#record([...path], line);
    });
    return path;
  }

  #pair(table: Path, end: string): void {
    const line = this.#line;
    const keys = this.#keys(end);
    const path = [...table, ...keys];
    for (let length = table.length + 1; length <= path.length; length++) {
      this.#record(path.slice(0, length), line);
    }
    this.#at++;
    this.#skipBlank();
    this.#value(path);
  }

  #value(path: Path): void {
    const first = this.#peek();
    if (first === "{") this.#inlineTable(path);
    else if (first === "[") this.#array(path);
    else if (first === '"' || first === "'") this.#string();
    else this.#bareValue();
  }

  /** Goes on by one character at least. */
  #bareValue(): void {
    this.#at++;
    while (this.#at < this.#text.length && !BARE_VALUE_END.test(this.#peek())) this.#at++;
  }

  #inlineTable(path: Path): void {
    this.#at++;
    while (this.#at < this.#text.length) {
      this.#skipBlank();
      const next = this.#peek();
      if (next === "}") break;
      if (next === ",") this.#at++;
      else this.#pair(path, "=");
    }
    this.#at++;
  }

  #array(path: Path): void {
    this.#at++;
    for (let index = 0; this.#at < this.#text.length; ) {
      this.#skipBlank();
      const next = this.#peek();
      if (next === "]") break;
      if (next === ",") {
        this.#at++;
        continue;
      }
      this.#record([...path, index], this.#line);
      this.#value([...path, index++]);
    }
    this.#at++;
  }

  /** A dotted key up to `end`, which is not consumed. */
  #keys(end: string): string[] {
    const keys: string[] = [];
    while (this.#at < this.#text.length) {
      const next = this.#peek();
      if (next === end || next === "\n") break;
      if (next === '"' || next === "'") keys.push(this.#string());
      else if (next === "." || next === " " || next === "\t") this.#at++;
      else keys.push(this.#bareKey());
    }
    return keys;
  }

  #bareKey(): string {
    const from = this.#at++;
    while (this.#at < this.#text.length && !/[.\s=\]"']/.test(this.#peek())) this.#at++;
    return this.#text.slice(from, this.#at);
  }

  /** Any of the four kinds of string; returns what it says, escapes of multi-line strings left alone. */
  #string(): string {
    const quote = this.#peek();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const fence = isLong ? quote.repeat(3) : quote;
    const from = this.#at;
    this.#at += fence.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(fence, this.#at)) {
      if (quote === '"' && this.#peek() === "\\") this.#at++;
      if (this.#peek() === "\n") this.#line++;
      this.#at++;
    }
    this.#at += fence.length;
    while (isLong && this.#peek() === quote) this.#at++;
    const raw = this.#text.slice(from + fence.length, this.#at - fence.length);
    return quote === '"' && !isLong ? unescapeBasic(raw) : raw;
  }

  /** White space, line ends and comments. */
  #skipBlank(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const next = this.#peek();
      if (next === "#") {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      }
      if (this.#peek() === "\n") this.#line++;
      else if (!/\s|\uFEFF/.test(this.#peek())) return;
    }
  }

  /** The first mention of a path wins. */
  #record(path: Path, line: number): void {
    const name = path.join(SEPARATOR);
    if (!this.#lines.has(name)) this.#lines.set(name, line);
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }
}

function unescapeBasic(raw: string): string {
  if (!raw.includes("\\")) return raw;
  try {
    const parsed: unknown = JSON.parse(`"${raw}"`);
    return typeof parsed === "string" ? parsed : raw;
  } catch {
    return raw;
  }
}
