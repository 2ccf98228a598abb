// Sent: counts the PUBLISH packets that leave, each once, when its last byte does. What goes out as it lies in the log
// is counted by its range of bytes, from what the run table knows: a hundred readers of one range cost one look. @hot

import { frameBytes } from "../packet/frame.ts";
import type { Session } from "../session/session.ts";
import {
  ENTRY_FIRST_RUN,
  ENTRY_LAST_RUN,
  ENTRY_STRIDE,
  RUN_BYTES,
  RUN_COUNT,
  RUN_FIRST,
  RUN_FRAME_MAX,
  RUN_STRIDE,
  type Segment,
} from "../log/segment.ts";
import type { Batch } from "./batch.ts";
import type { Stats } from "./stats.ts";

/** Places in runs of frames of different lengths that are remembered: so many readers may be at different ones. */
const MARKS = 8;

export class Sent {
  private readonly stats: Stats;
  /** The last range that was counted. */
  private sequence = 0;
  private from = 0;
  private to = 0;
  private messages = 0;
  /** Starts of frames, by segment and run, with how many frames of the run lie before them. */
  private readonly markSequence = new Float64Array(MARKS);
  private readonly markRun = new Uint32Array(MARKS);
  private readonly markByte = new Uint32Array(MARKS);
  private readonly markFrames = new Uint32Array(MARKS);
  private nextMark = 0;

  constructor(stats: Stats) {
    this.stats = stats;
  }

  private add(session: Session, qos: number, messages: number, bytes: number): void {
    const count = session.isLink ? this.stats.sentToLinks : this.stats.sent;
    count.messages[qos]! += messages;
    count.bytes[qos]! += bytes;
    session.messagesOut += messages;
  }

  /** segment.bytes[from..to) left, at QoS 0. It may begin and end within a frame. */
  range(session: Session, segment: Segment, from: number, to: number): void {
    if (from === to) return;
    if (segment.sequence !== this.sequence || from !== this.from || to !== this.to) {
      this.messages = this.framesIn(segment, from, to);
      this.sequence = segment.sequence;
      this.from = from;
      this.to = to;
    }
    this.add(session, 0, this.messages, to - from);
  }

  /** The first `wrote` bytes of a gathered batch left, at QoS 0. */
  gathered(session: Session, batch: Batch, wrote: number): void {
    if (wrote === batch.length) {
      this.add(session, 0, batch.messages, wrote);
      return;
    }
    const last = batch.pieceAt(wrote);
    let messages = 0;
    for (let piece = 0; piece <= last; piece++) {
      const from = batch.sourceByte[piece]!;
      const bytes = Math.min(wrote, batch.at[piece + 1]!) - batch.at[piece]!;
      if (bytes > 0) messages += this.framesIn(batch.source[piece]!, from, from + bytes);
    }
    this.add(session, 0, messages, wrote);
  }

  /** The first `pieces` pieces of a batch of frames left whole. */
  pieces(session: Session, batch: Batch, pieces: number): void {
    const { qosSeen, at } = batch;
    if ((qosSeen & (qosSeen - 1)) === 0) {
      if (pieces > 0) this.add(session, qosSeen >>> 1, pieces, at[pieces]! - at[0]!);
      return;
    }
    for (let piece = 0; piece < pieces; piece++) {
      this.add(session, batch.qos[piece]!, 1, at[piece + 1]! - at[piece]!);
    }
  }

  /** A frame of `bytes` bytes, as far as they are not counted, has begun to leave: the port keeps its rest. */
  begun(session: Session, qos: number, bytes: number): void {
    session.begunQos = qos;
    session.begunBytes = bytes;
  }

  /** The port has sent the rest of whatever it kept. */
  finished(session: Session): void {
    if (session.begunQos < 0) return;
    this.add(session, session.begunQos, 1, session.begunBytes);
    session.begunQos = -1;
  }

  /** The cleaner has moved what lies in the log. */
  forget(): void {
    this.sequence = 0;
    this.markSequence.fill(0);
  }

  /** Messages that `entry` of `segment` holds from byte `from` on, where a frame begins. */
  framesOfEntry(segment: Segment, entry: number, from: number): number {
    const at = entry * ENTRY_STRIDE;
    const first = segment.entries[at + ENTRY_FIRST_RUN]!;
    const lastAt = segment.entries[at + ENTRY_LAST_RUN]! * RUN_STRIDE;
    const { runs } = segment;
    if (from !== segment.runStart(first)) {
      return this.framesIn(segment, from, segment.entryEnd(entry));
    }
    return runs[lastAt + RUN_FIRST]! + runs[lastAt + RUN_COUNT]! - runs[first * RUN_STRIDE + RUN_FIRST]!;
  }

  /** Frames that end within segment.bytes(from..to], a range of one entry: its records are neighbours too. */
  private framesIn(segment: Segment, from: number, to: number): number {
    const { runs } = segment;
    const first = runOf(segment, from);
    const before = this.framesBefore(segment, first, from);
    if (to <= segment.runEnd(first)) return this.framesBefore(segment, first, to) - before;
    const last = runOf(segment, to - 1);
    const firstAt = first * RUN_STRIDE;
    const between = runs[last * RUN_STRIDE + RUN_FIRST]! - runs[firstAt + RUN_FIRST]!;
    return between - before + this.framesBefore(segment, last, to);
  }

  /** Frames of `run` that end at or before byte `to`, which lies in the run or is its end. */
  private framesBefore(segment: Segment, run: number, to: number): number {
    const { runs } = segment;
    const runAt = run * RUN_STRIDE;
    const start = segment.runStart(run);
    if (to === start) return 0;
    const count = runs[runAt + RUN_COUNT]!;
    const frameMax = runs[runAt + RUN_FRAME_MAX]!;
    const bytes = runs[runAt + RUN_BYTES]!;
    if (count * frameMax === bytes) return Math.floor((to - start) / frameMax);
    let mark = this.markFor(segment.sequence, run, to);
    let at = start;
    let frames = 0;
    if (mark >= 0) {
      at = this.markByte[mark]!;
      frames = this.markFrames[mark]!;
    } else {
      mark = this.nextMark;
      this.nextMark = (mark + 1) % MARKS;
    }
    if (to === start + bytes) {
      at = to;
      frames = count;
    }
    while (at < to) {
      const next = at + frameBytes(segment.bytes, at);
      if (next > to) break;
      at = next;
      frames++;
    }
    this.markSequence[mark] = segment.sequence;
    this.markRun[mark] = run;
    this.markByte[mark] = at;
    this.markFrames[mark] = frames;
    return frames;
  }

  /** The mark in the run that is nearest before `to`, -1 when there is none. */
  private markFor(sequence: number, run: number, to: number): number {
    let nearest = -1;
    let byte = -1;
    for (let mark = 0; mark < MARKS; mark++) {
      if (this.markSequence[mark] !== sequence || this.markRun[mark] !== run) continue;
      const at = this.markByte[mark]!;
      if (at > to || at <= byte) continue;
      nearest = mark;
      byte = at;
    }
    return nearest;
  }
}

/** The run that holds byte `at`: most often the last one. */
function runOf(segment: Segment, at: number): number {
  const last = segment.runCount - 1;
  return segment.runStart(last) <= at ? last : segment.runAtByte(at);
}
