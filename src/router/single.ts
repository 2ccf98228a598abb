// Single: one message by its Offset, rendered for one session: what is sent again after a reconnect, and what comes
// back to a share group. The slow path of router/render, with the same view: QoS, RETAIN, Subscription Identifiers.

import type { Offset } from "../base/brand.ts";
import type { CommitLog } from "../log/commitLog.ts";
import { RUN_CLASS, RUN_FIRST, RUN_PUBLISHER, RUN_STRIDE, RUN_TIME } from "../log/segment.ts";
import { frameBody, frameBytes } from "../packet/frame.ts";
import { decodeUtf8 } from "../packet/utf8.ts";
import type { Session } from "../session/session.ts";
import type { SubscriptionOptions } from "../session/subscription.ts";
import { filterMatchesTopic, parseTopicFilter } from "../topic/topicFilter.ts";
import { type Batch, RENDERED_FRAME_MAX } from "./batch.ts";
import { mayStillGet } from "./mayStillGet.ts";
import type { Renderer } from "./render.ts";
import { CLASS_INBOX, CLASS_RETAIN, classQos } from "./runClass.ts";

/** The options of a delivery that a subscription decides. */
export type ViewOptions = Pick<SubscriptionOptions, "qos" | "retainAsPublished" | "identifier">;

const DUP = 8;

/**
 * Renders the message at `offset` into the empty `batch` as `options` want it; without them as the session's own
 * subscriptions do that match it now, sent again with DUP at `qos`. False when it is gone or passed over (counted in
 * the batch).
 */
export function renderSingle(
  log: CommitLog,
  renderer: Renderer,
  batch: Batch,
  session: Session,
  offset: Offset,
  options: ViewOptions | { readonly resentAt: 1 | 2 },
  second: number,
): boolean {
  const segment = log.segmentOf(offset);
  if (segment === null) return false;
  const relative = offset - segment.baseOffset;
  const run = segment.runAtRecord(relative);
  const runAt = run * RUN_STRIDE;
  if (run === segment.runCount || segment.runs[runAt + RUN_FIRST]! > relative) return false;
  const { bytes } = segment;
  let at = segment.runStart(run);
  for (let record = segment.runs[runAt + RUN_FIRST]!; record < relative; record++)
    at += frameBytes(bytes, at);
  const runClass = segment.runs[runAt + RUN_CLASS]!;
  const { view } = renderer;
  renderer.begin();
  view.identifierBytes = 0;
  const isResent = "resentAt" in options;
  if (isResent && !mayStillGet(session, bytes, at)) {
    batch.droppedDenied++;
    return false;
  }
  if (!isResent) {
    view.qos = Math.min(classQos(runClass), options.qos);
    view.retain = options.retainAsPublished && (runClass & CLASS_RETAIN) !== 0;
    view.addIdentifier(options.identifier);
  } else {
    view.qos = options.resentAt;
    view.retain = false;
    if ((runClass & CLASS_INBOX) !== 0) {
      view.retain = true;
      view.addIdentifier(segment.runs[runAt + RUN_PUBLISHER]!);
    } else viewOfMatching(renderer, session, topicAt(bytes, at), (runClass & CLASS_RETAIN) !== 0);
  }
  const length = frameBytes(bytes, at);
  const age = second - segment.runs[runAt + RUN_TIME]!;
  const dup = isResent ? DUP : 0;
  if (length > RENDERED_FRAME_MAX) {
    return renderer.largeHead(batch, session, segment, at, length, runClass, age, offset, dup);
  }
  return renderer.one(batch, session, segment, at, length, runClass, age, offset, dup);
}

/** Adds what the session's subscriptions that match `topic` say together. */
function viewOfMatching(renderer: Renderer, session: Session, topic: string, isRetained: boolean): void {
  const { view } = renderer;
  for (const subscription of session.byText.values()) {
    const parsed = parseTopicFilter(subscription.text);
    if (parsed === null || !filterMatchesTopic(parsed.filter, topic)) continue;
    if (subscription.retainAsPublished && isRetained) view.retain = true;
    view.addIdentifier(subscription.identifier);
  }
}

function topicAt(bytes: Uint8Array, at: number): string {
  const body = frameBody(bytes, at);
  const length = (bytes[body]! << 8) | bytes[body + 1]!;
  return decodeUtf8(bytes, body + 2, body + 2 + length);
}
