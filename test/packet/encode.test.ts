import { describe, expect, test } from "bun:test";
import { ByteWriter } from "../../src/base/byteWriter.ts";
import {
  encodePublish,
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writeSuback,
  writeUnsuback,
} from "../../src/packet/encode.ts";
import { PacketType } from "../../src/packet/frame.ts";
import { hex, packet } from "./support.ts";

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(8);
  out.u8(0xee); // what an earlier packet left
  write(out);
  expect(out.bytes[0]).toBe(0xee);
  return out.take().slice(1);
}

const { Puback, Pubrec, Pubrel, Pubcomp } = PacketType;

const rows: [name: string, write: (out: ByteWriter) => void, bytes: Uint8Array][] = [
  ["CONNACK 3.1, no Session Present", (out) => writeConnack(out, 3, true, 0), packet("20 02 00 00")],
  ["CONNACK 3.1.1", (out) => writeConnack(out, 4, true, 0), packet("20 02 01 00")],
  ["CONNACK 3.1.1 refused [MQTT-3.2.2-6]", (out) => writeConnack(out, 4, true, 0x87), packet("20 02 00 05")],
  ["[3.1.1:MQTT-3.2.2-6] no return code", (out) => writeConnack(out, 4, false, 0x81), packet("")],
  ["CONNACK 5", (out) => writeConnack(out, 5, true, 0), packet("20 03 01 00 00")],
  ["CONNACK 5 refused [MQTT-3.2.2-6]", (out) => writeConnack(out, 5, true, 0x84), packet("20 03 00 84 00")],
  [
    "CONNACK 5 with properties",
    (out) =>
      writeConnack(out, 5, false, 0, {
        receiveMaximum: 10,
        maximumQoS: 1,
        retainAvailable: false,
        assignedClientIdentifier: "é",
        maximumPacketSize: 0xffff_ffff,
      }),
    packet("20 14 00 00", "11", "12 00 02 c3 a9", "21 00 0a", "24 01", "25 00", "27 ff ff ff ff"),
  ],
  [
    "SUBACK 3.1.1, failures are 0x80",
    (out) => writeSuback(out, 4, 10, [0, 2, 0x87]),
    packet("90 05 00 0a 00 02 80"),
  ],
  ["SUBACK 5", (out) => writeSuback(out, 5, 10, [0, 0x87]), packet("90 05 00 0a 00 00 87")],
  ["SUBACK 3.1", (out) => writeSuback(out, 3, 10, [1, 0x87, 0x8f]), packet("90 05 00 0a 01 00 80")],
  ["UNSUBACK 3.1.1", (out) => writeUnsuback(out, 4, 10, [0, 0x11]), packet("b0 02 00 0a")],
  ["UNSUBACK 5", (out) => writeUnsuback(out, 5, 10, [0, 0x11]), packet("b0 05 00 0a 00 00 11")],
  ["PUBACK", (out) => writeAck(out, 5, Puback, 0x1234, 0), packet("40 02 12 34")],
  ["PUBREC with a reason", (out) => writeAck(out, 5, Pubrec, 1, 0x97), packet("50 03 00 01 97")],
  ["[MQTT-3.6.1-1] PUBREL", (out) => writeAck(out, 5, Pubrel, 1, 0x92), packet("62 03 00 01 92")],
  ["PUBCOMP 3.1.1 has no reason", (out) => writeAck(out, 4, Pubcomp, 1, 0x92), packet("70 02 00 01")],
  ["PINGRESP", (out) => writePingresp(out), packet("d0 00")],
  ["DISCONNECT, normal", (out) => writeDisconnect(out, 0), packet("e0 00")],
  ["DISCONNECT", (out) => writeDisconnect(out, 0x8e), packet("e0 01 8e")],
  [
    "DISCONNECT with Server Reference",
    (out) => writeDisconnect(out, 0x9c, { serverReference: "b" }),
    packet("e0 06 9c 04 1c 00 01 'b'"),
  ],
  [
    "AUTH",
    (out) => writeAuth(out, 0x18, { authenticationMethod: "M", authenticationData: Uint8Array.of(0, 255) }),
    packet("f0 0b 18 09 15 00 01 'M' 16 00 02 00 ff"),
  ],
];

