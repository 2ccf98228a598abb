// The way in: what `--config` names becomes settings, or one ConfigError with every problem.

import { parse, TomlError } from "smol-toml";
import type { Folders, Found } from "./find.ts";
import { defaultFolders, findConfig } from "./find.ts";
import { scanLines } from "./lines.ts";
import { ConfigError } from "./problems.ts";
import type { Document } from "./section.ts";
import { remarkTexts } from "./section.ts";
import type { BrokerSettings } from "./settings.ts";
import { readSettings } from "./settings.ts";

export interface LoadedConfig {
  readonly settings: BrokerSettings;
  /** Which file this is and why it was taken. */
  readonly source: string;
  /** What is in the file and has no effect, one sentence each, with file and line. */
  readonly warnings: readonly string[];
}

/** Finds, reads and checks the configuration. Throws ConfigError. */
export function loadConfig(path: string | undefined, folders: Folders = defaultFolders()): LoadedConfig {
  const found = findConfig(path, folders);
  return { ...parseConfig(found), source: found.source };
}

/** Checks the text of a configuration. Throws ConfigError. */
export function parseConfig(found: Pick<Found, "text" | "file">): Omit<LoadedConfig, "source"> {
  const { text, file } = found;
  const root = parseToml(text, file);
  const document: Document = { file, lines: scanLines(text), problems: [], warnings: [] };
  const settings = readSettings(document, root);
  const problems = remarkTexts(document, document.problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return { settings, warnings: remarkTexts(document, document.warnings) };
}

/** Integers come as BigInt: 1.0 is not 1, and what is past 2^53 is not rounded. */
function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0] ?? "";
    throw new ConfigError([`${file}:${error.line}:${error.column}: ${reason}`]);
  }
}
