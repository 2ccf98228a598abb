// The tables of Reason Codes, errors and properties: what must hold of every row.

import { describe, expect, test } from "bun:test";
import { errorOfCode, errors, isMqttError } from "../../src/packet/error.ts";
import { PacketType } from "../../src/packet/frame.ts";
import { propertyTable, WILL } from "../../src/packet/propertyTable.ts";
import {
  ConnectReturnCode,
  connectReturnCodeOf,
  ReasonCode,
  reasonCodeName,
} from "../../src/packet/reasonCode.ts";

describe("errors", () => {
  const rows = Object.entries(errors);

  test("each has a failure Reason Code, a statement or section, and a message of its own", () => {
    for (const [, error] of rows) {
      expect(error.reason).toBeGreaterThanOrEqual(0x80);
      expect(reasonCodeName(error.reason)).not.toStartWith("0x");
      expect(error.statement).toMatch(/^(3\.1\.1:)?MQTT-\d+\.\d+\.\d+-\d+$|^§\d+(\.\d+)*$/);
      expect(isMqttError(error)).toBe(true);
      expect(Object.isFrozen(error)).toBe(true);
    }
    expect(new Set(rows.map(([, error]) => error.message)).size).toBe(rows.length);
  });

  test("codes are negative, unique and lead back", () => {
    for (const [, error] of rows) {
      expect(error.code).toBeLessThanOrEqual(-100);
      expect(errorOfCode(error.code)).toBe(error);
    }
    expect(errorOfCode(0)).toBe(errors.unspecified);
    expect(errorOfCode(-1e9)).toBe(errors.unspecified);
  });

  test("isMqttError is false for everything else", () => {
    for (const value of [null, undefined, 0, -100, "statement", {}, { reason: 4, properties: {} }]) {
      expect(isMqttError(value)).toBe(false);
    }
  });
});

describe("Reason Codes", () => {
  test("names", () => {
    expect(reasonCodeName(0x00)).toBe("Success");
    expect(reasonCodeName(0x94)).toBe("TopicAliasInvalid");
    expect(reasonCodeName(0x1f)).toBe("0x1f");
    expect(new Set(Object.values(ReasonCode)).size).toBe(43);
  });

  test("as return codes of MQTT 3.1 and 3.1.1", () => {
    const rows: [reason: number, code: number][] = [
      [0x00, 0],
      [0x84, 1],
      [0x85, 2],
      [0x88, 3],
      [0x89, 3],
      [0x97, 3],
      [0x9f, 3],
      [0x86, 4],
      [0x87, 5],
      [0x8a, 5],
      [0x81, ConnectReturnCode.None], // [3.1.1:MQTT-3.1.4-1] closes without CONNACK
      [0x82, ConnectReturnCode.None],
    ];
    for (const [reason, code] of rows) expect(connectReturnCodeOf(reason)).toBe(code);
  });
});

describe("properties", () => {
  test("27 of them, identifiers and names unique", () => {
    expect(propertyTable.length).toBe(27);
    expect(new Set(propertyTable.map((row) => row.identifier)).size).toBe(27);
    expect(new Set(propertyTable.map((row) => row.name)).size).toBe(27);
  });

  test("counts for each packet as in table 2-4", () => {
    const counts = (packet: number) =>
      propertyTable.filter((row) => row.packets.some((allowed) => allowed === packet)).length;
    expect(counts(WILL)).toBe(7);
    expect(counts(PacketType.Connect)).toBe(9);
    expect(counts(PacketType.Connack)).toBe(17);
    expect(counts(PacketType.Publish)).toBe(8);
    expect(counts(PacketType.Subscribe)).toBe(2);
    expect(counts(PacketType.Unsubscribe)).toBe(1);
    expect(counts(PacketType.Disconnect)).toBe(4);
    expect(counts(PacketType.Auth)).toBe(4);
    const { Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback } = PacketType;
    for (const packet of [Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback]) expect(counts(packet)).toBe(2);
    expect(counts(PacketType.Pingreq) + counts(PacketType.Pingresp)).toBe(0);
  });
});
