// Host log: one line for each connection's end: who, why, after how long. What strangers can cause at will is told now
// and then, with how often it was; and the timer runs while somebody is held back.

import type { Clock } from "../base/clock.ts";
import { LOG_RANKS, type LineFields, type Logger, mayWant, shown, subjectFields } from "../base/logger.ts";
import { errors } from "../packet/error.ts";
import type { Arrival } from "./arrival.ts";
import { type Closed, CloseCause, reasonFields } from "./closeCause.ts";
import type { Connection } from "./connection.ts";
import { type Host, type HostListener, RELAX_MS, TRICKLE_MS } from "./host.ts";
import { PacketLog } from "./packetLog.ts";
import { StateLog } from "./stateLog.ts";

/** Causes of an end that somebody should look at. */
const WARNINGS: ReadonlySet<string> = new Set(["error", "no_memory", "access_failed"]);

/** How often the same warning may be logged. */
export const WARNING_MS = 5000;

/** Messages that were not delivered, or not retained, by why. */
interface Dropped {
  readonly gap: number;
  readonly quota: number;
  readonly too_large: number;
  readonly refused: number;
  readonly not_retained: number;
}

const DROPPED_TEXTS: Readonly<Record<keyof Dropped, string>> = {
  gap: "of QoS 0 skipped by clients that read slowly",
  quota: "of QoS 1 and 2 beyond the quota of a session's queue",
  too_large: "larger than their client takes",
  refused: "refused for want of room",
  not_retained: "delivered but not retained for want of room",
};

/** Parts of the memory without which clients or what they send are refused; what the others do is waited for. */
const TOLD_BUDGETS = ["sessions", "retained", "partial", "parked", "strangers"] as const;

/** How soon packets that could not be shown from their middle on are tried again. */
const SHOW_AGAIN_MS = 50;

/** Something that happens again and again. */
interface Recurring {
  count: number;
  /** When it may be told again. */
  nextMs: number;
}

export class HostLog implements HostListener {
  host: Host | null = null;
  private readonly logger: Logger;
  private readonly clock: Clock;
  private timer: Timer | null = null;
  private rounds = 0;
  /** Connections whose packets are to be shown once none of them is on its way. */
  private readonly waiting = new Set<Connection>();
  private dropped: Dropped = { gap: 0, quota: 0, too_large: 0, refused: 0, not_retained: 0 };
  /** Refusals that were told. */
  private readonly short = new Map<string, number>();
  private readonly turnedAwaySockets: Recurring = { count: 0, nextMs: 0 };
  private readonly states: StateLog;
  private readonly untrusted: Recurring = { count: 0, nextMs: 0 };

  constructor(logger: Logger, clock: Clock) {
    this.logger = logger;
    this.clock = clock;
    this.states = new StateLog(logger);
    logger.filter?.watch(() => this.showAll());
  }

  /** One more time; true when it is time to tell. */
  private recurs(recurring: Recurring): boolean {
    recurring.count++;
    const now = this.clock.nowMs();
    if (now < recurring.nextMs) return false;
    recurring.nextMs = now + WARNING_MS;
    return true;
  }

  left({ number, place, address }: Arrival, closed: Closed): void {
    if (!mayWant(this.logger, "warn")) return;
    const who = subjectFields({
      connectionId: number,
      listener: place.settings.section,
      remoteAddress: address,
    });
    const fields = { ...who, cause: closed.cause, detail: shown(closed.detail) };
    if (closed.cause === CloseCause.certificate.cause) this.logger.info(fields, closed.message);
    else if (closed.cause !== CloseCause.untrustedProxy.cause) this.logger.debug(fields, closed.message);
    else if (this.recurs(this.untrusted))
      this.logger.warn({ ...fields, count: this.untrusted.count }, closed.message);
  }

  /** Every STATE_MS: what goes on inside, for those who want everything. */
  tellState(): void {
    if (this.host !== null) this.states.tell(this.host);
  }

