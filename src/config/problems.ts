// Problems: everything wrong with one file, collected and reported at once, each with file, line, key, value and
// what is allowed.

/** A path into a document: table names, key, or the index in an array. */
export type Path = readonly (string | number)[];

/** Thrown with every problem found. `message` has one line for each. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** `a.b.'c/d'`: a path as TOML writes it. */
export function pathText(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += `${text === "" ? "" : "."}${/^[\w-]+$/.test(part) ? part : quote(part)}`;
  }
  return text;
}

function quote(part: string): string {
  return part.includes("'") ? JSON.stringify(part) : `'${part}'`;
}

/** `[a.b] key`, the way that people look for it in a file. */
export function keyText(path: Path): string {
  const table = path.slice(0, -1);
  const key = path.slice(-1);
  return table.length === 0 ? pathText(key) : `[${pathText(table)}] ${pathText(key)}`;
}

const VALUE_TEXT_MAX = 60;

/** A value as TOML would show it, cut when long. */
export function valueText(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? Number(part) : part));
  const plain = typeof value === "bigint" ? value.toString() : (text ?? String(value));
  return plain.length <= VALUE_TEXT_MAX ? plain : `${plain.slice(0, VALUE_TEXT_MAX)}…`;
}

/** The candidate that `word` was most likely meant to be, or undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const above = rows[i - 1] ?? [];
      let cost = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (rows[i - 2]?.[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}
