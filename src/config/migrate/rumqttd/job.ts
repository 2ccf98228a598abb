// Job: the work at one file of rumqttd, and what is common to the moves of its tables.

import { keyAt } from "../../places.ts";
import { nearest, type Path } from "../../problems.ts";
import { tomlPath, tomlValue } from "../../toml.ts";
import { isTable } from "../../values.ts";
import type { Draft } from "../draft.ts";
import type { Generation } from "./generation.ts";
import type { OldToml } from "./oldToml.ts";
import type { TableRule } from "./rules.ts";

/** The work at one file. */
export interface Job {
  readonly old: OldToml;
  readonly draft: Draft;
  readonly generation: Generation;
}

/** Moves the keys of one table into the section at `path`, each by its rule. */
export function moveTable(
  job: Job,
  at: Path,
  raw: unknown,
  path: readonly string[],
  rules: Readonly<Record<string, TableRule>>,
): void {
  if (!isTable(raw)) {
    unknown(job, at, [], []);
    return;
  }
  const { old, draft } = job;
  const section = draft.section(path, wasSection(at, path), old.commentsOf(at));
  for (const [name, value] of Object.entries(raw)) {
    const here = [...at, name];
    const origin = { source: old.sourceOf(here), above: old.commentsOf(here) };
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined && keyAt(path, name) !== undefined) section.set(name, value, origin);
    else if (rule === undefined) unknown(job, here, path, Object.keys(rules));
    else if ("gone" in rule) section.gone(name, rule.gone, { ...origin, value });
    else section.set(rule.key, value, { ...origin, was: rule.key === name ? undefined : `was ${name}` });
  }
}

/** A value inside another text. */
export function plain(value: unknown): string {
  return typeof value === "string" ? value : tomlValue(value);
}

/** What the header of the section at `path` says when it had another name; undefined when it had not. */
export function wasSection(at: Path, path: readonly string[]): string | undefined {
  const was = sectionText(at);
  return was === `[${tomlPath(path)}]` ? undefined : `was ${was}`;
}

/** `[servers.1]`, or `[[servers]]` for one of a list. */
export function sectionText(at: Path): string {
  const names = at.filter((part) => typeof part === "string");
  return names.length < at.length ? `[[${tomlPath(names)}]]` : `[${tomlPath(names)}]`;
}

/** Leaves out what no generation knew. Its value is not shown: nobody knows whether it is a secret. */
export function unknown(job: Job, at: Path, path: readonly string[], known: readonly string[]): void {
  const { old, draft } = job;
  const name = String(at.at(-1));
  const meant = nearest(name, known);
  const hint = meant === undefined ? "" : `; perhaps ${meant} was meant`;
  const table = at.slice(0, -1);
  const where = table.length === 0 ? "" : `${sectionText(table)} `;
  draft
    .section(path)
    .gone(`${where}${name}`, `rumqttd has never had such a key${hint}`, { source: old.sourceOf(at) });
}
