// PROXY headers as load balancers write them, and as nobody should.

import { describe, expect, test } from "bun:test";
import { NEED_MORE_HEADER, PROXY_HEADER_BYTES_MAX, readProxyHeader } from "../../src/net/proxyHeader.ts";
import { proxyV2, sslValue, tlv, V2_SIGNATURE } from "../support/proxyHeader.ts";

interface Good {
  readonly what: string;
  readonly bytes: Buffer;
  readonly address: string | null;
  readonly commonName?: string;
}

const inet = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0x8b, 0x3e, 0x07, 0x5b]);
const inet6 = (source: string): Buffer =>
  Buffer.concat([Buffer.from(source.replaceAll(" ", ""), "hex"), Buffer.alloc(16), Buffer.alloc(4)]);

const good: readonly Good[] = [
  {
    what: "v1 TCP4",
    bytes: Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.1 35646 1883\r\n"),
    address: "192.0.2.1",
  },
  { what: "v1 TCP6", bytes: Buffer.from("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), address: "2001:db8::1" },
  { what: "v1 UNKNOWN", bytes: Buffer.from("PROXY UNKNOWN\r\n"), address: null },
  {
    what: "v1 UNKNOWN with whatever follows",
    bytes: Buffer.from("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"),
    address: null,
  },
  {
    what: "v1 TCP6 of a mapped address",
    bytes: Buffer.from("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n"),
    address: "10.0.0.1",
  },
  { what: "v2 TCP over IPv4", bytes: proxyV2(0x21, 0x11, inet), address: "192.0.2.1" },
  {
    what: "v2 TCP over IPv6",
    bytes: proxyV2(0x21, 0x21, inet6("2001 0db8 0000 0000 0001 0000 0000 0001")),
    address: "2001:db8::1:0:0:1",
  },
  { what: "v2 of ::", bytes: proxyV2(0x21, 0x21, inet6("0".repeat(32))), address: "::" },
  {
    what: "v2 of a mapped address",
    bytes: proxyV2(0x21, 0x21, inet6("00000000000000000000ffff0a000001")),
    address: "10.0.0.1",
  },
  { what: "v2 of a Unix socket", bytes: proxyV2(0x21, 0x31, Buffer.alloc(216)), address: "unix" },
  { what: "v2 unspecified", bytes: proxyV2(0x21, 0x00, Buffer.from("whatever")), address: null },
  { what: "v2 LOCAL, a health check", bytes: proxyV2(0x20, 0x11, inet), address: null },
  { what: "v2 LOCAL without anything", bytes: proxyV2(0x20, 0x00, Buffer.alloc(0)), address: null },
  {
    what: "v2 with values of other types",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inet, tlv(0x01, "mqtt"), tlv(0x04, ""), tlv(0xea, "x")])),
    address: "192.0.2.1",
  },
  {
    what: "v2 with the CN of a verified client certificate",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inet, sslValue({ commonName: "alice" })])),
    address: "192.0.2.1",
    commonName: "alice",
  },
  {
    what: "v2 with the CN of one that was shown earlier in the session",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inet, sslValue({ commonName: "bob", client: 5 })])),
    address: "192.0.2.1",
    commonName: "bob",
  },
  {
    what: "v2 with a CN that was not verified",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inet, sslValue({ commonName: "mallory", verify: 20 })])),
    address: "192.0.2.1",
  },
  {
    what: "v2 with a CN and no certificate",
    bytes: proxyV2(0x21, 0x11, Buffer.concat([inet, sslValue({ commonName: "mallory", client: 1 })])),
    address: "192.0.2.1",
  },
];

describe("good headers", () => {
  for (const { what, bytes, address, commonName = "" } of good) {
    test(`${what}, whole, cut at every byte, and before other bytes`, () => {
      const header = { length: bytes.length, address, commonName };
      expect(readProxyHeader(bytes)).toEqual(header);
      expect(readProxyHeader(Buffer.concat([bytes, Buffer.from([0x10, 0x00])]))).toEqual(header);
      for (let end = 0; end < bytes.length; end++)
        expect(readProxyHeader(bytes.subarray(0, end))).toBe(NEED_MORE_HEADER);
    });
  }
});

