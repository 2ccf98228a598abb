// Values of options: parsers that refuse with what is allowed, for commander's argParser.

import { InvalidArgumentError } from "commander";

const UTF8_BYTES_MAX = 65_535;

/** A whole number of minimum..maximum. */
export function integer(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`It is a whole number from ${minimum} to ${maximum}.`);
    return value;
  };
}

/** A number of minimum..maximum, with or without a fraction. */
export function decimal(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`It is a number from ${minimum} to ${maximum}.`);
    return value;
  };
}

const SIZES: Readonly<Record<string, number>> = { "": 1, k: 1 << 10, m: 1 << 20 };

/** A number of bytes: 64, 4k, 1M. */
export function bytes(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const [, digits = "", unit = ""] = /^(\d+)([km]?)$/i.exec(text) ?? [];
    const value = digits === "" ? Number.NaN : Number(digits) * SIZES[unit.toLowerCase()]!;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(
        `It is a number of bytes from ${minimum} to ${maximum}, such as 64, 4k or 1M.`,
      );
    return value;
  };
}

/** What MQTT can carry as a string. */
export function utf8(text: string): string {
  if (Buffer.byteLength(text) > UTF8_BYTES_MAX)
    throw new InvalidArgumentError(`MQTT allows ${UTF8_BYTES_MAX} bytes.`);
  if (!text.isWellFormed()) throw new InvalidArgumentError("It is no UTF-8.");
  return text;
}
