// Key: one row of the tables of configuration keys (keys.ts and the files that it gathers), and the types that
// derive from rows. A row whose `default` is null has no default: the value is null unless given. `required` rows
// must be given. Rows with `effect: "none"` are read for the sake of old files and then forgotten, with a warning.

import type { ProtocolLevel } from "../net/settings.ts";
import type { SharedStrategy } from "../router/settings.ts";

/** `host` is a name or an address without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where to listen: an address, or the path of a Unix socket. */
export interface Endpoint extends Address {
  readonly unix: string | null;
}

/** What a key's text becomes, by kind. */
export interface KindValue {
  integer: number;
  /** Bytes: an integer, or a string such as "64MiB". */
  size: number;
  boolean: boolean;
  text: string;
  strategy: SharedStrategy;
  address: Address;
  endpoint: Endpoint;
  versions: readonly ProtocolLevel[];
  filters: readonly string[];
  /** One of the row's `choices`. */
  choice: string;
  /** True, false, or one of the row's `choices`. */
  toggle: boolean | string;
  /** A list of strings that are not empty; of the row's `choices` where it has some. */
  texts: readonly string[];
  /** Nodes of a cluster: number and address each. */
  nodes: readonly (readonly [number, Address])[];
  users: ReadonlyMap<string, string>;
}

export type Kind = keyof KindValue;

export interface Key {
  readonly kind: Kind;
  readonly default: number | string | boolean | readonly (number | string)[] | null;
  /** For people, where the default is computed rather than constant. */
  readonly defaultText?: string;
  readonly required?: true;
  /** Inclusive; for integers and sizes. */
  readonly minimum?: number;
  readonly maximum?: number;
  readonly unit?: string;
  /** What may be said; for kinds choice, toggle and texts. */
  readonly choices?: readonly string[];
  readonly effect?: "none";
  /** Another value takes a restart. */
  readonly restart?: true;
  /** Never shown: not in a message, not by check-config. A table of users is secret by its kind. */
  readonly secret?: true;
  /** One sentence without its full stop. */
  readonly doc: string;
}

export type Keys = Readonly<Record<string, Key>>;

/** The values that a section's keys give: null only where a row has neither a default nor `required`. */
export type ValuesOf<T extends Keys> = {
  readonly [Name in keyof T]:
    | KindValue[T[Name]["kind"]]
    | (T[Name]["default"] extends null ? (T[Name] extends { required: true } ? never : null) : never);
};

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const TIB = 1024 * GIB;

/** §2.1.4: the largest Remaining Length, and with its fixed header the largest packet. */
export const REMAINING_LENGTH_MAX = 268_435_455;
export const PACKET_BYTES_MAX = REMAINING_LENGTH_MAX + 5;

/** Room for a topic, properties and headers when `max_packet_size` follows from `max_payload_size`. */
export const PACKET_OVERHEAD_BYTES = 128 * KIB;
