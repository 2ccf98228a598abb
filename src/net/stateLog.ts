// State log: what goes on inside, once a second, for whoever wants everything (-vvv, or a live filter at `all`): a line
// about each connection, and one about the broker, when its state is another one than it was. Nothing is looked at
// while nobody wants such lines.

import { LOG_RANKS, type LineFields, type Logger } from "../base/logger.ts";
import { READER_STATES } from "../session/reader.ts";
import type { Connection } from "./connection.ts";
import type { Host } from "./host.ts";
import { Hold } from "./inbound.ts";

export const STATE_MS = 1000;
/** Lines about connections in one look. */
export const LINES_MAX = 1000;

/** Whether the socket is read, and if not, why. */
const READING: Readonly<Record<Hold, string>> = {
  [Hold.None]: "yes",
  [Hold.Paused]: "held back",
  [Hold.Overdrawn]: "beyond its rate",
  [Hold.Verdict]: "awaits a verdict",
};

export class StateLog {
  private readonly logger: Logger;
  /** What was last told of each connection. */
  private readonly told = new WeakMap<Connection, string>();
  private toldOfBroker = "";

  constructor(logger: Logger) {
    this.logger = logger;
  }

  tell(host: Host): void {
    const { filter } = this.logger;
    if (filter === undefined || filter.least > LOG_RANKS.all) return;
    const isWanted = (fields: LineFields): boolean => filter.rankOf(fields) === LOG_RANKS.all;
    let lines = 0;
    let untold = 0;
    for (const connection of host.open) {
      const who = connection.logFields();
      if (!isWanted(who)) continue;
      const state = stateOf(connection);
      const text = JSON.stringify(state);
      if (this.told.get(connection) === text) continue;
      if (lines === LINES_MAX) {
        untold++;
        continue;
      }
      lines++;
      this.told.set(connection, text);
      this.logger.trace?.({ ...who, ...state }, "state of the connection");
    }
    if (!isWanted({})) return;
    const state = brokerState(host, untold);
    const text = JSON.stringify(state);
    if (text === this.toldOfBroker) return;
    this.toldOfBroker = text;
    this.logger.trace?.(state, "state of the broker");
  }
}

function stateOf({ inbound, outbound, session }: Connection): LineFields {
  const common = {
    reading: READING[inbound.hold],
    unsent_bytes: outbound.heldBytes,
    socket_full: outbound.full,
  };
  if (session === null) return common;
  const { reader, inflight, received, replays } = session;
  return {
    ...common,
    reader: READER_STATES[reader.state],
    left_behind: reader.isLeftBehind,
    subscriptions: session.byText.size,
    filters_behind: reader.pending.length,
    in_flight: inflight.count,
    window: session.window,
    waiting_for_pubrel: received?.size ?? 0,
    retained_to_send: replays.length,
    session_bytes: session.cost,
  };
}

function brokerState(host: Host, untold: number): LineFields {
  const { router, stats, lobby } = host;
  const { log, budgets } = router;
  let segments = 0;
  for (let segment: typeof log.oldest | null = log.oldest; segment !== null; segment = segment.newer)
    segments++;
  return {
    sockets: host.open.size + lobby.newcomers.size,
    clients: stats.clients,
    sessions: router.sessions.count,
    handshakes: lobby.gate.underWay,
    handshakes_waiting: lobby.gate.waitingCount,
    paused: host.paused.size,
    overdrawn: host.overdrawn.size,
    paced_filters: router.pacing.pacedFilters,
    log_head: log.head,
    log_oldest: log.oldest.baseOffset,
    log_segments: segments,
    log_free_bytes: log.freeBytes,
    memory: Object.fromEntries(Object.values(budgets).map(({ name, used }) => [name, used])),
    ...(untold > 0 ? { connections_untold: untold } : {}),
  };
}
