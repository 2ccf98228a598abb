// Connection stats: counters of one host's connections, and of each of its listeners. Plain numbers that only grow, but
// for what says that it is now; metrics and tests read them.

/** What has gone over connections, in the packets of MQTT: without TLS and WebSocket frames. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  /** PUBLISH packets. */
  messagesIn: number;
  messagesOut: number;
}

export function noTraffic(): Traffic {
  return { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };
}

/** One listener, known by its section, whatever settings it has had. */
export class ListenerStats {
  readonly section: string;
  /** Clients now. */
  clients = 0;
  /** Clients that got CONNACK 0. */
  accepted = 0;
  /** As in ConnectionStats. */
  readonly refused = new Map<number, number>();
  /** Of connections that have ended. */
  readonly ended = noTraffic();

  constructor(section: string) {
    this.section = section;
  }
}

export class ConnectionStats {
  /** Sockets that came. */
  sockets = 0;
  /** Sockets that were closed at once: there was no place for them. */
  turnedAway = 0;
  /** Clients now, and the most that there were at one time. */
  clients = 0;
  clientsPeak = 0;
  /** Clients that got CONNACK 0. */
  accepted = 0;
  /** Connections that were refused before that, by the Reason Code of MQTT 5, whatever version they spoke. */
  readonly refused = new Map<number, number>();
  /** Sockets that have gone, by the cause of it (closeCause.ts). */
  readonly closed = new Map<string, number>();
  /** Times that Access failed: threw, rejected, was silent. */
  accessFailures = 0;
  reauthenticated = 0;
  /** Clients that lost their grant when users or rules changed. */
  revoked = 0;
  /** Clients whose grant had an end that came. */
  expired = 0;
  /** Times that a client was held back for its rate. */
  overdrawn = 0;
  /** By section: those that the configuration has, or had. */
  readonly listeners = new Map<string, ListenerStats>();

  of(section: string): ListenerStats {
    let listener = this.listeners.get(section);
    if (listener === undefined) {
      listener = new ListenerStats(section);
      this.listeners.set(section, listener);
    }
    return listener;
  }

  refuse(section: string, reason: number): void {
    count(this.refused, reason);
    count(this.of(section).refused, reason);
  }

  /** A client has come in. */
  accept(section: string): void {
    this.accepted++;
    if (++this.clients > this.clientsPeak) this.clientsPeak = this.clients;
    const listener = this.of(section);
    listener.accepted++;
    listener.clients++;
  }

  /** A connection has ended. */
  end(section: string, wasClient: boolean, cause: string, traffic: Traffic): void {
    count(this.closed, cause);
    const listener = this.of(section);
    addTraffic(listener.ended, traffic);
    if (!wasClient) return;
    this.clients--;
    listener.clients--;
  }

  /** A socket has gone before it was a connection. */
  leave(cause: string): void {
    count(this.closed, cause);
  }
}

export function addTraffic(sum: Traffic, one: Traffic): void {
  sum.bytesIn += one.bytesIn;
  sum.bytesOut += one.bytesOut;
  sum.messagesIn += one.messagesIn;
  sum.messagesOut += one.messagesOut;
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
