// Reader: a cursor over the commit log for a set of subscriptions; a session has one, a share group has one.
// A slow reader costs its cursor.
//
//   CaughtUp ──append──▶ Ready ──turn──▶ CaughtUp | SocketFull | WindowFull
//   SocketFull ──writable──▶ Ready      WindowFull ──acknowledgement──▶ Ready
//   any ──connection ends──▶ Offline ──resume──▶ Ready

import type { Pinned, Segment } from "../log/segment.ts";
import type { Session } from "./session.ts";
import type { Subscription } from "./subscription.ts";

export const ReaderState = {
  CaughtUp: 0,
  Ready: 1,
  SocketFull: 2,
  WindowFull: 3,
  Offline: 4,
} as const;
export type ReaderState = (typeof ReaderState)[keyof typeof ReaderState];

/** As people are told. */
export const READER_STATES: Readonly<Record<ReaderState, string>> = {
  [ReaderState.CaughtUp]: "caught_up",
  [ReaderState.Ready]: "ready",
  [ReaderState.SocketFull]: "socket_full",
  [ReaderState.WindowFull]: "window_full",
  [ReaderState.Offline]: "offline",
};

/** So long a shorter gap does not take the place of a longer one, ms. */
const GAP_KEPT_MS = 1000;

export class Reader implements Pinned {
  /** Whose reader it is; null for a share group. */
  readonly session: Session | null;
  state: ReaderState = ReaderState.Offline;
  readonly subscriptions: Subscription[] = [];
  /** Those of the subscriptions that owe something: they have a position. */
  readonly pending: Subscription[] = [];
  /** Granted by every subscription, none of which has options that change a frame; -1 when they differ. */
  uniformQos = 0;
  /** It stands in the ready queue. */
  queued = false;
  /** The last raw write may have ended within a frame. */
  cut = false;
  /** It stopped reading for a while and holds no publisher until it has caught up. */
  isLeftBehind = false;
  /** When it last made progress, ms. */
  progressMs = 0;
  /** The longest time, ms, that it took of late to make some while it was owed something; and when that ended. */
  gapMs = 0;
  gapEndMs = 0;
  /** For how long, ms, publishers were held back for it of late because it is slower than most; and up to when. */
  heldBackMs = 0;
  heldBackToMs = 0;
  /** The last judgement over a route's readers that looked at it, and one more when it was found in debt. */
  judged = 0;
  /** It is within its session's quota until its filters have got more than so many messages, or bytes, in all. */
  withinCount = -1;
  withinBytes = -1;

  pinnedIn: Segment | null = null;
  pinnedPrevious: Pinned | null = null;
  pinnedNext: Pinned | null = null;

  constructor(session: Session | null) {
    this.session = session;
  }

  /** Call after every change of subscriptions. */
  refresh(): void {
    const first = this.subscriptions[0];
    const isUniform = this.subscriptions.every(
      (s) => s.qos === first!.qos && !s.noLocal && !s.retainAsPublished && s.identifier === 0,
    );
    this.uniformQos = first === undefined ? 0 : isUniform ? first.qos : -1;
    this.recount();
  }

  /** It has been sent something. */
  progressed(now: number): void {
    const gap = now - this.progressMs;
    this.progressMs = now;
    if (gap < this.gapMs && now - this.gapEndMs < GAP_KEPT_MS) return;
    this.gapMs = gap;
    this.gapEndMs = now;
  }

  /** What is known of its quota holds no longer: it has other filters. */
  recount(): void {
    this.withinCount = -1;
    this.withinBytes = -1;
  }
}
