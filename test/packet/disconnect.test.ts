import { describe, expect, test } from "bun:test";
import { type Auth, type Disconnect, decodeAuth, decodeDisconnect } from "../../src/packet/disconnect.ts";
import { errors, isMqttError, type MqttError } from "../../src/packet/error.ts";
import type { ProtocolLevel } from "../../src/packet/protocol.ts";
import { type Decode, decodeBoth, expectError, expectTruncationsRefused, levels, packet } from "./support.ts";

const disconnect =
  (level: ProtocolLevel): Decode<Disconnect> =>
  (bytes, at, end) =>
    decodeDisconnect(level, bytes, at, end);
const auth =
  (level: ProtocolLevel): Decode<Auth> =>
  (bytes, at, end) =>
    decodeAuth(level, bytes, at, end);

const bad: [name: string, level: ProtocolLevel, bytes: Uint8Array, error: MqttError][] = [
  ["a body before MQTT 5", 4, packet("00"), errors.trailingBytes],
  ["[MQTT-3.14.2-1] Server busy", 5, packet("89"), errors.disconnectReason],
  ["[MQTT-3.14.2-1] 0x01", 5, packet("01 00"), errors.disconnectReason],
  ["Receive Maximum", 5, packet("00 03 21 00 01"), errors.propertyNotAllowed],
  [
    "Session Expiry Interval twice",
    5,
    packet("00 0a 11 00 00 00 00 11 00 00 00 00"),
    errors.propertyRepeated,
  ],
  ["trailing byte", 5, packet("00 00 00"), errors.trailingBytes],
];

const badAuth: [name: string, level: ProtocolLevel, bytes: Uint8Array, error: MqttError][] = [
  ["before MQTT 5", 4, packet("18 04 15 00 01 'M'"), errors.authBeforeMqtt5],
  ["[MQTT-3.15.2-1] empty, so Success", 5, packet(""), errors.authReason],
  ["[MQTT-3.15.2-1] Success", 5, packet("00 04 15 00 01 'M'"), errors.authReason],
  ["without Authentication Method", 5, packet("18 00"), errors.authMethodMissing],
  ["Data without Method", 5, packet("18 04 16 00 01 00"), errors.authMethodMissing],
  ["Method twice", 5, packet("18 08 15 00 01 'M' 15 00 01 'M'"), errors.propertyRepeated],
  ["Session Expiry Interval", 5, packet("18 05 11 00 00 00 00"), errors.propertyNotAllowed],
];

describe("decodeDisconnect", () => {
  test("empty: NormalDisconnection at every level", () => {
    for (const level of levels) {
      expect(decodeBoth(disconnect(level), packet(""))).toEqual({ reason: 0, properties: {} });
    }
  });

  test("Reason Code alone; with no properties", () => {
    const result = { reason: 4, properties: {} };
    expect(decodeBoth(disconnect(5), packet("04"))).toEqual(result);
    expect(decodeBoth(disconnect(5), packet("04 00"))).toEqual(result);
  });

  test("properties", () => {
    const bytes = packet(
      "00 12",
      "11 00 00 00 78", // Session Expiry Interval 120
      "1f 00 03 'bye'",
      "26 00 01 'k' 00 01 'v'",
    );
    const properties = { sessionExpiryInterval: 120, reasonString: "bye", userProperties: [["k", "v"]] };
    expect(decodeBoth<unknown>(disconnect(5), bytes)).toEqual({ reason: 0, properties });
    expectTruncationsRefused(disconnect(5), bytes, [0, 1]);
  });

  test("[MQTT-3.14.2-1] exactly the Reason Codes that §3.14.2.1 lets a client send", () => {
    const accepted: number[] = [];
    for (let reason = 0; reason < 256; reason++) {
      if (!isMqttError(decodeDisconnect(5, Uint8Array.of(reason), 0, 1))) accepted.push(reason);
    }
    const both = [0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
    expect(accepted).toEqual([0x00, 0x04, 0x80, 0x81, 0x82, 0x83, ...both]);
  });

  test.each(bad)("refuses %s", (_name, level, bytes, error) => {
    expectError(decodeBoth(disconnect(level), bytes), error);
    for (let length = 0; length < bytes.length; length++)
      decodeBoth(disconnect(level), bytes.slice(0, length));
  });
});

describe("decodeAuth", () => {
  test("Continue and Re-authenticate, with and without data", () => {
    const bytes = packet("18 09", "15 00 01 'M'", "16 00 02 00 ff");
    expect(decodeBoth(auth(5), bytes)).toEqual({ reason: 0x18, method: "M", data: Uint8Array.of(0, 255) });
    expectTruncationsRefused(auth(5), bytes);
    const again = decodeBoth(auth(5), packet("19 04 15 00 01 'M'"));
    expect(again).toEqual({ reason: 0x19, method: "M", data: new Uint8Array(0) });
  });

  test.each(badAuth)("refuses %s", (_name, level, bytes, error) => {
    expectError(decodeBoth(auth(level), bytes), error);
    for (let length = 0; length < bytes.length; length++) decodeBoth(auth(level), bytes.slice(0, length));
  });
});
