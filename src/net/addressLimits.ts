// Address limits: how many connections one address has at one time on one listener, and how fast new ones come. The
// limits themselves are the caller's, who may change them. Both tables are bounded: the first by the connections that
// there are, the second by forgetting whoever was seen first.

import type { Clock } from "../base/clock.ts";
import { limitKey } from "./address.ts";

/** Addresses whose rate is remembered. One that was forgotten begins anew, with its whole allowance. */
const RATES_MAX = 65_536;

interface Allowance {
  /** Connections that may come at once, up to one second's; a fraction between two. */
  left: number;
  atMs: number;
}

export class AddressLimits {
  private readonly clock: Clock;
  private readonly connections = new Map<string, number>();
  private readonly allowances = new Map<string, Allowance>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** One more connection comes. False when its address has had its share of this second; 0 sets no limit. */
  arrive(address: string, perSecond: number): boolean {
    if (perSecond === 0) return true;
    const key = limitKey(address);
    const now = this.clock.nowMs();
    const allowance = this.allowances.get(key) ?? this.remember(key, perSecond, now);
    const refilled = allowance.left + ((now - allowance.atMs) / 1000) * perSecond;
    allowance.left = Math.min(perSecond, refilled);
    allowance.atMs = now;
    if (allowance.left < 1) return false;
    allowance.left--;
    return true;
  }

  private remember(key: string, left: number, now: number): Allowance {
    if (this.allowances.size >= RATES_MAX) {
      for (const eldest of this.allowances.keys()) {
        this.allowances.delete(eldest);
        break;
      }
    }
    const allowance = { left, atMs: now };
    this.allowances.set(key, allowance);
    return allowance;
  }

  /**
   * Counts one more client of `address`; false, and it is not counted, when there are `connectionsMax`. `leaving` of
   * those that are counted are about to go.
   */
  take(address: string, connectionsMax: number, leaving = 0): boolean {
    const key = limitKey(address);
    const count = this.connections.get(key) ?? 0;
    if (count - leaving >= connectionsMax) return false;
    this.connections.set(key, count + 1);
    return true;
  }

  /** A client that take() counted is gone. */
  give(address: string): void {
    const key = limitKey(address);
    const count = (this.connections.get(key) ?? 0) - 1;
    if (count > 0) this.connections.set(key, count);
    else this.connections.delete(key);
  }
}
