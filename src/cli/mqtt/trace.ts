// One line for each packet, for `-d`: the way mosquitto's clients have it.

import type { Packet } from "mqtt-packet";
import { reasonCodeName } from "../../packet/reasonCode.ts";

/** "sending PUBLISH (d0, q1, r0, m1, 'a/b', ... (5 bytes))" */
export function traceText(direction: "sending" | "received", packet: Packet): string {
  return `${direction} ${packet.cmd.toUpperCase()}${detail(packet)}`;
}

function detail(packet: Packet): string {
  switch (packet.cmd) {
    case "publish": {
      const { dup, qos, retain, messageId = 0, topic, payload } = packet;
      const flags = `d${Number(dup)}, q${qos}, r${Number(retain)}, m${messageId}`;
      return ` (${flags}, '${topic}', ... (${Buffer.byteLength(payload)} bytes))`;
    }
    case "connect":
      return ` (v${packet.protocolVersion}, '${packet.clientId}', c${Number(packet.clean)}, k${packet.keepalive})`;
    case "connack":
      return ` (${packet.reasonCode ?? packet.returnCode}, session present: ${packet.sessionPresent})`;
    case "subscribe": {
      const topics = packet.subscriptions.map(({ topic, qos }) => `'${topic}' QoS ${qos}`);
      return ` (m${packet.messageId}, ${topics.join(", ")})`;
    }
    case "unsubscribe":
      return ` (m${packet.messageId}, ${packet.unsubscriptions.map((topic) => `'${topic}'`).join(", ")})`;
    case "suback":
    case "unsuback":
      return ` (m${packet.messageId}: ${(packet.granted ?? []).join(", ")})`;
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return ` (m${packet.messageId}${reason(packet.reasonCode)})`;
    case "disconnect":
      return packet.reasonCode === undefined ? "" : ` (${reasonCodeName(packet.reasonCode)})`;
    default:
      return "";
  }
}

function reason(code: number | undefined): string {
  return code === undefined || code === 0 ? "" : `, ${reasonCodeName(code)}`;
}
