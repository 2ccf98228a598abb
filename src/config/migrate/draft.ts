// Draft: a new configuration in the making. Sections and keys stand in the order in which they came; each line that
// differs from the old file says at its end what it was. The draft knows today's tables of keys: a value beyond a key's
// range is brought to its end, and a key without effect becomes a comment, both with a warning.

import type { Key } from "../key.ts";
import { keyAt } from "../places.ts";
import { sizeToml } from "../reference.ts";
import { commentText, tomlKey, tomlPath, tomlValue } from "../toml.ts";
import { sizeText } from "../values.ts";

/** The parts of a listener: its own section and those below it. */
export type Part = "" | "connections" | "tls";

/** A place in the old file. */
export interface Source {
  readonly file: string;
  readonly line: number;
  /** Where to look alone: what is said there is not about what stands on that line. */
  readonly isNear?: true;
}

/** What a key is set with besides its value. */
export interface Origin {
  readonly source: Source;
  /** What the line was; absent when it has not changed. Never a secret. */
  readonly was?: string | undefined;
  /** Comments that stood above it. */
  readonly above?: readonly string[];
}

/** What a key is left out with. */
export interface Loss extends Omit<Origin, "was"> {
  /** What it was set to, for the comment; never a secret. Zero, false and "" asked for nothing: no warning. */
  readonly value?: unknown;
  /** Nothing is lost, whatever the value. */
  readonly isIdle?: boolean;
}

interface Warning {
  readonly file: string;
  readonly text: string;
  readonly lines: Set<number>;
}

export class Draft {
  readonly #head: readonly string[];
  readonly #sections = new Map<string, DraftSection>();
  readonly #warnings: Warning[] = [];
  /** Lines of the old files that something has become of, or has been said about. */
  readonly #told = new Set<string>();

  /** `head` explains the file, a comment each. */
  constructor(head: readonly string[]) {
    this.#head = head;
    this.section([]);
  }

  /** The section at `path`, made when it is not there; `was` and `above` count then alone. */
  section(path: readonly string[], was?: string, above: readonly string[] = []): DraftSection {
    const id = tomlPath(path);
    const known = this.#sections.get(id);
    if (known !== undefined) return known;
    const made = new DraftSection(this, path, was, above);
    this.#sections.set(id, made);
    return made;
  }

  /** The section at `path` if it is there. */
  existing(path: readonly string[]): DraftSection | undefined {
    return this.#sections.get(tomlPath(path));
  }

  get sections(): Iterable<DraftSection> {
    return this.#sections.values();
  }

  /** Something has become of this line, or has been said about it. */
  tell({ file, line, isNear }: Source): void {
    if (!isNear) this.#told.add(`${file}:${line}`);
  }

  isTold({ file, line }: Source): boolean {
    return this.#told.has(`${file}:${line}`);
  }

  /** Says what is lost or needs a look. Never a secret. The same text about several lines is told once. */
  warn(source: Source, text: string): void {
    this.tell(source);
    const { file, line } = source;
    const same = this.#warnings.find((warning) => warning.text === text && warning.file === file);
    if (same === undefined) this.#warnings.push({ file, text, lines: new Set([line]) });
    else same.lines.add(line);
  }

