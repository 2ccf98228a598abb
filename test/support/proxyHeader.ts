// PROXY headers of version 2, made by hand.

export const V2_SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/** `command` is version and command, `family` is family and protocol: 0x21 and 0x11 are TCP over IPv4. */
export function proxyV2(command: number, family: number, body: Buffer): Buffer {
  return Buffer.concat([
    V2_SIGNATURE,
    Buffer.of(command, family, body.length >>> 8, body.length & 0xff),
    body,
  ]);
}

/** Addresses and ports of a client at `address` over IPv4. */
export function inetBody(address: string): Buffer {
  return Buffer.from([...address.split(".").map(Number), 127, 0, 0, 1, 0x8b, 0x3e, 0x07, 0x5b]);
}

export function tlv(type: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(type, bytes.length >>> 8, bytes.length & 0xff), bytes]);
}

/** PP2_TYPE_SSL; without more, of a client whose certificate the proxy has found good. */
export function sslValue({ commonName = "", client = 7, verify = 0 }): Buffer {
  const head = Buffer.alloc(5);
  head[0] = client;
  head.writeUInt32BE(verify, 1);
  return tlv(0x20, Buffer.concat([head, tlv(0x21, "TLSv1.3"), tlv(0x22, commonName)]));
}