  /** Every WARNING_MS: what was dropped since the last time, if anything was. Nothing goes without a word. */
  tellDropped(): void {
    if (this.host === null) return;
    const { gapMessages, quotaMessages, droppedTooLarge, refusedPublishes, refusedRetained } =
      this.host.router.stats;
    const now: Dropped = {
      gap: gapMessages,
      quota: quotaMessages,
      too_large: droppedTooLarge,
      refused: refusedPublishes,
      not_retained: refusedRetained,
    };
    this.tellShort();
    const before = this.dropped;
    this.dropped = now;
    const kinds = (Object.keys(now) as (keyof Dropped)[]).filter((kind) => now[kind] > before[kind]);
    if (kinds.length === 0) return;
    const fields = Object.fromEntries(kinds.map((kind) => [kind, now[kind] - before[kind]]));
    const text = kinds.map((kind) => `${now[kind] - before[kind]} ${DROPPED_TEXTS[kind]}`);
    this.logger.warn(fields, `messages in the last ${WARNING_MS / 1000} s: ${text.join(", ")}`);
  }

  /** Which part of the memory was too small for what was asked for. */
  private tellShort(): void {
    const { budgets } = this.host!.router;
    for (const part of TOLD_BUDGETS) {
      const { name, bytesMax, used, refusals } = budgets[part];
      const times = refusals - (this.short.get(part) ?? 0);
      if (times === 0) continue;
      this.short.set(part, refusals);
      this.logger.warn(
        { memory: name, times, used, bytes_max: bytesMax },
        `the part of [router] memory for ${name}, ${mebibytes(bytesMax)}, was too small ${times} times in the last ${
          WARNING_MS / 1000
        } s: what needed it was refused; raise memory`,
      );
    }
  }

  turnedAway(who: LineFields): void {
    if (!this.recurs(this.turnedAwaySockets)) return;
    const sockets = this.host?.socketsMax;
    this.logger.warn(
      { ...who, sockets, turned_away: this.turnedAwaySockets.count },
      "no place for more connections: closed at once",
    );
  }

  pressed(): void {
    this.timer ??= setInterval(() => this.release(), RELAX_MS);
  }

  private release(): void {
    const { host } = this;
    if (host === null || this.timer === null) return;
    host.relax();
    if (++this.rounds % (TRICKLE_MS / RELAX_MS) === 0) host.trickle();
    if (host.isPressed) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  identified(connection: Connection): void {
    if (mayWant(this.logger, "debug")) this.show(connection);
  }

  connected(connection: Connection): void {
    if (mayWant(this.logger, "debug")) this.logger.debug(connection.logFields(), "client connected");
  }

  /** The packets of the connection are logged, if anybody wants to see some of them. */
  private show(connection: Connection): void {
    const { filter } = this.logger;
    if (filter === undefined) return;
    const wanted = filter.rankOfAnyTopic(connection.logFields()) <= LOG_RANKS.debug;
    if (wanted === connection.isShown) return;
    const packetLog = wanted ? new PacketLog(this.logger, filter, connection) : null;
    if (connection.show(packetLog)) return;
    if (this.waiting.size === 0) setTimeout(() => this.showWaiting(), SHOW_AGAIN_MS).unref();
    this.waiting.add(connection);
  }

  /** The filter of the log has changed. */
  private showAll(): void {
    for (const connection of this.host?.open ?? []) if (connection.session !== null) this.show(connection);
  }

  /** Those whose packets could not be shown from their middle on. */
  private showWaiting(): void {
    const again = [...this.waiting];
    this.waiting.clear();
    for (const connection of again) if (this.host?.open.has(connection)) this.show(connection);
  }

  closed(connection: Connection, closed: Closed): void {
    if (!mayWant(this.logger, "warn")) return;
    const traffic = connection.traffic();
    const fields = {
      ...connection.logFields(),
      cause: closed.cause,
      ...reasonFields(closed),
      detail: shown(closed.detail),
      statement: closed.statement,
      seconds: Math.max(0, Math.round(this.clock.nowMs() - connection.openedMs)) / 1000,
      messages_in: traffic.messagesIn,
      messages_out: traffic.messagesOut,
      bytes_in: traffic.bytesIn,
      bytes_out: traffic.bytesOut,
    };
    if (closed.reason === errors.serverShuttingDown.reason) this.logger.debug(fields, closed.message);
    else if (WARNINGS.has(closed.cause)) this.logger.warn(fields, closed.message);
    else if (connection.session === null && closed.cause === "lost")
      this.logger.debug(fields, closed.message);
    else this.logger.info(fields, closed.message);
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
