// What a listener is told at start, and so what it announces in CONNACK and enforces.

import type { ProtocolLevel } from "../packet/protocol.ts";
import type { AuthenticatorName } from "./authSettings.ts";
import type { ClientLimits } from "./limits.ts";
import type { TransportSettings } from "./transport.ts";

export type { ProtocolLevel };

export interface ListenerSettings {
  /** Unique, for example "v4.1". */
  readonly section: string;
  readonly name: string;
  readonly host: string;
  /** 0..65535; 0 takes any free port. */
  readonly port: number;
  readonly transport: TransportSettings;
  readonly versions: readonly ProtocolLevel[];
  /** Pause between two accepted connections, ms; 0 is none. */
  readonly nextConnectionDelayMs: number;
  /** From accept to a whole CONNECT, ms. */
  readonly connectTimeoutMs: number;
  /** PUBLISH payload, bytes; a larger one gets 0x95 (v5) or a close. */
  readonly payloadBytesMax: number;
  /** Whole packet, bytes, announced as Maximum Packet Size. */
  readonly packetBytesMax: number;
  /** QoS 1 and 2 messages in flight to one client, 1..65535; a client's smaller Receive Maximum wins. */
  readonly inflightMax: number;
  /** Announced as Receive Maximum: QoS 1 and 2 messages in flight from one client, 1..65535. */
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly qosMax: 0 | 1 | 2;
  readonly retainAvailable: boolean;
  readonly wildcardAvailable: boolean;
  readonly sharedAvailable: boolean;
  readonly identifiersAvailable: boolean;
  /** Largest Keep Alive, s; 0 sets no limit. A v5 client with a larger one (or 0) is told this one. */
  readonly keepAliveMax: number;
  /** Largest Session Expiry Interval, s; 0xFFFFFFFF is no limit. */
  readonly sessionExpiryMax: number;
  /** Zero-length Client Identifiers are given a name rather than refused. */
  readonly emptyClientIdentifier: boolean;
  /** Owed QoS 1 and 2 messages of one session; beyond it the oldest goes. */
  readonly queueMessagesMax: number;
  /** The same in bytes. */
  readonly queueBytesMax: number;
  readonly limits: ClientLimits;
  /** User Name → password, in plain text or as a hash; null where there is no table. */
  readonly users: ReadonlyMap<string, string> | null;
  /** Who is asked in turn; null: as for the whole broker. */
  readonly authChain: readonly AuthenticatorName[] | null;
  /** Clients that claim nothing are let in; null: only where nobody could be asked. */
  readonly allowAnonymous: boolean | null;
}
