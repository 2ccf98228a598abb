// The way in: what `--config` names becomes settings, or one ConfigError with every problem.

import { parse, TomlError } from "smol-toml";
import { applyEnvironment, type Environment, Variables } from "./environment.ts";
import type { Folders, Found } from "./find.ts";
import { defaultFolders, findConfig } from "./find.ts";
import { scanLines } from "./lines.ts";
import { ConfigError } from "./problems.ts";
import type { Document, Remark } from "./section.ts";
import { remarkTexts } from "./section.ts";
import type { BrokerSettings } from "./settings.ts";
import { readSettings } from "./settings.ts";

export interface LoadedConfig {
  readonly settings: BrokerSettings;
  /** Which file this is and why it was taken. */
  readonly source: string;
  /** What is in the file and has no effect, one sentence each, with file and line. */
  readonly warnings: readonly string[];
  /** The environment variables that stand in for keys of the file. */
  readonly variables: readonly string[];
}

/** Finds, reads and checks the configuration. Throws ConfigError. */
export function loadConfig(
  path: string | undefined,
  folders: Folders = defaultFolders(),
  environment: Environment = process.env,
): LoadedConfig {
  const found = findConfig(path, folders);
  return { ...parseConfig(found, environment), source: found.source };
}

/** Checks the text of a configuration, with what `environment` puts in its place. Throws ConfigError. */
export function parseConfig(
  found: Pick<Found, "text" | "file">,
  environment: Environment = {},
): Omit<LoadedConfig, "source"> {
  const { settings, warnings, document } = readConfig(found, environment);
  return { settings, warnings, variables: document.variables.names };
}

/** A configuration that passed every check, and what it was made from. */
export interface ReadConfig {
  readonly settings: BrokerSettings;
  readonly warnings: readonly string[];
  /** The file's tables, with the environment's values in place. */
  readonly root: Readonly<Record<string, unknown>>;
  readonly document: Document & { readonly variables: Variables };
}

/** As parseConfig, for those who want to know where each value comes from. */
export function readConfig(found: Pick<Found, "text" | "file">, environment: Environment): ReadConfig {
  const { read, problems } = tryConfig(found, environment);
  if (problems.length > 0) throw new ConfigError(problems);
  return read;
}

export interface TriedConfig {
  /** Counts only where there are no problems, or where they are of files alone. */
  readonly read: ReadConfig;
  readonly problems: readonly string[];
  /** Nothing is wrong but files that the configuration names. */
  readonly isOfFiles: boolean;
}

/** As readConfig, but throws ConfigError for what is no TOML alone. */
export function tryConfig(
  { text, file }: Pick<Found, "text" | "file">,
  environment: Environment,
): TriedConfig {
  const root = parseToml(text, file);
  const variables = new Variables();
  const refused = applyEnvironment(root, environment, variables);
  const document = { file, lines: scanLines(text), variables, problems: [], warnings: [] };
  const settings = readSettings(document, root);
  const problems = remarkTexts(document, document.problems);
  problems.push(...refused.map(({ variable, text }) => `${variable}: ${text}`));
  const isOfFiles = refused.length === 0 && document.problems.every((one: Remark) => one.isOfFile);
  const warnings = remarkTexts(document, document.warnings);
  return { read: { settings, warnings, root, document }, problems, isOfFiles };
}

/** Integers come as BigInt: 1.0 is not 1, and what is past 2^53 is not rounded. Throws ConfigError. */
export function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0] ?? "";
    throw new ConfigError([`${file}:${error.line}:${error.column}: ${reason}`]);
  }
}
