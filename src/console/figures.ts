// Figures: what has to be added up over sessions and connections. However many there are, the event loop is held for
// one slice of them at a time; what comes and goes meanwhile shows in the next look.

import { addTraffic, noTraffic, type Traffic } from "../net/connectionStats.ts";
import type { Host } from "../net/host.ts";
import type { Segment } from "../log/segment.ts";

export interface ListenerFigures {
  readonly section: string;
  readonly clients: number;
  readonly accepted: number;
  /** By Reason Code. */
  readonly refused: ReadonlyMap<number, number>;
  readonly traffic: Readonly<Traffic>;
}

export interface Figures {
  /** Of clients; links of the broker itself are none. */
  readonly sessions: number;
  readonly offlineSessions: number;
  readonly subscriptions: number;
  /** Of them, those in share groups. */
  readonly sharedSubscriptions: number;
  /** QoS 1 and 2 messages on their way to clients, and QoS 2 ones from them. */
  readonly inflightOut: number;
  readonly inflightIn: number;
  /** Everything that has gone over connections, those that have ended too. It never gets less. */
  readonly traffic: Readonly<Traffic>;
  readonly listeners: readonly ListenerFigures[];
  readonly liveSegments: number;
  /** Messages and bytes that the live segments hold. */
  readonly logMessages: number;
  readonly logBytes: number;
}

/** Sessions or connections that are looked at in one turn of the event loop: well below a millisecond. */
export const SLICE = 1000;

export class FiguresReader {
  private readonly host: Host;
  /** The most that was read so far: one that ended during a look is missing from it, and is there in the next. */
  private readonly most = new Map<string, Traffic>();
  private reading: Promise<Figures> | null = null;

  constructor(host: Host) {
    this.host = host;
  }

  /** Who asks during a look gets what it finds. */
  read(): Promise<Figures> {
    this.reading ??= this.look().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  private async look(): Promise<Figures> {
    const sessions = await this.sessions();
    const listeners = await this.listeners();
    const traffic = noTraffic();
    for (const listener of listeners) addTraffic(traffic, listener.traffic);
    return { ...sessions, listeners, traffic, ...this.log() };
  }

  private async sessions() {
    const sums = {
      sessions: 0,
      offlineSessions: 0,
      subscriptions: 0,
      sharedSubscriptions: 0,
      inflightOut: 0,
      inflightIn: 0,
    };
    let seen = 0;
    for (const session of this.host.router.sessions.all()) {
      if (++seen % SLICE === 0) await turn();
      if (session.isLink) continue;
      sums.sessions++;
      if (session.port === null) sums.offlineSessions++;
      sums.subscriptions += session.byText.size;
      sums.sharedSubscriptions += session.groups.length;
      sums.inflightOut += session.inflight.count;
      sums.inflightIn += session.received?.size ?? 0;
    }
    return sums;
  }

  private async listeners(): Promise<ListenerFigures[]> {
    const { open, stats } = this.host;
    const bySection = new Map<string, Traffic>();
    // First what has ended: a connection that ends while the others are gone through is not added twice.
    for (const [section, { ended }] of stats.listeners) bySection.set(section, { ...ended });
    let seen = 0;
    for (const connection of open) {
      if (++seen % SLICE === 0) await turn();
      const { section } = connection.listener;
      let traffic = bySection.get(section);
      if (traffic === undefined) {
        traffic = noTraffic();
        bySection.set(section, traffic);
      }
      addTraffic(traffic, connection.traffic());
    }
    return [...bySection].map(([section, traffic]) => {
      const { clients, accepted, refused } = stats.of(section);
      return { section, clients, accepted, refused, traffic: this.atLeast(section, traffic) };
    });
  }

  private atLeast(section: string, now: Traffic): Traffic {
    const most = this.most.get(section) ?? noTraffic();
    this.most.set(section, most);
    most.bytesIn = Math.max(most.bytesIn, now.bytesIn);
    most.bytesOut = Math.max(most.bytesOut, now.bytesOut);
    most.messagesIn = Math.max(most.messagesIn, now.messagesIn);
    most.messagesOut = Math.max(most.messagesOut, now.messagesOut);
    return { ...most };
  }

  private log() {
    const { log } = this.host.router;
    let liveSegments = 0;
    let logBytes = 0;
    for (let segment: Segment | null = log.oldest; segment !== null; segment = segment.newer) {
      liveSegments++;
      logBytes += segment.used;
    }
    return { liveSegments, logBytes, logMessages: log.head - log.oldest.baseOffset };
  }
}

/** Others have their turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
