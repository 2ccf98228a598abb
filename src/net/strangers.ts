// Strangers: the budget for what comes of clients that nobody has let in yet, and how much of it each of them holds.
// When it is used up, whoever holds most of it gives way to one that would hold less, the eldest first where several
// do: whatever some send that never ends, somebody who sends little finds room.

import { assert } from "../base/assert.ts";
import type { Budget, Room } from "../base/budget.ts";
import { type Closed, CloseCause } from "./closeCause.ts";

/** Who holds something: it gives all of it back when it is closed. */
export interface Stranger {
  close(cause: Closed): void;
}

/** What one of them holds. */
export class StrangerRoom implements Room {
  owner: Stranger;
  held = 0;
  private readonly strangers: Strangers;

  constructor(strangers: Strangers, owner: Stranger) {
    this.strangers = strangers;
    this.owner = owner;
  }

  take(bytes: number): boolean {
    return this.strangers.take(this, bytes);
  }

  give(bytes: number): void {
    this.strangers.give(this, bytes);
  }
}

export class Strangers {
  private readonly budget: Budget;
  /** Those that hold something, the eldest first. */
  private readonly rooms = new Set<StrangerRoom>();

  constructor(budget: Budget) {
    this.budget = budget;
  }

  roomFor(owner: Stranger): StrangerRoom {
    return new StrangerRoom(this, owner);
  }

  /** False, and nothing is taken, when none of the others holds more than `room` would. */
  take(room: StrangerRoom, bytes: number): boolean {
    while (!this.budget.take(bytes)) {
      const largest = this.largestBeside(room);
      if (largest === null || largest.held <= room.held + bytes) return false;
      largest.owner.close(CloseCause.displaced);
      assert(!this.rooms.has(largest), "who is closed holds nothing");
    }
    if (bytes > 0) this.rooms.add(room);
    room.held += bytes;
    return true;
  }

  give(room: StrangerRoom, bytes: number): void {
    this.budget.give(bytes);
    room.held -= bytes;
    if (room.held === 0) this.rooms.delete(room);
  }

  private largestBeside(room: StrangerRoom): StrangerRoom | null {
    let largest: StrangerRoom | null = null;
    for (const one of this.rooms) {
      if (one !== room && (largest === null || one.held > largest.held)) largest = one;
    }
    return largest;
  }
}
