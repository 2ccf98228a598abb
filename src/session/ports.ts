// Ports of a session: what the core asks of a Network Connection, so that it can be simulated.

import type { Segment } from "../log/segment.ts";
import type { MqttError } from "../packet/error.ts";

/** The sending side of one Network Connection. Frames leave whole or the port keeps their rest. */
export interface DeliveryPort {
  /** Bytes wait that must leave before anything else: the rest of a cut frame, or control packets. */
  readonly owes: boolean;
  /** Control packets are among them and wait for a frame boundary. */
  readonly owesControl: boolean;
  /** Bytes that the socket has taken: when they grow, the client reads. */
  readonly sentBytes: number;
  /** A large payload whose rest is still read from this segment. */
  readonly tailSegment: Segment | null;
  /** Writes the rest of the cut frame. True when none is left. */
  flushRest(): boolean;
  /** Writes waiting control packets; call at a frame boundary. True when none are left. */
  flushControl(): boolean;
  /** Bytes accepted by the kernel, 0 when it is full; negative when the connection is gone. */
  write(bytes: Uint8Array, at: number, length: number): number;
  /** There is room to spare for a copy of so many bytes. */
  mayKeep(bytes: number): boolean;
  /** Keeps a copy of the rest of a cut frame. False when the budget is used up: the connection closes. */
  keepRest(bytes: Uint8Array, at: number, length: number): boolean;
  /** The rest of the frame, behind what keepRest keeps, lies in the log. */
  keepTail(segment: Segment, from: number, to: number): void;
  /** A whole control packet; waits when the socket is full or a frame is cut. */
  sendControl(bytes: Uint8Array, at: number, length: number): void;
  /** Slows this client's publishing down, or lets it go. */
  pace(paced: boolean): void;
  /** Whether the client may publish there by the rules of now; asked for its Will when the connection is over. */
  mayStillPublish(topicName: string): boolean;
  /** Tells the client why (v5) and closes. */
  disconnect(error: MqttError): void;
}
