// File place: how messages name a file that the configuration names: by the line, the key and the value that do so.

import { keyText, type Path } from "./problems.ts";

/** `millrace.toml:12`, or the environment variable, that says what stands at `path`. */
export type PlaceOf = (path: Path) => string;

/** `millrace.toml:12: [auth.file] path`; the key alone where nobody knows the line. */
export function placeOfKey(placeOf: PlaceOf | undefined, key: Path): string {
  const where = placeOf === undefined ? "" : `${placeOf(key)}: `;
  return `${where}${keyText(key)}`;
}

/** What is wrong with the file that `key` names; its own name at the head of `problem` is not said twice. */
export function fileProblem(placeOf: PlaceOf | undefined, key: Path, file: string, problem: string): string {
  const head = `${file}: `;
  const text = problem.startsWith(head) ? problem.slice(head.length) : problem;
  return `${placeOfKey(placeOf, key)} = ${JSON.stringify(file)}: ${text}`;
}
