// Log filter: which lines are wanted, in the form that rumqttd's users know:
//
//   info                                             everything from info on
//   millrace=warn,[{client_id=pub-001}]=debug        from warn on, and one client's lines from debug on
//   info,[{topic=plant/+/state}]=trace               and the packets of some topics, whoever they concern
//
// A directive is LEVEL, TARGET=LEVEL or TARGET[{FIELD=VALUE,…}]=LEVEL; TARGET is millrace (or rumqttd) and may be
// absent. Of several that fit a line the most talkative counts. What rumqttd tells apart and Millrace does not, modules
// such as rumqttd::router and spans, is taken as the whole of it, with a notice.

import { type LineFields, LOG_RANKS, type LogRank, shown } from "../base/logger.ts";
import { filterMatchesTopic, parseTopicFilter } from "../topic/topicFilter.ts";

export const LOG_FIELDS = [
  "client_id",
  "username",
  "tenant",
  "connection_id",
  "listener",
  "remote",
  "topic",
] as const;
export type LogField = (typeof LOG_FIELDS)[number];
/** Other names of fields. */
const ALIASES: Readonly<Record<string, LogField>> = { user: "username" };

/** Directives of one filter. */
const DIRECTIVES_MAX = 64;
const TEXT_MAX = 8192;
/** The program, or a module of it, by its own name or by rumqttd's. */
const TARGET = /^(millrace|rumqttd)(::[\w:]*)?$/;
/** TARGET[SPAN{FIELDS}]=LEVEL; a target that can be none stands alone as a level would. */
const DIRECTIVE = /^([\w:-]*)(?:\[([^\]{}]*)(?:\{(.*)\})?\])?(?:=([a-z]+))?$/is;

interface Directive {
  readonly rank: LogRank;
  readonly fields: readonly (readonly [LogField, (value: string) => boolean])[];
}

export class LogFilterError extends Error {
  override readonly name = "LogFilterError";
}

export class LogFilter {
  readonly text: string;
  /** Of lines that no directive with fields fits. */
  readonly base: LogRank;
  /** What of the text is taken as more than it says, a sentence each. */
  readonly notices: readonly string[];
  private readonly directives: readonly Directive[];

  /** Throws LogFilterError, which says what is wrong, when `text` is no filter. */
  constructor(text: string) {
    if (text.length > TEXT_MAX) throw new LogFilterError(`a filter has at most ${TEXT_MAX} characters`);
    this.text = text;
    let base: LogRank | null = null;
    const directives: Directive[] = [];
    const notices: string[] = [];
    for (const part of directivesOf(text)) {
      const directive = readDirective(part, notices);
      if (directive.fields.length > 0) directives.push(directive);
      else base = base === null || directive.rank < base ? directive.rank : base;
    }
    this.base = base ?? LOG_RANKS.info;
    this.directives = directives;
    this.notices = notices;
  }

  /** The least rank that any line can have and be wanted. */
  get least(): LogRank {
    let least = this.base;
    for (const { rank } of this.directives) if (rank < least) least = rank;
    return least;
  }

  /** The least rank that a line with these fields can have and be wanted. */
  rankOf(fields: LineFields): LogRank {
    return this.rank(fields, false);
  }

  /** The same when the line's topic is not known yet, and may be the one that a directive looks for. */
  rankOfAnyTopic(fields: LineFields): LogRank {
    return this.rank(fields, true);
  }

  private rank(fields: LineFields, anyTopic: boolean): LogRank {
    let rank = this.base;
    for (const directive of this.directives) {
      if (directive.rank >= rank) continue;
      const fits = directive.fields.every(([field, matches]) => {
        if (anyTopic && field === "topic") return true;
        const value = fields[field];
        return value !== undefined && matches(String(value));
      });
      if (fits) rank = directive.rank;
    }
    return rank;
  }
}

/** Splits at commas that are not within braces. */
function directivesOf(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const letter = text[i];
    if (letter === "{") depth++;
    else if (letter === "}") depth--;
    else if (letter === undefined || (letter === "," && depth === 0)) {
      const part = text.slice(from, i).trim();
      if (part !== "") parts.push(part);
      from = i + 1;
    }
  }
  if (parts.length === 0) throw new LogFilterError("an empty filter: a level is the least, for example info");
  if (parts.length > DIRECTIVES_MAX)
    throw new LogFilterError(`a filter has at most ${DIRECTIVES_MAX} directives`);
  return parts;
}

function readDirective(part: string, notices: string[]): Directive {
  const level = rankNamed(part);
  if (level !== undefined) return { rank: level, fields: [] };
  const match = DIRECTIVE.exec(part);
  const [, target = "", span = "", fields, word] = match ?? [];
  const ours = TARGET.exec(target);
  if (match === null || (word === undefined && fields === undefined && ours === null)) {
    throw new LogFilterError(`${part}: a directive is LEVEL, millrace=LEVEL or [{client_id=NAME}]=LEVEL`);
  }
  if (target !== "" && ours === null) throw new LogFilterError(`${part}: the target is millrace or rumqttd`);
  if (span !== "" && fields === undefined)
    throw new LogFilterError(`${part}: spans have no names here: write [{client_id=NAME}]`);
  if (ours?.[2] !== undefined)
    notices.push(`${part}: modules are not told apart: this is about all of Millrace`);
  if (span !== "")
    notices.push(`${part}: spans are not told apart: this is about all lines with these fields`);
  if (word === undefined) notices.push(`${part}: no level is given: that is trace`);
  const rank = rankNamed(word ?? "trace");
  if (rank === undefined) {
    throw new LogFilterError(`${part}: ${word} is no level; levels are ${Object.keys(LOG_RANKS).join(", ")}`);
  }
  return { rank, fields: fields === undefined ? [] : readFields(part, fields) };
}

function rankNamed(word: string): LogRank | undefined {
  const name = word.toLowerCase();
  return Object.hasOwn(LOG_RANKS, name) ? LOG_RANKS[name as keyof typeof LOG_RANKS] : undefined;
}

function readFields(part: string, text: string): Directive["fields"] {
  const pairs = (text.match(/(?:"[^"]*"|[^,])+/g) ?? []).filter((pair) => pair.trim() !== "");
  if (pairs.length === 0) throw new LogFilterError(`${part}: braces hold FIELD=VALUE`);
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const field = pair.slice(0, Math.max(0, equals)).trim();
    const value = pair
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/s, "$1");
    const known = LOG_FIELDS.find(
      (name) => name === (Object.hasOwn(ALIASES, field) ? ALIASES[field] : field),
    );
    if (equals < 0 || known === undefined) {
      throw new LogFilterError(
        `${part}: ${pair.trim()}: fields are ${LOG_FIELDS.join(", ")}, as FIELD=VALUE`,
      );
    }
    return [known, matcherOf(part, known, value)] as const;
  });
}

/** A topic is matched as by a Topic Filter, every other field by its whole text, as lines show it. */
function matcherOf(part: string, field: LogField, value: string): (text: string) => boolean {
  if (field !== "topic") {
    const wanted = shown(value) ?? "";
    return (text) => text === wanted;
  }
  const parsed = parseTopicFilter(value);
  if (parsed === null || parsed.group !== null) {
    throw new LogFilterError(`${part}: ${value} is no Topic Filter`);
  }
  return (text) => text !== "" && filterMatchesTopic(parsed.filter, text);
}
