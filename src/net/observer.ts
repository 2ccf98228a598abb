// Observer: who is told what becomes of clients, beside the log. It is called in the midst of things, within a write or
// a packet: it notes what it needs, at once, and acts on it later.

import type { SubscribeEntry } from "../packet/subscribe.ts";
import type { Closed } from "./closeCause.ts";
import type { Connection } from "./connection.ts";

export interface HostObserver {
  connected(connection: Connection): void;
  /** The connection of a client has ended. */
  disconnected(connection: Connection, closed: Closed): void;
  /** Its CONNECT was answered with a refusal. */
  refused(connection: Connection, closed: Closed): void;
  /** SUBSCRIBE was answered, with one Reason Code for each entry. */
  subscribed(connection: Connection, entries: readonly SubscribeEntry[], codes: readonly number[]): void;
}