const bad: readonly (readonly [what: string, bytes: Buffer])[] = [
  ["CONNECT", Buffer.from("101000044d515454", "hex")],
  ["a ClientHello", Buffer.from("1603010200", "hex")],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n")],
  ["v1 in small letters", Buffer.from("proxy TCP4 ")],
  ["v1 without addresses", Buffer.from("PROXY TCP4\r\n")],
  ["v1 of no family", Buffer.from("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n")],
  ["v1 of another family", Buffer.from("PROXY TCP4 ::1 ::1 1 2\r\n")],
  ["v1 with a name", Buffer.from("PROXY TCP4 localhost 1.2.3.4 1 2\r\n")],
  ["v1 with a large port", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n")],
  ["v1 with a signed port", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n")],
  ["v1 with a port of leading zeros", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n")],
  ["v1 with two spaces", Buffer.from("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")],
  ["v1 with more words", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")],
  ["v1 without an end", Buffer.from(`PROXY TCP4 ${"1".repeat(107)}`)],
  ["v1 that ends too late", Buffer.from(`PROXY UNKNOWN ${"1".repeat(107)}\r\n`)],
  [
    "v1 with a line feed alone",
    Buffer.concat([Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), Buffer.alloc(107)]),
  ],
  ["v2 of version 1", proxyV2(0x11, 0x11, inet)],
  ["v2 of version 3", proxyV2(0x31, 0x11, inet)],
  ["v2 of an unknown command", proxyV2(0x22, 0x11, inet)],
  ["v2 of an unknown family", proxyV2(0x21, 0x41, inet)],
  ["v2 of an unknown protocol", proxyV2(0x21, 0x13, inet)],
  ["v2 that ends within its addresses", proxyV2(0x21, 0x11, inet.subarray(0, 11))],
  ["v2 that ends within IPv6 addresses", proxyV2(0x21, 0x21, Buffer.alloc(35))],
  ["v2 that ends within a value's head", proxyV2(0x21, 0x11, Buffer.concat([inet, Buffer.from([0x20, 0])]))],
  [
    "v2 with a value that is too long",
    proxyV2(0x21, 0x11, Buffer.concat([inet, Buffer.from([0x01, 0, 9, 1])])),
  ],
  ["v2 with a PP2_TYPE_SSL that is too short", proxyV2(0x21, 0x11, Buffer.concat([inet, tlv(0x20, "1234")]))],
  [
    "v2 with an inner value that is too long",
    proxyV2(0x21, 0x11, Buffer.concat([inet, tlv(0x20, Buffer.from([7, 0, 0, 0, 0, 0x22, 0, 9, 0x61]))])),
  ],
  ["v2 longer than is read", Buffer.concat([V2_SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])])],
];

describe("bad headers are refused as soon as they are seen to be bad", () => {
  for (const [what, bytes] of bad) {
    test(what, () => expect(readProxyHeader(bytes)).toHaveProperty("wrong"));
  }
});

test("no more than the longest header is ever waited for", () => {
  for (let length = 0; length <= 107; length++) {
    const reading = readProxyHeader(Buffer.concat([Buffer.from("PROXY "), Buffer.alloc(length, 0x20)]));
    if (length >= 101) expect(reading).toHaveProperty("wrong");
  }
  const most = PROXY_HEADER_BYTES_MAX - 16;
  expect(readProxyHeader(proxyV2(0x20, 0, Buffer.alloc(most)))).toMatchObject({
    length: PROXY_HEADER_BYTES_MAX,
  });
  expect(readProxyHeader(proxyV2(0x20, 0, Buffer.alloc(most + 1)).subarray(0, 16))).toHaveProperty("wrong");
});

test("bytes that are changed at random are understood or refused, and nothing else", () => {
  for (const { bytes } of good) {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        const reading = readProxyHeader(changed);
        const isHeader = reading !== NEED_MORE_HEADER && "length" in reading;
        if (isHeader) expect(reading.length).toBeLessThanOrEqual(changed.length);
      }
    }
  }
});
