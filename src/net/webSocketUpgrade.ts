// Upgrade: the answer to a request to become a WebSocket, RFC 6455 §4.2. Either the bytes of 101 Switching Protocols,
// or those of an HTTP error that says why not.

import { createHash } from "node:crypto";
import { type DeflateTerms, negotiate } from "./webSocketExtension.ts";
import { listOf, type UpgradeRequest } from "./webSocketRequest.ts";
import { ANY, type WebSocketSettings } from "./webSocketSettings.ts";

/** What the client and the broker agreed on. */
export interface Agreement {
  readonly response: Buffer;
  /** Null when the client offered none. */
  readonly subprotocol: string | null;
  /** Null without permessage-deflate. */
  readonly deflate: DeflateTerms | null;
}

/** An HTTP error; the connection ends with it. */
export interface UpgradeRefusal {
  readonly response: Buffer;
  readonly status: number;
  readonly message: string;
}

/** Names of MQTT in the list of subprotocols: today's, and 3.1's of old clients. [MQTT-6.0.0-3] */
const SUBPROTOCOLS: readonly string[] = ["mqtt", "mqttv3.1"];
/** RFC 6455 §1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";
/** Sixteen bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** Fields that a status must have. */
const STATUS_FIELDS: Readonly<Record<number, string>> = {
  405: "Allow: GET\r\n",
  426: `Upgrade: websocket\r\nSec-WebSocket-Version: ${VERSION}\r\n`,
};

export function refusal(status: number, message: string): UpgradeRefusal {
  const body = `${message}\n`;
  const connection = status === 426 ? "Upgrade, close" : "close";
  const response = Buffer.from(
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\n${STATUS_FIELDS[status] ?? ""}Connection: ${connection}\r\n` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return { response, status, message };
}

export function answer(request: UpgradeRequest, settings: WebSocketSettings): Agreement | UpgradeRefusal {
  const { fields } = request;
  const wrong = objection(request, settings);
  if (wrong !== null) return wrong;
  const offered = listOf(fields.get("sec-websocket-protocol"));
  const subprotocol = offered.find((name) => SUBPROTOCOLS.includes(name)) ?? null;
  // A client that offers no name at all speaks MQTT, or it would not be here; one that offers others does not.
  if (subprotocol === null && fields.has("sec-websocket-protocol"))
    return refusal(400, `the subprotocol must be mqtt`); // [MQTT-6.0.0-3]
  const deflate = settings.compression ? negotiate(fields.get("sec-websocket-extensions")) : null;
  const accept = createHash("sha1")
    .update(`${fields.get("sec-websocket-key")}${ACCEPT_GUID}`)
    .digest("base64");
  const response = Buffer.from(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      (subprotocol === null ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`) + // [MQTT-6.0.0-4]
      (deflate === null ? "" : `Sec-WebSocket-Extensions: ${deflate.response}\r\n`) +
      "\r\n",
  );
  return { response, subprotocol, deflate };
}

/** RFC 6455 §4.2.1, what makes the request none that can be answered with 101. */
function objection(request: UpgradeRequest, settings: WebSocketSettings): UpgradeRefusal | null {
  const { method, version, path, fields } = request;
  if (version !== "1.1") return refusal(505, "HTTP/1.1 is needed");
  if (method !== "GET") return refusal(405, "only GET can become a WebSocket");
  if (!fields.get("host")) return refusal(400, "the Host field is missing");
  if (fields.has("transfer-encoding") || (fields.get("content-length") ?? "0") !== "0")
    return refusal(400, "the request must have no body");
  if (settings.path !== ANY && settings.path !== path)
    return refusal(404, "there is no WebSocket on this path");
  if (!hasToken(fields.get("upgrade"), "websocket"))
    return refusal(426, "this is a port for MQTT over WebSocket");
  if (!hasToken(fields.get("connection"), "upgrade"))
    return refusal(400, "the Connection field does not say Upgrade");
  if (fields.get("sec-websocket-version") !== VERSION)
    return refusal(426, `the version of WebSocket must be ${VERSION}`);
  if (!KEY.test(fields.get("sec-websocket-key") ?? ""))
    return refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  if (!allowsOrigin(settings.origins, fields.get("origin")))
    return refusal(403, "pages of this origin may not connect");
  return null;
}

function hasToken(value: string | undefined, token: string): boolean {
  return listOf(value).some((member) => member.toLowerCase() === token);
}

/** Browsers always send Origin: without one there is no page to keep out. Some other clients send one too. */
function allowsOrigin(origins: readonly string[], origin: string | undefined): boolean {
  return origin === undefined || origins.includes(ANY) || origins.includes(origin.toLowerCase());
}
