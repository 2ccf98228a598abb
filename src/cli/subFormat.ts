// Output formats of `sub`: `-F '%t %p'` with mosquitto_sub's letters, compiled once to a list of parts.

import { CommandError } from "./end.ts";
import type { Message } from "./mqtt/client.ts";
import { jsonLine } from "./subJson.ts";
import { type Moment, strftime } from "./strftime.ts";

/** A message's output; null when it should be JSON and is not. */
export type Format = (message: Message, moment: Moment) => Buffer | null;

type Part = (message: Message, moment: Moment) => string | Buffer | null;
type Properties = NonNullable<Message["properties"]>;

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\",
  "0": "\0",
  a: "\x07",
  e: "\x1b",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Letters whose value is text or a number; all of them take a width, `cut` ones a precision as well. */
const FIELDS: Readonly<Record<string, { of: Part; cut?: true; zero?: true }>> = {
  A: { of: property("topicAlias"), zero: true },
  C: { of: property("contentType"), cut: true },
  E: { of: property("messageExpiryInterval"), zero: true },
  F: { of: property("payloadFormatIndicator"), zero: true },
  I: { of: (_, moment) => strftime("%Y-%m-%dT%H:%M:%S%z", moment), cut: true },
  l: { of: ({ payload }) => String(payload.length), zero: true },
  m: { of: ({ messageId = 0 }) => String(messageId), zero: true },
  p: { of: ({ payload }) => payload },
  R: { of: property("responseTopic"), cut: true },
  S: { of: property("subscriptionIdentifier"), zero: true },
  t: { of: ({ topic }) => topic, cut: true },
  x: { of: ({ payload }) => hex(payload), zero: true },
  X: { of: ({ payload }) => hex(payload).toUpperCase(), zero: true },
};

/** Letters that take no width. */
function plainField(letter: string, pretty: boolean): Part | undefined {
  switch (letter) {
    case "%":
      return () => "%";
    case "D":
      return ({ properties }) => properties?.correlationData ?? "";
    case "j":
      return (message, moment) => jsonLine(message, moment, { asJson: false, pretty });
    case "J":
      return (message, moment) => jsonLine(message, moment, { asJson: true, pretty });
    case "P":
      return ({ properties }) => userProperties(properties);
    case "q":
      return ({ qos }) => String(qos);
    case "r":
      return ({ retain }) => (retain ? "1" : "0");
    case "U":
      return (_, moment) => strftime("%s.%N", moment);
    default:
      return undefined;
  }
}

/** Compiles what `-F` says, with `lineEnd` behind it. Throws CommandError for what is no format. */
export function parseFormat(text: string, pretty: boolean, lineEnd: string): Format {
  const parts: Part[] = [];
  const pattern = /%([-0]*)(\d*)(?:\.(\d*))?(.?)|@(.?)|\\(.?)|[^%@\\]+/gs;
  for (const found of text.matchAll(pattern)) parts.push(partOf(found, pretty));
  parts.push(() => lineEnd);
  return (message, moment) => {
    const values: Buffer[] = [];
    for (const part of parts) {
      const value = part(message, moment);
      if (value === null) return null;
      values.push(typeof value === "string" ? Buffer.from(value) : value);
    }
    return Buffer.concat(values);
  };
}

function partOf(found: RegExpMatchArray, pretty: boolean): Part {
  const [whole, flags, width = "", precision, letter, time, escaped] = found;
  if (letter !== undefined)
    return messagePart(whole, letter, { flags: flags ?? "", width, precision }, pretty);
  if (time === "" || escaped === "") throw new CommandError(`-F: nothing follows the last ${whole}`);
  if (time === "@") return () => "@";
  if (time !== undefined) return (_, moment) => strftime(`%${time}`, moment);
  if (escaped === undefined) return () => whole;
  const character = ESCAPES[escaped];
  if (character === undefined)
    throw new CommandError(
      `-F: ${whole} is no escape; there are ${Object.keys(ESCAPES)
        .map((e) => `\\${e}`)
        .join(" ")}`,
    );
  return () => character;
}

interface Layout {
  readonly flags: string;
  readonly width: string;
  readonly precision: string | undefined;
}

function messagePart(whole: string, letter: string, layout: Layout, pretty: boolean): Part {
  if (letter === "") throw new CommandError(`-F: a letter is missing behind ${whole}`);
  const plain = plainField(letter, pretty);
  if (plain !== undefined) return plain;
  const field = FIELDS[letter];
  if (field === undefined)
    throw new CommandError(`-F: %${letter} stands for nothing; see millrace sub --help`);
  const { of, cut, zero } = field;
  const width = Number(layout.width);
  const isLeft = layout.flags.includes("-");
  const fill = zero && !isLeft && layout.flags.includes("0") ? "0" : " ";
  const max = cut && layout.precision !== undefined ? Number(layout.precision) : Number.POSITIVE_INFINITY;
  return (message, moment) => {
    const value = of(message, moment);
    if (value === null) return null;
    if (typeof value !== "string") return padded(value, width, isLeft);
    const text = value.length > max ? value.slice(0, max) : value;
    return isLeft ? text.padEnd(width) : text.padStart(width, fill);
  };
}

function padded(bytes: Buffer, width: number, isLeft: boolean): Buffer {
  if (bytes.length >= width) return bytes;
  const blanks = Buffer.alloc(width - bytes.length, " ");
  return Buffer.concat(isLeft ? [bytes, blanks] : [blanks, bytes]);
}

function property(name: keyof Properties): Part {
  return ({ properties }) => {
    const value = properties?.[name];
    if (value === undefined) return "";
    if (typeof value === "boolean") return value ? "1" : "0";
    return Array.isArray(value) ? value.join(" ") : String(value);
  };
}

function userProperties(properties: Properties | undefined): string {
  const pairs = Object.entries(properties?.userProperties ?? {});
  return pairs.flatMap(([name, value]) => [value].flat().map((one) => `${name}:${one}`)).join(" ");
}

function hex(payload: string | Buffer): string {
  return Buffer.from(payload).toString("hex");
}
