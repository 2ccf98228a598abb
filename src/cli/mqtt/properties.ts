// Properties of MQTT 5 from the command line: `-D publish content-type text/plain`, `-D will user-property k v`.

import { nearest } from "../../config/problems.ts";
import { PacketType } from "../../packet/frame.ts";
import {
  type PropertyPacket,
  type PropertyRow,
  PropertyType,
  propertyTable,
  WILL,
} from "../../packet/propertyTable.ts";
import { CommandError } from "../end.ts";

/** Packets of a client whose properties can be given. */
const PACKETS = {
  connect: PacketType.Connect,
  publish: PacketType.Publish,
  subscribe: PacketType.Subscribe,
  unsubscribe: PacketType.Unsubscribe,
  disconnect: PacketType.Disconnect,
  will: WILL,
} as const satisfies Record<string, PropertyPacket>;
export type PropertyOwner = keyof typeof PACKETS;

/** As mqtt-packet takes them. */
export type GivenProperties = Record<string, unknown>;

/** One `-D`: packet, property, and one word, or two for a user property. */
export type GivenProperty = readonly string[];

const USER_PROPERTY = "user-property";
const SEPARATOR = "\0";

/**
 * Makes one argument of `-D` and the two or three words behind it, which no argument parser does: how many there are
 * depends on the second. "\0", which no argument can hold, stands between them.
 */
export function joinProperties(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") return [...joined, ...args.slice(at)];
    if (arg !== "-D" && arg !== "--property") {
      joined.push(arg);
      continue;
    }
    const words = args[at + 2]?.toLowerCase() === USER_PROPERTY ? 4 : 3;
    joined.push("--property", args.slice(at + 1, at + 1 + words).join(SEPARATOR));
    at += words;
  }
  return joined;
}

export function splitProperty(text: string): GivenProperty {
  return text.split(SEPARATOR);
}

/** All that `given` says, by packet; `owners` are the packets that the command sends. Throws CommandError. */
export function readProperties(
  given: readonly GivenProperty[],
  owners: readonly PropertyOwner[],
): Readonly<Record<PropertyOwner, GivenProperties>> {
  const all: Record<PropertyOwner, GivenProperties> = {
    connect: {},
    publish: {},
    subscribe: {},
    unsubscribe: {},
    disconnect: {},
    will: {},
  };
  for (const words of given) readProperty(words, owners, all);
  return all;
}

function readProperty(
  words: GivenProperty,
  owners: readonly PropertyOwner[],
  all: Readonly<Record<PropertyOwner, GivenProperties>>,
): void {
  const [packet = "", name = "", value, second] = words;
  if (name === "")
    throw new CommandError("-D wants a packet, a property and its value: -D publish content-type text");
  const owner = owners.find((candidate) => candidate === packet.toLowerCase());
  if (owner === undefined) throw new CommandError(`-D ${packet}: the packet is one of ${owners.join(", ")}`);
  const rows = rowsOf(owner);
  const row = rows.find((candidate) => kebab(candidate) === name.toLowerCase());
  if (row === undefined) throw new CommandError(unknownProperty(owner, name, rows));
  const shown = `-D ${owner} ${name}`;
  if (value === undefined || (row.type === PropertyType.Pair && second === undefined))
    throw new CommandError(
      `${shown}: ${row.type === PropertyType.Pair ? "a name and a value are" : "a value is"} missing`,
    );
  const properties = all[owner];
  if (row.type === PropertyType.Pair) addPair(properties, value, second!);
  else if (properties[row.name] !== undefined) throw new CommandError(`${shown} is given twice`);
  else properties[row.name] = typedValue(row, value, shown);
}

function rowsOf(owner: PropertyOwner): PropertyRow[] {
  return propertyTable.filter(({ packets, name }) => {
    // A Subscription Identifier in PUBLISH is the broker's to send.
    if (owner === "publish" && name === "subscriptionIdentifier") return false;
    return packets.includes(PACKETS[owner]) && name !== "reasonString" && name !== "serverReference";
  });
}

function kebab({ name }: PropertyRow): string {
  if (name === "userProperties") return USER_PROPERTY;
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function unknownProperty(owner: PropertyOwner, name: string, rows: readonly PropertyRow[]): string {
  const names = rows.map(kebab);
  const near = nearest(name, names);
  const hint = near === undefined ? `it takes ${names.join(", ")}` : `did you mean ${near}?`;
  return `-D ${owner} ${name}: ${owner.toUpperCase()} has no such property; ${hint}`;
}

/** Several values of one name become a list, as mqtt-packet wants it; they stand together then. */
function addPair(properties: GivenProperties, name: string, value: string): void {
  properties["userProperties"] ??= Object.create(null);
  const pairs = properties["userProperties"] as Record<string, string | string[]>;
  const earlier = pairs[name];
  pairs[name] = earlier === undefined ? value : [earlier, value].flat();
}

const MAXIMA: Readonly<Record<number, number>> = {
  [PropertyType.U16]: 0xffff,
  [PropertyType.U32]: 0xffff_ffff,
  [PropertyType.Varint]: 268_435_455,
};

function typedValue({ type, min }: PropertyRow, value: string, shown: string): unknown {
  if (type === PropertyType.Utf8) return value;
  if (type === PropertyType.Binary) return Buffer.from(value);
  const isFlag = type === PropertyType.Flag || type === PropertyType.Byte;
  const max = MAXIMA[type] ?? 1;
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) throw new CommandError(`${shown} ${value}: must be ${min}..${max}`);
  return isFlag ? number === 1 : number;
}
