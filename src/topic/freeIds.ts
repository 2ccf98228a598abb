// FreeIds: dense small integers, the smallest free one first, so that arrays indexed by them stay short after
// churn. Taking and giving back cost O(log free).

import { assert } from "../base/assert.ts";

export class FreeIds {
  /** Highest id ever taken + 1: the length that an array indexed by these ids needs. */
  capacity = 0;
  // Binary min-heap of the ids below `capacity` that are free.
  private readonly heap: number[] = [];

  take(): number {
    const heap = this.heap;
    if (heap.length === 0) return this.capacity++;
    const smallest = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) this.sinkFromTop(last);
    return smallest;
  }

  /** `id` was taken and is not free already; the caller knows, since it keeps what the id stands for. */
  give(id: number): void {
    assert(id >= 0 && id < this.capacity, "a free id was taken before");
    const heap = this.heap;
    let at = heap.length;
    heap.push(id);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= id) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = id;
  }

  private sinkFromTop(id: number): void {
    const heap = this.heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= id) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
  }
}
