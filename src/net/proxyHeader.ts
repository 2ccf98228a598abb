// PROXY header: what a load balancer says before a connection's first byte, versions 1 (text) and 2 (binary) of
// HAProxy's PROXY protocol: from where the client came, and what its TLS certificate says where the proxy ended TLS.

import { isIP } from "node:net";
import { plainAddress, UNIX_ADDRESS } from "./address.ts";

export interface ProxyHeader {
  /** Bytes that it takes; the client's follow. */
  readonly length: number;
  /** Where the client is; null where the proxy speaks for itself, as with a health check, or does not know. */
  readonly address: string | null;
  /** CN of the client certificate that the proxy has verified; "" for none. */
  readonly commonName: string;
}

/** So many bytes are the longest header that is read: version 1 has at most 107, version 2 what it carries. */
export const PROXY_HEADER_BYTES_MAX = 4096;

export const NEED_MORE_HEADER = "need more";

/** The header; NEED_MORE_HEADER while it is cut; else what is wrong with it. */
export type HeaderReading = ProxyHeader | typeof NEED_MORE_HEADER | { readonly wrong: string };

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const HEAD_BYTES = 16;
const V1_BYTES_MAX = 107;
const V1_START = Buffer.from("PROXY ");

const Command = { Local: 0, Proxy: 1 } as const;
const Family = { Unspecified: 0, Inet: 1, Inet6: 2, Unix: 3 } as const;
/** Bytes of the two addresses and ports, by family. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;

const TYPE_SSL = 0x20;
const SUBTYPE_CN = 0x22;
/** The client came over TLS; it showed a certificate in this connection, or in this session. */
const CLIENT_SSL = 1;
const CLIENT_CERT = 2 | 4;

/** Reads the header at the beginning of `bytes`. Reads only. */
export function readProxyHeader(bytes: Buffer): HeaderReading {
  if (startsAs(bytes, SIGNATURE)) return readBinary(bytes);
  if (startsAs(bytes, V1_START)) return readText(bytes);
  return { wrong: "there is no PROXY header" };
}

/** As much as there is of `bytes` begins as `start` does. */
function startsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

// ---- version 1: PROXY TCP4 192.0.2.1 198.51.100.1 35646 1883\r\n

function readText(bytes: Buffer): HeaderReading {
  const end = bytes.indexOf("\r\n");
  if (end < 0 || end > V1_BYTES_MAX - 2)
    return bytes.length < V1_BYTES_MAX ? NEED_MORE_HEADER : { wrong: "version 1 takes more than 107 bytes" };
  const words = bytes.toString("latin1", 0, end).split(" ");
  const length = end + 2;
  if (words[1] === "UNKNOWN") return { length, address: null, commonName: "" };
  const [, family, source = "", target = "", sourcePort = "", targetPort = ""] = words;
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : -1;
  const isRight =
    words.length === 6 &&
    isIP(source) === version &&
    isIP(target) === version &&
    isPort(sourcePort) &&
    isPort(targetPort);
  if (!isRight) return { wrong: "version 1 is malformed" };
  return { length, address: plainAddress(source), commonName: "" };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

// ---- version 2: signature, version and command, family and protocol, length, addresses, then type-length-values

function readBinary(bytes: Buffer): HeaderReading {
  if (bytes.length < HEAD_BYTES) return NEED_MORE_HEADER;
  const version = bytes[12]! >>> 4;
  const command = bytes[12]! & 15;
  const family = bytes[13]! >>> 4;
  const protocol = bytes[13]! & 15;
  const length = HEAD_BYTES + bytes.readUInt16BE(14);
  if (version !== 2 || command > Command.Proxy)
    return { wrong: "version 2 has an unknown version or command" };
  if (length > PROXY_HEADER_BYTES_MAX)
    return { wrong: `version 2 takes more than ${PROXY_HEADER_BYTES_MAX} bytes` };
  if (bytes.length < length) return NEED_MORE_HEADER;
  if (command === Command.Local) return { length, address: null, commonName: "" };
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || protocol > 2)
    return { wrong: "version 2 has an unknown family or protocol" };
  // What is known of an unspecified family cannot be skipped: its length is not said.
  if (family === Family.Unspecified || protocol === 0) return { length, address: null, commonName: "" };
  const valuesAt = HEAD_BYTES + addressBytes;
  if (valuesAt > length) return { wrong: "version 2 ends within its addresses" };
  const commonName = readCommonName(bytes, valuesAt, length);
  if (commonName === null) return { wrong: "version 2 ends within a value" };
  return { length, address: addressText(bytes, family), commonName };
}

function addressText(bytes: Buffer, family: number): string {
  if (family === Family.Unix) return UNIX_ADDRESS;
  if (family === Family.Inet) return bytes.subarray(HEAD_BYTES, HEAD_BYTES + 4).join(".");
  return inet6Text(bytes, HEAD_BYTES);
}

/** RFC 5952: the longest run of zero groups is left out. */
function inet6Text(bytes: Buffer, at: number): string {
  const groups: string[] = [];
  for (let i = 0; i < 8; i++) groups.push(bytes.readUInt16BE(at + 2 * i).toString(16));
  if (groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff")
    return bytes.subarray(at + 12, at + 16).join(".");
  let best = { at: -1, count: 1 };
  for (let i = 0; i < 8; i++) {
    let count = 0;
    while (groups[i + count] === "0") count++;
    if (count > best.count) best = { at: i, count };
  }
  if (best.at < 0) return groups.join(":");
  return `${groups.slice(0, best.at).join(":")}::${groups.slice(best.at + best.count).join(":")}`;
}

/** CN from the value PP2_TYPE_SSL, "" where there is none; null when a value goes beyond the header. */
function readCommonName(bytes: Buffer, from: number, end: number): string | null {
  let name = "";
  for (let at = from; at < end; ) {
    const valueEnd = valueEndOf(bytes, at, end);
    if (valueEnd < 0) return null;
    if (bytes[at] === TYPE_SSL) {
      const inner = readSsl(bytes, at + 3, valueEnd);
      if (inner === null) return null;
      name = inner;
    }
    at = valueEnd;
  }
  return name;
}

/** The CN in a PP2_TYPE_SSL, if the client had a certificate and the proxy found it good. */
function readSsl(bytes: Buffer, from: number, end: number): string | null {
  if (end - from < 5) return null;
  const client = bytes[from]!;
  const isVerified =
    (client & CLIENT_SSL) !== 0 && (client & CLIENT_CERT) !== 0 && bytes.readUInt32BE(from + 1) === 0;
  let name = "";
  for (let at = from + 5; at < end; ) {
    const valueEnd = valueEndOf(bytes, at, end);
    if (valueEnd < 0) return null;
    if (bytes[at] === SUBTYPE_CN) name = bytes.toString("utf8", at + 3, valueEnd);
    at = valueEnd;
  }
  return isVerified ? name : "";
}

/** Where the type-length-value at `at` ends; -1 beyond `end`. */
function valueEndOf(bytes: Buffer, at: number, end: number): number {
  if (at + 3 > end) return -1;
  const valueEnd = at + 3 + bytes.readUInt16BE(at + 1);
  return valueEnd > end ? -1 : valueEnd;
}
