// Addresses: one text for one machine, ranges, and whom limits count as one.

import { expect, test } from "bun:test";
import { AddressRanges, isAddressRange, limitKey, plainAddress } from "../../src/net/address.ts";

test("a client has one text, whatever socket it came through", () => {
  const rows: readonly [string, string][] = [
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::FFFF:10.0.0.1", "10.0.0.1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::1", "::1"],
    ["2001:db8::ffff:1.2.3.4", "2001:db8::ffff:1.2.3.4"],
  ];
  for (const [address, plain] of rows) expect(plainAddress(address)).toBe(plain);
});

test("limits count an IPv4 address, or a /64", () => {
  const rows: readonly [string, string][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0:0::5", "2001:db8:0:0::/64"],
    ["2001:db8::5", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::", "fe80:0:0:0::/64"],
    ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
    ["64:ff9b::1.2.3.4", "64:ff9b:0:0::/64"],
    ["unix", "unix"],
  ];
  for (const [address, key] of rows) expect(limitKey(address)).toBe(key);
});

test("ranges hold what their leading bits say", () => {
  const ranges = new AddressRanges(["10.0.0.0/8", "192.168.1.7", "2001:db8::/32", "::1"]);
  const inside = ["10.0.0.0", "10.255.255.255", "192.168.1.7", "2001:db8:ffff::1", "::1"];
  const outside = ["9.255.255.255", "11.0.0.0", "192.168.1.8", "2001:db9::", "::2", "unix", "", "10.1"];
  expect(inside.filter((address) => !ranges.has(address))).toEqual([]);
  expect(outside.filter((address) => ranges.has(address))).toEqual([]);
  expect(new AddressRanges([]).has("127.0.0.1")).toBe(false);
  expect(new AddressRanges(["0.0.0.0/0"]).has("203.0.113.9")).toBe(true);
  expect(new AddressRanges(["0.0.0.0/0"]).has("::1")).toBe(false);
});

test("what is no range is told", () => {
  const good = ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/128", "::1"];
  const bad = [
    "",
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "localhost",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "[::1]",
    "1.2.3.4/8/9",
  ];
  expect(good.filter((range) => !isAddressRange(range))).toEqual([]);
  expect(bad.filter(isAddressRange)).toEqual([]);
});