describe("encode", () => {
  test.each(rows)("%s", (_name, write, bytes) => {
    expect(hex(written(write))).toBe(hex(bytes));
  });

  test("PUBLISH at each level and QoS", () => {
    const publish = {
      topic: "a/é",
      payload: packet("'hi'"),
      qos: 1 as const,
      retain: true,
      dup: true,
      packetIdentifier: 7,
      properties: packet("01 01"),
    };
    const v4 = written((out) => encodePublish(out, 4, publish));
    expect(hex(v4)).toBe(hex(packet("3b 0a 00 04 'a/' c3 a9 00 07 'hi'")));
    const v5 = written((out) => encodePublish(out, 5, publish));
    expect(hex(v5)).toBe(hex(packet("3b 0d 00 04 'a/' c3 a9 00 07 02 01 01 'hi'")));
    // [MQTT-3.3.1-2] [MQTT-2.2.1-2]: QoS 0 has neither DUP nor Packet Identifier.
    const v0 = written((out) => encodePublish(out, 4, { ...publish, qos: 0 }));
    expect(hex(v0)).toBe(hex(packet("31 08 00 04 'a/' c3 a9 'hi'")));
  });

  test("Remaining Lengths of one to three bytes", () => {
    for (const count of [1, 124, 125, 126, 16_380, 16_381, 16_382]) {
      const codes = Array.from({ length: count }, (_, i) => i % 3);
      const bytes = written((out) => writeSuback(out, 5, 1, codes));
      const length = count + 3;
      const lengthBytes = length < 128 ? 1 : length < 16_384 ? 2 : 3;
      expect(bytes.length).toBe(1 + lengthBytes + length);
      expect([...bytes.slice(-count)]).toEqual(codes);
    }
  });
});

describe("Maximum Packet Size [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.14.2-3] [MQTT-3.14.2-4]", () => {
  const reasonString = "because"; // 10 bytes as a property
  const userProperties: [string, string][] = [["k", "v"]]; // 7 bytes
  const reasonOnly = packet("e0 0c 97 0a 1f 00 07 'because'");
  const write = (sizeMax: number) =>
    written((out) => {
      const before = out.length;
      const fits = writeDisconnect(out, 0x97, { reasonString, userProperties }, sizeMax);
      expect(out.length > before).toBe(fits);
    });

  test("User Properties go first, then the Reason String, then the packet", () => {
    expect(write(21).length).toBe(21);
    expect(hex(write(20))).toBe(hex(reasonOnly));
    expect(hex(write(14))).toBe(hex(reasonOnly));
    expect(hex(write(13))).toBe(hex(packet("e0 01 97")));
    expect(hex(write(3))).toBe(hex(packet("e0 01 97")));
    expect(hex(write(2))).toBe("");
  });

  test("other properties stay", () => {
    const bytes = written((out) => writeConnack(out, 5, false, 0, { receiveMaximum: 1, reasonString }, 8));
    expect(hex(bytes)).toBe(hex(packet("20 06 00 00 03 21 00 01")));
    expect(
      written((out) => writeConnack(out, 5, false, 0, { receiveMaximum: 1, reasonString }, 7)),
    ).toBeEmpty();
  });

  test("SUBACK and UNSUBACK", () => {
    const long = { reasonString: "x".repeat(200) };
    for (const writeCodes of [writeSuback, writeUnsuback]) {
      expect(written((out) => writeCodes(out, 5, 1, [0], long)).length).toBe(211);
      expect(written((out) => writeCodes(out, 5, 1, [0], long, 210)).length).toBe(6);
      expect(written((out) => writeCodes(out, 5, 1, [0], long, 5))).toBeEmpty();
    }
  });
});
