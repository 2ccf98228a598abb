// A configuration of mosquitto as it is written: one option a line, the files of include_dir in their places.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Found } from "../../find.ts";
import type { Source } from "../draft.ts";

/** One line: `max_qos 1`. */
export interface Option {
  readonly name: string;
  /** The rest of the line, without the white space around it. */
  readonly text: string;
  readonly source: Source;
}

/** What could not be read. */
export interface Unread {
  readonly source: Source;
  readonly text: string;
}

export interface MosquittoFile {
  readonly options: readonly Option[];
  readonly unread: readonly Unread[];
  /** Folders of include_dir that were read. */
  readonly included: readonly string[];
}

/** include_dir holds in the main file alone: nothing is read in circles. */
export function readMosquitto(found: Pick<Found, "text" | "file">): MosquittoFile {
  const options: Option[] = [];
  const unread: Unread[] = [];
  const included: string[] = [];
  for (const option of optionsOf(found)) {
    if (option.name !== "include_dir") options.push(option);
    else if (include(option, options, unread)) included.push(option.text);
  }
  return { options, unread, included };
}

/** A # makes a comment at the beginning of a line alone. */
function optionsOf({ text, file }: Pick<Found, "text" | "file">): Option[] {
  const options: Option[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const match = /^\s*(\S+)\s*(.*?)\s*$/.exec(line);
    const [, name = "", rest = ""] = match ?? [];
    if (line.startsWith("#") || name === "") continue;
    options.push({ name, text: rest, source: { file, line: index + 1 } });
  }
  return options;
}

/** Whether the folder could be read. */
function include({ text: folder, source }: Option, options: Option[], unread: Unread[]): boolean {
  if (folder === "") {
    unread.push({ source, text: "include_dir names no folder" });
    return false;
  }
  const places = isAbsolute(folder) ? [folder] : [resolve(folder), join(dirname(source.file), folder)];
  for (const place of places) {
    const names = namesIn(place);
    if (names === undefined) continue;
    for (const name of names) {
      const file = join(place, name);
      try {
        options.push(...optionsOf({ text: readFileSync(file, "utf8"), file }));
      } catch (error) {
        unread.push({
          source,
          text: `${file} cannot be read, and nothing of it is migrated: ${reasonOf(error)}`,
        });
      }
    }
    return true;
  }
  unread.push({ source, text: `include_dir ${folder} cannot be read, and nothing of it is migrated` });
  return false;
}

/** The `.conf` files of a folder in mosquitto's order: letters regardless of their case, then capitals first. */
function namesIn(folder: string): string[] | undefined {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(".conf"));
    const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    return names.sort((a, b) => order(a.toLowerCase(), b.toLowerCase()) || order(a, b));
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
