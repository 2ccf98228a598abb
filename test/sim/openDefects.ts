// Scenarios that fail for a known reason: title, with or without a seed → what is wrong. An entry goes when its cause does.

export const openDefects: ReadonlyMap<string, string> = new Map([
  [
    "of clients that come and go, seed 21",
    "an identifier stays taken when the socket is found gone at its write",
  ],
  [
    "of clients that come and go, seed 89",
    "an identifier stays taken when the socket is found gone at its write",
  ],
  [
    "of clients that come and go, seed 79",
    "what was queued at QoS 2 is dropped when its filter is replaced at QoS 0",
  ],
  [
    "keeps its connection past its Keep Alive and loses nothing",
    "trickled chunks push a healthy reader's QoS 0 debt out",
  ],
  ["is let go when its only reader has stalled", "nobody looks at paced filters while no turn runs"],
  ["v4 → v4 at every QoS", "a cut large frame is copied into the residue budget"],
  ["v4 → v5 at every QoS", "a second large packet does not fit the parked budget"],
  ["v5 → v4 at every QoS", "a second large packet does not fit the parked budget"],
  ["v5 → v5 at every QoS", "a cut large frame is copied into the residue budget"],
  [
    "large chunks, none behind a pause: nothing is lost",
    "every paused publisher is let in at the same trickle",
  ],
  [
    "at QoS 1 costs nobody else anything, and its gap is counted",
    "a stalled connected reader keeps its whole quota",
  ],
  [
    "at QoS 2: every frame is whole, nothing owed is lost, seed 5",
    "DISCONNECT follows a control packet that was cut",
  ],
  ["while the log rolls past what they held", "what members have in flight does not pin the log"],
]);
