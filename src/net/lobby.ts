// Lobby: sockets that have come and are no clients yet, from accept to CONNACK. It knows which of them came first, how
// many there may be, and what each address may have. When there is no place for one more, whoever has been here
// longest without becoming a client goes.

import type { Clock } from "../base/clock.ts";
import { limitKey, UNIX_ADDRESS } from "./address.ts";
import { AddressLimits } from "./addressLimits.ts";
import { type Closed, CloseCause } from "./closeCause.ts";
import { type GateOptions, HandshakeGate } from "./handshakeGate.ts";
import type { ListenerSettings } from "./settings.ts";

/** An arrival, or a connection that waits for CONNECT. */
export interface Guest {
  /** When it came, ms; later than now while it is kept waiting. */
  readonly openedMs: number;
  close(cause: Closed): void;
}

/** A guest whose connection does not exist yet. */
export interface Newcomer extends Guest {
  checkTime(nowMs: number): void;
}

/** A client, as far as limits per address go. */
export interface Resident {
  readonly listener: ListenerSettings;
  readonly remoteAddress: string;
}

/** So long nobody has to leave for somebody else. */
const GRACE_MS = 1000;
/** Of so many of the eldest one may have to. */
const SCAN_MAX = 64;

export class Lobby {
  readonly gate: HandshakeGate;
  /** Calls a turn after other work has had its own. */
  readonly later: (turn: () => void) => void;
  readonly newcomers = new Set<Newcomer>();
  private readonly clock: Clock;
  /** Newcomers and connections without CONNECT, in the order in which they came. */
  private readonly guests = new Set<Guest>();
  /** By the section of the listener. */
  private readonly limits = new Map<string, AddressLimits>();
  /** Clients that their address's limit counts. */
  private readonly counted = new Set<Resident>();

  constructor(gate: GateOptions) {
    this.gate = new HandshakeGate(gate);
    this.clock = gate.clock;
    this.later = gate.later;
  }

  enter(guest: Guest): void {
    this.guests.add(guest);
  }

  /** It is a client now, or gone. */
  leave(guest: Guest): void {
    this.guests.delete(guest);
  }

  /** Closes the eldest guest that has had its time. False when there is none. */
  makePlace(): boolean {
    let left = SCAN_MAX;
    for (const guest of this.guests) {
      if (left-- === 0) return false;
      if (this.clock.nowMs() - guest.openedMs < GRACE_MS) continue;
      guest.close(CloseCause.displaced);
      this.guests.delete(guest);
      return true;
    }
    return false;
  }

  tick(nowMs: number): void {
    for (const newcomer of this.newcomers) newcomer.checkTime(nowMs);
    this.gate.tick();
  }

  /** The listener's sockets are all closed that have no connection yet. */
  closeAll(cause: Closed): void {
    for (const newcomer of [...this.newcomers]) newcomer.close(cause);
  }

  // ---- limits per address

  /** One more socket of `address` has come. False when they come too fast. */
  isInTime(listener: ListenerSettings, address: string): boolean {
    const { ratePerAddress } = listener.transport;
    if (ratePerAddress === 0 || address === UNIX_ADDRESS) return true;
    return this.limitsOf(listener).arrive(address, ratePerAddress);
  }

  /** Counts a client that is about to come in, and to end the connection of `former`. False when there are enough. */
  count(resident: Resident, former: Resident | null): boolean {
    const { listener, remoteAddress } = resident;
    const { connectionsPerAddress } = listener.transport;
    if (connectionsPerAddress === 0 || remoteAddress === UNIX_ADDRESS) return true;
    const isSame =
      former !== null &&
      former.listener.section === listener.section &&
      limitKey(former.remoteAddress) === limitKey(remoteAddress) &&
      this.counted.has(former);
    if (!this.limitsOf(listener).take(remoteAddress, connectionsPerAddress, isSame ? 1 : 0)) return false;
    this.counted.add(resident);
    return true;
  }

  /** A client that count() may have counted is gone. */
  forget(resident: Resident): void {
    if (this.counted.delete(resident)) this.limitsOf(resident.listener).give(resident.remoteAddress);
  }

  private limitsOf({ section }: ListenerSettings): AddressLimits {
    let limits = this.limits.get(section);
    if (limits === undefined) {
      limits = new AddressLimits(this.clock);
      this.limits.set(section, limits);
    }
    return limits;
  }
}
