// Figures: what has to be added up over sessions and connections, in one look at all of them. Whoever asks often keeps
// what it got: a look costs some 100 ns for each client.

import type { Host } from "../net/host.ts";
import { addTraffic, noTraffic, type Traffic } from "../net/connectionStats.ts";
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
  /** Everything that has gone over connections, those that have ended too. */
  readonly traffic: Readonly<Traffic>;
  readonly listeners: readonly ListenerFigures[];
  readonly liveSegments: number;
  /** Messages and bytes that the live segments hold. */
  readonly logMessages: number;
  readonly logBytes: number;
}

export function figuresOf({ router, open, stats }: Host): Figures {
  const figures = {
    sessions: 0,
    offlineSessions: 0,
    subscriptions: 0,
    sharedSubscriptions: 0,
    inflightOut: 0,
    inflightIn: 0,
    traffic: noTraffic(),
    liveSegments: 0,
    logMessages: router.log.head - router.log.oldest.baseOffset,
    logBytes: 0,
  };
  for (const session of router.sessions.all()) {
    if (session.isLink) continue;
    figures.sessions++;
    if (session.port === null) figures.offlineSessions++;
    figures.subscriptions += session.byText.size;
    figures.sharedSubscriptions += session.groups.length;
    figures.inflightOut += session.inflight.count;
    figures.inflightIn += session.received?.size ?? 0;
  }
  const bySection = new Map<string, Traffic>();
  for (const [section, { ended }] of stats.listeners) bySection.set(section, { ...ended });
  for (const connection of open) {
    const { section } = connection.listener;
    let traffic = bySection.get(section);
    if (traffic === undefined) {
      traffic = noTraffic();
      bySection.set(section, traffic);
    }
    addTraffic(traffic, connection.traffic());
  }
  const listeners: ListenerFigures[] = [];
  for (const [section, traffic] of bySection) {
    const { clients, accepted, refused } = stats.of(section);
    listeners.push({ section, clients, accepted, refused, traffic });
    addTraffic(figures.traffic, traffic);
  }
  for (let segment: Segment | null = router.log.oldest; segment !== null; segment = segment.newer) {
    figures.liveSegments++;
    figures.logBytes += segment.used;
  }
  return { ...figures, listeners };
}
