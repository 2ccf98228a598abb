// Close: the codes with which a WebSocket ends, RFC 6455 §7.4, and the faults that end it, each with the statement
// that it violates.

import { isUtf8 } from "node:buffer";
import type { Closed } from "./closeCause.ts";

export const CloseCode = {
  Normal: 1000,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  InvalidPayload: 1007,
  TooBig: 1009,
  TryAgainLater: 1013,
} as const;

/** What a client did wrong. */
export interface Fault {
  readonly code: number;
  readonly statement: string;
  readonly message: string;
}

function fault(code: number, statement: string, message: string): Fault {
  return { code, statement, message };
}

const { ProtocolError, UnsupportedData, InvalidPayload, TooBig, TryAgainLater } = CloseCode;

export const faults = {
  text: fault(UnsupportedData, "MQTT-6.0.0-1", "a text frame came"),
  notMasked: fault(ProtocolError, "RFC6455-5.1", "a frame is not masked"),
  reservedBits: fault(ProtocolError, "RFC6455-5.2", "a reserved bit is set"),
  unknownOpcode: fault(ProtocolError, "RFC6455-5.2", "the opcode of a frame is unknown"),
  lengthNotMinimal: fault(ProtocolError, "RFC6455-5.2", "the length of a frame is not in its shortest form"),
  frameTooLarge: fault(TooBig, "RFC6455-10.4", "a frame is larger than any frame may be"),
  messageInterrupted: fault(ProtocolError, "RFC6455-5.4", "a message begins within another one"),
  nothingToContinue: fault(ProtocolError, "RFC6455-5.4", "a frame continues no message"),
  controlFragmented: fault(ProtocolError, "RFC6455-5.5", "a control frame is fragmented"),
  controlTooLong: fault(ProtocolError, "RFC6455-5.5", "a control frame has more than 125 bytes"),
  closeTooShort: fault(ProtocolError, "RFC6455-5.5.1", "a close frame has one byte"),
  closeCode: fault(ProtocolError, "RFC6455-7.4", "a close frame has a code that it may not have"),
  closeReason: fault(InvalidPayload, "RFC6455-5.5.1", "the reason of a close frame is not UTF-8"),
  messageTooLarge: fault(TooBig, "RFC6455-10.4", "a compressed message is larger than the largest packet"),
  notDeflate: fault(InvalidPayload, "RFC7692-7.2.2", "a compressed message cannot be unpacked"),
  noMemory: fault(TryAgainLater, "RFC6455-10.4", "the budget for unfinished packets is used up"),
} as const satisfies Record<string, Fault>;

export function closedBy({ statement, message }: Fault): Closed {
  return { cause: "websocket", reason: 0, statement, message: `WebSocket: ${message}` };
}

/** What is wrong with the payload of a close frame, null if nothing is. §5.5.1 */
export function closeFault(payload: Uint8Array, length: number): Fault | null {
  if (length === 0) return null;
  if (length === 1) return faults.closeTooShort;
  const code = (payload[0]! << 8) | payload[1]!;
  if (!isSendable(code)) return faults.closeCode;
  return isUtf8(payload.subarray(2, length)) ? null : faults.closeReason;
}

/** Codes that may stand in a close frame, §7.4.1 and §7.4.2. */
function isSendable(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
