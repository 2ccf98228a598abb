import { describe, expect, test } from "bun:test";
import { type Ack, decodeAck, newAck } from "../../src/packet/ack.ts";
import { errorOfCode, errors, type MqttError } from "../../src/packet/error.ts";
import { PacketType } from "../../src/packet/frame.ts";
import type { AckType, ProtocolLevel } from "../../src/packet/protocol.ts";
import { type Decode, decodeBoth, expectError, expectTruncationsRefused, levels, packet } from "./support.ts";

const { Puback, Pubrec, Pubrel, Pubcomp } = PacketType;
const types = [Puback, Pubrec, Pubrel, Pubcomp] as const;

const decoder =
  (level: ProtocolLevel, type: AckType): Decode<Ack> =>
  (bytes, at, end) => {
    const ack = newAck();
    const status = decodeAck(level, type, bytes, at, end, ack);
    return status === 0 ? ack : errorOfCode(status);
  };

const bad: [name: string, level: ProtocolLevel, type: AckType, bytes: Uint8Array, error: MqttError][] = [
  ["[MQTT-2.2.1-5] identifier 0", 4, Puback, packet("00 00"), errors.ackIdentifierZero],
  ["third byte before MQTT 5", 4, Puback, packet("00 01 00"), errors.trailingBytes],
  ["[MQTT-3.4.2-1] 0x92", 5, Puback, packet("00 01 92"), errors.pubackReason],
  ["[MQTT-3.5.2-1] 0x01", 5, Pubrec, packet("00 01 01"), errors.pubrecReason],
  ["[MQTT-3.6.2-1] 0x10", 5, Pubrel, packet("00 01 10"), errors.pubrelReason],
  ["[MQTT-3.7.2-1] 0x80", 5, Pubcomp, packet("00 01 80"), errors.pubcompReason],
  ["properties past the packet", 5, Puback, packet("00 01 00 05 1f 00 01 'x'"), errors.propertiesOverrun],
  ["bytes after the properties", 5, Puback, packet("00 01 00 00 00"), errors.trailingBytes],
  ["Reason String twice", 5, Pubrel, packet("00 01 00 06 1f 00 00 1f 00 00"), errors.propertyRepeated],
  ["Server Reference", 5, Pubcomp, packet("00 01 00 03 1c 00 00"), errors.propertyNotAllowed],
  ["[MQTT-1.5.4-1] Reason String", 5, Pubrec, packet("00 01 00 04 1f 00 01 c0"), errors.utf8NotValid],
];

describe("decodeAck", () => {
  test("two bytes, all types and levels", () => {
    for (const level of levels) {
      for (const type of types) {
        const bytes = packet("12 34");
        expect(decodeBoth(decoder(level, type), bytes)).toEqual({ packetIdentifier: 0x1234, reason: 0 });
        expectTruncationsRefused(decoder(level, type), bytes);
      }
    }
  });

  test("three and four bytes in MQTT 5", () => {
    const result = { packetIdentifier: 1, reason: 0x92 };
    expect(decodeBoth(decoder(5, Pubrel), packet("00 01 92"))).toEqual(result);
    expect(decodeBoth(decoder(5, Pubrel), packet("00 01 92 00"))).toEqual(result);
  });

  test("Reason String and User Properties", () => {
    const bytes = packet("00 01 10", "0e", "26 00 01 'k' 00 01 'v'", "1f 00 04 'late'");
    expect(decodeBoth(decoder(5, Puback), bytes)).toEqual({ packetIdentifier: 1, reason: 0x10 });
    // Without Property Length it is still whole: Reason Code and properties may be left out.
    expectTruncationsRefused(decoder(5, Puback), bytes, [2, 3]);
  });

  test("exactly the Reason Codes of §3.4.2.1 and §3.6.2.1", () => {
    const first = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    const legal = { [Puback]: first, [Pubrec]: first, [Pubrel]: [0, 0x92], [Pubcomp]: [0, 0x92] };
    for (const type of types) {
      const accepted: number[] = [];
      for (let reason = 0; reason < 256; reason++) {
        if (decodeAck(5, type, Uint8Array.of(0, 1, reason), 0, 3, newAck()) === 0) accepted.push(reason);
      }
      expect(accepted).toEqual(legal[type]);
    }
  });

  test.each(bad)("refuses %s", (_name, level, type, bytes, error) => {
    expectError(decodeBoth(decoder(level, type), bytes), error);
    for (let length = 0; length < bytes.length; length++) {
      decodeBoth(decoder(level, type), bytes.slice(0, length));
    }
  });
});
