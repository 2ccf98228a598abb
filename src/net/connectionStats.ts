// Connection stats: counters of one host's connections. Plain numbers that only grow; metrics and tests read them.

export class ConnectionStats {
  /** Clients that got CONNACK 0. */
  accepted = 0;
  /** Connections that were refused before that, by the Reason Code of MQTT 5, whatever version they spoke. */
  readonly refused = new Map<number, number>();
  /** Times that Access failed: threw, rejected, was silent. */
  accessFailures = 0;
  reauthenticated = 0;
  /** Clients that lost their grant when users or rules changed. */
  revoked = 0;
  /** Clients whose grant had an end that came. */
  expired = 0;
  /** Times that a client was held back for its rate. */
  overdrawn = 0;

  refuse(reason: number): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }
}
