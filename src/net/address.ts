// Address: where a client is, as text. One machine has one text here, however its address came, and a range of
// addresses is written as "10.0.0.0/8" or "2001:db8::/32".

import { BlockList, isIP } from "node:net";

/** What stands for the address of a client that came through a Unix socket. */
export const UNIX_ADDRESS = "unix";

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1)$/;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** The address as its family writes it: an IPv4 client of an IPv6 socket has its IPv4 address; zones are dropped. */
export function plainAddress(address: string): string {
  const zone = address.indexOf("%");
  const bare = zone < 0 ? address : address.slice(0, zone);
  return MAPPED.exec(bare)?.[1] ?? bare;
}

/** A client on this very machine; `address` as plainAddress() gives it. */
export function isLoopbackAddress(address: string): boolean {
  return LOOPBACK.test(address);
}

/** Whom limits per address count as one: an IPv4 address, or the /64 of an IPv6 one, as one subscriber has it. */
export function limitKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const front = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - front.length - (tail === "" ? 0 : groupsOf(tail));
  const groups = [...front, ...Array<string>(missing).fill("0"), ...(tail ?? "").split(":")];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

/** Groups of 16 bits that a part of an IPv6 address fills; an IPv4 address at its end fills two. */
function groupsOf(part: string): number {
  return part.split(":").length + (part.includes(".") ? 1 : 0);
}

/** A set of addresses and ranges. */
export class AddressRanges {
  private readonly list = new BlockList();

  /** Throws on a text that isAddressRange() refuses. */
  constructor(ranges: readonly string[]) {
    for (const range of ranges) {
      const { address, bits, family } = parseRange(range)!;
      this.list.addSubnet(address, bits, family);
    }
  }

  /** `address` as plainAddress() gives it. */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.list.check(address, version === 4 ? "ipv4" : "ipv6");
  }
}

/** An IPv4 or IPv6 address, or one with the number of its leading bits that count: "10.0.0.0/8". */
export function isAddressRange(text: string): boolean {
  return parseRange(text) !== null;
}

interface Range {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

function parseRange(text: string): Range | null {
  const match = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text);
  if (match === null) return null;
  const address = match[1]!;
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const bits = match[2] === undefined ? most : Number(match[2]);
  if (version === 0 || bits > most) return null;
  return { address, bits, family: version === 4 ? "ipv4" : "ipv6" };
}