  /** With file and line each, in the order of the file. */
  get warnings(): string[] {
    const files = [...new Set(this.#warnings.map(({ file }) => file))];
    const first = ({ lines }: Warning): number => Math.min(...lines);
    const inOrder = this.#warnings.toSorted(
      (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || first(a) - first(b),
    );
    return inOrder.map(({ file, text, lines }) => {
      const [line = 1, ...more] = [...lines].sort((a, b) => a - b);
      const also = more.length === 0 ? "" : ` (also line${more.length > 1 ? "s" : ""} ${more.join(", ")})`;
      return `${file}:${line}: ${text}${also}`;
    });
  }

  /** The file. */
  get text(): string {
    const blocks = [...this.#sections.values()].map((section) => section.text);
    const head = this.#head.map((line) => `# ${commentText(line)}\n`).join("");
    return [head, ...blocks].filter((block) => block !== "").join("\n");
  }
}

type Line =
  | { readonly comment: string }
  | { readonly name: string; readonly value: unknown; readonly was: string | undefined };

export class DraftSection {
  readonly path: readonly string[];
  readonly #draft: Draft;
  readonly #was: string | undefined;
  readonly #above: readonly string[];
  readonly #lines: Line[] = [];

  constructor(draft: Draft, path: readonly string[], was: string | undefined, above: readonly string[]) {
    this.#draft = draft;
    this.path = path;
    this.#was = was;
    this.#above = above;
  }

  /** Sets a key; a second value for it replaces the first. */
  set(name: string, value: unknown, { source, was, above = [] }: Origin): void {
    this.#draft.tell(source);
    const key = keyAt(this.path, name);
    if (key?.effect === "none") {
      const shown = key.kind === "users" || key.secret ? undefined : value;
      this.gone(name, "a key of older brokers without effect here", { source, above, value: shown });
      return;
    }
    const fitted = key === undefined ? value : fit(key, value);
    const changes = was === undefined ? [] : [was];
    if (fitted !== value) {
      const end = `${tomlValue(value)} is beyond what ${name} can be, ${rangeText(key)}`;
      this.#draft.warn(source, `${end}: it is ${tomlValue(fitted)} now`);
      if (was === undefined) changes.push(`was ${tomlValue(value)}`);
      changes.push("brought within its range");
    }
    const at = this.#lines.findIndex((line) => "name" in line && line.name === name);
    if (at >= 0) this.#lines.splice(at, 1);
    this.#lines.push(...above.map((comment) => ({ comment })), {
      name,
      value: fitted,
      was: changes.length === 0 ? undefined : changes.join(", "),
    });
  }

  /** What `name` is set to; undefined when it is not. */
  get(name: string): unknown {
    const line = this.#lines.find((one) => "name" in one && one.name === name);
    return line !== undefined && "name" in line ? line.value : undefined;
  }

  /** A comment of its own line. */
  note(text: string): void {
    this.#lines.push({ comment: text });
  }

  /** Leaves `what` out: a comment, and a warning unless nothing is lost by it. */
  gone(what: string, why: string, loss: Loss): void {
    const { source, above = [], value } = loss;
    this.#draft.tell(source);
    for (const comment of above) this.note(comment);
    this.note(`gone: ${what}${value === undefined ? "" : ` = ${tomlValue(value)}`}: ${why}`);
    const isIdle = value === 0n || value === false || value === "" || loss.isIdle === true;
    if (!isIdle) this.#draft.warn(source, `${what}: ${why}`);
  }

  get text(): string {
    const lines = this.#lines.map((line) => {
      if ("comment" in line) return `# ${commentText(line.comment)}`;
      const text = `${tomlKey(line.name)} = ${tomlValue(line.value)}`;
      return line.was === undefined ? text : `${text}  # ${commentText(line.was)}`;
    });
    if (this.path.length > 0 && (lines.length > 0 || this.#was !== undefined))
      lines.unshift(...this.#above.map((text) => `# ${commentText(text)}`), this.#header);
    return lines.map((line) => `${line}\n`).join("");
  }

  get #header(): string {
    const header = `[${tomlPath(this.path)}]`;
    return this.#was === undefined ? header : `${header}  # ${commentText(this.#was)}`;
  }
}

/** The value nearest to `value` that `key` takes, for integers and sizes; else `value` itself. */
function fit(key: Key, value: unknown): unknown {
  if (key.kind !== "integer" && key.kind !== "size") return value;
  if (typeof value !== "bigint" && typeof value !== "number") return value;
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = key;
  if (value < minimum) return BigInt(minimum);
  return value > maximum ? BigInt(maximum) : value;
}

function rangeText(key: Key | undefined): string {
  const { kind, minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = key ?? {};
  const show = kind === "size" ? sizeText : String;
  return `${show(minimum)} to ${show(maximum)}`;
}

/** Bytes as a new file shows them: `"64MiB"` where that is exact, else the integer. */
export function sizeValue(bytes: number): string | bigint {
  const text = sizeToml(bytes);
  return text.startsWith('"') ? text.slice(1, -1) : BigInt(bytes);
}
