// Audit: what each budget says beside what its owners hold. It looks into private fields on purpose: nothing in the
// source should have to exist for it.

import type { Connection } from "../../src/net/connection.ts";
import {
  ENTRY_FIRST_RUN,
  ENTRY_LAST_RUN,
  ENTRY_NEXT,
  ENTRY_STRIDE,
  NO_LINK,
  RUN_CLASS,
  RUN_FIRST,
  RUN_PUBLISHER,
  RUN_STRIDE,
} from "../../src/log/segment.ts";
import { WebSocketLayer } from "../../src/net/webSocket.ts";
import type { Partial as PartialPacket } from "../../src/net/partial.ts";
import { frameBytes } from "../../src/packet/frame.ts";
import { BatchKind } from "../../src/router/batch.ts";
import type { Router } from "../../src/router/router.ts";
import type { AliasTopic } from "../../src/router/publisher.ts";
import { SLOT_COST } from "../../src/router/retained.ts";
import { classQos } from "../../src/router/runClass.ts";
import { SESSION_COST } from "../../src/router/sessions.ts";
import { BLOCK, type InflightSlab, InflightState } from "../../src/session/inflight.ts";
import { ALIAS_COST, RECEIVED_COST, type Session } from "../../src/session/session.ts";

/** Throws when a budget differs from the sum of what is held in its name. */
export function audit(router: Router, connections: Iterable<Connection>): void {
  const { budgets } = router;
  let partial = 0;
  let parked = 0;
  let strangers = 0;
  let residue = 0;
  for (const connection of connections) {
    const { partial: arriving } = connection.inbound as unknown as { partial: PartialPacket | null };
    const isStrangers = arriving !== null && arriving["budget"] !== budgets.partial;
    if (isStrangers) strangers += arriving?.bytes.length ?? 0;
    else partial += arriving?.bytes.length ?? 0;
    const { length = 0 } = connection.inbound["parked"] ?? {};
    strangers += connection.authentication?.["connectCost"] ?? 0;
    if (connection.inbound["awaitsVerdict"]) strangers += length;
    else parked += length;
    residue += connection.outbound["rest"].length + connection.outbound["control"].length;
    const { socket } = connection;
    if (socket instanceof WebSocketLayer) residue += socket["encoder"]?.heldBytes ?? 0;
  }
  let log = 0;
  for (const segment of router.log.segments) log += segment?.cost ?? 0;
  same("partial packets", budgets.partial.used, partial);
  same("parked chunks", budgets.parked.used, parked);
  same("strangers", budgets.strangers.used, strangers);
  same("residues", budgets.residue.used, residue);
  same("log", budgets.log.used, log);
  same("render", budgets.render.used, renderBytes(router));
  same("cleaner", budgets.cleaner.used, cleanerBytes(router));
  same("retained", budgets.retained.used, retainedBytes(router));
  same("sessions", budgets.sessions.used, sessionBytes(router, connections));
  same("in flight", budgets.inflight.used, inflightBytes(router));
}

function retainedBytes({ retained }: Router): number {
  let bytes = 0;
  for (const segment of retained["segments"]) bytes += segment?.bytes.length ?? 0;
  return bytes + retained["segmentOf"].length * SLOT_COST;
}

/** What each session is charged for, part by part. */
function sessionBytes({ sessions }: Router, connections: Iterable<Connection>): number {
  const incoming = new Map<Session, number>();
  for (const { session, publisher } of connections) {
    if (session !== null && publisher !== null) incoming.set(session, aliasBytes(publisher["aliases"] ?? []));
  }
  let sum = 0;
  for (const session of sessions.all()) {
    let bytes = SESSION_COST + 2 * session.clientIdentifier.length + session.willCost;
    for (const { cost } of session.byText.values()) bytes += cost;
    for (const { cost } of session.replays) bytes += cost;
    for (const topic of session.aliases?.keys() ?? []) bytes += ALIAS_COST + topic.length;
    bytes += (session.received?.size ?? 0) * RECEIVED_COST + (incoming.get(session) ?? 0);
    same(`of the session of ${session.clientIdentifier}`, session.cost, bytes);
    sum += bytes;
  }
  return sum;
}

function aliasBytes(topics: readonly (AliasTopic | null)[]): number {
  let bytes = 0;
  for (const topic of topics) bytes += topic == null ? 0 : ALIAS_COST + topic.bytes.length;
  return bytes;
}

