// Scenarios that fail for a known reason: title, with or without a seed → what is wrong. An entry goes when its cause does.

const DEADLOCK = "acknowledgements wait behind a parked chunk for the room that they would make";
const LOST_ANSWERS = "refusing what cannot be parked resets the answers of the chunk before it";
const MISCOUNT = "QoS 0 messages skipped beyond a quota are counted as QoS 1 and 2";

export const openDefects: ReadonlyMap<string, string> = new Map([
  [
    "of clients that come and go, seed 79",
    "what was queued at QoS 2 is dropped when its filter is replaced at QoS 0",
  ],
  ["in little memory, seed 3", DEADLOCK],
  ["in little memory, seed 6", "a connection that is not held back stays among the paused"],
  ["in little memory, seed 10", MISCOUNT],
  ["in little memory, seed 52", "a QoS 2 identifier is freed while the client still holds it"],
  ["in little memory, of clients that come and go, seed 1", LOST_ANSWERS],
  ["in little memory, of clients that come and go, seed 3", DEADLOCK],
  ["in little memory, of clients that come and go, seed 23", LOST_ANSWERS],
  ["in little memory, of clients that come and go, seed 52", DEADLOCK],
  [
    "keeps its connection past its Keep Alive and loses nothing, chunks of 524288 bytes",
    "a chunk that waits is larger than the parked budget, and the publisher is closed",
  ],
  [
    "v4 → v4 at every QoS",
    "a reader within a large frame is cut short and its rest copied into the residue budget",
  ],
  ["v4 → v5 at every QoS", "what follows a large packet that waits does not fit the parked budget"],
  ["v5 → v4 at every QoS", "what follows a large packet that waits does not fit the parked budget"],
  [
    "v5 → v5 at every QoS",
    "a reader within a large frame is cut short and its rest copied into the residue budget",
  ],
  [
    "at QoS 1 costs nobody else anything, and its gap is counted",
    "a stalled connected reader keeps its whole quota",
  ],
  [
    "at QoS 2: every frame is whole, nothing owed is lost, seed 5",
    "DISCONNECT follows a control packet that was cut",
  ],
]);
