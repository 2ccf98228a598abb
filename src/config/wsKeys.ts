// The keys of a listener's WebSockets, beside those that every listener has.

import { ANY } from "../net/webSocketSettings.ts";
import type { Keys } from "./key.ts";

export const WEB_SOCKET_KEYS = {
  // Any path, as rumqttd and mosquitto do: MQTT.js asks for the path of its URL, "/" without one, paho for "/mqtt".
  path: {
    kind: "text",
    default: ANY,
    doc: 'The only path that becomes a WebSocket, such as "/mqtt"; "*" takes every path',
  },
  origins: {
    kind: "texts",
    default: [ANY],
    doc: 'Pages that may connect, such as ["https://example.org"]; "*" is all; who sends no Origin may too',
  },
  compression: {
    kind: "boolean",
    default: false,
    doc: "Whether clients may use permessage-deflate: fewer bytes, at much CPU for each message of each client",
  },
} as const satisfies Keys;