/** Every block is one session's or free, and holds what its session counts. */
function inflightBytes({ sessions }: Router): number {
  const slab: InflightSlab = sessions["slab"];
  const owners = new Array<string | undefined>(slab.used.length);
  const own = (block: number, owner: string): void => {
    if (owners[block] !== undefined) throw new Error(`block ${block} is of ${owners[block]} and of ${owner}`);
    owners[block] = owner;
  };
  for (let block = slab["freeHead"]; block >= 0; block = slab.next[block]!) own(block, "nobody");
  for (const { clientIdentifier, inflight } of sessions.all()) {
    let taken = 0;
    for (let block = inflight["head"]; block >= 0; block = slab.next[block]!) {
      own(block, clientIdentifier);
      const states = slab.states.subarray(block * BLOCK, (block + 1) * BLOCK);
      const used = states.filter((state) => state !== InflightState.Free).length;
      same(`block ${block}`, slab.used[block]!, used);
      taken += used;
    }
    same(`messages in flight to ${clientIdentifier}`, inflight.count, taken);
  }
  if (owners.includes(undefined)) throw new Error("a block of the slab is nobody's");
  const { offsets, states, origins, keys, next, used } = slab;
  return [offsets, states, origins, keys, next, used].reduce((sum, array) => sum + array.byteLength, 0);
}

/** What deliveries are rendered in; a frame larger than that had room of its own, which is gone by now. */
function renderBytes({ lanes }: Router): number {
  let bytes = 0;
  for (const batch of [...lanes["batches"], lanes.single]) {
    const { at, source, sourceByte, hole, qos, offset } = batch;
    bytes += batch.kind === BatchKind.InPlace ? batch["scratch"].length : batch.bytes.length;
    for (const perPiece of [at, sourceByte, hole, qos, offset]) bytes += perPiece.byteLength;
    bytes += source.length * 8;
  }
  return bytes;
}

/** What the cleaner marks and notes records and runs in. */
function cleanerBytes(router: Router): number {
  const cleaner = router["retention"]["cleaner"];
  let bytes = cleaner["runFrom"].byteLength;
  for (const one of cleaner["marks"]["marks"]) bytes += one["before"].byteLength + one["bits"].byteLength;
  return bytes;
}

/** Throws when a session whose client is away is owed more than its quota. Call behind a tick. */
export function auditQuotas(router: Router): void {
  for (const session of router.sessions.all()) {
    if (session.port !== null) continue;
    const { messages, bytes } = owed(router, session);
    const { clientIdentifier, queueMessagesMax, queueBytesMax } = session;
    if (messages > queueMessagesMax || bytes > queueBytesMax) {
      throw new Error(
        `${clientIdentifier} is owed ${messages} of ${queueMessagesMax} messages, ${bytes} of ${queueBytesMax} bytes`,
      );
    }
  }
}

/** QoS 1 and 2 messages that the session has not been sent: each filter's chain gone through on its own. */
function owed(router: Router, session: Session): { messages: number; bytes: number } {
  const bytesOf = new Map<number, number>();
  for (const subscription of session.reader.pending) {
    let segment = subscription.segment;
    let entry = subscription.entry;
    let from = subscription.from;
    while (segment !== null) {
      const at = entry * ENTRY_STRIDE;
      const lastRun = segment.entries[at + ENTRY_LAST_RUN]!;
      for (let run = segment.entries[at + ENTRY_FIRST_RUN]!; run <= lastRun; run++) {
        const runAt = run * RUN_STRIDE;
        const isOwn = subscription.noLocal && segment.runs[runAt + RUN_PUBLISHER] === session.number;
        const qos = Math.min(classQos(segment.runs[runAt + RUN_CLASS]!), subscription.qos);
        let offset = segment.baseOffset + segment.runs[runAt + RUN_FIRST]!;
        let frame = segment.runStart(run);
        for (; frame < segment.runEnd(run); offset++) {
          const length = frameBytes(segment.bytes, frame);
          if (frame >= from && qos > 0 && !isOwn) bytesOf.set(offset, length);
          frame += length;
        }
      }
      const next: number = segment.entries[at + ENTRY_NEXT]!;
      segment = next === NO_LINK ? null : router.log.segments[next >>> 16]!;
      entry = next & 0xffff;
      from = 0;
    }
  }
  let bytes = 0;
  for (const length of bytesOf.values()) bytes += length;
  return { messages: bytesOf.size, bytes };
}

function same(name: string, budgeted: number, held: number): void {
  if (budgeted !== held) throw new Error(`budget ${name}: ${budgeted} budgeted, ${held} held`);
}
